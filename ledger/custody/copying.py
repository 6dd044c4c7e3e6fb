"""Moving house: a record from one ledger to another, a chunk at a time, bytes unchanged.

Each chunk is one transaction, holds whole commands, and has the tree head that the
source had there, or is not written: a copy that was stopped is a shorter record, and
goes on where it stopped. Refused commands are beside the record and stay behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from eventsourcing.persistence import IntegrityError

from ledger.clock import stamp_time
from ledger.custody.transfer import CHUNK, Checks, Progress, chunks
from ledger.database.dialect import shown
from ledger.database.tables import events
from ledger.domain.event import Event
from ledger.domain.transcoding import decode
from ledger.errors import ImportRejected, IntegrityFailure
from ledger.record.log import Head, Row, Submission, append, locked_head
from ledger.record.store import Store
from ledger.record.tiles import Tiles
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.proofs import root_at

_earlier = events.alias()
_BEFORE: Final = (
    # The version before an event's own, where it stands before it: a look at one entry
    # of an index, which is the same work however long the stream is.
    sa.select(_earlier.c.version)
    .where(
        _earlier.c.stream == events.c.stream,
        _earlier.c.version == events.c.version - 1,
        _earlier.c.position < events.c.position,
    )
    .scalar_subquery()
)
_PAGE: Final = (
    sa.select(events.c.position, events.c.stream, _BEFORE, events.c.data, events.c.leaf)
    .where(events.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(events.c.position)
)


@dataclass(frozen=True)
class Copied:
    """What a copy did: events that stood already, events added, the tree head of both.

    `left` are events that the source has had since, and the copy has not.
    """

    known: int
    added: int
    head: Head
    left: int


def copy(source: Store, target: Store, progress: Progress) -> Copied:
    """Copy what the source holds now and the target does not; both heads are compared.

    ImportRejected where the target is no earlier state of the source, or is written to
    meanwhile. IntegrityFailure where the source is damaged: chunks before that stay.
    """
    goal, before = source.head(), target.head()
    _check_prefix(source, goal, target, before)
    progress(before.size, goal.size)
    after = before
    for rows, submissions in chunks(_checked(source, goal, target, before)):
        size = after.size + len(rows)
        root = goal.root if size == goal.size else _root(source, size)
        after = _append(source, target, after, rows, submissions, root)
        progress(after.size, goal.size)
    if _root(target, goal.size) != goal.root:
        _damaged(target, "has another tree than was written there", None)
    left = source.head().size - goal.size
    return Copied(before.size, after.size - before.size, after, left)


def _append(
    source: Store,
    target: Store,
    before: Head,
    rows: list[Row],
    submissions: list[Submission],
    root: bytes,
) -> Head:
    """Append one chunk where the copy ends, if that leads to the source's root."""
    first, last = before.size + 1, before.size + len(rows)
    with target.writing() as connection:
        if locked_head(connection).head != before:
            raise ImportRejected(
                f"Somebody wrote to {shown(target.engine.url)} meanwhile: it no longer "
                f"ends with event {before.size:,} of the copy. Nothing more was copied."
            )
        try:
            after = append(connection, before, rows, submissions)
        except IntegrityError as error:
            what = f"holds a command of events {first} to {last} twice ({error})"
            _damaged(source, what, first, error)
        if after.root != root:
            what = f"has another tree than its events {first} to {last} make"
            _damaged(source, what, first)
    return after


def _damaged(
    store: Store, what: str, position: int | None, cause: Exception | None = None
) -> NoReturn:
    raise IntegrityFailure(
        f"{shown(store.engine.url)} {what}.", position=position
    ).hinting("verify-there") from cause


def _root(store: Store, size: int) -> bytes:
    """The root over a ledger's first events, from its stored tree."""
    with store.reading() as connection:
        return root_at(size, Tiles(connection))


def _check_prefix(source: Store, goal: Head, target: Store, stands: Head) -> None:
    """ImportRejected where the target does not hold what the source began with."""
    if stands.size > goal.size:
        raise ImportRejected(
            f"{shown(target.engine.url)} has {stands.size:,} events and "
            f"{shown(source.engine.url)} {goal.size:,}: it is the source that is "
            "behind. Nothing was copied."
        )
    if _root(source, stands.size) == stands.root:
        return
    same, other = 0, stands.size
    while other - same > 1:
        middle = (same + other) // 2
        if _root(source, middle) == _root(target, middle):
            same = middle
        else:
            other = middle
    if _data(source, other) == _data(target, other):
        raise IntegrityFailure(
            f"{shown(source.engine.url)} and {shown(target.engine.url)} have the same "
            f"event {other}, and not the same tree. Nothing was copied.",
            position=other,
        ).hinting("verify-both")
    raise ImportRejected(
        f"The two records part at event {other}: {shown(target.engine.url)} is no "
        f"earlier state of {shown(source.engine.url)}. Nothing was copied; choose "
        "another place."
    )


def _data(store: Store, position: int) -> Any:
    """The bytes of an event; None where there is none."""
    query = sa.select(events.c.data).where(events.c.position == position)
    with store.reading() as connection:
        return connection.scalar(query)


def _checked(
    source: Store, goal: Head, target: Store, before: Head
) -> Iterator[tuple[Event[Any], Row]]:
    """The source's events that the target has not, each as it must be to follow."""

    def reject(position: int, what: str) -> NoReturn:
        _damaged(source, f"is damaged at event {position}, which {what}", position)

    versions = Counter[str]()
    data = _data(target, before.size)
    command = decode(data).provenance.command_id if data else None
    # What the source has recorded is in its past, whatever this host's clock says.
    now = max(stamp_time(source.clock()), goal.recorded_at)
    checks = Checks(before, command, versions, now, reject)
    expected = before.size + 1
    for first in range(expected, goal.size + 1, CHUNK):
        last = min(first + CHUNK - 1, goal.size)
        # Each page is a transaction of its own: what is recorded stays as it is, and
        # nobody waits for a copy that takes hours.
        with source.reading() as connection:
            page = connection.execute(_PAGE, {"first": first, "last": last}).all()
        versions.clear()
        for _, stream, version, _, _ in page:
            versions.setdefault(stream, version or 0)
        for position, _, _, data, leaf in page:
            if position != expected:
                break
            if not isinstance(data, bytes) or leaf_hash(data) != leaf:
                reject(position, "does not match its hash (REC-09)")
            event = decode(data, position=position)
            yield event, checks.take(position, data, event)
            expected += 1
        if expected <= last:
            _damaged(source, f"has no event {expected}", expected)
