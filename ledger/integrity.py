"""Verifying the record: everything that is stored is recomputed from the events' bytes.

One snapshot, read once in order of position, a page at a time: memory does not grow
with the record. What this proves is that the record agrees with its own tree head;
whoever kept that head elsewhere can tell whether it is still the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from ledger.catalogue import EVENTS
from ledger.database import database_of
from ledger.errors import IntegrityFailure, UnknownEvent
from ledger.event import Event
from ledger.log import TILE_LEVELS, read_head
from ledger.merkle import HASH_BYTES, Frontier, complete_root, leaf_hash
from ledger.store import Store
from ledger.tables import commands, events, nodes
from ledger.transcoding import decode, stamp_time

TILE: Final = 1 << TILE_LEVELS
PAGE: Final = 4 * TILE
"""Events read at once; whole tiles, so that the tree is built a tile at a time."""

Progress = Callable[[int, int | None], None]
"""Told how many events are done, and of how many."""

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


@dataclass(frozen=True)
class Report:
    """What was verified: how much, the root over it (hex), and when the last was added."""

    events: int
    root: str
    recorded_at: str
    commands: int


def verify(store: Store, progress: Progress | None = None) -> Report:
    """Recompute the whole record; IntegrityFailure names the first position at fault.

    UnknownEvent where every hash agrees, and yet an event is newer than this software.
    """
    with store.reading() as connection:
        try:
            with _Verification(connection, progress) as verification:
                return verification.run()
        except DBAPIError as error:
            if not database_of(store.engine).damaged(error):
                raise
            raise IntegrityFailure(
                f"What stands beside the events cannot be read: {error.orig}."
            ) from error


class _Verification:
    """One pass over the record, and what it has come to know."""

    def __init__(self, connection: Connection, progress: Progress | None) -> None:
        self._connection = connection
        self._head = read_head(connection)
        self._progress = progress
        self._tiles = Frontier()
        self._rest = Frontier()
        self._size = 0
        self._nodes = _StoredNodes(connection)
        self._commands = _Commands(connection)
        self._unknown: UnknownEvent | None = None
        self._moment: datetime | None = None
        self._recorded_at = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.close()

    def run(self) -> Report:
        for page in self._pages():
            self._grow(self._leaves(page))
            if self._progress:
                self._progress(self._size, self._head.size)
        self._check_head()
        self._nodes.finish()
        self._commands.finish(self._size)
        self._check_streams()
        if self._unknown is not None:
            raise self._unknown
        return Report(
            self._size,
            self._head.root.hex(),
            self._head.recorded_at,
            self._commands.count,
        )

    def _pages(self) -> Iterator[Sequence[Any]]:
        query = _ROWS.order_by(events.c.position)
        try:
            with self._connection.execute(
                query, execution_options={"yield_per": PAGE}
            ) as found:
                yield from found.partitions()
        except DBAPIError as error:
            if not database_of(self._connection.engine).damaged(error):
                raise
            self._find_unreadable(error)

    def _find_unreadable(self, error: DBAPIError) -> NoReturn:
        """Look at the events of a page one by one, to name the first at fault."""
        with suppress(DBAPIError):
            while page := self._connection.execute(
                _ROWS.where(events.c.position == self._size + 1)
            ).all():
                self._leaves(page)
                self._size += 1
        first = self._size + 1
        _fail(first, f"Event {first} is missing or cannot be read: {error.orig}.")

    def _leaves(self, page: Sequence[Any]) -> list[bytes]:
        """Check each row of a page by itself; the hashes of the events' bytes."""
        expected, size = self._size, self._head.size
        leaves = []
        for row in page:
            position, stream, version, tag, deal, on, recorded_at, data, leaf = row
            expected += 1
            if position != expected or position > size:
                self._out_of_place(position, expected)
            if type(data) is not bytes:
                _fail(position, f"Event {position} is not stored as bytes.")
            hashed = leaf_hash(data)
            if hashed != leaf:
                _fail(position, f"REC-09: Event {position} does not match its hash.")
            leaves.append(hashed)
            try:
                event = decode(data, position=position)
            except UnknownEvent as error:
                # Newer, or forged? Which of the two, the root will tell.
                self._unknown = self._unknown or error
                self._commands.reach(position)
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
            if recorded_at != self._recorded_at or identity.recorded_at != self._moment:
                self._check_time(position, recorded_at, identity.recorded_at)
            self._commands.take(
                position, provenance.command_id, provenance.command_digest
            )
        return leaves

    def _out_of_place(self, position: int, expected: int) -> NoReturn:
        if position < expected:
            _fail(position, f"An event stands at {position}, before the first.")
        if expected <= self._head.size:
            _fail(expected, f"Event {expected} is missing; the next is {position}.")
        _fail(
            expected,
            f"Event {position} is more than the tree head counts, "
            f"which is {self._head.size}.",
        )

    def _check_time(
        self, position: int, recorded_at: str, moment: datetime | None
    ) -> None:
        if moment is None or moment.tzinfo is None or _stamp(moment) != recorded_at:
            _fail(
                position,
                f"Event {position}: the column recorded_at says {recorded_at!r}, "
                f"its bytes {moment}.",
            )
        if recorded_at < self._recorded_at:
            _fail(
                position,
                f"Event {position} was recorded at {recorded_at}, before the one "
                f"that it follows ({self._recorded_at}).",
            )
        self._recorded_at, self._moment = recorded_at, moment

    def _grow(self, leaves: list[bytes]) -> None:
        """Build the tree over a page, comparing the nodes that are stored with it."""
        whole = len(leaves) - len(leaves) % TILE
        for start in range(0, whole, TILE):
            made = [(0, self._tiles.size, complete_root(leaves[start : start + TILE]))]
            self._tiles.append(made[0][2], made)
            for level, index, node in made:
                if level % TILE_LEVELS == 0:
                    self._nodes.check(level + TILE_LEVELS, index, node)
        for leaf in leaves[whole:]:
            self._rest.append(leaf, [])
        self._size += len(leaves)

    def _check_head(self) -> None:
        head = self._head
        if self._size < head.size:
            missing = self._size + 1
            _fail(
                missing,
                f"Event {missing} is missing: the tree head counts {head.size}, "
                f"and {self._size} are stored.",
            )
        packed = self._tiles.packed + self._rest.packed
        first = 1
        for start in range(0, len(packed), HASH_BYTES):
            # A bit of the size for each peak, the highest first.
            many = 1 << ((self._size - first + 1).bit_length() - 1)
            peak = slice(start, start + HASH_BYTES)
            if packed[peak] != head.frontier[peak]:
                _fail(first, _apart(first, many, "the tree head's frontier"))
            first += many
        root = Frontier(self._size, packed).root
        if root != head.root:
            raise IntegrityFailure(
                f"REC-09: The events hash to {root.hex()}, "
                f"and the tree head says {head.root.hex()}."
            )
        if self._unknown is None and head.recorded_at != self._recorded_at:
            raise IntegrityFailure(
                f"The last event was recorded at {self._recorded_at!r}, "
                f"and the tree head says {head.recorded_at!r}."
            )

    def _check_streams(self) -> None:
        """Each stream's versions run from 1 without a gap, in order of position."""
        by_version: dict[str, Any] = {
            "partition_by": events.c.stream,
            "order_by": events.c.version,
        }
        numbered = sa.select(
            events.c.position,
            events.c.version,
            sa.func.row_number().over(**by_version).label("number"),
            sa.func.lag(events.c.position).over(**by_version).label("before"),
        ).subquery()
        first = self._connection.scalar(
            sa.select(sa.func.min(numbered.c.position)).where(
                sa.or_(
                    numbered.c.number != numbered.c.version,
                    numbered.c.before > numbered.c.position,
                )
            )
        )
        if first is not None:
            _fail(first, f"Event {first} does not follow the last of its stream.")


class _StoredNodes:
    """The tree's nodes as they are stored, level by level, beside those computed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._levels: dict[int, CursorResult[Any]] = {}
        self._count = 0

    def check(self, level: int, index: int, node: bytes) -> None:
        """Compare the next stored node of a level with the one computed."""
        if level not in self._levels:
            query = (
                sa.select(nodes.c.index, nodes.c.hash)
                .where(nodes.c.level == level)
                .order_by(nodes.c.index)
            )
            options = {"yield_per": PAGE}
            self._levels[level] = self._connection.execute(
                query, execution_options=options
            )
        stored = self._levels[level].fetchone()
        if stored is None or tuple(stored) != (index, node):
            first = (index << level) + 1
            _fail(first, _apart(first, 1 << level, "the stored node over them"))
        self._count += 1

    def close(self) -> None:
        """Read no further."""
        for level in self._levels.values():
            level.close()

    def finish(self) -> None:
        """Check that no more nodes are stored than belong there."""
        query = sa.select(sa.func.count()).select_from(nodes)
        stored = self._connection.scalar(query)
        if stored != self._count:
            raise IntegrityFailure(
                f"The tree has {self._count} nodes to keep, and {stored} are stored."
            )


class _Commands:
    """The table of commands, beside the provenance of the events they recorded."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._page: Iterator[Any] = iter(())
        self._first = self._last = 0
        self._command_id = self._digest = ""
        self.count = 0

    def take(self, position: int, command_id: str, digest: str) -> None:
        """Compare the next event's provenance with the command that recorded it."""
        self.reach(position)
        if command_id != self._command_id or digest != self._digest:
            self._disagree(position)

    def reach(self, position: int) -> None:
        """Go on to the command that recorded an event."""
        if position > self._last:
            self._begin(position)

    def finish(self, size: int) -> None:
        """Check that the table ends with the events, and has no id twice."""
        query = sa.select(
            sa.func.count(), sa.func.count(sa.distinct(commands.c.command_id))
        ).select_from(commands)
        stored, different = self._connection.execute(query).one()
        if self._last != size or stored != self.count:
            self._disagree(size)
        if different != stored:
            raise IntegrityFailure("The table of commands has a command id twice.")

    def _begin(self, position: int) -> None:
        row = next(self._page, None) or self._turn()
        if (
            row is None
            or row[0] != position
            or not isinstance(row[1], int)
            or row[1] < position
        ):
            self._disagree(position)
        self._first, self._last, self._command_id, self._digest = row
        self.count += 1

    def _turn(self) -> Any:
        query = (
            sa.select(
                commands.c.first,
                commands.c.last,
                commands.c.command_id,
                commands.c.digest,
            )
            .where(commands.c.first > self._first)
            .order_by(commands.c.first)
            .limit(PAGE)
        )
        self._page = iter(self._connection.execute(query).all())
        return next(self._page, None)

    def _disagree(self, position: int) -> NoReturn:
        _fail(position, f"Event {position} and the table of commands do not agree.")


def _fail(position: int, text: str) -> NoReturn:
    raise IntegrityFailure(text, position=position)


def _apart(first: int, many: int, other: str) -> str:
    if many == 1:
        return f"REC-09: Event {first} and {other} do not agree."
    return f"REC-09: Events {first} to {first + many - 1} and {other} do not agree."


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
    _fail(
        row[0],
        f"Event {row[0]}: the column {name} says {column!r}, its bytes {told!r}.",
    )


def _stamp(moment: datetime) -> str:
    try:
        return stamp_time(moment)
    except OverflowError:
        return ""
