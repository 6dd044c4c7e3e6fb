"""What was entered into a period that was closed already, and why?"""

from __future__ import annotations

from datetime import UTC, date
from typing import Any, Final

from ledger import books
from ledger.catalogue import EVENTS
from ledger.event import Event
from ledger.struct import Frozen
from ledger.transcoding import stamp_time
from projections.view import Book, Drawn, FoldRow, Rows, View, line_of


class PeriodRow(FoldRow, tag_field="row", tag="period"):
    """A period."""

    begins_on: date
    ends_on: date
    closed_on: date | None = None


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
    PeriodRow | LateRow,
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


@LATE_ENTRIES.on(*(event for event in EVENTS if event not in books.EVENTS))
def _entered(rows: Rows[Any], event: Event[Any]) -> None:
    periods = [row for row in rows if isinstance(row, PeriodRow)]
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


def _holding(periods: list[PeriodRow], day: date, *, closed: bool) -> str | None:
    for row in periods:
        if (
            row.closed_on is not None
        ) is closed and row.begins_on <= day <= row.ends_on:
            return row.key.partition("/")[2]
    return None


@LATE_ENTRIES.on(*books.EVENTS)
def _kept(rows: Rows[Any], event: Event[Any]) -> None:
    _entered(rows, event)
    match event.data:
        case books.PeriodOpened(period=period, begins_on=first, ends_on=last):
            rows.put(PeriodRow(key=f"period/{period}", begins_on=first, ends_on=last))
        case books.PeriodClosed(period=period):
            row = rows.get(f"period/{period}")
            if isinstance(row, PeriodRow):
                row.closed_on = event.on
                rows.put(row)


@LATE_ENTRIES.answer(LateLine, key=("position",))
def _late(book: Book) -> Drawn:
    rows = (row for row in book.rows(LATE_ENTRIES) if isinstance(row, LateRow))
    return Drawn([line_of(LateLine, row) for row in rows])
