"""Bringing a ledger's tables up to date: asked for, in one transaction, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.database import database_of, shown
from ledger.errors import IntegrityFailure
from ledger.log import Head, read_head
from ledger.schema import known_schema
from ledger.store import Store, open_store
from ledger.tables import SCHEMA


@dataclass(frozen=True)
class Migrated:
    """What a migration did: the schema before and now, and the tree head, the same."""

    before: int
    now: int
    head: Head


def migrate(url: str) -> Migrated:
    """Bring the ledger at a URL to this version's schema; what is recorded stays.

    LedgerUnavailable where there is none, or a newer one.
    """
    store = open_store(url, check=known_schema)
    try:
        before = known_schema(store.engine)
        head = _upgrade(store) if before < SCHEMA else store.head()
        return Migrated(before, SCHEMA, head)
    finally:
        store.close()


def _upgrade(store: Store) -> Head:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ledger:migrations")
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        database_of(store.engine).prepare(connection)
        head = read_head(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, str(SCHEMA))
        if read_head(connection) != head:
            raise IntegrityFailure(
                f"{shown(store.engine.url)}: the migration moved the tree head; "
                "it was undone, and nothing was changed."
            )
    return head
