"""The event store on SQLAlchemy Core; `open_store` and `create_store` are the doors.

One writer lock, held for the append alone: under it the store checks every version
that the decision read, stamps position and recorded time into the bytes, hashes them
as a Merkle leaf, and moves the tree head, all in one transaction.
"""

from __future__ import annotations

import getpass
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from sqlalchemy.engine import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError

from ledger.clock import stamp_time
from ledger.database.dialect import database_of, parsed, shown
from ledger.database.schema import check_schema, create_schema, schema_of
from ledger.database.tables import (
    SCHEMA,
    commands,
    events,
    head,
    metadata,
    nodes,
    tracking,
)
from ledger.domain.transcoding import envelope
from ledger.errors import LedgerUnavailable, OutcomeUnknown, TryAgain
from ledger.record.log import (
    IN_CHUNK,
    IS_FIRST,
    TILE_LEVELS,
    Head,
    RecordedCommand,
    Row,
    Submission,
    append,
    begun,
    check_counts,
    check_extents,
    check_versions,
    locked_head,
    move_tracking,
    of_kind,
    read_head,
)
from ledger.record.mapper import EventToStore
from ledger.record.snapshot import Taken
from ledger.record.snapshot import write as write_snapshots
from ledger.record.subscription import LiveSubscription

__all__ = [
    "IN_CHUNK",
    "SCHEMA",
    "TILE_LEVELS",
    "Head",
    "RecordedCommand",
    "Row",
    "Store",
    "Submission",
    "append",
    "commands",
    "create_store",
    "events",
    "head",
    "locked_head",
    "metadata",
    "move_tracking",
    "nodes",
    "open_store",
    "read_head",
    "tracking",
]


PAGE: Final = 1000
"""Events fetched at once, where a whole history is read."""
LONGEST_USER: Final = 100
"""Characters of the user's name that an event keeps."""
MOST_VERSIONS: Final = (1 << 31) - 1
# Built once: building a statement takes longer than carrying it out.
_STREAM: Final = (
    sa.select(events.c.stream, events.c.version, events.c.type, events.c.data)
    .where(
        events.c.stream == sa.bindparam("stream"),
        events.c.version > sa.bindparam("gt"),
        events.c.version <= sa.bindparam("lte"),
    )
    .order_by(events.c.version)
)
_HISTORIES: Final = (
    sa.select(events.c.stream, events.c.position, events.c.data)
    .where(events.c.stream.in_(sa.bindparam("streams", expanding=True)))
    .order_by(events.c.stream, events.c.version)
)
_NOTIFICATIONS: Final = sa.select(
    events.c.stream,
    events.c.version,
    events.c.type,
    events.c.data,
    events.c.position,
).order_by(events.c.position)


class Store(ApplicationRecorder, TrackingRecorder):
    """The recorder. Appends under one lock; reads from snapshots."""

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.engine = engine
        self._clock = clock
        self.clock = clock or (lambda: datetime.now(UTC))
        self.submitted_by = _submitter()
        self._held = threading.local()
        _OPEN.add(self)

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read snapshot: everything read in it is of the same moment."""
        with _translated(self.engine):
            held: Connection | None = getattr(self._held, "connection", None)
            if held is not None:
                yield held
                return
            with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that this thread reads within be of one moment, each call's too."""
        before = getattr(self._held, "connection", None)
        with self.reading() as connection:
            self._held.connection = connection
            try:
                yield
            finally:
                self._held.connection = before

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; all or nothing. OutcomeUnknown where it is not known."""
        with (
            _translated(self.engine),
            self.engine.connect().execution_options(accord_writes=True) as connection,
        ):
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                with suppress(DBAPIError):
                    # Where the server is gone, so is the transaction.
                    transaction.rollback()
                raise
            self._commit(connection, transaction)

    def _commit(self, connection: Connection, transaction: RootTransaction) -> None:
        database, error = database_of(self.engine), None
        try:
            transaction.commit()
        except DBAPIError as failure:
            if not database.unknown(failure, connection):
                raise
            error = failure
        if error is not None or database.unknown(None, connection):
            raise OutcomeUnknown(shown(self.engine.url)) from error

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        expects: Mapping[str, int] | None = None,
        counts: Mapping[tuple[str, str], int] | None = None,
        extents: Mapping[str, int] | None = None,
        commands: Sequence[Submission] = (),
        batch: str | None = None,
        taken: Sequence[Taken] = (),
        **unknown: Any,
    ) -> Sequence[int]:
        """Append events in one transaction; their positions.

        `expects` maps each stream that the decision read to the version it saw,
        `counts` each kind and deal that it read all of to how many it found, `extents`
        each deal whose whole history it read to its last position;
        `commands` are the submissions whose events these are, in order; `batch` is the
        batch's id, and `taken` are snapshots to keep. IntegrityError where any stream has
        moved on, or a command is known.
        """
        # The library hands over `tracking=None`; what says something must be heard.
        given = [name for name, value in unknown.items() if value is not None]
        if given:
            raise TypeError(f"insert_events() knows no {', '.join(given)}")
        if not stored_events and not commands:
            return []
        with self.writing() as connection:
            before, now, user = locked_head(connection)
            check_versions(connection, expects or {})
            check_counts(connection, counts or {})
            check_extents(connection, extents or {})
            stamp = max(stamp_time(self._now(now)), before.recorded_at)
            by = user or self.submitted_by
            rows = [
                _row(event, before.size + count, stamp, by, batch)
                for count, event in enumerate(stored_events, start=1)
            ]
            append(connection, before, rows, commands)
            write_snapshots(connection, taken)
        return list(range(before.size + 1, before.size + len(rows) + 1))

    def _now(self, of_database: datetime | None) -> datetime:
        """The clock that stamps: the one given, else the database's, else the host's."""
        if self._clock is not None or of_database is None:
            return self.clock()
        return of_database

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of one stream, by version."""
        query = _STREAM
        if desc:
            query = query.order_by(None).order_by(events.c.version.desc())
        if limit is not None:
            query = query.limit(limit)
        asked = {
            "stream": str(originator_id),
            "gt": -1 if gt is None else gt,
            "lte": MOST_VERSIONS if lte is None else lte,
        }
        with self.reading() as connection:
            found = connection.execute(query, asked).all()
        return [StoredEvent(*row) for row in found]

    def histories(
        self, streams: Sequence[str]
    ) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
        """Each of some streams with its events' positions and bytes; none where new."""
        for start in range(0, len(streams), IN_CHUNK):
            some = streams[start : start + IN_CHUNK]
            found: dict[str, list[tuple[int, bytes]]] = {one: [] for one in some}
            with self.reading() as connection:
                for stream, position, data in connection.execute(
                    _HISTORIES, {"streams": some}
                ):
                    found[stream].append((position, data))
            yield from found.items()

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events of the whole record, by position."""
        query = _NOTIFICATIONS
        if start is not None:
            after = events.c.position >= start
            query = query.where(
                after if inclusive_of_start else events.c.position > start
            )
        if stop is not None:
            query = query.where(events.c.position <= stop)
        if topics:
            query = query.where(events.c.type.in_(topics))
        with self.reading() as connection:
            found = connection.execute(query.limit(limit)).all()
        return [Notification(*row) for row in found]

    def max_notification_id(self) -> int | None:
        """The last position; None while nothing is recorded."""
        return self.head().size or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Events after a position, then those recorded later, until it is stopped."""
        waker = database_of(self.engine).waker(self.engine)
        return LiveSubscription(self, waker, gt, topics)

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move a follower's position forward; IntegrityError where it would not."""
        with self.writing() as connection:
            move_tracking(
                connection, tracking.application_name, tracking.notification_id
            )

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last position that a follower has taken in."""
        with self.reading() as connection:
            return connection.scalar(
                sa.select(tracking.c.notification_id).where(
                    tracking.c.application_name == application_name
                )
            )

    def head(self) -> Head:
        """The tree head as it stands."""
        with self.reading() as connection:
            return read_head(connection)

    def replayed(self) -> str | None:
        """When a standby last took something in; None where this is no standby."""
        with self.reading() as connection:
            return database_of(self.engine).replayed(connection)

    def commands(self, ids: Sequence[str]) -> dict[str, RecordedCommand]:
        """What is known of command ids; those not recorded are left out."""
        found = {}
        with self.reading() as connection:
            for start in range(0, len(ids), IN_CHUNK):
                query = sa.select(commands).where(
                    commands.c.command_id.in_(ids[start : start + IN_CHUNK])
                )
                for row in connection.execute(query):
                    found[row.command_id] = RecordedCommand(
                        row.digest, row.first, row.last
                    )
        return found

    def streams(self, kind: str, deal: str) -> Sequence[str]:
        """The streams of a kind that a deal began, in order."""
        query = sa.select(events.c.stream).where(*begun(kind, deal))
        with self.reading() as connection:
            return sorted(connection.scalars(query))

    def kin(self, deal: str) -> Mapping[str, int]:
        """A deal and those that share a stream with it, each with its last position.

        Only systems and the places where they stand may belong to several deals.
        """
        shared = sa.select(events.c.stream).where(
            events.c.deal == deal,
            sa.or_(of_kind("slot"), of_kind("system")),
        )
        kin = sa.select(events.c.deal).where(events.c.stream.in_(shared))
        query = (
            sa.select(events.c.deal, sa.func.max(events.c.position).label("last"))
            .where(sa.or_(events.c.deal == deal, events.c.deal.in_(kin)))
            .group_by(events.c.deal)
        )
        with self.reading() as connection:
            return {row.deal: row.last for row in connection.execute(query)}

    def entries(
        self, deals: Iterable[str] | None = None, upto: int | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Position and bytes of every event of some deals, or of all, in order."""
        query = sa.select(events.c.position, events.c.data).order_by(events.c.position)
        if deals is not None:
            query = query.where(events.c.deal.in_(list(deals)))
        if upto is not None:
            query = query.where(events.c.position <= upto)
        with self.reading() as connection:
            paged = {"yield_per": PAGE}
            with connection.execute(query, execution_options=paged) as found:
                yield from ((row.position, row.data) for row in found)

    def openings(self, kind: str) -> Sequence[str]:
        """Every stream of a kind, in order, by its first event."""
        query = sa.select(events.c.stream).where(of_kind(kind), IS_FIRST)
        with self.reading() as connection:
            return sorted(connection.scalars(query))


def _row(
    event: StoredEvent, position: int, now: str, submitted_by: str, batch: str | None
) -> Row:
    stream = str(event.originator_id)
    version = event.originator_version
    if not isinstance(event, EventToStore):
        return Row(stream, version, event.topic, None, None, now, event.state)
    data = envelope(
        event.state,
        position=position,
        stream=stream,
        version=version,
        recorded_at=now,
        submitted_by=submitted_by,
        batch=batch,
    )
    return Row(stream, version, event.topic, event.deal, event.effective_on, now, data)


def _before_fork() -> None:
    # Two processes on one database connection, or on the locks of one, corrupt it.
    for store in list(_OPEN):
        store.engine.dispose()


def _after_fork() -> None:
    # Connections that were in use belong to the parent: forget them, close nothing.
    for store in list(_OPEN):
        store.engine.dispose(close=False)


_OPEN: Final[weakref.WeakSet[Store]] = weakref.WeakSet()
os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def create_store(
    url: str,
    clock: Callable[[], datetime] | None = None,
    *,
    beside: sa.MetaData | None = None,
) -> tuple[Store, bool]:
    """Create the ledger at a URL; the store, and whether it was made just now.

    The tables `beside` the record are made with it, in the same transaction.
    """
    engine = _engine(url, create=True)
    with _opening(engine):
        made = schema_of(engine) is None and create_schema(engine, beside)
        check_schema(engine)
    return Store(engine, clock), made


def open_store(
    url: str,
    clock: Callable[[], datetime] | None = None,
    *,
    check: Callable[[Engine], object] = check_schema,
) -> Store:
    """Open the ledger at a URL; LedgerUnavailable where there is none.

    `check` looks at its tables first: whoever brings them up to date takes older ones.
    """
    engine = _engine(url, create=False)
    with _opening(engine):
        check(engine)
        database_of(engine).opened(engine)
    return Store(engine, clock)


def _engine(url: str, *, create: bool) -> Engine:
    address, database = parsed(url)
    return database.engine(address, create=create)


def same_place(one: str, other: str) -> bool:
    """Whether two URLs name the same ledger, as far as the URLs tell."""
    first, second = parsed(one)[0], parsed(other)[0]
    if {first.get_backend_name(), second.get_backend_name()} == {"sqlite"}:
        return (
            Path(str(first.database)).resolve() == Path(str(second.database)).resolve()
        )
    return first == second


@contextmanager
def _opening(engine: Engine) -> Iterator[None]:
    try:
        with _translated(engine):
            yield
    except LedgerUnavailable:
        engine.dispose()
        raise


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """Turn a database's errors into one sentence for the user."""
    try:
        yield
    except DBAPIError as error:
        database = database_of(engine)
        kind = TryAgain if database.passing(error) else LedgerUnavailable
        raise kind(database.sentence(engine.url, error)) from error


def _submitter() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
    # The environment may say anything, and every event has it.
    return user.encode(errors="replace").decode()[:LONGEST_USER]
