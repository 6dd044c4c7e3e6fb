"""Whatever a user gets wrong: one clear sentence, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli_desk import (
    LOI,
    OPEN,
    accord,
    batch,
    done,
    fails,
    line,
    opening,
    process,
    size,
)
from places import address
from sqlalchemy.engine import Engine


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which Ann of Acme keeps a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("init")
    return tmp_path


# What can be judged without opening the ledger: exit 2, and no ledger is needed.


def loi(terms: str) -> tuple[str, ...]:
    return (*LOI[:-1], terms)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ('{"capacity_floor": "10 GWh"}', "'10 GWh' is not power"),
        ('{"capacity_floor": "10 gw"}', "capitals matter"),
        ('{"capacity_floor": "-1 GW"}', "'-1 GW' is negative"),
        ('{"capacity_floor": "ten GW"}', "'ten' is not a number"),
        ('{"funding_cap": "5bn XXY"}', "'XXY' is not a known currency"),
        ('{"funding_cap": "5bn usd"}', "Did you mean USD?"),
        ('{"funding_cap": "-5 USD"}', "'-5 USD'"),
        ('{"funding_cap": "1,000 USD"}', "without separators"),
        ('{"funding_cap": "1.005 USD"}', "2 decimals"),
        ('{"funding_cap": 5}', "--terms"),
        ('{"pue": 1.2}', "--terms"),
        ('{"pue": "NaN"}', "'NaN' is not"),
        ('{"pue": NaN}', "NaN is not a number"),
        ('{"no_such_term": "1"}', "no_such_term"),
        ('{"pue": "1.2", "pue": "1.3"}', "'pue' stands twice"),
        ("{pue}", "--terms is not JSON"),
        ("9" * 5000, "--terms"),
        ("[" * 100_000, "--terms is not JSON"),
    ],
)
def test_bad_quantity(terms: str, words: str):
    """A wrong unit, currency, sign or number is named, with the option it stands in."""
    assert words in fails(2, *loi(terms), "--db", "sqlite:///nowhere/accord.db")
    assert size() == 0


@pytest.mark.parametrize("day", ["2025-02-30", "22.09.2025", "2025-9-1", "tomorrow"])
@pytest.mark.parametrize("option", ["--effective-on", "--expires-on"])
def test_impossible_date_of_a_command(day: str, option: str):
    """A day that is not in the calendar, or not written as one, is named."""
    assert repr(day) in fails(2, *LOI, option, day)


@pytest.mark.parametrize("option", ["--as-of", "--known-at"])
@pytest.mark.parametrize("day", ["2025-02-30", "soon", "2025-01-01T25:00", "20250101"])
def test_impossible_date_of_a_read(day: str, option: str):
    """The same for the two dates of a read."""
    assert repr(day) in fails(2, "show", "acme-orion", option, day)


def test_missing_actor(monkeypatch: pytest.MonkeyPatch):
    """A write without an actor is refused, and says how to name one."""
    monkeypatch.delenv("ACCORD_ACTOR")
    message = fails(2, *OPEN)
    assert "--actor NAME@PARTY" in message
    assert "ACCORD_ACTOR" in message
    assert size() == 0


@pytest.mark.parametrize("actor", ["ann", "@acme", "ann@ACME", "ann@"])
def test_actor_without_party(actor: str):
    """An actor that is no NAME@PARTY is named."""
    assert "error: " in fails(2, *OPEN, "--actor", actor)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shwo", "acme-orion"), "Did you mean"),
        (("agreement", "sign-lio", "acme-orion"), "Did you mean"),
        (("show",), "DEAL"),
        (("show", "Not A Slug"), "'Not A Slug' is not a slug"),
        (("show", "acme-orion", "--format", "xml"), "xml"),
        (("show", "acme-orion", "--colour"), "--colour"),
        (("view", "no-such-view"), "no-such-view"),
        (("demo", "no-such-deal"), "no-such-deal"),
        (("agreement", "open", "acme-orion"), "--title is missing"),
        (("system", "ship", "acme-orion", "no-slash", "--shipment", "S"), "no-slash"),
        (("agreement", "suspend", "acme-orion", "--scopes", "all"), "--scopes"),
    ],
)
def test_misuse(words: tuple[str, ...], said: str):
    """An unknown command, option, view or choice is a usage error."""
    assert said in fails(2, *words)


def test_every_missing_option_is_named_at_once():
    """A user is not sent back for one option after another."""
    message = fails(2, "agreement", "open", "acme-orion")
    for option in ("--title", "--capital", "--capacity"):
        assert option in message


# What the ledger or the world refuses: exit 1.


def test_unknown_deal():
    """A deal that is not on the record is named; so is the way to those that are."""
    message = fails(1, "show", "no-such-deal")
    assert "no-such-deal" in message
    assert "accord list" in message
    assert "no-such-deal" in fails(1, "agreement", "close", "no-such-deal")


def test_refusal_names_its_rule_and_what_to_do():
    """A refusal prints its rule code, its sentence, and what to do."""
    done(*OPEN)
    message = fails(1, *OPEN)
    assert message.startswith("error: AGR-14: ")
    assert size() == 1


def test_fact_of_tomorrow():
    """What has not happened yet is no event; that is for the ledger's clock to say."""
    assert "future" in fails(1, *OPEN, "--effective-on", "2999-01-01")


def test_value_that_only_the_record_can_judge():
    """A path of an amendment that fits no term is judged against the record."""
    done(*OPEN)
    done(*LOI)
    terms = '{"capacity_basis": "rated"}'
    signed = ("--signatories", "acme", "--signatories", "orion", "--terms", terms)
    evidence = '{"title": "Agreement", "kind": "signed_agreement"}'
    deal = ("agreement", "sign-definitive", "acme-orion")
    done(*deal, *signed, "--evidence", evidence)
    changes = '{"path": "no_such_term", "new": "1"}'
    message = fails(
        1, "agreement", "propose-amendment", "acme-orion", "A1", "--changes", changes
    )
    assert "no_such_term" in message


def test_no_ledger_there():
    """A read on a ledger that is not there says how to make one."""
    message = fails(1, "list", "--db", address("elsewhere.db"))
    assert "accord init" in message
    assert not Path("elsewhere.db").exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("words", [("list",), ("verify",), ("export",), OPEN])
def test_not_a_ledger(words: tuple[str, ...]):
    """A file that is no database, and a database that is no ledger, are told apart."""
    Path("text.db").write_text("This is no database, only a few words. " * 50)
    assert "text.db is not a ledger" in fails(1, *words, "--db", address("text.db"))
    other = sqlite3.connect("other.db")
    other.execute("CREATE TABLE accounts (id INTEGER)")
    other.close()
    message = fails(1, *words, "--db", address("other.db"))
    assert "other.db is a database, but not a ledger" in message


@pytest.mark.sqlite
def test_init_spares_another_database():
    """`init` does not make a ledger of somebody else's database."""
    other = sqlite3.connect("other.db")
    other.execute("CREATE TABLE accounts (id INTEGER)")
    other.close()
    assert "other tables" in fails(1, "init", "--db", address("other.db"))


@pytest.mark.parametrize(
    "db",
    ["accord.db", "mysql://x/y", "sqlite://", "sqlite:///.", "::", "sqlite:///a/b"],
)
def test_impossible_places(db: str):
    """A ledger's place that cannot be one is refused in a sentence."""
    fails(1, "list", "--db", db)
    fails(1, "init", "--db", db)


@pytest.mark.sqlite
def test_newer_schema():
    """A ledger of a newer schema is not read, let alone written."""
    database = sqlite3.connect("accord.db")
    database.execute("UPDATE accord_meta SET value = '99' WHERE key = 'schema'")
    database.commit()
    database.close()
    for words in (("list",), ("verify",), OPEN, ("init",)):
        message = fails(1, *words)
        assert "schema 99" in message
        assert "newer" in message


@pytest.mark.sqlite
def test_newer_event():
    """An event of a newer schema stops a read; it is never skipped."""
    done(*OPEN)
    database = sqlite3.connect("accord.db")
    database.execute("DROP TRIGGER events_no_update")
    database.execute(
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), '\"schema\":1', "
        "'\"schema\":9') AS BLOB)"
    )
    database.commit()
    database.close()
    message = fails(1, "show", "acme-orion", "--known-at", "2999-01-01")
    assert "REC-10" in message
    assert "schema 9" in message


@pytest.mark.sqlite
def test_locked_ledger(monkeypatch: pytest.MonkeyPatch):
    """A ledger that another program holds is a sentence, not a wait without end."""
    import ledger.database.sqlite

    monkeypatch.setattr(ledger.database.sqlite, "BUSY_S", 0.1)
    holder = sqlite3.connect("accord.db")
    holder.execute("BEGIN IMMEDIATE")
    message = fails(1, *OPEN)
    holder.rollback()
    holder.close()
    assert "locked by another program" in message
    assert size() == 0


@pytest.mark.sqlite
def test_full_disk():
    """A disk that fills up within a batch leaves nothing of it."""
    done("append", batch(opening()))

    def fill(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    lines = [opening(f"deal-{n}", reason="x" * 900) for n in range(40)]
    sa.event.listen(Engine, "connect", fill)
    try:
        message = fails(1, "append", batch(*lines))
    finally:
        sa.event.remove(Engine, "connect", fill)
    assert "full" in message
    assert "nothing was written" in message
    assert size() == 1
    done("verify")


def test_full_disk_of_an_export():
    """An export that does not fit is one sentence, too."""
    done(*OPEN)
    if Path("/dev/full").exists():
        assert "No space left" in fails(1, "export", "/dev/full")


def test_export_into_no_folder():
    """A file that cannot be made is named, and the old one stays."""
    done(*OPEN)
    assert "error: no/such/file.jsonl: " in fails(1, "export", "no/such/file.jsonl")


@pytest.mark.parametrize("words", [("append", "none.jsonl"), ("import", "none.jsonl")])
def test_missing_file(words: tuple[str, ...]):
    """A file that is not there is named."""
    assert "none.jsonl: No such file" in fails(1, *words)


def test_missing_file_of_an_option():
    """So is one that an option names."""
    assert "none.json: No such file" in fails(1, *loi("@none.json"))


# A batch: every problem with its line, exit 1, nothing written.


def test_broken_lines_are_all_reported():
    """Syntax, keys, commands, values and refusals of one batch come in one answer."""
    name = batch(
        opening(),
        "{broken",
        "[1, 2]",
        '{"command": "agreement close"}',
        line("agreement opne"),
        line("agreement close", colour="red"),
        line("agreement sign-loi", signatories=["acme"], terms={"pue": "much"}),
        line("agreement close", effective_on="2025-02-30"),
        "",
        line("agreement close", "no-such-deal"),
        line("agreement close", actor="nobody"),
        line("agreement close", status="certain"),
    )
    message = fails(1, "append", name)
    said = {
        2: "is not JSON",
        3: "not a JSON object",
        4: "no 'deal'",
        5: "Did you mean 'agreement open'",
        6: "'colour' is not a parameter",
        7: "'terms': 'much' is not",
        8: "2025-02-30",
        10: "'no-such-deal' is not on the record",
        11: "'nobody' is not an actor",
        12: "status",
    }
    for number, words in said.items():
        found = [text for text in message.split("\n") if f"line {number}: " in text]
        assert len(found) == 1, (number, message)
        assert words in found[0]
    assert "line 1: " not in message
    assert "line 9: " not in message
    assert "Nothing was written: 10 problems." in message
    assert size() == 0


def test_broken_batch_from_standard_input():
    """The same when it comes through a pipe."""
    assert "line 1: " in fails(1, "append", "-", stdin="{broken\n")


def test_batch_that_is_not_text():
    """Bytes that are no text are a problem of their line."""
    data = json.dumps(opening()).encode() + b"\n\xff\xfe\n"
    assert "line 2: the line is not UTF-8" in fails(1, "append", "-", stdin=data)
    assert size() == 0


def test_batch_without_actor(monkeypatch: pytest.MonkeyPatch):
    """In a batch, too, somebody has to act."""
    monkeypatch.delenv("ACCORD_ACTOR")
    message = fails(1, "append", batch(opening(), opening("two", actor="bo@orion")))
    assert "line 1: Nobody acts." in message
    assert "line 2" not in message


def test_refused_dry_run_says_the_same():
    """A dry run of a broken batch reports the same problems."""
    name = batch("{broken", line("agreement close"))
    message = fails(1, "append", name, "--dry-run")
    assert "line 1: " in message
    assert "line 2: " in message


# Bytes, hashes and heads: exit 3.


@pytest.mark.sqlite
def test_changed_byte_is_found():
    """A byte changed behind the ledger's back makes verify exit 3, and name it."""
    done(*OPEN)
    done(*LOI)
    database = sqlite3.connect("accord.db")
    database.execute("DROP TRIGGER events_no_update")
    database.execute(
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), 'ann', 'bob') "
        "AS BLOB) WHERE position = 2"
    )
    database.commit()
    database.close()
    message = fails(3, "verify")
    assert "2" in message


# Interrupted runs.


def test_interrupted_run():
    """Ctrl-C while a batch comes in: exit 130, a sentence, nothing written."""
    running = process("append", "-")
    assert running.stdin is not None
    running.stdin.write(json.dumps(opening()).encode() + b"\n")
    running.stdin.flush()
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 130
    assert b"Interrupted" in stderr
    assert b"Traceback" not in stderr
    assert size() == 0


def test_reader_that_went_away():
    """A pipe that closes early is met with silence."""
    lines = [opening(f"deal-{n}") for n in range(300)]
    done("append", batch(*lines))
    read, write = os.pipe()
    os.close(read)
    running = process("history", "--format", "jsonl", stdout=write)
    os.close(write)
    _, stderr = running.communicate(timeout=60)
    assert b"Traceback" not in stderr
    assert b"error" not in stderr
    assert running.returncode == 1


def test_terminal_that_knows_few_letters():
    """A title that the terminal cannot show is shown as far as it goes."""
    title = ("--title", "Ørsted → Škoda")
    done(*OPEN[:3], *title, *OPEN[5:])
    running = process("list", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 0, stderr


def test_unknown_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch):
    """A programmer's error is no user's mistake: it keeps its traceback."""
    import cli.commands.reads

    def broken(*_: object) -> None:
        raise TypeError("broken")

    monkeypatch.setattr(cli.commands.reads, "_write", broken)
    assert isinstance(accord("list").exception, TypeError)
