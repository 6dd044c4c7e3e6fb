"""Rules of the agreement's own life: AGR-02 to AGR-05, AGR-11 to AGR-15.

Amendments (AGR-06 to 08) are in `amendment.py`; what the agreement's state allows
elsewhere (AGR-01, AGR-09, AGR-10) is in `in_force.py`.

A report is a claim beside the state. Papers contradict each other, so that a report of
a step is refused only where the deal has ended as a confirmed fact; nor need the press
know every signature.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import (
    BINDING,
    Agreement,
    BecameEffective,
    Closed,
    Condition,
    ConditionDefined,
    ConditionFailed,
    ConditionSatisfied,
    ConditionWaived,
    DefinitiveSigned,
    Lapsed,
    Linked,
    LoiSigned,
    Opened,
    PlanBaselined,
    PlanForecast,
    Resumed,
    RightRecorded,
    RightReleased,
    StatementRecorded,
    Superseded,
    Suspended,
    Terminated,
    TerminationNoticeGiven,
    Terms,
)
from ledger.domain.certificate import unmeasured
from ledger.domain.event import Event, EventData
from ledger.domain.funding import UNDER_WAY, Funding, Total
from ledger.domain.system import System
from ledger.domain.triggers import All, AnyOf, CapacityCertified, Trigger
from ledger.errors import NotFound, Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule

NEEDED: Final[dict[type[EventData], frozenset[str]]] = {
    LoiSigned: frozenset({"draft"}),
    DefinitiveSigned: frozenset({"draft", "loi_signed"}),
    BecameEffective: frozenset({"definitive_signed"}),
    Suspended: BINDING,
    Resumed: BINDING,
    TerminationNoticeGiven: frozenset({"definitive_signed", "in_effect", "suspended"}),
    Terminated: frozenset({"terminating"}),
    Lapsed: frozenset({"draft", "loi_signed", "definitive_signed"}),
    Superseded: frozenset(
        {"draft", "loi_signed", "definitive_signed", "lapsed", "terminated"}
    )
    | BINDING,
    Closed: frozenset({"terminated", "lapsed", "superseded"}),
}
CONDITIONS: Final = (ConditionSatisfied, ConditionWaived, ConditionFailed)


@rule("AGR-14", Opened)
def opened_once(world: World, event: Event[Any]) -> None:
    """A deal is put on the record once, by two or more different parties."""
    if world.get(Agreement, event.deal).exists:
        raise Refused(
            f"Deal {event.deal!r} is already on the record.",
            todo="Choose another id, or go on with that one.",
        )
    capital, capacity = event.data.capital, event.data.capacity
    if not capital or not capacity or {*capital} == {*capacity}:
        raise Refused(
            f"A deal has two sides: capital {list(capital)}, capacity {list(capacity)}.",
            todo="Name at least one party on each, and not the same ones.",
        )


@rule("AGR-14", *NEEDED)
def state_allows(world: World, event: Event[Any]) -> None:
    """An agreement moves only along its states."""
    agreement = world.need(Agreement, event.deal).confirmed
    needed = NEEDED[type(event.data)]
    if not event.confirmed and not isinstance(event.data, LoiSigned):
        needed = needed | BINDING | {"draft", "loi_signed", "definitive_signed"}
    if agreement.state not in needed:
        raise Refused(
            f"{event.deal} is {agreement.state}; "
            f"{event.provenance.command!r} needs {' or '.join(sorted(needed))}.",
            todo="Its standing tells more.",
        ).hinting("show", deal=event.deal)


@rule("AGR-02", LoiSigned, DefinitiveSigned)
def every_party_signed(world: World, event: Event[Any]) -> None:
    """A definitive agreement, and a letter of intent, is signed by every party."""
    agreement = world.need(Agreement, event.deal)
    strangers = [s for s in event.data.signatories if s not in agreement.parties]
    if strangers:
        raise Refused(
            f"{', '.join(strangers)} signed, but the parties of {event.deal} are "
            f"{', '.join(agreement.parties)}.",
        )
    missing = [p for p in agreement.parties if p not in event.data.signatories]
    if missing and (event.confirmed or isinstance(event.data, LoiSigned)):
        raise Refused(
            f"Signature of {', '.join(missing)} is missing.",
            todo="Record it when every party has signed.",
        )


@rule("AGR-12", DefinitiveSigned)
def capacity_is_measurable(world: World, event: Event[Any]) -> None:
    """Definitive terms say how a gigawatt is measured, if a trigger uses capacity."""
    if not event.confirmed:
        return
    terms: Terms = event.data.terms
    funding = world.get(Funding, event.deal)
    uses = any(_uses_capacity(t.defined.trigger) for t in funding.tranches.values())
    if uses or terms.capacity_floor is not None:
        measurable(terms)


def measurable(terms: Terms) -> None:
    """Refuse terms on whose basis no capacity can be computed."""
    missing = unmeasured(terms)
    if missing:
        raise Refused(
            f"The terms do not say how a gigawatt is measured: "
            f"{', '.join(missing)} missing.",
            todo="capacity_basis is rated, critical_it (with overhead_ratio) "
            "or facility (with overhead_ratio and pue).",
            code="AGR-12",
        )


def _uses_capacity(trigger: Trigger) -> bool:
    if isinstance(trigger, All | AnyOf):
        return any(_uses_capacity(child) for child in trigger.of)
    return isinstance(trigger, CapacityCertified)


@rule("AGR-03", BecameEffective)
def conditions_are_met(world: World, event: Event[Any]) -> None:
    """In effect only when every agreement-scope condition is satisfied or waived."""
    if not event.confirmed:
        return
    agreement = world.need(Agreement, event.deal)
    mine = {n: c for n, c in agreement.conditions.items() if c.scope == "agreement"}
    still_open = sorted(name for name, condition in mine.items() if not condition.met)
    if still_open:
        count = len(still_open)
        raise Refused(
            f"{count} {'condition is' if count == 1 else 'conditions are'} open: "
            f"{', '.join(still_open)}.",
            todo="Satisfy or waive each first.",
        )
    not_before(event, agreement.signed_on, "the signature")
    for name, condition in mine.items():
        not_before(event, condition.on, f"condition {name}")


@rule("AGR-14", ConditionDefined)
def condition_is_new(world: World, event: Event[Any]) -> None:
    """A condition is defined once, while the agreement has not ended."""
    agreement = world.need(Agreement, event.deal)
    if event.data.condition in agreement.conditions:
        raise Refused(
            f"Condition {event.data.condition!r} is already defined.",
            todo="Choose another name.",
        )
    known_party(agreement, event.data.owner)
    known_party(agreement, event.data.waivable_by)


def known_party(agreement: Agreement, party: str | None) -> None:
    """Refuse a party that is none of the agreement's."""
    if party is not None and party not in agreement.parties:
        raise Refused(
            f"{party} is no party of {agreement.name}; "
            f"the parties are {', '.join(agreement.parties)}.",
            code="AGR-14",
        )


@rule("AGR-14", *CONDITIONS)
def condition_is_open(world: World, event: Event[Any]) -> None:
    """A condition is satisfied, waived or failed once, after it was defined."""
    condition = _condition(world, event)
    if condition.state != "open":
        raise Refused(
            f"{event.data.condition} is {condition.state} since {condition.on}.",
        )
    not_before(event, condition.on, "its definition")


@rule("AGR-04", ConditionWaived)
def waiver_is_theirs(world: World, event: Event[Any]) -> None:
    """A condition is waived only by the party named for it."""
    condition = _condition(world, event)
    party = event.provenance.party
    if condition.waivable_by is None:
        raise Refused(f"Nobody can waive {event.data.condition}; it must be satisfied.")
    if party != condition.waivable_by:
        raise Refused(
            f"{party} cannot waive {event.data.condition}; "
            f"only {condition.waivable_by} can.",
        )


@rule("AGR-05", ConditionSatisfied)
def before_long_stop(world: World, event: Event[Any]) -> None:
    """A condition past its long-stop date is not satisfied without an amendment."""
    condition = _condition(world, event)
    if condition.long_stop_on is not None and event.on > condition.long_stop_on:
        raise Refused(
            f"{event.data.condition} passed its long-stop date "
            f"{condition.long_stop_on}; this is effective {event.on}.",
            todo="Move the date by an amendment of "
            f"condition.{event.data.condition}.long_stop_on.",
        )


def _condition(world: World, event: Event[Any]) -> Condition:
    agreement = world.need(Agreement, event.deal)
    name = event.data.condition
    condition = agreement.conditions.get(name)
    if condition is None:
        known = ", ".join(sorted(agreement.conditions)) or "none"
        raise NotFound(f"Condition {name!r} is not on the record; known: {known}.")
    return condition


@rule("AGR-14", Suspended, Resumed)
def scopes_fit(world: World, event: Event[Any]) -> None:
    """What is suspended can be suspended no more, only resumed; and the reverse."""
    agreement = world.need(Agreement, event.deal)
    if not event.data.scopes:
        raise Refused("Name at least one scope: draw, delivery, milestone.")
    resumes = isinstance(event.data, Resumed)
    for scope in event.data.scopes:
        since = agreement.suspensions.get(scope)
        if resumes and since is None:
            raise Refused(f"{scope} is not suspended.")
        if not resumes and since is not None and event.confirmed:
            raise Refused(f"{scope} is suspended since {since.on} already.")
        if since is not None:
            not_before(event, since.on, f"the suspension of {scope}")


@rule("AGR-14", TerminationNoticeGiven, Terminated, Lapsed)
def ends_in_its_time(world: World, event: Event[Any]) -> None:
    """An agreement ends on its day: by notice, or by the expiry of its letter."""
    agreement = world.need(Agreement, event.deal)
    data = event.data
    if isinstance(data, TerminationNoticeGiven):
        known_party(agreement, data.by)
        if data.terminates_on < event.on:
            raise Refused(
                f"The notice of {event.on} cannot end it on {data.terminates_on}, "
                "before.",
            )
    elif isinstance(data, Terminated):
        _not_yet(event, agreement.terminates_on, "The notice runs to")
    elif all(c.state != "failed" for c in agreement.conditions.values()):
        _not_yet(event, agreement.loi_expires_on, "The letter of intent runs to")


def _not_yet(event: Event[Any], day: date | None, what: str) -> None:
    if event.confirmed and day is not None and event.on < day:
        raise Refused(f"{what} {day}; this is effective {event.on}.", code="AGR-14")


@rule("AGR-11", Superseded)
def successor_is_another(_: World, event: Event[Any]) -> None:
    """A superseded agreement names the one that replaces it."""
    if event.data.successor == event.deal:
        raise Refused(
            f"{event.deal} cannot replace itself.",
            todo="Name the agreement that replaces it.",
        )


@rule("AGR-13", Closed)
def nothing_is_open(world: World, event: Event[Any]) -> None:
    """Closed only without an open draw, a unit in transit or an overfunding."""
    if not event.confirmed:
        return
    funding = world.get(Funding, event.deal)
    items = []
    # There may be very many drawdowns: they are looked at only to name those.
    if any(total.under_way for total in funding.every(Total).values()):
        items += [
            f"drawdown {name} is {drawdown.state}"
            for name, drawdown in sorted(funding.drawdowns.items())
            if drawdown.state in UNDER_WAY
        ]
    items += [
        f"facility {name} is overfunded by {funding.excess(name)}"
        for name in sorted(funding.facilities)
        if funding.excess(name)
    ]
    items += [
        f"system {system.system} is in transit"
        for system in world.all(System, event.deal)
        if system.state == "shipped"
    ]
    if items:
        count = len(items)
        raise Refused(
            f"{count} {'item is' if count == 1 else 'items are'} still open: "
            f"{'; '.join(items)}.",
        )


@rule("AGR-14", RightRecorded, RightReleased, Linked, StatementRecorded)
def said_once(world: World, event: Event[Any]) -> None:
    """A right, a link or a statement is recorded once; a right released once."""
    agreement = world.need(Agreement, event.deal)
    wrong = ""
    match event.data:
        case RightRecorded(right=right) if right in agreement.rights:
            wrong = f"Right {right!r} is already on the record."
        case RightReleased(right=right) if right not in _held(agreement):
            known = ", ".join(_held(agreement)) or "none"
            wrong = f"Right {right!r} is not held; held are: {known}."
        case Linked(other=other) if other == event.deal:
            wrong = f"{event.deal} cannot be linked to itself."
        case Linked(relation=how, other=other) if _linked(agreement, how, other):
            wrong = f"{event.deal} is already linked: {how} {other}."
        case StatementRecorded(statement=name) if name in agreement.statements:
            wrong = f"Statement {name!r} is already on the record."
    if wrong:
        raise Refused(wrong)


def _held(agreement: Agreement) -> list[str]:
    return sorted(name for name, right in agreement.rights.items() if right.held)


def _linked(agreement: Agreement, relation: str, other: str) -> bool:
    link = agreement.links.get(f"{relation}/{other}")
    return link is not None and not link.implied


@rule("AGR-15", PlanBaselined, PlanForecast)
def plan_goes_up(world: World, event: Event[Any]) -> None:
    """A plan names months in order, with capacity in total, which never falls."""
    world.need(Agreement, event.deal)
    points = event.data.points
    if not points:
        raise Refused("A plan has at least one point.")
    for before, after in pairwise(points):
        if after.month <= before.month or after.capacity < before.capacity:
            raise Refused(
                f"{after.month} with {after.capacity} does not follow {before.month} "
                f"with {before.capacity}.",
                todo="Give months in order, each with the total reached by its end.",
            )
