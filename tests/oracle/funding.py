"""Facilities, tranches, drawdowns, equity: what may be drawn, and what was paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from record import Entry
from sums import minor_of, unit_of

WITHDRAWN = {"rejected", "withdrawn", "failed"}
RESERVED = {"approved", "instructed"}
"""A drawdown in these states is promised and not yet paid."""
DRAWN = {"drawdown_approved": "approved", "drawdown_rejected": "rejected"}
DRAWN |= {"drawdown_withdrawn": "withdrawn", "disbursement_instructed": "instructed"}
DRAWN |= {"disbursement_settled": "settled", "disbursement_failed": "failed"}


@dataclass
class Tranche:
    """A part of a facility."""

    facility: str
    number: int
    size: int
    trigger: dict[str, Any]
    formula: dict[str, Any]
    expires_on: str | None
    unlocked: int = 0
    ended: str | None = None
    given_back: int = 0

    def lapsed(self, day: str) -> bool:
        """Whether its last day for unlocking is over."""
        return self.expires_on is not None and self.expires_on < day


@dataclass
class Drawdown:
    """A request for money, and what became of it."""

    facility: str
    amount: int
    parts: list[tuple[str, int]]
    value_on: str
    step: str = "requested"
    returned: int = 0
    bank_ref: str | None = None

    @property
    def state(self) -> str:
        """The last step; returned where all of it came back."""
        if self.step == "settled" and self.returned == self.amount:
            return "returned"
        return self.step


@dataclass
class Facility:
    """Who funds whom, up to how much."""

    provider: str
    recipient: str
    instrument: str
    unit: str
    commitment: int
    available_from: str | None
    available_to: str | None
    in_sequence: bool
    closed: bool = False
    clawed_back: int = 0
    trued_up: int = 0
    waived: int = 0
    flagged: bool = False


@dataclass
class Share:
    """A share certificate."""

    drawdown: str
    quantity: int
    consideration: int
    cancelled: bool = False


@dataclass
class Funding:
    """All funding of a deal."""

    facilities: dict[str, Facility] = field(default_factory=dict)
    tranches: dict[str, Tranche] = field(default_factory=dict)
    drawdowns: dict[str, Drawdown] = field(default_factory=dict)
    equity: dict[str, Share] = field(default_factory=dict)
    demands: dict[str, tuple[str, int]] = field(default_factory=dict)
    lapsed: set[str] = field(default_factory=set)
    received: dict[str, int] = field(default_factory=dict)
    dangling: list[int] = field(default_factory=list)

    def of(self, facility: str) -> list[Drawdown]:
        """The drawdowns of a facility."""
        return [one for one in self.drawdowns.values() if one.facility == facility]

    def tranches_of(self, facility: str) -> dict[str, Tranche]:
        """The tranches of a facility, by number."""
        mine = [(n, t) for n, t in self.tranches.items() if t.facility == facility]
        return dict(sorted(mine, key=lambda one: one[1].number))

    def unlocked(self, facility: str) -> int:
        """What is unlocked of a facility, as its entries say."""
        return sum(one.unlocked for one in self.tranches_of(facility).values())

    def back(self, facility: str) -> int:
        """What came back of a facility's payments, true-ups to the recipient taken off."""
        returned = sum(one.returned for one in self.of(facility))
        found = self.facilities[facility]
        return returned + found.clawed_back - found.trued_up

    def paid(self, facility: str) -> int:
        """What was paid, net of what came back."""
        settled = [one.amount for one in self.of(facility) if one.step == "settled"]
        return sum(settled) - self.back(facility)

    def promised(self, facility: str) -> int:
        """What is approved and not paid yet."""
        return sum(one.amount for one in self.of(facility) if one.step in RESERVED)

    def asked(self, facility: str) -> int:
        """What is requested and neither approved nor refused."""
        waiting = (one for one in self.of(facility) if one.step == "requested")
        return sum(one.amount for one in waiting)

    def owed(self, clawback: str) -> int:
        """What of a demand is still to come; nothing once the excess was cured."""
        if clawback in self.lapsed or clawback not in self.demands:
            return 0
        return self.demands[clawback][1] - self.received.get(clawback, 0)

    def excess(self, facility: str) -> int:
        """What is paid above what is unlocked, less what was waived."""
        over = self.paid(facility) - self.unlocked(facility)
        return max(0, over - self.facilities[facility].waived)


def take(state: Funding, entry: Entry) -> None:
    """Take one entry of the funding in; a waiver never outlives its excess."""
    noun, _, verb = entry.kind.partition(".")
    if noun != "funding":
        return
    if _named(state, entry.data):
        _take(state, entry.data, verb)
    else:
        state.dangling.append(entry.position)
    for name, facility in state.facilities.items():
        over = max(0, state.paid(name) - state.unlocked(name))
        facility.waived = min(facility.waived, over)


def _named(state: Funding, data: dict[str, Any]) -> bool:
    """Whether all that an entry names is there, or is what the entry lays down."""
    tag = data["type"].partition(".")[2]
    kinds = {"facility": state.facilities, "tranche": state.tranches}
    kinds |= {"drawdown": state.drawdowns, "certificate_no": state.equity}
    new = {"facility_defined": "facility", "tranche_defined": "tranche"}
    new |= {"drawdown_requested": "drawdown", "equity_issued": "certificate_no"}
    asked = (kind for kind in kinds if kind in data and new.get(tag) != kind)
    return all(data[kind] in kinds[kind] for kind in asked)


def _take(state: Funding, data: dict[str, Any], verb: str) -> None:
    match verb:
        case "facility_defined":
            state.facilities[data["facility"]] = _facility(data)
        case "commitment_changed":
            state.facilities[data["facility"]].commitment = minor_of(data["new"])
        case "facility_closed":
            state.facilities[data["facility"]].closed = True
        case "drawdown_requested":
            parts = data["allocations"]
            state.drawdowns[data["drawdown"]] = Drawdown(
                facility=data["facility"],
                amount=minor_of(data["amount"]),
                parts=[(part["tranche"], minor_of(part["amount"])) for part in parts],
                value_on=data["value_on"],
            )
        case _ if verb in DRAWN:
            found = state.drawdowns[data["drawdown"]]
            found.step = DRAWN[verb]
            found.bank_ref = data.get("bank_ref", found.bank_ref)
        case _ if verb.startswith("tranche_"):
            _tranche(state, data, verb.removeprefix("tranche_"))
        case "equity_issued" | "equity_cancelled":
            _equity(state, data, verb)
        case _:
            _cure(state, data, verb)


def _facility(data: dict[str, Any]) -> Facility:
    return Facility(
        provider=data["provider"],
        recipient=data["recipient"],
        instrument=data["instrument"],
        unit=unit_of(data["commitment"]),
        commitment=minor_of(data["commitment"]),
        available_from=data.get("available_from"),
        available_to=data.get("available_to"),
        in_sequence=data.get("in_sequence", False),
    )


def _tranche(state: Funding, data: dict[str, Any], verb: str) -> None:
    if verb == "defined":
        state.tranches[data["tranche"]] = Tranche(
            facility=data["facility"],
            number=data["number"],
            size=minor_of(data["size"]),
            trigger=data["trigger"],
            formula=data["formula"],
            expires_on=data.get("expires_on"),
        )
        return
    found = state.tranches[data["tranche"]]
    if verb in {"expired", "cancelled"}:
        found.ended = verb
    else:
        found.unlocked = minor_of(data["cumulative"])


def _equity(state: Funding, data: dict[str, Any], verb: str) -> None:
    if verb == "equity_issued":
        state.equity[data["certificate_no"]] = Share(
            drawdown=data["drawdown"],
            quantity=minor_of(data["quantity"]),
            consideration=minor_of(data["consideration"]),
        )
    else:
        state.equity[data["certificate_no"]].cancelled = True


def _cure(state: Funding, data: dict[str, Any], verb: str) -> None:
    """Money that comes back, excess that is forgiven; a cure lets demands lapse."""
    match verb:
        case "disbursement_returned":
            found = state.drawdowns[data["drawdown"]]
            amount = minor_of(data["amount"])
            found.returned += amount
            _give_back(state, found.facility, amount, found.parts)
        case "overfunding_waived":
            state.facilities[data["facility"]].waived += minor_of(data["amount"])
        case "overfunding_declared":
            state.facilities[data["facility"]].flagged = True
        case "overfunding_cured":
            state.facilities[data["facility"]].flagged = False
            over = (n for n, d in state.demands.items() if d[0] == data["facility"])
            state.lapsed |= set(over)
        case "clawback_demanded":
            demand = (data["facility"], minor_of(data["amount"]))
            state.demands[data["clawback"]] = demand
        case "clawback_received":
            amount = minor_of(data["amount"])
            state.facilities[data["facility"]].clawed_back += amount
            before = state.received.get(data["clawback"], 0)
            state.received[data["clawback"]] = before + amount
            _give_back(state, data["facility"], amount, [])
        case "true_up_posted":
            to_recipient = data["direction"] == "to_recipient"
            amount = minor_of(data["amount"])
            found = state.facilities[data["facility"]]
            found.trued_up += amount if to_recipient else -amount
            if to_recipient:
                _lay_on(state, data["facility"], amount)
            else:
                _give_back(state, data["facility"], amount, [])


def paid_of(state: Funding, name: str) -> int:
    """What of a tranche is paid, less what was given back to it."""
    return _parts(state, name, {"settled"}) - state.tranches[name].given_back


def drawn(state: Funding, name: str) -> int:
    """What of a tranche is paid or promised, less what was given back to it."""
    promised = _parts(state, name, RESERVED)
    return promised + paid_of(state, name)


def _parts(state: Funding, name: str, steps: set[str]) -> int:
    return sum(
        amount
        for one in state.drawdowns.values()
        if one.step in steps
        for tranche, amount in one.parts
        if tranche == name
    )


def _lay_on(state: Funding, facility: str, amount: int) -> None:
    """Lay what was paid beside any drawdown on the tranches that have room, by number."""
    for name, tranche in state.tranches_of(facility).items():
        share = min(amount, max(0, tranche.unlocked - drawn(state, name)))
        tranche.given_back -= share
        amount -= share


def _give_back(
    state: Funding, facility: str, amount: int, parts: list[tuple[str, int]]
) -> None:
    """Lay money that came back to tranches, to each no more than was paid of it.

    Of a return the tranches of the drawdown come first, the last of its parts
    foremost; then those of which more is drawn than unlocked, that much; then all, the
    last by number first.
    """
    mine = state.tranches_of(facility)
    own = [(name, False) for name, _ in reversed(parts)]
    over = [(name, True) for name in reversed(mine)]
    rest = [(name, False) for name in reversed(mine)]
    for name, only_excess in [*own, *over, *rest]:
        tranche = mine[name]
        most = paid_of(state, name)
        if only_excess:
            most = min(most, drawn(state, name) - tranche.unlocked)
        share = min(amount, max(0, most))
        tranche.given_back += share
        amount -= share
