"""A decision: what a command read, and the events that it wants recorded.

Every stream it reads is noted with its version, absence included, and where it reads
all of a kind, how many there are; the store checks them all under its lock, so that approve and suspend, or unlock and revoke,
cannot pass side by side. What the decision itself recorded, it sees at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec

from ledger.errors import NotFound
from ledger.event import A, Aggregate, Event, EventData, stream_of
from ledger.provenance import Provenance
from ledger.rulebook import check
from ledger.transcoding import proposed


class Source(Protocol):
    """Where a decision reads from: the store, or a recheck's past."""

    def load(self, kind: type[A], stream: str) -> A:
        """The aggregate of a stream, version 0 where it has no events."""

    def streams(self, kind: str, deal: str) -> Iterable[str]:
        """The streams of a kind that have events of a deal."""


class Decision:
    """One decision, over one command or a whole batch; it is a `World` for the rules."""

    def __init__(self, source: Source, clock: Callable[[], datetime]) -> None:
        self._source = source
        self._aggregates: dict[str, Aggregate] = {}
        self._clock = clock
        self.expects: dict[str, int] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.events: list[Event[Any]] = []
        self.provenance: Provenance | None = None

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

    @property
    def latest_day(self) -> date:
        """The last day that has begun anywhere on earth (UTC+14)."""
        return (self._clock() + timedelta(hours=14)).date()

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it."""
        return self._load(kind, stream_of(kind, *ids))

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        aggregate = self.get(kind, *ids)
        if not aggregate.exists:
            raise NotFound(_not_found(kind, ids))
        return aggregate

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind under a deal, in order of its id."""
        streams = set(self._source.streams(kind.kind, deal))
        self.counts.setdefault((kind.kind, deal), len(streams))
        streams.update(
            stream
            for stream, aggregate in self._aggregates.items()
            if isinstance(aggregate, kind) and aggregate.exists
        )
        loaded = [self._load(kind, stream) for stream in sorted(streams)]
        return [aggregate for aggregate in loaded if aggregate.deal == deal]

    def record(
        self, kind: type[Aggregate], *ids: str, data: EventData, **changed: Any
    ) -> Event[Any]:
        """Check an event against every rule, then take it in.

        `changed` replaces fields of the provenance, such as `causation`.
        """
        aggregate = self._load(kind, stream_of(kind, *ids))
        provenance = self.at
        if changed:
            provenance = msgspec.structs.replace(provenance, **changed)
        event = proposed(aggregate.id, aggregate.version + 1, provenance, data)
        check(self, event)
        aggregate.fold(event)
        self.events.append(event)
        return event

    def _load(self, kind: type[A], stream: str) -> A:
        known = self._aggregates.get(stream)
        if known is None:
            known = self._source.load(kind, stream)
            self._aggregates[stream] = known
            self.expects[stream] = known.version
        assert isinstance(known, kind)
        return known


def _not_found(kind: type[Aggregate], ids: tuple[str, ...]) -> str:
    if kind.kind == "agreement":
        return (
            f"Deal {ids[0]!r} is not on the record; 'accord list' shows those that are."
        )
    if kind.kind in {"system", "slot"}:
        return f"{kind.kind.capitalize()} {'/'.join(ids)!r} is not on the record."
    return (
        f"{kind.kind.capitalize()} {ids[-1]!r} of deal {ids[0]!r} is not on the record."
    )
