"""Rules of orders and registration: ORD-01, UNT-01, UNT-06, UNT-07, UNT-14.

The life of a system once it is registered is in `system.py`.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Terms
from ledger.domain.event import Event, EventData
from ledger.domain.order import (
    Line,
    Order,
    OrderAcknowledged,
    OrderCancelled,
    OrderClosed,
    OrderLine,
    OrderLineChanged,
    OrderPlaced,
    SerialsAllocated,
)
from ledger.domain.sku import Sku, SkuVersioned
from ledger.domain.system import NOT_HERE, Registered, System
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule

OPEN: Final = frozenset({"placed", "acknowledged"})
NEEDED: Final[dict[type[EventData], frozenset[str]]] = {
    OrderAcknowledged: frozenset({"placed"}),
    OrderLineChanged: OPEN,
    SerialsAllocated: OPEN,
    OrderClosed: OPEN,
    OrderCancelled: OPEN,
}


def terms_of(agreement: Agreement) -> Terms:
    """The terms in force; before there are any, the indicative ones."""
    return agreement.terms or agreement.indicative_terms or Terms()


@rule("ORD-01", OrderPlaced)
def order_is_sound(world: World, event: Event[Any]) -> None:
    """An order is placed once, between two, with numbered lines above zero."""
    world.need(Agreement, event.deal)
    name, lines = _name(event), event.data.lines
    numbers = [line.line for line in lines]
    wrong = ""
    if world.get(Order, event.deal, name).state != "none":
        wrong = f"Order {name!r} is already on the record."
    elif event.data.buyer == event.data.seller:
        wrong = f"{event.data.buyer} cannot order from itself."
    elif not lines:
        wrong = f"Order {name!r} has no lines."
    elif len({*numbers}) < len(numbers) or min(numbers) < 1:
        wrong = f"Lines are numbered from 1, each once; given are {numbers}."
    if wrong:
        raise Refused(wrong)
    for line in lines:
        if line.quantity < 1:
            raise Refused(f"Line {line.line} orders {line.quantity}; at least 1.")


@rule("UNT-07", OrderPlaced)
def ordered_skus_count(world: World, event: Event[Any]) -> None:
    """An order names SKU versions that are defined and count toward the agreement."""
    for line in event.data.lines:
        version = _version(world, event, line)
        if line.rated != version.rated:
            raise Refused(
                f"Line {line.line} says {line.rated}; {line.sku} version "
                f"{line.sku_version} is rated {version.rated}.",
            )


def _version(world: World, event: Event[Any], line: OrderLine) -> SkuVersioned:
    sku = world.get(Sku, event.deal, line.sku)
    version = sku.versions.get(line.sku_version)
    if version is None:
        known = ", ".join(map(str, sorted(sku.versions))) or "none"
        raise Refused(
            f"{line.sku} has no version {line.sku_version} in {event.deal}; "
            f"known: {known}.",
            todo="Define it with 'sku define' first.",
            code="UNT-07",
        )
    platforms = terms_of(world.need(Agreement, event.deal)).platforms
    if platforms and line.sku not in platforms:
        raise Refused(
            f"{line.sku} does not count toward {event.deal}; "
            f"its platforms are {', '.join(platforms)}.",
            code="UNT-07",
        )
    not_before(
        event,
        sku.defined_on[line.sku_version],
        f"the definition of {line.sku} version {line.sku_version}",
    )
    return version


@rule("ORD-01", *NEEDED)
def order_state_allows(world: World, event: Event[Any]) -> None:
    """An order is acknowledged, changed, allocated, closed or cancelled while open."""
    order = world.need(Order, event.deal, _name(event))
    not_before(event, order.placed_on, "the order")
    if order.state in NEEDED[type(event.data)]:
        return
    if isinstance(event.data, SerialsAllocated) and event.data.replaces is not None:
        return  # A replacement adds nothing to what was ordered.
    raise Refused(
        f"Order {order.name} is {order.state}; {event.provenance.command!r} needs "
        f"{' or '.join(sorted(NEEDED[type(event.data)]))}.",
    )


@rule("ORD-01", OrderLineChanged)
def quantity_covers_allocated(world: World, event: Event[Any]) -> None:
    """A line's quantity is at least one, and not below what is allocated."""
    order = world.need(Order, event.deal, _name(event))
    line = _line(order, event.data.line)
    if event.data.new < max(1, line.allocated) or event.data.new == line.quantity:
        raise Refused(
            f"Line {line.line} of {order.name} orders {line.quantity} and has "
            f"{line.allocated} allocated; it cannot change to {event.data.new}.",
        )


def _line(order: Order, number: int) -> Line:
    line = order.lines.get(number)
    if line is None:
        known = ", ".join(map(str, order.lines))
        raise Refused(
            f"Order {order.name} has no line {number}; known: {known}.", code="ORD-01"
        )
    return line


@rule("ORD-01", OrderClosed)
def order_is_fulfilled(world: World, event: Event[Any]) -> None:
    """An order is closed when every line is allocated in full."""
    order = world.need(Order, event.deal, _name(event))
    for line in order.lines.values():
        if line.allocated < line.quantity:
            raise Refused(
                f"Line {line.line} of {order.name} has {line.allocated} of "
                f"{line.quantity} allocated.",
                todo="Change the line to what was delivered, or cancel the order.",
            )


@rule("UNT-01", SerialsAllocated)
def allocated_once(world: World, event: Event[Any]) -> None:
    """A system stands once on an order line."""
    order = world.need(Order, event.deal, _name(event))
    line = _line(order, event.data.line)
    seen: set[str] = set()
    twice = []
    for serial in event.data.systems:
        if serial in seen or order.holds(line.line, serial):
            twice.append(serial)
        seen.add(serial)
    if twice or not event.data.systems:
        raise Refused(
            f"{', '.join(twice) or 'No system'} would be allocated to line "
            f"{line.line} of {order.name}{' twice' * bool(twice)}.",
            todo="Name each system once, and at least one.",
        )


@rule("UNT-06", SerialsAllocated)
def no_more_than_ordered(world: World, event: Event[Any]) -> None:
    """No more systems are allocated to a line than it orders."""
    order = world.need(Order, event.deal, _name(event))
    line = _line(order, event.data.line)
    replaces = event.data.replaces
    after = line.allocated + len(event.data.systems)
    after -= replaces is not None and order.holds(line.line, replaces)
    if after > line.quantity:
        raise Refused(
            f"Line {line.line} ordered {line.quantity}; {after} would be allocated.",
            todo="Change the line first, or allocate fewer.",
        )


@rule("UNT-01", Registered)
def registered_once(world: World, event: Event[Any]) -> None:
    """A system is registered once, across all deals, while it is in use."""
    system = world.get(System, _serial(event))
    if system.state not in NOT_HERE:
        raise Refused(
            f"System {system.system} is already registered under order "
            f"{system.order} of {system.deal}, and is {system.state}.",
            todo="It moves only by decommissioning and a new registration.",
        )


@rule("UNT-14", Registered)
def second_life_has_a_reason(world: World, event: Event[Any]) -> None:
    """A decommissioned system is registered anew only later, and with a reason."""
    system = world.get(System, _serial(event))
    if system.state == "none":
        return
    if not event.provenance.reason:
        raise Refused(
            f"System {system.system} was decommissioned under {system.deal} "
            f"on {system.state_on}.",
            todo="Say in 'reason' why it is registered again.",
        )
    not_before(event, system.state_on, "the decommissioning")


@rule("UNT-07", Registered)
def registered_as_ordered(world: World, event: Event[Any]) -> None:
    """A system is what its order line says, by the maker that its SKU names."""
    order = world.need(Order, event.deal, event.data.order)
    line = _line(order, event.data.line)
    version = _version(world, event, line)
    data, serial = event.data, _serial(event)
    maker = serial.partition("/")[0]
    if maker != version.manufacturer:
        raise Refused(
            f"{serial} is by {maker}; {line.sku} is by {version.manufacturer}.",
        )
    said = (data.sku, data.sku_version, data.gpu_packages, data.gpu_dies, data.rated)
    fixed = (line.sku, line.sku_version, version.gpu_packages, version.gpu_dies)
    if said != (*fixed, version.rated) or not order.holds(line.line, serial):
        raise Refused(
            f"{serial} is not as line {line.line} of {order.name} orders it: "
            f"{line.sku} version {line.sku_version}.",
        )


def _serial(event: Event[Any]) -> str:
    return event.stream.partition("/")[2]


def _name(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]
