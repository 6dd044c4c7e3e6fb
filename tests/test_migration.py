"""Older ledgers are brought up to date when that is asked for, whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cli_desk import done, fails
from conftest import Desk
from places import address
from test_releases import HEADS, RELEASES

from ledger.audit.integrity import verify
from ledger.custody import migration
from ledger.custody.migration import migrate
from ledger.database import tables
from ledger.domain.catalogue import AGGREGATES
from ledger.errors import IntegrityFailure, LedgerUnavailable
from ledger.record.log import Head
from ledger.record.store import create_store, open_store
from projections.engine.nouns import NOUNS
from projections.projector import FOLDED, Projections, view_tables

OLD = {"0.1.0": 1, "0.2.0": 1, "0.3.0": 2, "0.4.0": 3}
"""Releases of an older schema, with the schema of each."""


def shape(path: Path) -> dict[str, Any]:
    """All tables with their columns, all indexes and triggers, of a ledger's file."""
    connection = sqlite3.connect(path)
    found: dict[str, Any] = {}
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    for kind, name, sql in connection.execute(query).fetchall():
        if kind == "table":
            found[name] = connection.execute(f"PRAGMA table_info({name})").fetchall()
        else:
            found[name] = " ".join(sql.replace('"', "").split())
    connection.close()
    return found


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A ledger as the first release left it."""
    path = tmp_path / "old.db"
    shutil.copy(RELEASES / "ledger-0.1.0.db", path)
    return path


@pytest.mark.sqlite
@pytest.mark.parametrize("version", OLD)
def test_a_migrated_ledger_is_as_a_new_one(tmp_path: Path, version: str) -> None:
    """Every table, index and trigger is that of a new ledger; the record is as it was."""
    path, new = tmp_path / "old.db", tmp_path / "new.db"
    shutil.copy(RELEASES / f"ledger-{version}.db", path)
    made, _ = create_store(f"sqlite:///{new}", beside=view_tables())
    made.close()
    report = migrate(f"sqlite:///{path}", view_tables())
    assert (report.before, report.now) == (OLD[version], tables.SCHEMA)
    assert (report.head.size, report.head.root.hex()) == HEADS[version]
    assert shape(path) == shape(new)
    store = open_store(f"sqlite:///{path}")
    whole = verify(store)
    assert (whole.events, whole.root) == HEADS[version]
    views = Projections(store)
    views.catch_up()
    assert views.verify() > 0
    store.close()


@pytest.mark.sqlite
def test_nothing_migrates_behind_the_users_back(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other command refuses an older ledger, says what to do, and changes nothing."""
    monkeypatch.setenv("ACCORD_DB", f"sqlite:///{older}")
    before = older.read_bytes()
    for words in (["list"], ["verify"], ["init"], ["views", "rebuild"], ["demo"]):
        said = fails(1, *words)
        assert "has schema 1, which is older than the 4" in said
        assert "'accord migrate'" in said
    assert older.read_bytes() == before
    assert "from schema 1 to 4: 407 events" in done("migrate").stderr
    assert "has schema 4 already" in done("migrate").stderr
    assert done("verify", "--views").stdout.startswith("ok: 407 events")


def test_a_ledger_of_today_is_left_as_it_is(desk: Desk) -> None:
    """There is nothing to do, and it says so."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    head = desk.store.head()
    assert migrate(desk.url, view_tables()) == migration.Migrated(
        tables.SCHEMA, tables.SCHEMA, head
    )


def test_what_cannot_be_migrated(tmp_path: Path, desk: Desk) -> None:
    """A newer ledger, and what is none, is refused."""
    with desk.store.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE accord_meta SET value = '5' WHERE key = 'schema'"
        )
    with pytest.raises(LedgerUnavailable, match="schema 5, which is newer than the 4"):
        migrate(desk.url, view_tables())
    with pytest.raises(LedgerUnavailable, match=r"(no|not a) ledger"):
        migrate(address(tmp_path / "nothing.db"), view_tables())


@pytest.mark.sqlite
def test_a_migration_is_whole_or_nothing(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tree head is another afterwards, all is undone."""
    before = shape(older)
    heads = iter([Head(407, b"", b"", ""), Head(406, b"", b"", "")])
    monkeypatch.setattr(migration, "read_head", lambda _: next(heads))
    with pytest.raises(IntegrityFailure, match="moved the tree head; it was undone"):
        migrate(f"sqlite:///{older}", view_tables())
    assert shape(older) == before


@pytest.mark.postgresql
def test_a_ledger_on_a_server_migrates(desk: Desk) -> None:
    """From schema 2: the roles get their rights on what is new, and views start anew."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    head = desk.store.head()
    rights = (
        "SELECT grantee, privilege_type FROM information_schema.table_privileges "
        "WHERE table_name = ANY(ARRAY['snapshots', 'snapshot_parts', 'view_past', "
        "'view_funding_parts']) ORDER BY 1, 2"
    )
    with desk.store.reading() as connection:
        expected = connection.exec_driver_sql(rights).all()
    with desk.store.writing() as connection:
        for statement in (
            "SET LOCAL ROLE accord_owner",
            "DROP TABLE snapshots, snapshot_parts, view_past, view_horizons, view_late",
            "CREATE TABLE view_timeline (deal text)",
            "UPDATE accord_meta SET value = '2' WHERE key = 'schema'",
            "UPDATE alembic_version SET version_num = '2'",
        ):
            connection.exec_driver_sql(statement)
    report = migrate(desk.url, view_tables())
    assert report == migration.Migrated(2, tables.SCHEMA, head)
    with desk.store.reading() as connection:
        assert connection.exec_driver_sql(rights).all() == expected
        query = "SELECT count(*) FROM pg_tables WHERE tablename = 'view_timeline'"
        assert connection.exec_driver_sql(query).scalar() == 0
    views = Projections(desk.store)
    views.keep_up()
    views.verify()


@pytest.mark.pure
def test_the_state_of_every_kind_has_its_table() -> None:
    """Also of those whose state no page draws on; of places, their systems say enough."""
    kinds = {kind.kind for kind in AGGREGATES} - {"slot"}
    tables_ = {name for name in view_tables().tables if name.endswith("_parts")}
    assert tables_ == {f"view_{kind}_parts" for kind in kinds}
    assert {view.name for view in NOUNS} == {f"{kind}-parts" for kind in kinds}
    assert set(NOUNS) <= set(FOLDED)


@pytest.mark.sqlite
def test_an_older_release_does_not_write_here(tmp_path: Path) -> None:
    """Its own schema is the number that it compares; the next one is not its own."""
    path = tmp_path / "old.db"
    shutil.copy(RELEASES / "ledger-0.4.0.db", path)
    with pytest.raises(LedgerUnavailable, match="schema 3, which is older than the 4"):
        open_store(f"sqlite:///{path}")
    migrate(f"sqlite:///{path}", view_tables())
    connection = sqlite3.connect(path)
    (schema,) = connection.execute(
        "SELECT value FROM accord_meta WHERE key = 'schema'"
    ).fetchone()
    connection.close()
    assert schema == "4"
