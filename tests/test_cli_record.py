"""The record as a whole: made, filled, verified, carried away and back."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path

import pytest
from cli_desk import (
    LOI,
    OPEN,
    accord,
    answer,
    batch,
    done,
    fails,
    line,
    opening,
    process,
    size,
)
from places import address

from cli.commands.demo import _demos
from cli.main import root


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which Ann of Acme keeps a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    return tmp_path


@pytest.mark.sqlite
def test_init_makes_a_ledger_once(folder: Path):
    """`init` says where the ledger is; a second one leaves it as it is."""
    assert str(folder / "accord.db") in done("init").stdout
    done(*OPEN)
    again = done("init").stdout
    assert "exists: 1 event." in again
    assert size() == 1


@pytest.mark.sqlite
def test_ledger_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    """ACCORD_DB names the ledger; `--db` comes before it."""
    monkeypatch.setenv("ACCORD_DB", address("there.db"))
    done("init")
    assert Path("there.db").exists()
    done("init", "--db", address("here.db"))
    assert Path("here.db").exists()
    assert not Path("accord.db").exists()


@pytest.mark.parametrize("name", sorted(_demos()))
def test_demo_loads_once(name: str):
    """A packaged deal is loaded whole; loading it again writes nothing."""
    first = done("demo", name)
    assert f"Loaded {name}: " in first.stdout
    assert "Created a ledger" in first.stderr
    count = size()
    assert count > 0
    again = done("demo", name)
    assert "on the record already" in again.stdout
    assert size() == count
    assert answer("demo", name)[0]["repeated"] is True
    done("verify", "--views")


def test_demos_are_packaged():
    """Both deal files are there, and the real one is the default."""
    assert set(_demos()) == {"openai-nvidia", "milestone-machine"}
    done("demo")
    assert "openai-nvidia" in done("list").stdout


def test_append_records_a_batch():
    """A batch is recorded line by line; a blank line is none."""
    done("init")
    name = batch(
        opening(), "", line("agreement link", relation="complements", other="x")
    )
    shown = done("append", name).stdout
    assert "Recorded 2 events" in shown
    assert "agreement.linked" in shown
    assert size() == 2


def test_append_reads_standard_input():
    """`-` is standard input."""
    done("init")
    done("append", "-", stdin=json.dumps(opening()))
    assert size() == 1


def test_append_takes_the_actor_of_the_line_first():
    """`--actor` stands for the lines that name nobody."""
    done("init")
    done("append", batch(opening(actor="bo@orion"), opening("two")), "--actor", "cy@x")
    actors = [json.loads(text)["provenance"]["actor"]
              for text in done("export").stdout.splitlines()]  # fmt: skip
    assert actors == ["bo", "cy"]


def test_append_answers_repeats():
    """A batch that is sent again writes only what is new."""
    done("init")
    first = opening(command_id="one")
    done("append", batch(first))
    shown = done("append", batch(first, opening("two", command_id="two"))).stdout
    assert "Recorded 1 event" in shown
    assert "Already recorded under command id one" in shown
    assert size() == 2
    many = done("append", batch(first, opening("two", command_id="two"))).stdout
    assert "2 commands were recorded before" in many


def test_append_dry_run_shows_and_writes_nothing():
    """A dry run shows the events of the whole batch, and what they would change."""
    done("init")
    terms = {"capacity_floor": "10 GW", "funding_cap": "100bn USD"}
    letter = line("agreement sign-loi", signatories=["acme", "orion"], terms=terms)
    shown = done("append", batch(opening(), letter), "--dry-run")
    assert "agreement.opened" in shown.stdout
    assert "agreement.loi_signed" in shown.stdout
    assert "10.000 GW" in shown.stdout
    assert "nothing was written" in shown.stderr
    assert size() == 0


def test_append_of_many_counts_them():
    """A long batch is summed up by type, not listed."""
    done("init")
    name = batch(*(opening(f"deal-{n}") for n in range(101)))
    assert "Would record 101 events" in done("append", name, "--dry-run").stdout
    shown = done("append", name).stdout
    assert "Recorded 101 events, positions 1 to 101" in shown
    assert shown.count("agreement.opened") == 1


def test_append_of_nothing():
    """An empty batch is no mistake and no entry."""
    done("init")
    done("append", batch(""))
    assert size() == 0


def test_export_and_import_make_the_same_record():
    """A copy by export and import has the same bytes and the same tree head."""
    done("init")
    done(*OPEN)
    done(*LOI)
    done("export", "record.jsonl")
    piped = done("export")
    assert Path("record.jsonl").read_bytes() == piped.stdout_bytes
    assert "Exported 2 events" in piped.stderr
    copy = ("--db", address("copy.db"))
    taken = done("import", "record.jsonl", *copy)
    assert "Imported 2 events" in taken.stderr
    assert answer("verify", *copy)["tree_head"] == answer("verify")["tree_head"]
    assert done("export", *copy).stdout_bytes == piped.stdout_bytes
    again = done("import", "-", *copy, stdin=piped.stdout_bytes)
    assert "Imported 0 events; 2 stood already" in again.stderr


def test_export_replaces_a_file_only_when_it_is_done(monkeypatch: pytest.MonkeyPatch):
    """An export that fails leaves the old file, and nothing beside it."""
    done("init")
    done(*OPEN)
    Path("record.jsonl").write_text("old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ledger.custody.transfer.export", broken)
    assert "No space left" in fails(1, "export", "record.jsonl")
    assert Path("record.jsonl").read_text() == "old"
    assert sorted(p.name for p in Path().glob("record*")) == ["record.jsonl"]


def test_import_refuses_a_fork():
    """A file that is no continuation is refused, and says where the two part."""
    done("init")
    done(*OPEN)
    done("export", "record.jsonl")
    other = ("--db", address("other.db"))
    done("init", *other)
    done(*OPEN, *other)
    assert "Line 1 differs" in fails(1, "import", "record.jsonl", *other)
    Path("racks.csv").write_text("system,shipment\nnvidia/VR-1,S1\n")
    said = fails(1, "import", "racks.csv", *other)
    assert "this is no export of a ledger" in said
    assert "'accord system import'" in said


def test_verify_says_what_it_found_whole():
    """`verify` prints a line: how many events, the tree head, ok."""
    done("init")
    done(*OPEN)
    shown = done("verify").stdout
    assert shown.startswith("ok: 1 event, tree head ")
    report = answer("verify", "--views")
    assert report["ok"] is True
    assert report["events"] == 1
    assert len(report["tree_head"]) == 64


def test_views_status_and_rebuild():
    """The stored views say how far they are, and can be built anew."""
    done("init")
    done(*OPEN)
    done("list")
    rows = answer("views", "status")["views"]
    assert {row["view"] for row in rows} >= {"standing", "fleet"}
    assert all(row["position"] == 1 for row in rows)
    before = answer("show", "acme-orion")
    assert "Rebuilt" in done("views", "rebuild").stdout
    assert "Rebuilt standing" in done("views", "rebuild", "standing").stdout
    assert answer("show", "acme-orion") == before


def test_progress_shows_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch):
    """What takes longer than a second shows a bar, and only on a terminal."""
    from cli.screen import progress

    assert "\x1b" not in done("init").stderr
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.progress("Working") as bar:
        bar(1, 2)
        bar(2, None)
        assert bar._shown is not None


def test_no_escape_sequences_off_a_terminal():
    """Off a terminal there is no colour, and no other sequence either."""
    done("init")
    done(*OPEN)
    for words in (("list",), ("show", "acme-orion"), ("view",), ("history",)):
        assert "\x1b" not in done(*words).stdout


@pytest.mark.parametrize(
    ("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)]
)
def test_colour_on_a_terminal(extra: dict[str, str], coloured: bool):
    """On a terminal a reported fact is marked in words and colour; NO_COLOR is honoured."""
    done("init")
    done(*OPEN, "--status", "reported")
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", **extra}
    running = process("history", stdout=terminal, env=environment)
    assert running.wait(timeout=30) == 0
    running.communicate()
    text = os.read(controller, 65536)
    os.close(controller)
    os.close(terminal)
    assert b"? reported" in text
    assert (b"\x1b[33m" in text) is coloured


def test_root_is_a_click_group():
    """The root can be invoked as a user would, and nothing is left open."""
    assert accord().exit_code == 2
    assert "accord demo" in accord().stderr
    assert root.name == "accord"
