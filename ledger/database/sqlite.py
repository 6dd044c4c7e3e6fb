"""All that holds for SQLite alone: its connections, its triggers, its errors in words.

A ledger's file is in WAL mode, written with `synchronous=FULL` under `BEGIN IMMEDIATE`.
A database that turns out to be no ledger is left as it was found.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from ledger.database.dialect import Fact, HeadRows, Waker
from ledger.database.tables import WRITTEN_ONCE, head
from ledger.errors import LedgerUnavailable

APPLICATION_ID: Final = 0x41434F52
BUSY_S: Final = 10
"""Seconds to wait for another writer before giving up."""
POLL_S: Final = 0.05
"""Seconds between two looks at a record that has not grown."""
LEAST_FREE: Final = 100_000_000
"""Bytes under which a disk counts as full soon."""
_VERBS: Final = ("update", "delete")
_HEAD: Final = sa.select(head)
_MOVE_HEAD: Final = (
    "UPDATE tree_head SET size = ?, root = ?, frontier = ?, recorded_at = ?"
)

_UNREADABLE: Final = frozenset({"SQLITE_CANTOPEN", "SQLITE_READONLY"})


def address(url: URL) -> URL:
    """The URL of a file; LedgerUnavailable where it names none, or asks for more."""
    path = url.database
    if not path or path == ":memory:":
        raise LedgerUnavailable("A ledger is kept in a file: 'sqlite:///accord.db'.")
    if url.query:
        raise LedgerUnavailable(
            f"{path}: a ledger takes no options after '?'; use 'sqlite:///{path}'."
        )
    return url.set(drivername="sqlite")


def engine(url: URL, *, create: bool) -> Engine:
    """An engine on the file that a URL names; LedgerUnavailable where there is none."""
    path = str(url.database)
    _check_file(Path(path), create=create)
    made = sa.create_engine(
        url,
        creator=lambda: _connect(path),
        # A file that this user may only read is opened anew for every look at it,
        # because an immutable connection (see below) does not see later changes.
        poolclass=QueuePool if _writable(path) else NullPool,
    )
    sa.event.listen(made, "begin", _on_begin)
    return made


def opened(engine: Engine) -> None:
    """Let readers and the writer pass side by side, where the file may be changed."""
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # Read-only, or in use by another: either way it works as it is.
            pass
        finally:
            cursor.close()


def prepare(connection: Connection) -> None:
    """Mark the file as a ledger."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def protect(connection: Connection, tables: Sequence[sa.Table]) -> None:
    """Refuse by trigger to change or delete what is written once (REC-01)."""
    for table in tables:
        if table in WRITTEN_ONCE:
            for verb in _VERBS:
                _refuse(connection, f"{table}_no_{verb}", f"{verb.upper()} ON {table}")
        elif table is head:
            _refuse(connection, f"{table}_no_delete", f"DELETE ON {table}")
            shorter = "WHEN NEW.size < OLD.size OR NEW.id <> OLD.id"
            _refuse(connection, f"{table}_no_less", f"UPDATE ON {table} {shorter}")


def _refuse(connection: Connection, name: str, what: str) -> None:
    connection.exec_driver_sql(
        f"CREATE TRIGGER {name} BEFORE {what} BEGIN "
        "SELECT RAISE(ABORT, 'REC-01: entries cannot be edited'); END"
    )


def lock(connection: Connection) -> HeadRows:
    """Read the tree head; the transaction itself holds the only writer's lock."""
    return HeadRows(connection.execute(_HEAD).all(), None, None)


def write(
    connection: Connection,
    rows: Sequence[tuple[sa.Table, Sequence[tuple[Any, ...]]]],
    head: Sequence[Any],
) -> None:
    """Insert all and move the head, as plain tuples for the driver itself.

    SQLAlchemy's own way looks at each value.
    """
    for table, given in rows:
        if given:
            connection.exec_driver_sql(_insertion(table), list(given))
    connection.exec_driver_sql(_MOVE_HEAD, tuple(head))


@lru_cache
def _insertion(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own


def upsert(
    connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Put rows in place of those of their key."""
    if rows:
        connection.exec_driver_sql(_replacement(table), list(rows))


@lru_cache
def _replacement(table: sa.Table) -> str:
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    rest = ", ".join(
        f'"{column.name}" = excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    return f"{_insertion(table)} ON CONFLICT ({keys}) DO UPDATE SET {rest}"


def remove(
    connection: Connection, table: sa.Table, keys: Sequence[tuple[Any, ...]]
) -> None:
    """Delete the rows of primary keys."""
    alike = " AND ".join(f'"{column.name}" = ?' for column in table.primary_key)
    if keys:
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE {alike}", list(keys))  # noqa: S608 - names of our own


def waker(_engine: Engine) -> Waker:
    """Look again and again: a file wakes nobody."""
    return Waker(POLL_S)


def replayed(_connection: Connection) -> None:
    """Never: a file stands by for no other."""


def passing(error: DBAPIError) -> bool:
    """Whether another program holds a lock."""
    return _name(error) in {"SQLITE_BUSY", "SQLITE_LOCKED"}


def unknown(_error: DBAPIError | None, _connection: Connection) -> bool:
    """Never: a transaction that a file could not take is undone."""
    return False


def damaged(error: DBAPIError) -> bool:
    """Whether an error says that what the file holds cannot be right."""
    return _name(error) in {"SQLITE_CORRUPT", "SQLITE_NOTADB"} or (
        "decode to UTF-8" in str(error.orig)
    )


def health(connection: Connection) -> list[Fact]:
    """SQLite's version and settings, with what is not right."""

    def pragma(name: str) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    file = Path(str(connection.engine.url.database))
    mode, synchronous = pragma("journal_mode"), pragma("synchronous")
    encoding, mark = pragma("encoding"), pragma("application_id")
    free = shutil.disk_usage(file.parent).free
    open_to_all = file.stat().st_mode & 0o002
    return [
        Fact("database", f"SQLite {sqlite3.sqlite_version}"),
        Fact(
            "application_id",
            f"{mark:#x}",
            "" if mark == APPLICATION_ID else "another program marked this file",
        ),
        Fact(
            "journal_mode",
            str(mode),
            "" if mode == "wal" else "readers wait for writers; it is set when opened",
        ),
        Fact("synchronous", {2: "full", 3: "extra"}.get(synchronous, str(synchronous))),
        Fact(
            "encoding",
            str(encoding),
            "" if encoding == "UTF-8" else "a ledger is in UTF-8; copy it to a new one",
        ),
        Fact("isolation", "one writer; a snapshot to read"),
        Fact(
            "file",
            f"{file.stat().st_size:,} bytes, "
            + ("may be written" if _writable(str(file)) else "may only be read"),
            f"every user may write to it: chmod o-w {file}" if open_to_all else "",
        ),
        Fact(
            "free space",
            f"{free:,} bytes",
            "" if free > LEAST_FREE else "the disk is nearly full",
        ),
        _triggers(connection),
    ]


def _triggers(connection: Connection) -> Fact:
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    there = set(connection.exec_driver_sql(query).scalars())
    expected = {f"{table}_no_{verb}" for table in WRITTEN_ONCE for verb in _VERBS}
    expected |= {f"{head}_no_delete", f"{head}_no_less"}
    missing = sorted(expected - there)
    return Fact(
        "triggers",
        f"{len(expected) - len(missing)} of {len(expected)} on duty",
        f"{', '.join(missing)} missing: entries can be changed; verify, and copy the "
        "ledger to a new one"
        if missing
        else "",
    )


def sentence(url: URL, error: DBAPIError) -> str:
    """An error of the database, as one sentence for the user."""
    where, said = url.database, str(error.orig)
    match _name(error):
        case "SQLITE_NOTADB":
            return f"{where} is not a ledger: {said}."
        case "SQLITE_CORRUPT":
            return f"{where} is damaged: {said}. Restore it from an export or a backup."
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return (
                f"{where} is locked by another program; nothing was written. Try again."
            )
        case "SQLITE_FULL":
            return f"The disk that holds {where} is full; nothing was written."
        case "SQLITE_IOERR":
            return f"The disk that holds {where} failed ({said}); nothing was written."
        case "SQLITE_READONLY" | "SQLITE_PERM":
            return f"{where} may not be written by this user; nothing was written."
        case "SQLITE_CANTOPEN":
            return f"{where} may not be opened by this user ({said})."
    return f"{where}: {said}."


def _name(error: DBAPIError) -> str:
    """The primary code's name: `SQLITE_BUSY` for `SQLITE_BUSY_SNAPSHOT` too."""
    name: str = getattr(error.orig, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])


def _check_file(file: Path, *, create: bool) -> None:
    try:
        if file.is_dir():
            raise LedgerUnavailable(f"{file} is a folder, not a ledger.")
        if file.exists():
            if not file.is_file():
                raise LedgerUnavailable(f"{file} is not a file, so not a ledger.")
            return
        if not create:
            raise LedgerUnavailable(f"There is no ledger at {file}.").hinting(
                "no-ledger"
            )
        if not file.parent.is_dir():
            raise LedgerUnavailable(f"The folder {file.parent} does not exist.")
    except OSError as error:
        raise LedgerUnavailable(
            f"{file} cannot be reached: {error.strerror}."
        ) from error


def _connect(path: str) -> sqlite3.Connection:
    connection = _open(path, uri=False)
    try:
        # Asks for the file's header, which a connection reads as late as it can.
        connection.execute("PRAGMA schema_version").close()
    except sqlite3.OperationalError as error:
        connection.close()
        name = "_".join(error.sqlite_errorname.split("_")[:2])
        if name not in _UNREADABLE or _has_log(path):
            raise
        # A file in WAL mode cannot be read where no lock file can be made beside it.
        # Where no log of unmerged writes exists, the file alone is the whole ledger.
        connection = _open(f"{Path(path).absolute().as_uri()}?immutable=1", uri=True)
    connection.execute("PRAGMA synchronous = FULL").close()
    # Without this a REPLACE would delete a row and no trigger would see it.
    connection.execute("PRAGMA recursive_triggers = ON").close()
    return connection


def _open(where: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        where,
        timeout=BUSY_S,
        # The driver's own transaction handling would begin late and commit early.
        isolation_level=None,
        check_same_thread=False,
        uri=uri,
    )


def _writable(path: str) -> bool:
    effective = os.access in os.supports_effective_ids
    file = Path(path)
    return all(
        os.access(place, os.W_OK, effective_ids=effective)
        for place in (file, file.parent)
        if place.exists()
    )


def _has_log(path: str) -> bool:
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _on_begin(connection: Connection) -> None:
    writes: Any = connection.get_execution_options().get("accord_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
