"""All that holds for PostgreSQL alone: connections, locks, roles, its errors in words.

Nothing is kept in a session, so that a pooler in transaction mode may stand between:
every transaction says for itself how it reads, writes and waits, and no statement is
prepared by name. Reads are of one snapshot; an append holds the tree head's row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger.clock import stamp_time
from ledger.database.dialect import HeadRows, Waker, shown
from ledger.database.postgres_health import OWNER, READER, WRITER, health
from ledger.database.tables import WRITTEN_ONCE, head
from ledger.errors import LedgerUnavailable

LOCK_S: Final = 10
"""Seconds to wait for another writer before giving up."""
POLL_S: Final = 1.0
"""Seconds between two looks at a record that nobody says has grown."""
CHANNEL: Final = "accord"
"""Where an append tells those who listen that there is more."""

__all__ = ["health"]

_WHICH: Final = "target_session_attrs"
_CONNECTED: Final = {
    "application_name": "accord",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed within about half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    f"SET LOCAL lock_timeout = '{LOCK_S}s'"
)
# What stands outside of the inner query is computed when the row is locked: the time
# that an append stamps is not that at which it began to wait. An acknowledged event
# is on disk, whatever a role or database was set to.
_LOCK: Final = """
WITH locked AS MATERIALIZED (SELECT * FROM tree_head FOR UPDATE)
SELECT id, size, root, frontier, recorded_at, clock_timestamp(), session_user,
       CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
FROM locked
"""
_ARRAYS: Final = {int: "bigint[]", str: "text[]", bytes: "bytea[]"}

_GONE: Final = frozenset({"57P01", "57P02", "57P05", "25P03"})
"""The server, or whoever looks after it, ended the connection."""


def address(url: URL) -> URL:
    """The URL as psycopg takes it; LedgerUnavailable where that is not installed."""
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise LedgerUnavailable(
            f"{url.drivername}: PostgreSQL is reached with psycopg 3 alone; "
            "write 'postgresql+psycopg://…'."
        )
    if not url.database:
        raise LedgerUnavailable(
            "The URL names no database. Write "
            "'postgresql+psycopg://user@host/database'."
        )
    try:
        import psycopg  # noqa: F401 - whether it is there is all that matters
    except ImportError as error:
        raise LedgerUnavailable(
            "PostgreSQL needs psycopg 3. Install it with "
            "'pip install \"accord-ledger[postgres]\"'."
        ) from error
    url = url.set(drivername="postgresql+psycopg")
    if "," in str(url.query.get("host", "")) and _WHICH not in url.query:
        # Of several, the one that takes entries; whoever asks for another says so.
        url = url.update_query_dict({_WHICH: "read-write"})
    return url


def engine(url: URL, *, create: bool) -> Engine:  # noqa: ARG001 - a database is made by its administrator
    """An engine on the database that a URL names."""
    made = sa.create_engine(
        url,
        # Transactions are begun by ourselves, below.
        isolation_level="AUTOCOMMIT",
        paramstyle="format",
        use_native_hstore=False,
        connect_args={
            "prepare_threshold": None,
            **{k: v for k, v in _CONNECTED.items() if k not in url.query},
        },
    )
    sa.event.listen(made, "begin", _on_begin)
    sa.event.listen(made, "connect", _on_connect)
    return made


def _on_begin(connection: Connection) -> None:
    writes: Any = connection.get_execution_options().get("accord_writes")
    connection.exec_driver_sql(_WRITE if writes else _READ)


def _on_connect(connection: Any, record: Any) -> None:
    def note(diagnostic: Any) -> None:
        # Committed here, but no standby has it, and the server waits no longer. It says
        # so in the language that it was set to, but names the function in no other.
        if diagnostic.source_function == "SyncRepWaitForLSN":
            record.info["unreplicated"] = True

    connection.add_notice_handler(note)


def opened(engine: Engine) -> None:
    """Nothing: a server is as its administrator set it."""


def prepare(connection: Connection) -> None:
    """Make the roles where they are not there, and go on as the owner.

    Roles belong to all databases of a server: another ledger may have made them.
    """
    # Two who make a ledger here at the same time: one of them finds it made.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('accord init'))")
    _check_encoding(connection)
    for role in (OWNER, WRITER, READER):
        connection.exec_driver_sql(
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    may_be_owner = connection.exec_driver_sql(
        f"SELECT pg_has_role(current_user, '{OWNER}', 'SET')"
    ).scalar()
    if not may_be_owner:
        connection.exec_driver_sql(f"GRANT {OWNER} TO CURRENT_USER")
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar()
    place = connection.dialect.identifier_preparer.quote(str(schema))
    connection.exec_driver_sql(f"GRANT CREATE, USAGE ON SCHEMA {place} TO {OWNER}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {place} TO {WRITER}, {READER}")
    connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")


def _check_encoding(connection: Connection) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise LedgerUnavailable(
            f"The database is encoded in {encoding}, and a ledger needs UTF8. Make "
            "another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )


def protect(connection: Connection, tables: Sequence[sa.Table]) -> None:
    """Grant each role its own, and refuse by trigger what nobody may do (REC-01)."""
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION accord_refuse() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'REC-01: entries cannot be edited' "
        "USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table in tables:
        rights = ", ".join(filter(None, ("SELECT", table.info["writer"])))
        connection.exec_driver_sql(f"GRANT {rights} ON {table.name} TO {WRITER}")
        connection.exec_driver_sql(f"GRANT SELECT ON {table.name} TO {READER}")
        if table in WRITTEN_ONCE:
            _refuse(connection, table, "changed", "UPDATE OR DELETE OR TRUNCATE")
        elif table is head:
            _refuse(connection, table, "removed", "DELETE OR TRUNCATE")
            _refuse(
                connection,
                table,
                "shortened",
                "UPDATE",
                "FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.id <> OLD.id)",
            )


def _refuse(
    connection: Connection,
    table: sa.Table,
    what: str,
    verbs: str,
    when: str = "FOR EACH STATEMENT",
) -> None:
    name = f"{table.name}_not_{what}"
    connection.exec_driver_sql(
        f"CREATE TRIGGER {name} BEFORE {verbs} ON {table.name} {when} "
        "EXECUTE FUNCTION accord_refuse()"
    )
    # Also where a session poses as a replica, for which triggers rest otherwise.
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE ALWAYS TRIGGER {name}")


def lock(connection: Connection) -> HeadRows:
    """Lock the tree head's row, and read it, the server's clock and the user."""
    found = connection.exec_driver_sql(_LOCK).all()
    rows = [row[:5] for row in found]
    now, user = (found[0][5], found[0][6]) if found else (None, None)
    return HeadRows(rows, now, user)


def write(
    connection: Connection,
    rows: Sequence[tuple[sa.Table, Sequence[tuple[Any, ...]]]],
    head: Sequence[Any],
) -> None:
    """Insert all and move the head in one statement: one way there and back."""
    parts, values = [], []
    for number, (table, given) in enumerate(rows):
        if given:
            parts.append(f"i{number} AS ({_insertion(table)})")
            values += _by_column(given)
    parts.append(
        "moved AS (UPDATE tree_head SET size = %s, root = %b, frontier = %b, "
        "recorded_at = %s)"
    )
    connection.exec_driver_sql(
        f"WITH {', '.join(parts)} SELECT pg_notify('{CHANNEL}', '')",
        (*values, *head),
    )


def _insertion(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = _arrays(table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of our own


def _arrays(columns: Iterable[sa.Column[Any]]) -> str:
    return ", ".join(f"%b::{_ARRAYS[column.type.python_type]}" for column in columns)


def _by_column(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def upsert(
    connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Put rows in place of those of their key, in one statement."""
    if rows:
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        rest = ", ".join(
            f'"{column.name}" = excluded."{column.name}"'
            for column in table.columns
            if not column.primary_key
        )
        connection.exec_driver_sql(
            f"{_insertion(table)} ON CONFLICT ({keys}) DO UPDATE SET {rest}",
            tuple(_by_column(rows)),
        )


def remove(
    connection: Connection, table: sa.Table, keys: Sequence[tuple[Any, ...]]
) -> None:
    """Delete the rows of primary keys, in one statement."""
    if keys:
        names = ", ".join(f'"{column.name}"' for column in table.primary_key)
        arrays = _arrays(table.primary_key)
        connection.exec_driver_sql(
            f"DELETE FROM {table.name} WHERE ({names}) IN "  # noqa: S608 - names of our own
            f"(SELECT * FROM unnest({arrays}))",
            tuple(_by_column(keys)),
        )


def waker(engine: Engine) -> Waker:
    """Wait by LISTEN where the server offers it, and never long without a look."""
    return _Listening(engine)


class _Listening(Waker):
    """Woken by NOTIFY, and by itself every second.

    A standby takes no LISTEN, and a pooler forgets it.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(POLL_S)
        self._engine = engine
        self._held: Any = None
        self._driver: Any = None

    def wait(self) -> None:
        """Wait for a notification, a call of `wake`, or a second."""
        if self._driver is None and self._listen():
            return  # What came between the last look and now was heard by nobody.
        if self._hear(*filter(None, [self._driver])):
            self._drain()

    def _listen(self) -> bool:
        import psycopg

        try:
            self._held = self._engine.raw_connection()
            self._driver = self._held.driver_connection
            self._driver.execute(f"LISTEN {CHANNEL}")
        except (psycopg.Error, DBAPIError):
            self._drop()
            return False
        return True

    def _drain(self) -> None:
        import psycopg

        try:
            for _ in self._driver.notifies(timeout=0):
                pass
            self._driver.execute("SELECT 1")
        except psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._held is not None:
            # Not back to the pool: it goes on hearing.
            self._held.invalidate()
        self._held = self._driver = None

    def close(self) -> None:
        """Close the connection that listens."""
        self._drop()
        super().close()


def replayed(connection: Connection) -> str | None:
    """When a standby last took something in; None where this is the primary."""
    standby, since = connection.exec_driver_sql(
        "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()"
    ).one()
    if not standby:
        return None
    return stamp_time(since) if since else "no time that it knows"


def passing(error: DBAPIError) -> bool:
    """Whether another holds a lock, or the server is gone, full or not ready yet."""
    return _gone(error) or _state(error) in {"55P03", "57014", "40P01"}


def _gone(error: DBAPIError) -> bool:
    return error.connection_invalidated or _state(error) in {"", *_GONE}


def damaged(error: DBAPIError) -> bool:
    """Whether an error says that what is stored cannot be right."""
    return _state(error) in {"XX001", "XX002", "22021"}


def unknown(error: DBAPIError | None, connection: Connection) -> bool:
    """Whether it is open if a transaction, just told to commit, did, and for good."""
    if error is None:
        return bool(connection.info.pop("unreplicated", False))
    return _gone(error)


def _state(error: DBAPIError) -> str:
    """The error's SQLSTATE; empty where the server said none, because it is gone."""
    return getattr(error.orig, "sqlstate", None) or ""


def sentence(url: URL, error: DBAPIError) -> str:
    """An error of the server, as one sentence for the user."""
    where = shown(url)
    said = _said(error)
    state = _state(error)
    nothing = "nothing was written"
    match state:
        case "55P03":
            return (
                f"{where} is locked by another program; {nothing} in {LOCK_S} seconds "
                "of waiting. Try again."
            )
        case "57014":
            return f"{where} stopped what took too long ({said}); {nothing}. Try again."
        case "53100":
            return f"The disk that holds {where} is full; {nothing}."
        case "42501" if "accord_meta" in said:
            return (
                f"{where}: the role {url.username or 'in use'} may not read this ledger "
                f"({said}). Its keeper grants accord_reader, or accord_writer."
            )
        case "42501":
            return f"{where}: the role {url.username or 'in use'} may not do that ({said}); {nothing}."
        case "25006" | "0A000":
            return f"{where} is a standby or read-only: {nothing}."
        case "XX001" | "XX002":
            return f"{where} is damaged: {said}. Restore it from a backup."
        case "40001" | "40P01":
            return f"{where}: another program was in the way ({said}); {nothing}. Try again."
    if _gone(error):
        return _unreachable(where, said)
    return f"{where}: {said}; {nothing}."


_UNREACHABLE: Final = (
    ("no password supplied", "it asks for a password; ~/.pgpass may hold it"),
    ("password authentication failed", "the password is wrong"),
    (
        "permission denied for database",
        "this role may not connect to it; its owner grants CONNECT on the database",
    ),
    (r'database ".*" does not exist', "there is no such database; make it first"),
    (r'role ".*" does not exist', "there is no such role"),
    ("pg_hba.conf|authentication failed", "the server does not let you in"),
    ("too many (connections|clients)", "it takes no more connections; try again"),
    ("starting up|shutting down|recovery mode", "the server is not ready; try again"),
    ("read-only|read-write|hot standby", "no server there takes entries: all stand by"),
    (
        "invalid (connection|URI)|unrecognized|invalid .* value|bad value",
        "the URL is not right",
    ),
    (
        "Connection refused|No such file|not known|resolve|timeout|No route",
        "no server answers there",
    ),
    ("^connection failed", "there is no connection"),
)
"""What the driver says where it cannot connect, in the only form that it has: words."""


def _unreachable(where: str, said: str) -> str:
    """Why there is no connection, or none any more."""
    for pattern, answer in _UNREACHABLE:
        if re.search(pattern, said):
            return f"{where}: {answer} ({said})."
    return f"{where} went away: {said}. Nothing was written."


def _said(error: DBAPIError) -> str:
    """The server's own words, on one line."""
    lines = str(error.orig).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no reason was given"
