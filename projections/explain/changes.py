"""What changed between two moments, or with each event: figures and states, old to new.

A change is one column of one row of one view's answer. A row is known by its view's
key; applied in order, the changes of a whole replay make exactly the current rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, pairwise
from typing import Any, Final

from ledger.domain.event import Event, EventData, Reversed
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import to_builtins
from projections.engine.reading import Reading
from projections.engine.units import unit_of
from projections.engine.view import Book, Drawn, Rows, View
from projections.registry import VIEWS

Row = dict[str, Any]
Table = dict[str, Row]
"""The rows of an answer by what names them."""

ABOUT: Final = "about"
CHANGING: Final = tuple(view for view in VIEWS if not view.record)
"""Views of what a deal is, not of the record itself."""


class Change(Frozen, omit_defaults=False):
    """One figure or state that changed; None where its row was not there before, or is no more.

    `row` names the row within the view; `key` holds the columns that do so.
    """

    view: str
    row: str
    key: dict[str, Any]
    figure: str
    old: Any
    new: Any
    unit: str | None


class Step(Frozen, omit_defaults=False):
    """An event, and what it changed."""

    event: Event[Any]
    changes: tuple[Change, ...]


def table_of(view: View, drawn: Drawn) -> Table:
    """The rows of an answer by what names them; equal names are numbered.

    A column of the key that is empty in a row is left out of its name: what was
    announced is `funding/announced`, what a facility paid `funding/main/disbursed`.
    """
    found: Table = {}
    for line in drawn.rows:
        row = to_builtins(line)
        named = (row.get(column) for column in view.key)
        name = "/".join(str(value) for value in named if value not in {"", None})
        number = 2
        while name in found:
            name = f"{name.partition(' #')[0]} #{number}"
            number += 1
        found[name] = row
    if drawn.about is not None:
        found[ABOUT] = to_builtins(drawn.about)
    return found


def changes_between(view: View, old: Table, new: Table) -> Iterator[Change]:
    """Every column that differs, row by row: rows that are gone, then in their order."""
    gone = (name for name in old if name not in new)
    for name in (*gone, *new):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        either: Mapping[str, Any] = after or before or {}
        key = {} if name == ABOUT else {column: either[column] for column in view.key}
        for figure in either:
            was = before.get(figure) if before else None
            now = after.get(figure) if after else None
            if was != now and figure not in key:
                yield Change(
                    view=view.name,
                    row=name,
                    key=key,
                    figure=figure,
                    old=was,
                    new=now,
                    unit=unit_of(either, figure),
                )


def diff(old: Reading, new: Reading, deal: str) -> list[Change]:
    """What is so in one reading of a deal and was not, or not so, in another."""
    before = tables_of(old, deal) if old.knows(deal) else {}
    after = tables_of(new, deal)
    return [
        change
        for view in CHANGING
        for change in changes_between(view, before.get(view.name, {}), after[view.name])
    ]


def tables_of(reading: Reading, deal: str) -> dict[str, Table]:
    """The answers of every view of a deal, as one reading gives them."""
    book = reading.book(deal, *CHANGING)
    return {view.name: table_of(view, view.draw(book)) for view in CHANGING}


class Origin(Frozen, omit_defaults=False):
    """A figure as it stands, and the event that set it last."""

    view: str
    row: str
    figure: str
    value: Any
    unit: str | None
    position: int
    effective_on: date
    type: str
    actor: str
    status: str


def blame(
    view: View,
    reading: Reading,
    deal: str,
    told: Callable[[int, int | None], None] = lambda _, __: None,
) -> list[Origin]:
    """Each figure of a view's rows, with the event that last set it.

    The whole history is played; `told` hears how far it is, and how far it goes.
    """
    setters: dict[tuple[str, str], tuple[Change, Event[Any]]] = {}
    for step in Player(reading, deal, (view,)).play():
        for change in step.changes:
            setters[change.row, change.figure] = (change, step.event)
        told(step.event.position, reading.position)
    return [
        Origin(
            view=view.name,
            row=row,
            figure=figure,
            value=change.new,
            unit=change.unit,
            position=event.position,
            effective_on=event.on,
            type=event.data.tag(),
            actor=who(event),
            status=event.provenance.status,
        )
        for (row, figure), (change, event) in setters.items()
        if change.new is not None
    ]


def who(event: Event[Any]) -> str:
    """Who recorded an event, and for which party."""
    return f"{event.provenance.actor}@{event.provenance.party}"


class Player:
    """Plays a deal's history: events in, and what each changed in the views out.

    It begins `after` a position, with the answers as they were known there. They are
    about one day throughout, so that only events change them.
    """

    def __init__(
        self,
        reading: Reading,
        deal: str,
        views: Sequence[View] = CHANGING,
        after: int = 0,
    ) -> None:
        self._reading = reading
        self._deal = deal
        self._views = views
        self._after = self._upto = after
        # Where another deal next changes what a view says.
        self._moves: dict[str, int] = {}
        self._folds = {
            name: one for view in views for name, one in view.with_reads().items()
        }
        # Before its first event a deal says nothing, not even that nothing was paid.
        self._known = reading.earlier(after).knows(deal)
        self._rows: dict[str, Rows[Any]] = {name: Rows() for name in self._folds}
        self.tables: dict[str, Table] = {view.name: {} for view in views}
        if self._known:
            self._rows = self._at(after)
            self.tables = {view.name: self._table(view) for view in views}

    def play(self) -> Generator[Step]:
        """Every event from there on, in recorded order, with what it changed."""
        events = self._reading.history(self._deal, self._after)
        for event, following in pairwise(chain(events, (None,))):
            assert event is not None
            # Until the next one, another deal may go on with a stream of this one.
            upto = following.position - 1 if following else self._reading.position
            self._upto = upto
            yield Step(event=event, changes=tuple(self._take(event)))

    def _take(self, event: Event[Any]) -> Iterator[Change]:
        touched = self._fold(event)
        if not self._known:
            if isinstance(event.data, Reversed):
                return  # Of an entry that is not so by the day asked for.
            self._known, touched = True, set(self._folds)
        for view in self._views:
            stands = self._upto < self._moves.get(view.name, self._upto + 1)
            if stands and touched.isdisjoint(view.with_reads()):
                continue
            table = self._table(view)
            yield from changes_between(view, self.tables[view.name], table)
            self.tables[view.name] = table

    def _fold(self, event: Event[Any]) -> set[str]:
        """The names of the views whose rows the event changed."""
        if isinstance(event.data, Reversed):
            self._rows = self._at(event.position)
            return set(self._folds)
        touched = set()
        for name, view in self._folds.items():
            rows = self._rows[name]
            rows.touched.clear()
            view.fold(rows, event)
            if rows.touched:
                touched.add(name)
        return touched

    def _at(self, position: int) -> dict[str, Rows[Any]]:
        book = self._reading.earlier(position).book(self._deal, *self._folds.values())
        return {name: book.rows(view) for name, view in self._folds.items()}

    def _table(self, view: View) -> Table:
        reading = self._reading
        self._moves.pop(view.name, None)

        def elsewhere(
            data: type[EventData], since: Mapping[str, int]
        ) -> dict[str, int]:
            found = reading.moves(self._deal, data, since)
            later = [at for at in found.values() if at > self._upto]
            if later:
                self._moves[view.name] = min(later)
            return {name: at for name, at in found.items() if at <= self._upto}

        limited = reading.limited_by_day
        book = Book(
            self._deal,
            self._rows,
            reading.day,
            limited=limited,
            now=reading.recording_time,
            elsewhere=elsewhere,
        )
        return table_of(view, view.draw(book))
