"""Which days are no business days, and which accounting periods are open or closed?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import books
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of


class BookRow(FoldRow):
    """A calendar or a period."""

    kind: str
    name: str
    state: str
    begins_on: str | None = None
    ends_on: str | None = None
    closed_on: str | None = None
    weekend: str = ""
    holidays: tuple[str, ...] = ()


BOOKS: Final = View(
    "books",
    1,
    "Which days are no business days, and which periods are closed?",
    BookRow,
)


class BookLine(Frozen, omit_defaults=False):
    """A calendar with its holidays, or an accounting period."""

    kind: str
    name: str
    state: str
    begins_on: str | None
    ends_on: str | None
    closed_on: str | None
    weekend: str
    holidays: tuple[str, ...]


@BOOKS.on(books.HolidaysRecorded)
def _holidays(rows: Rows[BookRow], event: Event[books.HolidaysRecorded]) -> None:
    data = event.data
    key = f"calendar/{data.calendar}"
    before = rows.get(key)
    days = {*(before.holidays if before else ()), *(d.isoformat() for d in data.days)}
    rows.put(
        BookRow(
            key=key,
            kind="calendar",
            name=data.calendar,
            state="in_use",
            weekend=", ".join(data.weekend),
            holidays=tuple(sorted(days)),
        )
    )


@BOOKS.on(books.PeriodOpened, books.PeriodClosed)
def _period(rows: Rows[BookRow], event: Event[Any]) -> None:
    key = f"period/{event.data.period}"
    if isinstance(event.data, books.PeriodOpened):
        rows.put(
            BookRow(
                key=key,
                kind="period",
                name=event.data.period,
                state="open",
                begins_on=event.data.begins_on.isoformat(),
                ends_on=event.data.ends_on.isoformat(),
            )
        )
        return
    row = rows.get(key)
    if row is not None:
        row.state = "closed"
        row.closed_on = event.on.isoformat()
        rows.put(row)


@BOOKS.answer(BookLine, key=("kind", "name"))
def _books(book: Book) -> Drawn:
    return Drawn([line_of(BookLine, row) for row in book.rows(BOOKS)])
