"""What was said about the deal in public, by whom, on what source?"""

from __future__ import annotations

from typing import Final

from ledger.domain import agreement as agreed
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of


class StatementRow(FoldRow):
    """A statement."""

    statement: str
    on: str
    speaker: str
    text: str
    status: str
    source: str
    address: str
    contradicts: str | None


STATEMENTS: Final = View(
    "statements", 1, "What was said in public, by whom, on what source?", StatementRow
)


class StatementLine(Frozen, omit_defaults=False):
    """A statement in a line."""

    on: str
    statement: str
    speaker: str
    text: str
    status: str
    contradicts: str | None
    source: str
    address: str


@STATEMENTS.on(agreed.StatementRecorded)
def _said(rows: Rows[StatementRow], event: Event[agreed.StatementRecorded]) -> None:
    data, evidence = event.data, event.provenance.evidence
    rows.put(
        StatementRow(
            key=f"{event.position:012d}",
            statement=data.statement,
            on=event.on.isoformat(),
            speaker=data.speaker,
            text=data.text,
            status=event.provenance.status,
            source="; ".join(item.publisher or item.title for item in evidence),
            address="; ".join(item.address for item in evidence if item.address),
            contradicts=data.contradicts,
        )
    )


@STATEMENTS.answer(StatementLine, key=("statement",))
def _statements(book: Book) -> Drawn:
    lines = [line_of(StatementLine, row) for row in book.rows(STATEMENTS)]
    return Drawn(sorted(lines, key=lambda line: line.on))
