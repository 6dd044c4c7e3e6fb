"""What changed between two moments, or with each event: figures and states, old to new.

A change is one column of one row of one view's answer. A row is known by its view's
key; applied in order, the changes of a whole replay make exactly the current rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from ledger.event import Event, Reversed
from ledger.struct import Frozen
from ledger.transcoding import to_builtins
from projections.history import reversed_in
from projections.reading import Reading
from projections.registry import VIEWS
from projections.units import unit_of
from projections.view import Book, Drawn, Rows, View

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
    """The rows of an answer by what names them; equal names are numbered."""
    found: Table = {}
    for line in drawn.rows:
        row = to_builtins(line)
        name = "/".join(str(row.get(column)) for column in view.key)
        number = 2
        while name in found:
            name = f"{name.partition(' #')[0]} #{number}"
            number += 1
        found[name] = row
    if drawn.about is not None:
        found[ABOUT] = to_builtins(drawn.about)
    return found


def changes_between(view: View, old: Table, new: Table) -> Iterator[Change]:
    """Every column that differs, row by row."""
    for name in dict.fromkeys((*old, *new)):
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


def blame(view: View, reading: Reading, deal: str) -> list[Origin]:
    """Each figure of a view's rows, with the event that last set it."""
    player = Player(deal, reading.day, (view,), limited=reading.limited_by_day)
    setters: dict[tuple[str, str], tuple[Change, Event[Any]]] = {}
    for step in player.play(reading.history(deal)):
        for change in step.changes:
            setters[change.row, change.figure] = (change, step.event)
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

    The answers are about one `day` throughout, so that only events change them.
    """

    def __init__(
        self,
        deal: str,
        day: date,
        views: Sequence[View] = CHANGING,
        *,
        limited: bool = False,
    ) -> None:
        self._deal = deal
        self._day = day
        self._limited = limited
        self._views = views
        self._folds = {
            name: one for view in views for name, one in view.with_reads().items()
        }
        self._past: list[Event[Any]] = []
        self._rows: dict[str, Rows[Any]] = {name: Rows() for name in self._folds}
        # Before its first event a deal says nothing, not even that nothing was paid.
        self.tables: dict[str, Table] = {view.name: {} for view in views}

    def play(self, events: Iterable[Event[Any]]) -> Iterator[Step]:
        """Take events in, in recorded order; each with what it changed."""
        for event in events:
            yield Step(event=event, changes=tuple(self.take(event)))

    def take(self, event: Event[Any]) -> Iterator[Change]:
        """Take one event in; what it changed."""
        self._past.append(event)
        touched = self._fold(event)
        if len(self._past) == 1:
            touched = set(self._folds)
        for view in self._views:
            if touched.isdisjoint(view.with_reads()):
                continue
            table = self._table(view)
            yield from changes_between(view, self.tables[view.name], table)
            self.tables[view.name] = table

    def _fold(self, event: Event[Any]) -> set[str]:
        """The names of the views whose rows the event changed."""
        if isinstance(event.data, Reversed):
            self._fold_anew()
            return set(self._folds)
        touched = set()
        for name, view in self._folds.items():
            rows = self._rows[name]
            rows.touched.clear()
            view.fold(rows, event)
            if rows.touched:
                touched.add(name)
        return touched

    def _fold_anew(self) -> None:
        gone = reversed_in(self._past)
        self._rows = {name: Rows() for name in self._folds}
        for event in self._past:
            for name, view in self._folds.items():
                if view.counts(event, gone):
                    view.fold(self._rows[name], event)

    def _table(self, view: View) -> Table:
        book = Book(self._deal, self._rows, self._day, limited=self._limited)
        return table_of(view, view.draw(book))
