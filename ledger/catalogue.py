"""Every type of event, in one place: for decoding, for documents, for schemas."""

from __future__ import annotations

from typing import Final

from ledger import (
    agreement,
    books,
    capacity,
    delivery,
    funding,
    observation,
    reversal,
    roadmap,
    sku,
)
from ledger.event import Aggregate, EventData, Reversed

AGGREGATES: Final[tuple[type[Aggregate], ...]] = (
    agreement.Agreement,
    roadmap.Milestone,
    observation.Observations,
    sku.Sku,
    delivery.Order,
    delivery.System,
    delivery.Slot,
    capacity.Certificate,
    funding.Funding,
    books.Books,
    reversal.Reversal,
)

EVENTS: Final[tuple[type[EventData], ...]] = (
    *agreement.EVENTS,
    *roadmap.EVENTS,
    *observation.EVENTS,
    *sku.EVENTS,
    *delivery.EVENTS,
    *capacity.EVENTS,
    *funding.EVENTS,
    *books.EVENTS,
    *reversal.EVENTS,
    Reversed,
)

BY_TAG: Final[dict[str, type[EventData]]] = {event.tag(): event for event in EVENTS}
BY_KIND: Final[dict[str, type[Aggregate]]] = {kind.kind: kind for kind in AGGREGATES}
