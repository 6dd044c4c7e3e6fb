"""The record inside one open transaction: its head, the append, the versions, tracking.

Plain SQL that every database understands, but for the lock and the writing itself;
who opens the transaction is the store's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from eventsourcing.persistence import IntegrityError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from ledger.database.dialect import database_of
from ledger.database.tables import commands, events, head, nodes, tracking
from ledger.errors import IntegrityFailure
from ledger.tlog.merkle import HASH_BYTES, Frontier, leaf_hash

TILE_LEVELS: Final = 8
"""Inner nodes are kept at every eighth level: one over 256 events, one over 65,536."""
IN_CHUNK: Final = 500
"""Values in one SQL list."""

# Built once: building a statement takes longer than carrying it out.
_HEAD: Final = sa.select(head)
_VERSIONS: Final = (
    sa.select(events.c.stream, sa.func.max(events.c.version))
    .where(events.c.stream.in_(sa.bindparam("streams", expanding=True)))
    .group_by(events.c.stream)
)


IS_FIRST: Final = events.c.version == sa.literal_column("1")
"""In words, not as a parameter: so that the index of first events is found."""


class Submission(NamedTuple):
    """A command whose events are being appended, in order: its id, digest, number of events."""

    command_id: str
    digest: str
    events: int


class RecordedCommand(NamedTuple):
    """A command that was recorded: its content's digest, first and last position."""

    digest: str
    first: int
    last: int


@dataclass(frozen=True)
class Head:
    """The tree head: how many events there are, and the root over all of them."""

    size: int
    root: bytes
    frontier: bytes
    recorded_at: str


class Row(NamedTuple):
    """A row of the events table, but for its leaf."""

    stream: str
    version: int
    type: str
    deal: str | None
    effective_on: str | None
    recorded_at: str
    data: bytes


class Locked(NamedTuple):
    """The tree head under the writer lock, and the database's own time and user."""

    head: Head
    now: datetime | None
    user: str | None


def locked_head(connection: Connection) -> Locked:
    """Take the writer lock; the tree head as it stands, until the transaction ends."""
    found = database_of(connection.engine).lock(connection)
    return Locked(_head(found.rows), found.now, found.user)


def read_head(connection: Connection) -> Head:
    """The tree head, in a snapshot; IntegrityFailure where it can be none."""
    return _head(connection.execute(_HEAD).all())


def _head(rows: Sequence[Any]) -> Head:
    if len(rows) == 1:
        _, size, root, frontier, recorded_at = rows[0]
        if (
            isinstance(size, int)
            and isinstance(root, bytes)
            and isinstance(frontier, bytes)
            and isinstance(recorded_at, str)
            and size >= 0
            and len(frontier) == HASH_BYTES * size.bit_count()
        ):
            return Head(size, root, frontier, recorded_at)
    raise IntegrityFailure("The tree head is damaged or missing.")


def append(
    connection: Connection,
    before: Head,
    rows: Sequence[Row],
    submissions: Sequence[Submission],
) -> Head:
    """Append rows after the head, hash them, move the head; IntegrityError on a clash."""
    tree = Frontier(before.size, before.frontier)
    made: list[tuple[int, int, bytes]] = []
    values = []
    for position, row in enumerate(rows, start=before.size + 1):
        leaf = leaf_hash(row.data)
        tree.append(leaf, made)
        values.append((position, *row, leaf))
    kept = [node for node in made if node[0] % TILE_LEVELS == 0]
    known, first = [], before.size + 1
    for command_id, digest, many in submissions:
        # What recorded nothing is not remembered: nothing could answer its repeat.
        if many:
            known.append((first, first + many - 1, command_id, digest))
        first += many
    after = Head(
        tree.size,
        tree.root,
        tree.packed,
        rows[-1].recorded_at if rows else before.recorded_at,
    )
    added: list[tuple[sa.Table, Sequence[tuple[Any, ...]]]] = [
        (events, values),
        (nodes, kept),
        (commands, known),
    ]
    moved = (after.size, after.root, after.frontier, after.recorded_at)
    try:
        database_of(connection.engine).write(connection, added, moved)
    except SqlIntegrityError as error:
        raise IntegrityError(str(error.orig)) from error
    return after


def move_tracking(connection: Connection, name: str, position: int) -> None:
    """Move a follower forward in one conditional write; IntegrityError otherwise."""
    moved = connection.execute(
        sa.update(tracking)
        .where(
            tracking.c.application_name == name,
            tracking.c.notification_id < position,
        )
        .values(notification_id=position)
    )
    if moved.rowcount:
        return
    try:
        connection.execute(
            sa.insert(tracking).values(application_name=name, notification_id=position)
        )
    except SqlIntegrityError as error:
        raise IntegrityError(
            f"{name} has already taken in position {position}"
        ) from error


def check_versions(connection: Connection, expects: Mapping[str, int]) -> None:
    """IntegrityError where a stream is not at the version that a decision saw."""
    streams = list(expects)
    found: dict[str, int] = {}
    for start in range(0, len(streams), IN_CHUNK):
        some = {"streams": streams[start : start + IN_CHUNK]}
        rows = connection.execute(_VERSIONS, some)
        found.update((stream, version) for stream, version in rows)
    for stream, seen in expects.items():
        now = found.get(stream, 0)
        if now != seen:
            raise IntegrityError(f"{stream} was at version {seen} and is now at {now}")


def check_extents(connection: Connection, extents: Mapping[str, int]) -> None:
    """IntegrityError where a deal has entries after the last that a decision read."""
    for deal, seen in extents.items():
        query = sa.select(sa.func.max(events.c.position)).where(events.c.deal == deal)
        now = connection.scalar(query) or 0
        if now != seen:
            raise IntegrityError(f"{deal} had entries to {seen} and has to {now} now")


def begun(kind: str, deal: str) -> tuple[sa.ColumnElement[bool], ...]:
    """What is true of the first event of each stream of a kind that a deal began."""
    return (
        events.c.deal == deal,
        IS_FIRST,
        of_kind(kind),
    )


def of_kind(kind: str) -> sa.ColumnElement[bool]:
    """Whether a stream is of a kind: it begins with that and a slash; "0" follows "/"."""
    return sa.and_(events.c.stream >= f"{kind}/", events.c.stream < f"{kind}0")


def check_counts(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """IntegrityError where a deal has begun more streams of a kind than were read."""
    for (kind, deal), seen in counts.items():
        query = sa.select(sa.func.count()).select_from(events)
        now = connection.scalar(query.where(*begun(kind, deal)))
        if now != seen:
            raise IntegrityError(f"{deal} had {seen} of {kind} and has {now} now")
