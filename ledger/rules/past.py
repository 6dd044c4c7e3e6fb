"""The aggregates as the record had them just before an event: a `World` of the past.

The rules that guarded an event when it was recorded can so be asked again, about the
same state: by a recheck of the whole history, and by a reversal that asks what relied
on the entries that it takes away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from ledger.domain.aggregate import A, Aggregate, Told, World, not_found, stream_of
from ledger.domain.catalogue import BY_KIND
from ledger.domain.event import Event
from ledger.errors import NotFound, Refused

Check = Callable[[World, Event[Any]], None]
"""Refuses an event that a rule speaks against."""


class Past:
    """The world before an event, moved on one event at a time by `take`.

    It has no entries to look up: only the rules of reversals ask for those.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._kinds: dict[str, dict[str, Aggregate]] = {}
        self.latest_day = date.min

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate as it stood, with version 0 where it was not there yet."""
        stream = stream_of(kind, *ids)
        found = self.find(kind.kind, stream) or kind.at(stream)
        assert isinstance(found, kind)
        return found

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        found = self.get(kind, *ids)
        if not found.exists:
            raise not_found(kind, ids)
        return found

    def ahead(self, _kind: type[A], _ids: Iterable[tuple[str, ...]]) -> None:
        """Nothing to do: all that there is stands in memory."""

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in a deal, in order of its id."""
        mine = sorted(self.of_kind(kind.kind).items())
        return [
            found
            for _, found in mine
            if isinstance(found, kind) and found.deal == deal and found.exists
        ]

    def entry(self, _position: int) -> Event[Any] | None:
        """No entry: see the class."""
        return None

    def entries(self, _deal: str) -> Iterable[Event[Any]]:
        """No entries: see the class."""
        return ()

    def reach(self, event: Event[Any]) -> None:
        """Stand just before an event: what is only proposed is of the last of days."""
        moment = event.identity.recorded_at
        self.latest_day = (moment + timedelta(hours=14)).date() if moment else date.max

    def refusal(self, event: Event[Any]) -> Refused | NotFound | None:
        """What today's rules say against an event where it stands, if anything."""
        try:
            self._check(self if event.confirmed else Told(self), event)
        except (Refused, NotFound) as refusal:
            return refusal
        except KeyError as missing:
            # A history that no command of ours wrote may lack what a rule looks up.
            return NotFound(f"A rule looks up {missing}, which is not on the record.")
        return None

    def take(self, event: Event[Any], *, counts: bool = True) -> None:
        """Take an event in; one that does not count moves its stream's version alone."""
        aggregate = self.aggregate(event)
        # What may lie between belongs to another deal, and is not looked at.
        aggregate.version = event.version - 1  # type: ignore[misc]
        aggregate.fold(event, counts=counts)

    def aggregate(self, event: Event[Any]) -> Aggregate:
        """The aggregate that an event belongs to."""
        found = self.find(event.kind, event.stream)
        if found is None:
            found = BY_KIND[event.kind].at(event.stream)
            self.put(found)
        return found

    def find(self, kind: str, stream: str) -> Aggregate | None:
        """The aggregate of a stream, if there is one."""
        return self._kinds.get(kind, {}).get(stream)

    def of_kind(self, kind: str) -> Mapping[str, Aggregate]:
        """The aggregates of a kind by their streams."""
        return self._kinds.get(kind, {})

    def put(self, aggregate: Aggregate) -> None:
        """Add an aggregate, or put it in place of the one of that stream."""
        self._kinds.setdefault(aggregate.kind, {})[aggregate.id] = aggregate
