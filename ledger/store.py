"""The event store on SQLAlchemy Core; `open_store` and `create_store` are the doors.

One writer lock, held for the append alone: under it the store checks every version
that the decision read, stamps position and recorded time into the bytes, hashes them
as a Merkle leaf, and moves the tree head, all in one transaction.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from ledger.errors import LedgerUnavailable
from ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.transcoding import EventToStore, envelope, stamp_time

SCHEMA: Final = 1
APPLICATION_ID: Final = 0x41434F52
TILE_LEVELS: Final = 8
IN_CHUNK: Final = 500

metadata = sa.MetaData()
meta = sa.Table(
    "accord_meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"),
              primary_key=True, autoincrement=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("deal", sa.Text),
    sa.Column("effective_on", sa.Text),
    sa.Column("recorded_at", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("stream", "version"),
    sa.Index("events_by_deal", "deal", "position"),
)  # fmt: skip
commands = sa.Table(
    "commands",
    metadata,
    sa.Column("command_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
)
head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", sa.Text, nullable=False),
)
nodes = sa.Table(
    "tree_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
tracking = sa.Table(
    "tracking",
    metadata,
    sa.Column("application_name", sa.Text, primary_key=True),
    sa.Column("notification_id", sa.BigInteger, nullable=False),
)
_GUARDED: Final = ("events", "tree_nodes", "commands")


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


class Store(ApplicationRecorder, TrackingRecorder):
    """The recorder. Appends under one lock; reads from snapshots."""

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.engine = engine
        self.clock = clock or (lambda: datetime.now(UTC))
        self.submitted_by = _submitter()

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read snapshot: everything read in it is of the same moment."""
        with _translated(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction, under the writer lock; all or nothing."""
        with (
            _translated(self.engine.url),
            self.engine.connect().execution_options(accord_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int]:
        """Append events in one transaction; their positions.

        `expects` maps each stream that the decision read to the version it saw;
        `commands` are the submissions whose events these are, in order; `batch` is the
        batch's id. IntegrityError where any stream has moved on, or a command is known.
        """
        expects: Mapping[str, int] = kwargs.get("expects") or {}
        submissions: Sequence[Submission] = kwargs.get("commands") or ()
        batch: str | None = kwargs.get("batch")
        if not stored_events and not submissions:
            return []
        with self.writing() as connection:
            before = locked_head(connection)
            _check_versions(connection, expects)
            now = max(stamp_time(self.clock()), before.recorded_at)
            rows = [
                self._row(event, before.size + count, now, batch)
                for count, event in enumerate(stored_events, start=1)
            ]
            append(connection, before, rows, submissions)
        return list(range(before.size + 1, before.size + len(rows) + 1))

    def _row(
        self, event: StoredEvent, position: int, now: str, batch: str | None
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
            submitted_by=self.submitted_by,
            batch=batch,
        )
        return Row(
            stream, version, event.topic, event.deal, event.effective_on, now, data
        )

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
        query = sa.select(
            events.c.stream, events.c.version, events.c.type, events.c.data
        ).where(events.c.stream == str(originator_id))
        if gt is not None:
            query = query.where(events.c.version > gt)
        if lte is not None:
            query = query.where(events.c.version <= lte)
        order = events.c.version.desc() if desc else events.c.version
        with self.reading() as connection:
            found = connection.execute(query.order_by(order).limit(limit)).all()
        return [StoredEvent(*row) for row in found]

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
        query = sa.select(
            events.c.stream,
            events.c.version,
            events.c.type,
            events.c.data,
            events.c.position,
        )
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
            found = connection.execute(
                query.order_by(events.c.position).limit(limit)
            ).all()
        return [Notification(*row) for row in found]

    def max_notification_id(self) -> int | None:
        """The last position; None while nothing is recorded."""
        return self.head().size or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Events after a position, then those recorded later, by polling."""
        raise NotImplementedError

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

    def command(self, command_id: str) -> RecordedCommand | None:
        """What is known of a command id."""
        query = sa.select(commands.c.digest, commands.c.first, commands.c.last)
        with self.reading() as connection:
            row = connection.execute(
                query.where(commands.c.command_id == command_id)
            ).one_or_none()
        return RecordedCommand(*row) if row else None

    def streams(self, kind: str, deal: str) -> Sequence[str]:
        """The streams of a kind that have events of a deal, in order."""
        query = (
            sa.select(events.c.stream)
            .where(events.c.deal == deal, events.c.stream.like(f"{kind}/%"))
            .distinct()
        )
        with self.reading() as connection:
            return sorted(connection.scalars(query))


def locked_head(connection: Connection) -> Head:
    """The tree head, read under the writer lock."""
    row = connection.execute(sa.select(head).with_for_update()).one()
    return Head(row.size, row.root, row.frontier, row.recorded_at)


def read_head(connection: Connection) -> Head:
    """The tree head, in a snapshot."""
    row = connection.execute(sa.select(head)).one()
    return Head(row.size, row.root, row.frontier, row.recorded_at)


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
        values.append({"position": position, **row._asdict(), "leaf": leaf})
    kept = [
        {"level": level, "index": index, "hash": node}
        for level, index, node in made
        if level % TILE_LEVELS == 0
    ]
    known, first = [], before.size + 1
    for command_id, digest, many in submissions:
        known.append(
            {
                "command_id": command_id,
                "digest": digest,
                "first": first,
                "last": first + many - 1,
            }
        )
        first += many
    after = Head(
        tree.size,
        tree.root,
        tree.packed,
        rows[-1].recorded_at if rows else before.recorded_at,
    )
    try:
        if values:
            connection.execute(sa.insert(events), values)
        if kept:
            connection.execute(sa.insert(nodes), kept)
        if known:
            connection.execute(sa.insert(commands), known)
    except SqlIntegrityError as error:
        raise IntegrityError(str(error.orig)) from error
    connection.execute(
        sa.update(head).values(
            size=after.size,
            root=after.root,
            frontier=after.frontier,
            recorded_at=after.recorded_at,
        )
    )
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


def _check_versions(connection: Connection, expects: Mapping[str, int]) -> None:
    streams = list(expects)
    found: dict[str, int] = {}
    for start in range(0, len(streams), IN_CHUNK):
        query = (
            sa.select(events.c.stream, sa.func.max(events.c.version))
            .where(events.c.stream.in_(streams[start : start + IN_CHUNK]))
            .group_by(events.c.stream)
        )
        found.update((stream, version) for stream, version in connection.execute(query))
    for stream, seen in expects.items():
        now = found.get(stream, 0)
        if now != seen:
            raise IntegrityError(f"{stream} was at version {seen} and is now at {now}")


def create_store(
    url: str, clock: Callable[[], datetime] | None = None
) -> tuple[Store, bool]:
    """Create the ledger at a URL; the store, and whether it was made just now."""
    engine = _engine(url, create=True)
    with _translated(engine.url):
        if _schema(engine) is None:
            with engine.connect() as connection:
                tables = sa.inspect(connection).get_table_names()
            if tables:
                raise LedgerUnavailable(
                    f"{_shown(engine.url)} is a database with other tables, "
                    "not a ledger. Choose another place."
                )
            _create(engine)
            made = True
        else:
            made = False
    if not made:
        _check_schema(engine)
    return Store(engine, clock), made


def open_store(url: str, clock: Callable[[], datetime] | None = None) -> Store:
    """Open the ledger at a URL; LedgerUnavailable where there is none."""
    engine = _engine(url, create=False)
    _check_schema(engine)
    return Store(engine, clock)


def _create(engine: Engine) -> None:
    with (
        engine.connect().execution_options(accord_writes=True) as connection,
        connection.begin(),
    ):
        metadata.create_all(connection)
        connection.execute(sa.insert(meta), [{"key": "schema", "value": str(SCHEMA)}])
        connection.execute(
            sa.insert(head).values(
                id=1, size=0, root=EMPTY_ROOT, frontier=b"", recorded_at=""
            )
        )
        for table in _GUARDED:
            for verb in ("UPDATE", "DELETE"):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} "
                    f"ON {table} BEGIN SELECT RAISE(ABORT, "
                    "'REC-01: entries cannot be edited'); END"
                )
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _schema(engine: Engine) -> int | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(meta.name):
            return None
        value = connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema"))
    return int(value) if value and value.isdigit() else None


def _check_schema(engine: Engine) -> None:
    with _translated(engine.url):
        schema = _schema(engine)
    if schema is None:
        raise LedgerUnavailable(
            f"{_shown(engine.url)} is a database, but not a ledger. "
            "Name another with --db, or make one with 'accord init'."
        )
    if schema != SCHEMA:
        newer = "newer" if schema > SCHEMA else "older"
        raise LedgerUnavailable(
            f"{_shown(engine.url)} has schema {schema}, which is {newer} than the "
            f"{SCHEMA} that this version of accord reads and writes. "
            "Use the version that wrote it, or a later one."
        )


def _engine(url: str, *, create: bool) -> Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise LedgerUnavailable(
            f"{url!r} is not a database URL. Write it as 'sqlite:///accord.db'."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise LedgerUnavailable(
            f"{_shown(parsed)}: this version keeps ledgers in SQLite files alone; "
            "use 'sqlite:///accord.db'."
        )
    path = parsed.database
    if not path or path == ":memory:":
        raise LedgerUnavailable("A ledger is kept in a file: 'sqlite:///accord.db'.")
    _check_file(path, create=create)
    engine = sa.create_engine(parsed, connect_args={"timeout": 10})
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _check_file(path: str, *, create: bool) -> None:
    from pathlib import Path

    file = Path(path)
    if file.is_dir():
        raise LedgerUnavailable(f"{path} is a folder, not a ledger.")
    if file.exists():
        return
    if not create:
        raise LedgerUnavailable(
            f"There is no ledger at {path}. Make one with 'accord init', "
            "or name another with --db."
        )
    if not file.parent.is_dir():
        raise LedgerUnavailable(f"The folder {file.parent} does not exist.")


def _on_connect(connection: Any, _: Any) -> None:
    # The driver's own transaction handling would begin late and commit early.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("accord_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated(url: URL) -> Iterator[None]:
    """Turn a database's errors into one sentence for the user."""
    try:
        yield
    except DBAPIError as error:
        raise LedgerUnavailable(_sentence(url, str(error.orig))) from error


def _sentence(url: URL, message: str) -> str:
    where = _shown(url)
    if "not a database" in message or "malformed" in message:
        return f"{where} is not a ledger: {message}."
    if "locked" in message or "busy" in message:
        return f"{where} is locked by another program; nothing was written. Try again."
    if "full" in message:
        return f"The disk that holds {where} is full; nothing was written."
    if "readonly" in message or "read-only" in message:
        return f"{where} may not be written by this user; nothing was written."
    return f"{where}: {message}."


def _shown(url: URL) -> str:
    return url.database or url.render_as_string(hide_password=True)


def _submitter() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
