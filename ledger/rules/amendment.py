"""Rules of amendments: AGR-06 to AGR-08."""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.agreement import (
    Agreement,
    Amendment,
    AmendmentProposed,
    AmendmentSigned,
    AmendmentTookEffect,
    AmendmentWithdrawn,
)
from ledger.domain.event import Event
from ledger.domain.funding import Funding
from ledger.domain.terms import commitments
from ledger.domain.values import Amount
from ledger.errors import NotFound, Refused
from ledger.rules.agreement import known_party, measurable
from ledger.rules.dates import not_before
from ledger.rules.registry import rule


@rule("AGR-14", AmendmentProposed)
def amends_what_is_agreed(world: World, event: Event[Any]) -> None:
    """An amendment is proposed once, with changes, to definitive terms."""
    agreement = world.need(Agreement, event.deal)
    if agreement.terms is None:
        raise Refused(
            f"{event.deal} is {agreement.state}: there are no definitive terms to amend.",
        )
    if event.data.amendment in agreement.amendments:
        raise Refused(f"Amendment {event.data.amendment!r} is already on the record.")
    if not event.data.changes:
        raise Refused("An amendment changes at least one thing.")


@rule("AGR-06", AmendmentSigned, AmendmentTookEffect, AmendmentWithdrawn)
def amendment_is_pending(world: World, event: Event[Any]) -> None:
    """Only a pending amendment is signed, withdrawn or brought into effect."""
    agreement, amendment = _amendment(world, event)
    if amendment.state != "proposed":
        raise Refused(f"Amendment {event.data.amendment} is {amendment.state} already.")
    if isinstance(event.data, AmendmentSigned):
        party = event.data.party
        known_party(agreement, party)
        day = amendment.signed_on(party)
        if day is not None:
            raise Refused(f"{party} signed it on {day} already.")


@rule("AGR-06", AmendmentTookEffect)
def all_signed(world: World, event: Event[Any]) -> None:
    """An amendment takes effect when all signed, on the terms it was written for."""
    agreement, amendment = _amendment(world, event)
    waiting = amendment.waits_for(agreement.parties)
    if waiting and event.confirmed:
        signed = ", ".join(sorted(one.party for one in amendment.signed)) or "nobody"
        raise Refused(f"Signed by {signed}, waiting for {', '.join(waiting)}.")
    if amendment.written_for_version != agreement.terms_version:
        raise Refused(
            f"Terms changed since version {amendment.written_for_version}; "
            f"they are at version {agreement.terms_version}.",
            todo="Propose it again.",
        )
    for signature in amendment.signed:
        not_before(event, signature.on, f"the signature of {signature.party}")
    not_before(event, amendment.takes_effect_on, "its day of effect")
    if event.data.terms.capacity_floor is not None:
        measurable(event.data.terms)


@rule("AGR-07", AmendmentProposed, AmendmentTookEffect)
def commitments_keep_their_unit(world: World, event: Event[Any]) -> None:
    """The commitment of a facility is changed in the facility's own unit."""
    funding = world.get(Funding, event.deal)
    for name, cap in _caps(funding, event).items():
        unit = funding.facilities[name].unit
        if cap.unit != unit:
            raise Refused(f"Facility {name} is in {unit}, not in {cap.unit}: {cap}.")


@rule("AGR-07", AmendmentTookEffect)
def cap_covers_what_is_used(world: World, event: Event[Any]) -> None:
    """A cap is not set below what is paid, or approved and unsettled.

    Nor is it set in a currency in which that cannot be held against it.
    """
    funding = world.get(Funding, event.deal)
    for name, cap in _caps(funding, event).items():
        _covers(cap, [funding.used(name)])
    cap = event.data.terms.funding_cap
    if cap is not None and any(c.path == "funding_cap" for c in event.data.changes):
        money = (n for n, one in funding.facilities.items() if one.commitment.is_money)
        _covers(cap, [funding.used(name) for name in money])


def _covers(cap: Amount, amounts: list[Amount]) -> None:
    total = Amount.zero(cap.unit)
    for used in amounts:
        if used.unit == cap.unit:
            total += used
        elif used:
            raise Refused(
                f"Cap {cap} cannot be held against {used} already paid or approved.",
                todo=f"State the cap in {used.unit}.",
                code="AGR-07",
            )
    if cap < total:
        raise Refused(
            f"Cap {cap} is below {total} already paid or approved.", code="AGR-07"
        )


@rule("AGR-08", AmendmentTookEffect)
def unlocked_stays_unlocked(world: World, event: Event[Any]) -> None:
    """An amendment lowers what is unlocked only if it says so."""
    funding = world.get(Funding, event.deal)
    _, amendment = _amendment(world, event)
    for name, cap in _caps(funding, event).items():
        unlocked = funding.unlocked(name)
        if cap < unlocked and not amendment.relock:
            raise Refused(
                f"This would lock {unlocked - cap} already unlocked.",
                todo="Mark the change as a re-lock: propose it with 'relock'.",
            )


def _caps(funding: Funding, event: Event[Any]) -> dict[str, Amount]:
    caps = commitments(event.data.changes)
    return {name: cap for name, cap in caps.items() if name in funding.facilities}


def _amendment(world: World, event: Event[Any]) -> tuple[Agreement, Amendment]:
    agreement = world.need(Agreement, event.deal)
    amendment = agreement.amendments.get(event.data.amendment)
    if amendment is None:
        known = ", ".join(sorted(agreement.amendments)) or "none"
        raise NotFound(
            f"Amendment {event.data.amendment!r} is not on the record; known: {known}."
        )
    return agreement, amendment
