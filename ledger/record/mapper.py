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

    def __init__(self, **fields: Any) -> None:
        """Take all fields at once: a frozen dataclass sets one after the other."""
        vars(self).update(fields)


class EventMapper(Mapper[str]):
    """Turns our events into what the recorder takes, and stored bytes into events."""

    def __init__(self) -> None:
        """Need no transcoder of the library's, no compressor and no cipher."""
        self.compressor = None
        self.cipher = None

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Encode the provenance and data of an event that is to be recorded."""
        assert isinstance(domain_event, Event)
        return EventToStore(
            originator_id=domain_event.stream,
            originator_version=domain_event.version,
            topic=domain_event.data.tag(),
            state=body(domain_event),
            deal=domain_event.deal,
            effective_on=domain_event.on.isoformat(),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Event[Any]:
        """Decode a stored event."""
        return decode(stored_event.state, position=getattr(stored_event, "id", None))
