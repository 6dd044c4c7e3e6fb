"""Bringing a ledger's tables up to date: asked for, in one transaction, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.dialect import database_of, shown
from ledger.database.schema import known_schema
from ledger.database.tables import SCHEMA
from ledger.errors import IntegrityFailure
from ledger.record.log import Head, read_head
from ledger.record.store import Store, open_store


@dataclass(frozen=True)
class Migrated:
    """What a migration did: the schema before and now, and the tree head, the same."""

    before: int
    now: int
    head: Head


def migrate(url: str, beside: sa.MetaData) -> Migrated:
    """Bring the ledger at a URL to this version's schema; what is recorded stays.

    The tables `beside` the record are made anew, and empty. LedgerUnavailable where
    there is no ledger, or a newer one.
    """
    store = open_store(url, check=known_schema)
    try:
        before = known_schema(store.engine)
        head = _upgrade(store, beside) if before < SCHEMA else store.head()
        return Migrated(before, SCHEMA, head)
    finally:
        store.close()


def _upgrade(store: Store, beside: sa.MetaData) -> Head:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ledger.database:migrations")
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        database_of(store.engine).prepare(connection)
        head = read_head(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, str(SCHEMA))
        _make_anew(connection, beside)
        if read_head(connection) != head:
            raise IntegrityFailure(
                f"{shown(store.engine.url)}: the migration moved the tree head; "
                "it was undone, and nothing was changed."
            )
    return head


def _make_anew(connection: Connection, beside: sa.MetaData) -> None:
    """Drop every view's table, also of views that are no more, and make today's."""
    for name in sa.inspect(connection).get_table_names():
        if name.startswith("view_"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    beside.create_all(connection, checkfirst=False)
    database_of(connection.engine).protect(connection, beside.sorted_tables)
