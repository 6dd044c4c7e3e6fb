"""A decision: what a command read, and the events that it wants recorded.

Every stream it reads is noted with its version, absence included, and where it reads
all of a kind, how many there are; the store checks them all under its lock, so that approve and suspend, or unlock and revoke,
cannot pass side by side. What the decision itself recorded, it sees at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec

from ledger.domain.aggregate import A, Aggregate, fold, not_found, stream_of
from ledger.domain.event import Event, EventData, Reversed
from ledger.domain.provenance import Provenance
from ledger.domain.transcoding import proposed
from ledger.rules.rulebook import check, written


class Source(Protocol):
    """Where a decision reads from: the store, or a recheck's past."""

    def load(self, kind: type[A], stream: str) -> A:
        """The aggregate of a stream, version 0 where it has no events."""

    def several(self, kind: type[A], streams: Sequence[str]) -> Iterable[A]:
        """The same of many streams, in few queries."""

    def streams(self, kind: str, deal: str) -> Iterable[str]:
        """The streams of a kind that have events of a deal."""

    def history(self, stream: str) -> Iterable[Event[Any]]:
        """Every event of a stream."""

    def entry(self, position: int) -> Event[Any] | None:
        """The event at a position."""

    def kin(self, deal: str) -> Mapping[str, int]:
        """The deal and those that share a stream with it, each with its last position."""

    def entries(self, deals: Iterable[str]) -> Iterable[Event[Any]]:
        """Every event of some deals, in recorded order."""


class Decision:
    """One decision, over one command or a whole batch; it is a `World` for the rules."""

    def __init__(self, source: Source, clock: Callable[[], datetime]) -> None:
        self._source = source
        self._aggregates: dict[str, Aggregate] = {}
        self.latest_day: date = (clock() + timedelta(hours=14)).date()
        # The last day that has begun anywhere on earth (UTC+14).
        self.expects: dict[str, int] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.extents: dict[str, int] = {}
        self.events: list[Event[Any]] = []
        self.bodies: list[bytes] = []
        # What each of them is written as, read back already.
        self.provenance: Provenance | None = None

    @property
    def aggregates(self) -> Iterable[Aggregate]:
        """All that it read, as it leaves them."""
        return self._aggregates.values()

    def let_go(self, kind: type[Aggregate]) -> None:
        """Forget what would be recorded, and how the aggregates of a kind stand then."""
        self.events.clear()
        self.bodies.clear()
        gone = [stream for stream, a in self._aggregates.items() if type(a) is kind]
        for stream in gone:
            del self._aggregates[stream], self.expects[stream]

    def begin(self, provenance: Provenance) -> None:
        """Start a command: what it records carries this provenance."""
        self.provenance = provenance

    @property
    def at(self) -> Provenance:
        """The provenance of the command that is being decided."""
        assert self.provenance is not None
        return self.provenance

    @property
    def deal(self) -> str:
        """The deal that the command is about."""
        return self.at.deal

    @property
    def party(self) -> str:
        """The party for which the actor acts."""
        return self.at.party

    @property
    def on(self) -> date:
        """The day on which the fact was so."""
        return self.at.effective_on

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it.

        An entry that is not confirmed is judged in the world that is told.
        """
        found = self._load(kind, stream_of(kind, *ids))
        return found.told if self._told else found

    @property
    def _told(self) -> bool:
        return self.provenance is not None and not self.provenance.confirmed

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        aggregate = self.get(kind, *ids)
        if not aggregate.exists:
            raise not_found(kind, ids)
        return aggregate

    def ahead(self, kind: type[A], ids: Iterable[tuple[str, ...]]) -> None:
        """Read the aggregates that a command or a rule looks at next, all at once."""
        self._ahead(kind, (stream_of(kind, *each) for each in ids))

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind under a deal, in order of its id."""
        streams = set(self._source.streams(kind.kind, deal))
        self.counts.setdefault((kind.kind, deal), len(streams))
        streams.update(
            stream
            for stream, aggregate in self._aggregates.items()
            if isinstance(aggregate, kind) and aggregate.exists
        )
        self._ahead(kind, streams)
        loaded = [self._load(kind, stream) for stream in sorted(streams)]
        mine = [one for one in loaded if one.deal == deal and one.exists]
        return [one.told for one in mine] if self._told else mine

    def entry(self, position: int) -> Event[Any] | None:
        """The entry at a position of the record; what is only proposed has none yet."""
        return self._source.entry(position)

    def entries(self, deal: str) -> Iterator[Event[Any]]:
        """Every entry of a deal and of those that share a stream with it, and our own."""
        kin = self._source.kin(deal)
        self.extents.update(kin)
        yield from self._source.entries(kin)
        yield from list(self.events)

    def record(
        self, kind: type[Aggregate], *ids: str, data: EventData, **changed: Any
    ) -> Event[Any]:
        """Check an event against every rule, and that it comes back; then take it in.

        `changed` replaces fields of the provenance, such as `causation`.
        """
        aggregate = self._load(kind, stream_of(kind, *ids))
        provenance = self.at
        if changed:
            provenance = msgspec.structs.replace(provenance, **changed)
        event = proposed(aggregate.id, aggregate.version + 1, provenance, data)
        check(self, event)
        self.bodies.append(written(event))
        self.events.append(event)
        if isinstance(data, Reversed):
            self._refold(aggregate)
        else:
            aggregate.fold(event)
        return event

    def _refold(self, aggregate: Aggregate) -> None:
        """Fold a stream anew, without what was just reversed in it."""
        stream = aggregate.id
        mine = [event for event in self.events if event.stream == stream]
        history = [*self._source.history(stream), *mine]
        self._aggregates[stream] = fold(type(aggregate), stream, history)

    def _load(self, kind: type[A], stream: str) -> A:
        known = self._aggregates.get(stream)
        if known is None:
            known = self._source.load(kind, stream)
            self._take(known)
        assert isinstance(known, kind)
        return known

    def _ahead(self, kind: type[A], streams: Iterable[str]) -> None:
        unknown = sorted({one for one in streams if one not in self._aggregates})
        for found in self._source.several(kind, unknown) if unknown else ():
            self._take(found)

    def _take(self, aggregate: Aggregate) -> None:
        self._aggregates[aggregate.id] = aggregate
        self.expects[aggregate.id] = aggregate.version
