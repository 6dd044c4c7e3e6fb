"""What happened, in the order in which the ledger learnt it, and on what evidence?

This view keeps no rows: it is the record itself, told line by line.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from ledger.clock import stamp_time
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import to_builtins
from projections.engine.answer import Answer, columns_of
from projections.engine.view import View

if TYPE_CHECKING:
    from projections.engine.reading import Reading

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


@TIMELINE.told(TimelineLine, key=("position",))
def _timeline(reading: Reading, deal: str | None) -> Answer:
    if deal is not None:
        reading.check_known(deal)
    return reading.told(
        TIMELINE.name,
        list(timeline(reading, deal)),
        columns_of(TIMELINE, deal),
        deal=deal,
        version=TIMELINE.version,
        fictional=reading.all_fictional(deal),
    )


def timeline(
    reading: Reading,
    deal: str | None,
    *,
    before: int | None = None,
    newest: bool = False,
) -> Generator[Any]:
    """The events of a deal, or of all, a line each, as many as are asked for.

    `before` leaves out what stands from a position on; `newest` is told first.
    """
    taken_back = {
        mark.data.position: f"{mark.data.reversal} (#{mark.position})"
        for mark in reading.marks(deal)
    }
    fictional: dict[str, bool] = {}
    for event in reading.history(deal, before=before, newest=newest):
        if reading.as_of is not None and event.on > reading.as_of:
            continue  # It marks another as reversed, which shows it.
        line = line_of_event(event, taken_back.get(event.position))
        if deal is not None:
            yield line
            continue
        if event.deal not in fictional:
            fictional[event.deal] = reading.fictional(event.deal)
        label = {"deal": event.deal, "fictional": fictional[event.deal]}
        yield {**label, **to_builtins(line)}


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
