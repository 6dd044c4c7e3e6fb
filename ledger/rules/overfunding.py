"""Rules of overfunding and its cure: FND-12, and FND-01 below the line.

Only a revocation makes paid exceed unlocked. It is accepted and flagged; no new draw
is requested, approved or instructed until new capacity, money that comes back, or the
provider's waiver has cured it. A waiver forgives what was paid, and unlocks nothing.

Who records what: the provider demands and waives; either side records what the bank
did, and a true-up.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.event import Event
from ledger.domain.funding import (
    Clawback,
    ClawbackDemanded,
    ClawbackReceived,
    DisbursementInstructed,
    DrawdownApproved,
    DrawdownRequested,
    Funding,
    OverfundingCured,
    OverfundingDeclared,
    OverfundingWaived,
    TrueUp,
    TrueUpPosted,
)
from ledger.domain.values import Amount
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.lookup import clawback_of, drawdown_of, facility_of, new
from ledger.rules.registry import rule

CURES: Final = (OverfundingWaived, ClawbackDemanded, ClawbackReceived, TrueUpPosted)


@rule("FND-12", DrawdownRequested, DrawdownApproved, DisbursementInstructed)
def no_draws_while_overfunded(world: World, event: Event[Any]) -> None:
    """While more is paid than is unlocked or waived, new draws are blocked."""
    funding = world.get(Funding, event.deal)
    if isinstance(event.data, DrawdownRequested):
        name = event.data.facility
    else:
        name = drawdown_of(funding, event.data.drawdown).asked.facility
    if facility_of(funding, name).overfunded_since is not None:
        raise Refused(
            f"Paid {funding.paid(name)} is {funding.excess(name)} above unlocked "
            f"{funding.unlocked(name)}. New draws are blocked.",
            todo="Cure it by new capacity, clawback, true-up or the provider's waiver.",
        )


@rule("FND-12", OverfundingDeclared)
def declared_with_its_figures(world: World, event: Event[Any]) -> None:
    """An overfunding is declared with what is paid, unlocked, and in excess."""
    funding = world.get(Funding, event.deal)
    name = event.data.facility
    facility_of(funding, name)
    found = (funding.paid(name), funding.unlocked(name), funding.excess(name))
    given = (event.data.paid, event.data.unlocked, event.data.excess)
    if given != found or not event.data.excess:
        raise Refused(
            f"Facility {name} has paid {found[0]}, unlocked {found[1]}, in excess "
            f"{found[2]}; not {event.data.excess}.",
        )


@rule("FND-12", OverfundingCured)
def cured_when_nothing_is_in_excess(world: World, event: Event[Any]) -> None:
    """An overfunding is cured when nothing is in excess any more."""
    funding = world.get(Funding, event.deal)
    facility = facility_of(funding, event.data.facility)
    excess = funding.excess(event.data.facility)
    if facility.overfunded_since is None or excess:
        raise Refused(
            f"Facility {event.data.facility} is overfunded since "
            f"{facility.overfunded_since}, by {excess}.",
        )


@rule("FND-16", *CURES)
def cure_is_sound(world: World, event: Event[Any]) -> None:
    """A waiver, demand, receipt or true-up is new, of a facility, for more than nothing."""
    funding = world.get(Funding, event.deal)
    given = event.data
    if isinstance(given, ClawbackDemanded):
        new("Clawback", funding, Clawback, given.clawback)
    if isinstance(given, TrueUpPosted):
        new("True-up", funding, TrueUp, given.true_up)
    facility = facility_of(funding, given.facility)
    if isinstance(given, ClawbackReceived):
        clawback = clawback_of(funding, given.clawback)
        if clawback.facility != given.facility:
            raise Refused(
                f"Clawback {given.clawback} is of {clawback.facility}, "
                f"not {given.facility}.",
            )
        not_before(event, clawback.demanded_on, "the demand")
    if not given.amount:
        raise Refused(f"{given.amount} moves nothing.")
    not_before(event, facility.defined_on, f"the definition of {given.facility}")
    if isinstance(given, OverfundingWaived):
        not_before(event, facility.overfunded_since, "the overfunding")
    if isinstance(given, ClawbackDemanded) and (given.due_on or event.on) < event.on:
        raise Refused(f"It would have been due on {given.due_on}, before the demand.")


@rule("FND-14", *CURES)
def cured_in_the_facilitys_currency(world: World, event: Event[Any]) -> None:
    """What cures a facility is in its one currency."""
    facility = facility_of(world.get(Funding, event.deal), event.data.facility)
    if event.data.amount.unit != facility.unit:
        raise Refused(f"Facility is in {facility.unit}; {event.data.amount} is not.")


@rule("FND-08", *CURES)
def cured_by_its_sides(world: World, event: Event[Any]) -> None:
    """The provider demands and waives; either side records the bank and a true-up."""
    funding = world.get(Funding, event.deal)
    defined = facility_of(funding, event.data.facility).defined
    entitled: tuple[str, ...] = (defined.provider, defined.recipient)
    if isinstance(event.data, OverfundingWaived | ClawbackDemanded):
        entitled = (defined.provider,)
    if event.provenance.party not in entitled:
        raise Refused(
            f"{event.provenance.command!r} is for {' or '.join(entitled)}; "
            f"you act for {event.provenance.party}.",
        )


@rule("FND-12", OverfundingWaived)
def no_more_is_waived_than_the_excess(world: World, event: Event[Any]) -> None:
    """A waiver covers no more than what is paid in excess."""
    excess = world.get(Funding, event.deal).excess(event.data.facility)
    if event.data.amount > excess:
        raise Refused(
            f"{event.data.amount} exceeds the excess of {excess} "
            f"of {event.data.facility}.",
            todo="Waive what is in excess, or a part of it.",
        )


@rule("FND-01", ClawbackDemanded, ClawbackReceived, TrueUpPosted)
def paid_stays_within_its_bounds(world: World, event: Event[Any]) -> None:
    """What is paid, net, stays between nothing and what is unlocked."""
    funding = world.get(Funding, event.deal)
    given, name = event.data, event.data.facility
    paid = funding.paid(name)
    match given:
        case ClawbackDemanded():
            most, of = paid - funding.total(name).demanded, "paid and not yet demanded"
        case ClawbackReceived(clawback=clawback):
            demand = clawback_of(funding, clawback)
            most, of = min(paid, funding.outstanding(demand)), "demanded and paid"
        case TrueUpPosted(direction="to_provider"):
            most, of = paid, "paid"
        case _:
            most, of = funding.available(name), "available"
    if given.amount > most:
        raise Refused(
            f"{given.amount} exceeds {max(most, Amount.zero(most.unit))} {of} "
            f"of {name} (unlocked {funding.unlocked(name)}, paid {paid}, "
            f"approved {funding.approved_unsettled(name)}).",
        )
