"""What a view is: a question, a fold of events into rows, and the answer drawn from them.

A fold is pure: handlers take the rows of one deal and an event, and know no SQL, so the
same fold serves the stored view, an as-of answer and a rebuild. It is total: what it
looks for may not have happened yet. An answer may draw on the rows of several views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import msgspec

from ledger.domain.aggregate import A, Aggregate, Parted, Single, stream_of
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Parts
from ledger.domain.struct import Frozen, decoder_of
from ledger.domain.values import decode_kept


class FoldRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A row that a fold keeps; `key` names it within its view and deal."""

    key: str


Rows = Parts
"""The rows of one view and one deal."""
Handler = Callable[[Rows[Any], Event[Any]], None]
Keys = Callable[[Event[Any]], Iterable[str]]
H = TypeVar("H", bound=Handler)
Elsewhere = Callable[[type[EventData], Mapping[str, int]], Mapping[str, int]]
"""Of some streams, each with a version, those that another deal went on with."""


class Book:
    """The rows of every view of one deal, at one position: what answers draw on.

    `as_of` is the day that the answer is about; `limited` tells whether what was so
    only later is left out. `now` is the time at which a command would be recorded:
    the end of that day, where nobody says.
    """

    def __init__(
        self,
        deal: str,
        rows: dict[str, Rows[Any]],
        as_of: date,
        *,
        limited: bool = False,
        now: datetime | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.deal = deal
        self._rows = rows
        self.as_of = as_of
        self.limited = limited
        self.now = now or datetime.combine(as_of, time(12), UTC)
        self._elsewhere = elsewhere
        self._known: dict[str, Any] = {}

    def reaches(self, day: str) -> bool:
        """Whether a day, in ISO form, is within what the answer takes in."""
        return not self.limited or day <= self.as_of.isoformat()

    def rows(self, view: View) -> Rows[Any]:
        """The rows that a view's fold keeps."""
        return self._rows[view.name]

    def get(self, kind: type[A], *names: str) -> A:
        """An aggregate of the deal by its name, only to look at."""
        ids = (self.deal, *names) if kind.scoped else names
        return self.state(kind, stream_of(kind, *ids))

    def state(self, kind: type[A], stream: str) -> A:
        """The aggregate of a stream, only to look at."""
        rows = self._rows[f"{kind.kind}-parts"]
        if issubclass(kind, Parted):
            return kind.over(stream, rows)
        return rows.get(stream.partition("/")[2]) or kind.at(stream)

    def elsewhere(
        self, data: type[EventData], since: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Those streams on which another deal's entry of a type came after a version.

        Each with the position of that entry. A deal's rows are folded from its own
        events, and cannot tell.
        """
        return self._elsewhere(data, since) if self._elsewhere else {}

    def once(self, name: str, make: Callable[[Book], Any]) -> Any:
        """What is worked out from the book, the first time that it is asked for."""
        if name not in self._known:
            self._known[name] = make(self)
        return self._known[name]

    def ahead(self, kind: type[Aggregate], streams: Iterable[str]) -> None:
        """Read aggregates that are looked at next, in few queries."""
        if issubclass(kind, Single):
            rows = self._rows[f"{kind.kind}-parts"]
            rows.ahead(stream.partition("/")[2] for stream in streams)

    def all(self, kind: type[A]) -> list[A]:
        """Every aggregate of a kind, in order of their names."""
        return [self.state(kind, stream) for stream in self.streams(kind)]

    def streams(self, kind: type[Aggregate]) -> list[str]:
        """The streams of a kind of which anything is recorded, in order."""
        rows = self._rows[f"{kind.kind}-parts"]
        if issubclass(kind, Parted):
            return sorted(rows.under("head"))
        return sorted(row.id for row in rows if isinstance(row, kind))


class Drawn(msgspec.Struct, frozen=True):
    """What a view answers of one deal: rows, control totals, and about the deal."""

    rows: list[Any]
    totals: dict[str, Any] = {}
    about: Any = None


L = TypeVar("L", bound=Frozen)


def line_of(kind: type[L], row: FoldRow) -> L:
    """A line of an answer whose fields the row has under the same names."""
    return kind(**{name: getattr(row, name) for name in kind.__struct_fields__})


class Fiction(NamedTuple):
    """Which deals are fiction: a view whose rows tell; None where they do not know."""

    view: View
    of: Callable[[Book], bool | None]


class View:
    """A view: its name, version and question; its fold; how its answer is drawn.

    `kept` is the type of the rows that the fold keeps, `row` that of the answer's, and
    `key` the columns that name a row of it. A view of the `record` itself folds what
    was reversed too; any other leaves it out.
    """

    def __init__(
        self,
        name: str,
        version: int,
        question: str,
        kept: Any = FoldRow,
        *,
        record: bool = False,
    ) -> None:
        self.name = name
        self.version = version
        self.question = question
        self.kept = kept
        self.record = record
        self.key: tuple[str, ...] = ()
        self.row: type[Frozen] = Frozen
        self.handlers: dict[type[EventData], Handler] = {}
        self.keys: dict[type[EventData], Keys] = {}
        self.reads: tuple[View, ...] = ()
        self.draw: Callable[[Book], Drawn]
        self.tell: Callable[[Any, str | None], Any] | None = None

    @property
    def keeps_rows(self) -> bool:
        """Whether it folds rows of its own, in a table; else it is drawn from others."""
        return bool(self.handlers)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """What reads the rows that the fold keeps; made once, where a row is read."""
        return decoder_of(self.kept, decode_kept)

    def on(
        self, *events: type[EventData], reads: Keys | None = None
    ) -> Callable[[H], H]:
        """Bind a handler to types of event.

        What `reads` names of an event are keys of rows that the handler looks at: many
        of them are then read at once. Nothing but speed depends on it.
        """

        def bind(handler: H) -> H:
            for event in events:
                self.handlers[event] = handler
                if reads is not None:
                    self.keys[event] = reads
            return handler

        return bind

    def answer(
        self, row: type[Frozen], *reads: View, key: tuple[str, ...]
    ) -> Callable[[Callable[[Book], Drawn]], Any]:
        """Bind the function that draws the answer: its row, what it reads, its key."""

        def bind(function: Callable[[Book], Drawn]) -> Callable[[Book], Drawn]:
            self.row = row
            self.key = key
            self.reads = reads
            self.draw = function
            return function

        return bind

    def told(
        self, row: type[Frozen], *, key: tuple[str, ...]
    ) -> Callable[[Callable[[Any, str | None], Any]], Any]:
        """Bind what answers for a view that folds nothing, from a reading and a deal."""

        def bind(function: Callable[[Any, str | None], Any]) -> Any:
            self.row = row
            self.key = key
            self.tell = function
            return function

        return bind

    def counts(self, event: Event[Any], gone: AbstractSet[int]) -> bool:
        """Whether an event counts here, where those at some positions are reversed."""
        return self.record or event.position not in gone

    def looked_at(self, events: Iterable[Event[Any]]) -> Iterator[str]:
        """Keys of rows that the handlers of some events look at, as far as they say."""
        if self.keys:
            for event in events:
                keys = self.keys.get(type(event.data))
                if keys is not None:
                    yield from keys(event)

    def fold(self, rows: Rows[Any], event: Event[Any]) -> None:
        """Take one event in."""
        handler = self.handlers.get(type(event.data))
        if handler is not None:
            handler(rows, event)

    def with_reads(self) -> dict[str, View]:
        """This view and all that its answer reads, however indirectly, by name."""
        found: dict[str, View] = {}
        waiting: list[View] = [self]
        while waiting:
            view = waiting.pop()
            if view.name not in found:
                found[view.name] = view
                waiting.extend(view.reads)
        return found


def fold_page(
    folds: Sequence[tuple[View, Rows[Any]]],
    page: Iterable[Event[Any]],
    gone: AbstractSet[int],
) -> None:
    """Take events in, each into the rows of those views that handle its type."""
    of: dict[type[EventData], list[tuple[View, Handler, Rows[Any]]]] = {}
    for event in page:
        kind = type(event.data)
        if kind not in of:
            of[kind] = [
                (view, view.handlers[kind], rows)
                for view, rows in folds
                if kind in view.handlers
            ]
        for view, handler, rows in of[kind]:
            if not gone or view.counts(event, gone):
                handler(rows, event)
