"""One question to the views, answered in one snapshot, as of a day, as known at a time.

Current answers are stored rows with the events after them folded on top. An answer as
of a day or as known earlier starts from the rows at the end of a segment, see `days.py`
for which, and takes in the events after it that belong to it. Either way what was
reversed by then is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.tables import events
from ledger.domain.agreement import Opened
from ledger.domain.event import Event, Reversed
from ledger.domain.transcoding import stamp_time, to_builtins, to_json
from ledger.errors import NotFound
from ledger.record.log import begun, read_head
from ledger.record.refusals import refusals
from ledger.record.store import Store
from ledger.record.tiles import Tiles
from ledger.tlog.proofs import root_at
from projections.engine import stored
from projections.engine.days import DAYS, late_positions, reached
from projections.engine.history import (
    PAGE,
    deals_of,
    history,
    marks_by,
    of_stream,
    reversed_by,
    reversed_in,
)
from projections.engine.stored import Past, Stored, page_of, tracked, whole_segments
from projections.engine.view import Book, Drawn, Rows, View, fold_page
from projections.views.deals import DEALS, agreement_of
from projections.views.fleet import FLEET, SYSTEM, SystemLine, SystemRow, system_line
from projections.views.refused import REFUSED, RefusedLine
from projections.views.timeline import TIMELINE, line_of_event

IS_NOTHING: Final[Mapping[str, str]] = {"state": "allocated", "site": "-"}
"""What a row leaves out: it is shown so, and stored as nothing."""
DAY: Final = timedelta(days=1)
KnownAt = datetime | int
"""A recorded time, or a position of the record."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a view says, with its control footer."""

    view: str
    version: int
    params: dict[str, str | None]
    position: int
    rows: list[Any]
    totals: dict[str, Any]
    about: Any
    columns: tuple[str, ...]
    digest: str
    tree_head: str
    fictional: bool
    note: str | None = None


class Reading:
    """One question, in one snapshot.

    `today` is the day that an answer without a day is about; the clock's if left out.
    `reversing` are reversals that are not on the record, and count as if they were.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        as_of: date | None = None,
        known_at: KnownAt | None = None,
        today: date | None = None,
        reversing: Sequence[Event[Reversed]] = (),
    ) -> None:
        self._connection = connection
        self._store = store
        self._reversing = reversing
        self._head = read_head(connection)
        self._as_of = as_of
        self._known_at = known_at
        self._now = store.clock()
        self.day = as_of or today or self._now.astimezone(UTC).date()
        self.position = self._horizon(known_at)
        self._tracked = tracked(connection)
        self.limited = (
            as_of is not None or self.position < self._head.size or bool(reversing)
        )
        self._stale = False
        self._rows: dict[tuple[str, str], Rows[Any]] = {}
        self._gone: dict[str, frozenset[int]] = {}

    def answer(self, view: View, deal: str | None) -> Answer:
        """The answer of one deal or of all, with its footer."""
        if view is REFUSED:
            return self._refused(deal)
        if deal is not None:
            self.check_known(deal)
        if view is TIMELINE:
            return self._timeline(deal)
        rows: list[Any] = []
        totals: dict[str, Any] = {}
        about, made_up = None, []
        for one in [deal] if deal is not None else self.deals():
            drawn, fictional = self.draw(view, one)
            made_up.append(fictional)
            if deal is None and view.name != "deals":
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

    def _timeline(self, deal: str | None) -> Answer:
        return self.told(
            TIMELINE.name,
            list(self.timeline(deal)),
            columns_of(TIMELINE, deal),
            deal=deal,
            version=TIMELINE.version,
            fictional=self.all_fictional(deal),
        )

    def all_fictional(self, deal: str | None) -> bool:
        """Whether a deal is fiction, or all deals that were known are."""
        asked = [deal] if deal is not None else self.deals()
        return bool(asked) and all(map(self.fictional, asked))

    def timeline(
        self, deal: str | None, *, before: int | None = None, newest: bool = False
    ) -> Generator[Any]:
        """The events of a deal, or of all, a line each, as many as are asked for.

        `before` leaves out what stands from a position on; `newest` is told first.
        """
        taken_back = {
            mark.data.position: f"{mark.data.reversal} (#{mark.position})"
            for mark in marks_by(self._connection, self.position, deal)
        }
        upto = self.position if before is None else min(self.position, before - 1)
        fictional: dict[str, bool] = {}
        for event in history(
            self._connection, deal, upto=upto, as_of=self._as_of, newest=newest
        ):
            if self._as_of is not None and event.on > self._as_of:
                continue  # It marks another as reversed, which shows it.
            line = line_of_event(event, taken_back.get(event.position))
            if deal is not None:
                yield line
                continue
            if event.deal not in fictional:
                fictional[event.deal] = self.fictional(event.deal)
            label = {"deal": event.deal, "fictional": fictional[event.deal]}
            yield {**label, **to_builtins(line)}

    def systems(
        self,
        deal: str,
        asked: Mapping[str, str | None],
        after: str | None = None,
        limit: int | None = None,
    ) -> Generator[SystemLine]:
        """Systems of a deal by their names: of a `state`, at a `site`, of an `order`.

        Of rows that are up to date the database tells these alone.
        """
        given = {name: value for name, value in asked.items() if value is not None}
        first = f"{SYSTEM}/{after or ''}"
        current = (FLEET.version, self.position)
        if not self.limited and self._tracked.get(FLEET.name) == current:
            fields: dict[str, tuple[str, ...]] = {"state": ("outage", "state")}
            where: dict[tuple[str, ...], str] = {
                fields.get(name, (name,)): ""
                if IS_NOTHING.get(name) == value
                else value
                for name, value in given.items()
            }
            last = f"{SYSTEM}0"
            with closing(
                page_of(self._connection, FLEET, deal, where, first, last, limit)
            ) as found:
                yield from map(system_line, found)
            return
        for row in self.book(deal, FLEET).rows(FLEET):
            if isinstance(row, SystemRow) and row.key > first:
                line = system_line(row)
                if all(getattr(line, name) == value for name, value in given.items()):
                    yield line

    def _refused(self, deal: str | None) -> Answer:
        """What was refused by then: beside the record, so no position covers it."""
        known_at = self._known_at
        upto = (
            known_at if isinstance(known_at, int) else stamp_time(known_at or self._now)
        )
        found = refusals(self._connection, deal=deal, upto=upto, as_of=self._as_of)
        if deal is not None and not found:
            self.check_known(deal)
        of_deals = {row["deal"] for row in found} if deal is None else {deal}
        fictional = {one: self.fictional(one) for one in of_deals}
        rows: list[Any] = [RefusedLine(**row) for row in found]
        columns = RefusedLine.__struct_encode_fields__
        if deal is None:
            rows = [
                {"deal": row["deal"], "fictional": fictional[row["deal"]], **row}
                for row in found
            ]
            columns = ("deal", "fictional", *columns[1:])
        answer = self.told(
            REFUSED.name,
            rows,
            columns,
            deal=deal,
            fictional=bool(fictional) and all(fictional.values()),
            totals={"refusals": sum(row["times"] for row in found)},
            # The last event's time would leave out what was refused since.
            asked=None if isinstance(upto, int) else {"known_at": upto},
        )
        beside = "refusals stand beside the record: no tree head covers them."
        return msgspec.structs.replace(answer, note=beside)

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
        return self._fictional(self.book(deal, DEALS))

    def _fictional(self, book: Book) -> bool:
        row = agreement_of(book)
        if row.state != "none":
            return row.fictional
        # Its opening was reversed: what is left of it is no less fiction than it was.
        opened = (event.data for event in self.history(book.deal))
        return any(isinstance(data, Opened) and data.fictional for data in opened)

    def params(self, deal: str | None) -> dict[str, str | None]:
        """What was asked, as it was resolved.

        Asked again with these, the same answer comes back, whatever is recorded in the
        meantime.
        """
        known_at: str | None = self._head.recorded_at or None
        if isinstance(self._known_at, int):
            known_at = f"#{self._known_at}"
        elif self._known_at is not None:
            known_at = stamp_time(self._known_at)
        as_of = self._as_of.isoformat() if self._as_of else None
        return {"deal": deal, "as_of": as_of, "known_at": known_at}

    @property
    def note(self) -> str | None:
        """A word to whoever asked, beside the answer."""
        if not self._stale:
            return None
        return "the stored views are not up to date; the answer was folded in memory."

    @property
    def root(self) -> bytes:
        """The root over all events up to the position."""
        if self.position == self._head.size:
            return self._head.root
        return root_at(self.position, Tiles(self._connection))

    def draw(self, view: View, deal: str) -> tuple[Drawn, bool]:
        """What a view says of a deal, and whether the deal is fiction."""
        book = self.book(deal, view, DEALS)
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
        return Book(deal, rows, self.day, limited=self._as_of is not None)

    def earlier(self, position: int) -> Reading:
        """The same question as known at a position."""
        return Reading(
            self._connection, self._store, self._as_of, position, today=self.day
        )

    def history(self, deal: str, after: int = 0) -> Iterator[Event[Any]]:
        """The events of a deal that this answer takes in, the reversed ones too."""
        return history(
            self._connection, deal, after=after, upto=self.position, as_of=self._as_of
        )

    def before(self, deal: str, point: date | datetime | int) -> int:
        """A position up to which every event of a deal lies before a point."""
        match point:
            case int():
                return min(point - 1, self.position)
            case datetime():
                just_before = self._horizon(point - timedelta(microseconds=1))
                return min(just_before, self.position)
            case _:
                return min(self._in_order(deal, point - DAY), self.position)

    def upto(self, deal: str, point: date | datetime | int) -> int:
        """The last position of a deal at which an event lies before a point, or at it."""
        match point:
            case int():
                return point
            case datetime():
                return self._horizon(point)
            case _:
                found: int | None = self._connection.scalar(
                    sa.select(events.c.position)
                    .where(
                        events.c.deal == deal,
                        events.c.effective_on <= point.isoformat(),
                    )
                    .order_by(events.c.position.desc())
                    .limit(1)
                )
                return found or 0

    def of_stream(self, deal: str, stream: str) -> list[Event[Any]]:
        """The events of a stream that count: less the reversed ones and their marks."""
        found = of_stream(self._connection, stream, self.position, self._as_of)
        mine = (event for event in found if event.deal == deal)
        return [event for event in mine if self._counts(event)]

    def at(self, deal: str, position: int) -> Event[Any] | None:
        """The event at a position, if it is of the deal and counts."""
        upto = min(position, self.position)
        found = history(
            self._connection, deal, after=position - 1, upto=upto, as_of=self._as_of
        )
        return next((event for event in found if self._counts(event)), None)

    def _counts(self, event: Event[Any]) -> bool:
        gone = self._gone.get(event.deal)
        if gone is None:
            gone = reversed_by(self._connection, self.position, event.deal)
            self._gone[event.deal] = gone
        return event.position not in gone and not isinstance(event.data, Reversed)

    def streams(self, deal: str, kind: str, many: int) -> list[str]:
        """The first streams of a kind that a deal began, in order of their names."""
        query = sa.select(events.c.stream).where(
            *begun(kind, deal), events.c.position <= self.position
        )
        return list(
            self._connection.scalars(query.order_by(events.c.stream).limit(many))
        )

    def _fold(self, deal: str, views: Sequence[View]) -> None:
        """Rows as they are stored, with the events after them folded on top."""
        groups: dict[int, list[View]] = {}
        taken_back = marks_by(self._connection, self.position, deal) if views else []
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
        if not start:
            return None
        if not self.limited:
            return Stored(self._connection, view, deal)
        return Past(self._connection, view, deal, whole_segments(start))

    def _start(
        self, view: View, deal: str, taken_back: Sequence[Event[Reversed]]
    ) -> int:
        """The position from whose rows a view can go on; 0 where it must begin anew.

        What those rows hold must count here: it is effective by the day asked for, and
        no later entry took it back.
        """
        version, start = self._tracked.get(view.name, (0, 0))
        if version != view.version:
            start = 0
        if not self.limited and start < self.position:
            self._stale = True
        if self.limited:
            start = min(start, self.position, self._in_order(deal, self._as_of))
            start = whole_segments(start) * stored.SEGMENT
        for mark in () if view.record else reversed(taken_back):
            # One that is not on the record has no position: it comes after all.
            if mark.data.position <= start < (mark.position or start + 1):
                # Of what is stored at the ends of segments, some was before that entry.
                start = mark.data.position - 1 if self.limited else 0
                start = whole_segments(start) * stored.SEGMENT
        return start

    def _in_order(self, deal: str, day: date | None) -> int:
        """Up to where every event of a deal is effective by a day."""
        if day is None:
            return self.position
        version, known = self._tracked.get(DAYS.name, (0, 0))
        if version != DAYS.version:
            return 0
        past_the_day = reached(self._connection, deal, day)
        if past_the_day is None:
            return known
        return min(known, (past_the_day - 1) * stored.SEGMENT)

    def _after(self, deal: str, start: int) -> Iterator[Event[Any]]:
        """The events of a deal after a position, of those that this answer takes in."""
        ask = partial(history, self._connection, deal, as_of=self._as_of)
        if self._as_of is None or not start:
            yield from ask(after=start, upto=self.position)
            return
        known = min(self._tracked[DAYS.name][1], self.position)
        # In the segment that went past the day, any event may belong here; after it,
        # as far as is known, late ones alone.
        mixed = min(known, self._in_order(deal, self._as_of) + stored.SEGMENT)
        yield from ask(after=start, upto=mixed)
        found = late_positions(deal, self._as_of, mixed, known)
        yield from ask(after=mixed, upto=known, among=found)
        yield from ask(after=known, upto=self.position)

    def deals(self) -> Sequence[str]:
        """The deals that were known, in order of their ids."""
        return [deal for deal in deals_of(self._connection) if self.knows(deal)]

    def check_known(self, deal: str) -> None:
        """NotFound for a deal that is not on the record, or was not then."""
        if self.knows(deal):
            return
        effective, recorded = self._connection.execute(
            sa.select(
                sa.func.min(events.c.effective_on), sa.func.min(events.c.recorded_at)
            ).where(events.c.deal == deal)
        ).one()
        if effective is None:
            raise NotFound(
                f"Deal {deal!r} is not on the record; 'accord list' shows those that are."
            )
        asked = []
        if self._as_of:
            asked.append(f"as of {self._as_of}")
        if self._known_at is not None:
            asked.append(f"known at {self.params(deal)['known_at']}")
        raise NotFound(
            f"Deal {deal!r} is not on the record {', '.join(asked)}; "
            f"it is from {effective}, recorded at {recorded}."
        )

    def knows(self, deal: str) -> bool:
        """Whether anything of a deal was on the record, and so by then."""
        found = sa.select(events.c.position).where(
            events.c.deal == deal, events.c.position <= self.position
        )
        if self._as_of is not None:
            found = found.where(events.c.effective_on <= self._as_of.isoformat())
        found = found.order_by(events.c.position).limit(1)
        return self._connection.scalar(found) is not None

    @property
    def limited_by_day(self) -> bool:
        """Whether what was so only after the day is left out."""
        return self._as_of is not None

    def check_position(self, position: int) -> None:
        """NotFound for a position beyond the end of the record."""
        if position > self._head.size:
            raise NotFound(
                f"There is no position {position:,}: "
                f"the record has {self._head.size:,} events."
            )

    def _horizon(self, known_at: KnownAt | None) -> int:
        """The last position that was on the record."""
        if known_at is None:
            return self._head.size
        if isinstance(known_at, int):
            self.check_position(known_at)
            return known_at
        stamp, known, unknown = stamp_time(known_at), 0, self._head.size + 1
        # Recorded time never goes back, and positions have no gaps.
        while unknown - known > 1:
            middle = (known + unknown) // 2
            at = sa.select(events.c.recorded_at).where(events.c.position == middle)
            if (self._connection.scalar(at) or "") <= stamp:
                known = middle
            else:
                unknown = middle
        return known


def _pages(found: Iterator[Event[Any]]) -> Iterator[list[Event[Any]]]:
    while page := list(islice(found, PAGE)):
        yield page


def columns_of(view: View, deal: str | None) -> tuple[str, ...]:
    """The columns of an answer; of all deals at once, each row names its deal."""
    columns = view.row.__struct_encode_fields__
    if deal is not None or view.name == "deals":
        return columns
    return ("deal", "fictional", *columns)


def digest_of(rows: Sequence[Any], about: Any = None) -> str:
    """The SHA-256 over the rows' JSONL, in hexadecimal; `about` is the first line."""
    lines = [about, *rows] if about is not None else rows
    return hashlib.sha256(b"".join(to_json(row) + b"\n" for row in lines)).hexdigest()
