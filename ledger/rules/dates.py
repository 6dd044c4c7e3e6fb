"""Order in time: a fact is not earlier than the facts that it relies on."""

from __future__ import annotations

from datetime import date
from typing import Any

from ledger.domain.event import Event
from ledger.errors import Refused


def not_before(event: Event[Any], day: date | None, what: str) -> None:
    """Refuse, under REC-12, an event effective before what it relies on."""
    if day is not None and event.on < day:
        raise Refused(
            f"{event.on} is before {what} on {day}, which this relies on.",
            todo="Give the day on which it really was so as 'effective_on'.",
            code="REC-12",
        )
