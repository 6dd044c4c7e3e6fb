"""How does the roadmap stand: who owns what, by when, measured how, signed off by whom?"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import msgspec

from ledger.domain import milestone as milestones
from ledger.domain.event import Event
from ledger.domain.milestone import Metric, Milestone, MilestoneState
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from ledger.domain.values import Ratio
from projections.engine.view import Book, Drawn, FoldRow, Rows, View


class MilestoneRow(FoldRow):
    """A milestone: what its proposal said, and the aggregate's own state.

    The fields after `ground` are those of `Milestone`, whose events are applied to it:
    so the view says what the rules see.
    """

    title: str
    track: str
    owner: str
    ground: str = ""
    claimed: tuple[str, ...] = ()
    state: MilestoneState = "none"
    status: Status = "confirmed"
    platform: str | None = None
    metric: Metric | None = None
    first_target_on: date | None = None
    target_on: date | None = None
    agreed_by: tuple[str, ...] = ()
    agreed_on: date | None = None
    agreed_status: Status = "confirmed"
    result: Ratio | None = None
    evidenced_on: date | None = None
    evidence_status: Status = "confirmed"
    sign_offs: dict[str, str] = msgspec.field(default_factory=dict)
    signed_off_on: date | None = None
    achieved_on: date | None = None
    achieved_ref: str = ""
    before_dispute: MilestoneState = "none"


MIRRORED: Final = (
    "state",
    "status",
    "platform",
    "metric",
    "first_target_on",
    "target_on",
    "agreed_by",
    "agreed_on",
    "agreed_status",
    "result",
    "evidenced_on",
    "evidence_status",
    "sign_offs",
    "signed_off_on",
    "achieved_on",
    "achieved_ref",
    "before_dispute",
)
MILESTONES: Final = View(
    "milestones", 2, "How does the roadmap stand, and who has signed off?", MilestoneRow
)


class MilestoneLine(Frozen, omit_defaults=False):
    """A milestone in a line; `claim` marks an "up to" figure, which is no pass mark.

    `claimed` are facts less certain than the milestone: told, and not its state.
    """

    milestone: str
    title: str
    track: str
    owner: str
    state: str
    status: str
    first_target_on: str | None
    target_on: str | None
    platform: str | None
    target: str | None
    claim: bool
    result: str | None
    agreed_by: str
    signed_off_by: str
    achieved_on: str | None
    claimed: str


def disputed_milestones(book: Book) -> list[str]:
    """A sentence for each milestone in dispute."""
    return [
        f"milestone {row.key}: {row.ground}"
        for row in book.rows(MILESTONES)
        if row.state == "disputed"
    ]


@MILESTONES.on(*milestones.EVENTS)
def _happened(rows: Rows[MilestoneRow], event: Event[Any]) -> None:
    data, name = event.data, event.stream.rpartition("/")[2]
    row = rows.get(name)
    if isinstance(data, milestones.Proposed):
        row = MilestoneRow(
            key=name, title=data.title, track=data.track, owner=data.owner
        )
    if row is None:
        return
    milestone = _aggregate(event.stream, row)
    data.apply(milestone, event)
    for field in MIRRORED:
        setattr(row, field, getattr(milestone, field))
    row.agreed_by = tuple(sorted(milestone.agreed_by))
    if milestone.claims:
        what = f"{data.tag().partition('.')[2]} ({event.provenance.status})"
        row.claimed = (*row.claimed, f"#{event.position} {what}")
    if isinstance(data, milestones.Disputed):
        row.ground = data.ground
    rows.put(row)


def _aggregate(stream: str, row: MilestoneRow) -> Milestone:
    """The aggregate as the row keeps it."""
    milestone = Milestone(stream)
    for field in MIRRORED:
        setattr(milestone, field, getattr(row, field))
    milestone.agreed_by = set(row.agreed_by)
    milestone.sign_offs = dict(row.sign_offs)
    return milestone


def _figure(metric: Metric | None) -> str | None:
    if metric is None:
        return None
    bound = {"at_least": "at least", "up_to": "up to"}[metric.bound]
    against = f" of {metric.baseline}" if metric.baseline else ""
    return f"{bound} {metric.target}{metric.unit or ''} {metric.name}{against}"


@MILESTONES.answer(MilestoneLine, key=("milestone",))
def _milestones(book: Book) -> Drawn:
    return Drawn([_line(row) for row in book.rows(MILESTONES)])


def _line(row: MilestoneRow) -> MilestoneLine:
    return MilestoneLine(
        milestone=row.key,
        title=row.title,
        track=row.track,
        owner=row.owner,
        state=row.state,
        status=row.status,
        first_target_on=_day(row.first_target_on),
        target_on=_day(row.target_on),
        platform=row.platform,
        target=_figure(row.metric),
        claim=row.metric is not None and row.metric.bound == "up_to",
        result=str(row.result) if row.result is not None else None,
        agreed_by=", ".join(row.agreed_by),
        signed_off_by=", ".join(row.sign_offs),
        achieved_on=_day(row.achieved_on),
        claimed=", ".join(row.claimed),
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
