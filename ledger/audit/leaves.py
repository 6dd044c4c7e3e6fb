"""The events of the record, each checked by itself, a span of positions at a time.

Spans do not depend on each other, so that the processors of a machine can each take
some: of a large record a process each. What lies between two spans, and the tree over
all, is for `integrity` to check.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from typing import Any, Final, NamedTuple, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from ledger.clock import stamp_time
from ledger.database.dialect import database_of
from ledger.database.tables import commands, events
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event
from ledger.domain.transcoding import decode
from ledger.errors import AccordError, IntegrityFailure, UnknownEvent
from ledger.record.log import TILE_LEVELS
from ledger.record.store import Store, open_store
from ledger.tlog.merkle import complete_root

TILE: Final = 1 << TILE_LEVELS
PAGE: Final = 4 * TILE
"""Events read at once."""
SPAN: Final = 64 * PAGE
"""Positions that are checked by one processor at a time: whole tiles."""
MANY: Final = 200_000
"""Events from which on it is worth while to start other processes."""
MOST: Final = 8
"""Processes at most."""

_TAGS: Final = {kind: kind.tag() for kind in EVENTS}
_ROWS: Final = sa.select(
    events.c.position,
    events.c.stream,
    events.c.version,
    events.c.type,
    events.c.deal,
    events.c.effective_on,
    events.c.recorded_at,
    events.c.data,
    events.c.leaf,
)
_NAMES: Final = (
    "position",
    "stream",
    "version",
    "type",
    "deal",
    "effective_on",
)


class Span(NamedTuple):
    """Positions from `first` to `last`, both included."""

    first: int
    last: int


NOTHING: Final = Span(0, 0)
"""Before the first position."""


@dataclass
class Part:
    """What the events of a span come to.

    `tiles` are the roots over each whole tile, `rest` the leaves after the last one.
    What is wrong is `fault`; what came before it is right. `commands` counts those that
    begin here; `opening` and `closing` are the spans of the first and the last of which
    there are events here, which may begin before or end after it. `timed_from` is the
    position of the event that was recorded at `begins_at`.
    """

    span: Span
    tiles: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)
    events: int = 0
    timed_from: int = 0
    begins_at: str = ""
    ends_at: str = ""
    commands: int = 0
    opening: Span | None = None
    closing: Span = NOTHING
    unknown: UnknownEvent | None = None
    fault: IntegrityFailure | None = None


def parts(
    store: Store, connection: Connection, last: int, processes: int
) -> Iterator[Part]:
    """Every span up to a position, in order, checked.

    No other process is believed where it finds fault, or fails: its span is read again
    in this one.
    """
    spans = [Span(at, min(at + SPAN - 1, last)) for at in range(1, last + 1, SPAN)]
    done = 0
    if last >= MANY and processes > 1 and not multiprocessing.current_process().daemon:
        with suppress(BrokenProcessPool, AccordError, OSError, NotImplementedError):
            for part in _side_by_side(store, spans, min(processes, len(spans))):
                if part.fault is not None:
                    break
                yield part
                done += 1
    for span in spans[done:]:
        yield read_part(connection, span)


def processors() -> int:
    """How many processes are worth while: one a processor, within reason."""
    return min(MOST, os.cpu_count() or 1)


def _side_by_side(
    store: Store, spans: Sequence[Span], processes: int
) -> Iterator[Part]:
    url = store.engine.url.render_as_string(hide_password=False)
    pool = ProcessPoolExecutor(
        processes,
        # A database connection must not cross a fork.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
    )
    try:
        yield from pool.map(partial(_read_there, url), spans)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In a process of its own: leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.join,), daemon=True).start()


def _end_after(waiting: Callable[[], None]) -> None:
    waiting()
    os._exit(1)


def _read_there(url: str, span: Span) -> Part:
    with _opened(url).reading() as connection:
        return read_part(connection, span)


_opened = cache(open_store)


def read_part(connection: Connection, span: Span) -> Part:
    """Check the events of a span, up to the first at fault."""
    part = Part(span)
    try:
        _Reader(connection, part).run()
    except IntegrityFailure as fault:
        part.fault = fault
    return part


class _Reader:
    """One pass over the events of a span."""

    def __init__(self, connection: Connection, part: Part) -> None:
        self._connection = connection
        self._part = part
        self._span = part.span
        self._commands = _Commands(connection, part)
        self._moment: datetime | None = None

    def run(self) -> None:
        part, span = self._part, self._span
        for page in self._pages():
            self._grow(self._leaves(page))
        if span.first + part.events <= span.last:
            self._missing(span.first + part.events)

    def _grow(self, leaves: list[bytes]) -> None:
        # Pages are whole tiles, but for the last one of all.
        whole = len(leaves) - len(leaves) % TILE
        for start in range(0, whole, TILE):
            self._part.tiles.append(complete_root(leaves[start : start + TILE]))
        self._part.rest += leaves[whole:]
        self._part.events += len(leaves)

    def _pages(self) -> Iterator[Sequence[Any]]:
        span = self._span
        query = _ROWS.where(
            events.c.position >= span.first, events.c.position <= span.last
        ).order_by(events.c.position)
        paged = {"yield_per": PAGE}
        try:
            with self._connection.execute(query, execution_options=paged) as found:
                yield from found.partitions()
        except DBAPIError as error:
            if not database_of(self._connection.engine).damaged(error):
                raise
            self._find_unreadable(error)

    def _find_unreadable(self, error: DBAPIError) -> NoReturn:
        """Look at the events of a page one by one, to name the first at fault."""
        at = self._span.first + self._part.events
        with suppress(DBAPIError):
            while page := self._connection.execute(
                _ROWS.where(events.c.position == at)
            ).all():
                self._leaves(page)
                self._part.events += 1
                at += 1
        fail(at, f"Event {at} is missing or cannot be read: {error.orig}.")

    def _missing(self, expected: int) -> NoReturn:
        after = sa.select(sa.func.min(events.c.position)).where(
            events.c.position > expected
        )
        following = self._connection.scalar(after)
        fail(expected, f"Event {expected} is missing; the next is {following}.")

    def _leaves(self, page: Sequence[Any]) -> list[bytes]:
        """Check each row of a page by itself; the hashes of the events' bytes."""
        expected = self._span.first + self._part.events - 1
        leaves = []
        known = self._commands
        for row in page:
            position, stream, version, tag, deal, on, recorded_at, data, leaf = row
            expected += 1
            if position != expected:
                self._missing(expected)
            if type(data) is not bytes:
                fail(position, f"Event {position} is not stored as bytes.")
            hashed = sha256(b"\x00" + data).digest()
            if hashed != leaf:
                fail(position, f"REC-09: Event {position} does not match its hash.")
            leaves.append(hashed)
            if position > known.through:
                known.turn_to(position)
            try:
                event = decode(data, position=position)
            except UnknownEvent as error:
                # Newer, or forged? Which of the two, the root will tell.
                self._part.unknown = self._part.unknown or error
                continue
            identity, provenance = event.identity, event.provenance
            if (
                identity.position != position
                or identity.stream != stream
                or identity.version != version
                or _TAGS[type(event.data)] != tag
                or provenance.deal != deal
                or provenance.effective_on.isoformat() != on
            ):
                _differs(row, event)
            if (
                recorded_at != self._part.ends_at
                or identity.recorded_at != self._moment
            ):
                self._check_time(position, recorded_at, identity.recorded_at)
            if (
                provenance.command_id != known.command_id
                or provenance.command_digest != known.digest
            ):
                disagree(position)
        return leaves

    def _check_time(
        self, position: int, recorded_at: str, moment: datetime | None
    ) -> None:
        if moment is None or moment.tzinfo is None or _stamp(moment) != recorded_at:
            fail(
                position,
                f"Event {position}: the column recorded_at says {recorded_at!r}, "
                f"its bytes {moment}.",
            )
        check_order(position, self._part.ends_at, recorded_at)
        if not self._part.timed_from:
            self._part.timed_from, self._part.begins_at = position, recorded_at
        self._part.ends_at, self._moment = recorded_at, moment


class _Commands:
    """The table of commands, beside the provenance of the events they recorded."""

    def __init__(self, connection: Connection, part: Part) -> None:
        self._connection = connection
        self._part = part
        self._page: Iterator[Any] = iter(())
        self.through = 0
        self.command_id = self.digest = ""

    def turn_to(self, position: int) -> None:
        """Go on to the command that recorded an event, the next of its span.

        The first may have begun in the span before; `integrity` compares it with that.
        """
        row = next(self._page, None) or self._turn(position)
        opening = self._part.opening is None
        if (
            row is None
            or row[0] > position
            or (row[0] < position and not opening)
            or not isinstance(row[1], int)
            or row[1] < position
        ):
            disagree(position)
        first, self.through, self.command_id, self.digest = row
        self._part.closing = Span(first, self.through)
        if opening:
            self._part.opening = self._part.closing
        self._part.commands += first == position

    def _turn(self, position: int) -> Any:
        begun = sa.select(sa.func.max(commands.c.first)).where(
            commands.c.first <= position
        )
        query = (
            sa.select(
                commands.c.first,
                commands.c.last,
                commands.c.command_id,
                commands.c.digest,
            )
            .where(commands.c.first >= begun.scalar_subquery())
            .where(commands.c.first <= self._part.span.last)
            .order_by(commands.c.first)
            .limit(PAGE)
        )
        self._page = iter(self._connection.execute(query).all())
        return next(self._page, None)


def check_order(position: int, before: str, recorded_at: str) -> None:
    """IntegrityFailure where an event was recorded before the one that it follows."""
    if recorded_at < before:
        fail(
            position,
            f"Event {position} was recorded at {recorded_at}, before the one "
            f"that it follows ({before}).",
        )


def disagree(position: int) -> NoReturn:
    """Raise what says that the table of commands is not that of the events."""
    fail(position, f"Event {position} and the table of commands do not agree.")


def fail(position: int, text: str) -> NoReturn:
    """Raise IntegrityFailure at a position."""
    raise IntegrityFailure(text, position=position)


def _differs(row: Any, event: Event[Any]) -> NoReturn:
    """Name the first column that says otherwise than the event's bytes."""
    said = (
        event.identity.position,
        event.identity.stream,
        event.identity.version,
        event.data.tag(),
        event.deal,
        event.on.isoformat(),
    )
    name, column, told = next(
        found for found in zip(_NAMES, row, said, strict=False) if found[1] != found[2]
    )
    fail(
        row[0],
        f"Event {row[0]}: the column {name} says {column!r}, its bytes {told!r}.",
    )


def _stamp(moment: datetime) -> str:
    try:
        return stamp_time(moment)
    except OverflowError:
        return ""
