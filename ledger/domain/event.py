"""The shape of an event: what every other module here builds on.

An event is one envelope with three parts: identity (stamped by the store, under its
lock), provenance (who, when, why) and data (what happened). What it does to a state
stands in its `apply`, which never refuses, because history must load for ever.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from ledger.domain.provenance import Provenance
from ledger.domain.struct import Frozen
from ledger.domain.values import Id

SCHEMA = 1
"""The version of the envelope; a higher one stops reading (REC-10)."""


class EventData(Frozen, tag_field="type"):
    """What happened. Its tag is literal and permanent: `agreement.loi_signed`."""

    always: ClassVar[bool] = False
    """Whether it has its effect however uncertain it is."""
    about: ClassVar[tuple[str, ...] | None] = None
    """The fields that name what it is about; the first one, where that is a name."""

    def apply(self, aggregate: Any, event: Event[Any]) -> None:
        """Change the aggregate's state; know no status, and never refuse."""
        raise NotImplementedError

    def subject(self) -> str:
        """Its step and what that is about: a claim is spent by an entry of the same."""
        names = self.about
        if names is None:
            first = self.__struct_fields__[:1]
            names = first if first and isinstance(getattr(self, first[0]), str) else ()
        return ":".join((self.tag(), *(str(getattr(self, name)) for name in names)))

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
    def is_claim(self) -> bool:
        """Whether it is only told, and has no effect on the state."""
        return not self.provenance.confirmed and not self.data.always

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
