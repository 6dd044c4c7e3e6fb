"""Where is every system, by site, SKU and state, and how much power is that?

The state of a system is its own part, and of an order its own. What stands here are
their totals, so that no answer has to look at each of them: they move by differences,
and stand among the parts that they add up, at the same position of the record.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from ledger.domain.event import Event
from ledger.domain.order import Order, Placed
from ledger.domain.parts import Part
from ledger.domain.struct import Frozen
from ledger.domain.system import LADDER, Registered, System
from projections.engine.nouns import parts_of, watch
from projections.engine.view import Book, Drawn, Rows, View

if TYPE_CHECKING:
    from projections.engine.reading import Reading

NOWHERE: Final = "-"
"""The site of what has none yet."""
# No maker's name begins so: these keys lie before those of all systems.
GROUP: Final = "#group"
BEYOND: Final = "#beyond"
GONE: Final = "#gone"
FIRST, LAST = "0", "{"
"""What the keys of systems lie between."""
ORDERED: Final = "ordered"
ON_ORDER: Final = "on-order"
FLEET: Final = View("fleet", 3, "Where is every system, and how much power is that?")
SYSTEMS: Final = parts_of(System)
ORDERS: Final = parts_of(Order)


class Group(Part, tag="group"):
    """The systems that are alike in site, SKU version, state and outage, added up.

    `rung` is the highest one at which they count.
    """

    site: str
    sku: str
    sku_version: int
    state: str
    outage: str | None = None
    rung: str = ""
    systems: int = 0
    gpu_packages: int = 0
    gpu_dies: int = 0
    watts: int = 0

    @property
    def shown_state(self) -> str:
        """Where they are."""
        return self.outage or self.state

    def counts_at(self, rung: str) -> bool:
        """Whether they count at a rung of the ladder."""
        return counts_at(self.rung, rung)


class Beyond(Part, tag="beyond"):
    """What the own watts of an order's systems add to those of its lines."""

    watts: int = 0


class Gone(Part, tag="gone"):
    """A system that was decommissioned, by which entry of its stream.

    Another deal may have registered it since.
    """

    version: int


class Ordered(Part, tag="ordered"):
    """All orders added up."""

    watts: int = 0
    systems: int = 0
    unallocated: int = 0


class OnOrder(Part, tag="on-order"):
    """A SKU that was ordered, and its rating in the last order of it."""

    watts: int


class Totals:
    """The fleet of a deal added up, less what stands under another deal by now."""

    def __init__(self, book: Book) -> None:
        rows, orders = book.rows(SYSTEMS), book.rows(ORDERS)
        self.moved = _elsewhere(book)
        self._beyond: dict[str, int] = {
            name: one.watts for name, one in rows.under(BEYOND).items()
        }
        self.groups: dict[str, Group] = dict(sorted(rows.under(GROUP).items()))
        for system in self.moved.values():
            self._leave_out(system)
        placed: Ordered = orders.get(f"{ORDERED}/all") or Ordered(key="")
        self.systems_ordered = placed.systems
        self.unallocated = placed.unallocated
        self.ordered = placed.watts + sum(self._beyond.values())
        self.skus = {n: one.watts for n, one in orders.under(ON_ORDER).items()}

    def beyond(self, order: str) -> int:
        """What the own watts of an order's systems add to those of its lines."""
        return self._beyond.get(order, 0)

    def rated(self) -> dict[str, int]:
        """Rated watts at each rung, `ordered` to `accepted`."""
        watts = {"ordered": self.ordered, **dict.fromkeys(LADDER, 0)}
        for group in self.groups.values():
            for rung in rungs_to(group.rung):
                watts[rung] += group.watts
        return watts

    def out_of_service(self) -> bool:
        """Whether systems that were delivered are not in service now."""
        out = {"rejected", "returned", "decommissioned"}
        return any(one.outage or one.state in out for one in self.groups.values())

    @property
    def in_pipeline(self) -> int:
        """Systems on order or on their way, not accepted yet."""
        coming = {"allocated", *LADDER} - {"accepted"}
        under_way = (g.systems for g in self.groups.values() if g.state in coming)
        return self.unallocated + sum(under_way)

    def _leave_out(self, system: System) -> None:
        name = _group_of(system)
        group = self.groups[name] = replace(self.groups[name])
        _add(group, system, -1)
        if not group.systems:
            del self.groups[name]
        if system.order in self._beyond:
            self._beyond[system.order] -= system.beyond_w


class OrderStands(Frozen):
    """An order as it stands in the fleet: what is ordered, in rated watts."""

    ordered: int


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


def system_line(system: System) -> SystemLine:
    """A system as a line."""
    return SystemLine(
        system=system.system,
        state=system.shown_state,
        site=system.site or NOWHERE,
        order=system.order,
        line=system.line,
        sku=system.sku,
        sku_version=system.sku_version,
        power=str(system.rated_w),
        unit="W",
        since=system.since.isoformat(),
    )


def rungs_to(top: str) -> tuple[str, ...]:
    """The rungs of the ladder up to one, from the lowest; none below the ladder."""
    return LADDER[: LADDER.index(top) + 1] if top else ()


def counts_at(top: str, rung: str) -> bool:
    """Whether what counts up to one rung counts at another."""
    return bool(top) and LADDER.index(rung) <= LADDER.index(top)


def totals_of(book: Book) -> Totals:
    """The fleet of a deal, added up."""
    found: Totals = book.once("fleet", Totals)
    return found


def systems_at(book: Book, rung: str) -> Iterator[System]:
    """The systems of a deal that count at a rung, in order of their names."""
    moved = totals_of(book).moved
    for row in book.rows(SYSTEMS):
        mine = isinstance(row, System) and row.system not in moved
        if mine and counts_at(row.rung, rung):
            yield row


def system_of(book: Book, name: str) -> System | None:
    """A system of a deal."""
    found = book.get(System, name)
    return found if found.state != "none" else None


def order_of(book: Book, name: str) -> OrderStands | None:
    """An order of a deal, with what its systems' own watts add."""
    order = book.get(Order, name)
    if order.state == "none":
        return None
    return OrderStands(ordered=order.watts + totals_of(book).beyond(name))


def _elsewhere(book: Book) -> dict[str, System]:
    """The systems that stand under another deal by now, by name."""
    rows = book.rows(SYSTEMS)
    since = {f"system/{name}": gone.version for name, gone in rows.under(GONE).items()}
    if not since:
        return {}
    found = book.elsewhere(Registered, since)
    names = sorted(stream.partition("/")[2] for stream in found)
    rows.ahead(names)
    moved = map(rows.get, names)
    return {system.key: system for system in moved if isinstance(system, System)}


@watch(System, Group, Beyond, Gone)
def _moved(
    rows: Rows[Any], before: System | None, after: System, event: Event[Any]
) -> None:
    """Count a system where it stands now, and no longer where it stood."""
    if before is not None and before.state != "none":
        # Nothing else moves without one of these.
        if (
            before.state == after.state
            and before.outage == after.outage
            and before.rated_w == after.rated_w
        ):
            return
        _count(rows, before, -1)
        if before.state == "decommissioned":
            rows.drop(f"{GONE}/{after.key}")
    _count(rows, after, 1)
    if after.state == "decommissioned":
        rows.put(Gone(key=f"{GONE}/{after.key}", version=event.version))


def _group_of(system: System) -> str:
    # How far a system counts goes by its state, but for what came to its end.
    end = system.rung if system.state == "decommissioned" else ""
    return (
        f"{system.site}|{system.sku}|{system.sku_version}|"
        f"{system.state}|{system.outage or ''}|{end}"
    )


def _count(rows: Rows[Any], system: System, sign: int) -> None:
    if system.rated_w != system.of_line_w and system.beyond_w:
        _change(rows, BEYOND, system.order, sign * system.beyond_w)
    key = f"{GROUP}/{_group_of(system)}"
    group = rows.change(key)
    if group is None:
        group = Group(
            key=key,
            site=system.site,
            sku=system.sku,
            sku_version=system.sku_version,
            state=system.state,
            outage=system.outage,
            rung=system.rung,
        )
        rows.put(group)
    _add(group, system, sign)
    if not group.systems:
        rows.drop(key)


def _add(group: Group, system: System, sign: int) -> None:
    group.systems += sign
    group.gpu_packages += sign * system.gpu_packages
    group.gpu_dies += sign * system.gpu_dies
    group.watts += sign * system.rated_w


def _change(rows: Rows[Any], kind: str, name: str, watts: int) -> None:
    key = f"{kind}/{name}"
    found = rows.change(key)
    if found is None:
        found = Beyond(key=key)
        rows.put(found)
    found.watts += watts
    if not found.watts:
        rows.drop(key)


@watch(Order, Ordered, OnOrder)
def _reordered(
    rows: Rows[Any], before: Placed | None, after: Placed | None, _event: Event[Any]
) -> None:
    """Count an order as it stands now, and no longer as it stood."""
    if after is None:
        return
    totals = rows.change(f"{ORDERED}/all")
    if totals is None:
        totals = Ordered(key=f"{ORDERED}/all")
        rows.put(totals)
    for order, sign in ((before, -1), (after, 1)):
        if order is not None:
            totals.watts += sign * order.watts
            totals.systems += sign * order.systems
            totals.unallocated += sign * order.unallocated
    for line in after.lines if before is None else ():
        key = f"{ON_ORDER}/{line.sku}"
        rows.put(OnOrder(key=key, watts=line.rated.watts))


@FLEET.answer(FleetLine, SYSTEMS, ORDERS, key=("site", "sku", "sku_version", "state"))
def _fleet(book: Book) -> Drawn:
    totals = totals_of(book)
    alike: dict[tuple[str, str, int, str], list[Group]] = {}
    for group in totals.groups.values():
        key = (group.site, group.sku, group.sku_version, group.shown_state)
        alike.setdefault(key, []).append(group)
    lines = [
        FleetLine(
            site=site or NOWHERE,
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


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {"state": ("outage", "state")}
"""What a column of the list is made of: the first of these that is there."""


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
    book = reading.book(deal, FLEET)
    moved = totals_of(book).moved
    where: dict[tuple[str, ...], str | None] = {
        _FIELDS.get(name, (name,)): "" if (name, value) == ("site", NOWHERE) else value
        for name, value in given.items()
    }
    # What is only reported to be registered has no state.
    where.setdefault(("state",), None)
    between = (after or FIRST, LAST)
    current = reading.current(SYSTEMS, deal, where, between, limit, without=moved)
    if current is not None:
        with closing(current) as found:
            yield from map(system_line, found)
        return
    for row in book.rows(SYSTEMS):
        if isinstance(row, System) and row.state != "none" and row.key > between[0]:
            line = system_line(row)
            fits = all(getattr(line, name) == value for name, value in given.items())
            if fits and row.key not in moved:
                yield line
