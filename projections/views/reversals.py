"""What was, or is to be, taken back: by whom, why, and who approved it?"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain import reversal
from ledger.domain.event import Event
from ledger.domain.provenance import same_person
from ledger.domain.reversal import Reversal
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, Rows, View


class ReversalRow(FoldRow):
    """Who asked for a reversal and who decided, where in the record, and the reason."""

    reason: str
    requested_at: int
    requested_by: str
    submitted_by: str
    decided_at: int | None = None
    decided_by: str | None = None
    same_submitter: bool = False


REVERSALS: Final = View(
    "reversals",
    2,
    "What was taken back, or is to be: by whom, why, approved by whom?",
    ReversalRow,
    record=True,
)


class ReversalLine(Frozen, omit_defaults=False):
    """A reversal; `requested_at` and `decided_at` are positions of the record."""

    reversal: str
    state: str
    positions: str
    entries: str
    reason: str
    requested_at: int
    requested_on: str
    requested_by: str
    decided_at: int | None
    decided_on: str | None
    decided_by: str | None
    ground: str | None
    same_submitter: bool


@REVERSALS.on(reversal.Requested)
def _requested(rows: Rows[ReversalRow], event: Event[reversal.Requested]) -> None:
    rows.put(
        ReversalRow(
            key=event.stream.rpartition("/")[2],
            reason=event.provenance.reason or "",
            requested_at=event.position,
            requested_by=_who(event),
            submitted_by=event.identity.submitted_by,
        )
    )


@REVERSALS.on(reversal.Approved, reversal.Rejected)
def _decided(rows: Rows[ReversalRow], event: Event[Any]) -> None:
    row = rows.get(event.stream.rpartition("/")[2])
    if row is None or event.is_claim:
        return
    row.decided_at = event.position
    row.decided_by = _who(event)
    row.same_submitter = same_person(row.submitted_by, event.identity.submitted_by)
    rows.put(row)


def _who(event: Event[Any]) -> str:
    return f"{event.provenance.actor}@{event.provenance.party}"


@REVERSALS.answer(ReversalLine, parts_of(Reversal), key=("reversal",))
def _reversals(book: Book) -> Drawn:
    rows = sorted(book.rows(REVERSALS), key=lambda row: row.requested_at)
    lines = [_line(book.get(Reversal, row.key), row) for row in rows]
    waiting = sum(1 for line in lines if line.state == "requested")
    return Drawn(lines, {"waiting": waiting})


def _line(asked: Reversal, row: ReversalRow) -> ReversalLine:
    return ReversalLine(
        reversal=asked.name,
        state=asked.state,
        positions=", ".join(str(target.position) for target in asked.targets),
        entries=", ".join(dict.fromkeys(target.entry for target in asked.targets)),
        reason=row.reason,
        requested_at=row.requested_at,
        requested_on=_day(asked.requested_on) or "",
        requested_by=row.requested_by,
        decided_at=row.decided_at,
        decided_on=_day(asked.decided_on),
        decided_by=row.decided_by,
        ground=asked.ground,
        same_submitter=row.same_submitter,
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
