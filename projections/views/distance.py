"""How far is it to the next unlock: what is missing, by whom, and from which month?

Nothing is reckoned here that a rule decides: whether a tranche is ready is what
`funding unlock` would be answered on the day of the page, and what is missing is what
the evaluation of its trigger says.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger.domain.agreement import Agreement
from ledger.domain.certificate import on_basis
from ledger.domain.evaluation import Evaluation, evaluate, evaluate_tranche
from ledger.domain.funding import Funding, Tranche
from ledger.domain.milestone import Milestone
from ledger.domain.struct import Frozen
from ledger.domain.triggers import (
    AgreementInEffect,
    All,
    AnyOf,
    CapacityCertified,
    DateReached,
    Fixed,
    MilestoneAchieved,
    Trigger,
    pays_more_at,
)
from ledger.domain.values import Amount
from ledger.errors import Refused
from projections.engine.nouns import NOUNS
from projections.engine.source import Page, why_not_unlock
from projections.engine.view import Book, Drawn, View
from projections.views.commitment import plain
from projections.views.deals import DEALS, agreement_of
from projections.views.fleet import FLEET, totals_of
from projections.views.plan import PLAN, month_reaching

DISTANCE: Final = View(
    "distance", 2, "How far is it to the next unlock, and what is missing?"
)
READY: Final = "ready to unlock"


class Distance(Frozen, omit_defaults=False):
    """A tranche that may still unlock something; `ready` on the day asked about."""

    tranche: str
    facility: str
    size: str
    unlocked: str
    unit: str
    ready: bool
    threshold_w: str | None
    certified_w: str
    gap_w: str | None
    systems_needed: str
    in_pipeline: int
    missing: str
    by_whom: str
    forecast_month: str | None
    expires_on: str | None
    status: str


def tranches_of(book: Book) -> list[Tranche]:
    """Every tranche by facility and number; one only reported, where no other is."""
    funding = book.get(Funding)
    known = {**funding.told.tranches, **funding.tranches}
    return sorted(known.values(), key=lambda t: (t.defined.facility, t.defined.number))


def open_tranches(book: Book) -> list[Tranche]:
    """The tranches that may still unlock something on the day of the page."""
    funding = book.get(Funding)
    closed = {n for n, f in funding.facilities.items() if f.closed_on is not None}
    return [
        tranche
        for tranche in tranches_of(book)
        if not tranche.full
        and not tranche.over(book.as_of)
        and tranche.defined.facility not in closed
    ]


def evaluation_of(book: Book, tranche: Tranche) -> Evaluation:
    """What the trigger of a tranche says on the day of the page."""
    return evaluate_tranche(Page(book), book.deal, tranche, book.as_of)


def waits(book: Book, tranche: Tranche) -> list[str]:
    """What a tranche waits for, in words; empty only where it is ready to unlock."""
    refused = why_not_unlock(book, tranche.name)
    if refused is None:
        return []
    missing = list(evaluation_of(book, tranche).missing)
    said = refused.sentence if isinstance(refused, Refused) else str(refused)
    if isinstance(refused, Refused) and refused.code == "FND-03" and missing:
        return missing
    if not tranche.confirmed:
        said = f"The tranche itself is {tranche.status}"
    return [said.removesuffix("."), *missing]


def next_trigger(book: Book, unit: str | None = None) -> str | None:
    """What the next locked tranche waits for, in a sentence; the next one of a unit.

    One that is ready comes first, wherever it stands.
    """
    first = None
    for tranche in open_tranches(book):
        if unit in {None, tranche.size.unit}:
            missing = ". ".join(waits(book, tranche))
            if not missing:
                return f"{tranche.name} ({tranche.size}): {READY}"
            first = first or f"{tranche.name} ({tranche.size}): {missing}"
    return first


@DISTANCE.answer(Distance, DEALS, FLEET, PLAN, *NOUNS, key=("tranche",))
def _distance(book: Book) -> Drawn:
    return Drawn([_line(book, tranche) for tranche in open_tranches(book)])


def _line(book: Book, tranche: Tranche) -> Distance:
    defined, answer = tranche.defined, evaluation_of(book, tranche)
    missing = waits(book, tranche)
    pays = pays_more_at(defined.formula, tranche.unlocked, tranche.size)
    if pays is not None:
        pays += book.get(Funding).spent_w(tranche)
    asked = max((w for w in (answer.asked_w, pays) if w is not None), default=None)
    gap = None if asked is None else max(0, asked - answer.certified.watts)
    return Distance(
        tranche=tranche.name,
        facility=defined.facility,
        size=plain(tranche.size),
        unlocked=plain(tranche.unlocked),
        unit=tranche.size.unit,
        ready=not missing,
        threshold_w=None if asked is None else str(asked),
        certified_w=str(answer.certified.watts),
        gap_w=None if gap is None else str(gap),
        systems_needed=_needed(book, gap),
        in_pipeline=_pipeline(book),
        missing=". ".join(missing),
        by_whom=", ".join(answer.by_whom),
        forecast_month=_forecast(book, tranche, pays),
        expires_on=defined.expires_on.isoformat() if defined.expires_on else None,
        status=tranche.status,
    )


def _forecast(book: Book, tranche: Tranche, pays: int | None) -> str | None:
    """The month in which the plan and the targets let it unlock, if before its last."""
    months = [_expected(book, tranche.defined.trigger)]
    if pays is not None:
        months.append(month_reaching(book, pays))
    if None in months or not book.get(Agreement).parties:
        return None
    month = max(filter(None, months))
    expires = tranche.defined.expires_on
    late = expires is not None and month > expires.isoformat()[:7]
    return None if late else max(month, book.as_of.isoformat()[:7])


def _expected(book: Book, node: Trigger) -> str | None:
    """The month in which a trigger is expected to be met; None where nothing says."""
    match node:
        case All(of=children):
            found = [_expected(book, child) for child in children]
            return None if None in found else max(filter(None, found))
        case AnyOf(of=children):
            known = [_expected(book, child) for child in children]
            return min(filter(None, known), default=None)
        case CapacityCertified(at_least=least):
            return month_reaching(book, least.watts)
        case DateReached(on=day):
            return day.isoformat()[:7]
        case MilestoneAchieved(milestone=name):
            milestone = book.get(Milestone, name)
            return _month(milestone.achieved_on or milestone.target_on)
        case AgreementInEffect():
            return _month(book.get(Agreement).effective_from)
    answer = evaluate(
        Page(book), book.deal, node, Fixed(amount=Amount.zero("USD")), book.as_of
    )
    return _month(answer.since)


def _month(day: date | None) -> str | None:
    return day.isoformat()[:7] if day else None


def _pipeline(book: Book) -> int:
    """Systems on order or on their way, not accepted yet."""
    return totals_of(book).in_pipeline


def _needed(book: Book, gap: int | None) -> str:
    """How many more systems of each SKU in the orders would close the gap.

    Empty where no capacity is asked for, or nobody can say what a system comes to.
    """
    if not gap:
        return "" if gap is None else "0"
    terms = agreement_of(book).known_terms
    found = {}
    for sku, watts in totals_of(book).skus.items():
        each = on_basis(watts, terms).watts
        found[sku] = -(-gap // each) if each else 0
    return ", ".join(f"{many} {sku}" for sku, many in sorted(found.items()))
