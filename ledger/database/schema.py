"""A ledger's tables: made all or none, and never touched where they are another's."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ledger.database.dialect import database_of, shown
from ledger.database.tables import SCHEMA, head, meta, metadata, revision
from ledger.errors import LedgerUnavailable
from ledger.tlog.merkle import EMPTY_ROOT

_SCHEMA: Final = sa.select(meta.c.value).where(meta.c.key == "schema")


def create_schema(engine: Engine, beside: sa.MetaData | None) -> bool:
    """Make the tables, all or none; False where another made them just before."""
    database = database_of(engine)
    with engine.connect() as connection:
        # What is another's is not touched, not even to take a lock.
        if not _vacant(connection):
            return False
    database.opened(engine)
    with (
        engine.connect().execution_options(accord_writes=True) as connection,
        connection.begin(),
    ):
        database.prepare(connection)
        if not _vacant(connection):
            return False
        for tables in filter(None, (metadata, beside)):
            tables.create_all(connection, checkfirst=False)
            database.protect(connection, tables.sorted_tables)
        connection.execute(sa.insert(meta), [{"key": "schema", "value": str(SCHEMA)}])
        connection.execute(sa.insert(revision).values(version_num=str(SCHEMA)))
        connection.execute(
            sa.insert(head).values(
                id=1, size=0, root=EMPTY_ROOT, frontier=b"", recorded_at=""
            )
        )
    return True


def _vacant(connection: Connection) -> bool:
    tables = sa.inspect(connection).get_table_names()
    if tables and meta.name not in tables:
        raise LedgerUnavailable(
            f"{shown(connection.engine.url)} is a database with other tables, "
            "not a ledger. Choose another place."
        )
    return not tables


def schema_of(engine: Engine) -> int | None:
    """The version of the tables there; None where they are not a ledger's."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(meta.name):
            return None
        value = connection.scalar(_SCHEMA)
    return int(value) if value and value.isdecimal() else None


def revision_of(connection: Connection) -> str | None:
    """The last step of the migrations that was applied, as Alembic keeps it."""
    return connection.scalar(sa.select(revision.c.version_num))


def known_schema(engine: Engine) -> int:
    """The version of a ledger's tables; LedgerUnavailable for none, or a newer one."""
    schema, where = schema_of(engine), shown(engine.url)
    if schema is None:
        raise LedgerUnavailable(f"{where} is a database, but not a ledger.").hinting(
            "no-ledger"
        )
    if schema > SCHEMA:
        raise LedgerUnavailable(
            f"{where} has schema {schema}, which is newer than the {SCHEMA} that this "
            "version of accord reads and writes. Use the version that wrote it, or a "
            "later one."
        )
    return schema


def check_schema(engine: Engine) -> None:
    """LedgerUnavailable where there is no ledger, or one of another schema."""
    schema = known_schema(engine)
    if schema < SCHEMA:
        raise LedgerUnavailable(
            f"{shown(engine.url)} has schema {schema}, which is older than the "
            f"{SCHEMA} that this version of accord reads and writes."
        ).hinting("migrate")
