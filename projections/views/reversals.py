"""What was, or is to be, taken back: by whom, why, and who approved it?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import reversal
from ledger.domain.event import Event
from ledger.domain.provenance import same_person
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of


class ReversalRow(FoldRow):
    """A reversal."""

    reversal: str
    state: str
    positions: str
    entries: str
    reason: str
    requested_at: int
    requested_on: str
    requested_by: str
    submitted_by: str
    decided_at: int | None = None
    decided_on: str | None = None
    decided_by: str | None = None
    ground: str | None = None
    same_submitter: bool = False


REVERSALS: Final = View(
    "reversals",
    1,
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
    targets = event.data.targets
    name = event.stream.rpartition("/")[2]
    rows.put(
        ReversalRow(
            key=name,
            reversal=name,
            state="requested",
            positions=", ".join(str(target.position) for target in targets),
            entries=", ".join(dict.fromkeys(target.entry for target in targets)),
            reason=event.provenance.reason or "",
            requested_at=event.position,
            requested_on=event.on.isoformat(),
            requested_by=_who(event),
            submitted_by=event.identity.submitted_by,
        )
    )


@REVERSALS.on(reversal.Approved, reversal.Rejected)
def _decided(rows: Rows[ReversalRow], event: Event[Any]) -> None:
    row = rows.get(event.stream.rpartition("/")[2])
    if row is None:
        return
    approved = isinstance(event.data, reversal.Approved)
    row.state = "approved" if approved else "rejected"
    row.ground = None if approved else event.data.ground
    row.decided_at = event.position
    row.decided_on = event.on.isoformat()
    row.decided_by = _who(event)
    row.same_submitter = same_person(row.submitted_by, event.identity.submitted_by)
    rows.put(row)


def _who(event: Event[Any]) -> str:
    return f"{event.provenance.actor}@{event.provenance.party}"


@REVERSALS.answer(ReversalLine, key=("reversal",))
def _reversals(book: Book) -> Drawn:
    rows = sorted(book.rows(REVERSALS), key=lambda row: row.requested_at)
    lines = [line_of(ReversalLine, row) for row in rows]
    waiting = sum(1 for line in lines if line.state == "requested")
    return Drawn(lines, {"waiting": waiting})
