"""Commands on a milestone of the co-optimised roadmap."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.agreement import Agreement
from ledger.domain.event import EventData
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
    Track,
    Waived,
)
from ledger.domain.values import Id, Ratio, Slug

MilestoneId = Annotated[Id, "the milestone"]


def propose(
    decision: Decision,
    milestone: MilestoneId,
    *,
    title: Annotated[str, "what is to be achieved"],
    track: Annotated[Track, "the part of the roadmap"],
    owner: Annotated[Slug, "the party that has to bring it about"],
    target_on: Annotated[date, "the day by which"],
    platform: Annotated[str | None, "on which platform"] = None,
    metric: Annotated[Metric | None, "what it is measured by"] = None,
) -> None:
    """Propose a milestone of the roadmap.

    It binds nobody until every party has agreed. An "up to" figure can be proposed
    as it was announced, but not agreed as a pass mark.

    accord milestone propose acme-orion rubin-inference --title "Rubin inference" --track hardware --owner orion --target-on 2026-12-31 --metric @metric.json
    """
    _record(
        decision,
        milestone,
        Proposed(
            title=title,
            track=track,
            owner=owner,
            target_on=target_on,
            platform=platform,
            metric=metric,
        ),
    )


def agree(decision: Decision, milestone: MilestoneId) -> None:
    """Agree to a milestone's definition, for the actor's party.

    accord milestone agree acme-orion rubin-inference --actor bo@orion
    """
    parties = decision.need(Agreement, decision.deal).parties
    needed = tuple(Slug(party) for party in parties)
    _record(decision, milestone, Agreed(party=Slug(decision.party), needed=needed))


def reschedule(
    decision: Decision,
    milestone: MilestoneId,
    *,
    new: Annotated[date, "the new target date"],
) -> None:
    """Move a milestone's target date; the first one stays on the record.

    accord milestone reschedule acme-orion rubin-inference --new 2027-03-31 --reason "Late samples"
    """
    standing = decision.need(Milestone, decision.deal, milestone)
    # One that is only reported has no target yet; the rules refuse to move it.
    old = standing.target_on or new
    _record(decision, milestone, Rescheduled(old=old, new=new))


def rebaseline(
    decision: Decision,
    milestone: MilestoneId,
    *,
    platform: Annotated[str | None, "the new platform"] = None,
    metric: Annotated[Metric | None, "the new metric"] = None,
    target_on: Annotated[date | None, "the new target date"] = None,
) -> None:
    """Lay a milestone down anew; every party has to agree again.

    accord milestone rebaseline acme-orion rubin-inference --metric @metric.json --reason "The platform was withdrawn"
    """
    _record(
        decision,
        milestone,
        Rebaselined(platform=platform, metric=metric, target_on=target_on),
    )


def submit_evidence(
    decision: Decision,
    milestone: MilestoneId,
    *,
    summary: Annotated[str, "what was shown"],
    result: Annotated[Ratio | None, "the figure reached, in the metric's unit"] = None,
) -> None:
    """Submit a result as evidence; sign-offs given before no longer count.

    accord milestone submit-evidence acme-orion rubin-inference --summary "MLPerf run 12" --result 5.2
    """
    _record(decision, milestone, EvidenceSubmitted(summary=summary, result=result))


def sign_off(decision: Decision, milestone: MilestoneId) -> None:
    """Sign off the evidence, for the actor's party.

    accord milestone sign-off acme-orion rubin-inference --actor bo@orion
    """
    _record(decision, milestone, SignedOff(party=Slug(decision.party)))


def achieve(decision: Decision, milestone: MilestoneId) -> None:
    """Record that a milestone was achieved: evidenced, and signed off by each party.

    accord milestone achieve acme-orion rubin-inference
    """
    _record(decision, milestone, Achieved())


def dispute(
    decision: Decision,
    milestone: MilestoneId,
    *,
    ground: Annotated[str, "on what ground"],
) -> None:
    """Dispute a milestone; it unlocks nothing until that is settled.

    accord milestone dispute acme-orion rubin-inference --ground "Other batch size"
    """
    _record(decision, milestone, Disputed(ground=ground))


def settle_dispute(
    decision: Decision,
    milestone: MilestoneId,
    *,
    upheld: Annotated[bool, "the dispute was right: evidence is to be given anew"],
    outcome: Annotated[str, "how it was settled"],
) -> None:
    """Settle a dispute; a milestone is then where it was, or back before its evidence.

    accord milestone settle-dispute acme-orion rubin-inference --no-upheld --outcome "Both runs agree"
    """
    _record(decision, milestone, DisputeSettled(upheld=upheld, outcome=outcome))


def miss(decision: Decision, milestone: MilestoneId) -> None:
    """Record that the target date passed without achievement.

    accord milestone miss acme-orion rubin-inference
    """
    _record(decision, milestone, Missed())


def waive(decision: Decision, milestone: MilestoneId) -> None:
    """Record that the parties go on without a milestone; it was not achieved.

    accord milestone waive acme-orion rubin-inference --reason "Overtaken"
    """
    _record(decision, milestone, Waived())


def cancel(decision: Decision, milestone: MilestoneId) -> None:
    """Record that a milestone was given up.

    accord milestone cancel acme-orion rubin-inference --reason "Product withdrawn"
    """
    _record(decision, milestone, Cancelled())


def _record(decision: Decision, milestone: Id, data: EventData) -> None:
    decision.record(Milestone, decision.deal, milestone, data=data)
