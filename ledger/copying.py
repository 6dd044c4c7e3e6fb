"""Moving house: a record from one ledger to another, a chunk at a time, bytes unchanged.

Each chunk is one transaction, holds whole commands, and has the tree head that the
source had there, or is not written: a copy that was stopped is a shorter record, and
goes on where it stopped. Refused commands are beside the record and stay behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database import shown
from ledger.errors import ImportRejected, IntegrityFailure
from ledger.log import Head, append, locked_head, read_head
from ledger.merkle import leaf_hash
from ledger.proofs import root_at
from ledger.store import Store
from ledger.tables import events
from ledger.tiles import Tiles
from ledger.transcoding import decode, stamp_time
from ledger.transfer import CHUNK, Checks, Progress, checked, chunks


@dataclass(frozen=True)
class Copied:
    """What a copy did: events that stood already, events added, the tree head of both."""

    known: int
    added: int
    head: Head


def copy(source: Store, target: Store, progress: Progress) -> Copied:
    """Copy what the source holds now and the target does not; both heads are compared.

    ImportRejected where the target is no earlier state of the source, or is written to
    meanwhile. IntegrityFailure where the source is damaged: what came before stays.
    """
    name = shown(source.engine.url)
    with source.reading() as origin, target.reading() as place:
        goal, before = read_head(origin), read_head(place)
        _check_prefix(origin, goal, place, before)
        checks = Checks(
            place,
            before,
            _last(place, before),
            stamp_time(source.clock()),
            line=f"{name}: event",
            so="What came before it is copied.",
        )
        rows = checked(_stored(origin, before.size, goal.size), checks)
        nodes, after = Tiles(origin), before
        for chunk, submissions in chunks(rows):
            with target.writing() as connection:
                if locked_head(connection).head != after:
                    raise ImportRejected(
                        f"Somebody wrote to {shown(target.engine.url)} meanwhile: it "
                        f"no longer ends with event {after.size:,} of the copy. "
                        "Nothing more was copied."
                    )
                after = append(connection, after, chunk, submissions)
                root = (
                    goal.root if after.size == goal.size else root_at(after.size, nodes)
                )
                if root != after.root:
                    raise IntegrityFailure(
                        f"{name} is damaged somewhere in events {before.size + 1} to "
                        f"{after.size}; run 'accord verify' there. What came before "
                        "them is copied."
                    )
            progress(after.size, goal.size)
    if after != goal:
        raise IntegrityFailure(
            f"{name} counts {goal.size:,} events and holds {after.size:,}; run "
            "'accord verify' there."
        )
    return Copied(before.size, after.size - before.size, after)


def _check_prefix(
    origin: Connection, goal: Head, place: Connection, stands: Head
) -> None:
    """ImportRejected where the target does not hold what the source began with."""
    if stands.size > goal.size:
        raise ImportRejected(
            f"The target has {stands.size:,} events and the source {goal.size:,}: it "
            "is the source that is behind. Nothing was copied."
        )
    ours, theirs = Tiles(place), Tiles(origin)
    same, other = 0, stands.size
    if root_at(other, ours) == root_at(other, theirs):
        return
    while other - same > 1:
        middle = (same + other) // 2
        if root_at(middle, ours) == root_at(middle, theirs):
            same = middle
        else:
            other = middle
    raise ImportRejected(
        f"The two records part at event {other:,}: the target is no earlier state of "
        "the source. Nothing was copied; choose another place."
    )


def _last(place: Connection, stands: Head) -> str | None:
    """The command that recorded the last event of the target."""
    query = sa.select(events.c.data).where(events.c.position == stands.size)
    data = place.scalar(query)
    return decode(data).provenance.command_id if data else None


def _stored(origin: Connection, after: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The source's events after a position, each held against its hash."""
    query = (
        sa.select(events.c.position, events.c.data, events.c.leaf)
        .where(events.c.position > after, events.c.position <= size)
        .order_by(events.c.position)
    )
    with origin.execute(query, execution_options={"yield_per": CHUNK}) as found:
        for position, data, leaf in found:
            if not isinstance(data, bytes) or leaf_hash(data) != leaf:
                raise IntegrityFailure(
                    f"REC-09: Event {position} of the source does not match its hash; "
                    "run 'accord verify' there. What came before it is copied.",
                    position=position,
                )
            yield position, data
