"""What was said about the deal in public, by whom, on what source?"""

from __future__ import annotations

from typing import Final

from ledger.domain.agreement import Agreement, Statement, StatementRecorded
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, Rows, View


class SourceRow(FoldRow):
    """Where a statement was read; its key is the entry's ref."""

    source: str
    address: str


STATEMENTS: Final = View(
    "statements", 2, "What was said in public, by whom, on what source?", SourceRow
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


@STATEMENTS.on(StatementRecorded)
def _said(rows: Rows[SourceRow], event: Event[StatementRecorded]) -> None:
    evidence = event.provenance.evidence
    rows.put(
        SourceRow(
            key=event.ref,
            source="; ".join(item.publisher or item.title for item in evidence),
            address="; ".join(item.address for item in evidence if item.address),
        )
    )


@STATEMENTS.answer(StatementLine, parts_of(Agreement), key=("statement",))
def _statements(book: Book) -> Drawn:
    agreement = book.get(Agreement)
    known = {**agreement.told.statements, **agreement.statements}
    said = sorted(known.values(), key=lambda one: (one.on, _version(one)))
    return Drawn([_line(book, statement) for statement in said])


def _version(statement: Statement) -> int:
    return int(statement.ref.rpartition("@")[2])


def _line(book: Book, statement: Statement) -> StatementLine:
    said, source = statement.said, book.rows(STATEMENTS).get(statement.ref)
    assert source is not None, statement.ref
    return StatementLine(
        on=statement.on.isoformat(),
        statement=said.statement,
        speaker=said.speaker,
        text=said.text,
        status=statement.status,
        contradicts=said.contradicts,
        source=source.source,
        address=source.address,
    )
