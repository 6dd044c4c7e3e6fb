"""What a thing on the record stands at, and what an event moved it by.

A thing is named as its thread of events is: `tranche/T1`, `system/nvidia/VR-1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ledger.domain import agreement, certificate, funding, order, reversal, system
from ledger.domain.event import Event
from ledger.domain.values import Amount, Power
from projections.engine.view import Book
from projections.views.certificates import CERTIFICATES
from projections.views.commitment import Money, TrancheRow, plain
from projections.views.conditions import conditions_of
from projections.views.deals import agreement_of
from projections.views.distance import waits
from projections.views.fleet import order_of, system_of
from projections.views.milestones import MILESTONES

STATES: Final[dict[type, str]] = {
    order.OrderPlaced: "placed",
    order.OrderAcknowledged: "acknowledged",
    order.OrderClosed: "closed",
    order.OrderCancelled: "cancelled",
    agreement.AmendmentProposed: "proposed",
    agreement.AmendmentTookEffect: "in effect",
    agreement.AmendmentWithdrawn: "withdrawn",
    funding.ClawbackDemanded: "demanded",
    funding.ClawbackReceived: "received",
    reversal.Requested: "requested",
    reversal.Approved: "approved",
    reversal.Rejected: "rejected",
}
"""What the last event of a thread leaves a thing in, where no view keeps its state."""


class Stand(NamedTuple):
    """Where a thing stands: its figure in `unit`, its state, what it waits for."""

    figure: str | None = None
    unit: str | None = None
    state: str | None = None
    note: str | None = None


class Things:
    """The things of one deal, as the views keep them."""

    def __init__(self, book: Book, money: Money) -> None:
        self._book = book
        self._drawdowns = {row.drawdown: row for row in money.drawdowns}
        self._tranches = {row.tranche: row for row in money.tranches}
        self._facilities = {row.facility: row for row in money.facilities}

    def stand(self, name: str, events: Sequence[Event[Any]]) -> Stand:
        """Where a thing stands, whose events these are."""
        kind, _, rest = name.partition("/")
        rows = self._book.rows
        match kind:
            case "drawdown" if drawdown := self._drawdowns.get(rest):
                left = drawdown.amount - drawdown.returned
                return Stand(plain(left), left.unit, drawdown.state)
            case "tranche" if tranche := self._tranches.get(rest):
                return self._tranche(tranche)
            case "facility" if facility := self._facilities.get(rest):
                size = facility.commitment
                return Stand(plain(size), size.unit, facility.instrument)
            case "certificate" if paper := rows(CERTIFICATES).get(rest):
                return Stand(str(paper.certified), "W", paper.state)
            case "system" if rack := system_of(self._book, rest):
                return Stand(str(rack.watts), "W", rack.shown_state)
            case "order":
                order = order_of(self._book, rest)
                watts = order.ordered if order else 0
                return Stand(str(watts), "W", _state(events))
            case "milestone" if milestone := rows(MILESTONES).get(rest):
                return Stand(state=milestone.state)
            case "condition" if condition := _condition(self._book, rest):
                return Stand(state=condition.state)
            case "agreement":
                return Stand(state=agreement_of(self._book).state)
        return Stand(state=_state(events))

    def _tranche(self, row: TrancheRow) -> Stand:
        note = None
        if row.unlocked < row.size and not row.ended:
            open_parts = "; ".join(waits(self._book, row))
            note = f"waits for: {open_parts or 'somebody to unlock it'}"
        state = row.ended or "unlocked"
        return Stand(plain(row.unlocked), row.unlocked.unit, state, note)


def _condition(book: Book, name: str) -> agreement.Condition | None:
    return next((one for one in conditions_of(book) if one.name == name), None)


def _state(events: Sequence[Event[Any]]) -> str | None:
    for event in reversed(events):
        state = STATES.get(type(event.data))
        # An amendment that is only reported to be in effect changed nothing.
        if state and (event.confirmed or state != "in effect"):
            return state
    return None


def moved(event: Event[Any]) -> tuple[str | None, str | None]:
    """By how much money an event moved its thing, or the watts that it set.

    The moves of a tranche, a drawdown or a facility add up to what it stands at, so an
    event that is only reported moves nothing where the fold takes no notice of it.
    """
    figure = _moved(event.data, confirmed=event.confirmed)
    match figure:
        case Amount():
            return plain(figure), figure.unit
        case Power():
            return str(figure.watts), "W"
    return None, None


def _moved(data: Any, *, confirmed: bool) -> Amount | Power | None:
    match data:
        case funding.DrawdownRequested(amount=amount):
            return amount
        case (
            funding.DisbursementReturned(amount=amount)
            | funding.ClawbackReceived(amount=amount)
        ):
            return _less(amount)
        case funding.TrueUpPosted(direction=direction, amount=amount):
            return amount if direction == "to_recipient" else _less(amount)
        case funding.TrancheUnlocked(amount=amount) if confirmed:
            return amount
        case funding.TrancheRelocked(amount=amount) if confirmed:
            return _less(amount)
        case funding.FacilityDefined(commitment=amount):
            return amount
        case funding.CommitmentChanged(old=old, new=new) if confirmed:
            return new - old
        case certificate.Issued(certified=power):
            return power
        case system.Registered(rated=power) | system.Accepted(rated=power):
            return power
        case system.Derated(new=power):
            return power
    return None


def _less(amount: Amount) -> Amount:
    return Amount.zero(amount.unit) - amount
