"""What a deal's standing would be: as it is, and with the proposed events on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.domain.event import Event
from ledger.record.store import Store
from projections.engine.history import marks
from projections.engine.reading import Reading
from projections.engine.view import Drawn
from projections.views.deals import FICTION
from projections.views.standing import STANDING


def preview(
    store: Store, deal: str, proposed: Sequence[Event[Any]]
) -> tuple[Drawn, Drawn]:
    """The standing of a deal now, and once these events were recorded, too."""
    mine = [event for event in proposed if event.deal == deal]
    with store.reading() as connection:
        reading = Reading(connection, store, FICTION)
        before = STANDING.draw(reading.book(deal, STANDING))
        taken_back = list(marks(mine))
        if taken_back:
            reading = Reading(
                connection, store, FICTION, today=reading.day, reversing=taken_back
            )
        book = reading.book(deal, STANDING)
        for event in mine:
            for view in STANDING.with_reads().values():
                view.fold(book.rows(view), event)
        # Another book over these rows: the first one may know what was so before.
        return before, STANDING.draw(reading.book(deal, STANDING))
