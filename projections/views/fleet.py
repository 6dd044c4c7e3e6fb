"""Where is every system, by site, SKU and state, and how much power is that?"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ledger.domain.event import Event
from ledger.domain.order import OrderCancelled, OrderLineChanged, OrderPlaced
from ledger.domain.struct import Frozen
from ledger.domain.system import (
    Accepted,
    Decommissioned,
    Derated,
    Energised,
    Installed,
    Quarantined,
    Received,
    Registered,
    Rejected,
    Replaced,
    ReturnedToMaker,
    ReturnedToService,
    SentToRma,
    Shipped,
)
from projections.engine.view import Book, Drawn, FoldRow, Rows, View

if TYPE_CHECKING:
    from projections.engine.reading import Reading

IS_NOTHING: Final[Mapping[str, str]] = {"state": "allocated", "site": "-"}
"""What a row leaves out: it is shown so, and stored as nothing."""
LADDER: Final = ("shipped", "received", "installed", "energised", "accepted")
ENTERED: Final[dict[type, str]] = {
    Shipped: "shipped",
    Received: "received",
    Installed: "installed",
    Energised: "energised",
    Rejected: "rejected",
    ReturnedToMaker: "returned",
    Replaced: "replaced",
    Decommissioned: "decommissioned",
}
# How far up the ladder a system that is out still counts: what went back was shipped.
COUNTS_TO: Final = {
    "rejected": "received",
    "returned": "shipped",
    "decommissioned": "shipped",
    "in_rma": "shipped",
    "quarantined": "energised",
}


SYSTEM: Final = "system"
TOTALS: Final = "totals"


class SystemRow(FoldRow, tag_field="row", tag="system"):
    """A system; `of_line` are the watts that its line of the order counts for each."""

    order: str
    line: int
    sku: str
    sku_version: int
    watts: int
    of_line: int | None = None
    gpu_packages: int = 0
    gpu_dies: int = 0
    state: str = "allocated"
    outage: str | None = None
    site: str = ""
    since: date | None = None

    @property
    def shown_state(self) -> str:
        """Where it is: the outage that it is in, else how far it came."""
        return self.outage or self.state

    @property
    def held(self) -> bool:
        """Whether it takes up one of its line: what was replaced does no longer."""
        return self.state != "replaced"

    @property
    def beyond(self) -> int:
        """What its own watts add to those of its line: nothing before it is shipped."""
        if self.of_line is None or self.state == "allocated" or not self.held:
            return 0
        return self.watts - self.of_line


class Line(msgspec.Struct, omit_defaults=True):
    """A line of an order, with the number of its systems."""

    sku: str
    watts: int
    quantity: int
    allocated: int = 0


class OrderRow(FoldRow, tag_field="row", tag="order"):
    """An order; `beyond` is what its systems' own watts add to those of their lines."""

    lines: dict[int, Line]
    beyond: int = 0

    @property
    def ordered(self) -> int:
        """Rated watts on order."""
        lines = self.lines.values()
        return self.beyond + sum(line.quantity * line.watts for line in lines)


class Group(msgspec.Struct, omit_defaults=True):
    """The systems that are alike in site, SKU version, state and outage, added up."""

    site: str
    sku: str
    sku_version: int
    state: str
    outage: str | None = None
    systems: int = 0
    gpu_packages: int = 0
    gpu_dies: int = 0
    watts: int = 0

    @property
    def shown_state(self) -> str:
        """Where they are."""
        return self.outage or self.state


class TotalsRow(FoldRow, tag_field="row", tag="totals"):
    """All orders and all systems added up, so that no answer has to look at each."""

    ordered: int = 0
    systems_ordered: int = 0
    skus: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, Group] = msgspec.field(default_factory=dict)

    def rated(self) -> dict[str, int]:
        """Rated watts at each rung, `ordered` to `accepted`."""
        watts = {"ordered": self.ordered, **dict.fromkeys(LADDER, 0)}
        for group in self.groups.values():
            for rung in rungs_to(group.shown_state):
                watts[rung] += group.watts
        return watts

    def out_of_service(self) -> bool:
        """Whether systems that were delivered are not in service now."""
        out = {"rejected", "returned", "decommissioned"}
        return any(one.outage or one.state in out for one in self.groups.values())


FLEET: Final = View(
    "fleet",
    2,
    "Where is every system, and how much power is that?",
    SystemRow | OrderRow | TotalsRow,
)


class FleetLine(Frozen):
    """So many systems of one SKU version in one state at one site."""

    site: str
    sku: str
    sku_version: int
    state: str
    systems: int
    gpu_packages: int
    gpu_dies: int
    power: str
    unit: str


class SystemLine(Frozen, omit_defaults=False):
    """A system, where it is, and what it counts for."""

    system: str
    state: str
    site: str
    order: str
    line: int
    sku: str
    sku_version: int
    power: str
    unit: str
    since: str | None


def system_line(row: SystemRow) -> SystemLine:
    """A system's row as a line."""
    return SystemLine(
        system=row.key.partition("/")[2],
        state=row.shown_state,
        site=row.site or "-",
        order=row.order,
        line=row.line,
        sku=row.sku,
        sku_version=row.sku_version,
        power=str(row.watts),
        unit="W",
        since=row.since.isoformat() if row.since else None,
    )


def rungs_to(state: str) -> tuple[str, ...]:
    """The rungs of the ladder at which a system in a state counts, from the lowest."""
    top = COUNTS_TO.get(state, state)
    return LADDER[: LADDER.index(top) + 1] if top in LADDER else ()


def totals_of(book: Book) -> TotalsRow:
    """The fleet of a deal, added up."""
    return _totals(book.rows(FLEET))


def system_of(book: Book, name: str) -> SystemRow | None:
    """A system of a deal."""
    row = book.rows(FLEET).get(f"{SYSTEM}/{name}")
    return row if isinstance(row, SystemRow) else None


def order_of(book: Book, name: str) -> OrderRow | None:
    """An order of a deal."""
    return _order(book.rows(FLEET), name)


def _totals(rows: Rows[Any]) -> TotalsRow:
    row = rows.get(TOTALS)
    return row if isinstance(row, TotalsRow) else TotalsRow(key=TOTALS)


def _order(rows: Rows[Any], name: str) -> OrderRow | None:
    row = rows.get(f"order/{name}")
    return row if isinstance(row, OrderRow) else None


def _looks_at(event: Event[Any]) -> Iterable[str]:
    return (event.stream,)


def _named(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]


@FLEET.on(OrderPlaced)
def _placed(rows: Rows[Any], event: Event[OrderPlaced]) -> None:
    lines = {
        line.line: Line(line.sku, line.rated.watts, line.quantity)
        for line in event.data.lines
    }
    before = _order(rows, _named(event))
    _reorder(rows, OrderRow(key=f"order/{_named(event)}", lines=lines), before)


@FLEET.on(OrderLineChanged)
def _changed(rows: Rows[Any], event: Event[OrderLineChanged]) -> None:
    order = _order(rows, _named(event))
    if order is not None and event.data.line in order.lines:
        after = msgspec.structs.replace(order, lines=_copied(order))
        after.lines[event.data.line].quantity = event.data.new
        _reorder(rows, after, order)


@FLEET.on(OrderCancelled)
def _cancelled(rows: Rows[Any], event: Event[Any]) -> None:
    order = _order(rows, _named(event))
    if order is not None:
        after = msgspec.structs.replace(order, lines=_copied(order))
        for line in after.lines.values():
            line.quantity = line.allocated
        _reorder(rows, after, order)


def _copied(order: OrderRow) -> dict[int, Line]:
    return {key: msgspec.structs.replace(one) for key, one in order.lines.items()}


def _reorder(rows: Rows[Any], after: OrderRow, before: OrderRow | None) -> None:
    """Put an order in place of what it was, in the totals too."""
    totals = _totals(rows)
    for order, sign in ((before, -1), (after, 1)):
        if order is not None:
            totals.ordered += sign * order.ordered
            for line in order.lines.values():
                totals.systems_ordered += sign * line.quantity
    for line in after.lines.values():
        totals.skus[line.sku] = line.watts
    rows.put(after)
    rows.put(totals)


@FLEET.on(Registered)
def _registered(rows: Rows[Any], event: Event[Registered]) -> None:
    data = event.data
    order = _order(rows, data.order)
    line = order.lines.get(data.line) if order is not None else None
    row = SystemRow(
        key=event.stream,
        order=data.order,
        line=data.line,
        sku=data.sku,
        sku_version=data.sku_version,
        watts=data.rated.watts,
        of_line=line.watts if line is not None else None,
        gpu_packages=data.gpu_packages,
        gpu_dies=data.gpu_dies,
        since=event.on,
    )
    if order is not None and line is not None:
        line.allocated += 1
        rows.put(order)
    totals = _totals(rows)
    _count(totals, row, 1)
    rows.put(totals)
    rows.put(row)


@FLEET.on(
    *ENTERED,
    Accepted,
    Quarantined,
    SentToRma,
    ReturnedToService,
    Derated,
    reads=_looks_at,
)
def _entered(rows: Rows[Any], event: Event[Any]) -> None:
    row = rows.get(event.stream)
    if row is None or (isinstance(event.data, Accepted) and not event.confirmed):
        return
    beyond, held = row.beyond, row.held
    totals = _totals(rows)
    _count(totals, row, -1)
    match event.data:
        case Accepted(rated=rated):
            row.state = "accepted"
            row.watts = rated.watts
        case Quarantined():
            row.outage = "quarantined"
        case SentToRma():
            row.outage = "in_rma"
        case ReturnedToService():
            row.outage = None if event.confirmed else row.outage
        case Derated(new=new):
            row.watts = new.watts
        case Received(site=site):
            row.state = "received"
            row.site = site
        case data:
            row.state = ENTERED[type(data)]
            if row.state in {"rejected", "returned", "replaced", "decommissioned"}:
                row.outage = None
    row.since = event.on
    _count(totals, row, 1)
    rows.put(totals)
    rows.put(row)
    if row.beyond != beyond or row.held != held:
        _add(rows, row, row.beyond - beyond, row.held - held)


def _count(totals: TotalsRow, row: SystemRow, sign: int) -> None:
    """Count a system where it stands now or, with the sign -1, no longer."""
    name = f"{row.site}|{row.sku}|{row.sku_version}|{row.state}|{row.outage}"
    group = totals.groups.get(name)
    if group is None:
        group = totals.groups[name] = Group(
            row.site, row.sku, row.sku_version, row.state, row.outage
        )
    group.systems += sign
    group.gpu_packages += sign * row.gpu_packages
    group.gpu_dies += sign * row.gpu_dies
    group.watts += sign * row.watts
    if not group.systems:
        del totals.groups[name]


def _add(rows: Rows[Any], row: SystemRow, watts: int, systems: int) -> None:
    """Add to an order what one of its systems has beyond its line, or holds no more."""
    order, totals = _order(rows, row.order), _totals(rows)
    if order is None or row.line not in order.lines:
        return
    order.lines[row.line].allocated += systems
    order.beyond += watts
    totals.ordered += watts
    rows.put(order)
    rows.put(totals)


@FLEET.answer(FleetLine, key=("site", "sku", "sku_version", "state"))
def _fleet(book: Book) -> Drawn:
    totals = totals_of(book)
    alike: dict[tuple[str, str, int, str], list[Group]] = {}
    for group in totals.groups.values():
        key = (group.site, group.sku, group.sku_version, group.shown_state)
        alike.setdefault(key, []).append(group)
    lines = [
        FleetLine(
            site=site or "-",
            sku=sku,
            sku_version=version,
            state=state,
            systems=sum(group.systems for group in groups),
            gpu_packages=sum(group.gpu_packages for group in groups),
            gpu_dies=sum(group.gpu_dies for group in groups),
            power=str(sum(group.watts for group in groups)),
            unit="W",
        )
        for (site, sku, version, state), groups in sorted(alike.items())
    ]
    systems = sum(line.systems for line in lines)
    return Drawn(lines, {"systems": systems, "ordered": totals.systems_ordered})


def systems(
    reading: Reading,
    deal: str,
    asked: Mapping[str, str | None],
    after: str | None = None,
    limit: int | None = None,
) -> Generator[SystemLine]:
    """Systems of a deal by their names: of a `state`, at a `site`, of an `order`.

    Of rows that are up to date the database tells these alone.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    first, last = f"{SYSTEM}/{after or ''}", f"{SYSTEM}0"
    fields: dict[str, tuple[str, ...]] = {"state": ("outage", "state")}
    where = {
        fields.get(name, (name,)): "" if IS_NOTHING.get(name) == value else value
        for name, value in given.items()
    }
    current = reading.current(FLEET, deal, where, (first, last), limit)
    if current is not None:
        with closing(current) as found:
            yield from map(system_line, found)
        return
    for row in reading.book(deal, FLEET).rows(FLEET):
        if isinstance(row, SystemRow) and row.key > first:
            line = system_line(row)
            if all(getattr(line, name) == value for name, value in given.items()):
                yield line
