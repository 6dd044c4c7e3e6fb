"""The shape of an event and of an aggregate: what every other module here builds on.

An event is one envelope with three parts: identity (stamped by the store, under its
lock), provenance (who, when, why) and data (what happened). An aggregate is folded
from its events; `apply` never refuses, because history must load for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from ledger.provenance import Provenance
from ledger.struct import Frozen

SCHEMA = 1
"""The version of the envelope; a higher one stops reading (REC-10)."""


class EventData(Frozen, tag_field="type"):
    """What happened. Its tag is literal and permanent: `agreement.loi_signed`."""

    def apply(self, aggregate: Any, event: Event[Any]) -> None:
        """Change the aggregate's state; never refuse."""
        raise NotImplementedError

    @classmethod
    def tag(cls) -> str:
        """The permanent name of this type of event."""
        tag = cls.__struct_config__.tag
        assert isinstance(tag, str)
        return tag


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an event stands in the record. Position and time are the store's alone."""

    schema: int = 0
    position: int = 0
    stream: str
    version: int
    recorded_at: datetime | None = None
    submitted_by: str = ""
    batch: str | None = None


D_co = TypeVar("D_co", bound=EventData, covariant=True)


class Event(msgspec.Struct, Generic[D_co], frozen=True):
    """One fact on the record, or proposed for it."""

    identity: Identity
    provenance: Provenance
    data: D_co

    @property
    def stream(self) -> str:
        """The stream this event belongs to, `milestone/openai-nvidia/rubin`."""
        return self.identity.stream

    @property
    def version(self) -> int:
        """This event's number within its stream, from 1."""
        return self.identity.version

    @property
    def position(self) -> int:
        """This event's place in the whole record, from 1; 0 while only proposed."""
        return self.identity.position

    @property
    def deal(self) -> str:
        """The deal that this event belongs to."""
        return self.provenance.deal

    @property
    def on(self) -> date:
        """The day on which it was so in the world."""
        return self.provenance.effective_on

    @property
    def confirmed(self) -> bool:
        """Whether the fact is confirmed."""
        return self.provenance.confirmed

    @property
    def ref(self) -> str:
        """This event by stream and version, `funding/openai-nvidia@3`."""
        return f"{self.identity.stream}@{self.identity.version}"

    # The names that the `eventsourcing` library knows these by.
    @property
    def originator_id(self) -> str:
        """The stream."""
        return self.identity.stream

    @property
    def originator_version(self) -> int:
        """The version."""
        return self.identity.version


class Aggregate:
    """One thing with a life of its own, folded from its stream of events."""

    kind: ClassVar[str]

    def __init__(self, stream: str) -> None:
        self.id = stream
        self.version = 0
        self.deal = ""
        self.last_on: date = date.min

    @property
    def name(self) -> str:
        """The last part of the stream: the id that a user knows this by."""
        return self.id.rpartition("/")[2]

    @property
    def exists(self) -> bool:
        """Whether anything was ever recorded of it."""
        return self.version > 0

    def fold(self, event: Event[Any]) -> None:
        """Take one event in, in order; a gap is a programming error."""
        assert event.version == self.version + 1, (event.ref, self.version)
        if not self.version:
            self.deal = event.deal
        event.data.apply(self, event)
        self.version = event.version
        self.last_on = max(self.last_on, event.on)


A = TypeVar("A", bound=Aggregate)


def stream_of(kind: type[Aggregate], *ids: str) -> str:
    """The stream of an aggregate by its ids: deal and name, or a system's own id."""
    return "/".join((kind.kind, *ids))


def fold(kind: type[A], stream: str, events: Iterable[Event[Any]]) -> A:
    """The aggregate of a stream, folded from all its events."""
    aggregate = kind(stream)
    for event in events:
        aggregate.fold(event)
    return aggregate


class World(Protocol):
    """What rules and commands may look at: aggregates as they stand now.

    A live decision notes each stream that it read, so that the store can check under
    its lock that none of them has moved; a recheck looks at the past instead.
    """

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it."""

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in a deal, in order of its id."""

    @property
    def latest_day(self) -> date:
        """The last day that has begun anywhere on earth (UTC+14)."""
