"""Faults of a server: each gets one clear sentence, and leaves nothing half-written."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from cli_desk import batch, done, fails, line, opening
from conftest import Desk
from places import places
from servers import Server, server

from cli.hints import told
from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.database import postgres
from ledger.database.dialect import parsed, shown
from ledger.errors import (
    BatchRefused,
    InvalidValue,
    LedgerUnavailable,
    OutcomeUnknown,
    Refused,
    TryAgain,
)
from ledger.record.store import create_store, open_store

pytestmark = pytest.mark.postgresql

OPENED = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}


def database(desk: Desk) -> str:
    return str(desk.store.engine.url.database)


def refusal(url: str, kind: type[LedgerUnavailable] = LedgerUnavailable) -> str:
    """The one sentence that opening gives."""
    with pytest.raises(kind) as refused:
        open_store(url)
    text = str(refused.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server that asks Pat for a password, and lets Lou in no more than once."""
    with server() as made:
        made.sql("CREATE ROLE pat LOGIN PASSWORD 'right'")
        made.sql("CREATE ROLE lou LOGIN CONNECTION LIMIT 0")
        made.sql("CREATE DATABASE deals")
        store, _ = create_store(made.url("deals"))
        store.close()
        made.sql("GRANT accord_writer TO pat, lou")
        rules = (
            "local all pat scram-sha-256\nlocal all eve reject\nlocal all all trust\n"
        )
        (made.data / "pg_hba.conf").write_text(rules)
        made.sql("CREATE ROLE eve LOGIN")
        made.sql("CREATE ROLE fay LOGIN")
        made.sql("REVOKE CONNECT ON DATABASE deals FROM PUBLIC")
        made.sql("GRANT CONNECT ON DATABASE deals TO pat, lou")
        made.sql("SELECT pg_reload_conf()")
        yield made


@pytest.mark.parametrize(
    ("user", "name", "said"),
    [
        ("pat:wrong", "deals", "the password is wrong"),
        ("pat", "deals", "it asks for a password; ~/.pgpass may hold it"),
        ("fay", "deals", "its owner grants CONNECT on the database"),
        ("ann", "deals", "there is no such role"),
        ("eve", "deals", "the server does not let you in"),
        ("postgres", "none", "there is no such database; make it first"),
        ("lou", "deals", "it takes no more connections; try again"),
        ("postgres", "postgres", "is a database, but not a ledger"),
    ],
)
def test_who_does_not_get_in(guarded: Server, user: str, name: str, said: str) -> None:
    """Each is told why, and no password is shown."""
    text = refusal(guarded.url(name, user))
    assert said in text
    assert "wrong@" not in text
    assert ":wrong" not in text


def test_a_password_is_shown_nowhere(guarded: Server) -> None:
    """The right one neither: not by init, not by an error on the way."""
    url = guarded.url("deals", "pat:right")
    said = done("init", "--db", url).stdout
    assert "exists: 0 events" in said
    assert "right" not in said
    given = f"{guarded.url('deals', 'pat')}&password=right"
    assert "exists: 0 events" in (said := done("init", "--db", given).stdout)
    assert "right" not in said
    text = refusal(f"{given}&sslmode=bogus")
    assert "the URL is not" in text
    assert "password" not in text
    for url in (
        "postgresql://pat:right@host:port/deals",
        "postgresql://pat@host:port/deals?password=right",
        "postgresql://pat:bright@right/side@localhost/deals",
    ):
        with pytest.raises(LedgerUnavailable) as refused:
            parsed(url)
        assert "right" not in str(refused.value)
    assert "%40" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me@localhost:1/db", "no server answers there"),
        ("postgres://me@localhost:1/db", "no server answers there"),
        ("postgresql://me@localhost:1,localhost:2/db", "no server answers there"),
        ("postgresql+psycopg://me@/db?host=/nowhere", "no server answers there"),
        ("postgresql://me@localhost:1/db?colour=red", "the URL is not right"),
        ("postgresql://me@localhost:1/db?connect_timeout=abc", "the URL is not right"),
        ("postgresql+psycopg2://me@localhost/db", "reached with psycopg 3 alone"),
        ("postgresql://me@localhost", "The URL names no database"),
        ("mysql://me@localhost/db", "kept in SQLite files and in PostgreSQL"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    """A URL that leads nowhere is told for what it is."""
    assert said in refusal(url)


def test_several_hosts_in_one_url() -> None:
    """As libpq writes them: each with its port, or without."""
    url, _ = parsed("postgresql://u:p@one:5433,[::1],two/db?sslmode=require")
    assert url.query == {
        "host": "one,::1,two",
        "port": "5433,,",
        "sslmode": "require",
        "target_session_attrs": "read-write",
    }
    asked, _ = parsed("postgresql://u@one,two/db?target_session_attrs=any")
    assert asked.query["target_session_attrs"] == "any"
    assert shown(url).startswith("postgresql+psycopg://u:***@/db?host=")


def test_a_lock_that_is_held_too_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer waits, and then says that another is in the way."""
    monkeypatch.setattr(postgres, "_WRITE", postgres._WRITE.replace("10s", "200ms"))
    with psycopg.connect(places.server.dsn(database(desk))) as holder:
        holder.execute("SELECT * FROM tree_head FOR UPDATE")
        with pytest.raises(TryAgain, match="is locked by another program; nothing was"):
            desk.do("agreement open", **OPENED)
    desk.do("agreement open", **OPENED)


def test_a_statement_that_takes_too_long(desk: Desk) -> None:
    """The server's own limit ends a command, which can be repeated."""
    sql = f"ALTER DATABASE {database(desk)} SET statement_timeout = "
    places.server.sql(sql + "'200ms'")
    desk.store.engine.dispose()
    with psycopg.connect(places.server.dsn(database(desk))) as holder:
        holder.execute("SET statement_timeout = 0")
        holder.execute("SELECT * FROM tree_head FOR UPDATE")
        with pytest.raises(TryAgain, match="stopped what took too long"):
            desk.do("agreement open", **OPENED)
    desk.do("agreement open", **OPENED)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("disk_full", "is full; nothing was written"),
        ("data_corrupted", "is damaged: .* Restore it from a backup"),
        ("deadlock_detected", "another program was in the way .* Try again"),
        ("invalid_parameter_value", "no space; nothing was written"),
    ],
)
def test_a_fault_while_writing(desk: Desk, code: str, said: str) -> None:
    """The server says what is wrong: nothing is written, and it can be repeated."""
    where = places.server.dsn(database(desk))
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '{code}'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON commands "
            "EXECUTE FUNCTION full_disk()"
        )
        with pytest.raises(LedgerUnavailable, match=said):
            desk.do("agreement open", **OPENED)
        assert desk.store.head().size == 0
        connection.execute("DROP TRIGGER full_disk ON commands")
    desk.do("agreement open", **OPENED)
    assert verify(desk.store).events == 1


def end_all(desk: Desk) -> None:
    """End every connection to the desk's ledger, as an administrator may."""
    places._alone(database(desk))


class Cut(Ledger):
    """A ledger whose server goes away between deciding and appending."""

    def record(self, *events: Any, **kwargs: Any) -> Any:
        end_all(DESK[0])
        return super().record(*events, **kwargs)


DESK: list[Desk] = []


def test_a_server_that_goes_before_the_append(desk: Desk) -> None:
    """Nothing was written; the same command goes through when it is back."""
    DESK[:] = [desk]
    with pytest.raises(TryAgain, match=r"went away: .*Nothing was written"):
        Cut(desk.store).execute(desk.request("agreement open", **OPENED))
    assert desk.store.head().size == 0
    desk.do("agreement open", **OPENED)


def at_commit(desk: Desk, what: Any) -> None:
    """Do something just before the next append is committed, once."""

    def commit(connection: Any) -> None:
        if connection.get_execution_options().get("accord_writes") and what:
            what.pop()()

    sa.event.listen(desk.store.engine, "commit", commit)


def test_a_server_that_goes_while_it_commits(desk: Desk) -> None:
    """Nobody knows: it says so, and with which id to repeat the command."""
    at_commit(desk, [lambda: end_all(desk)])
    with pytest.raises(OutcomeUnknown, match=r"is not known\.$") as unknown:
        desk.do("agreement open", **OPENED)
    assert "is not known. Repeat it with --command-id " in told(unknown.value)
    at_commit(desk, [lambda: end_all(desk)])
    with pytest.raises(OutcomeUnknown, match="Repeat it as it is: its command id is"):
        desk.do("agreement open", **OPENED, command_id="mine")
    desk.do("agreement open", **OPENED, command_id="mine")
    receipt = desk.ledger.execute(
        desk.request("agreement open", **OPENED, command_id="mine")
    )
    assert receipt.repeated
    assert desk.store.head().size == 1


def test_a_batch_can_be_repeated_too(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`append --command-id` names every line: once more is as good as once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", desk.url)
    file = batch(
        opening(),
        line("agreement record-statement", statement="s", speaker="A", text="T"),
    )
    words = ("append", file, "--actor", "ann@acme", "--command-id", "monday")
    done(*words)
    done(*words)
    assert desk.store.head().size == 2
    assert desk.store.commands(["monday/1", "monday/2"]).keys() == {
        "monday/1",
        "monday/2",
    }


def test_a_listener_outlives_its_connection(desk: Desk) -> None:
    """Where the connection that listens is ended, another is made."""
    waker = postgres.waker(desk.store.engine)
    waker.wait()
    end_all(desk)
    waker.wait()
    desk.store.engine.dispose()
    waker.wait()
    assert places.server.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN accord' "
        f"AND datname = '{database(desk)}'"
    ) == [(1,)]
    waker.close()


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no psycopg is told how to get it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = refusal("postgresql://me@localhost/db")
    assert "pip install" in said
    assert "accord-ledger[postgres]" in said


def test_recorded_and_not_read_back(desk: Desk) -> None:
    """Where the server goes after the commit, what was recorded is said all the same."""

    class Late(Ledger):
        def record(self, *events: Any, **kwargs: Any) -> Any:
            found = super().record(*events, **kwargs)
            end_all(desk)
            return found

    with pytest.raises(LedgerUnavailable, match="It is recorded, at positions 1 to 1;"):
        _ = Late(desk.store).execute(desk.request("agreement open", **OPENED)).events
    assert desk.store.head().size == 1


def test_a_refusal_that_is_not_kept_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that may only read is refused by the rule, with a note about the note."""
    desk.do("agreement open", **OPENED)
    sql = "REVOKE INSERT ON refused FROM accord_writer"
    places.server.sql(sql, database(desk))
    places.server.sql("CREATE ROLE wil LOGIN IN ROLE accord_writer")
    try:
        ledger = Ledger(open_store(desk.url.replace("postgres@", "wil@"), desk.clock))
        with pytest.raises(Refused) as refused:
            ledger.execute(desk.request("agreement bring-into-effect"))
        assert "could not be noted" in refused.value.__notes__[0]
        ledger.close()
    finally:
        places.server.sql("DROP ROLE wil")


def test_no_text_holds_a_nul(desk: Desk) -> None:
    """PostgreSQL keeps none: an id with one is refused, what is refused is noted."""
    with pytest.raises(InvalidValue, match="holds a NUL character"):
        desk.do("agreement open", **OPENED, command_id="a\0b")
    with pytest.raises(InvalidValue):
        desk.do("agreement open", **OPENED, deal="a\0b")
    with pytest.raises(BatchRefused):
        desk.ledger.execute_batch(
            [(1, desk.request("agreement bring-into-effect", command_id="x\0"))]
        )
    (event,) = desk.do("agreement open", **{**OPENED, "title": "A\0B"})
    assert event.data.title == "A\0B"
    desk.refuses("AGR-14", "agreement open", **{**OPENED, "title": "A\0B"})


def test_two_make_a_ledger_at_once(desk: Desk, tmp_path: Path) -> None:
    """In two databases of one server too, where both make the same roles."""
    urls = [places.address(tmp_path / f"{n}.db") for n in range(3)]
    made: list[bool] = []

    def create(url: str) -> None:
        store, new = create_store(url)
        store.close()
        made.append(new)

    threads = [threading.Thread(target=create, args=(url,)) for url in urls * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 3 + [True] * 3


def test_what_a_command_line_says(desk: Desk, tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    nowhere = f"postgresql://me@/db?host={tmp_path}"
    assert "no server answers there" in fails(1, "list", "--db", nowhere)
