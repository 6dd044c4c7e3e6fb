"""What is right and wrong with a ledger's place: read alone, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from ledger.database.dialect import Fact, database_of, shown
from ledger.database.schema import known_schema, revision_of
from ledger.database.tables import SCHEMA
from ledger.record.log import read_head
from ledger.record.store import Store, open_store

Lag = Callable[[Store], Sequence[Fact]]
"""How far the views are behind, which the record does not know."""


def examine(url: str, lag: Lag) -> list[Fact]:
    """What is found about the ledger at a URL; LedgerUnavailable where there is none."""
    store = open_store(url, check=known_schema)
    try:
        with store.reading() as connection:
            schema = known_schema(store.engine)
            facts = [
                Fact("ledger", shown(store.engine.url)),
                _schema(connection, schema),
                *_record(connection),
                *database_of(store.engine).health(connection),
            ]
        return [*facts, *(lag(store) if schema == SCHEMA else ())]
    finally:
        store.close()


def _schema(connection: Connection, schema: int) -> Fact:
    if schema < SCHEMA:
        return Fact("schema", str(schema), f"older than {SCHEMA}", "migrate")
    revision = revision_of(connection)
    if revision == str(schema):
        return Fact("schema", str(schema))
    wrong = f"the migrations say {revision}; restore the ledger from a backup"
    return Fact("schema", str(schema), wrong)


def _record(connection: Connection) -> list[Fact]:
    head = read_head(connection)
    when = f", the last recorded at {head.recorded_at}" if head.size else ""
    return [
        Fact("events", f"{head.size:,}{when}"),
        Fact("tree head", head.root.hex()),
    ]
