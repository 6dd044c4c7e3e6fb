"""Events into rows, in order, exactly once.

Catching up is only a cache: `engine/reading.py` answers the same from a ledger that may not be
written, or from rows of another version. A window of events is folded in memory, beside
the writer's lock, and its rows are written at once. Where it reverses something, the
rows of that deal are folded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.errors import LedgerUnavailable
from ledger.record.log import read_head
from projections.engine import stored
from projections.engine.answer import Answer
from projections.engine.comparison import compare
from projections.engine.days import DAYS, forget_days
from projections.engine.history import marks_by
from projections.engine.moment import KnownAt
from projections.engine.nouns import NOUNS
from projections.engine.reading import Reading
from projections.engine.stored import (
    NO_VERSION,
    disown,
    empty_some,
    forget,
    rows_of,
    segment_of,
    track,
    tracked,
)
from projections.engine.tables import metadata, table_of
from projections.engine.view import View
from projections.engine.window import Window, apart, fold
from projections.registry import VIEWS, view_named
from projections.views.deals import FICTION

if TYPE_CHECKING:
    from ledger.record.store import Store

WINDOW: Final = 20_000
"""Events that are folded before their rows are written."""
STORED: Final = (*VIEWS, *NOUNS)
FOLDED: Final = (*STORED, DAYS)
Progress = Callable[[int, int | None], None]


class ViewStatus(msgspec.Struct, frozen=True):
    """How a stored view stands."""

    view: str
    version: int
    position: int
    lag: int
    rows: int


def view_tables() -> sa.MetaData:
    """The tables of all views that keep rows, to be made beside the record's."""
    for view in STORED:
        if view.keeps_rows:
            table_of(view.name)
    return metadata


class _OvertakenError(Exception):
    """Somebody else folded the same events meanwhile."""


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
        return sum(self._windows(FOLDED, progress))

    def rebuild(
        self, names: Sequence[str] | None = None, progress: Progress | None = None
    ) -> int:
        """Fold views anew from the first event; how many events that were.

        With those named go those that they draw on, the state of each kind above all.
        With all views go the snapshots, which are taken again as the record grows.
        """
        from ledger.record import snapshot

        chosen = list(FOLDED)
        if names is not None:
            drawn = {name for one in names for name in view_named(one).with_reads()}
            chosen = [view for view in FOLDED if view.name in drawn]
        with self.store.writing() as connection:
            for view in chosen:
                disown(connection, view)
            if names is None:
                snapshot.forget(connection)
        return sum(self._windows(chosen, progress))

    def _empty(self, views: Sequence[View]) -> None:
        """Drop the rows of views that are of another version, or of none.

        Some at a time: no writer waits long for it.
        """
        with self.store.reading() as connection:
            known = tracked(connection)
        for view in views:
            found = known.get(view.name)
            more = found is not None and found[0] != view.version and view is not DAYS
            while more:
                with self.store.writing() as connection:
                    disown(connection, view, found)
                    more = empty_some(connection, view)

    def _windows(
        self, views: Sequence[View], progress: Progress | None
    ) -> Iterator[int]:
        begun: int | None = None
        self._empty(views)
        while True:
            with self.store.reading() as connection:
                known = tracked(connection)
                size = read_head(connection).size
                behind = [view for view in views if _at(known, view) < size]
                if not behind:
                    return
                first = min(_at(known, view) for view in behind)
                begun = first if begun is None else begun
                group = [view for view in behind if _at(known, view) == first]
                last, anew = _end(connection, first, size)

                def told(at: int, begun: int = begun, size: int = size) -> None:
                    if progress:
                        progress(at - begun, size - begun)

                # What a table still holds of another version is not looked at.
                window = Window(group, connection if first else None)
                fold(window, connection, (first, last), anew, told)
            if self._written(window, known, last):
                yield last - first

    def _written(
        self, window: Window, known: dict[str, tuple[int, int]], last: int
    ) -> bool:
        """Write a window's rows and move the tracking, in one transaction, if still due.

        The tracking moves first: whoever folded the same window meanwhile waits there,
        and then finds it done.
        """
        try:
            with self.store.writing() as connection:
                _move(connection, window.views, known, last)
                window.write(connection)
        except _OvertakenError:
            return False
        return True

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
            yield Reading(connection, self.store, FICTION, as_of, known_at, today)

    def status(self) -> list[ViewStatus]:
        """How each stored view stands."""
        with self.store.reading() as connection:
            known = tracked(connection)
            size = read_head(connection).size
            found = []
            for view in STORED:
                version, position, many = view.version, 0, 0
                if known.get(view.name, (NO_VERSION, 0))[0] != NO_VERSION:
                    version, position = known[view.name]
                    many = rows_of(connection, view)
                found.append(
                    ViewStatus(view.name, version, position, size - position, many)
                )
        return found

    def verify(self, progress: Progress | None = None) -> int:
        """Fold every view anew in memory and compare; IntegrityFailure names the first.

        Returns how many rows and snapshots were compared.
        """
        from ledger.record.snapshot import check_snapshots

        compared = check_snapshots(self.store)
        with self.store.reading() as connection:
            known = tracked(connection)
            groups: dict[int, list[View]] = {}
            for view in FOLDED:
                version, position = known.get(view.name, (0, 0))
                if version == view.version:
                    groups.setdefault(position, []).append(view)
            total = sum(at * len(apart(views)) for at, views in groups.items())
            done = 0
            for position, group in groups.items():
                for views in apart(group):

                    def told(at: int, done: int = done) -> None:
                        if progress:
                            progress(done + at, total)

                    compared += compare(connection, views, position, told)
                    done += position
        return compared


def _at(known: dict[str, tuple[int, int]], view: View) -> int:
    version, position = known.get(view.name, (view.version, 0))
    return position if version == view.version else 0


def _move(
    connection: Connection,
    views: Sequence[View],
    known: dict[str, tuple[int, int]],
    last: int,
) -> None:
    """Move the tracking of views, of all of them or, by raising, of none."""
    for view in views:
        if not track(connection, view, known.get(view.name), last):
            raise _OvertakenError
        if known.get(view.name, (view.version, 0))[0] != view.version:
            _forget(connection, view)


def _forget(connection: Connection, view: View) -> None:
    if view is DAYS:
        forget_days(connection)
    else:
        forget(connection, view)


def _end(connection: Connection, first: int, size: int) -> tuple[int, frozenset[str]]:
    """Where a window ends, and the deals in which it reverses something.

    Such a window lies within one segment, because it leaves the rows of those deals as
    they are at its end alone.
    """
    last = min(size, first + WINDOW)
    found = marks_by(connection, last, after=first)
    if not found:
        return last, frozenset()
    segment = segment_of(found[0].position)
    begins = (segment - 1) * stored.SEGMENT
    if first < begins:
        return begins, frozenset()
    last = min(last, begins + stored.SEGMENT)
    return last, frozenset(mark.deal for mark in found if mark.position <= last)
