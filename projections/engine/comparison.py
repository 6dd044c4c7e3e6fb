"""What is stored of views, held against a fold of the whole record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.errors import IntegrityFailure
from projections.engine.days import DAYS, Days, kept_days
from projections.engine.history import history, marks_by, reversed_by
from projections.engine.stored import Folding, Past
from projections.engine.tables import table_of
from projections.engine.view import View
from projections.engine.window import Window, pages


def compare(
    connection: Connection,
    views: Sequence[View],
    position: int,
    told: Callable[[int], None],
) -> int:
    """Hold what is stored of some views against a fold from the first event."""
    fresh = Window(views, None, reversed_by(connection, position))
    reversing = {mark.deal for mark in marks_by(connection, position)}
    for events in pages(history(connection, upto=position)):
        fresh.take(events)
        for folding in fresh.foldings():
            # A reversal changes what counts, not what was known before it.
            if folding.past and folding.deal not in reversing:
                _compare_past(connection, folding)
            folding.past.clear()
        told(events[-1].position)
    compared = 0
    for view in views:
        if view is not DAYS:
            compared += _compare_rows(connection, view, fresh)
    if fresh.days is not None:
        _compare_days(connection, fresh.days)
    return compared


def _compare_rows(connection: Connection, view: View, fresh: Window) -> int:
    expected = {
        (folding.deal, key): version.body
        for folding in fresh.foldings()
        if folding.view is view
        for key, version in folding.versions.items()
        if version.body is not None
    }
    if not view.keeps_rows:
        return 0
    table, many = table_of(view.name), len(expected)
    query = sa.select(table.c.deal, table.c.key, table.c.body)
    for deal, key, body in connection.execute(query.order_by(*table.primary_key)):
        if expected.pop((deal, key), None) != body:
            raise _wrong(view, deal, key)
    for deal, key in sorted(expected):
        raise _wrong(view, deal, key)
    return many


def _compare_past(connection: Connection, folding: Folding) -> None:
    of_segment: dict[int, dict[str, bytes | None]] = {}
    for _, _, key, segment, body in folding.past:
        of_segment.setdefault(segment, {})[key] = body
    for segment, expected in of_segment.items():
        kept = Past(connection, folding.view, folding.deal, segment)
        found = kept.bodies(list(expected))
        for key, body in expected.items():
            if found.get(key) != body:
                raise _wrong(folding.view, folding.deal, key)


def _wrong(view: View, deal: str, key: str) -> IntegrityFailure:
    return IntegrityFailure(
        f"View {view.name}, deal {deal}, row {key}: the stored row is "
        "not what the events give."
    ).hinting("rebuild")


def _compare_days(connection: Connection, fresh: Days) -> None:
    expected = [
        sorted((*key, day) for key, day in fresh.horizons.items()),
        sorted(fresh.late),
    ]
    if [list(map(tuple, found)) for found in kept_days(connection)] != expected:
        raise IntegrityFailure(
            "Which entries came late is not what the events give."
        ).hinting("rebuild")
