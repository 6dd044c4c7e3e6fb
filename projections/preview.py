"""What a deal's standing would be: its events and the proposed ones, folded in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from ledger.event import Event
from ledger.store import Store
from ledger.tables import events
from ledger.transcoding import decode
from projections.standing import STANDING
from projections.view import Book, Drawn, Rows


def preview(
    store: Store, deal: str, proposed: Sequence[Event[Any]]
) -> tuple[Drawn, Drawn]:
    """The standing of a deal now, and once these events were recorded, too."""
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.deal == deal)
        .order_by(events.c.position)
    )
    with store.reading() as connection:
        history = [
            decode(data, position=position)
            for position, data in connection.execute(query)
        ]
    mine = [event for event in proposed if event.deal == deal]
    return _standing(store, deal, history), _standing(store, deal, [*history, *mine])


def _standing(store: Store, deal: str, history: Iterable[Event[Any]]) -> Drawn:
    views = STANDING.with_reads()
    rows: dict[str, Rows[Any]] = {name: Rows() for name in views}
    for event in history:
        for name, view in views.items():
            view.fold(rows[name], event)
    today = store.clock().astimezone(UTC).date()
    return STANDING.draw(Book(deal, rows, today))
