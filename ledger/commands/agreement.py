"""Commands on an agreement: from the first entry of a deal to its close."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from ledger.commands.decision import Decision
from ledger.domain.agreement import (
    Agreement,
    AmendmentProposed,
    AmendmentSigned,
    AmendmentTookEffect,
    AmendmentWithdrawn,
    BecameEffective,
    Change,
    Closed,
    ConditionDefined,
    ConditionFailed,
    ConditionSatisfied,
    ConditionScope,
    ConditionWaived,
    DefinitiveSigned,
    Lapsed,
    Linked,
    LoiSigned,
    Opened,
    Relation,
    Resumed,
    RightKind,
    RightRecorded,
    RightReleased,
    Scope,
    StatementRecorded,
    Superseded,
    Suspended,
    Terminated,
    TerminationNoticeGiven,
    Terms,
)
from ledger.domain.event import Event, EventData
from ledger.domain.funding import (
    CommitmentChanged,
    Funding,
    Tranche,
    TrancheCancelled,
    TrancheRelocked,
)
from ledger.domain.terms import amended, commitments, old_value
from ledger.domain.values import Amount, Id, Slug
from ledger.errors import NotFound

ConditionId = Annotated[Id, "the condition"]
AmendmentId = Annotated[Id, "the amendment"]
Ground = Annotated[str, "on what ground"]


def open_(
    decision: Decision,
    *,
    title: Annotated[str, "what the deal is called"],
    capital: Annotated[tuple[Slug, ...], "a party that brings capital"],
    capacity: Annotated[tuple[Slug, ...], "a party that deploys capacity"],
    fictional: Annotated[bool, "the deal is made up; every view says so"] = False,
) -> None:
    """Put a deal on the record, with its parties.

    accord agreement open acme-orion --title "Acme and Orion" --capital acme --capacity orion
    """
    _record(
        decision,
        Opened(title=title, capital=capital, capacity=capacity, fictional=fictional),
    )


def sign_loi(
    decision: Decision,
    *,
    signatories: Annotated[tuple[Slug, ...], "a party that signed"],
    terms: Annotated[Terms, "the indicative terms"],
    binding_clauses: Annotated[
        tuple[str, ...], "a clause that binds all the same"
    ] = (),
    expires_on: Annotated[date | None, "the day on which the letter expires"] = None,
) -> None:
    """Record a signed letter of intent, with its indicative terms.

    Nothing in it commits money: its figures stand as announced.

    accord agreement sign-loi acme-orion --signatories acme --signatories orion --terms '{"capacity_floor": "1 GW", "funding_cap": "10bn USD"}'
    """
    _record(
        decision,
        LoiSigned(
            signatories=signatories,
            terms=terms,
            binding_clauses=binding_clauses,
            expires_on=expires_on,
        ),
    )


def sign_definitive(
    decision: Decision,
    *,
    signatories: Annotated[tuple[Slug, ...], "a party that signed"],
    terms: Annotated[Terms, "the terms agreed, version 1"],
) -> None:
    """Record the signed definitive agreement and its terms.

    accord agreement sign-definitive acme-orion --signatories acme --signatories orion --terms @terms.json --evidence '{"title": "Agreement", "kind": "signed_agreement"}'
    """
    _record(decision, DefinitiveSigned(signatories=signatories, terms=terms))


def define_condition(
    decision: Decision,
    condition: ConditionId,
    *,
    text: Annotated[str, "what must be so"],
    scope: Annotated[
        ConditionScope, "what waits for it: the agreement, a tranche, or every draw"
    ] = "agreement",
    owner: Annotated[Slug | None, "the party that has to bring it about"] = None,
    waivable_by: Annotated[Slug | None, "the party that may waive it"] = None,
    long_stop_on: Annotated[date | None, "the last day for it"] = None,
) -> None:
    """Lay down a condition precedent.

    accord agreement define-condition acme-orion merger-control --text "Cleared by the authority" --owner orion --waivable-by acme --long-stop-on 2027-03-31
    """
    _record(
        decision,
        ConditionDefined(
            condition=condition,
            text=text,
            scope=scope,
            owner=owner,
            waivable_by=waivable_by,
            long_stop_on=long_stop_on,
        ),
    )


def satisfy_condition(decision: Decision, condition: ConditionId) -> None:
    """Record that a condition was met.

    accord agreement satisfy-condition acme-orion merger-control
    """
    _record(decision, ConditionSatisfied(condition=condition))


def waive_condition(decision: Decision, condition: ConditionId) -> None:
    """Waive a condition, for the party entitled to.

    accord agreement waive-condition acme-orion merger-control --actor ann@acme
    """
    _record(decision, ConditionWaived(condition=condition))


def fail_condition(decision: Decision, condition: ConditionId) -> None:
    """Record that a condition failed.

    accord agreement fail-condition acme-orion merger-control --reason "Refused"
    """
    _record(decision, ConditionFailed(condition=condition))


def bring_into_effect(decision: Decision) -> None:
    """Record that the agreement came into effect; from here on it commits money.

    accord agreement bring-into-effect acme-orion
    """
    _record(decision, BecameEffective())


def propose_amendment(
    decision: Decision,
    amendment: AmendmentId,
    *,
    changes: Annotated[tuple[Change, ...], "a change: path and new value"],
    takes_effect_on: Annotated[date | None, "the earliest day of effect"] = None,
    relock: Annotated[bool, "it may lock again what is unlocked already"] = False,
) -> None:
    """Propose to change the terms in force.

    accord agreement propose-amendment acme-orion A1 --changes '{"path": "capacity_floor", "new": "2 GW"}'
    """
    agreement = decision.need(Agreement, decision.deal)
    funding = decision.get(Funding, decision.deal)
    if agreement.terms is not None:
        changes = tuple(
            msgspec.structs.replace(
                change, old=old_value(agreement, funding, change.path)
            )
            for change in changes
        )
        amended(agreement.terms, changes)  # Refuses what would not fit the terms.
    _record(
        decision,
        AmendmentProposed(
            amendment=amendment,
            changes=changes,
            written_for_version=agreement.terms_version,
            takes_effect_on=takes_effect_on,
            relock=relock,
        ),
    )


def sign_amendment(decision: Decision, amendment: AmendmentId) -> None:
    """Sign an amendment, for the actor's party.

    accord agreement sign-amendment acme-orion A1 --actor bo@orion
    """
    _record(
        decision,
        AmendmentSigned(amendment=amendment, party=Slug(decision.party)),
    )


def effect_amendment(decision: Decision, amendment: AmendmentId) -> None:
    """Bring an amendment that every party signed into effect.

    Commitments of facilities that it changes move in the same entry.

    accord agreement effect-amendment acme-orion A1
    """
    agreement = decision.need(Agreement, decision.deal)
    proposed = agreement.amendments.get(amendment)
    if proposed is None or agreement.terms is None:
        raise NotFound(f"Amendment {amendment!r} is not on the record.")
    effect = _record(
        decision,
        AmendmentTookEffect(
            amendment=amendment,
            terms_version=agreement.terms_version + 1,
            terms=amended(agreement.terms, proposed.changes),
            changes=proposed.changes,
        ),
    )
    for facility, new in commitments(proposed.changes).items():
        if proposed.relock and effect.confirmed:
            _relock(decision, effect, facility, new)
        _change_commitment(decision, effect, facility, new, amendment)


def withdraw_amendment(decision: Decision, amendment: AmendmentId) -> None:
    """Withdraw an amendment before it takes effect.

    accord agreement withdraw-amendment acme-orion A1 --reason "Superseded by A2"
    """
    _record(decision, AmendmentWithdrawn(amendment=amendment))


def suspend(
    decision: Decision,
    *,
    scopes: Annotated[tuple[Scope, ...], "what is suspended"],
    ground: Ground,
) -> None:
    """Suspend draws, deliveries or milestones.

    accord agreement suspend acme-orion --scopes draw --ground "Event of default"
    """
    _record(decision, Suspended(scopes=scopes, ground=ground))


def resume(
    decision: Decision,
    *,
    scopes: Annotated[tuple[Scope, ...], "what is resumed"],
) -> None:
    """Resume what was suspended.

    accord agreement resume acme-orion --scopes draw
    """
    _record(decision, Resumed(scopes=scopes))


def give_notice(
    decision: Decision,
    *,
    ground: Ground,
    terminates_on: Annotated[date, "the day on which the agreement is to end"],
) -> None:
    """Give notice of termination, for the actor's party.

    accord agreement give-notice acme-orion --ground "Clause 14" --terminates-on 2027-06-30
    """
    _record(
        decision,
        TerminationNoticeGiven(
            by=Slug(decision.party), ground=ground, terminates_on=terminates_on
        ),
    )


def terminate(decision: Decision, *, ground: Ground) -> None:
    """Record that the agreement ended; only winding down remains.

    accord agreement terminate acme-orion --ground "Notice of 2027-01-02 ran out"
    """
    _record(decision, Terminated(ground=ground))


def lapse(decision: Decision, *, ground: Ground) -> None:
    """Record that the agreement lapsed without coming into effect.

    accord agreement lapse acme-orion --ground "No definitive agreement by the expiry"
    """
    _record(decision, Lapsed(ground=ground))


def supersede(
    decision: Decision,
    *,
    successor: Annotated[Slug, "the deal that replaces this one"],
) -> None:
    """Record that another agreement took this one's place.

    No funds carry over by themselves. A reported supersession leaves the state and
    marks it disputed.

    accord agreement supersede acme-orion --successor acme-orion-2
    """
    _record(decision, Superseded(successor=successor))


def close(decision: Decision) -> None:
    """Close an agreement that has ended and is wound down.

    accord agreement close acme-orion
    """
    _record(decision, Closed())


def record_right(
    decision: Decision,
    right: Annotated[Id, "the right"],
    *,
    kind: Annotated[RightKind, "what kind of right"],
    holder: Annotated[Slug, "the party that holds it"],
    text: Annotated[str, "the right in words"],
    runs_from: Annotated[date | None, "its first day"] = None,
    runs_to: Annotated[date | None, "its last day"] = None,
    binding: Annotated[bool, "it binds, whatever else does not"] = False,
) -> None:
    """Record a right of a party, such as preferred partner or exclusivity.

    accord agreement record-right acme-orion first-call --kind first_refusal --holder acme --text "First call on new sites"
    """
    _record(
        decision,
        RightRecorded(
            right=right,
            kind=kind,
            holder=holder,
            text=text,
            runs_from=runs_from,
            runs_to=runs_to,
            binding=binding,
        ),
    )


def release_right(decision: Decision, right: Annotated[Id, "the right"]) -> None:
    """Record that a right was given up or taken away.

    accord agreement release-right acme-orion first-call
    """
    _record(decision, RightReleased(right=right))


def link(
    decision: Decision,
    *,
    relation: Annotated[Relation, "how this deal stands to the other"],
    other: Annotated[Slug, "the other deal, on this record or not"],
    note: Annotated[str | None, "a word about it"] = None,
) -> None:
    """Link this deal to another.

    accord agreement link acme-orion --relation depends_on --other orion-grid
    """
    _record(decision, Linked(relation=relation, other=other, note=note))


def record_statement(
    decision: Decision,
    statement: Annotated[Id, "a name for the statement"],
    *,
    speaker: Annotated[str, "who said it"],
    text: Annotated[str, "what was said, in your own words"],
    contradicts: Annotated[
        str | None, "what it contradicts: a statement's name, or an event's"
    ] = None,
) -> None:
    """Record what was said about the deal in public.

    accord agreement record-statement acme-orion ceo-2027 --speaker "Acme" --text "On track" --evidence '{"title": "Call", "grade": "S"}'
    """
    _record(
        decision,
        StatementRecorded(
            statement=statement, speaker=speaker, text=text, contradicts=contradicts
        ),
    )


def _record(decision: Decision, data: EventData) -> Event[EventData]:
    return decision.record(Agreement, decision.deal, data=data)


def _change_commitment(
    decision: Decision,
    effect: Event[EventData],
    name: str,
    new: Amount,
    amendment: str,
) -> None:
    funding = decision.get(Funding, decision.deal)
    facility = funding.facilities[name]
    decision.record(
        Funding,
        decision.deal,
        data=CommitmentChanged(
            facility=Id(name), old=facility.commitment, new=new, cause=amendment
        ),
        causation=effect.ref,
    )


def _relock(
    decision: Decision, effect: Event[EventData], name: str, new: Amount
) -> None:
    """Cancel tranches, last first, and lock again what of them is unlocked, until they fit."""
    funding = decision.get(Funding, decision.deal)
    for tranche in reversed(funding.tranches_of(name)):
        if funding.reserved(name, decision.on) <= new:
            return
        unlocked = funding.unlocked(name)
        if unlocked > new and tranche.unlocked:
            excess = min(unlocked - new, tranche.unlocked)
            _lock_again(decision, effect, tranche, excess)
        if tranche.ended is None:
            decision.record(
                Funding,
                decision.deal,
                data=TrancheCancelled(tranche=tranche.defined.tranche),
                causation=effect.ref,
            )


def _lock_again(
    decision: Decision, effect: Event[EventData], tranche: Tranche, excess: Amount
) -> None:
    left = tranche.unlocked - excess
    decision.record(
        Funding,
        decision.deal,
        data=TrancheRelocked(
            tranche=tranche.defined.tranche,
            facility=tranche.defined.facility,
            amount=excess,
            cumulative=left,
            # The amendment leaves the tranche this size, so that the formula,
            # clamped to it, gives what stays unlocked.
            size=left,
            certified=tranche.unlocked_certified,
            formula=tranche.defined.formula,
            inputs=(),
            terms_version=decision.need(Agreement, decision.deal).terms_version,
        ),
        causation=effect.ref,
    )
