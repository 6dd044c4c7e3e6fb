"""One question to the views, answered in one snapshot, as of a day, as known at a time.

Current answers are stored rows with the events after them folded on top. An answer as
of a day or as known earlier starts from the rows at the end of a segment, see `days.py`
for which, and takes in the events after it that belong to it. Either way what was
reversed by then is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.tables import events
from ledger.domain.agreement import Opened
from ledger.domain.event import Event, EventData, Reversed
from ledger.domain.transcoding import to_builtins
from ledger.record.log import begun
from ledger.record.refusals import refusals
from ledger.record.store import Store
from projections.engine import stored
from projections.engine.answer import Answer, columns_of, digest_of, names_deals
from projections.engine.days import DAYS, late_positions
from projections.engine.history import (
    PAGE,
    history,
    marks_by,
    of_stream,
    of_streams,
    reversed_by,
    reversed_in,
)
from projections.engine.moment import KnownAt, Moment
from projections.engine.stored import Past, Stored, page_of, whole_segments
from projections.engine.view import Book, Drawn, Fiction, Rows, View, fold_page


class Reading(Moment):
    """One question, in one snapshot.

    `fiction` is the view that tells which deals are invented; `reversing` are reversals that are not on the record, and count as if they were.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        fiction: Fiction,
        as_of: date | None = None,
        known_at: KnownAt | None = None,
        today: date | None = None,
        reversing: Sequence[Event[Reversed]] = (),
    ) -> None:
        super().__init__(connection, store, as_of, known_at, today)
        self._store = store
        self._fiction = fiction
        self._reversing = reversing
        self.limited = self.limited or bool(reversing)
        self._stale = False
        self._rows: dict[tuple[str, str], Rows[Any]] = {}
        self._gone: dict[str, frozenset[int]] = {}
        # Where another deal went on with a stream, after a version.
        self._moves: dict[tuple[type[EventData], str, int], int] = {}

    def answer(self, view: View, deal: str | None) -> Answer:
        """The answer of one deal or of all, with its footer."""
        if view.tell is not None:
            answer: Answer = view.tell(self, deal)
            return answer
        if deal is not None:
            self.check_known(deal)
        rows: list[Any] = []
        totals: dict[str, Any] = {}
        about, made_up = None, []
        for one in [deal] if deal is not None else self.deals():
            drawn, fictional = self.draw(view, one)
            made_up.append(fictional)
            if deal is None and not names_deals(view):
                label = {"deal": one, "fictional": fictional}
                rows += [{**label, **to_builtins(row)} for row in drawn.rows]
            else:
                rows += drawn.rows
                totals, about = drawn.totals, drawn.about
        columns = columns_of(view, deal)
        return self.told(
            view.name,
            rows,
            columns,
            deal=deal,
            version=view.version,
            totals=totals,
            about=about,
            fictional=bool(made_up) and all(made_up),
        )

    def all_fictional(self, deal: str | None) -> bool:
        """Whether a deal is fiction, or all deals that were known are."""
        asked = [deal] if deal is not None else self.deals()
        return bool(asked) and all(map(self.fictional, asked))

    def told(
        self,
        name: str,
        rows: list[Any],
        columns: tuple[str, ...],
        *,
        deal: str | None,
        fictional: bool,
        version: int = 1,
        totals: Mapping[str, Any] | None = None,
        about: Any = None,
        asked: Mapping[str, str | None] | None = None,
        digest: str | None = None,
    ) -> Answer:
        """Rows as an answer of this reading, with the control footer.

        `asked` are parameters beside the deal and the two dates; `digest` is given
        where the rows are told elsewhere.
        """
        return Answer(
            view=name,
            version=version,
            params={**self.params(deal), **(asked or {})},
            position=self.position,
            rows=rows,
            totals={"rows": len(rows), **(totals or {})},
            about=about,
            columns=columns,
            digest=digest or digest_of(rows, about),
            tree_head=self.root.hex(),
            fictional=fictional,
            note=self.note,
        )

    def fictional(self, deal: str) -> bool:
        """Whether a deal is fiction."""
        return self._fictional(self.book(deal, self._fiction.view))

    def _fictional(self, book: Book) -> bool:
        told = self._fiction.of(book)
        if told is not None:
            return told
        # Its opening was reversed: what is left of it is no less fiction than it was.
        opened = (event.data for event in self.history(book.deal))
        return any(isinstance(data, Opened) and data.fictional for data in opened)

    @property
    def note(self) -> str | None:
        """A word to whoever asked, beside the answer."""
        if not self._stale:
            return None
        return "the stored views are not up to date; the answer was folded in memory."

    def draw(self, view: View, deal: str) -> tuple[Drawn, bool]:
        """What a view says of a deal, and whether the deal is fiction."""
        book = self.book(deal, view, self._fiction.view)
        return view.draw(book), self._fictional(book)

    def book(self, deal: str, *views: View) -> Book:
        """The rows of some views, and of all that they read."""
        needed = {
            name: one for view in views for name, one in view.with_reads().items()
        }
        missing = [
            one for name, one in needed.items() if (deal, name) not in self._rows
        ]
        self._fold(deal, missing)
        rows = {name: self._rows[deal, name] for name in needed}
        return Book(
            deal,
            rows,
            self.day,
            limited=self.as_of is not None,
            now=self.recording_time,
            elsewhere=partial(self.moves, deal),
        )

    def earlier(self, position: int) -> Reading:
        """The same question as known at a position."""
        return Reading(
            self.connection,
            self._store,
            self._fiction,
            self.as_of,
            position,
            today=self.day,
        )

    def history(
        self,
        deal: str | None,
        after: int = 0,
        before: int | None = None,
        *,
        newest: bool = False,
    ) -> Iterator[Event[Any]]:
        """The events of a deal, or of all, that this answer takes in.

        The reversed ones too. `before` leaves out what stands from a position on;
        `newest` come first.
        """
        upto = self.position if before is None else min(self.position, before - 1)
        return history(
            self.connection,
            deal,
            after=after,
            upto=upto,
            as_of=self.as_of,
            newest=newest,
        )

    def marks(self, deal: str | None) -> Sequence[Event[Reversed]]:
        """The marks by which entries of a deal, or of all, were taken back by then."""
        return marks_by(self.connection, self.position, deal)

    def refusals(self, deal: str | None, upto: str | int) -> list[dict[str, Any]]:
        """What was refused by then, in the order in which answers tell it."""
        return refusals(self.connection, deal=deal, upto=upto, as_of=self.as_of)

    def current(
        self,
        view: View,
        deal: str,
        where: Mapping[tuple[str, ...], str | None],
        between: tuple[str, str],
        limit: int | None,
        without: Collection[str] = (),
    ) -> Generator[Any] | None:
        """Rows of a view between two keys, of those that are as asked for.

        None where no stored rows are those of this answer: then the view is folded.
        """
        stands = self.tracked.get(view.name)
        if self.limited or stands != (view.version, self.position):
            return None
        return page_of(self.connection, view, deal, where, *between, limit, without)

    def of_stream(self, deal: str, stream: str) -> list[Event[Any]]:
        """The events of a stream that count: less the reversed ones and their marks."""
        found = of_stream(self.connection, stream, self.position, self.as_of)
        mine = (event for event in found if event.deal == deal)
        return [event for event in mine if self._counts(event)]

    def at(self, deal: str, position: int) -> Event[Any] | None:
        """The event at a position, if it is of the deal and counts."""
        upto = min(position, self.position)
        found = history(
            self.connection, deal, after=position - 1, upto=upto, as_of=self.as_of
        )
        return next((event for event in found if self._counts(event)), None)

    def _counts(self, event: Event[Any]) -> bool:
        gone = self._gone.get(event.deal)
        if gone is None:
            gone = reversed_by(self.connection, self.position, event.deal)
            self._gone[event.deal] = gone
        return event.position not in gone and not isinstance(event.data, Reversed)

    def moves(
        self, deal: str, data: type[EventData], since: Mapping[str, int]
    ) -> dict[str, int]:
        """Those streams on which another deal's entry of a type came after a version.

        Each with the position of the first such entry.
        """
        known = self._moves
        unknown = [one for one in since.items() if (data, *one) not in known]
        known.update({(data, *one): 0 for one in unknown})
        streams = [stream for stream, _ in unknown]
        for event in of_streams(
            self.connection, streams, data, self.position, self.as_of
        ):
            key = (data, event.stream, since[event.stream])
            later = event.deal != deal and event.version > since[event.stream]
            if later and not event.is_claim and self._counts(event):
                known[key] = known[key] or event.position
        found = {one[0]: known[data, *one] for one in since.items()}
        return {stream: position for stream, position in found.items() if position}

    def streams(self, deal: str, kind: str, many: int) -> list[str]:
        """The first streams of a kind that a deal began, in order of their names."""
        query = sa.select(events.c.stream).where(
            *begun(kind, deal), events.c.position <= self.position
        )
        return list(
            self.connection.scalars(query.order_by(events.c.stream).limit(many))
        )

    def _fold(self, deal: str, views: Sequence[View]) -> None:
        """Rows as they are stored, with the events after them folded on top."""
        groups: dict[int, list[View]] = {}
        taken_back = marks_by(self.connection, self.position, deal) if views else []
        taken_back += [mark for mark in self._reversing if mark.deal == deal]
        for view in views:
            start = self._start(view, deal, taken_back)
            groups.setdefault(start, []).append(view)
            source = self._source(view, deal, start)
            self._rows[deal, view.name] = Rows(source)
        gone = reversed_in(taken_back)
        for start, group in groups.items():
            folds = [(view, self._rows[deal, view.name]) for view in group]
            for page in _pages(self._after(deal, start)):
                for view, rows in folds:
                    rows.ahead(view.looked_at(page))
                fold_page(folds, page, gone)

    def _source(self, view: View, deal: str, start: int) -> Stored | Past | None:
        if not start or not view.keeps_rows:
            return None
        if not self.limited:
            return Stored(self.connection, view, deal)
        return Past(self.connection, view, deal, whole_segments(start))

    def _start(
        self, view: View, deal: str, taken_back: Sequence[Event[Reversed]]
    ) -> int:
        """The position from whose rows a view can go on; 0 where it must begin anew.

        What those rows hold must count here: it is effective by the day asked for, and
        no later entry took it back.
        """
        version, start = self.tracked.get(view.name, (0, 0))
        if version != view.version:
            start = 0
        if not self.limited and start < self.position:
            self._stale = True
        if self.limited:
            start = min(start, self.position, self.in_order(deal, self.as_of))
            start = whole_segments(start) * stored.SEGMENT
        for mark in () if view.record else reversed(taken_back):
            # One that is not on the record has no position: it comes after all.
            if mark.data.position <= start < (mark.position or start + 1):
                # Of what is stored at the ends of segments, some was before that entry.
                start = mark.data.position - 1 if self.limited else 0
                start = whole_segments(start) * stored.SEGMENT
        return start

    def _after(self, deal: str, start: int) -> Iterator[Event[Any]]:
        """The events of a deal after a position, of those that this answer takes in.

        What marks another as reversed is an entry of its own day, too.
        """
        found = self._upto_day(deal, start)
        day = self.as_of
        return found if day is None else (event for event in found if event.on <= day)

    def _upto_day(self, deal: str, start: int) -> Iterator[Event[Any]]:
        ask = partial(history, self.connection, deal, as_of=self.as_of)
        if self.as_of is None or not start:
            yield from ask(after=start, upto=self.position)
            return
        known = min(self.tracked[DAYS.name][1], self.position)
        # In the segment that went past the day, any event may belong here; after it,
        # as far as is known, late ones alone.
        mixed = min(known, self.in_order(deal, self.as_of) + stored.SEGMENT)
        yield from ask(after=start, upto=mixed)
        found = late_positions(deal, self.as_of, mixed, known)
        yield from ask(after=mixed, upto=known, among=found)
        yield from ask(after=known, upto=self.position)


def _pages(found: Iterator[Event[Any]]) -> Iterator[list[Event[Any]]]:
    while page := list(islice(found, PAGE)):
        yield page
