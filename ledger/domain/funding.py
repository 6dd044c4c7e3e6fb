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

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, TypeVar

import msgspec

from ledger.domain.aggregate import Parted
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from ledger.domain.triggers import Formula, Input, Trigger, most, paid_for
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

UNDER_WAY: Final = frozenset({"requested", "approved", "instructed"})
PAID: Final = frozenset({"settled", "returned"})
_APPROVED: Final = 2
_PAID: Final = 3


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
        funding.parts.put(Facility.of(self, event))


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
        funding.parts.put(Tranche.of(self, event))


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
        tranche = funding.change(Tranche, self.tranche)
        if tranche:
            funding.count_unlocked(tranche, self.cumulative)
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
        tranche = funding.change(Tranche, self.tranche)
        if tranche:
            funding.count_unlocked(tranche, self.cumulative)
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
        facility = funding.change(Facility, self.facility)
        if facility:
            facility.commitment = self.new


class DrawdownRequested(EventData, tag="funding.drawdown_requested"):
    """The recipient asked for money out of unlocked tranches."""

    drawdown: Id
    facility: Id
    amount: Amount
    allocations: tuple[Allocation, ...]
    value_on: date

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.ask(Drawdown.of(self, event))


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
        funding.note_payment(self.bank_ref, event)


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
        drawdown = funding.change(Drawdown, self.drawdown)
        if drawdown:
            funding.give_back_of(drawdown, self.amount)
            if drawdown.returned >= drawdown.amount:
                funding.move(self.drawdown, "returned", event)
            funding.rebalance(drawdown.asked.facility)
            funding.shrink_waiver(drawdown.asked.facility)
        funding.note_payment(self.bank_ref, event)


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
        funding.issue(
            Equity(
                key=f"equity/{self.certificate_no}",
                drawdown=self.drawdown,
                share_class=self.share_class,
                quantity=self.quantity,
                price=self.price,
                consideration=self.consideration,
                issued_on=event.on,
                pre_money=self.pre_money,
                status=event.provenance.status,
            )
        )


class EquityCancelled(EventData, tag="funding.equity_cancelled"):
    """Equity that had been issued was cancelled."""

    certificate_no: Id
    ground: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        equity = funding.change(Equity, self.certificate_no)
        if equity and equity.cancelled_on is None:
            equity.cancelled_on = event.on
            funding.consider(equity, -1)


class OverfundingDeclared(EventData, tag="funding.overfunding_declared"):
    """What was paid exceeds what is unlocked; new draws are blocked until cured."""

    facility: Id
    paid: Amount
    unlocked: Amount
    excess: Amount

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.change(Facility, self.facility)
        if facility:
            facility.overfunded_since = facility.overfunded_since or event.on


class OverfundingCured(EventData, tag="funding.overfunding_cured"):
    """What was paid is within what is unlocked again, or the excess was waived."""

    facility: Id
    cause: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.change(Facility, self.facility)
        if facility:
            facility.overfunded_since = None
            funding.let_demands_lapse(facility)


class OverfundingWaived(EventData, tag="funding.overfunding_waived"):
    """The provider waived an excess of payment over what is unlocked."""

    facility: Id
    amount: Amount

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.change(Facility, self.facility)
        if facility:
            facility.waived = facility.waived + self.amount


class ClawbackDemanded(EventData, tag="funding.clawback_demanded"):
    """The provider demanded an excess back."""

    clawback: Id
    facility: Id
    amount: Amount
    due_on: date | None = None

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        funding.demand(
            Clawback(
                key=f"clawback/{self.clawback}",
                facility=self.facility,
                amount=self.amount,
                demanded_on=event.on,
                due_on=self.due_on,
                received=Amount.zero(self.amount.unit),
            )
        )


class ClawbackReceived(EventData, tag="funding.clawback_received"):
    """Money demanded back was received."""

    clawback: Id
    facility: Id
    amount: Amount
    bank_ref: str

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        clawback = funding.change(Clawback, self.clawback)
        if clawback:
            funding.give_back(self.facility, self.amount)
            funding.receive(clawback, self.amount)
            funding.shrink_waiver(self.facility)
        funding.note_payment(self.bank_ref, event)


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
            funding.pay(self.facility, self.amount, -1)
        else:
            funding.take_more(self.facility, self.amount)
            funding.pay(self.facility, self.amount, 1)
        funding.parts.put(
            TrueUp(
                key=f"true-up/{self.true_up}",
                facility=self.facility,
                direction=self.direction,
                amount=self.amount,
            )
        )
        funding.shrink_waiver(self.facility)
        funding.note_payment(self.bank_ref, event)


class FacilityClosed(EventData, tag="funding.facility_closed"):
    """A facility was closed; what was not drawn is cancelled."""

    facility: Id

    def apply(self, funding: Funding, event: Event[Any]) -> None:
        facility = funding.change(Facility, self.facility)
        if facility:
            facility.closed_on = event.on


class Facility(Part, tag="facility"):
    """A facility as it stands; what its other parts add up to is its `Total`."""

    defined: FacilityDefined
    status: Status
    defined_on: date
    commitment: Amount
    waived: Amount
    overfunded_since: date | None = None
    closed_on: date | None = None
    cures: int = 0

    @classmethod
    def of(cls, defined: FacilityDefined, event: Event[Any]) -> Facility:
        """A facility as it was defined."""
        return cls(
            key=f"facility/{defined.facility}",
            defined=defined,
            status=event.provenance.status,
            defined_on=event.on,
            commitment=defined.commitment,
            waived=Amount.zero(defined.commitment.unit),
        )

    @property
    def unit(self) -> str:
        """The facility's one currency, or `shares`."""
        return self.commitment.unit

    @property
    def confirmed(self) -> bool:
        """Whether its definition is a confirmed fact, and so may move money."""
        return self.status == "confirmed"


class Total(Part, tag="total"):
    """What a facility's tranches, drawdowns, equity and clawbacks add up to.

    `asked` and `paid` are net of what came back; `approved` is not paid yet; `demanded`
    is not received yet; `considered` is what standing equity was issued for.
    """

    unlocked: Amount
    asked: Amount
    approved: Amount
    paid: Amount
    clawed_back: Amount
    demanded: Amount
    considered: Amount
    under_way: int = 0
    drawn_on: date | None = None


class Tranche(Part, tag="tranche"):
    """A tranche as it stands; what is drawn of it is its `Held`."""

    defined: TrancheDefined
    status: Status
    defined_on: date
    size: Amount
    unlocked: Amount
    unlocked_certified: Power = Power(0)
    unlocked_on: date | None = None
    unlocked_ref: str = ""
    moved_on: date | None = None
    inputs: tuple[Input, ...] = ()
    ended: Literal["expired", "cancelled"] | None = None
    ended_on: date | None = None

    @classmethod
    def of(cls, defined: TrancheDefined, event: Event[Any]) -> Tranche:
        """A tranche as it was defined."""
        return cls(
            key=f"tranche/{defined.tranche}",
            defined=defined,
            status=event.provenance.status,
            defined_on=event.on,
            size=defined.size,
            unlocked=Amount.zero(defined.size.unit),
        )

    @property
    def confirmed(self) -> bool:
        """Whether its definition is a confirmed fact, and so may move money."""
        return self.status == "confirmed"

    def over(self, on: date) -> bool:
        """Whether it can unlock no more by a day: it has ended, or its day is past."""
        lapses = self.defined.expires_on
        return self.ended is not None or (lapses is not None and on > lapses)

    def reserved(self, on: date) -> Amount:
        """How much of the commitment it takes up: once over, what it unlocked."""
        return self.unlocked if self.over(on) else self.size

    @property
    def full(self) -> bool:
        """Whether all that it can ever unlock is unlocked."""
        return self.unlocked >= most(self.defined.formula, self.size)


class Held(Part, tag="held"):
    """What drawdowns hold of a tranche: approved or paid, and of that, paid.

    `given_back` came back without a drawdown's name, and is no longer held.
    """

    drawn: Amount
    paid: Amount
    given_back: Amount


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step of a drawdown: who took it, and on what day."""

    state: DrawdownState
    actor: str
    on: date


class Drawdown(Part, tag="drawdown"):
    """A drawdown as it stands, with who did what."""

    asked: DrawdownRequested
    status: Status
    steps: tuple[Done, ...]
    returned: Amount
    considered: Amount
    state: DrawdownState = "requested"

    @classmethod
    def of(cls, asked: DrawdownRequested, event: Event[Any]) -> Drawdown:
        """A drawdown as it was requested."""
        zero = Amount.zero(asked.amount.unit)
        return cls(
            key=f"drawdown/{asked.drawdown}",
            asked=asked,
            status=event.provenance.status,
            steps=(_done("requested", event),),
            returned=zero,
            considered=zero,
        )

    @property
    def amount(self) -> Amount:
        """How much was asked for."""
        return self.asked.amount

    @property
    def by(self) -> dict[DrawdownState, str]:
        """Who took each step."""
        return {step.state: step.actor for step in self.steps}

    @property
    def on(self) -> dict[DrawdownState, date]:
        """The day of each step."""
        return {step.state: step.on for step in self.steps}

    @property
    def last_on(self) -> date:
        """The day of its latest step."""
        return max(step.on for step in self.steps)

    @property
    def rung(self) -> int:
        """How far it came: 0 nowhere, 1 asked, 2 approved, 3 paid."""
        return _RUNGS.get(self.state, 0)

    def of_tranche(self, tranche: str) -> Amount:
        """What it holds of a tranche; what was returned goes off its last part first."""
        held, back = Amount.zero(self.amount.unit), self.returned
        for part in reversed(self.asked.allocations):
            gone = min(part.amount, back)
            back = back - gone
            if part.tranche == tranche:
                held = held + part.amount - gone
        return held


class Equity(Part, tag="equity"):
    """Equity issued for a drawdown."""

    drawdown: str
    share_class: str
    quantity: Amount
    price: Price
    consideration: Amount
    issued_on: date
    status: Status
    pre_money: Amount | None = None
    cancelled_on: date | None = None

    @property
    def cancelled(self) -> bool:
        """Whether it stands no more."""
        return self.cancelled_on is not None


class Clawback(Part, tag="clawback"):
    """A clawback as it stands; `cures` are its facility's when it was demanded.

    A demand is for an excess: once that is cured, nothing of it is outstanding.
    """

    facility: str
    amount: Amount
    demanded_on: date
    received: Amount
    due_on: date | None = None
    cures: int = 0


class TrueUp(Part, tag="true-up"):
    """A difference that was settled."""

    facility: str
    direction: Direction
    amount: Amount


class Payment(Part, tag="bank"):
    """A payment by the bank's reference, which stands for it alone."""

    bank_ref: str
    ref: str


_RUNGS: Final = {
    "requested": 1,
    "approved": 2,
    "instructed": 2,
    "settled": 3,
    "returned": 3,
}


def _done(state: DrawdownState, event: Event[Any]) -> Done:
    return Done(state, event.provenance.actor, event.on)


def _bank_key(ref: str) -> str:
    """The key under which spellings of one bank reference are the same."""
    return f"bank/{ref.strip().casefold()}"


P = TypeVar("P", bound=Part)


class Funding(Parted):
    """All funding of one deal. Stream `funding/DEAL`."""

    __slots__ = ()
    kind = "funding"

    @property
    def facilities(self) -> Mapping[str, Facility]:
        """The facilities by name."""
        return self.parts.under("facility")

    @property
    def tranches(self) -> Mapping[str, Tranche]:
        """The tranches by name."""
        return self.parts.under("tranche")

    @property
    def drawdowns(self) -> Mapping[str, Drawdown]:
        """The drawdowns by name; there may be very many."""
        return self.parts.under("drawdown")

    @property
    def equity(self) -> Mapping[str, Equity]:
        """The equity issued, by the number of its certificate."""
        return self.parts.under("equity")

    @property
    def clawbacks(self) -> Mapping[str, Clawback]:
        """The clawbacks by name."""
        return self.parts.under("clawback")

    def every(self, kind: type[P]) -> Mapping[str, P]:
        """Every part of a kind by its name; of drawdowns there may be very many."""
        return self.parts.under(_tag(kind))

    def find(self, kind: type[P], name: str) -> P | None:
        """One part by its name, only to look at."""
        found: P | None = self.parts.get(f"{_tag(kind)}/{name}")
        return found

    def change(self, kind: type[P], name: str) -> P | None:
        """One part by its name, to be changed."""
        found: P | None = self.parts.change(f"{_tag(kind)}/{name}")
        return found

    def payment(self, bank_ref: str) -> Payment | None:
        """The payment that a bank's reference stands for, however it is spelt."""
        found: Payment | None = self.parts.get(_bank_key(bank_ref))
        return found

    def tranches_of(self, facility: str) -> list[Tranche]:
        """The tranches of a facility, by number."""
        mine = [t for t in self.tranches.values() if t.defined.facility == facility]
        return sorted(mine, key=lambda tranche: tranche.defined.number)

    def spent_w(self, tranche: Tranche) -> int:
        """The certified watts for which its facility paid others of its kind (FND-05).

        A block is paid for once by steps, a share of capacity once in proportion; that
        a tranche of the one kind and one of the other look at the same watts is agreed.
        """
        kind = type(tranche.defined.formula)
        return sum(
            paid_for(other.defined.formula, other.unlocked)
            for other in self.tranches_of(tranche.defined.facility)
            if other.key != tranche.key and type(other.defined.formula) is kind
        )

    def total(self, facility: str) -> Total:
        """What the facility's other parts add up to."""
        found = self.find(Total, facility)
        return found or _nothing(facility, self._facility(facility).unit)

    def unlocked(self, facility: str) -> Amount:
        """What is unlocked in a facility now."""
        return self.total(facility).unlocked

    def approved_unsettled(self, facility: str) -> Amount:
        """What is approved or instructed, and not yet paid."""
        return self.total(facility).approved

    def paid(self, facility: str) -> Amount:
        """What was paid, net of returns, clawback and true-ups."""
        return self.total(facility).paid

    def excess(self, facility: str) -> Amount:
        """By how much what was paid exceeds what is unlocked or waived; never below 0."""
        total = self.total(facility)
        return _above(total.paid, total.unlocked + self._facility(facility).waived)

    def available(self, facility: str) -> Amount:
        """What may still be requested: unlocked − paid − approved; never below 0."""
        total = self.total(facility)
        if self._facility(facility).closed_on is not None:
            return Amount.zero(total.paid.unit)
        return _above(total.unlocked, total.paid + total.approved)

    def used(self, facility: str) -> Amount:
        """What is paid (net), or approved and not yet paid."""
        total = self.total(facility)
        return total.paid + total.approved

    def engaged(self, facility: str) -> Amount:
        """What it takes up of the funding cap: once closed, only what was paid."""
        state = self._facility(facility)
        return state.commitment if state.closed_on is None else self.paid(facility)

    def reserved(self, facility: str, on: date, *, confirmed: bool = True) -> Amount:
        """What its tranches take up of the commitment on a day; reported ones apart."""
        mine = [t for t in self.tranches_of(facility) if t.confirmed == confirmed]
        zero = Amount.zero(self._facility(facility).unit)
        return sum((tranche.reserved(on) for tranche in mine), start=zero)

    def drawn(self, tranche: str) -> Amount:
        """What is approved or paid of a tranche, less what came back to it."""
        held = self._held(tranche)
        return held.drawn - held.given_back

    def paid_of(self, tranche: str) -> Amount:
        """What is paid of a tranche, less what came back to it."""
        held = self._held(tranche)
        return held.paid - held.given_back

    def _facility(self, name: str) -> Facility:
        found = self.find(Facility, name) or self.told.find(Facility, name)
        assert found is not None, name
        return found

    def _held(self, tranche: str) -> Held:
        found = self.find(Held, tranche)
        if found is None:
            known = self.find(Tranche, tranche) or self.told.find(Tranche, tranche)
            assert known is not None, tranche
            found = _untouched(tranche, known.size.unit)
        return found

    # What events do; totals move by differences, so that no event walks over all.
    def ask(self, drawdown: Drawdown) -> None:
        """Add a drawdown that was requested."""
        self.parts.put(drawdown)
        self._shift(drawdown, 0, 1, opened=1)

    def move(self, name: str, state: DrawdownState, event: Event[Any]) -> None:
        """Move a drawdown to its next state."""
        drawdown = self.parts.change(f"drawdown/{name}")
        if drawdown is not None:
            before = drawdown.state
            drawdown.state = state
            drawdown.steps = (*drawdown.steps, _done(state, event))
            opened = (state in UNDER_WAY) - (before in UNDER_WAY)
            self._shift(
                drawdown, _RUNGS.get(before, 0), _RUNGS.get(state, 0), opened=opened
            )

    def give_back_of(self, drawdown: Drawdown, amount: Amount) -> None:
        """Count what came back of a drawdown that was paid."""
        rung = drawdown.rung
        self._shift(drawdown, rung, 0)
        drawdown.returned = drawdown.returned + amount
        self._shift(drawdown, 0, rung)

    def _shift(
        self, drawdown: Drawdown, old: int, new: int, *, opened: int = 0
    ) -> None:
        """Move what a drawdown holds from one rung to another, in the totals too."""
        asked, net = drawdown.asked, drawdown.asked.amount
        if drawdown.returned:
            net = net - drawdown.returned
        total = self._total(asked.facility, net.unit)
        approved = (new == _APPROVED) - (old == _APPROVED)
        paid = (new == _PAID) - (old == _PAID)
        total.under_way += opened
        total.drawn_on = max(drawdown.steps[-1].on, total.drawn_on or date.min)
        if (new > 0) != (old > 0):
            total.asked = _moved(total.asked, net, new - old)
        if approved:
            total.approved = _moved(total.approved, net, approved)
        if paid:
            total.paid = _moved(total.paid, net, paid)
        if approved or paid:
            self._hold_shares(drawdown, approved + paid, paid)

    def _hold_shares(self, drawdown: Drawdown, drawn: int, paid: int) -> None:
        """Move what a drawdown holds of its tranches."""
        for part in drawdown.asked.allocations:
            held = self._hold_of(part.tranche, part.amount.unit)
            share = part.amount
            if drawdown.returned:
                share = drawdown.of_tranche(part.tranche)
            if drawn:
                held.drawn = _moved(held.drawn, share, drawn)
            if paid:
                held.paid = _moved(held.paid, share, paid)

    def count_unlocked(self, tranche: Tranche, cumulative: Amount) -> None:
        """Set what a tranche has unlocked in all."""
        if cumulative.unit == tranche.unlocked.unit:
            total = self._total(tranche.defined.facility, cumulative.unit)
            total.unlocked = total.unlocked + cumulative - tranche.unlocked
        tranche.unlocked = cumulative

    def pay(self, facility: str, amount: Amount, sign: int) -> None:
        """Count money that moved without a drawdown's name."""
        total = self._total(facility, amount.unit)
        total.paid = _moved(total.paid, amount, sign)
        total.asked = _moved(total.asked, amount, sign)

    def outstanding(self, clawback: Clawback) -> Amount:
        """What was demanded, has not been received, and no cure took the ground from."""
        facility = self.find(Facility, clawback.facility)
        if facility is not None and facility.cures > clawback.cures:
            return Amount.zero(clawback.amount.unit)
        return clawback.amount - clawback.received

    def let_demands_lapse(self, facility: Facility) -> None:
        """Let what is demanded back of a facility lapse with the excess."""
        facility.cures += 1
        total = self._total(facility.name, facility.unit)
        total.demanded = Amount.zero(facility.unit)

    def demand(self, clawback: Clawback) -> None:
        """Add a clawback that was demanded."""
        facility = self.find(Facility, clawback.facility)
        clawback.cures = facility.cures if facility else 0
        self.parts.put(clawback)
        total = self._total(clawback.facility, clawback.amount.unit)
        total.demanded = total.demanded + clawback.amount

    def receive(self, clawback: Clawback, amount: Amount) -> None:
        """Count money that came in under a clawback."""
        owed = self.outstanding(clawback)
        clawback.received = clawback.received + amount
        self.pay(clawback.facility, amount, -1)
        total = self._total(clawback.facility, amount.unit)
        total.clawed_back = total.clawed_back + amount
        total.demanded = total.demanded - min(amount, owed)

    def issue(self, equity: Equity) -> None:
        """Add equity that was issued."""
        self.parts.put(equity)
        self.consider(equity, 1)

    def consider(self, equity: Equity, sign: int) -> None:
        """Count what equity was issued for, or no longer."""
        drawdown = self.change(Drawdown, equity.drawdown)
        unit = equity.consideration.unit
        if drawdown and drawdown.considered.unit == unit:
            drawdown.considered = _moved(
                drawdown.considered, equity.consideration, sign
            )
            total = self._total(drawdown.asked.facility, unit)
            total.considered = _moved(total.considered, equity.consideration, sign)

    def note_payment(self, bank_ref: str, event: Event[Any]) -> None:
        """Note that a bank's reference stands for a payment."""
        key = _bank_key(bank_ref)
        self.parts.put(Payment(key=key, bank_ref=bank_ref, ref=event.ref))

    def end_tranche(
        self, name: str, how: Literal["expired", "cancelled"], event: Event[Any]
    ) -> None:
        """End a tranche."""
        tranche = self.change(Tranche, name)
        if tranche:
            tranche.ended = how
            tranche.ended_on = event.on

    def give_back(self, facility: str, amount: Amount) -> None:
        """Give paid money back to tranches: the overdrawn first, the last one first."""
        tranches = self.tranches_of(facility)[::-1]
        for only_overdrawn in (True, False):
            for tranche in tranches:
                name = tranche.name
                part = min(amount, self.paid_of(name))
                if only_overdrawn:
                    part = min(part, self.drawn(name) - tranche.unlocked)
                if part > Amount.zero(amount.unit):
                    self._give(name, part, 1)
                    amount = amount - part

    def take_more(self, facility: str, amount: Amount) -> None:
        """Take money paid without a drawdown out of the tranches that have room."""
        for tranche in self.tranches_of(facility):
            part = min(amount, tranche.unlocked - self.drawn(tranche.name))
            if part > Amount.zero(amount.unit):
                self._give(tranche.name, part, -1)
                amount = amount - part

    def rebalance(self, facility: str) -> None:
        """Let no tranche have more back than was paid of it, where others have less."""
        for tranche in self.tranches_of(facility):
            paid = self.paid_of(tranche.name)
            zero = Amount.zero(paid.unit)
            if paid < zero:
                self._give(tranche.name, zero - paid, -1)
                self.give_back(facility, zero - paid)

    def shrink_waiver(self, facility: str) -> None:
        """Let go of what a waiver covered and is covered by unlocked money again."""
        state = self.find(Facility, facility)
        if state and state.waived:
            total = self.total(facility)
            over = _above(total.paid, total.unlocked)
            state.waived = min(state.waived, over)
            self.parts.put(state)

    def _give(self, tranche: str, amount: Amount, sign: int) -> None:
        held = self._hold_of(tranche, amount.unit)
        held.given_back = _moved(held.given_back, amount, sign)

    def _total(self, facility: str, unit: str) -> Total:
        """A facility's totals, to be changed.

        It has one unit (FND-14): what a history that no rule saw says in another is
        added up apart, and kept nowhere.
        """
        found: Total | None = self.parts.change(f"total/{facility}")
        if found is None:
            found = _nothing(facility, unit)
            self.parts.put(found)
        return found if found.paid.unit == unit else _nothing(facility, unit)

    def _hold_of(self, tranche: str, unit: str) -> Held:
        """What is held of a tranche, to be changed; see `_total`."""
        found: Held | None = self.parts.change(f"held/{tranche}")
        if found is None:
            found = _untouched(tranche, unit)
            self.parts.put(found)
        return found if found.drawn.unit == unit else _untouched(tranche, unit)


def _tag(kind: type[Part]) -> str:
    return str(kind.__struct_config__.tag)


def _nothing(facility: str, unit: str) -> Total:
    zero = Amount.zero(unit)
    return Total(
        key=f"total/{facility}",
        unlocked=zero,
        asked=zero,
        approved=zero,
        paid=zero,
        clawed_back=zero,
        demanded=zero,
        considered=zero,
    )


def _untouched(tranche: str, unit: str) -> Held:
    zero = Amount.zero(unit)
    return Held(key=f"held/{tranche}", drawn=zero, paid=zero, given_back=zero)


def _moved(total: Amount, amount: Amount, sign: int) -> Amount:
    return total + amount if sign > 0 else total - amount


def _above(amount: Amount, limit: Amount) -> Amount:
    return amount - limit if amount > limit else Amount.zero(amount.unit)


PARTS: Final = (
    Facility,
    Total,
    Tranche,
    Held,
    Drawdown,
    Equity,
    Clawback,
    TrueUp,
    Payment,
)
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
