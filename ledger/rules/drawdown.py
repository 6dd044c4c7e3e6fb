"""Rules of drawdowns, from request to payment: FND-01, FND-07 to FND-10, FND-15, FND-16.

A request must be within what is available now; the approval is what reserves it, so
that several requests may stand side by side, and FND-01 is asked again at each step.

Who records what (FND-08): the recipient requests and withdraws; the provider approves,
rejects and instructs; either of the two records what the bank did (settled, failed,
returned). Approver ≠ requester, instructor ≠ approver, recorder of the settlement ≠
instructor, by declared name. Roles and limits (REC-08: the role held at that time,
two approvers above a limit) belong beside `four_eyes`, and wait for their stream.
Suspension is AGR-09, in `in_force.py`.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Terms
from ledger.domain.books import Books, Calendar
from ledger.domain.event import Event, EventData
from ledger.domain.funding import (
    Allocation,
    ClawbackDemanded,
    ClawbackReceived,
    DisbursementFailed,
    DisbursementInstructed,
    DisbursementReturned,
    DisbursementSettled,
    Drawdown,
    DrawdownApproved,
    DrawdownRejected,
    DrawdownRequested,
    DrawdownState,
    DrawdownWithdrawn,
    EquityCancelled,
    EquityIssued,
    FacilityClosed,
    Funding,
    OverfundingWaived,
    TrueUpPosted,
)
from ledger.domain.observation import Observations
from ledger.domain.provenance import same_person
from ledger.domain.values import Amount
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.lookup import drawdown_of, facility_of, new, tranche_of
from ledger.rules.registry import rule

NEEDED: Final[dict[type[EventData], frozenset[DrawdownState]]] = {
    DrawdownApproved: frozenset({"requested"}),
    DrawdownRejected: frozenset({"requested", "approved"}),
    DrawdownWithdrawn: frozenset({"requested", "approved"}),
    DisbursementInstructed: frozenset({"approved"}),
    DisbursementSettled: frozenset({"instructed"}),
    DisbursementFailed: frozenset({"instructed"}),
    DisbursementReturned: frozenset({"settled"}),
}
# Whose act it is: the provider's, the recipient's, or for either to record.
BY_PROVIDER: Final = (DrawdownApproved, DrawdownRejected, DisbursementInstructed)
BY_RECIPIENT: Final = (DrawdownRequested, DrawdownWithdrawn)
BY_EITHER: Final = (DisbursementSettled, DisbursementFailed, DisbursementReturned)
# The step whose person may not also do this one.
ANOTHER: Final[dict[type[EventData], tuple[DrawdownState, str, str]]] = {
    DrawdownApproved: ("requested", "made this request", "approver"),
    DisbursementInstructed: ("approved", "approved this drawdown", "instructor"),
    DisbursementSettled: ("instructed", "instructed this payment", "recorder"),
}
DRAWS: Final = (DrawdownRequested, DrawdownApproved, DisbursementInstructed)
PAYMENTS: Final = (
    DisbursementSettled,
    DisbursementReturned,
    ClawbackReceived,
    TrueUpPosted,
)


@rule(
    "FND-15",
    DrawdownRequested,
    *NEEDED,
    EquityIssued,
    EquityCancelled,
    OverfundingWaived,
    ClawbackDemanded,
    ClawbackReceived,
    TrueUpPosted,
    FacilityClosed,
)
def only_confirmed_facts_move_money(_: World, event: Event[Any]) -> None:
    """What is only reported or disputed neither draws, pays nor returns money."""
    if event.confirmed:
        return
    titles = ", ".join(item.title for item in event.provenance.evidence)
    raise Refused(
        f"{titles or 'This entry'} is marked {event.provenance.status}.",
        todo="Record it as a statement ('agreement record-statement') until it is "
        "confirmed.",
    )


@rule("FND-16", DrawdownRequested)
def request_is_sound(world: World, event: Event[Any]) -> None:
    """A drawdown is requested once, of an open facility of money, tranche by tranche."""
    funding = world.get(Funding, event.deal)
    asked = event.data
    new("Drawdown", funding, Drawdown, asked.drawdown)
    facility = facility_of(funding, asked.facility)
    wrong = ""
    if facility.defined.instrument == "warrant":
        wrong = f"{asked.facility} is a warrant; its exercise is later."
    elif facility.closed_on is not None:
        wrong = f"Facility {asked.facility} was closed on {facility.closed_on}."
    elif not asked.allocations:
        wrong = "A drawdown is taken from at least one tranche."
    elif asked.value_on < event.on:
        wrong = f"The value date {asked.value_on} is before the request, {event.on}."
    if wrong:
        raise Refused(wrong)
    not_before(event, facility.defined_on, f"the definition of {asked.facility}")
    seen: set[str] = set()
    for part in asked.allocations:
        tranche = tranche_of(funding, part.tranche)
        if tranche.defined.facility != asked.facility:
            wrong = f"Tranche {part.tranche} is of {tranche.defined.facility}."
        elif part.tranche in seen:
            wrong = f"Tranche {part.tranche} stands twice in {asked.drawdown}."
        elif not part.amount:
            wrong = f"{part.amount} of {part.tranche} draws nothing."
        if wrong:
            raise Refused(wrong, todo="Name each tranche once.")
        seen.add(part.tranche)
        not_before(event, tranche.unlocked_on, f"the unlock of {part.tranche}")


@rule("FND-14", DrawdownRequested)
def drawn_in_the_facilitys_currency(world: World, event: Event[Any]) -> None:
    """A drawdown is in the one currency of its facility, and adds up."""
    asked = event.data
    facility = facility_of(world.get(Funding, event.deal), asked.facility)
    for amount in (asked.amount, *(part.amount for part in asked.allocations)):
        if amount.unit != facility.unit:
            raise Refused(f"Facility is in {facility.unit}; {amount} is not.")
    parts = (part.amount for part in asked.allocations)
    total = sum(parts, start=Amount.zero(facility.unit))
    if total != asked.amount:
        raise Refused(f"The parts add up to {total}, not {asked.amount}.")


@rule("FND-10", DisbursementSettled)
def settled_once(world: World, event: Event[Any]) -> None:
    """A payment is settled once, in just the amount and currency approved."""
    drawdown = _drawdown(world, event)
    name, paid = event.data.drawdown, event.data.amount
    if drawdown.state in {"settled", "returned"}:
        raise Refused(f"{name} was settled on {drawdown.on['settled']}.")
    if paid != drawdown.amount:
        raise Refused(
            f"{paid} was paid; {drawdown.amount} was approved for {name}.",
            todo="Record the failure, and request what is to be paid.",
        )


@rule("FND-10", *PAYMENTS)
def bank_reference_is_new(world: World, event: Event[Any]) -> None:
    """A bank's reference stands for one payment, and is never left blank."""
    ref = event.data.bank_ref.strip()
    if not ref:
        raise Refused("The payment has no bank reference.")
    known = world.get(Funding, event.deal).payment(ref)
    if known is not None:
        raise Refused(
            f"Payment {known.bank_ref} is already recorded.",
            todo="Check the reference on the bank's own paper.",
        )


@rule("FND-16", *NEEDED)
def drawdown_state_allows(world: World, event: Event[Any]) -> None:
    """A drawdown moves only along its states."""
    drawdown = _drawdown(world, event)
    needed = NEEDED[type(event.data)]
    if drawdown.state not in needed:
        raise Refused(
            f"Drawdown {event.data.drawdown} is {drawdown.state}; "
            f"{event.provenance.command!r} needs {' or '.join(sorted(needed))}.",
        )
    not_before(event, drawdown.last_on, f"its being {drawdown.state}")
    if isinstance(event.data, DisbursementSettled):
        day = event.data.value_on
        if not drawdown.last_on <= day <= event.on:
            raise Refused(
                f"The value date {day} does not lie between the instruction on "
                f"{drawdown.last_on} and the settlement on {event.on}.",
            )


@rule("FND-08", *BY_PROVIDER, *BY_RECIPIENT, *BY_EITHER)
def acts_for_its_side(world: World, event: Event[Any]) -> None:
    """The recipient requests, the provider approves and pays, either records the bank."""
    funding = world.get(Funding, event.deal)
    if isinstance(event.data, DrawdownRequested):
        defined = facility_of(funding, event.data.facility).defined
    else:
        asked = _drawdown(world, event).asked
        defined = facility_of(funding, asked.facility).defined
    if isinstance(event.data, BY_PROVIDER):
        entitled: tuple[str, ...] = (defined.provider,)
    elif isinstance(event.data, BY_RECIPIENT):
        entitled = (defined.recipient,)
    else:
        entitled = (defined.provider, defined.recipient)
    if event.provenance.party not in entitled:
        raise Refused(
            f"{event.provenance.command!r} is for {' or '.join(entitled)}; "
            f"you act for {event.provenance.party}.",
        )


@rule("FND-08", *ANOTHER)
def four_eyes(world: World, event: Event[Any]) -> None:
    """Who requested does not approve, who approved does not pay, who paid does not settle."""
    step, did, role = ANOTHER[type(event.data)]
    before = _drawdown(world, event).by.get(step)
    if before is not None and same_person(before, event.provenance.actor):
        raise Refused(
            f"You {did}. Another {role} is needed.",
            todo=f"Somebody other than {before} records it.",
        )


@rule("FND-09", *DRAWS)
def draw_conditions_hold(world: World, event: Event[Any]) -> None:
    """Each step of a draw needs every draw condition met, and no open default."""
    observed = world.get(Observations, event.deal)
    if observed.defaults:
        name, (since, party, ground) = next(iter(observed.defaults.items()))
        raise Refused(
            f"Default {name} of {party} is open since {since}: {ground}.",
            todo="Record its cure first.",
        )
    for name, condition in world.need(Agreement, event.deal).conditions.items():
        if condition.scope != "draw":
            continue
        if not condition.met:
            raise Refused(
                f"{name} is not met for this draw; it is {condition.state}.",
                todo="Satisfy or waive it first.",
            )
        not_before(event, condition.on, f"condition {name}")


@rule("FND-07", DrawdownRequested)
def value_date_is_available(world: World, event: Event[Any]) -> None:
    """The value date lies in the facility's availability period."""
    asked, funding = event.data, world.get(Funding, event.deal)
    defined = facility_of(funding, asked.facility).defined
    first, last = defined.available_from, defined.available_to
    if (first and asked.value_on < first) or (last and asked.value_on > last):
        raise Refused(
            f"The value date {asked.value_on} is outside the availability of "
            f"{asked.facility}: {first or 'the beginning'} to {last or 'no end'}.",
            todo="Ask for a value date within it, or have it extended.",
        )


@rule("FND-07", DrawdownRequested)
def value_date_is_a_business_day_after_notice(world: World, event: Event[Any]) -> None:
    """The value date is a business day, with the notice that the terms ask for.

    Where the terms name neither a calendar nor a notice, any day will do.
    """
    days, name, calendar = business_days(world, event.deal)
    if not days and name is None:
        return
    if calendar is None:
        raise Refused(
            f"The terms count business days in the calendar {name}, which is not on "
            "the record.",
            todo=f"Record it with 'calendar record-holidays', as {name}.",
        )
    value_on, earliest = event.data.value_on, calendar.after(event.on, days)
    if value_on < earliest:
        raise Refused(
            f"The value date {value_on} is too early for a request on {event.on}. "
            f"Earliest value date is {earliest} ({days} business days).",
        )
    if not calendar.is_business_day(value_on):
        raise Refused(
            f"The value date {value_on} is no business day"
            f"{f' of {name}' if name else ''}; the next is "
            f"{calendar.next_business_day(value_on)}.",
        )


def business_days(world: World, deal: str) -> tuple[int, str | None, Calendar | None]:
    """The notice that the terms ask for, in business days, and of which calendar.

    The calendar is None where the terms name one that is not on the record.
    """
    terms = world.need(Agreement, deal).terms or Terms()
    name = terms.calendar
    if name is None:
        return terms.notice_business_days, None, Calendar()
    known = world.get(Books, deal).calendars.get(name)
    return terms.notice_business_days, name, known


@rule("FND-01", DrawdownRequested, DrawdownApproved)
def draw_is_within_what_is_available(world: World, event: Event[Any]) -> None:
    """A draw is within what is unlocked and neither paid nor approved already."""
    funding = world.get(Funding, event.deal)
    asked = event.data
    if not isinstance(asked, DrawdownRequested):
        asked = _drawdown(world, event).asked
    available = funding.available(asked.facility)
    if asked.amount > available:
        raise Refused(
            f"{asked.amount} exceeds available {available} "
            f"({standing(funding, asked.facility)}).",
        )
    for part in asked.allocations:
        _room(funding, part, part.amount)


@rule("FND-01", DisbursementInstructed)
def payment_is_still_covered(world: World, event: Event[Any]) -> None:
    """A payment is instructed only while what is unlocked still covers it."""
    funding = world.get(Funding, event.deal)
    asked = _drawdown(world, event).asked
    used, unlocked = funding.used(asked.facility), funding.unlocked(asked.facility)
    if used > unlocked:
        raise Refused(
            f"{asked.amount} is no longer covered: {used - unlocked} too much is "
            f"paid or approved ({standing(funding, asked.facility)}).",
            todo="Withdraw or reject a drawdown, or certify more capacity.",
        )
    for part in asked.allocations:
        _room(funding, part, Amount.zero(part.amount.unit))


def _room(funding: Funding, part: Allocation, more: Amount) -> None:
    unlocked = tranche_of(funding, part.tranche).unlocked
    drawn = funding.drawn(part.tranche)
    if drawn + more > unlocked:
        raise Refused(
            f"{part.amount} exceeds what tranche {part.tranche} has left "
            f"(unlocked {unlocked}, drawn {drawn}).",
            code="FND-01",
        )


def standing(funding: Funding, facility: str) -> str:
    """The figures behind what is available of a facility."""
    return (
        f"unlocked {funding.unlocked(facility)}, paid {funding.paid(facility)}, "
        f"approved {funding.approved_unsettled(facility)}"
    )


@rule("FND-14", DisbursementReturned)
def returned_in_the_currency_paid(world: World, event: Event[Any]) -> None:
    """What comes back is in the currency that was paid."""
    unit, back = _drawdown(world, event).amount.unit, event.data.amount
    if back.unit != unit:
        raise Refused(f"Facility is in {unit}; {back} is not.")


@rule("FND-01", DisbursementReturned)
def no_more_comes_back_than_was_paid(world: World, event: Event[Any]) -> None:
    """What is returned of a payment is no more than what of it is still paid."""
    funding = world.get(Funding, event.deal)
    drawdown, back = _drawdown(world, event), event.data.amount
    left = min(
        drawdown.amount - drawdown.returned, funding.paid(drawdown.asked.facility)
    )
    if not back or back > left:
        raise Refused(
            f"{back} cannot come back of {event.data.drawdown}: {left} is still paid.",
        )


def _drawdown(world: World, event: Event[Any]) -> Drawdown:
    return drawdown_of(world.get(Funding, event.deal), event.data.drawdown)
