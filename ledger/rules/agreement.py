"""Rules of the agreement: AGR-01 to AGR-14."""

from __future__ import annotations

from typing import Any

from ledger.agreement import (
    Agreement,
    Opened,
)
from ledger.errors import Refused
from ledger.event import Event, World
from ledger.rules.registry import rule


@rule("AGR-14", Opened)
def opened_once(world: World, event: Event[Any]) -> None:
    """A deal is put on the record once."""
    if world.get(Agreement, event.deal).exists:
        raise Refused(
            "AGR-14",
            f"Deal {event.deal!r} is already on the record.",
            todo="Choose another id, or go on with that one.",
        )
