"""What a thing on the record stands at, and what an event moved it by.

A thing is named as its thread of events is: `tranche/T1`, `system/nvidia/VR-1`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.domain import certificate, funding, system
from ledger.domain.agreement import Agreement
from ledger.domain.certificate import Certificate
from ledger.domain.event import Event
from ledger.domain.funding import Clawback, Drawdown, Facility, Funding, Tranche
from ledger.domain.milestone import Milestone
from ledger.domain.order import Order
from ledger.domain.reversal import Reversal
from ledger.domain.values import Amount, Power
from projections.engine.view import Book
from projections.views.commitment import plain
from projections.views.distance import open_tranches, waits
from projections.views.fleet import order_of, system_of


class Stand(NamedTuple):
    """Where a thing stands: its figure in `unit`, its state, what it waits for."""

    figure: str | None = None
    unit: str | None = None
    state: str | None = None
    note: str | None = None


def stand(book: Book, name: str) -> Stand:
    """Where a thing of a deal stands."""
    kind, _, rest = name.partition("/")
    money = book.get(Funding)
    if not money.find(Facility, rest) and not money.find(Tranche, rest):
        money = money.told
    match kind:
        case "drawdown" if drawdown := money.find(Drawdown, rest):
            left = drawdown.amount - drawdown.returned
            return Stand(plain(left), left.unit, drawdown.state)
        case "tranche" if tranche := money.find(Tranche, rest):
            return _tranche(book, tranche)
        case "facility" if facility := money.find(Facility, rest):
            size = facility.commitment
            return Stand(plain(size), size.unit, facility.defined.instrument)
        case "clawback" if clawback := money.find(Clawback, rest):
            return _clawback(money, clawback)
    return _of_capacity(book, kind, rest) or Stand(state=_state(book, kind, rest))


def _tranche(book: Book, tranche: Tranche) -> Stand:
    note, lapsed = None, tranche.over(book.as_of) and not tranche.full
    if tranche.name in {one.name for one in open_tranches(book)}:
        open_parts = "; ".join(waits(book, tranche))
        note = f"waits for: {open_parts or 'somebody to unlock it'}"
    state = tranche.ended or ("lapsed" if lapsed else "unlocked")
    return Stand(plain(tranche.unlocked), tranche.unlocked.unit, state, note)


def _clawback(money: Funding, clawback: Clawback) -> Stand:
    left = money.outstanding(clawback)
    if clawback.received >= clawback.amount:
        state = "received"
    else:
        state = "demanded" if left else "lapsed: the excess was cured"
    return Stand(plain(left), left.unit, state)


def _of_capacity(book: Book, kind: str, name: str) -> Stand | None:
    match kind:
        case "certificate":
            paper = book.get(Certificate, name)
            return Stand(str(paper.certified.watts), "W", paper.state)
        case "system" if rack := system_of(book, name):
            return Stand(str(rack.rated_w), "W", rack.shown_state)
        case "order":
            order = order_of(book, name)
            watts = order.ordered if order else 0
            return Stand(str(watts), "W", book.get(Order, name).state)
    return None


def _state(book: Book, kind: str, name: str) -> str | None:
    agreement = book.get(Agreement)
    match kind:
        case "agreement":
            return agreement.state
        case "milestone":
            return book.get(Milestone, name).state
        case "reversal":
            return book.get(Reversal, name).state
        case "condition" if condition := agreement.conditions.get(name):
            return condition.state
        case "amendment" if amendment := agreement.amendments.get(name):
            return amendment.state.replace("_", " ")
    return None


def moved(event: Event[Any]) -> tuple[str | None, str | None]:
    """By how much money an event moved its thing, or the watts that it set.

    The moves of a tranche, a drawdown or a facility add up to what it stands at, so what
    is only claimed moves nothing.
    """
    figure = None if event.is_claim else _moved(event.data)
    match figure:
        case Amount():
            return plain(figure), figure.unit
        case Power():
            return str(figure.watts), "W"
    return None, None


def _moved(data: Any) -> Amount | Power | None:
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
        case funding.TrancheUnlocked(amount=amount):
            return amount
        case funding.TrancheRelocked(amount=amount):
            return _less(amount)
        case funding.FacilityDefined(commitment=amount):
            return amount
        case funding.CommitmentChanged(old=old, new=new):
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
