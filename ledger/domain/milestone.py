"""Milestone: one step of the co-optimised roadmap, from proposal to achievement.

Changed evidence voids the sign-offs (MIL-04); the first baseline is kept for ever
(MIL-06); only a confirmed achievement can unlock anything, and none while it is
disputed (MIL-05).

It is agreed while all whose agreement it needs agree: that is no step of its own, so
that whoever takes an agreement back takes it back.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Single
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import WEAKNESS, Status
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

    about = ()

    title: str
    track: Track
    owner: Slug
    target_on: date
    platform: str | None = None
    metric: Metric | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.stage == "none":
            milestone.stage = "proposed"
        milestone.status = event.provenance.status
        milestone.title = self.title
        milestone.track = self.track
        milestone.owner = self.owner
        milestone.platform = self.platform
        milestone.first_metric = self.metric
        milestone.metric = self.metric
        milestone.first_target_on = self.target_on
        milestone.target_on = self.target_on
        milestone.defined_on = event.on


class Agreed(EventData, tag="milestone.agreed"):
    """A party agreed to the milestone's definition.

    `needed` are the parties whose agreement makes it agreed. Before release 0.5.0 it
    was not recorded, and `complete` said that the last of them had agreed.
    """

    party: Slug
    complete: bool = False
    needed: tuple[Slug, ...] = ()

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if self.party not in milestone.agreements:
            milestone.agreements = (*milestone.agreements, self.party)
        milestone.agreed_on = max(event.on, milestone.agreed_on or event.on)
        milestone.needed = self.needed or milestone.needed
        milestone.complete = milestone.complete or self.complete


class Rescheduled(EventData, tag="milestone.rescheduled"):
    """The target date was moved; the first baseline stays."""

    old: date
    new: date

    def apply(self, milestone: Milestone, _event: Event[Any]) -> None:
        milestone.target_on = self.new


class Rebaselined(EventData, tag="milestone.rebaselined"):
    """The platform or metric was replaced and must be agreed anew."""

    about = ()

    platform: str | None = None
    metric: Metric | None = None
    target_on: date | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        milestone.stage = "proposed"
        milestone.status = event.provenance.status
        milestone.platform = self.platform or milestone.platform
        milestone.metric = self.metric or milestone.metric
        milestone.target_on = self.target_on or milestone.target_on
        milestone.defined_on = event.on
        milestone.agreements = ()
        milestone.agreed_on = None
        milestone.needed = ()
        milestone.complete = False
        milestone.void_evidence()


class EvidenceSubmitted(EventData, tag="milestone.evidence_submitted"):
    """A result was submitted as evidence; earlier sign-offs no longer count."""

    about = ()

    summary: str
    result: Ratio | None = None

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        milestone.stage = "evidenced"
        milestone.void_evidence()
        milestone.result = self.result
        milestone.evidenced_on = event.on


class SignedOff(EventData, tag="milestone.signed_off"):
    """A party signed off the evidence."""

    party: Slug

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        signed = SignOff(party=self.party, person=event.provenance.actor)
        others = (one for one in milestone.signatures if one.party != self.party)
        milestone.signatures = (*others, signed)
        last = milestone.signed_off_on or event.on
        milestone.signed_off_on = max(event.on, last)


class Achieved(EventData, tag="milestone.achieved"):
    """The milestone was achieved: evidenced, and signed off by each party."""

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        milestone.stage = "achieved"
        milestone.achieved_on = event.on
        milestone.achieved_ref = event.ref


class Disputed(EventData, tag="milestone.disputed"):
    """A party disputed the milestone; it unlocks nothing until settled."""

    about = ()

    ground: str

    def apply(self, milestone: Milestone, event: Event[Any]) -> None:
        if milestone.stage != "disputed":
            milestone.before_dispute = milestone.stage
        milestone.stage = "disputed"
        milestone.disputed_on = event.on
        milestone.ground = self.ground


class DisputeSettled(EventData, tag="milestone.dispute_settled"):
    """The dispute was settled; upheld means that the evidence must be given anew."""

    upheld: bool
    outcome: str

    def apply(self, milestone: Milestone, _event: Event[Any]) -> None:
        if self.upheld:
            milestone.stage = "proposed"
            milestone.void_evidence()
            milestone.achieved_on = None
            milestone.achieved_ref = ""
        else:
            milestone.stage = milestone.before_dispute


class Missed(EventData, tag="milestone.missed"):
    """The target date passed without achievement."""

    def apply(self, milestone: Milestone, _event: Event[Any]) -> None:
        milestone.stage = "missed"


class Waived(EventData, tag="milestone.waived"):
    """The parties agreed to go on without it; it was not achieved."""

    def apply(self, milestone: Milestone, _event: Event[Any]) -> None:
        milestone.stage = "waived"


class Cancelled(EventData, tag="milestone.cancelled"):
    """The milestone was given up."""

    def apply(self, milestone: Milestone, _event: Event[Any]) -> None:
        milestone.stage = "cancelled"


class SignOff(Frozen):
    """Who signed the evidence off for a party."""

    party: Slug
    person: str


class Milestone(Single, tag="milestone"):
    """A roadmap milestone. Stream `milestone/DEAL/NAME`.

    `stage` is the last step that it took, and `status` that of its definition.
    """

    kind = "milestone"

    stage: MilestoneState = "none"
    status: Status = "confirmed"
    title: str = ""
    track: str = ""
    owner: str = ""
    platform: str | None = None
    first_metric: Metric | None = None
    metric: Metric | None = None
    first_target_on: date | None = None
    target_on: date | None = None
    defined_on: date | None = None
    agreements: tuple[Slug, ...] = ()
    agreed_on: date | None = None
    needed: tuple[Slug, ...] = ()
    complete: bool = False
    result: Ratio | None = None
    evidenced_on: date | None = None
    signatures: tuple[SignOff, ...] = ()
    signed_off_on: date | None = None
    achieved_on: date | None = None
    achieved_ref: str = ""
    before_dispute: MilestoneState = "none"
    disputed_on: date | None = None
    ground: str = ""

    @property
    def state(self) -> MilestoneState:
        """How it stands: its last step, or agreed where all who must have agreed."""
        return "agreed" if self.stage == "proposed" and self.agreed else self.stage

    @property
    def agreed(self) -> bool:
        """Whether all whose agreement it needs have agreed.

        Where an entry of before does not say whose, two of them, and the last, did.
        """
        if self.needed:
            return self.agreed_by.issuperset(self.needed)
        return self.complete and len(self.agreements) > 1

    @property
    def agreed_by(self) -> frozenset[str]:
        """The parties that have agreed to it."""
        return frozenset(self.agreements)

    @property
    def sign_offs(self) -> dict[str, str]:
        """The parties that signed the evidence off, each with the person who did."""
        return {one.party: one.person for one in self.signatures}

    @property
    def unlocks(self) -> bool:
        """Whether it is achieved, and not disputed (MIL-05)."""
        return self.stage == "achieved"

    def counts(self, status: Status) -> bool:
        """Whether a fact of that status is as certain as the milestone itself."""
        return WEAKNESS[status] <= WEAKNESS[self.status]

    def void_evidence(self) -> None:
        """Forget the evidence, and the sign-offs that were given to it."""
        self.result = None
        self.evidenced_on = None
        self.signatures = ()
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
