"""Rules of the roadmap: MIL-01 to MIL-07.

MIL-04 is in the aggregate: new evidence voids the sign-offs. MIL-05 is its question
`unlocks`. A report of the achievement of a confirmed milestone needs neither evidence
nor sign-offs: it is a claim, and says nothing of how it came about.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement
from ledger.domain.event import Event, EventData
from ledger.domain.milestone import (
    Achieved,
    Agreed,
    Cancelled,
    Disputed,
    DisputeSettled,
    EvidenceSubmitted,
    Metric,
    Milestone,
    Missed,
    Proposed,
    Rebaselined,
    Rescheduled,
    SignedOff,
    Waived,
)
from ledger.domain.provenance import same_person
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule

UNDER_WAY: Final = frozenset({"proposed", "agreed", "evidenced"})
NEEDED: Final[dict[type[EventData], frozenset[str]]] = {
    Agreed: frozenset({"proposed"}),
    Rescheduled: UNDER_WAY,
    Rebaselined: UNDER_WAY | {"missed"},
    EvidenceSubmitted: frozenset({"agreed", "evidenced"}),
    SignedOff: frozenset({"evidenced"}),
    Achieved: frozenset({"evidenced"}),
    Disputed: frozenset({"agreed", "evidenced", "achieved", "missed"}),
    DisputeSettled: frozenset({"disputed"}),
    Missed: UNDER_WAY,
    Waived: UNDER_WAY | {"missed"},
    Cancelled: UNDER_WAY | {"missed"},
}
# States short of these that MIL-01 and MIL-02 refuse, with a better sentence.
JUDGED_THERE: Final[dict[type[EventData], frozenset[str]]] = {
    EvidenceSubmitted: frozenset({"proposed"}),
    SignedOff: frozenset({"proposed", "agreed"}),
    Achieved: frozenset({"proposed", "agreed"}),
}
ENDED: Final = frozenset({"waived", "cancelled"})


@rule("MIL-07", Proposed)
def proposed_once(world: World, event: Event[Any]) -> None:
    """A milestone is proposed once; what changes later is re-baselined."""
    name = _name(event)
    if world.get(Milestone, event.deal, name).state != "none":
        raise Refused(
            f"Milestone {name!r} is already on the record.",
            todo="Re-baseline it, or choose another name.",
        )


@rule("MIL-01", Proposed)
def proposed_among_parties(world: World, event: Event[Any]) -> None:
    """A party proposes, and owns; anybody else notes a proposal with its evidence."""
    agreement = world.need(Agreement, event.deal)
    _of_the_agreement(agreement, event.data.owner, "owns it")
    if not event.provenance.evidence:
        _of_the_agreement(agreement, event.provenance.party, "proposes it")


def _of_the_agreement(agreement: Agreement, party: str, does: str) -> None:
    if party not in agreement.parties:
        raise Refused(
            f"{party} {does}, but the parties of {agreement.name} are "
            f"{', '.join(agreement.parties)}.",
            todo="Act for one of them.",
            code="MIL-01",
        )


@rule("MIL-07", *NEEDED)
def milestone_state_allows(world: World, event: Event[Any]) -> None:
    """A milestone moves only along its states."""
    milestone = _milestone(world, event)
    needed = NEEDED[type(event.data)]
    if milestone.state in needed | JUDGED_THERE.get(type(event.data), frozenset()):
        return
    claim = _is_claim(milestone, event)
    if claim and milestone.state not in ENDED and isinstance(event.data, Achieved):
        return
    if milestone.state == "none":
        raise Refused(
            f"Milestone {milestone.name} is known only from a report.",
            todo="Propose it, as a confirmed fact, first.",
        )
    raise Refused(
        f"Milestone {milestone.name} is {milestone.state}; "
        f"{event.provenance.command!r} needs {' or '.join(sorted(needed))}.",
        todo="Its history tells how it came there.",
    ).hinting("history", deal=event.deal)


@rule("MIL-01", Agreed)
def agreed_once_by_a_party(world: World, event: Event[Any]) -> None:
    """Each party of the agreement agrees to the definition, once; all have to."""
    agreement, agreed = world.need(Agreement, event.deal), event.data
    _of_the_agreement(agreement, agreed.party, "agrees")
    if agreed.party in _milestone(world, event).agreed_by:
        raise Refused(f"{agreed.party} has agreed to {_name(event)} already.")
    if agreed.needed and set(agreed.needed) != set(agreement.parties):
        raise Refused(
            f"{_name(event)} needs the agreement of {', '.join(agreement.parties)}, "
            f"not of {', '.join(agreed.needed)}.",
        )


@rule("MIL-01", EvidenceSubmitted, SignedOff, Achieved)
def agreed_by_all(world: World, event: Event[Any]) -> None:
    """A milestone goes on only when every party has agreed to its definition."""
    milestone = _milestone(world, event)
    if isinstance(event.data, Achieved) and _is_claim(milestone, event):
        return
    parties = world.need(Agreement, event.deal).parties
    missing = [party for party in parties if party not in milestone.agreed_by]
    if missing:
        raise Refused(
            f"{' and '.join(missing)} {'has' if len(missing) == 1 else 'have'} "
            f"not agreed to {milestone.name}.",
            todo="Record 'milestone agree' for each party first.",
        )


def _is_claim(milestone: Milestone, event: Event[Any]) -> bool:
    return not milestone.counts(event.provenance.status)


@rule("MIL-02", SignedOff)
def signed_off_by_each(world: World, event: Event[Any]) -> None:
    """Each party signs off the evidence once, by a person of its own."""
    milestone = _milestone(world, event)
    party, person = event.data.party, event.provenance.actor
    _evidenced(milestone, "signed off")
    parties = world.need(Agreement, event.deal).parties
    if party not in parties:
        raise Refused(
            f"{party} cannot sign off; the parties are {', '.join(parties)}.",
        )
    for signed, signatory in milestone.sign_offs.items():
        if signed == party:
            raise Refused(f"{party} has signed off already: {signatory}.")
        if same_person(signatory, person):
            raise Refused(
                f"{person} has signed off for {signed} already.",
                todo=f"A second person signs off for {party}.",
            )


@rule("MIL-02", Achieved)
def achieved_when_signed_off(world: World, event: Event[Any]) -> None:
    """Achieved needs the sign-off of each party, after the evidence."""
    milestone = _milestone(world, event)
    if _is_claim(milestone, event):
        return
    _evidenced(milestone, "achieved")
    parties = world.need(Agreement, event.deal).parties
    missing = [party for party in parties if party not in milestone.sign_offs]
    if missing:
        raise Refused(
            f"The evidence for {milestone.name} is not signed off by "
            f"{' and '.join(missing)}.",
            todo="Record 'milestone sign-off' for each party first.",
        )
    not_before(event, milestone.signed_off_on, "the last sign-off")


def _evidenced(milestone: Milestone, what: str) -> None:
    if milestone.evidenced_on is None:
        raise Refused(
            f"Milestone {milestone.name} cannot be {what}: there is no evidence.",
            todo="Record 'milestone submit-evidence' first.",
            code="MIL-02",
        )


@rule("MIL-03", Agreed)
def metric_can_be_met(world: World, event: Event[Any]) -> None:
    """A metric that is agreed has a baseline, a benchmark, a unit, and a minimum."""
    milestone = _milestone(world, event)
    metric = milestone.metric
    if metric is None:
        return
    missing = [
        name for name in ("baseline", "benchmark", "unit") if not getattr(metric, name)
    ]
    if missing:
        raise Refused(
            f"The metric {metric.name!r} has no {', no '.join(missing)}.",
            todo="Re-baseline the milestone with a metric that can be measured.",
        )
    if metric.bound == "up_to":
        raise Refused(
            f"'Up to {_level(metric)}' is a ceiling.",
            todo="Give the minimum that counts as success, with bound at_least.",
        )


@rule("MIL-03", Achieved)
def minimum_is_reached(world: World, event: Event[Any]) -> None:
    """A result below the minimum agreed is no achievement."""
    milestone = _milestone(world, event)
    metric, result = milestone.metric, milestone.result
    if metric is None or result is None or _is_claim(milestone, event):
        return
    if result.value < metric.target.value:
        raise Refused(
            f"The result {result} {metric.unit} is below the minimum of "
            f"{_level(metric)}.",
            todo="Submit other evidence, or waive the milestone.",
        )


def _level(metric: Metric) -> str:
    return f"{metric.target} {metric.unit or ''}".rstrip()


@rule("MIL-06", Rescheduled, Rebaselined)
def change_is_a_change(world: World, event: Event[Any]) -> None:
    """Rescheduling moves the target from where it stood; the first one is kept."""
    milestone = _milestone(world, event)
    match event.data:
        case Rescheduled(old=old, new=new) if new == old or old != milestone.target_on:
            raise Refused(
                f"{milestone.name} is due on {milestone.target_on}; moving it "
                f"from {old} to {new} changes nothing.",
            )
        case Rebaselined(platform=None, metric=None, target_on=None):
            raise Refused(
                f"Nothing of {milestone.name} would change.",
                todo="Give a platform, a metric or a target date.",
            )


@rule("MIL-07", Missed)
def target_has_passed(world: World, event: Event[Any]) -> None:
    """A milestone is missed only after its target date."""
    milestone = _milestone(world, event)
    if milestone.target_on is not None and event.on <= milestone.target_on:
        raise Refused(
            f"{milestone.name} is due on {milestone.target_on}; "
            f"it is not missed on {event.on}.",
        )


@rule("REC-12", *NEEDED)
def milestone_dates_in_order(world: World, event: Event[Any]) -> None:
    """A step of a milestone is not before the steps that it relies on."""
    milestone = _milestone(world, event)
    not_before(event, milestone.defined_on, "the definition")
    match event.data:
        case EvidenceSubmitted():
            not_before(event, milestone.agreed_on, "the agreement of the parties")
        case SignedOff() | Achieved():
            not_before(event, milestone.evidenced_on, "the evidence")
        case Disputed():
            not_before(event, milestone.evidenced_on, "the evidence")
            not_before(event, milestone.achieved_on, "the achievement")
        case DisputeSettled():
            not_before(event, milestone.disputed_on, "the dispute")


def _milestone(world: World, event: Event[Any]) -> Milestone:
    return world.need(Milestone, event.deal, _name(event))


def _name(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]
