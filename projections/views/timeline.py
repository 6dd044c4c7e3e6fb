"""What happened, in the order in which the ledger learnt it, and on what evidence?

This view keeps no rows: it is the record itself, told line by line.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import stamp_time, to_builtins
from projections.engine.view import View

SHOWN: Final = 160


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


TIMELINE: Final = View(
    "timeline", 2, "What happened, who recorded it, on what evidence?", TimelineLine
)
TIMELINE.row = TimelineLine
TIMELINE.key = ("position",)


def line_of_event(event: Event[Any], reversed_by: str | None = None) -> TimelineLine:
    """An event as a line of the timeline."""
    recorded = event.identity.recorded_at
    assert recorded is not None
    day = recorded.astimezone(UTC).date()
    provenance = event.provenance
    return TimelineLine(
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
        reversed_by=reversed_by,
    )


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
