"""Which events came late, and up to which day a deal's record had come: for as-of answers.

An event is late where an earlier one of its deal has a later effective day. Up to its
first event after a day, a deal's record as of that day is the record itself; from there
on only late events belong to it. So an as-of answer starts from the rows at the end of
a segment, folds the events of the next one, and the late ones after that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.dialect import database_of
from ledger.domain.event import Event
from projections.engine.tables import horizons, late
from projections.engine.view import FoldRow, View

DAYS: Final = View("days", 2, "Which entries came late?", FoldRow)
"""Tracked as views are; it has tables of its own, and no answer."""


class Days:
    """The late events and the horizons of all deals, while events are taken in."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection
        self._horizon: dict[str, date] = {}
        self.horizons: dict[tuple[str, int], str] = {}
        self.late: list[tuple[str, int, str]] = []

    def take(self, events: Iterable[Event[Any]], segment: int) -> None:
        """Take a segment's events in, those too that mark another as reversed."""
        for event in events:
            provenance = event.provenance
            deal, day = provenance.deal, provenance.effective_on
            horizon = self._horizon.get(deal)
            if horizon is None:
                horizon = self._horizon[deal] = self._stored(deal)
            if day < horizon:
                self.late.append((deal, event.position, day.isoformat()))
            elif day > horizon:
                self._horizon[deal] = day
                self.horizons[deal, segment] = day.isoformat()

    def _stored(self, deal: str) -> date:
        if self._connection is None:
            return date.min
        query = sa.select(sa.func.max(horizons.c.horizon)).where(
            horizons.c.deal == deal
        )
        found = self._connection.scalar(query)
        return date.fromisoformat(found) if found else date.min

    def write(self, connection: Connection) -> None:
        """Write what was found."""
        database = database_of(connection.engine)
        found = [(*key, day) for key, day in self.horizons.items()]
        database.upsert(connection, horizons, found)
        database.upsert(connection, late, self.late)


def forget_days(connection: Connection) -> None:
    """Drop all that was found."""
    connection.execute(sa.delete(horizons))
    connection.execute(sa.delete(late))


def reached(connection: Connection, deal: str, day: date) -> int | None:
    """The first segment in which a deal's record went past a day; None where none did."""
    query = sa.select(sa.func.min(horizons.c.segment)).where(
        horizons.c.deal == deal, horizons.c.horizon > day.isoformat()
    )
    found: int | None = connection.scalar(query)
    return found


def late_positions(
    deal: str, day: date, after: int, upto: int
) -> sa.Select[tuple[int]]:
    """The positions of a deal's late events between two others, effective by a day."""
    return sa.select(late.c.position).where(
        late.c.deal == deal,
        late.c.position > after,
        late.c.position <= upto,
        late.c.effective_on <= day.isoformat(),
    )


def kept_days(connection: Connection) -> tuple[Iterable[Any], Iterable[Any]]:
    """The horizons and the late events as they are stored, in order of their keys."""
    return (
        connection.execute(sa.select(horizons).order_by(*horizons.primary_key)),
        connection.execute(sa.select(late).order_by(*late.primary_key)),
    )
