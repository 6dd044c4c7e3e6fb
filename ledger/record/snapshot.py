"""Snapshots: a long-lived aggregate as it stood, so that its first events rest unread.

A cache beside the record: one a stream, of this release of accord alone, written with
the events that made it due. Verifying the views folds each anew and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import AggregateRecorder, Mapper, StoredEvent

from ledger.database.tables import snapshots
from ledger.domain import agreement, funding, triggers, values
from ledger.domain.event import A, Aggregate, Event, Reversed, fold, fold_on
from ledger.domain.transcoding import VALUES, decode, from_builtins, to_builtins
from ledger.errors import IntegrityFailure
from ledger.record.store import Store
from ledger.version import __version__

KINDS: Final[Mapping[str, type[Aggregate]]] = {
    kind.kind: kind for kind in (agreement.Agreement, funding.Funding)
}
"""The aggregates whose streams grow for as long as their deal lives."""
EVERY: Final = 50
"""Events of a stream between two snapshots."""
_CLASSES: Final[dict[str, type[Any]]] = {
    name: one
    for module in (agreement, funding, triggers, values)
    for name, one in vars(module).items()
    if isinstance(one, type)
}
S = TypeVar("S", bound=Aggregate)


class Snapshot(NamedTuple):
    """An aggregate as it stood at a version of its stream."""

    originator_id: str
    originator_version: int
    state: bytes


def due(
    aggregates: Iterable[Aggregate], seen: Mapping[str, int]
) -> list[tuple[str, int, str, bytes]]:
    """Rows of snapshots of those aggregates that grew past a multiple of `EVERY`.

    `seen` is each one's version before.
    """
    return [
        (one.id, one.version, __version__, pack(one))
        for one in aggregates
        if one.kind in KINDS and one.version // EVERY > seen[one.id] // EVERY
    ]


def fold_from(
    kind: type[A],
    stream: str,
    found: Iterable[Snapshot | Event[Any]],
    whole: Callable[[str], Iterable[Event[Any]]],
) -> A:
    """The aggregate from its snapshot, if there is one first, and the events after it.

    Where a later event takes back one that the snapshot holds, it is folded anew from
    the `whole` stream.
    """
    snapshot, events = None, []
    for item in found:
        if isinstance(item, Snapshot):
            snapshot = item
        else:
            events.append(item)
    if snapshot is None:
        return fold(kind, stream, events)
    if any(
        isinstance(event.data, Reversed)
        and event.data.version <= snapshot.originator_version
        for event in events
    ):
        return fold(kind, stream, whole(stream))
    aggregate = unpack(kind, stream, snapshot.state)
    return fold_on(aggregate, events)


class SnapshotMapper(Mapper[str]):
    """Hands snapshots on as they are stored."""

    def __init__(self) -> None:
        """Need no transcoder of the library's, no compressor and no cipher."""
        self.compressor = None
        self.cipher = None

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Nothing: snapshots are written with the events that make them due."""
        raise NotImplementedError

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """A snapshot."""
        stream = str(stored_event.originator_id)
        return Snapshot(stream, stored_event.originator_version, stored_event.state)


class SnapshotRecorder(AggregateRecorder):
    """Where the library's repository finds snapshots."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Nothing: snapshots are written with the events that make them due."""
        raise NotImplementedError

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,  # noqa: ARG002 - the library's signature
        lte: int | None = None,  # noqa: ARG002 - the same
        desc: bool = False,  # noqa: ARG002 - the same
        limit: int | None = None,  # noqa: ARG002 - the same
    ) -> Sequence[StoredEvent]:
        """The snapshot of a stream, if this release took one."""
        if str(originator_id).partition("/")[0] not in KINDS:
            return []
        with self._store.reading() as connection:
            rows = connection.execute(
                _ONE, {"stream": str(originator_id), "software": __version__}
            ).all()
        return [
            StoredEvent(stream, at, "snapshot", state) for stream, at, state in rows
        ]


_ROWS: Final = sa.select(snapshots.c.stream, snapshots.c.version, snapshots.c.state)
_OURS: Final = _ROWS.where(snapshots.c.software == sa.bindparam("software"))
_ONE: Final = _OURS.where(snapshots.c.stream == sa.bindparam("stream"))


def check_snapshots(store: Store) -> int:
    """Fold every snapshot's stream anew; how many there are, or IntegrityFailure."""
    checked = 0
    with store.snapshot(), store.reading() as connection:
        found = connection.execute(_OURS, {"software": __version__}).all()
        for stream, version, state in found:
            if not _is_right(store, stream, version, state):
                raise IntegrityFailure(
                    f"The snapshot of {stream} at version {version} is not what its "
                    "events give; no event is damaged."
                ).hinting("drop-snapshots")
            checked += 1
    return checked


def _is_right(store: Store, stream: str, version: int, state: bytes) -> bool:
    kind = KINDS.get(stream.partition("/")[0])
    if kind is None:
        return False
    history = store.select_events(stream, lte=version)
    fresh = fold(kind, stream, [decode(event.state) for event in history])
    return fresh.version == version and pack(fresh) == state


# How a state becomes bytes: exactly, with the type of all that JSON does not know.
def pack(aggregate: Aggregate) -> bytes:
    """An aggregate's state."""
    common = {name: getattr(aggregate, name) for name in Aggregate.__slots__}
    return msgspec.json.encode(_packed({**common, **vars(aggregate)}))


def unpack(kind: type[S], stream: str, state: bytes) -> S:
    """The aggregate of a state."""
    aggregate = kind(stream)
    for name, value in _unpacked(msgspec.json.decode(state)).items():
        setattr(aggregate, name, value)
    return aggregate


def _packed(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case str():
            # An id is as good as its text, and some come as that from the record.
            return str(value)
        case date():
            return {"date": value.isoformat()}
        case list():
            return [_packed(one) for one in value]
        case tuple():
            return {"tuple": [_packed(one) for one in value]}
        case set():
            return {"set": [_packed(one) for one in sorted(value)]}
        case dict():
            return {"dict": [[_packed(k), _packed(v)] for k, v in value.items()]}
        case msgspec.Struct():
            return {"struct": type(value).__name__, "is": to_builtins(value)}
        case _ if isinstance(value, VALUES):
            return {"value": type(value).__name__, "is": str(value)}
    name = type(value).__name__
    assert _CLASSES.get(name) is type(value), f"{name} has no place in a snapshot"
    return {"object": name, "is": _packed(vars(value))}


def _unpacked(plain: Any) -> Any:
    match plain:
        case list():
            return [_unpacked(one) for one in plain]
        case {"date": day}:
            return date.fromisoformat(day)
        case {"tuple": items}:
            return tuple(map(_unpacked, items))
        case {"set": items}:
            return set(map(_unpacked, items))
        case {"dict": items}:
            return {_unpacked(key): _unpacked(value) for key, value in items}
        case {"struct": name, "is": fields}:
            return from_builtins(fields, _CLASSES[name])
        case {"value": name, "is": text}:
            return _CLASSES[name].parse(text)
        case {"object": name, "is": state}:
            made = object.__new__(_CLASSES[name])
            vars(made).update(_unpacked(state))
            return made
    return plain


def forget(connection: sa.Connection) -> None:
    """Drop every snapshot; the next command folds from the first event."""
    connection.execute(sa.delete(snapshots))
