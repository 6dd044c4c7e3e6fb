"""A world folded in recorded order, in which every event is judged again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ledger.catalogue import BY_KIND
from ledger.errors import NotFound, Refused
from ledger.event import A, Aggregate, Event, stream_of
from ledger.rulebook import problems
from ledger.store import Store
from ledger.transcoding import decode


class ReplayWorld:
    """What the rules saw just before an event, told from the record alone."""

    def __init__(self) -> None:
        self.aggregates: dict[str, Aggregate] = {}
        self.latest_day = date.min

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate as it stood, with version 0 where it was not there yet."""
        stream = stream_of(kind, *ids)
        found = self.aggregates.get(stream) or kind(stream)
        assert isinstance(found, kind)
        return found

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        found = self.get(kind, *ids)
        if not found.exists:
            raise NotFound(found.id)
        return found

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in a deal, in order of its id."""
        return [
            found
            for _, found in sorted(self.aggregates.items())
            if isinstance(found, kind) and found.deal == deal
        ]

    def judge(self, event: Event[Any]) -> list[Refused]:
        """What today's rules have against an event; then take it in."""
        moment = event.identity.recorded_at
        assert moment is not None
        self.latest_day = (moment + timedelta(hours=14)).date()
        found = problems(self, event)
        kind = BY_KIND[event.stream.partition("/")[0]]
        self.aggregates.setdefault(event.stream, kind(event.stream)).fold(event)
        return found


def judged(store: Store) -> list[tuple[str, Refused]]:
    """Every event of a record that the rules would refuse where it stands."""
    world = ReplayWorld()
    wrong = []
    for item in store.select_notifications(1, 1_000_000):
        event = decode(item.state, position=item.id)
        wrong += [(event.ref, refusal) for refusal in world.judge(event)]
    return wrong
