"""Verifying the record: everything that is stored is recomputed from the events' bytes.

Each event is read once, in order of position, a page at a time: memory does not grow
with the record. What this proves is that the record agrees with its own tree head;
whoever kept that head elsewhere can tell whether it is still the same record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from ledger.audit.leaves import NOTHING, PAGE, Part, check_order, disagree, fail, parts
from ledger.database.dialect import database_of
from ledger.database.tables import commands, events, nodes
from ledger.errors import IntegrityFailure, UnknownEvent
from ledger.record.log import TILE_LEVELS, read_head
from ledger.record.store import Store
from ledger.tlog.merkle import HASH_BYTES, Frontier

Progress = Callable[[int, int | None], None]
"""Told how many events are done, and of how many."""


@dataclass(frozen=True)
class Report:
    """What was verified: how much, the root over it (hex), and when the last was added."""

    events: int
    root: str
    recorded_at: str
    commands: int


def verify(
    store: Store, progress: Progress | None = None, *, processes: int = 1
) -> Report:
    """Recompute the whole record; IntegrityFailure names the first position at fault.

    UnknownEvent where every hash agrees, and yet an event is newer than this software.
    More than one of the `processes` is used for a large record alone; each of them
    imports the program's main module again, which must allow for that.
    """
    with store.reading() as connection:
        try:
            with _Verification(store, connection, progress) as verification:
                return verification.run(processes)
        except DBAPIError as error:
            if not database_of(store.engine).damaged(error):
                raise
            raise IntegrityFailure(
                f"What stands beside the events cannot be read: {error.orig}."
            ) from error


class _Verification:
    """One pass over the record, and what it has come to know."""

    def __init__(
        self, store: Store, connection: Connection, progress: Progress | None
    ) -> None:
        self._store = store
        self._connection = connection
        self._head = read_head(connection)
        self._progress = progress
        self._tiles = Frontier()
        self._rest = Frontier()
        self._size = 0
        self._nodes = _StoredNodes(connection)
        self._commands = 0
        self._last_command = NOTHING
        self._unknown: UnknownEvent | None = None
        self._unreadable = False
        self._recorded_at = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.close()

    def run(self, processes: int) -> Report:
        size = self._head.size
        first = self._position(sa.func.min(events.c.position), below=1)
        if first is not None:
            fail(first, f"An event stands at {first}, before the first.")
        last = self._position(sa.func.max(events.c.position), below=size + 1)
        stored = size if last is None and self._unreadable else last or 0
        for part in parts(self._store, self._connection, stored, processes):
            self._take(part)
            if self._progress:
                self._progress(self._size, size)
        self._check_end()
        self._check_head()
        self._nodes.finish()
        self._check_commands()
        self._check_streams()
        if self._unknown is not None:
            raise self._unknown
        return Report(
            self._size, self._head.root.hex(), self._head.recorded_at, self._commands
        )

    def _position(self, which: sa.Function[int], *, below: int) -> int | None:
        """The first or last position below another; none too where none can be read.

        What cannot be read is then found where it stands.
        """
        query = sa.select(which).where(events.c.position < below)
        try:
            found: int | None = self._connection.scalar(query)
        except DBAPIError as error:
            if not database_of(self._connection.engine).damaged(error):
                raise
            self._unreadable = True
            return None
        return found

    def _check_end(self) -> None:
        """As many events stand there as the tree head counts, and no more."""
        size = self._head.size
        if self._size < size:
            fail(
                self._size + 1,
                f"Event {self._size + 1} is missing: the tree head counts {size}, "
                f"and {self._size} are stored.",
            )
        more = sa.select(sa.func.min(events.c.position)).where(events.c.position > size)
        after = self._connection.scalar(more)
        if after is not None:
            fail(
                size + 1,
                f"Event {after} is more than the tree head counts, which is {size}.",
            )

    def _take(self, part: Part) -> None:
        """Build the tree over a part, comparing the nodes that are stored with it."""
        if part.timed_from:
            check_order(part.timed_from, self._recorded_at, part.begins_at)
        self._check_opening(part)
        for root in part.tiles:
            made = [(0, self._tiles.size, root)]
            self._tiles.append(root, made)
            for level, index, node in made:
                if level % TILE_LEVELS == 0:
                    self._nodes.check(level + TILE_LEVELS, index, node)
        if part.fault is not None:
            raise part.fault
        for leaf in part.rest:
            self._rest.append(leaf, [])
        self._size += part.events
        self._commands += part.commands
        self._last_command = part.closing
        self._unknown = self._unknown or part.unknown
        self._recorded_at = part.ends_at or self._recorded_at

    def _check_opening(self, part: Part) -> None:
        """The first command of a part goes on from the last one of the part before."""
        before, first = self._last_command, part.span.first
        if part.opening is not None and (
            part.opening != before
            if before.last >= first
            else part.opening.first != first
        ):
            disagree(first)

    def _check_commands(self) -> None:
        """The table of commands ends with the events, and has no id twice."""
        query = sa.select(
            sa.func.count(), sa.func.count(sa.distinct(commands.c.command_id))
        ).select_from(commands)
        stored, different = self._connection.execute(query).one()
        if self._last_command.last != self._size or stored != self._commands:
            disagree(self._size)
        if different != stored:
            raise IntegrityFailure("The table of commands has a command id twice.")

    def _check_head(self) -> None:
        head = self._head
        packed = self._tiles.packed + self._rest.packed
        first = 1
        for start in range(0, len(packed), HASH_BYTES):
            # A bit of the size for each peak, the highest first.
            many = 1 << ((self._size - first + 1).bit_length() - 1)
            peak = slice(start, start + HASH_BYTES)
            if packed[peak] != head.frontier[peak]:
                fail(first, _apart(first, many, "the tree head's frontier"))
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
            fail(first, f"Event {first} does not follow the last of its stream.")


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
            fail(first, _apart(first, 1 << level, "the stored node over them"))
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


def _apart(first: int, many: int, other: str) -> str:
    if many == 1:
        return f"REC-09: Event {first} and {other} do not agree."
    return f"REC-09: Events {first} to {first + many - 1} and {other} do not agree."
