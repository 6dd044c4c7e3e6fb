"""Milestone: one step of the co-optimised roadmap, from proposal to achievement.

Changed evidence voids the sign-offs (MIL-04); the first baseline is kept for ever
(MIL-06); only a confirmed achievement can unlock anything.

A fact less certain than the milestone itself is only a claim beside its state; but
a dispute holds it up (MIL-05) however uncertain it is.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import WEAKNESS, Status, weakest
from ledger.domain.struct import Frozen
from ledger.domain.values import Ratio, Slug

Track = Literal["model", "infra_software", "hardware", "network"]
Bound = Literal["at_least", "up_to"]
MilestoneState = Literal[
    "none",
    "proposed",
    "agreed",
    "evidenced",
    "achieved",
    "missed",
    "disputed",
    "waived",
    "cancelled",
]


class Metric(Frozen):
    """What a milestone is measured by: `up to 7.5 x` of a baseline on a benchmark."""

    name: str
    target: Ratio
    bound: Bound
    unit: str | None = None
    baseline: str | None = None
    benchmark: str | None = None


class Proposed(EventData, tag="milestone.proposed"):
    """A party proposed a milestone of the roadmap."""

    title: str
    track: Track
    owner: Slug
    target_on: date
    platform: str | None = None
    metric: Metric | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        milestone.state = "proposed"
        milestone.status = event.provenance.status
        milestone.platform = self.platform
        milestone.first_metric = self.metric
        milestone.metric = self.metric
        milestone.first_target_on = self.target_on
        milestone.target_on = self.target_on
        milestone.defined_on = event.on


class Agreed(EventData, tag="milestone.agreed"):
    """A party agreed to the milestone's definition."""

    party: Slug
    complete: bool = False

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.claimed(event):
            return
        milestone.agreed_by.add(self.party)
        milestone.agreed_on = max(event.on, milestone.agreed_on or event.on)
        milestone.agreed_status = weakest(
            milestone.agreed_status, event.provenance.status
        )
        if self.complete:
            milestone.state = "agreed"
            # What every party agreed to is theirs, whatever the proposal rested on.
            milestone.status = milestone.agreed_status


class Rescheduled(EventData, tag="milestone.rescheduled"):
    """The target date was moved; the first baseline stays."""

    old: date
    new: date

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if not milestone.claimed(event):
            milestone.target_on = self.new


class Rebaselined(EventData, tag="milestone.rebaselined"):
    """The platform or metric was replaced and must be agreed anew."""

    platform: str | None = None
    metric: Metric | None = None
    target_on: date | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.claimed(event):
            return
        milestone.state = "proposed"
        milestone.status = event.provenance.status
        milestone.platform = self.platform or milestone.platform
        milestone.metric = self.metric or milestone.metric
        milestone.target_on = self.target_on or milestone.target_on
        milestone.defined_on = event.on
        milestone.agreed_by.clear()
        milestone.agreed_on = None
        milestone.agreed_status = "confirmed"
        milestone.void_evidence()


class EvidenceSubmitted(EventData, tag="milestone.evidence_submitted"):
    """A result was submitted as evidence; earlier sign-offs no longer count."""

    summary: str
    result: Ratio | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        milestone.state = "evidenced"
        milestone.void_evidence()
        milestone.result = self.result
        milestone.evidenced_on = event.on
        milestone.evidence_status = event.provenance.status


class SignedOff(EventData, tag="milestone.signed_off"):
    """A party signed off the evidence."""

    party: Slug

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if not milestone.claimed(event):
            milestone.sign_offs[self.party] = event.provenance.actor
            signed = milestone.signed_off_on or event.on
            milestone.signed_off_on = max(event.on, signed)


class Achieved(EventData, tag="milestone.achieved"):
    """The milestone was achieved: evidenced, and signed off by each party."""

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.claimed(event):
            return
        milestone.state = "achieved"
        milestone.status = weakest(
            milestone.status, milestone.evidence_status, event.provenance.status
        )
        milestone.achieved_on = event.on
        milestone.achieved_ref = event.ref


class Disputed(EventData, tag="milestone.disputed"):
    """A party disputed the milestone; it unlocks nothing until settled."""

    ground: str

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.state != "disputed":
            milestone.before_dispute = milestone.state
        milestone.state = "disputed"
        milestone.disputed_on = event.on


class DisputeSettled(EventData, tag="milestone.dispute_settled"):
    """The dispute was settled; upheld means that the evidence must be given anew."""

    upheld: bool
    outcome: str

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.claimed(event):
            return
        if self.upheld:
            milestone.state = "agreed"
            milestone.status = milestone.agreed_status
            milestone.void_evidence()
            milestone.achieved_on = None
            milestone.achieved_ref = ""
        else:
            milestone.state = milestone.before_dispute


class Missed(EventData, tag="milestone.missed"):
    """The target date passed without achievement."""

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if not milestone.claimed(event):
            milestone.state = "missed"


class Waived(EventData, tag="milestone.waived"):
    """The parties agreed to go on without it; it was not achieved."""

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if not milestone.claimed(event):
            milestone.state = "waived"


class Cancelled(EventData, tag="milestone.cancelled"):
    """The milestone was given up."""

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if not milestone.claimed(event):
            milestone.state = "cancelled"


class Milestone(Plain):
    """A roadmap milestone. Stream `milestone/DEAL/NAME`."""

    kind = "milestone"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: MilestoneState = "none"
        self.status: Status = "confirmed"
        self.claims: list[str] = []
        self.platform: str | None = None
        self.first_metric: Metric | None = None
        self.metric: Metric | None = None
        self.first_target_on: date | None = None
        self.target_on: date | None = None
        self.defined_on: date | None = None
        self.agreed_by: set[str] = set()
        self.agreed_on: date | None = None
        self.agreed_status: Status = "confirmed"
        self.result: Ratio | None = None
        self.evidenced_on: date | None = None
        self.evidence_status: Status = "confirmed"
        self.sign_offs: dict[str, str] = {}
        self.signed_off_on: date | None = None
        self.achieved_on: date | None = None
        self.achieved_ref = ""
        self.before_dispute: MilestoneState = "none"
        self.disputed_on: date | None = None

    @property
    def unlocks(self) -> bool:
        """Whether it is achieved, as a confirmed fact, and not disputed (MIL-05)."""
        return self.state == "achieved" and self.status == "confirmed"

    def counts(self, status: Status) -> bool:
        """Whether a fact of that status is as certain as the milestone itself."""
        return WEAKNESS[status] <= WEAKNESS[self.status]

    def claimed(self, event: Event[Any]) -> bool:
        """Keep a less certain fact as a claim beside the state; say whether it was."""
        if self.counts(event.provenance.status):
            return False
        self.claims.append(event.ref)
        return True

    def void_evidence(self) -> None:
        """Forget the evidence, and the sign-offs that were given to it."""
        self.result = None
        self.evidenced_on = None
        self.evidence_status = "confirmed"
        self.sign_offs.clear()
        self.signed_off_on = None


EVENTS: Final = (
    Proposed,
    Agreed,
    Rescheduled,
    Rebaselined,
    EvidenceSubmitted,
    SignedOff,
    Achieved,
    Disputed,
    DisputeSettled,
    Missed,
    Waived,
    Cancelled,
)
