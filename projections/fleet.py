"""Where is every system, by site, SKU and state, and how much power is that?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from ledger import delivery
from ledger.event import Event
from ledger.struct import Frozen
from projections.view import Book, Drawn, FoldRow, Rows, View

LADDER: Final = ("shipped", "received", "installed", "energised", "accepted")
ENTERED: Final[dict[type, str]] = {
    delivery.Shipped: "shipped",
    delivery.Received: "received",
    delivery.Installed: "installed",
    delivery.Energised: "energised",
    delivery.Rejected: "rejected",
    delivery.ReturnedToMaker: "returned",
    delivery.Replaced: "replaced",
    delivery.Decommissioned: "decommissioned",
}
# How far up the ladder a system that is out still counts: what went back was shipped.
COUNTS_TO: Final = {
    "allocated": "ordered",
    "rejected": "received",
    "returned": "shipped",
    "decommissioned": "shipped",
    "in_rma": "shipped",
    "quarantined": "energised",
}


class FleetRow(FoldRow):
    """A system, or a line of an order (`order/…`)."""

    kind: str
    order: str
    line: int
    sku: str
    sku_version: int
    watts: int
    gpu_packages: int = 0
    gpu_dies: int = 0
    quantity: int = 0
    state: str = "allocated"
    outage: str | None = None
    site: str = ""
    since: date | None = None


FLEET: Final = View(
    "fleet", 1, "Where is every system, and how much power is that?", FleetRow
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


def counted_to(row: FleetRow) -> str | None:
    """The highest rung at which a system counts; None where it counts nowhere."""
    state = row.outage or row.state
    if state == "replaced":
        return None
    return COUNTS_TO.get(state, state)


def rated_watts(rows: Iterable[FleetRow]) -> dict[str, int]:
    """Rated watts of systems and order lines at each rung, `ordered` to `accepted`.

    Of some of the rows it is their part of the whole: orders add up, and systems do.
    """
    rows = list(rows)
    watts = dict.fromkeys(("ordered", *LADDER), 0)
    left: dict[str, FleetRow] = {}
    for row in rows:
        if row.kind == "line":
            watts["ordered"] += row.quantity * row.watts
            left[f"{row.order}/{row.line}"] = row
    for row in rows:
        if row.kind != "system":
            continue
        top = counted_to(row)
        if top is None:
            continue
        line = left.get(f"{row.order}/{row.line}")
        if line is not None and top != "ordered":
            # An allocated system counts with its own watts, not the SKU's.
            watts["ordered"] += row.watts - line.watts
        for rung in LADDER[: LADDER.index(top) + 1] if top in LADDER else ():
            watts[rung] += row.watts
    return watts


def out_of_service(rows: Rows[FleetRow]) -> list[str]:
    """Systems that were delivered and are not in service now."""
    out = {"rejected", "returned", "decommissioned"}
    return [
        row.key
        for row in rows
        if row.kind == "system" and (row.outage or row.state in out)
    ]


@FLEET.on(delivery.OrderPlaced)
def _placed(rows: Rows[FleetRow], event: Event[delivery.OrderPlaced]) -> None:
    order = event.stream.rpartition("/")[2]
    for line in event.data.lines:
        rows.put(
            FleetRow(
                key=f"order/{order}/{line.line}",
                kind="line",
                order=order,
                line=line.line,
                sku=line.sku,
                sku_version=line.sku_version,
                watts=line.rated.watts,
                quantity=line.quantity,
                since=event.on,
            )
        )


@FLEET.on(delivery.OrderLineChanged)
def _changed(rows: Rows[FleetRow], event: Event[delivery.OrderLineChanged]) -> None:
    order = event.stream.rpartition("/")[2]
    row = rows.get(f"order/{order}/{event.data.line}")
    if row is not None:
        row.quantity = event.data.new
        rows.put(row)


@FLEET.on(delivery.OrderCancelled)
def _cancelled(rows: Rows[FleetRow], event: Event[Any]) -> None:
    order = event.stream.rpartition("/")[2]
    allocated = Counter(
        row.line
        for row in rows
        if row.kind == "system" and row.order == order and row.state != "replaced"
    )
    for row in list(rows):
        if row.kind == "line" and row.order == order:
            row.quantity = allocated[row.line]
            rows.put(row)


@FLEET.on(delivery.Registered)
def _registered(rows: Rows[FleetRow], event: Event[delivery.Registered]) -> None:
    data = event.data
    rows.put(
        FleetRow(
            key=event.stream.partition("/")[2],
            kind="system",
            order=data.order,
            line=data.line,
            sku=data.sku,
            sku_version=data.sku_version,
            watts=data.rated.watts,
            gpu_packages=data.gpu_packages,
            gpu_dies=data.gpu_dies,
            since=event.on,
        )
    )


@FLEET.on(
    *ENTERED,
    delivery.Accepted,
    delivery.Quarantined,
    delivery.SentToRma,
    delivery.ReturnedToService,
    delivery.Derated,
)
def _entered(rows: Rows[FleetRow], event: Event[Any]) -> None:
    row = rows.get(event.stream.partition("/")[2])
    if row is None:
        return
    match event.data:
        case delivery.Accepted(rated=rated):
            if not event.confirmed:
                return
            row.state = "accepted"
            row.watts = rated.watts
        case delivery.Quarantined():
            row.outage = "quarantined"
        case delivery.SentToRma():
            row.outage = "in_rma"
        case delivery.ReturnedToService():
            row.outage = None if event.confirmed else row.outage
        case delivery.Derated(new=new):
            row.watts = new.watts
        case delivery.Received(site=site):
            row.state = "received"
            row.site = site
        case data:
            row.state = ENTERED[type(data)]
            if row.state in {"rejected", "returned", "replaced", "decommissioned"}:
                row.outage = None
    row.since = event.on
    rows.put(row)


@FLEET.answer(FleetLine, key=("site", "sku", "sku_version", "state"))
def _fleet(book: Book) -> Drawn:
    groups: dict[tuple[str, str, int, str], list[FleetRow]] = {}
    for row in book.rows(FLEET):
        if row.kind == "system":
            state = row.outage or row.state
            group = (row.site, row.sku, row.sku_version, state)
            groups.setdefault(group, []).append(row)
    lines = [
        FleetLine(
            site=site or "-",
            sku=sku,
            sku_version=version,
            state=state,
            systems=len(systems),
            gpu_packages=sum(row.gpu_packages for row in systems),
            gpu_dies=sum(row.gpu_dies for row in systems),
            power=str(sum(row.watts for row in systems)),
            unit="W",
        )
        for (site, sku, version, state), systems in sorted(groups.items())
    ]
    ordered = sum(row.quantity for row in book.rows(FLEET) if row.kind == "line")
    systems = sum(line.systems for line in lines)
    return Drawn(lines, {"systems": systems, "ordered": ordered})
