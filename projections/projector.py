"""Events into rows, in order, exactly once.

Catching up is only a cache: `reading.py` answers the same from a ledger that may not be
written, or from rows of another version. A window of events is folded in memory, beside
the writer's lock, and its rows are written at once. Where it reverses something, the
rows of that deal are folded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.errors import IntegrityFailure, LedgerUnavailable
from ledger.event import Event, EventData
from ledger.log import read_head
from projections import stored
from projections.days import DAYS, Days, forget_days, kept_days
from projections.history import PAGE, history, marks_by, reversed_by
from projections.reading import Answer, KnownAt, Reading
from projections.registry import VIEWS, view_named
from projections.stored import (
    NO_VERSION,
    Folding,
    Past,
    disown,
    empty_some,
    forget,
    segment_of,
    track,
    tracked,
)
from projections.tables import metadata, table_of
from projections.view import Handler, Rows, View, fold_page

if TYPE_CHECKING:
    from ledger.store import Store

WINDOW: Final = 20_000
"""Events that are folded before their rows are written."""
FOLDED: Final = (*VIEWS, DAYS)
Progress = Callable[[int, int | None], None]
_Bound = list[tuple[View, Handler, Rows[Any]]]


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


class _Window:
    """Events `first` + 1 to `last` folded into the rows of some views, by deal.

    Without a connection the rows are all in memory, as from the first event on.
    """

    def __init__(
        self,
        views: Sequence[View],
        connection: Connection | None,
        gone: frozenset[int] = frozenset(),
    ) -> None:
        self.views = views
        self._connection = connection
        self._gone = gone
        self._foldings: dict[tuple[str, str], Folding] = {}
        self._touched: set[tuple[str, str]] = set()
        self.days = Days(connection) if DAYS in views else None
        self._bound: dict[tuple[type[EventData], str], _Bound] = {}

    def folding(self, view: View, deal: str) -> Folding:
        """The rows of a view and a deal."""
        key = (view.name, deal)
        if key not in self._foldings:
            self._foldings[key] = Folding(view, deal, self._connection)
        self._touched.add(key)
        return self._foldings[key]

    def take(
        self, events: Sequence[Event[Any]], *, without: frozenset[str] = frozenset()
    ) -> None:
        """Fold events in, all of one segment; those of some deals into no view."""
        if not events:
            return
        segment = segment_of(events[0].position)
        counted = events
        if without:
            counted = [event for event in events if event.deal not in without]
        if self._connection is not None:
            self._read_ahead(counted)
        kinds = {(type(event.data), event.provenance.deal) for event in counted}
        bound = {kind: self._bind(*kind) for kind in kinds}
        for event in counted:
            handlers = bound[type(event.data), event.provenance.deal]
            if self._gone and event.position in self._gone:
                handlers = [one for one in handlers if one[0].record]
            for _, handler, rows in handlers:
                handler(rows, event)
        if self.days is not None:
            self.days.take(events, segment)
        self.seal(segment)

    def _bind(self, kind: type[EventData], deal: str) -> _Bound:
        """What takes in a type of event of a deal, each with the rows that it changes."""
        found = self._bound.get((kind, deal))
        if found is None:
            found = self._bound[kind, deal] = [
                (view, view.handlers[kind], self.folding(view, deal).rows)
                for view in self.views
                if kind in view.handlers
            ]
        self._touched.update((view.name, deal) for view, _, _ in found)
        return found

    def _read_ahead(self, events: Sequence[Event[Any]]) -> None:
        for view in self.views:
            wanted: dict[str, list[str]] = {}
            for event in events if view.keys else ():
                keys = view.keys.get(type(event.data))
                if keys is not None:
                    wanted.setdefault(event.provenance.deal, []).extend(keys(event))
            for deal, some in wanted.items():
                self.folding(view, deal).rows.ahead(some)

    def seal(self, segment: int) -> None:
        """Note what changed in a segment, so far."""
        for key in self._touched:
            self._foldings[key].seal(segment)
        self._touched.clear()

    def foldings(self) -> Iterator[Folding]:
        """Each view's rows of each deal."""
        yield from self._foldings.values()

    def write(self, connection: Connection) -> None:
        """Write what changed."""
        for folding in self._foldings.values():
            folding.write(connection)
        if self.days is not None:
            self.days.write(connection)


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

        With all views go the snapshots, which are taken again as the record grows.
        """
        from ledger import snapshot

        chosen = [view for view in FOLDED if names is None or view.name in names]
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
                window = _Window(group, connection if first else None)
                _fold(window, connection, (first, last), anew, told)
            if self._written(window, known, last):
                yield last - first

    def _written(
        self, window: _Window, known: dict[str, tuple[int, int]], last: int
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
            yield Reading(connection, self.store, as_of, known_at, today)

    def status(self) -> list[ViewStatus]:
        """How each stored view stands."""
        with self.store.reading() as connection:
            known = tracked(connection)
            size = read_head(connection).size
            found = []
            for view in VIEWS:
                version, position, many = view.version, 0, 0
                if known.get(view.name, (NO_VERSION, 0))[0] != NO_VERSION:
                    version, position = known[view.name]
                    rows = sa.select(sa.func.count()).select_from(table_of(view.name))
                    many = connection.scalar(rows) or 0
                found.append(
                    ViewStatus(view.name, version, position, size - position, many)
                )
        return found

    def verify(self, progress: Progress | None = None) -> int:
        """Fold every view anew in memory and compare; IntegrityFailure names the first.

        Returns how many rows and snapshots were compared.
        """
        from ledger.snapshot import check_snapshots

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

                    compared += _compare(connection, views, position, told)
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


def _fold(
    window: _Window,
    connection: Connection,
    between: tuple[int, int],
    anew: frozenset[str],
    told: Callable[[int], None],
) -> None:
    """Fold the events between two positions into a window, but for some deals'.

    Their rows are folded anew from their first event, less what is reversed by now.
    """
    first, last = between
    for events in _pages(history(connection, after=first, upto=last)):
        window.take(events, without=anew)
        told(events[-1].position)
    for deal in sorted(anew):
        for some in apart([view for view in window.views if view is not DAYS]):
            fresh = _fresh(connection, some, deal, last)
            for view in some:
                rows = fresh.pop(view.name)
                window.folding(view, deal).become(rows, segment_of(last))


def apart(views: Iterable[View]) -> list[list[View]]:
    """Views in groups that are folded together; alone what keeps a row for each system.

    Only one such view is then held in memory.
    """
    groups: list[list[View]] = [[]]
    for view in views:
        groups.append([view]) if view.keys else groups[0].append(view)
    return [group for group in groups if group]


def _pages(found: Iterator[Event[Any]]) -> Iterator[list[Event[Any]]]:
    """Events in lists that end where a segment does."""
    page: list[Event[Any]] = []
    for event in found:
        page.append(event)
        if len(page) >= PAGE or event.position % stored.SEGMENT == 0:
            yield page
            page = []
    if page:
        yield page


def _fresh(
    connection: Connection, views: Sequence[View], deal: str, upto: int
) -> dict[str, Rows[Any]]:
    """A deal's rows in each view, from its first event, less what was reversed by then."""
    gone = reversed_by(connection, upto, deal)
    rows: dict[str, Rows[Any]] = {view.name: Rows() for view in views}
    folds = [(view, rows[view.name]) for view in views]
    for page in _pages(history(connection, deal, upto=upto)):
        fold_page(folds, page, gone)
    return rows


def _compare(
    connection: Connection,
    views: Sequence[View],
    position: int,
    told: Callable[[int], None],
) -> int:
    """Hold what is stored of some views against a fold from the first event."""
    fresh = _Window(views, None, reversed_by(connection, position))
    reversing = {mark.deal for mark in marks_by(connection, position)}
    for events in _pages(history(connection, upto=position)):
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


def _compare_rows(connection: Connection, view: View, fresh: _Window) -> int:
    expected = {
        (folding.deal, key): version.body
        for folding in fresh.foldings()
        if folding.view is view
        for key, version in folding.versions.items()
        if version.body is not None
    }
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
        "not what the events give. 'accord views rebuild' makes it anew."
    )


def _compare_days(connection: Connection, fresh: Days) -> None:
    expected = [
        sorted((*key, day) for key, day in fresh.horizons.items()),
        sorted(fresh.late),
    ]
    if [list(map(tuple, found)) for found in kept_days(connection)] != expected:
        raise IntegrityFailure(
            "Which entries came late is not what the events give. "
            "'accord views rebuild' finds it anew."
        )
