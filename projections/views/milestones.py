"""How does the roadmap stand: who owns what, by when, measured how, signed off by whom?"""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger.domain import milestone as milestones
from ledger.domain.milestone import Metric, Milestone
from ledger.domain.struct import Frozen
from projections.engine.claims import ClaimRow, claimed, keep_claims
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, View

MILESTONES: Final = View(
    "milestones", 3, "How does the roadmap stand, and who has signed off?", ClaimRow
)
keep_claims(MILESTONES, *milestones.EVENTS)


class MilestoneLine(Frozen, omit_defaults=False):
    """A milestone in a line; `claim` marks an "up to" figure, which is no pass mark.

    `claimed` are reports that stand beside it: told, and not its state. Where even the
    proposal is only reported, the state is what reports say.
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


def milestones_of(book: Book) -> list[Milestone]:
    """Every milestone as it stands; as it is told, where even its proposal is."""
    found = book.all(Milestone)
    return [one if one.defined_on is not None else one.told for one in found]


def disputed_milestones(book: Book) -> list[str]:
    """A sentence for each milestone in dispute, also by what is only reported."""
    found = []
    for milestone in book.all(Milestone):
        told = milestone.told
        if milestone.state == "disputed":
            found.append(f"milestone {milestone.name}: {milestone.ground}")
        elif told.state == "disputed":
            found.append(f"milestone {milestone.name}: {told.ground} (reported)")
    return found


def _figure(metric: Metric | None) -> str | None:
    if metric is None:
        return None
    bound = {"at_least": "at least", "up_to": "up to"}[metric.bound]
    against = f" of {metric.baseline}" if metric.baseline else ""
    return f"{bound} {metric.target}{metric.unit or ''} {metric.name}{against}"


@MILESTONES.answer(MilestoneLine, parts_of(Milestone), key=("milestone",))
def _milestones(book: Book) -> Drawn:
    return Drawn([_line(book, milestone) for milestone in milestones_of(book)])


def _line(book: Book, milestone: Milestone) -> MilestoneLine:
    metric, result = milestone.metric, milestone.result
    recorded = book.get(Milestone, milestone.name)
    return MilestoneLine(
        milestone=milestone.name,
        title=milestone.title,
        track=milestone.track,
        owner=milestone.owner,
        state=milestone.state,
        status=milestone.status,
        first_target_on=_day(milestone.first_target_on),
        target_on=_day(milestone.target_on),
        platform=milestone.platform,
        target=_figure(metric),
        claim=metric is not None and metric.bound == "up_to",
        result=str(result) if result is not None else None,
        agreed_by=", ".join(sorted(milestone.agreed_by)),
        signed_off_by=", ".join(milestone.sign_offs),
        achieved_on=_day(milestone.achieved_on),
        claimed=claimed(book, MILESTONES, recorded),
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
