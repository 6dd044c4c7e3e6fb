"""Every type of event, in one place: for decoding, for documents, for schemas."""

from __future__ import annotations

from typing import Final

from ledger.domain import (
    agreement,
    books,
    certificate,
    funding,
    milestone,
    observation,
    order,
    reversal,
    sku,
    system,
)
from ledger.domain.event import Aggregate, EventData, Reversed

AGGREGATES: Final[tuple[type[Aggregate], ...]] = (
    agreement.Agreement,
    milestone.Milestone,
    observation.Observations,
    sku.Sku,
    order.Order,
    system.System,
    system.Slot,
    certificate.Certificate,
    funding.Funding,
    books.Books,
    reversal.Reversal,
)

EVENTS: Final[tuple[type[EventData], ...]] = (
    *agreement.EVENTS,
    *milestone.EVENTS,
    *observation.EVENTS,
    *sku.EVENTS,
    *order.EVENTS,
    *system.EVENTS,
    *certificate.EVENTS,
    *funding.EVENTS,
    *books.EVENTS,
    *reversal.EVENTS,
    Reversed,
)

BY_TAG: Final[dict[str, type[EventData]]] = {event.tag(): event for event in EVENTS}
BY_KIND: Final[dict[str, type[Aggregate]]] = {kind.kind: kind for kind in AGGREGATES}
