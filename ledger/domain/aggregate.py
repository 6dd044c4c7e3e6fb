"""An aggregate: one thing with a life of its own, and the world that they make up.

What an event does to a state is written once, in its `apply`. `take` is the one way in:
a decision, a view, a snapshot and a replay all go through it, so that whatever a page
shows is what a rule sees. An entry that is not confirmed stands beside the state as a
claim, until a confirmed one on the same subject spends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import date
from functools import cache
from sys import intern
from typing import Any, ClassVar, Protocol, Self, TypeVar

from ledger.domain.event import Event, EventData, Identity, Reversed
from ledger.domain.parts import Part, Parts
from ledger.domain.provenance import Provenance
from ledger.domain.struct import Frozen, convert
from ledger.domain.values import decode_value
from ledger.errors import NotFound


class Claim(Frozen):
    """An entry that is not confirmed: told beside the state, and no part of it.

    `subject` is what it is about; a confirmed entry on the same subject spends it.
    """

    ref: str
    subject: str
    provenance: Provenance
    data: Any

    @classmethod
    def of(cls, event: Event[Any]) -> Claim:
        """An event as a claim."""
        return cls(
            ref=event.ref,
            subject=event.data.subject(),
            provenance=event.provenance,
            data=event.data,
        )

    @property
    def event(self) -> Event[Any]:
        """The event again, without its position and time."""
        stream, _, version = self.ref.rpartition("@")
        data = self.data
        if isinstance(data, dict):
            data = convert(data, _by_tag()[data["type"]], decode_value)
        identity = Identity(stream=stream, version=int(version))
        return Event(identity, self.provenance, data)


@cache
def _by_tag() -> dict[str, type[EventData]]:
    return {one.tag(): one for one in EventData.__subclasses__()}


class Aggregate:
    """One thing with a life of its own, folded from its events less the reversed ones."""

    __slots__ = ()
    kind: ClassVar[str]
    scoped: ClassVar[bool] = True
    """Whether its stream begins with the deal's id."""
    id: str
    version: int

    @classmethod
    def at(cls, stream: str) -> Self:
        """The aggregate of a stream of which nothing is recorded yet."""
        raise NotImplementedError

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
            self.take(event)
        self.version = event.version  # type: ignore[misc]

    def take(self, event: Event[Any]) -> None:
        """Let an event have its effect: on the state, or as a claim beside it."""
        self._note(event)
        if event.provenance.status != "confirmed" and event.is_claim:
            self._hold(Claim.of(event))
            return
        claims = self.claims
        if claims:
            subject = event.data.subject()
            for claim in claims:
                if claim.subject == subject:
                    self.spend(claim)
        event.data.apply(self, event)

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims that stand beside the state, in recorded order."""
        raise NotImplementedError

    @property
    def told(self) -> Self:
        """The state with the standing claims applied on top; itself without any."""
        if not self.claims:
            return self
        over = self._copy()
        for claim in self.claims:
            over.spend(claim)
            event = claim.event
            event.data.apply(over, event)
        return over

    @property
    def deal(self) -> str:
        """The deal that it is under."""
        raise NotImplementedError

    @property
    def entries(self) -> int:
        """How many entries count."""
        raise NotImplementedError

    @property
    def last_on(self) -> date:
        """The latest day of its entries."""
        raise NotImplementedError

    def _note(self, event: Event[Any]) -> None:
        raise NotImplementedError

    def _hold(self, claim: Claim) -> None:
        raise NotImplementedError

    def spend(self, claim: Claim) -> None:
        """Let a claim go."""
        raise NotImplementedError

    def _copy(self) -> Self:
        raise NotImplementedError


class Single(Aggregate, Part):
    """An aggregate whose whole state is one part: of systems there are very many.

    Its version is the decision's alone, and not in a row of a view.
    """

    deal: str = ""
    version: int = 0
    entries: int = 0
    last_on: date = date.min
    claims: tuple[Claim, ...] = ()

    @classmethod
    def at(cls, stream: str) -> Self:
        """The aggregate of a stream of which nothing is recorded yet."""
        return cls(key=stream.partition("/")[2])

    @property
    def id(self) -> str:  # type: ignore[override]
        """Its stream."""
        return f"{self.kind}/{self.key}"

    def _note(self, event: Event[Any]) -> None:
        if not self.entries:
            # A deal has very many of the same name.
            self.deal = intern(str(event.deal))
        self.entries += 1
        self.last_on = max(self.last_on, event.on)

    def _hold(self, claim: Claim) -> None:
        self.claims = (*self.claims, claim)

    def spend(self, claim: Claim) -> None:
        """Let a claim go."""
        self.claims = tuple(one for one in self.claims if one is not claim)

    def _copy(self) -> Self:
        return copy(self)


class Head(Part, tag="head"):
    """How much of a stream is in a state: its entries, and the latest of their days."""

    deal: str
    entries: int = 0
    last_on: date = date.min


class Standing(Part, tag="claim"):
    """A claim, kept among the parts."""

    claim: Claim


class Parted(Aggregate):
    """An aggregate whose state is many parts, read and changed one by one.

    In a view one set of parts holds all aggregates of a kind and deal, so that every
    key has the stream's own name in it, unless there is one such stream to a deal.
    """

    __slots__ = ("_claims", "_headed", "_told", "id", "parts", "version")

    def __init__(self, stream: str, parts: Parts[Any] | None = None) -> None:
        self.id = stream
        self.version = 0
        self.parts: Parts[Any] = Parts() if parts is None else parts
        self._told: Self | None = None
        self._headed: Head | None = None
        self._claims: Sequence[Claim] | None = None

    @classmethod
    def at(cls, stream: str) -> Self:
        """The aggregate of a stream of which nothing is recorded yet."""
        return cls(stream)

    @classmethod
    def over(cls, stream: str, parts: Parts[Any]) -> Self:
        """The aggregate of a stream as some parts have it, which others share."""
        lens: Self | None = parts.lenses.get(stream)
        if lens is None:
            lens = parts.lenses[stream] = cls(stream, parts)
        return lens

    @property
    def deal(self) -> str:
        """The deal that it is under."""
        head = self._head
        return head.deal if head else ""

    @property
    def entries(self) -> int:
        """How many entries count."""
        head = self._head
        return head.entries if head else 0

    @property
    def last_on(self) -> date:
        """The latest day of its entries."""
        head = self._head
        return head.last_on if head else date.min

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims that stand beside the state, in recorded order."""
        if self._claims is None:
            mine = f"{self.id}@"
            self._claims = tuple(
                part.claim
                for _, part in sorted(self.parts.under("claim").items())
                if part.claim.ref.startswith(mine)
            )
        return self._claims

    @property
    def told(self) -> Self:
        """The state with the standing claims applied on top; itself without any."""
        if self._told is None:
            self._told = super().told
        return self._told

    def take(self, event: Event[Any]) -> None:
        """Let an event have its effect: on the state, or as a claim beside it."""
        self._told = None
        if self._claims == () and event.provenance.status == "confirmed":
            # Nearly every one: no claim stands, and it is none.
            self._note(event)
            event.data.apply(self, event)
        else:
            super().take(event)

    @property
    def _head(self) -> Head | None:
        if self._headed is None:
            self._headed = self.parts.get(f"head/{self.id}")
        return self._headed

    def _note(self, event: Event[Any]) -> None:
        head = self._head
        if head is None:
            head = Head(key=f"head/{self.id}", deal=str(event.deal))
            self.parts.put(head)
            self._headed = head
        else:
            self.parts.touched.add(head.key)
        head.entries += 1
        if event.provenance.effective_on > head.last_on:
            head.last_on = event.on

    def _hold(self, claim: Claim) -> None:
        self._claims = None
        self.parts.put(Standing(key=_claim_key(claim), claim=claim))

    def spend(self, claim: Claim) -> None:
        """Let a claim go."""
        self._claims = None
        self.parts.drop(_claim_key(claim))

    def _copy(self) -> Self:
        over = type(self)(self.id, self.parts.fork())
        over.version = self.version
        return over


def _claim_key(claim: Claim) -> str:
    stream, _, version = claim.ref.rpartition("@")
    return f"claim/{stream}@{int(version):09d}"


A = TypeVar("A", bound=Aggregate)


def stream_of(kind: type[Aggregate], *ids: str) -> str:
    """The stream of an aggregate by its ids: deal and name, or a system's own id."""
    return "/".join((kind.kind, *ids))


def fold(kind: type[A], stream: str, events: Iterable[Event[Any]]) -> A:
    """The aggregate of a stream, folded from all its events less the reversed ones."""
    return fold_on(kind.at(stream), list(events))


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


class Told:
    """A world in which what is only reported stands on top of what is confirmed.

    An entry that is not confirmed is judged in it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.latest_day = world.latest_day

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it."""
        return self._world.get(kind, *ids).told

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        return self._world.need(kind, *ids).told

    def ahead(self, kind: type[A], ids: Iterable[tuple[str, ...]]) -> None:
        """Read aggregates that are looked at next, in few queries; nobody must ask."""
        self._world.ahead(kind, ids)

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in a deal, in order of its id."""
        return [one.told for one in self._world.all(kind, deal)]

    def entry(self, position: int) -> Event[Any] | None:
        """The entry at a position of the record, if there is one by now."""
        return self._world.entry(position)

    def entries(self, deal: str) -> Iterable[Event[Any]]:
        """Every entry so far that may bear on a deal's, in recorded order."""
        return self._world.entries(deal)
