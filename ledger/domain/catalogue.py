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
from ledger.domain.aggregate import Aggregate
from ledger.domain.event import EventData, Reversed
from ledger.domain.parts import Part

EVENTS_OF: Final[dict[type[Aggregate], tuple[type[EventData], ...]]] = {
    agreement.Agreement: agreement.EVENTS,
    milestone.Milestone: milestone.EVENTS,
    observation.Observations: observation.EVENTS,
    sku.Sku: sku.EVENTS,
    order.Order: order.EVENTS,
    system.System: system.EVENTS,
    system.Slot: system.SLOT_EVENTS,
    certificate.Certificate: certificate.EVENTS,
    funding.Funding: funding.EVENTS,
    books.Books: books.EVENTS,
    reversal.Reversal: reversal.EVENTS,
}
"""The events of each kind of aggregate."""
PARTS_OF: Final[dict[type[Aggregate], tuple[type[Part], ...]]] = {
    agreement.Agreement: agreement.PARTS,
    observation.Observations: observation.PARTS,
    certificate.Certificate: certificate.PARTS,
    funding.Funding: funding.PARTS,
    books.Books: books.PARTS,
    order.Order: order.PARTS,
}
"""What the state of an aggregate of many parts is made of."""

AGGREGATES: Final = tuple(EVENTS_OF)
EVENTS: Final[tuple[type[EventData], ...]] = (
    *(event for events in EVENTS_OF.values() for event in events),
    Reversed,
)
BY_TAG: Final[dict[str, type[EventData]]] = {event.tag(): event for event in EVENTS}
BY_KIND: Final[dict[str, type[Aggregate]]] = {kind.kind: kind for kind in AGGREGATES}
