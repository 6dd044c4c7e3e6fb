"""Which days are no business days, and which accounting periods are open or closed?"""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger.domain.books import Books, Calendar, Period
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, View

BOOKS: Final = View(
    "books",
    2,
    "Which days are no business days, and which periods are closed?",
    FoldRow,
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


@BOOKS.answer(BookLine, parts_of(Books), key=("kind", "name"))
def _books(book: Book) -> Drawn:
    books = book.get(Books)
    return Drawn(
        [
            *(_calendar(name, one) for name, one in sorted(books.calendars.items())),
            *(_period(name, one) for name, one in sorted(books.periods.items())),
        ]
    )


def _calendar(name: str, calendar: Calendar) -> BookLine:
    return BookLine(
        kind="calendar",
        name=name,
        state="in_use",
        begins_on=None,
        ends_on=None,
        closed_on=None,
        weekend=", ".join(calendar.weekend),
        holidays=tuple(day.isoformat() for day in calendar.holidays),
    )


def _period(name: str, period: Period) -> BookLine:
    return BookLine(
        kind="period",
        name=name,
        state="closed" if period.closed_on else "open",
        begins_on=period.begins_on.isoformat(),
        ends_on=period.ends_on.isoformat(),
        closed_on=_day(period.closed_on),
        weekend="",
        holidays=(),
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
