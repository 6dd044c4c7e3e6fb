"""Append-only by the server's own law: what each role may do, and what nobody may."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cli_desk import OPEN, accord, at_home, done, fails
from conftest import Clock, Desk
from places import places
from servers import Server
from servers import server as new_server
from vandal import small_ledger

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.errors import LedgerUnavailable, Refused
from ledger.record.store import create_store, open_store
from projections.projector import Projections, view_tables

pytestmark = pytest.mark.postgresql

LOGINS = {
    "ann": "IN ROLE accord_writer",
    "ray": "IN ROLE accord_reader",
    "sam": "",
    "olga": "IN ROLE accord_owner",
}


@pytest.fixture(scope="module")
def logins(database: str) -> Iterator[Server]:
    """A writer, a reader, somebody else, and one who may act as the owner."""
    server: Server = places.server
    for name, rights in LOGINS.items():
        server.sql(f"CREATE ROLE {name} LOGIN {rights}")
    yield server
    for name in LOGINS:
        server.sql(f"DROP ROLE {name}")


def login(desk: Desk, name: str) -> str:
    """The desk's ledger, as somebody finds it."""
    return desk.url.replace("postgres@", f"{name}@")


def dsn(desk: Desk, name: str) -> str:
    database = desk.store.engine.url.database
    return str(places.server.dsn(str(database), name))


ATTEMPTS = [
    "UPDATE events SET deal = 'x'",
    "UPDATE events SET data = data WHERE position = 1",
    "DELETE FROM events WHERE position = 12",
    "TRUNCATE events",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (position) DO UPDATE SET deal = ''",
    "MERGE INTO events e USING events f ON e.position = f.position WHEN MATCHED "  # noqa: ISC004
    "THEN UPDATE SET deal = ''",
    "UPDATE commands SET digest = 'x'",
    "DELETE FROM commands",
    "TRUNCATE commands",
    "UPDATE tree_nodes SET hash = ''",
    "TRUNCATE tree_nodes",
    "UPDATE refused SET code = 'x'",
    "DELETE FROM refused",
    "DELETE FROM tree_head",
    "TRUNCATE tree_head",
    "UPDATE tree_head SET size = size - 1",
    "UPDATE tree_head SET id = 2",
]
BEYOND = [
    "UPDATE accord_meta SET value = '1'",
    "UPDATE alembic_version SET version_num = '1'",
    "DROP TRIGGER events_not_changed ON events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "ALTER TABLE events DISABLE TRIGGER events_not_changed",
    "ALTER TABLE events ADD COLUMN note text",
    "ALTER TABLE events OWNER TO ann",
    "DROP TABLE events",
    "DROP TABLE view_deals",
    "CREATE TABLE mine (n integer)",
    "CREATE TRIGGER mine BEFORE INSERT ON events EXECUTE FUNCTION accord_refuse()",
    "CREATE RULE mine AS ON INSERT TO events DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION accord_refuse() RETURNS trigger LANGUAGE plpgsql "  # noqa: ISC004
    "AS $$ BEGIN RETURN NEW; END $$",
    "DROP FUNCTION accord_refuse() CASCADE",
    "SET session_replication_role = replica",
    "SET ROLE accord_owner",
]


@pytest.mark.parametrize("sql", [*ATTEMPTS, *BEYOND])
def test_a_writer_may_not(logins: Server, desk: Desk, sql: str) -> None:
    """Whatever a writer tries beyond adding entries, the server refuses."""
    small_ledger(desk)
    head = desk.store.head()
    with (
        psycopg.connect(dsn(desk, "ann"), autocommit=True) as connection,
        pytest.raises(psycopg.Error) as refused,
    ):
        connection.execute(sql)
    # Refused, or done to nothing: neither is a mistake in the SQL.
    assert refused.value.sqlstate in {"42501", "23001"}, refused.value
    assert desk.store.head() == head
    assert verify(desk.store).events == 12


@pytest.mark.parametrize("name", ["postgres", "olga"])
@pytest.mark.parametrize("sql", ATTEMPTS)
def test_nobody_else_may_either(
    logins: Server, desk: Desk, name: str, sql: str
) -> None:
    """Owner and superuser meet the triggers, in a session that poses as a replica too."""
    small_ledger(desk)
    with psycopg.connect(dsn(desk, name), autocommit=True) as connection:
        if name == "postgres":
            connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.Error, match="REC-01: entries cannot be edited"):
            connection.execute(sql)
    assert verify(desk.store).events == 12


def test_a_writer_may_keep_the_ledger(logins: Server, desk: Desk) -> None:
    """Commands, refusals, views, batches, import: all that daily work needs."""
    url = login(desk, "ann")
    ledger = Ledger(open_store(url, Clock()))
    opening = {"title": "T", "capital": ["a"], "capacity": ["b"]}
    (event,) = ledger.execute(desk.request("agreement open", **opening)).events
    assert event.identity.submitted_by == "ann"
    with pytest.raises(Refused) as refused:
        ledger.execute(desk.request("agreement bring-into-effect"))
    assert not getattr(refused.value, "__notes__", ())
    views = Projections(ledger.store)
    assert views.keep_up() == 1
    assert views.rebuild() == 1
    assert len(views.answer("refused", None).rows) == 1
    ledger.close()
    doctor = accord("doctor", "--db", url)
    assert "ann (member of: accord_writer)" in doctor.stdout
    assert "no more than its role needs" in doctor.stdout


def test_a_reader_may_read(logins: Server, desk: Desk) -> None:
    """Every view, the history and the proofs; and is told plainly that it may not write."""
    small_ledger(desk)
    url = login(desk, "ray")
    read = done("view", "deals", "--db", url)
    assert "folded in memory" in read.stderr
    assert done("verify", "--db", url).stdout.startswith("ok: 12 events")
    assert len(done("export", "--db", url).stdout.splitlines()) == 12
    words = ["beta" if word == "acme-orion" else word for word in OPEN]
    said = fails(1, *words, "--actor", "ray@a", "--db", url)
    assert (
        "the role ray may not do that (permission denied for table tree_head)" in said
    )
    assert desk.store.head().size == 12


def test_a_stranger_may_nothing(logins: Server, desk: Desk) -> None:
    """A login that is in no role is told so."""
    said = fails(1, "list", "--db", login(desk, "sam"))
    assert "the role sam may not read this ledger" in said
    assert "grants accord_reader" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("postgres", "it may do anything"),
        ("olga", "it may act as accord_owner"),
        ("ray", None),
        ("ann", None),
    ],
)
def test_doctor_knows_who_may_too_much(
    logins: Server, desk: Desk, name: str, said: str | None
) -> None:
    """The owner and the superuser are wrong for daily work; writer and reader are not."""
    words = ("doctor", "--db", login(desk, name), "--format", "jsonl")
    found = accord(*words).stdout
    assert (said in found) if said else ('"connected as"' in found)
    if said is None:
        assert "may act as" not in found


def test_doctor_knows_who_is_in_no_role(logins: Server, desk: Desk) -> None:
    """Rights that were given to one login alone are found, and a role is named."""
    database = str(desk.store.engine.url.database)
    places.server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO sam", database)
    found = accord("doctor", "--db", login(desk, "sam"), "--format", "jsonl").stdout
    assert "it is neither accord_writer nor accord_reader: GRANT accord_w" in found


def test_a_server_without_roles_gets_them(tmp_path: Path) -> None:
    """CREATEROLE and a database of one's own make a ledger where none ever was."""
    with new_server() as server:
        server.sql("CREATE ROLE keeper LOGIN CREATEROLE")
        server.sql("CREATE DATABASE deals OWNER keeper")
        url = server.url("deals", "keeper")
        assert "Created an empty ledger" in done("init", "--db", url).stdout
        server.sql("CREATE ROLE ann LOGIN IN ROLE accord_writer")
        # From here on whatever is committed would wait for a standby that is not there.
        server.sql("ALTER SYSTEM SET synchronous_standby_names = 'x'")
        server.sql("SELECT pg_reload_conf()")
        time.sleep(0.2)
        found = accord("doctor", "--db", server.url("deals", "ann")).stdout
        assert "no standby is connected: every append waits without end" in found


def test_doctor_finds_what_was_loosened(logins: Server, desk: Desk) -> None:
    """A right too many, a trigger that rests, a step that was not taken: each is named."""
    database = str(desk.store.engine.url.database)
    for sql in (
        "GRANT UPDATE ON events TO accord_writer",
        "GRANT CREATE ON SCHEMA public TO accord_writer",
        "ALTER TABLE commands DISABLE TRIGGER commands_not_changed",
        "UPDATE alembic_version SET version_num = '1'",
    ):
        places.server.sql(sql, database)
    found = accord("doctor", "--db", login(desk, "ann"), "--format", "jsonl").stdout
    assert "UPDATE on events, CREATE in the schema" in found
    assert "commands_not_changed missing or switched off" in found
    assert "the migrations say 1" in found


def test_an_administrator_without_all_rights_makes_ledgers(
    logins: Server, tmp_path: Path
) -> None:
    """CREATEROLE and a database of one's own are enough; twice, and beside another's."""
    server = logins
    server.sql("CREATE ROLE ada LOGIN CREATEROLE")
    server.sql(
        "GRANT accord_owner, accord_writer, accord_reader TO ada WITH ADMIN OPTION"
    )
    server.sql("CREATE DATABASE adas OWNER ada")
    try:
        url = server.url("adas", "ada")
        with at_home(tmp_path):
            assert "Created an empty ledger" in done("init", "--db", url).stdout
            assert "exists: 0 events" in done("init", "--db", url).stdout
            done(*OPEN, "--actor", "ada@a", "--db", url)
            assert done("verify", "--db", url).stdout.startswith("ok: 1 event")
    finally:
        server.sql("DROP DATABASE adas WITH (FORCE)")
        server.sql("DROP OWNED BY ada CASCADE")
        server.sql("DROP ROLE ada")


def test_one_who_may_not_make_roles_is_told(logins: Server) -> None:
    """Nothing is made where the roles cannot be."""
    server = logins
    server.sql("CREATE DATABASE sams OWNER sam")
    try:
        with pytest.raises(LedgerUnavailable, match="the role sam may not do that"):
            create_store(server.url("sams", "sam"), beside=view_tables())
        tables: list[Any] = server.sql(
            "SELECT 1 FROM pg_tables WHERE schemaname = 'public'", "sams"
        )
        assert tables == []
    finally:
        server.sql("DROP DATABASE sams WITH (FORCE)")


def test_another_encoding_is_refused(logins: Server) -> None:
    """A ledger is in UTF-8; another database is named for what it is."""
    server = logins
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(LedgerUnavailable, match="encoded in LATIN1, and a ledger"):
            create_store(server.url("latin"))
    finally:
        server.sql("DROP DATABASE latin WITH (FORCE)")
