"""The events that views are folded from: in recorded order, less the reversed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.tables import events
from ledger.domain.event import Event, EventData, Reversed
from ledger.domain.transcoding import decode
from ledger.record.log import IN_CHUNK

PAGE: Final = 1000
"""Events that are held at once where many are read."""


def history(
    connection: Connection,
    deal: str | None = None,
    *,
    after: int = 0,
    upto: int | None = None,
    as_of: date | None = None,
    among: sa.Select[tuple[int]] | None = None,
    newest: bool = False,
) -> Iterator[Event[Any]]:
    """The events of a deal, or of all, between two positions and effective by a day.

    What marks an event as reversed is among them whatever its own day: a reversal acts
    on what is known, not on what was so. `among` limits them to some positions. The `newest`
    come first where that is asked for.
    """
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.position > after)
        .order_by(events.c.position.desc() if newest else events.c.position)
    )
    if deal is not None:
        query = query.where(events.c.deal == deal)
    if upto is not None:
        query = query.where(events.c.position <= upto)
    if as_of is not None:
        by_then = events.c.effective_on <= as_of.isoformat()
        query = query.where(sa.or_(by_then, events.c.type == Reversed.tag()))
    if among is not None:
        query = query.where(events.c.position.in_(among))
    paged = {"yield_per": PAGE}
    with connection.execute(query, execution_options=paged) as found:
        for rows in found.partitions():
            for position, data in rows:
                yield decode(data, position=position)


def of_stream(
    connection: Connection, stream: str, upto: int, as_of: date | None
) -> Iterator[Event[Any]]:
    """The events of a stream up to a position, effective by a day."""
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.stream == stream)
        .order_by(events.c.version)
    )
    for position, data in connection.execute(query):
        event: Event[Any] = decode(data, position=position)
        if position <= upto and (as_of is None or event.on <= as_of):
            yield event


def of_streams(
    connection: Connection,
    streams: Sequence[str],
    data: type[EventData],
    upto: int,
    as_of: date | None,
) -> Iterator[Event[Any]]:
    """The events of one type on some streams, up to a position, effective by a day."""
    for start in range(0, len(streams), IN_CHUNK):
        query = sa.select(events.c.position, events.c.data).where(
            events.c.stream.in_(streams[start : start + IN_CHUNK]),
            events.c.type == data.tag(),
            events.c.position <= upto,
        )
        if as_of is not None:
            query = query.where(events.c.effective_on <= as_of.isoformat())
        query = query.order_by(events.c.position)
        for position, body in connection.execute(query):
            yield decode(body, position=position)


def marks(found: Iterable[Event[Any]]) -> Iterator[Event[Reversed]]:
    """Those of the events by which others were reversed."""
    return (event for event in found if isinstance(event.data, Reversed))


def reversed_in(found: Iterable[Event[Any]]) -> frozenset[int]:
    """The positions of the events that are reversed, as these events say."""
    return frozenset(mark.data.position for mark in marks(found))


def marks_by(
    connection: Connection, upto: int, deal: str | None = None, after: int = 0
) -> list[Event[Reversed]]:
    """What marks events as reversed, between two positions of the record."""
    query = (
        sa.select(events.c.position, events.c.data)
        .where(
            # In words, not as a parameter: so the index of reversals is found.
            events.c.type == sa.literal_column(f"'{Reversed.tag()}'"),
            events.c.position > after,
            events.c.position <= upto,
        )
        .order_by(events.c.position)
    )
    found = (decode(data, position=at) for at, data in connection.execute(query))
    # Few are, of all deals together.
    return [mark for mark in found if deal is None or mark.deal == deal]


def reversed_by(
    connection: Connection, upto: int, deal: str | None = None
) -> frozenset[int]:
    """The positions of all events that were reversed by a position of the record."""
    return reversed_in(marks_by(connection, upto, deal))


def deals_of(connection: Connection) -> list[str]:
    """Every deal on the record, in order: from one to the next, not event by event."""
    known = sa.select(sa.func.min(events.c.deal).label("deal")).cte(
        "known", recursive=True
    )
    later = sa.select(sa.func.min(events.c.deal)).where(events.c.deal > known.c.deal)
    step = sa.select(later.scalar_subquery()).where(known.c.deal.is_not(None))
    known = known.union_all(step)
    query = sa.select(known.c.deal).where(known.c.deal.is_not(None))
    return list(connection.scalars(query))
