"""Funding: facilities, tranches, drawdowns, equity: all the money of one deal.

The cap rule (FND-01) is kept inside this one aggregate: paid (net) + approved but
unsettled ≤ unlocked ≤ commitment. Only a revocation may break it, and then the
facility is flagged overfunded until cured (FND-12).

What is drawn of each tranche adds up to what is paid and approved of its facility:
money that comes back without a drawdown's name (clawback, true-up) is given back to
tranches too, first to those drawn above what they have unlocked, last one first.
A waiver covers the excess that it was given for, and shrinks with it: it never covers
a later one.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.event import Aggregate, Event, EventData
from ledger.domain.provenance import Status, weakest
from ledger.domain.struct import Frozen
from ledger.domain.triggers import Formula, Input, Trigger, most
from ledger.domain.values import Amount, Id, Power, Price, Slug

Instrument = Literal["equity", "convertible", "loan", "warrant"]
DrawdownState = Literal[
    "requested",
    "approved",
    "instructed",
    "settled",
    "rejected",
    "withdrawn",
    "failed",
    "returned",
]
Direction = Literal["to_provider", "to_recipient"]

RESERVED: Final = frozenset({"approved", "instructed"})
PAID: Final = frozenset({"settled", "returned"})


class Allocation(Frozen):
    """So much of a drawdown taken from one tranche."""

    tranche: Id
    amount: Amount


class Pricing(Frozen):
    """How the equity of a tranche is priced; text where it cannot be computed yet."""

    rule: Literal["fixed_per_share", "fixed_pre_money", "latest_round", "by_condition"]
    price: Price | None = None
    pre_money: Amount | None = None
    text: str | None = None


class FacilityDefined(EventData, tag="funding.facility_defined"):
    """A provider undertook to fund a recipient up to a commitment."""

    facility: Id
    provider: Slug
    recipient: Slug
    instrument: Instrument
    commitment: Amount
    available_from: date | None = None
    available_to: date | None = None
    in_sequence: bool = False

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.facilities[self.facility] = Facility(self, event)


class TrancheDefined(EventData, tag="funding.tranche_defined"):
    """A tranche of a facility was laid down: its size, trigger and formula."""

    tranche: Id
    facility: Id
    number: int
    size: Amount
    trigger: Trigger
    formula: Formula
    expires_on: date | None = None
    pricing: Pricing | None = None

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.tranches[self.tranche] = Tranche(self, event)


class TrancheUnlocked(EventData, tag="funding.tranche_unlocked"):
    """A tranche, or more of it, was unlocked; its inputs are recorded here.

    `amount` is what this unlock adds, `cumulative` the tranche's total after it:
    the formula on `certified`, clamped to `size`.
    """

    tranche: Id
    facility: Id
    amount: Amount
    cumulative: Amount
    size: Amount
    certified: Power
    formula: Formula
    inputs: tuple[Input, ...]
    terms_version: int

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        tranche = funding.tranches.get(self.tranche)
        if tranche and event.confirmed:
            tranche.unlocked = self.cumulative
            tranche.unlocked_certified = self.certified
            tranche.unlocked_on = event.on
            tranche.unlocked_ref = event.ref
            tranche.moved_on = event.on
            tranche.inputs = self.inputs
            funding.shrink_waiver(self.facility)


class TrancheRelocked(EventData, tag="funding.tranche_relocked"):
    """Part of a tranche was locked again, because what unlocked it fell away."""

    tranche: Id
    facility: Id
    amount: Amount
    cumulative: Amount
    size: Amount
    certified: Power
    formula: Formula
    inputs: tuple[Input, ...]
    terms_version: int

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        tranche = funding.tranches.get(self.tranche)
        if tranche and event.confirmed:
            tranche.unlocked = self.cumulative
            tranche.unlocked_certified = self.certified
            tranche.size = self.size
            tranche.moved_on = event.on
            # An amendment re-locks on its own authority, not on new inputs.
            tranche.inputs = self.inputs or tranche.inputs


class TrancheExpired(EventData, tag="funding.tranche_expired"):
    """A tranche expired; what of it was still locked can no longer be unlocked."""

    tranche: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.end_tranche(self.tranche, "expired", event)


class TrancheCancelled(EventData, tag="funding.tranche_cancelled"):
    """A tranche was cancelled before it was unlocked in full."""

    tranche: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.end_tranche(self.tranche, "cancelled", event)


class CommitmentChanged(EventData, tag="funding.commitment_changed"):
    """The commitment of a facility was changed, by amendment or by a condition."""

    facility: Id
    old: Amount
    new: Amount
    cause: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.facilities.get(self.facility)
        if facility and event.confirmed:
            facility.commitment = self.new


class DrawdownRequested(EventData, tag="funding.drawdown_requested"):
    """The recipient asked for money out of unlocked tranches."""

    drawdown: Id
    facility: Id
    amount: Amount
    allocations: tuple[Allocation, ...]
    value_on: date

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.drawdowns[self.drawdown] = Drawdown(self, event)


class DrawdownApproved(EventData, tag="funding.drawdown_approved"):
    """The provider approved a drawdown."""

    drawdown: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "approved", event)


class DrawdownRejected(EventData, tag="funding.drawdown_rejected"):
    """The provider refused a drawdown."""

    drawdown: Id
    ground: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "rejected", event)


class DrawdownWithdrawn(EventData, tag="funding.drawdown_withdrawn"):
    """The recipient took a drawdown back before payment was instructed."""

    drawdown: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "withdrawn", event)


class DisbursementInstructed(EventData, tag="funding.disbursement_instructed"):
    """The bank was told to pay an approved drawdown."""

    drawdown: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "instructed", event)


class DisbursementSettled(EventData, tag="funding.disbursement_settled"):
    """The money arrived, under the bank's reference."""

    drawdown: Id
    amount: Amount
    value_on: date
    bank_ref: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "settled", event)
        funding.bank_refs[self.bank_ref] = event.ref


class DisbursementFailed(EventData, tag="funding.disbursement_failed"):
    """The bank did not carry out the payment."""

    drawdown: Id
    ground: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.move(self.drawdown, "failed", event)


class DisbursementReturned(EventData, tag="funding.disbursement_returned"):
    """Money that had been paid came back, wholly or in part."""

    drawdown: Id
    amount: Amount
    bank_ref: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        drawdown = funding.drawdowns.get(self.drawdown)
        if drawdown:
            drawdown.returned = drawdown.returned + self.amount
            if drawdown.returned >= drawdown.amount:
                funding.move(self.drawdown, "returned", event)
            funding.rebalance(drawdown.asked.facility)
            funding.shrink_waiver(drawdown.asked.facility)
        funding.bank_refs[self.bank_ref] = event.ref


class EquityIssued(EventData, tag="funding.equity_issued"):
    """The recipient issued equity for a payment that had settled."""

    certificate_no: Id
    drawdown: Id
    share_class: str
    quantity: Amount
    price: Price
    consideration: Amount
    pre_money: Amount | None = None

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.equity[self.certificate_no] = Equity(
            self.drawdown, self.quantity, self.consideration, event.on
        )


class EquityCancelled(EventData, tag="funding.equity_cancelled"):
    """Equity that had been issued was cancelled."""

    certificate_no: Id
    ground: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        equity = funding.equity.get(self.certificate_no)
        if equity:
            equity.cancelled = True


class OverfundingDeclared(EventData, tag="funding.overfunding_declared"):
    """What was paid exceeds what is unlocked; new draws are blocked until cured."""

    facility: Id
    paid: Amount
    unlocked: Amount
    excess: Amount

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.facilities.get(self.facility)
        if facility:
            facility.overfunded_since = facility.overfunded_since or event.on


class OverfundingCured(EventData, tag="funding.overfunding_cured"):
    """What was paid is within what is unlocked again, or the excess was waived."""

    facility: Id
    cause: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.facilities.get(self.facility)
        if facility:
            facility.overfunded_since = None


class OverfundingWaived(EventData, tag="funding.overfunding_waived"):
    """The provider waived an excess of payment over what is unlocked."""

    facility: Id
    amount: Amount

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.facilities.get(self.facility)
        if facility and event.confirmed:
            facility.waived = facility.waived + self.amount


class ClawbackDemanded(EventData, tag="funding.clawback_demanded"):
    """The provider demanded an excess back."""

    clawback: Id
    facility: Id
    amount: Amount
    due_on: date | None = None

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.clawbacks[self.clawback] = Clawback(
            self.facility, self.amount, event.on
        )


class ClawbackReceived(EventData, tag="funding.clawback_received"):
    """Money demanded back was received."""

    clawback: Id
    facility: Id
    amount: Amount
    bank_ref: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        clawback = funding.clawbacks.get(self.clawback)
        if clawback:
            funding.give_back(self.facility, self.amount)
            clawback.received = clawback.received + self.amount
            funding.shrink_waiver(self.facility)
        funding.bank_refs[self.bank_ref] = event.ref


class TrueUpPosted(EventData, tag="funding.true_up_posted"):
    """A difference found afterwards was settled between the parties."""

    true_up: Id
    facility: Id
    direction: Direction
    amount: Amount
    bank_ref: str
    text: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        if self.direction == "to_provider":
            funding.give_back(self.facility, self.amount)
        else:
            funding.take_more(self.facility, self.amount)
        funding.true_ups[self.true_up] = (self.facility, self.direction, self.amount)
        funding.shrink_waiver(self.facility)
        funding.bank_refs[self.bank_ref] = event.ref


class FacilityClosed(EventData, tag="funding.facility_closed"):
    """A facility was closed; what was not drawn is cancelled."""

    facility: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.facilities.get(self.facility)
        if facility and event.confirmed:
            facility.closed_on = event.on


class Facility:
    """A facility as it stands."""

    def __init__(self, defined: FacilityDefined, event: Event[Any]) -> None:
        self.defined = defined
        self.status = event.provenance.status
        self.defined_on = event.on
        self.commitment = defined.commitment
        self.waived = Amount.zero(defined.commitment.unit)
        self.overfunded_since: date | None = None
        self.closed_on: date | None = None

    @property
    def unit(self) -> str:
        """The facility's one currency, or `shares`."""
        return self.commitment.unit

    @property
    def confirmed(self) -> bool:
        """Whether its definition is a confirmed fact, and so may move money."""
        return self.status == "confirmed"


class Tranche:
    """A tranche as it stands."""

    def __init__(self, defined: TrancheDefined, event: Event[Any]) -> None:
        self.defined = defined
        self.status = event.provenance.status
        self.defined_on = event.on
        self.size = defined.size
        self.given_back = Amount.zero(defined.size.unit)
        self.inputs: tuple[Input, ...] = ()
        self.moved_on: date | None = None
        self.unlocked = Amount.zero(defined.size.unit)
        self.unlocked_certified = Power(0)
        self.unlocked_on: date | None = None
        self.unlocked_ref = ""
        self.ended: Literal["expired", "cancelled"] | None = None
        self.ended_on: date | None = None

    @property
    def confirmed(self) -> bool:
        """Whether its definition is a confirmed fact, and so may move money."""
        return self.status == "confirmed"

    @property
    def reserved(self) -> Amount:
        """How much of the commitment it takes up: once ended, what it unlocked."""
        return self.unlocked if self.ended else self.size

    @property
    def full(self) -> bool:
        """Whether all that it can ever unlock is unlocked."""
        return self.unlocked >= most(self.defined.formula, self.size)


class Drawdown:
    """A drawdown as it stands, with who did what."""

    def __init__(self, asked: DrawdownRequested, event: Event[Any]) -> None:
        self.asked = asked
        self.amount = asked.amount
        self.state: DrawdownState = "requested"
        self.status: Status = event.provenance.status
        self.by: dict[DrawdownState, str] = {"requested": event.provenance.actor}
        self.on: dict[DrawdownState, date] = {"requested": event.on}
        self.returned = Amount.zero(asked.amount.unit)

    @property
    def last_on(self) -> date:
        """The day of its latest step."""
        return max(self.on.values())

    def of(self, tranche: str) -> Amount:
        """What it holds of a tranche; what was returned goes off its last part first."""
        held, back = Amount.zero(self.amount.unit), self.returned
        for part in reversed(self.asked.allocations):
            gone = min(part.amount, back)
            back = back - gone
            if part.tranche == tranche:
                held = held + part.amount - gone
        return held


class Equity:
    """Equity issued for a drawdown."""

    def __init__(
        self, drawdown: str, quantity: Amount, consideration: Amount, issued_on: date
    ) -> None:
        self.drawdown = drawdown
        self.quantity = quantity
        self.consideration = consideration
        self.issued_on = issued_on
        self.cancelled = False


class Clawback:
    """A clawback as it stands."""

    def __init__(self, facility: str, amount: Amount, demanded_on: date) -> None:
        self.facility = facility
        self.amount = amount
        self.demanded_on = demanded_on
        self.received = Amount.zero(amount.unit)


class Funding(Aggregate):
    """All funding of one deal. Stream `funding/DEAL`."""

    kind = "funding"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.facilities: dict[str, Facility] = {}
        self.tranches: dict[str, Tranche] = {}
        self.drawdowns: dict[str, Drawdown] = {}
        self.equity: dict[str, Equity] = {}
        self.clawbacks: dict[str, Clawback] = {}
        self.true_ups: dict[str, tuple[str, Direction, Amount]] = {}
        self.bank_refs: dict[str, str] = {}

    def tranches_of(self, facility: str) -> list[Tranche]:
        """The tranches of a facility, by number."""
        mine = [t for t in self.tranches.values() if t.defined.facility == facility]
        return sorted(mine, key=lambda tranche: tranche.defined.number)

    def _sum(self, facility: str, amounts: list[Amount]) -> Amount:
        return sum(amounts, start=Amount.zero(self.facilities[facility].unit))

    def unlocked(self, facility: str) -> Amount:
        """What is unlocked in a facility now."""
        return self._sum(facility, [t.unlocked for t in self.tranches_of(facility)])

    def _drawn(self, facility: str, states: frozenset[str]) -> Amount:
        return self._sum(
            facility,
            [
                d.amount
                for d in self.drawdowns.values()
                if d.asked.facility == facility and d.state in states
            ],
        )

    def approved_unsettled(self, facility: str) -> Amount:
        """What is approved or instructed, and not yet paid."""
        return self._drawn(facility, RESERVED)

    def paid(self, facility: str) -> Amount:
        """What was paid, net of returns, clawback and true-ups."""
        paid = self._drawn(facility, PAID)
        for drawdown in self.drawdowns.values():
            if drawdown.asked.facility == facility:
                paid = paid - drawdown.returned
        for clawback in self.clawbacks.values():
            if clawback.facility == facility:
                paid = paid - clawback.received
        for of, direction, amount in self.true_ups.values():
            if of == facility:
                paid = paid + amount if direction == "to_recipient" else paid - amount
        return paid

    def excess(self, facility: str) -> Amount:
        """By how much what was paid exceeds what is unlocked or waived; never below 0."""
        state = self.facilities[facility]
        covered = self.unlocked(facility) + state.waived
        paid = self.paid(facility)
        return paid - covered if paid > covered else Amount.zero(state.unit)

    def available(self, facility: str) -> Amount:
        """What may still be requested: unlocked − paid − approved; never below 0."""
        used = self.used(facility)
        unlocked = self.unlocked(facility)
        if self.facilities[facility].closed_on is not None:
            return Amount.zero(used.unit)
        return unlocked - used if unlocked > used else Amount.zero(used.unit)

    def used(self, facility: str) -> Amount:
        """What is paid (net), or approved and not yet paid."""
        return self.paid(facility) + self.approved_unsettled(facility)

    def engaged(self, facility: str) -> Amount:
        """What it takes up of the funding cap: once closed, only what was paid."""
        state = self.facilities[facility]
        return state.commitment if state.closed_on is None else self.paid(facility)

    def reserved(self, facility: str, *, confirmed: bool) -> Amount:
        """What its tranches take up of the commitment; reported ones apart."""
        mine = [t for t in self.tranches_of(facility) if t.confirmed == confirmed]
        return self._sum(facility, [tranche.reserved for tranche in mine])

    def drawn(self, tranche: str) -> Amount:
        """What is approved or paid of a tranche, less what came back to it."""
        return self._held(tranche, RESERVED | PAID) - self.tranches[tranche].given_back

    def paid_of(self, tranche: str) -> Amount:
        """What is paid of a tranche, less what came back to it."""
        return self._held(tranche, PAID) - self.tranches[tranche].given_back

    def _held(self, tranche: str, states: frozenset[str]) -> Amount:
        zero = Amount.zero(self.tranches[tranche].size.unit)
        held = [d.of(tranche) for d in self.drawdowns.values() if d.state in states]
        return sum(held, start=zero)

    def give_back(self, facility: str, amount: Amount) -> None:
        """Give paid money back to tranches: the overdrawn first, the last one first."""
        tranches = self.tranches_of(facility)[::-1]
        for only_overdrawn in (True, False):
            for tranche in tranches:
                name = tranche.defined.tranche
                part = min(amount, self.paid_of(name))
                if only_overdrawn:
                    part = min(part, self.drawn(name) - tranche.unlocked)
                if part > Amount.zero(amount.unit):
                    tranche.given_back = tranche.given_back + part
                    amount = amount - part

    def take_more(self, facility: str, amount: Amount) -> None:
        """Take money paid without a drawdown out of the tranches that have room."""
        for tranche in self.tranches_of(facility):
            part = min(amount, tranche.unlocked - self.drawn(tranche.defined.tranche))
            if part > Amount.zero(amount.unit):
                tranche.given_back = tranche.given_back - part
                amount = amount - part

    def rebalance(self, facility: str) -> None:
        """Let no tranche have more back than was paid of it, where others have less."""
        for tranche in self.tranches_of(facility):
            paid = self.paid_of(tranche.defined.tranche)
            zero = Amount.zero(paid.unit)
            if paid < zero:
                tranche.given_back = tranche.given_back + paid
                self.give_back(facility, zero - paid)

    def shrink_waiver(self, facility: str) -> None:
        """Let go of what a waiver covered and is covered by unlocked money again."""
        state = self.facilities.get(facility)
        if state:
            over = self.paid(facility) - self.unlocked(facility)
            zero = Amount.zero(state.unit)
            state.waived = max(zero, min(state.waived, over))

    def end_tranche(
        self, name: str, how: Literal["expired", "cancelled"], event: Event[Any]
    ) -> None:
        """End a tranche, where the fact is confirmed."""
        tranche = self.tranches.get(name)
        if tranche and event.confirmed:
            tranche.ended = how
            tranche.ended_on = event.on

    def move(self, name: str, state: DrawdownState, event: Event[Any]) -> None:
        """Move a drawdown to its next state."""
        drawdown = self.drawdowns.get(name)
        if drawdown:
            drawdown.state = state
            drawdown.status = weakest(drawdown.status, event.provenance.status)
            drawdown.by[state] = event.provenance.actor
            drawdown.on[state] = event.on


EVENTS: Final = (
    FacilityDefined,
    TrancheDefined,
    TrancheUnlocked,
    TrancheRelocked,
    TrancheExpired,
    TrancheCancelled,
    CommitmentChanged,
    DrawdownRequested,
    DrawdownApproved,
    DrawdownRejected,
    DrawdownWithdrawn,
    DisbursementInstructed,
    DisbursementSettled,
    DisbursementFailed,
    DisbursementReturned,
    EquityIssued,
    EquityCancelled,
    OverfundingDeclared,
    OverfundingCured,
    OverfundingWaived,
    ClawbackDemanded,
    ClawbackReceived,
    TrueUpPosted,
    FacilityClosed,
)
