"""Rules of facilities and tranches: how they are laid down, changed and ended.

FND-01, FND-02, FND-13 to FND-16 on definitions. What unlocks is in `unlock.py`, what
is drawn and paid in `drawdown.py`, what happens when more is paid than is unlocked in
`overfunding.py`, shares for money in `equity.py`.

Who records what: anybody may put a structure on the record, with its evidence, since
as a report it moves nothing; a facility is closed by its provider or recipient.
Roles and limits (REC-08) will stand beside the checks of FND-08 in `drawdown.py`.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, AmendmentTookEffect, DefinitiveSigned
from ledger.domain.event import Event
from ledger.domain.funding import (
    UNDER_WAY,
    CommitmentChanged,
    Facility,
    FacilityClosed,
    FacilityDefined,
    Funding,
    Pricing,
    Tranche,
    TrancheCancelled,
    TrancheDefined,
    TrancheExpired,
)
from ledger.domain.terms import commitments
from ledger.domain.triggers import (
    All,
    AnyOf,
    CapacityCertified,
    CapacityPurchased,
    Formula,
    Linear,
    PriceAtLeast,
    Step,
    Trigger,
)
from ledger.domain.values import Amount, Power
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.lookup import facility_of, new, tranche_of
from ledger.rules.registry import rule


@rule("FND-16", FacilityDefined)
def facility_is_sound(world: World, event: Event[Any]) -> None:
    """A facility is defined once: between two parties, for more than nothing."""
    agreement = world.need(Agreement, event.deal)
    asked = event.data
    new("Facility", world.get(Funding, event.deal), Facility, asked.facility)
    wrong = ""
    strangers = {asked.provider, asked.recipient} - {*agreement.parties}
    if strangers:
        wrong = (
            f"{', '.join(sorted(strangers))} is no party of {event.deal}; "
            f"the parties are {', '.join(agreement.parties)}."
        )
    elif asked.provider == asked.recipient:
        wrong = f"{asked.provider} cannot fund itself."
    elif not asked.commitment:
        wrong = f"A commitment of {asked.commitment} commits nothing."
    elif (asked.instrument == "warrant") == asked.commitment.is_money:
        wrong = (
            f"A facility of the instrument {asked.instrument} does not commit "
            f"{asked.commitment}: a warrant commits shares, all others money."
        )
    elif (
        asked.available_from is not None
        and asked.available_to is not None
        and asked.available_to < asked.available_from
    ):
        wrong = f"It ends on {asked.available_to}, before {asked.available_from}."
    if wrong:
        raise Refused(wrong)


@rule("FND-15", CommitmentChanged)
def reported_facility_stands(world: World, event: Event[Any]) -> None:
    """What is only reported of a facility is not changed as a fact."""
    facility = facility_of(world.get(Funding, event.deal), event.data.facility)
    if event.confirmed and not facility.confirmed:
        raise Refused(
            f"Facility {event.data.facility} is marked {facility.status}.",
            todo="Define the facility that was agreed, under another name.",
        )


@rule("FND-14", TrancheDefined, CommitmentChanged)
def one_unit_in_a_facility(world: World, event: Event[Any]) -> None:
    """A facility is in one currency, or in shares, throughout."""
    facility = facility_of(world.get(Funding, event.deal), event.data.facility)
    given = event.data
    if isinstance(given, TrancheDefined):
        amounts = (given.size, given.formula.amount)
    else:
        amounts = (given.old, given.new)
    for amount in amounts:
        if amount.unit != facility.unit:
            raise Refused(
                f"Facility {event.data.facility} is in {facility.unit}, not in "
                f"{amount.unit}: {amount}.",
            )


@rule("FND-02", FacilityDefined, CommitmentChanged)
def commitments_are_within_the_cap(world: World, event: Event[Any]) -> None:
    """The commitments of all money facilities together are within the funding cap."""
    terms = world.need(Agreement, event.deal).terms
    if terms is None or terms.funding_cap is None or not event.confirmed:
        return
    defines = isinstance(event.data, FacilityDefined)
    amount: Amount = event.data.commitment if defines else event.data.new
    if not amount.is_money:
        return
    if amount.unit != terms.funding_cap.unit:
        raise Refused(
            f"The funding cap is {terms.funding_cap}; {amount} cannot be held "
            "against it.",
            todo="State the commitment in the currency of the cap, or amend the cap.",
        )
    funding = world.get(Funding, event.deal)
    _within(terms.funding_cap, funding, {event.data.facility: amount})


@rule("FND-02", DefinitiveSigned, AmendmentTookEffect)
def cap_covers_the_commitments(world: World, event: Event[Any]) -> None:
    """A funding cap that is agreed covers the commitments that stand."""
    cap = event.data.terms.funding_cap
    if cap is None or not event.confirmed:
        return
    changed: dict[str, Amount] = {}
    if isinstance(event.data, AmendmentTookEffect):
        changed = commitments(event.data.changes)
    _within(cap, world.get(Funding, event.deal), changed)


def _within(cap: Amount, funding: Funding, changed: dict[str, Amount]) -> None:
    engaged = {
        name: funding.engaged(name)
        for name, facility in funding.facilities.items()
        if facility.confirmed
    }
    engaged.update(changed)
    # A facility that was closed without a payment takes up nothing of any cap.
    money = {n: amount for n, amount in engaged.items() if amount.is_money and amount}
    for name, amount in money.items():
        if amount.unit != cap.unit:
            raise Refused(
                f"The funding cap is {cap}; facility {name} of {amount} cannot be held "
                "against it.",
                todo="State the cap in the currency of the facilities, or close what "
                "is in another.",
                code="FND-02",
            )
    total = sum(money.values(), start=Amount.zero(cap.unit))
    if total > cap:
        raise Refused(
            f"Facilities total {total}; the funding cap is {cap}.",
            todo="Lower a commitment or close a facility, or amend a cap that is agreed.",
            code="FND-02",
        )


@rule("FND-16", TrancheDefined)
def tranche_is_sound(world: World, event: Event[Any]) -> None:
    """A tranche is defined once, with a number, a size, a formula that pays."""
    world.need(Agreement, event.deal)
    funding = world.get(Funding, event.deal)
    asked = event.data
    new("Tranche", funding, Tranche, asked.tranche)
    facility = facility_of(funding, asked.facility)
    mine = [
        tranche
        for tranche in funding.tranches_of(asked.facility)
        if tranche.confirmed == event.confirmed
    ]
    wrong = _pricing(asked.pricing)
    if facility.closed_on is not None:
        wrong = f"Facility {asked.facility} was closed on {facility.closed_on}."
    elif asked.number < 1 or asked.number in {t.defined.number for t in mine}:
        taken = ", ".join(str(t.defined.number) for t in mine) or "none"
        wrong = f"Number {asked.number} is not free from 1 up; taken are: {taken}."
    elif not asked.size or not asked.formula.amount or not _measure(asked.formula):
        wrong = f"A size of {asked.size} by {_shown(asked.formula)} unlocks nothing."
    elif asked.expires_on is not None and asked.expires_on < event.on:
        wrong = f"It would have expired on {asked.expires_on}, before {event.on}."
    if wrong:
        raise Refused(wrong)
    not_before(event, facility.defined_on, f"the definition of {asked.facility}")


def _measure(formula: Formula) -> bool:
    match formula:
        case Step(block=measure) | Linear(per=measure):
            return bool(measure)
    return True


def _shown(formula: Formula) -> str:
    match formula:
        case Step(block=measure) | Linear(per=measure):
            return f"{formula.amount} for {measure}"
    return f"{formula.amount} at once"


def _pricing(pricing: Pricing | None) -> str:
    match pricing:
        case Pricing(rule="fixed_per_share", price=None):
            return "A price fixed per share names the price."
        case Pricing(rule="fixed_pre_money", pre_money=None):
            return "A price fixed by valuation names the pre-money valuation."
    return ""


@rule("FND-16", TrancheDefined)
def trigger_is_sound(_: World, event: Event[Any]) -> None:
    """A trigger asks for something at each of its ends."""
    wrong = _senseless(event.data.trigger)
    if wrong:
        raise Refused(
            f"The trigger of {event.data.tranche} asks for nothing: {wrong}.",
            todo="Give each 'all' or 'any' at least one condition, and each "
            "condition a measure above zero.",
        )


def _senseless(trigger: Trigger) -> str:
    match trigger:
        case All(of=()) | AnyOf(of=()):
            return f"'{trigger.__struct_config__.tag}' of nothing"
        case All(of=children) | AnyOf(of=children):
            return next(filter(None, map(_senseless, children)), "")
        case CapacityCertified(at_least=least) | CapacityPurchased(at_least=least):
            return "" if least > Power(0) else f"capacity of at least {least}"
        case PriceAtLeast(price=price, days=days) if not price.value or days < 1:
            return f"a price of at least {price} over {days} days"
    return ""


@rule("FND-02", TrancheDefined)
def tranches_are_within_the_commitment(world: World, event: Event[Any]) -> None:
    """The sizes of a facility's tranches together are within its commitment."""
    funding = world.get(Funding, event.deal)
    facility = facility_of(funding, event.data.facility)
    taken = funding.reserved(event.data.facility, event.on, confirmed=event.confirmed)
    total = taken + event.data.size
    if total > facility.commitment:
        raise Refused(
            f"Tranches total {total}; commitment is {facility.commitment}.",
            todo="Give it a smaller size, or change the commitment.",
        )


@rule("FND-16", CommitmentChanged)
def change_names_its_cause(world: World, event: Event[Any]) -> None:
    """A commitment changes by an amendment in effect, or by a condition's outcome."""
    agreement = world.need(Agreement, event.deal)
    changed = event.data
    facility = facility_of(world.get(Funding, event.deal), changed.facility)
    if facility.closed_on is not None:
        raise Refused(
            f"Facility {changed.facility} was closed on {facility.closed_on}.",
        )
    if changed.old != facility.commitment or changed.new == changed.old:
        raise Refused(
            f"The commitment is {facility.commitment}; changing it from "
            f"{changed.old} to {changed.new} changes nothing.",
        )
    if not event.confirmed:
        return
    amendment = agreement.amendments.get(changed.cause)
    condition = agreement.conditions.get(changed.cause)
    if amendment is not None and amendment.state == "in_effect":
        for signature in amendment.signed:
            not_before(event, signature.on, f"the signatures of {changed.cause}")
    elif condition is not None and condition.state != "open":
        not_before(event, condition.on, f"the outcome of {changed.cause}")
    else:
        raise Refused(
            f"{changed.cause!r} is neither an amendment in effect nor a condition "
            "with an outcome.",
            todo="Name the one that changes the commitment.",
        )


@rule("FND-02", CommitmentChanged)
def commitment_covers_its_tranches(world: World, event: Event[Any]) -> None:
    """A commitment is not set below the sizes of its tranches."""
    funding = world.get(Funding, event.deal)
    total = funding.reserved(event.data.facility, event.on)
    if event.confirmed and event.data.new < total:
        raise Refused(
            f"Tranches total {total}; commitment would be {event.data.new}.",
            todo="Cancel a tranche first, or amend the commitment with 'relock'.",
        )


@rule("FND-01", CommitmentChanged)
def commitment_covers_what_is_unlocked(world: World, event: Event[Any]) -> None:
    """A commitment is not set below what is unlocked, paid or approved."""
    funding = world.get(Funding, event.deal)
    name, amount = event.data.facility, event.data.new
    unlocked, used = funding.unlocked(name), funding.used(name)
    if event.confirmed and amount < max(unlocked, used):
        raise Refused(
            f"{amount} is below what stands (unlocked {unlocked}, "
            f"paid {funding.paid(name)}, approved {funding.approved_unsettled(name)}).",
        )


@rule("FND-16", TrancheExpired, TrancheCancelled)
def tranche_can_end(world: World, event: Event[Any]) -> None:
    """A tranche ends once, while something of it is still locked."""
    tranche = tranche_of(world.get(Funding, event.deal), event.data.tranche)
    if tranche.ended is not None:
        raise Refused(
            f"Tranche {event.data.tranche} is {tranche.ended} since "
            f"{tranche.ended_on}.",
        )
    if event.confirmed and tranche.unlocked >= tranche.defined.size:
        raise Refused(
            f"Tranche {event.data.tranche} is unlocked in full: {tranche.unlocked}.",
        )
    not_before(event, tranche.defined_on, "its definition")
    not_before(event, tranche.moved_on, "its last unlock or re-lock")


@rule("FND-13", TrancheExpired)
def expiry_has_passed(world: World, event: Event[Any]) -> None:
    """A tranche expires after its last day, and not before."""
    tranche = tranche_of(world.get(Funding, event.deal), event.data.tranche)
    day = tranche.defined.expires_on
    if day is None or event.on <= day:
        last = f"runs to {day}" if day else "has no last day"
        raise Refused(
            f"Tranche {event.data.tranche} {last}; it has not expired on {event.on}.",
            todo="" if day else "Cancel it, if that is what was agreed.",
        )


@rule("FND-16", FacilityClosed)
def facility_can_close(world: World, event: Event[Any]) -> None:
    """A facility is closed once, by a party to it, with no drawdown under way."""
    funding = world.get(Funding, event.deal)
    name = event.data.facility
    facility = facility_of(funding, name)
    sides = (facility.defined.provider, facility.defined.recipient)
    total = funding.total(name)
    wrong = ""
    if facility.closed_on is not None:
        wrong = f"Facility {name} was closed on {facility.closed_on}."
    elif event.provenance.party not in sides:
        wrong = f"{event.provenance.party} cannot close it; {' or '.join(sides)} can."
    elif total.under_way:
        under_way = sorted(
            drawdown
            for drawdown, state in funding.drawdowns.items()
            if state.asked.facility == name and state.state in UNDER_WAY
        )
        wrong = f"Facility {name} has drawdowns under way: {', '.join(under_way)}."
    if wrong:
        raise Refused(wrong)
    not_before(event, facility.defined_on, "its definition")
    not_before(event, total.drawn_on, "its last drawdown")
