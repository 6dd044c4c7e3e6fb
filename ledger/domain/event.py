"""The shape of an event and of an aggregate: what every other module here builds on.

An event is one envelope with three parts: identity (stamped by the store, under its
lock), provenance (who, when, why) and data (what happened). An aggregate is folded
from its events; `apply` never refuses, because history must load for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from sys import intern
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from ledger.domain.provenance import Provenance
from ledger.domain.struct import Frozen
from ledger.domain.values import Id
from ledger.errors import NotFound

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


_DAYS: dict[date, date] = {}
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
    def kind(self) -> str:
        """The kind of aggregate that it belongs to, `milestone`."""
        return self.identity.stream.partition("/")[0]

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
        """The day on which it was so in the world; equal days are one object.

        A hundred thousand aggregates hold few different ones.
        """
        day = self.provenance.effective_on
        return _DAYS.setdefault(day, day)

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


class Reversed(EventData, tag="record.reversed"):
    """An earlier entry of this stream was reversed; from here on it counts no more."""

    position: int
    version: int
    entry: str
    reversal: Id

    def apply(self, _aggregate: Any, _event: Event[Any]) -> None:
        """Change nothing: whoever folds the stream leaves the entry out."""


class Aggregate:
    """One thing with a life of its own, folded from its events less the reversed ones.

    Of some kinds there are a hundred thousand: those have no dictionary of their own.
    """

    __slots__ = ("deal", "entries", "id", "last_on", "version")
    kind: ClassVar[str]

    def __init__(self, stream: str) -> None:
        self.id = stream
        self.version = 0
        self.entries = 0
        self.deal = ""
        self.last_on: date = date.min

    @property
    def name(self) -> str:
        """The last part of the stream: the id that a user knows this by."""
        return self.id.rpartition("/")[2]

    @property
    def exists(self) -> bool:
        """Whether anything is recorded of it that was not reversed."""
        return self.entries > 0

    def fold(self, event: Event[Any], *, counts: bool = True) -> None:
        """Take one event in, in order; a gap is a programming error.

        One that does not count, because it was reversed, moves the version alone.
        """
        assert event.version == self.version + 1, (event.ref, self.version)
        if counts and not isinstance(event.data, Reversed):
            if not self.entries:
                # A deal has very many of the same name.
                self.deal = intern(str(event.deal))
            event.data.apply(self, event)
            self.entries += 1
            self.last_on = max(self.last_on, event.on)
        self.version = event.version


A = TypeVar("A", bound=Aggregate)


def stream_of(kind: type[Aggregate], *ids: str) -> str:
    """The stream of an aggregate by its ids: deal and name, or a system's own id."""
    return "/".join((kind.kind, *ids))


def fold(kind: type[A], stream: str, events: Iterable[Event[Any]]) -> A:
    """The aggregate of a stream, folded from all its events less the reversed ones."""
    return fold_on(kind(stream), list(events))


def fold_on(aggregate: A, history: Sequence[Event[Any]]) -> A:
    """The same aggregate with later events folded in, less those that they reverse."""
    gone = {e.data.version for e in history if isinstance(e.data, Reversed)}
    for event in history:
        aggregate.fold(event, counts=event.version not in gone)
    return aggregate


def not_found(kind: type[Aggregate], ids: tuple[str, ...]) -> NotFound:
    """What to raise where an aggregate is not on the record."""
    if kind.kind == "agreement":
        return NotFound(f"Deal {ids[0]!r} is not on the record.").hinting("deals")
    name = kind.kind.capitalize()
    if kind.kind in {"system", "slot"}:
        return NotFound(f"{name} {'/'.join(ids)!r} is not on the record.")
    return NotFound(f"{name} {ids[-1]!r} of deal {ids[0]!r} is not on the record.")


class World(Protocol):
    """What rules and commands may look at: aggregates as they stand now.

    A live decision notes each stream that it read, so that the store can check under
    its lock that none of them has moved; a recheck looks at the past instead.
    """

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it."""

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""

    def ahead(self, kind: type[A], ids: Iterable[tuple[str, ...]]) -> None:
        """Read aggregates that are looked at next, in few queries; nobody must ask."""

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in a deal, in order of its id."""

    def entry(self, position: int) -> Event[Any] | None:
        """The entry at a position of the record, if there is one by now."""

    def entries(self, deal: str) -> Iterable[Event[Any]]:
        """Every entry so far that may bear on a deal's, in recorded order."""

    @property
    def latest_day(self) -> date:
        """The last day that has begun anywhere on earth (UTC+14)."""
