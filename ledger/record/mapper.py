"""What the `eventsourcing` library asks for: our events as it stores them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from ledger.domain.event import Event
from ledger.domain.transcoding import body, decode


@dataclass(frozen=True, init=False)
class EventToStore(StoredEvent):
    """A stored event that also carries what the store's columns need.

    `state` is the envelope without its identity; see `envelope`.
    """

    deal: str
    effective_on: str

    @classmethod
    def of(cls, event: Event[Any], written: bytes) -> EventToStore:
        """An event that is to be recorded, with its `body`."""
        made = object.__new__(cls)
        identity, provenance = event.identity, event.provenance
        # All at once: a frozen dataclass sets one field after the other.
        made.__dict__.update(
            originator_id=identity.stream,
            originator_version=identity.version,
            topic=event.data.tag(),
            state=written,
            deal=provenance.deal,
            effective_on=provenance.effective_on.isoformat(),
        )
        return made


class EventMapper(Mapper[str]):
    """Turns our events into what the recorder takes, and stored bytes into events."""

    def __init__(self) -> None:
        """Need no transcoder of the library's, no compressor and no cipher."""
        self.compressor = None
        self.cipher = None

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Encode the provenance and data of an event that is to be recorded."""
        assert isinstance(domain_event, Event)
        return EventToStore.of(domain_event, body(domain_event))

    def to_domain_event(self, stored_event: StoredEvent) -> Event[Any]:
        """Decode a stored event."""
        return decode(stored_event.state, position=getattr(stored_event, "id", None))
