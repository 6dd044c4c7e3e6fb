"""Snapshots: the parts of a long-lived aggregate as rows, so that its events rest unread.

A cache beside the record, of this release of accord alone: a row for each part, and one
that says which version of the stream they are of. The append that takes a stream past
a multiple of `EVERY` writes the parts that changed since the snapshot before, in its
own transaction. A decision reads the parts that it looks at, and no others. Verifying
the views folds each stream anew and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, reduce
from operator import or_
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa
from eventsourcing.persistence import StoredEvent
from sqlalchemy.engine import Connection

from ledger.database.dialect import database_of
from ledger.database.tables import snapshot_parts, snapshots
from ledger.domain.aggregate import (
    A,
    Aggregate,
    Head,
    Parted,
    Standing,
    fold,
    fold_on,
)
from ledger.domain.agreement import Agreement
from ledger.domain.catalogue import BY_KIND, PARTS_OF
from ledger.domain.event import Event, Reversed
from ledger.domain.funding import Funding
from ledger.domain.parts import Parts
from ledger.domain.struct import decoder_of
from ledger.domain.transcoding import decode, to_json
from ledger.domain.values import decode_kept
from ledger.errors import IntegrityFailure
from ledger.record.log import IN_CHUNK, locked_head
from ledger.version import __version__

KINDS: Final[tuple[type[Parted], ...]] = (Agreement, Funding)
"""The aggregates whose streams grow for as long as their deal lives."""
EVERY: Final = 50
"""Events of a stream between two snapshots."""


class Reads(Protocol):
    """What a snapshot needs of the store."""

    def reading(self) -> AbstractContextManager[Connection]:
        """One read snapshot."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all that this thread reads within be of one moment."""

    def select_events(
        self, originator_id: str, *, gt: int | None = None, lte: int | None = None
    ) -> Sequence[StoredEvent]:
        """The events of one stream, by version."""


class Taken(NamedTuple):
    """What is to be written of a snapshot: the parts that changed, and those that went.

    They go on top of the snapshot at version `since`; without one, they are all.
    """

    stream: str
    version: int
    since: int | None
    kept: list[tuple[str, str, bytes]]
    gone: list[tuple[str, str]]


def load(store: Reads, kind: type[A], stream: str) -> A:
    """The aggregate of a stream: on its snapshot, if there is one, with what came after.

    Where a later event takes back one that the snapshot holds, the stream is folded
    anew from its first.
    """
    with store.snapshot():
        kept = _find(store, kind, stream)
        if kept is not None:
            since = kept.version
            later = _events(store, stream, gt=since)
            if not any(_reverses(event, since) for event in later):
                return fold_on(kept, later)
        return fold(kind, stream, _events(store, stream))


def due(aggregates: Iterable[Aggregate], seen: Mapping[str, int]) -> list[Taken]:
    """Snapshots of those aggregates that grew past a multiple of `EVERY`.

    `seen` is each one's version before.
    """
    return [
        _taken(one)
        for one in aggregates
        if isinstance(one, KINDS) and one.version // EVERY > seen[one.id] // EVERY
    ]


def write(connection: Connection, taken: Iterable[Taken]) -> None:
    """Write snapshots, under the writer lock, with the events that made them due."""
    database = database_of(connection.engine)
    for one in taken:
        if one.since is None:
            connection.execute(_CLEAR, {"of": one.stream})
            row = (one.stream, one.version, __version__)
            database.upsert(connection, snapshots, [row])
        elif not connection.execute(
            _MOVE, {"of": one.stream, "since": one.since, "now": one.version}
        ).rowcount:
            # It was dropped meanwhile, and what changed is not all.
            continue
        database.remove(connection, snapshot_parts, one.gone)
        database.upsert(connection, snapshot_parts, one.kept)


def forget(connection: Connection) -> None:
    """Drop every snapshot; the next command folds from the first event."""
    # Not beside an append that writes on top of one.
    locked_head(connection)
    connection.execute(sa.delete(snapshots))
    connection.execute(sa.delete(snapshot_parts))


def check_snapshots(store: Reads) -> int:
    """Fold every snapshot's stream anew; how many there are, or IntegrityFailure."""
    checked = 0
    with store.snapshot(), store.reading() as connection:
        for stream, version in connection.execute(_OURS).all():
            found = connection.execute(_BODIES, {"of": stream}).all()
            _compare(store, stream, version, dict(map(tuple, found)))
            checked += 1
    return checked


class Rows:
    """The parts of one snapshot, read when they are looked at.

    Each look sees for itself that the snapshot is still the one that was found: a
    decision may outlast the moment in which it began. Where it is not, the stream's
    events up to that version are folded, which are the same for ever.
    """

    def __init__(self, store: Reads, kind: type[Parted], of: str, at: int) -> None:
        self._store = store
        self._kind = kind
        self._stream = of
        self.version = at
        self._folded: Parts[Any] | None = None

    def many(self, keys: Sequence[str]) -> Iterator[Any]:
        """The parts of some keys."""
        for start in range(0, len(keys), IN_CHUNK):
            some = keys[start : start + IN_CHUNK]
            if len(some) == 1:
                bodies = self._read(_ONE, key=some[0])
            else:
                bodies = self._read(_SOME, keys=some)
            if bodies is None:
                found = map(self._anew().get, some)
                yield from (part for part in found if part is not None)
            else:
                yield from map(_decoder(self._kind.kind).decode, bodies)

    def under(self, kind: str) -> Iterator[Any]:
        """The parts whose keys begin with a kind and a slash."""
        # '0' comes right after the slash.
        bodies = self._read(_UNDER, low=f"{kind}/", high=f"{kind}0")
        if bodies is None:
            return iter(list(self._anew().under(kind).values()))
        return map(_decoder(self._kind.kind).decode, bodies)

    def all(self) -> Iterator[Any]:
        """Every part."""
        bodies = self._read(_ALL)
        if bodies is None:
            return iter(self._anew())
        return map(_decoder(self._kind.kind).decode, bodies)

    def _read(self, query: sa.Select[Any], **given: Any) -> list[bytes] | None:
        """What a query finds; None where the snapshot is no longer the one it was."""
        if self._folded is not None:
            return None
        with self._store.reading() as connection:
            found = connection.execute(query, {"of": self._stream, **given}).all()
        if not found or found[0].version != self.version:
            return None
        return [body for _, body in found if body is not None]

    def _anew(self) -> Parts[Any]:
        if self._folded is None:
            events = _events(self._store, self._stream, lte=self.version)
            self._folded = fold(self._kind, self._stream, events).parts
        return self._folded


class Kept(Parts[Any]):
    """Parts on top of a snapshot; what is `touched` changed since it was taken."""

    __slots__ = ("since",)

    def __init__(self, rows: Rows, known: Iterable[Any]) -> None:
        super().__init__(rows)
        self.since = rows.version
        for part in known:
            self._take(part)
        # All claims are among those known: every entry asks for them.
        self._whole.add("claim")


def _find(store: Reads, kind: type[A], stream: str) -> A | None:
    """The aggregate as its snapshot has it, if this release took one."""
    if not issubclass(kind, KINDS):
        return None
    with store.reading() as connection:
        asked = {"of": stream, "key": f"head/{stream}"}
        found = connection.execute(_FIRST, asked).all()
    if not found:
        return None
    version = found[0].version
    known = [_decoder(kind.kind).decode(body) for _, body in found if body is not None]
    aggregate = kind(stream, Kept(Rows(store, kind, stream, version), known))
    aggregate.version = version
    return aggregate


def _events(
    store: Reads, stream: str, *, gt: int | None = None, lte: int | None = None
) -> list[Event[Any]]:
    found = store.select_events(stream, gt=gt, lte=lte)
    return [decode(item.state) for item in found]


def _reverses(event: Event[Any], version: int) -> bool:
    """Whether an event takes back one that a snapshot at a version holds."""
    return isinstance(event.data, Reversed) and event.data.version <= version


def _taken(one: Parted) -> Taken:
    kept: list[tuple[str, str, bytes]] = []
    gone: list[tuple[str, str]] = []
    if not isinstance(one.parts, Kept):
        kept = [(one.id, part.key, to_json(part)) for part in one.parts]
        return Taken(one.id, one.version, None, kept, gone)
    for key in sorted(one.parts.touched):
        part = one.parts.get(key)
        if part is None:
            gone.append((one.id, key))
        else:
            kept.append((one.id, key, to_json(part)))
    return Taken(one.id, one.version, one.parts.since, kept, gone)


def _compare(store: Reads, stream: str, version: int, found: dict[str, bytes]) -> None:
    """Hold a snapshot against its stream's events; IntegrityFailure names the part."""
    what = f"The snapshot of {stream} at version {version}"
    kind = BY_KIND.get(stream.partition("/")[0])
    right: dict[str, bytes] = {}
    at = -1
    if kind is not None and issubclass(kind, KINDS):
        fresh = fold(kind, stream, _events(store, stream, lte=version))
        right = {part.key: to_json(part) for part in fresh.parts}
        at = fresh.version
    if at == version:
        differ = (k for k in right.keys() | found if right.get(k) != found.get(k))
        key = min(differ, default=None)
        if key is None:
            return
        what = f"{what}, part {key},"
    raise IntegrityFailure(
        f"{what} is not what its events give; no event is damaged."
    ).hinting("drop-snapshots")


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    """What reads the parts of a kind; made where one is read."""
    parts: Any = reduce(or_, (*PARTS_OF[BY_KIND[kind]], Head, Standing))
    return decoder_of(parts, decode_kept)


# Built once: building a statement takes longer than carrying it out. Each that reads
# says the version, too, which tells whether what it found is of the snapshot it meant.
_OF: Final = sa.bindparam("of", type_=sa.Text)
_HEADS: Final = (snapshots.c.stream == _OF, snapshots.c.software == __version__)


def _reading(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What reads a snapshot's version, and beside it the parts that are meant."""
    on = sa.and_(snapshot_parts.c.stream == snapshots.c.stream, *where)
    beside = snapshots.outerjoin(snapshot_parts, on)
    found = sa.select(snapshots.c.version, snapshot_parts.c.body)
    return found.select_from(beside).where(*_HEADS)


_KEY: Final = snapshot_parts.c.key
_IS: Final = sa.bindparam("key", type_=sa.Text)
_CLAIMS: Final = sa.and_(_KEY >= "claim/", _KEY < "claim0")
_FIRST: Final = _reading(sa.or_(_IS == _KEY, _CLAIMS))
_ONE: Final = _reading(_IS == _KEY)
_SOME: Final = _reading(_KEY.in_(sa.bindparam("keys", type_=sa.Text, expanding=True)))
_UNDER: Final = _reading(
    sa.bindparam("low", type_=sa.Text) <= _KEY,
    sa.bindparam("high", type_=sa.Text) > _KEY,
)
_ALL: Final = _reading()
_OURS: Final = (
    sa.select(snapshots.c.stream, snapshots.c.version)
    .where(snapshots.c.software == __version__)
    .order_by(snapshots.c.stream)
)
_BODIES: Final = sa.select(_KEY, snapshot_parts.c.body).where(
    snapshot_parts.c.stream == _OF
)
_CLEAR: Final = sa.delete(snapshot_parts).where(snapshot_parts.c.stream == _OF)
_MOVE: Final = (
    sa.update(snapshots)
    .where(*_HEADS, snapshots.c.version == sa.bindparam("since"))
    .values(version=sa.bindparam("now"))
)
