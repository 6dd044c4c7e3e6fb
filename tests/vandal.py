"""Ways to damage a ledger behind the store's back, and a small one to damage."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from conftest import Desk
from places import SQLITE, places

from ledger.record.store import Store, open_store

SIGNED = [{"title": "The agreement", "kind": "signed_agreement"}]
TERMS = {"capacity_floor": "1 GW", "capacity_basis": "rated", "funding_cap": "1bn USD"}


def small_ledger(desk: Desk, deals: tuple[str, ...] = ("one", "two")) -> None:
    """Two deals from letter to effect, their events interleaved: 12 events."""
    parties = ["acme", "orion"]
    steps: list[tuple[str, dict[str, Any]]] = [
        ("open", {"title": "Ω", "capital": ["acme"], "capacity": ["orion"]}),
        ("sign-loi", {"signatories": parties, "terms": TERMS}),
        (
            "sign-definitive",
            {"signatories": parties, "terms": TERMS, "evidence": SIGNED},
        ),
        ("bring-into-effect", {}),
        ("suspend", {"scopes": ["draw"], "ground": "A doubt"}),
        ("resume", {"scopes": ["draw"]}),
    ]
    for verb, keys in steps:
        for deal in deals:
            desk.do(f"agreement {verb}", deal=deal, **keys)
            desk.clock.advance(seconds=1)


def many_events(desk: Desk, count: int) -> None:
    """One deal with so many statements, in one batch."""
    lines = [("agreement open", {"title": "T", "capital": ["a"], "capacity": ["b"]})]
    lines += [
        (
            "agreement record-statement",
            {"statement": f"s{n}", "speaker": "Acme", "text": "On track."},
        )
        for n in range(count - 1)
    ]
    desk.ledger.execute_batch(
        [(n, desk.request(name, **keys)) for n, (name, keys) in enumerate(lines, 1)]
    )


class Stranger:
    """A connection to a PostgreSQL ledger, which takes the SQL that SQLite takes."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        for table in ("events", "commands", "tree_nodes", "tree_head", "refused"):
            self._connection.execute(
                f"ALTER TABLE IF EXISTS {table} DISABLE TRIGGER ALL"
            )

    def execute(self, sql: str, values: Any = ()) -> Any:
        """Carry out a statement, written for SQLite."""
        sql = re.sub(r"x'([0-9a-f]*)'", r"'\\x\1'::bytea", sql)
        sql = re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", sql)
        return self._connection.execute(sql.replace("?", "%b"), list(values) or None)

    def close(self) -> None:
        """Go away."""
        self._connection.close()


KEPT = ("events", "commands", "tree_nodes", "tree_head")


@contextmanager
def raw(path: Path) -> Iterator[Any]:
    """The ledger behind the store's back, with the triggers taken away."""
    if places.kind == SQLITE:
        connection: Any = sqlite3.connect(path, isolation_level=None)
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in connection.execute(query).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
    else:
        connection = Stranger(places.dsn(path))
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def damaged_copy(path: Path, *statements: tuple[Any, ...]) -> Iterator[Store]:
    """A copy of a ledger after some SQL, opened as a store."""
    copy = path.with_name("damaged.db")
    with _copied(path, copy) as url:
        store = open_store(url)
        try:
            with raw(copy) as connection:
                for sql, *values in statements:
                    connection.execute(sql, values)
            yield store
        finally:
            store.close()


@contextmanager
def _copied(path: Path, copy: Path) -> Iterator[str]:
    """A copy; on a server it is mended afterwards and used again, which is quicker."""
    if places.kind == SQLITE:
        yield places.copy(path, copy)
        places.drop(copy)
        return
    if not places.knows(copy):
        places.copy(path, copy)
        with raw(copy) as connection:
            for table in KEPT:
                connection.execute(f"CREATE TABLE keep_{table} AS TABLE {table}")
    try:
        yield places.address(copy)
    finally:
        try:
            with raw(copy) as connection:
                for table in KEPT:
                    connection.execute(f"DELETE FROM {table}")
                    connection.execute(f"INSERT INTO {table} TABLE keep_{table}")
        except psycopg.Error:
            places.drop(copy)
