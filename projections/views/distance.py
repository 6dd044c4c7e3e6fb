"""How far is it to the next unlock of each tranche, and what is still missing?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.agreement import BINDING
from ledger.domain.certificate import on_basis
from ledger.domain.struct import Frozen
from ledger.domain.triggers import (
    AgreementInEffect,
    All,
    AnyOf,
    AttestedTrue,
    CapacityCertified,
    CapacityPurchased,
    ConditionMet,
    CorporateEvent,
    DateReached,
    MilestoneAchieved,
    PriceAtLeast,
    Step,
    Trigger,
)
from projections.engine.view import Book, Drawn, FoldRow, View
from projections.views.certificates import CERTIFICATES, certified_watts
from projections.views.commitment import COMMITMENT, TrancheRow, money_of, plain
from projections.views.conditions import CONDITIONS
from projections.views.deals import DEALS, agreement_of
from projections.views.fleet import FLEET, totals_of
from projections.views.milestones import MILESTONES
from projections.views.observations import OBSERVATIONS
from projections.views.plan import PLAN, month_reaching

DISTANCE: Final = View(
    "distance", 1, "How far is it to the next unlock, and what is missing?", FoldRow
)


class Distance(Frozen, omit_defaults=False):
    """A tranche that still has something to unlock."""

    tranche: str
    facility: str
    size: str
    unlocked: str
    unit: str
    threshold_w: str | None
    certified_w: str
    gap_w: str | None
    systems_needed: str
    in_pipeline: int
    missing: str
    forecast_month: str | None
    expires_on: str | None
    status: str


def threshold(trigger: Trigger) -> int | None:
    """The most capacity that a trigger asks for; None where it asks for none."""
    match trigger:
        case All(of=children) | AnyOf(of=children):
            asked = [t for t in map(threshold, children) if t is not None]
            return max(asked, default=None)
        case CapacityCertified(at_least=power):
            return power.watts
    return None


def missing(book: Book, trigger: Trigger) -> list[str]:
    """What of a trigger is not true, in words; empty where it is met."""
    match trigger:
        case All(of=children):
            return [text for child in children for text in missing(book, child)]
        case AnyOf(of=children):
            found = [missing(book, child) for child in children]
            if not all(found):
                return []
            return ["either " + " or ".join(", ".join(texts) for texts in found)]
    return [] if _met(book, trigger) else [_words(trigger)]


def _met(book: Book, leaf: Trigger) -> bool:
    row = agreement_of(book)
    match leaf:
        case AgreementInEffect():
            return row.state in BINDING
        case CapacityCertified(at_least=power):
            return certified_watts(book) >= power.watts
        case CapacityPurchased(at_least=power):
            return totals_of(book).ordered >= power.watts
        case MilestoneAchieved(milestone=name):
            found = book.rows(MILESTONES).get(name)
            return (
                found is not None
                and found.state == "achieved"
                and found.status == "confirmed"
            )
        case ConditionMet(condition=name):
            condition = row.conditions.get(name)
            return condition is not None and condition.state in {"satisfied", "waived"}
        case DateReached(on=day):
            return book.as_of >= day
    return any(_seen(leaf, seen) for seen in book.rows(OBSERVATIONS))


def _seen(leaf: Trigger, row: Any) -> bool:
    if row.status != "confirmed":
        return False
    match leaf:
        case PriceAtLeast(instrument=instrument, price=price, method=how, days=days):
            return (
                row.price is not None
                and (row.subject, row.method) == (instrument, how)
                and row.days >= days
                and row.price.currency == price.currency
                and row.price.value >= price.value
            )
        case CorporateEvent(kind=kind):
            return bool((row.kind, row.subject) == ("corporate_event", kind))
        case AttestedTrue(label=label):
            return bool((row.kind, row.subject) == ("attested", label))
    return False


def _words(leaf: Trigger) -> str:
    match leaf:
        case AgreementInEffect():
            return "the agreement in effect"
        case CapacityCertified(at_least=power):
            return f"{power} certified"
        case CapacityPurchased(at_least=power):
            return f"{power} ordered"
        case MilestoneAchieved(milestone=name):
            return f"milestone {name} achieved"
        case ConditionMet(condition=name):
            return f"condition {name} met"
        case DateReached(on=day):
            return f"the day {day}"
        case PriceAtLeast(instrument=instrument, price=price):
            return f"{instrument} at {price} or above"
        case CorporateEvent(kind=kind):
            return f"the corporate event {kind}"
        case AttestedTrue(label=label):
            return f"{label} attested"
    raise AssertionError(leaf)


def _open(book: Book) -> list[TrancheRow]:
    return [
        tranche
        for tranche in money_of(book).tranches
        if tranche.unlocked < tranche.size and not tranche.ended
    ]


def waits(book: Book, tranche: TrancheRow) -> list[str]:
    """What a tranche waits for, in words; empty where it is ready to unlock."""
    found = missing(book, tranche.trigger)
    if tranche.status != "confirmed":
        return [f"the tranche itself is {tranche.status}", *found]
    return found


def next_trigger(book: Book, unit: str | None = None) -> str | None:
    """What the next locked tranche waits for, in a sentence; the next one of a unit."""
    for tranche in _open(book):
        if unit in {None, tranche.size.unit}:
            said = "; ".join(waits(book, tranche)) or "ready to unlock"
            return f"{tranche.tranche} ({tranche.size}): {said}"
    return None


@DISTANCE.answer(
    Distance,
    DEALS,
    COMMITMENT,
    CERTIFICATES,
    FLEET,
    CONDITIONS,
    MILESTONES,
    OBSERVATIONS,
    PLAN,
    key=("tranche",),
)
def _distance(book: Book) -> Drawn:
    return Drawn([_line(book, tranche) for tranche in _open(book)])


def _line(book: Book, tranche: TrancheRow) -> Distance:
    asked = threshold(tranche.trigger)
    certified = certified_watts(book)
    if isinstance(tranche.formula, Step):
        paid = tranche.unlocked.value // tranche.formula.amount.value
        step = tranche.formula.block.watts * (int(paid) + 1)
        asked = max(asked or 0, step)
    gap = None if asked is None else max(0, asked - certified)
    return Distance(
        tranche=tranche.tranche,
        facility=tranche.facility,
        size=plain(tranche.size),
        unlocked=plain(tranche.unlocked),
        unit=tranche.size.unit,
        threshold_w=None if asked is None else str(asked),
        certified_w=str(certified),
        gap_w=None if gap is None else str(gap),
        systems_needed=_needed(book, gap),
        in_pipeline=_pipeline(book),
        missing="; ".join(missing(book, tranche.trigger)),
        forecast_month=None if asked is None else month_reaching(book, asked),
        expires_on=tranche.expires_on.isoformat() if tranche.expires_on else None,
        status=tranche.status,
    )


def _pipeline(book: Book) -> int:
    """Systems on order or on their way, not accepted yet."""
    totals = totals_of(book)
    done = {"accepted", "rejected", "returned", "decommissioned"}
    there = (one.systems for one in totals.groups.values() if one.state in done)
    return max(0, totals.systems_ordered - sum(there))


def _needed(book: Book, gap: int | None) -> str:
    """How many more systems of each SKU in the orders would close the gap."""
    if not gap:
        return "0"
    terms = agreement_of(book).known_terms
    found = {}
    for sku, watts in totals_of(book).skus.items():
        each = on_basis(watts, terms).watts
        found[sku] = -(-gap // each) if each else 0
    return ", ".join(f"{many} {sku}" for sku, many in sorted(found.items())) or "-"
