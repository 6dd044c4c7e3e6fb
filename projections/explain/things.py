"""What a thing on the record stands at, and what an event moved it by.

A thing is named as its thread of events is: `tranche/T1`, `system/nvidia/VR-1`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ledger.domain import certificate, funding, system
from ledger.domain.aggregate import A
from ledger.domain.agreement import Agreement
from ledger.domain.certificate import Certificate
from ledger.domain.event import Event
from ledger.domain.funding import Clawback, Drawdown, Facility, Funding, Tranche
from ledger.domain.milestone import Milestone
from ledger.domain.order import Order
from ledger.domain.reversal import Reversal
from ledger.domain.system import System
from ledger.domain.values import Amount, Power
from projections.engine.view import Book
from projections.views.commitment import plain
from projections.views.distance import READY, open_tranches, waits
from projections.views.fleet import totals_of


class Stand(NamedTuple):
    """Where a thing stands: its figure in `unit`, its state, what it waits for.

    `told` says that no confirmed entry made it: it stands so as far as is told.
    """

    figure: str | None = None
    unit: str | None = None
    state: str | None = None
    note: str | None = None
    told: bool = False


class _State(Protocol):
    """The state of aggregates, as it is confirmed or as it is told."""

    def __call__(self, kind: type[A], *names: str) -> A: ...


def stand(book: Book, name: str) -> Stand:
    """Where a thing of a deal stands; as it is told, where nothing else made it."""

    def told(kind: type[A], *names: str) -> A:
        return book.get(kind, *names).told

    kind, _, rest = name.partition("/")
    found = _stand(book, book.get, kind, rest)
    if found is None:
        found = _stand(book, told, kind, rest)
        return found._replace(told=True) if found else Stand()
    return found


def _stand(book: Book, state: _State, kind: str, name: str) -> Stand | None:
    if kind in {"drawdown", "tranche", "facility", "clawback"}:
        return _of_money(book, state(Funding), kind, name)
    if kind in {"agreement", "condition", "amendment"}:
        return _of_agreement(state(Agreement), kind, name)
    match kind:
        case "certificate" if (paper := state(Certificate, name)).state != "none":
            return Stand(str(paper.certified.watts), "W", paper.state)
        case "system" if (rack := state(System, name)).state != "none":
            return Stand(str(rack.rated_w), "W", rack.shown_state)
        case "order" if (order := state(Order, name)).state != "none":
            watts = order.watts + totals_of(book).beyond(name)
            return Stand(str(watts), "W", order.state)
        case "milestone" if (milestone := state(Milestone, name)).state != "none":
            return Stand(state=milestone.state)
        case "reversal" if (reversal := state(Reversal, name)).state != "none":
            return Stand(state=reversal.state)
    return None


def _of_money(book: Book, money: Funding, kind: str, name: str) -> Stand | None:
    match kind:
        case "drawdown" if drawdown := money.find(Drawdown, name):
            left = drawdown.amount - drawdown.returned
            return Stand(plain(left), left.unit, drawdown.state)
        case "tranche" if tranche := money.find(Tranche, name):
            return _tranche(book, tranche)
        case "facility" if facility := money.find(Facility, name):
            size = facility.commitment
            return Stand(plain(size), size.unit, facility.defined.instrument)
        case "clawback" if clawback := money.find(Clawback, name):
            return _clawback(money, clawback)
    return None


def _tranche(book: Book, tranche: Tranche) -> Stand:
    note, lapsed = None, tranche.over(book.as_of) and not tranche.full
    if tranche.name in {one.name for one in open_tranches(book)}:
        missing = ". ".join(waits(book, tranche))
        note = f"locked: {missing}" if missing else READY
    state = tranche.ended or ("lapsed" if lapsed else "unlocked")
    return Stand(plain(tranche.unlocked), tranche.unlocked.unit, state, note)


def _clawback(money: Funding, clawback: Clawback) -> Stand:
    left = money.outstanding(clawback)
    if clawback.received >= clawback.amount:
        state = "received"
    else:
        state = "demanded" if left else "lapsed: the excess was cured"
    return Stand(plain(left), left.unit, state)


def _of_agreement(agreement: Agreement, kind: str, name: str) -> Stand | None:
    match kind:
        case "agreement" if agreement.exists:
            return Stand(state=agreement.state)
        case "condition" if condition := agreement.conditions.get(name):
            return Stand(state=condition.state)
        case "amendment" if amendment := agreement.amendments.get(name):
            return Stand(state=amendment.state.replace("_", " "))
    return None


def moved(event: Event[Any], *, told: bool = False) -> tuple[str | None, str | None]:
    """By how much money an event moved its thing, or the watts that it set.

    The moves of a tranche, a drawdown or a facility add up to what it stands at, so what
    is only claimed moves nothing but what is `told` alone.
    """
    figure = None if event.is_claim and not told else _moved(event.data)
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
