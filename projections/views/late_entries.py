"""What was entered into a period that was closed already, and why?"""

from __future__ import annotations

from datetime import UTC, date
from typing import Any, Final

import msgspec

from ledger.clock import stamp_time
from ledger.domain import books
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of

PERIODS: Final = "periods"
OF_PERIODS: Final = (books.PeriodOpened, books.PeriodClosed)


class Span(msgspec.Struct):
    """A period's days, and whether it is closed."""

    begins_on: date
    ends_on: date
    closed: bool = False


class PeriodsRow(FoldRow, tag_field="row", tag="periods"):
    """Every period by its name, in one row: each entry is held against all of them."""

    periods: dict[str, Span] = msgspec.field(default_factory=dict)


class LateRow(FoldRow, tag_field="row", tag="late"):
    """An entry that came after its period was closed."""

    position: int
    effective_on: str
    recorded_at: str
    lag_days: int
    period: str
    shown_in: str | None
    type: str
    stream: str
    actor: str
    reason: str | None


LATE_ENTRIES: Final = View(
    "late-entries",
    1,
    "What was entered into a closed period, by whom, and why?",
    PeriodsRow | LateRow,
)


class LateLine(Frozen, omit_defaults=False):
    """A late entry; `shown_in` is the open period in which it was recorded, if any."""

    position: int
    effective_on: str
    recorded_at: str
    lag_days: int
    period: str
    shown_in: str | None
    type: str
    stream: str
    actor: str
    reason: str | None


@LATE_ENTRIES.on(*(event for event in EVENTS if event not in OF_PERIODS))
def _entered(rows: Rows[Any], event: Event[Any]) -> None:
    known = rows.get(PERIODS)
    if not isinstance(known, PeriodsRow):
        return  # Most deals have none, and every entry comes by here.
    periods = known.periods
    closed = _holding(periods, event.on, closed=True)
    recorded = event.identity.recorded_at
    if closed is None or recorded is None:
        return
    day = recorded.astimezone(UTC).date()
    rows.put(
        LateRow(
            key=f"late/{event.position:012d}",
            position=event.position,
            effective_on=event.on.isoformat(),
            recorded_at=stamp_time(recorded),
            lag_days=max(0, (day - event.on).days),
            period=closed,
            shown_in=_holding(periods, day, closed=False),
            type=event.data.tag(),
            stream=event.stream,
            actor=f"{event.provenance.actor}@{event.provenance.party}",
            reason=event.provenance.reason,
        )
    )


def _known(rows: Rows[Any]) -> PeriodsRow:
    found = rows.get(PERIODS)
    return found if isinstance(found, PeriodsRow) else PeriodsRow(key=PERIODS)


def _holding(periods: dict[str, Span], day: date, *, closed: bool) -> str | None:
    for name, span in periods.items():
        if span.closed is closed and span.begins_on <= day <= span.ends_on:
            return name
    return None


@LATE_ENTRIES.on(*OF_PERIODS)
def _kept(rows: Rows[Any], event: Event[Any]) -> None:
    row = _known(rows)
    match event.data:
        case books.PeriodOpened(period=period, begins_on=first, ends_on=last):
            row.periods[period] = Span(first, last)
        case books.PeriodClosed(period=period) if period in row.periods:
            row.periods[period].closed = True
    rows.put(row)


@LATE_ENTRIES.answer(LateLine, key=("position",))
def _late(book: Book) -> Drawn:
    rows = (row for row in book.rows(LATE_ENTRIES) if isinstance(row, LateRow))
    return Drawn([line_of(LateLine, row) for row in rows])
