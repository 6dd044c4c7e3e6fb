"""What a deal's standing would be: its events and the proposed ones, folded in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from ledger.event import Event
from ledger.store import Store
from projections.history import history, reversed_in
from projections.standing import STANDING
from projections.view import Book, Drawn, Rows


def preview(
    store: Store, deal: str, proposed: Sequence[Event[Any]]
) -> tuple[Drawn, Drawn]:
    """The standing of a deal now, and once these events were recorded, too."""
    with store.reading() as connection:
        past = list(history(connection, deal))
    mine = [event for event in proposed if event.deal == deal]
    return _standing(store, deal, past), _standing(store, deal, [*past, *mine])


def _standing(store: Store, deal: str, events: Sequence[Event[Any]]) -> Drawn:
    views = STANDING.with_reads()
    rows: dict[str, Rows[Any]] = {name: Rows() for name in views}
    gone = reversed_in(events)
    for event in events:
        if event.position not in gone:
            for name, view in views.items():
                view.fold(rows[name], event)
    today = store.clock().astimezone(UTC).date()
    return STANDING.draw(Book(deal, rows, today))
