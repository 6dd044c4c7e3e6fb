"""The events that views are folded from: in recorded order, less the reversed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.event import Event, Reversed
from ledger.tables import events
from ledger.transcoding import decode


def history(
    connection: Connection,
    deal: str | None = None,
    *,
    after: int = 0,
    upto: int | None = None,
    as_of: date | None = None,
    limit: int | None = None,
) -> list[Event[Any]]:
    """The events of a deal, or of all, between two positions and effective by a day.

    What marks an event as reversed is among them whatever its own day: a reversal acts
    on what is known, not on what was so.
    """
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.position > after)
        .order_by(events.c.position)
        .limit(limit)
    )
    if deal is not None:
        query = query.where(events.c.deal == deal)
    if upto is not None:
        query = query.where(events.c.position <= upto)
    if as_of is not None:
        by_then = events.c.effective_on <= as_of.isoformat()
        query = query.where(sa.or_(by_then, events.c.type == Reversed.tag()))
    return [decode(data, position=at) for at, data in connection.execute(query)]


def marks(found: Iterable[Event[Any]]) -> Iterator[Event[Reversed]]:
    """Those of the events by which others were reversed."""
    return (event for event in found if isinstance(event.data, Reversed))


def reversed_in(found: Iterable[Event[Any]]) -> frozenset[int]:
    """The positions of the events that are reversed, as these events say."""
    return frozenset(mark.data.position for mark in marks(found))


def reversed_by(connection: Connection, upto: int) -> frozenset[int]:
    """The positions of all events that were reversed by a position of the record."""
    query = sa.select(events.c.position, events.c.data).where(
        events.c.type == Reversed.tag(), events.c.position <= upto
    )
    found = (decode(data, position=at) for at, data in connection.execute(query))
    return reversed_in(found)
