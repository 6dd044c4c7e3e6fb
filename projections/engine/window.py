"""A window of events folded into the rows of views, in memory, before they are written.

What a window touches is read at once, a page of events ahead, and sealed at the end of
each segment. Nothing here writes but `Window.write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from ledger.domain.event import Event, EventData
from projections.engine import stored
from projections.engine.days import DAYS, Days
from projections.engine.history import PAGE, history, reversed_by
from projections.engine.stored import Folding, segment_of
from projections.engine.view import Handler, Rows, View, fold_page

_Bound = list[tuple[View, Handler, Rows[Any]]]


class Window:
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


def fold(
    window: Window,
    connection: Connection,
    between: tuple[int, int],
    anew: frozenset[str],
    told: Callable[[int], None],
) -> None:
    """Fold the events between two positions into a window, but for some deals'.

    Their rows are folded anew from their first event, less what is reversed by now.
    """
    first, last = between
    for events in pages(history(connection, after=first, upto=last)):
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


def pages(found: Iterator[Event[Any]]) -> Iterator[list[Event[Any]]]:
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
    for page in pages(history(connection, deal, upto=upto)):
        fold_page(folds, page, gone)
    return rows
