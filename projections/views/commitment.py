"""What is each facility's position: cap, unlocked, approved, paid, available, locked?

The fold keeps facilities, tranches, drawdowns, clawbacks and the rest of the money of a
deal; the standing, the drawdown register and the distance to the next unlock draw on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from ledger.domain import funding
from ledger.domain.agreement import ENDED, Agreement
from ledger.domain.event import Event
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from ledger.domain.triggers import Formula, Trigger
from ledger.domain.values import Amount
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.deals import DEALS, agreement_of

DRAWN: Final = {
    "requested": ("requested", "approved", "instructed", "settled", "returned"),
    "approved": ("approved", "instructed", "settled", "returned"),
    "paid": ("settled", "returned"),
}


class FacilityRow(FoldRow, tag="facility"):
    """A facility."""

    facility: str
    provider: str
    recipient: str
    instrument: str
    commitment: Amount
    status: Status
    available_to: date | None = None
    waived: Amount | None = None
    closed_on: date | None = None


class TrancheRow(FoldRow, tag="tranche"):
    """A tranche."""

    tranche: str
    facility: str
    number: int
    size: Amount
    unlocked: Amount
    trigger: Trigger
    formula: Formula
    status: Status
    expires_on: date | None = None
    ended: str | None = None


class DrawdownRow(FoldRow, tag="drawdown"):
    """A drawdown, with who did what and when."""

    drawdown: str
    facility: str
    tranches: tuple[str, ...]
    amount: Amount
    returned: Amount
    value_on: date
    status: Status
    by: dict[str, str]
    on: dict[str, date]
    submitted: dict[str, tuple[str, str | None]]
    state: str = "requested"
    bank_ref: str | None = None
    equity: tuple[str, ...] = ()


class CashRow(FoldRow, tag="cash"):
    """Money that went back (`clawback`, `to_provider`) or was added (`to_recipient`)."""

    facility: str
    kind: str
    amount: Amount


COMMITMENT: Final = View(
    "commitment",
    2,
    "What is each facility's position: cap, unlocked, paid, available?",
    FacilityRow | TrancheRow | DrawdownRow | CashRow,
)


class Position(Frozen):
    """A facility's position; every amount is in `unit`."""

    facility: str
    provider: str
    recipient: str
    instrument: str
    unit: str
    cap: str
    committed: str
    unlocked: str
    requested: str
    approved: str
    disbursed: str
    clawed_back: str
    available: str
    locked: str
    overfunded: str
    expires_on: str | None
    status: str


class Money:
    """The money of one deal, as its rows tell it."""

    def __init__(
        self, rows: Iterable[FoldRow], agreement: Agreement | None = None
    ) -> None:
        kept = list(rows)
        self.facilities = [row for row in kept if isinstance(row, FacilityRow)]
        tranches = [row for row in kept if isinstance(row, TrancheRow)]
        self.tranches = sorted(tranches, key=lambda row: (row.facility, row.number))
        self.drawdowns = [row for row in kept if isinstance(row, DrawdownRow)]
        self.cash = [row for row in kept if isinstance(row, CashRow)]
        self._agreement = agreement or Agreement("agreement/")

    def sum(self, facility: FacilityRow, amounts: list[Amount]) -> Amount:
        """The sum of amounts in a facility's unit."""
        return sum(amounts, start=Amount.zero(facility.commitment.unit))

    def unlocked(self, facility: FacilityRow) -> Amount:
        """What is unlocked."""
        mine = [t.unlocked for t in self.tranches if t.facility == facility.facility]
        return self.sum(facility, mine)

    def drawn(self, facility: FacilityRow, rung: str) -> Amount:
        """What reached a rung, net of what came back."""
        amounts = [
            row.amount - row.returned
            for row in self.drawdowns
            if row.facility == facility.facility and row.state in DRAWN[rung]
        ]
        total = self.sum(facility, amounts)
        total = total - self.went_back(facility)
        return total + self.moved(facility, "to_recipient")

    def moved(self, facility: FacilityRow, kind: str) -> Amount:
        """Cash of a kind."""
        return self.sum(
            facility,
            [
                row.amount
                for row in self.cash
                if row.facility == facility.facility and row.kind == kind
            ],
        )

    def went_back(self, facility: FacilityRow) -> Amount:
        """Clawbacks received and true-ups to the provider."""
        return self.moved(facility, "clawback") + self.moved(facility, "to_provider")

    def committed(self, facility: FacilityRow) -> Amount:
        """What binds: the commitment in effect; after the end, what was approved."""
        if facility.status != "confirmed" or self._agreement.effective_from is None:
            return Amount.zero(facility.commitment.unit)
        if self._agreement.state in ENDED or facility.closed_on:
            return self.drawn(facility, "approved")
        return facility.commitment

    def covered(self, facility: FacilityRow) -> Amount:
        """What is unlocked or waived."""
        unlocked = self.unlocked(facility)
        return unlocked + facility.waived if facility.waived else unlocked

    def excess(self, facility: FacilityRow) -> Amount:
        """By how much what was paid exceeds what is unlocked or waived."""
        return _above(self.drawn(facility, "paid"), self.covered(facility))

    def available(self, facility: FacilityRow) -> Amount:
        """What may still be drawn; nothing of a closed facility."""
        if facility.closed_on is not None:
            return Amount.zero(facility.commitment.unit)
        return _above(self.unlocked(facility), self.drawn(facility, "approved"))


def money_of(book: Book) -> Money:
    """The money of a deal."""
    return Money(book.rows(COMMITMENT), agreement_of(book))


def _above(amount: Amount, limit: Amount) -> Amount:
    return amount - limit if amount > limit else Amount.zero(amount.unit)


def plain(amount: Amount) -> str:
    """An amount without its unit."""
    return f"{amount.value:f}"


def _tranche(rows: Rows[Any], name: str) -> TrancheRow | None:
    row = rows.get(f"tranche/{name}")
    return row if isinstance(row, TrancheRow) else None


@COMMITMENT.on(funding.FacilityDefined)
def _facility(rows: Rows[Any], event: Event[funding.FacilityDefined]) -> None:
    data = event.data
    rows.put(
        FacilityRow(
            key=f"facility/{data.facility}",
            facility=data.facility,
            provider=data.provider,
            recipient=data.recipient,
            instrument=data.instrument,
            commitment=data.commitment,
            status=event.provenance.status,
            available_to=data.available_to,
        )
    )


@COMMITMENT.on(
    funding.CommitmentChanged, funding.OverfundingWaived, funding.FacilityClosed
)
def _facility_changed(rows: Rows[Any], event: Event[Any]) -> None:
    row = rows.get(f"facility/{event.data.facility}")
    if row is None:
        return
    match event.data:
        case funding.CommitmentChanged(new=new) if event.confirmed:
            row.commitment = new
        case funding.OverfundingWaived(amount=amount) if event.confirmed:
            row.waived = row.waived + amount if row.waived else amount
        case funding.FacilityClosed() if event.confirmed:
            row.closed_on = event.on
    rows.put(row)


@COMMITMENT.on(funding.TrancheDefined)
def _tranche_defined(rows: Rows[Any], event: Event[funding.TrancheDefined]) -> None:
    data = event.data
    rows.put(
        TrancheRow(
            key=f"tranche/{data.tranche}",
            tranche=data.tranche,
            facility=data.facility,
            number=data.number,
            size=data.size,
            unlocked=Amount.zero(data.size.unit),
            trigger=data.trigger,
            formula=data.formula,
            status=event.provenance.status,
            expires_on=data.expires_on,
        )
    )


@COMMITMENT.on(funding.TrancheUnlocked, funding.TrancheRelocked)
def _tranche_moved(rows: Rows[Any], event: Event[Any]) -> None:
    row = _tranche(rows, event.data.tranche)
    if row is not None and event.confirmed:
        row.unlocked = event.data.cumulative
        if isinstance(event.data, funding.TrancheRelocked):
            row.size = event.data.size
        rows.put(row)
        if isinstance(event.data, funding.TrancheUnlocked):
            _shrink_waiver(rows, row.facility)


@COMMITMENT.on(funding.TrancheExpired, funding.TrancheCancelled)
def _tranche_ended(rows: Rows[Any], event: Event[Any]) -> None:
    row = _tranche(rows, event.data.tranche)
    if row is not None and event.confirmed:
        expired = isinstance(event.data, funding.TrancheExpired)
        row.ended = "expired" if expired else "cancelled"
        rows.put(row)


@COMMITMENT.on(funding.DrawdownRequested)
def _requested(rows: Rows[Any], event: Event[funding.DrawdownRequested]) -> None:
    data = event.data
    rows.put(
        DrawdownRow(
            key=f"drawdown/{data.drawdown}",
            drawdown=data.drawdown,
            facility=data.facility,
            tranches=tuple(part.tranche for part in data.allocations),
            amount=data.amount,
            returned=Amount.zero(data.amount.unit),
            value_on=data.value_on,
            status=event.provenance.status,
            **_who({}, {}, {}, "requested", event),
        )
    )


STEPS: Final[dict[type, str]] = {
    funding.DrawdownApproved: "approved",
    funding.DrawdownRejected: "rejected",
    funding.DrawdownWithdrawn: "withdrawn",
    funding.DisbursementInstructed: "instructed",
    funding.DisbursementSettled: "settled",
    funding.DisbursementFailed: "failed",
}


def _who(
    by: dict[str, str],
    on: dict[str, date],
    submitted: dict[str, tuple[str, str | None]],
    step: str,
    event: Event[Any],
) -> dict[str, Any]:
    actor = f"{event.provenance.actor}@{event.provenance.party}"
    identity = event.identity
    return {
        "by": {**by, step: actor},
        "on": {**on, step: event.on},
        "submitted": {**submitted, step: (identity.submitted_by, identity.batch)},
    }


@COMMITMENT.on(*STEPS)
def _stepped(rows: Rows[Any], event: Event[Any]) -> None:
    row = rows.get(f"drawdown/{event.data.drawdown}")
    if row is None:
        return
    row.state = STEPS[type(event.data)]
    for name, value in _who(row.by, row.on, row.submitted, row.state, event).items():
        setattr(row, name, value)
    row.bank_ref = getattr(event.data, "bank_ref", row.bank_ref)
    rows.put(row)


@COMMITMENT.on(funding.DisbursementReturned)
def _returned(rows: Rows[Any], event: Event[funding.DisbursementReturned]) -> None:
    row = rows.get(f"drawdown/{event.data.drawdown}")
    if row is not None:
        row.returned = row.returned + event.data.amount
        if row.returned >= row.amount:
            row.state = "returned"
        rows.put(row)
        _shrink_waiver(rows, row.facility)


@COMMITMENT.on(funding.EquityIssued)
def _equity(rows: Rows[Any], event: Event[funding.EquityIssued]) -> None:
    row = rows.get(f"drawdown/{event.data.drawdown}")
    if row is not None:
        row.equity = (*row.equity, event.data.certificate_no)
        rows.put(row)


@COMMITMENT.on(funding.ClawbackReceived, funding.TrueUpPosted)
def _cash(rows: Rows[Any], event: Event[Any]) -> None:
    kind = getattr(event.data, "direction", "clawback")
    rows.put(
        CashRow(
            key=f"cash/{event.position:012d}",
            facility=event.data.facility,
            kind=kind,
            amount=event.data.amount,
        )
    )
    _shrink_waiver(rows, event.data.facility)


def _shrink_waiver(rows: Rows[Any], name: str) -> None:
    """Let go of what a waiver covered and is covered by unlocked money again."""
    facility = rows.get(f"facility/{name}")
    if not isinstance(facility, FacilityRow) or not facility.waived:
        return
    money = Money(list(rows))
    paid, unlocked = money.drawn(facility, "paid"), money.unlocked(facility)
    facility.waived = min(facility.waived, _above(paid, unlocked))
    rows.put(facility)


@COMMITMENT.answer(Position, DEALS, key=("facility",))
def _commitment(book: Book) -> Drawn:
    money = money_of(book)
    return Drawn([_position(money, facility) for facility in money.facilities])


def _position(money: Money, row: FacilityRow) -> Position:
    return Position(
        facility=row.facility,
        provider=row.provider,
        recipient=row.recipient,
        instrument=row.instrument,
        unit=row.commitment.unit,
        cap=plain(row.commitment),
        committed=plain(money.committed(row)),
        unlocked=plain(money.unlocked(row)),
        requested=plain(money.drawn(row, "requested")),
        approved=plain(money.drawn(row, "approved")),
        disbursed=plain(money.drawn(row, "paid")),
        clawed_back=plain(money.moved(row, "clawback")),
        available=plain(money.available(row)),
        locked=plain(row.commitment - money.unlocked(row)),
        overfunded=plain(money.excess(row)),
        expires_on=row.available_to.isoformat() if row.available_to else None,
        status=row.status,
    )
