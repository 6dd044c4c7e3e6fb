"""Orders, systems and certificates: every rung of the ladder of capacity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agreement import Agreement
from record import Entry
from sums import converted, watts_of

RUNGS = ("ordered", "shipped", "received", "installed", "energised", "accepted")
STEPS = {
    "shipped": 1,
    "received": 2,
    "installed": 3,
    "energised": 4,
    "accepted": 5,
}
ON_THE_WAY = ("allocated", *STEPS)
# How far up the ladder a system counts that is not in service (see README.md).
HIGHEST = {
    "quarantined": 4,
    "rejected": 2,
    "in_rma": 1,
    "returned": 1,
    "decommissioned": 1,
    "replaced": -1,
}
SET_ASIDE = {"quarantined": "quarantined", "sent_to_rma": "in_rma"}
GONE = {"rejected", "returned", "decommissioned", "replaced"}


@dataclass
class Line:
    """A line of an order."""

    quantity: int
    rated_w: int
    allocated: list[str] = field(default_factory=list)


@dataclass
class Order:
    """An order."""

    earner: str
    lines: dict[int, Line]
    state: str = "placed"


@dataclass
class System:
    """A rack, by its serial."""

    order: str
    line: int
    sku: str
    sku_version: int
    packages: int
    dies: int
    watts: int
    step: int = 0
    aside: str | None = None
    site: str | None = None
    carries: set[str] = field(default_factory=set)

    @property
    def state(self) -> str:
        """Where it is in its life, or why it is out of it."""
        return self.aside or ON_THE_WAY[self.step]

    @property
    def reach(self) -> int:
        """The highest rung that it counts on; -1 where it counts on none."""
        return min(self.step, HIGHEST[self.aside]) if self.aside else self.step

    @property
    def serves(self) -> bool:
        """Whether it is accepted and in service."""
        return self.state == "accepted"


@dataclass
class Certificate:
    """A capacity certificate."""

    systems: list[str]
    drafted_w: list[int]
    state: str = "drafted"
    issuer: str | None = None
    basis: str | None = None
    overhead: str | None = None
    pue: str | None = None
    certified_w: int = 0
    countersigned: list[str] = field(default_factory=list)
    since: str | None = None


@dataclass
class Capacity:
    """All that is ordered, built and certified."""

    orders: dict[str, Order] = field(default_factory=dict)
    systems: dict[str, System] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)


def take(state: Capacity, entry: Entry) -> None:
    """Take one entry of an order, a system or a certificate in."""
    noun, _, verb = entry.kind.partition(".")
    name = entry.stream.split("/", 1)[1]
    match noun:
        case "order":
            _order(state, name.split("/")[1], entry, verb)
        case "system":
            _system(state, name, entry.data, verb)
        case "certificate":
            _certificate(state, name.split("/")[1], entry, verb)


def _order(state: Capacity, name: str, entry: Entry, verb: str) -> None:
    data = entry.data
    if verb == "placed":
        lines = {
            line["line"]: Line(line["quantity"], watts_of(line["rated"]))
            for line in data["lines"]
        }
        earner = data.get("earning_party") or data["buyer"]
        state.orders[name] = Order(earner, lines)
        return
    order = state.orders.get(name)
    if order is None:
        return
    match verb:
        case "line_changed":
            order.lines[data["line"]].quantity = data["new"]
        case "serials_allocated":
            allocated = order.lines[data["line"]].allocated
            if data.get("replaces") in allocated:
                allocated.remove(data["replaces"])
            allocated += data["systems"]
        case "acknowledged" | "closed" | "cancelled":
            order.state = verb


def _system(state: Capacity, name: str, data: dict[str, Any], verb: str) -> None:
    if verb == "registered":
        state.systems[name] = System(
            order=data["order"],
            line=data["line"],
            sku=data["sku"],
            sku_version=data["sku_version"],
            packages=data["gpu_packages"],
            dies=data["gpu_dies"],
            watts=watts_of(data["rated"]),
        )
        return
    system = state.systems.get(name)
    if system is None:
        return
    if verb in STEPS:
        system.step = STEPS[verb]
    match verb:
        case "received":
            system.site = data["site"]
        case "accepted":
            system.watts = watts_of(data["rated"])
        case "derated":
            system.watts = watts_of(data["new"])
        case "quarantined" | "sent_to_rma":
            system.aside = SET_ASIDE[verb]
        case "returned_to_service":
            system.aside = None
        case "certified":
            system.carries.add(data["certificate"])
        case "decertified":
            system.carries.discard(data["certificate"])
        case _ if verb in GONE:
            system.aside = verb


def _certificate(state: Capacity, name: str, entry: Entry, verb: str) -> None:
    data = entry.data
    if verb == "drafted":
        state.certificates[name] = Certificate(
            systems=[one["system"] for one in data["systems"]],
            drafted_w=[watts_of(one["rated"]) for one in data["systems"]],
            since=entry.on,
        )
        return
    found = state.certificates.get(name)
    if found is None:
        return
    match verb:
        case "issued":
            found.state, found.issuer = "issued", data["issuer"]
            found.since = entry.on
            found.certified_w = watts_of(data["certified"])
            found.basis = data["basis"]
            found.overhead = data.get("overhead_ratio")
            found.pue = data.get("pue")
        case "countersigned":
            found.countersigned.append(data["party"])
        case "took_effect":
            found.state, found.since = "effective", entry.on
        case "revoked":
            found.state, found.since = "revoked", entry.on


def effective(state: Capacity) -> list[Certificate]:
    """The certificates that count."""
    return [one for one in state.certificates.values() if one.state == "effective"]


def certified_w(state: Capacity, agreement: Agreement) -> int:
    """What stands certified on the agreement's basis, converted once, on the total.

    By high water each certificate counts with what its systems were rated at when it was
    drafted; on the basis `current` those that are in service, at the rating they have.
    """
    current = agreement.terms.get("unlock_basis") == "current"
    rated = sum(
        _current_w(state, name, one) if current else sum(one.drafted_w)
        for name, one in state.certificates.items()
        if one.state == "effective"
    )
    return on_terms(rated, agreement)


def on_terms(watts: int, agreement: Agreement) -> int:
    """Watts of racks on the basis and by the ratios of the terms in force."""
    terms = agreement.terms
    ratios = (terms.get("overhead_ratio"), terms.get("pue"))
    return converted(watts, agreement.basis, *ratios)


def _current_w(state: Capacity, name: str, found: Certificate) -> int:
    systems = (state.systems.get(system) for system in found.systems)
    carrying = [one for one in systems if one is not None and name in one.carries]
    return sum(one.watts for one in carrying if one.serves)


def ordered_w(line: Line, order: Order, systems: dict[str, System]) -> int:
    """Rated watts of a line: those allocated as they stand, the others by their SKU."""
    found = [
        systems[name].watts if name in systems else line.rated_w
        for name in line.allocated
    ]
    left = 0 if order.state == "cancelled" else line.quantity - len(line.allocated)
    return sum(found) + left * line.rated_w


def rung_w(state: Capacity, rung: int) -> int:
    """Rated watts on a rung from `ordered` to `accepted`, before any conversion."""
    if not rung:
        return sum(
            ordered_w(line, order, state.systems)
            for order in state.orders.values()
            for line in order.lines.values()
        )
    systems = state.systems.values()
    return sum(system.watts for system in systems if system.reach >= rung)


def ladder(state: Capacity, agreement: Agreement) -> dict[str, int]:
    """Every rung of capacity, in watts on the agreement's basis."""
    terms = agreement.terms
    floor_w = watts_of(terms.get("capacity_floor") or "0 W")
    rungs = {"announced": watts_of(agreement.announced("capacity_floor") or "0 W")}
    rungs["committed"] = floor_w if agreement.binding else 0
    for at, rung in enumerate(RUNGS):
        rungs[rung] = on_terms(rung_w(state, at), agreement)
    rungs["certified"] = certified_w(state, agreement)
    return rungs


def purchased_w(state: Capacity, earning: list[str]) -> int:
    """Rated watts ordered by those who may earn a trigger; anybody where none is named."""
    return sum(
        quantity * line.rated_w
        for order in state.orders.values()
        if not earning or order.earner in earning
        for line in order.lines.values()
        for quantity in [
            len(line.allocated) if order.state == "cancelled" else line.quantity
        ]
    )
