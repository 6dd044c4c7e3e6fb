"""What happened, in the order in which the ledger learnt it, and on what evidence?"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from ledger.catalogue import EVENTS
from ledger.event import Event, Reversed
from ledger.struct import Frozen
from ledger.transcoding import stamp_time, to_builtins
from projections.view import Book, Drawn, FoldRow, Rows, View, line_of

SHOWN: Final = 160


class TimelineRow(FoldRow):
    """An event in a line."""

    position: int
    effective_on: str
    recorded_at: str
    lag_days: int
    type: str
    stream: str
    what: str
    actor: str
    status: str
    reason: str | None
    evidence: str
    reversed_by: str | None = None


TIMELINE: Final = View(
    "timeline",
    2,
    "What happened, who recorded it, on what evidence?",
    TimelineRow,
    record=True,
)


class TimelineLine(Frozen, omit_defaults=False):
    """An event; `lag_days` is how long after its day the ledger learnt of it.

    `reversed_by` names the reversal that took it back, and where that stands.
    """

    position: int
    effective_on: str
    recorded_at: str
    lag_days: int
    type: str
    stream: str
    what: str
    actor: str
    status: str
    reason: str | None
    evidence: str
    reversed_by: str | None


@TIMELINE.on(*EVENTS)
def _happened(rows: Rows[TimelineRow], event: Event[Any]) -> None:
    if isinstance(event.data, Reversed):
        taken_back = rows.get(_key(event.data.position))
        if taken_back is not None:
            taken_back.reversed_by = f"{event.data.reversal} (#{event.position})"
            rows.put(taken_back)
    rows.put(_row(event))


def line_of_event(event: Event[Any]) -> TimelineLine:
    """An event as a line of the timeline, by itself."""
    return line_of(TimelineLine, _row(event))


def _row(event: Event[Any]) -> TimelineRow:
    recorded = event.identity.recorded_at
    assert recorded is not None
    day = recorded.astimezone(UTC).date()
    provenance = event.provenance
    return TimelineRow(
        key=_key(event.position),
        position=event.position,
        effective_on=event.on.isoformat(),
        recorded_at=stamp_time(recorded),
        lag_days=max(0, (day - event.on).days),
        type=event.data.tag(),
        stream=event.stream,
        what=_what(event),
        actor=f"{provenance.actor}@{provenance.party}",
        status=provenance.status,
        reason=provenance.reason,
        evidence="; ".join(_source(item) for item in provenance.evidence),
    )


def _key(position: int) -> str:
    return f"{position:012d}"


def _source(item: Any) -> str:
    where = f" <{item.address}>" if item.address else ""
    return f"{item.title}{where}"


def _what(event: Event[Any]) -> str:
    """The event's sentence, and its own figures."""
    sentence = (event.data.__doc__ or "").split("\n")[0].rstrip(".")
    plain = to_builtins(event.data)
    figures = [
        f"{name} {value}"
        for name, value in plain.items()
        if name != "type" and isinstance(value, str | int) and value not in ("", False)
    ]
    text = f"{sentence}: {', '.join(figures)}" if figures else sentence
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


@TIMELINE.answer(TimelineLine, key=("position",))
def _timeline(book: Book) -> Drawn:
    # What marks an entry as reversed is folded whatever its own day, and shown by it.
    rows = (row for row in book.rows(TIMELINE) if book.reaches(row.effective_on))
    return Drawn([line_of(TimelineLine, row) for row in rows])
