"""How does the roadmap stand: who owns what, by when, measured how, signed off by whom?"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger import roadmap
from ledger.event import Event
from ledger.provenance import Status, weakest
from ledger.roadmap import Metric
from ledger.struct import Frozen
from projections.view import Book, Drawn, FoldRow, Rows, View


class MilestoneRow(FoldRow):
    """A milestone."""

    title: str
    track: str
    owner: str
    first_target_on: date
    target_on: date
    first_metric: Metric | None
    metric: Metric | None
    platform: str | None
    state: str = "proposed"
    before: str = "proposed"
    status: Status = "confirmed"
    result: str | None = None
    agreed: tuple[str, ...] = ()
    signed: tuple[str, ...] = ()
    achieved_on: date | None = None
    dispute: str = ""


MILESTONES: Final = View(
    "milestones", 1, "How does the roadmap stand, and who has signed off?", MilestoneRow
)


class MilestoneLine(Frozen, omit_defaults=False):
    """A milestone in a line; `claim` marks an "up to" figure, which is no pass mark."""

    milestone: str
    title: str
    track: str
    owner: str
    state: str
    status: str
    first_target_on: str
    target_on: str
    platform: str | None
    target: str | None
    claim: bool
    result: str | None
    agreed_by: str
    signed_off_by: str
    achieved_on: str | None


def disputed_milestones(book: Book) -> list[str]:
    """A sentence for each milestone in dispute."""
    return [
        f"milestone {row.key}: {row.dispute}"
        for row in book.rows(MILESTONES)
        if row.state == "disputed"
    ]


@MILESTONES.on(roadmap.Proposed)
def _proposed(rows: Rows[MilestoneRow], event: Event[roadmap.Proposed]) -> None:
    data = event.data
    rows.put(
        MilestoneRow(
            key=event.stream.rpartition("/")[2],
            title=data.title,
            track=data.track,
            owner=data.owner,
            first_target_on=data.target_on,
            target_on=data.target_on,
            first_metric=data.metric,
            metric=data.metric,
            platform=data.platform,
            status=event.provenance.status,
        )
    )


ENDS: Final[dict[type, str]] = {
    roadmap.Missed: "missed",
    roadmap.Waived: "waived",
    roadmap.Cancelled: "cancelled",
}


@MILESTONES.on(*(event for event in roadmap.EVENTS if event is not roadmap.Proposed))
def _moved(rows: Rows[MilestoneRow], event: Event[Any]) -> None:
    row = rows.get(event.stream.rpartition("/")[2])
    if row is None:
        return
    match event.data:
        case roadmap.Agreed(party=party, complete=complete):
            row.agreed = (*row.agreed, party)
            if complete and row.state == "proposed":
                row.state = "agreed"
        case roadmap.Rescheduled(new=new):
            row.target_on = new
        case roadmap.Rebaselined() as data:
            row.state = "proposed"
            row.platform = data.platform or row.platform
            row.metric = data.metric or row.metric
            row.target_on = data.target_on or row.target_on
            row.agreed = row.signed = ()
        case roadmap.EvidenceSubmitted(result=result):
            row.state = "evidenced"
            row.result = str(result) if result else None
            row.signed = ()
        case roadmap.SignedOff(party=party):
            row.signed = (*row.signed, party)
        case roadmap.Achieved():
            row.state = "achieved"
            row.status = weakest(row.status, event.provenance.status)
            row.achieved_on = event.on
        case roadmap.Disputed(ground=ground):
            row.before = row.before if row.state == "disputed" else row.state
            row.state = "disputed"
            row.dispute = ground
        case roadmap.DisputeSettled(upheld=upheld):
            row.state = "agreed" if upheld else row.before
            row.signed = () if upheld else row.signed
        case data:
            row.state = ENDS[type(data)]
            row.status = weakest(row.status, event.provenance.status)
    rows.put(row)


def _figure(metric: Metric | None) -> str | None:
    if metric is None:
        return None
    bound = {"at_least": "at least", "up_to": "up to"}[metric.bound]
    against = f" of {metric.baseline}" if metric.baseline else ""
    return f"{bound} {metric.target}{metric.unit or ''} {metric.name}{against}"


@MILESTONES.answer(MilestoneLine, key=("milestone",))
def _milestones(book: Book) -> Drawn:
    lines = [
        MilestoneLine(
            milestone=row.key,
            title=row.title,
            track=row.track,
            owner=row.owner,
            state=row.state,
            status=row.status,
            first_target_on=row.first_target_on.isoformat(),
            target_on=row.target_on.isoformat(),
            platform=row.platform,
            target=_figure(row.metric),
            claim=row.metric is not None and row.metric.bound == "up_to",
            result=row.result,
            agreed_by=", ".join(row.agreed),
            signed_off_by=", ".join(row.signed),
            achieved_on=row.achieved_on.isoformat() if row.achieved_on else None,
        )
        for row in book.rows(MILESTONES)
    ]
    return Drawn(lines)
