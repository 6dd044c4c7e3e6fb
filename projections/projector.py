"""Events into rows, in order, exactly once.

Catching up is only a cache: `reading.py` answers the same from a ledger that may not be
written, or from rows of another version. Where a batch reverses something, the rows of
that deal are folded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.errors import IntegrityFailure, LedgerUnavailable
from ledger.event import Event
from ledger.log import read_head
from ledger.snapshot import check_snapshots
from ledger.snapshot import forget as drop_snapshots
from ledger.store import Store
from ledger.transcoding import to_json
from projections.history import history, marks, reversed_by, reversed_in
from projections.reading import Answer, KnownAt, Reading
from projections.registry import VIEWS, view_named
from projections.stored import (
    Stored,
    begin_anew,
    forget,
    forget_deal,
    track,
    tracked,
    write,
)
from projections.tables import metadata, table_of
from projections.view import Rows, View

BATCH: Final = 500
Progress = Callable[[int, int | None], None]


class ViewStatus(msgspec.Struct, frozen=True):
    """How a stored view stands."""

    view: str
    version: int
    position: int
    lag: int
    rows: int


def view_tables() -> sa.MetaData:
    """The tables of all views, to be made beside the record's."""
    for view in VIEWS:
        table_of(view.name)
    return metadata


class _OvertakenError(Exception):
    """Somebody else folded the same events meanwhile."""


class _Batch(NamedTuple):
    """Events that some views take in next: after `first`, of a record of `size`.

    `afresh` holds the rows of deals in which the batch reverses something, folded anew;
    `known` is how far each view had come.
    """

    views: Sequence[View]
    first: int
    size: int
    events: Sequence[Event[Any]]
    afresh: dict[str, dict[str, Rows[Any]]]
    known: dict[str, tuple[int, int]]


class Projections:
    """The views of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def catch_up(self, progress: Progress | None = None) -> int:
        """Fold what was recorded since; how many events that were.

        A ledger that may not be written is left as it is: reads fold in memory.
        """
        try:
            return self.keep_up(progress)
        except LedgerUnavailable:
            return 0

    def keep_up(self, progress: Progress | None = None) -> int:
        """The same; LedgerUnavailable where the ledger may not be written."""
        return sum(self._batches(VIEWS, progress))

    def rebuild(
        self, names: Sequence[str] | None = None, progress: Progress | None = None
    ) -> int:
        """Fold views anew from the first event; how many events that were.

        With all views go the snapshots, which are taken again as the record grows.
        """
        chosen = [view for view in VIEWS if names is None or view.name in names]
        with self.store.writing() as connection:
            for view in chosen:
                begin_anew(connection, view)
            if names is None:
                drop_snapshots(connection)
        return sum(self._batches(chosen, progress))

    def _batches(
        self, views: Sequence[View], progress: Progress | None
    ) -> Iterator[int]:
        done, first, size = 0, None, 0
        while True:
            batch = self._next_batch(views)
            if batch is None:
                return
            first = batch.first if first is None else first
            size = batch.size
            if self._fold(batch):
                done += len(batch.events)
                yield len(batch.events)
                if progress:
                    progress(batch.events[-1].position - first, size - first)

    def _next_batch(self, views: Sequence[View]) -> _Batch | None:
        """The next events for the views that are furthest behind; None where none is."""
        with self.store.reading() as connection:
            known = tracked(connection)
            size = read_head(connection).size
            behind = [view for view in views if _at(known, view) < size]
            if not behind:
                return None
            first = min(_at(known, view) for view in behind)
            group = [view for view in behind if _at(known, view) == first]
            events = history(connection, after=first, limit=BATCH)
            last = events[-1].position
            afresh = {
                deal: _folded(connection, group, deal, last)
                for deal in {mark.deal for mark in marks(events)}
            }
        return _Batch(group, first, size, events, afresh, known)

    def _fold(self, batch: _Batch) -> bool:
        """Fold a batch and move the tracking, in one transaction, if still due.

        The tracking moves first: whoever folds the same batch meanwhile waits there,
        and then finds it done.
        """
        try:
            with self.store.writing() as connection:
                _move(connection, batch)
                for view in batch.views:
                    if batch.known.get(view.name, (view.version, 0))[0] != view.version:
                        forget(connection, view)
                    write(connection, view, self._rows(connection, view, batch))
        except _OvertakenError:
            return False
        return True

    def _rows(
        self, connection: Connection, view: View, batch: _Batch
    ) -> dict[str, Rows[Any]]:
        rows: dict[str, Rows[Any]] = {}
        for deal, folded in batch.afresh.items():
            if not view.record:
                forget_deal(connection, view, deal)
                rows[deal] = folded[view.name]
        anew = set(rows)
        for event in batch.events:
            if type(event.data) in view.handlers and event.deal not in anew:
                if event.deal not in rows:
                    rows[event.deal] = Rows(Stored(connection, view, event.deal))
                view.fold(rows[event.deal], event)
        return rows

    def answer(
        self,
        name: str,
        deal: str | None,
        *,
        as_of: date | None = None,
        known_at: KnownAt | None = None,
        today: date | None = None,
    ) -> Answer:
        """What a view says of a deal, or of all; NotFound for a deal not known then.

        `known_at` is a time or a position; `today` stands in for the clock's day.
        """
        view = view_named(name)
        with self.reading(as_of, known_at, today) as reading:
            return reading.answer(view, deal)

    @contextmanager
    def reading(
        self,
        as_of: date | None = None,
        known_at: KnownAt | None = None,
        today: date | None = None,
    ) -> Iterator[Reading]:
        """One snapshot, in which several questions get answers of the same moment."""
        with self.store.reading() as connection:
            yield Reading(connection, self.store, as_of, known_at, today)

    def status(self) -> list[ViewStatus]:
        """How each stored view stands."""
        with self.store.reading() as connection:
            known = tracked(connection)
            size = read_head(connection).size
            found = []
            for view in VIEWS:
                version, position, many = view.version, 0, 0
                if view.name in known:
                    version, position = known[view.name]
                    rows = sa.select(sa.func.count()).select_from(table_of(view.name))
                    many = connection.scalar(rows) or 0
                found.append(
                    ViewStatus(view.name, version, position, size - position, many)
                )
        return found

    def verify(self, progress: Progress | None = None) -> int:
        """Fold every view anew in memory and compare; IntegrityFailure names the first.

        Returns how many rows were compared.
        """
        compared = check_snapshots(self.store)
        with self.store.reading() as connection:
            known = tracked(connection)
            for number, view in enumerate(VIEWS, start=1):
                version, position = known.get(view.name, (0, 0))
                if version == view.version:
                    compared += _compare(connection, view, position)
                if progress:
                    progress(number, len(VIEWS))
        return compared


def _move(connection: Connection, batch: _Batch) -> None:
    """Move the tracking of a batch's views, all of them or, by raising, none."""
    upto = batch.events[-1].position
    for view in batch.views:
        if not track(connection, view, batch.known.get(view.name), upto):
            raise _OvertakenError


def _at(known: dict[str, tuple[int, int]], view: View) -> int:
    version, position = known.get(view.name, (view.version, 0))
    return position if version == view.version else 0


def _folded(
    connection: Connection, views: Sequence[View], deal: str, upto: int
) -> dict[str, Rows[Any]]:
    """A deal's rows in each view, from its first event, less what was reversed by then.

    Outside of the writer's lock: a writer waits for the rows, not for the folding.
    """
    found = history(connection, deal, upto=upto)
    gone = reversed_in(found)
    rows: dict[str, Rows[Any]] = {view.name: Rows() for view in views}
    for event in found:
        if event.position not in gone:
            for view in views:
                view.fold(rows[view.name], event)
    return rows


def _compare(connection: Connection, view: View, position: int) -> int:
    fresh: dict[str, Rows[Any]] = {}
    gone = reversed_by(connection, position)
    at = 0
    while at < position:
        batch = history(connection, after=at, upto=position, limit=BATCH)
        for event in batch:
            if view.counts(event, gone):
                view.fold(fresh.setdefault(event.deal, Rows()), event)
        at = batch[-1].position
    expected = {
        (deal, row.key): to_json(row) for deal, rows in fresh.items() for row in rows
    }
    table = table_of(view.name)
    stored = {
        (row.deal, row.key): row.body for row in connection.execute(sa.select(table))
    }
    for key in sorted(expected.keys() | stored.keys()):
        if expected.get(key) != stored.get(key):
            raise IntegrityFailure(
                f"View {view.name}, deal {key[0]}, row {key[1]}: the stored row is "
                "not what the events give. 'accord views rebuild' makes it anew."
            )
    return len(expected)
