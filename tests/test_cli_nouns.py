"""`accord NOUN VERB DEAL …`: made from the commands' own functions."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
import pytest
from cli_desk import LOI, OPEN, accord, answer, batch, done, fails, line, size
from places import address

from cli.commands.nouns import NOUNS, NounGroup
from cli.main import root
from ledger.commands.registry import COMMANDS, COMMON, MODULES

TAKEN = {*COMMON, "deal", "db", "actor", "form", "format", "dry_run", "help", "command"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which Ann of Acme keeps a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    return tmp_path


def events() -> list[dict[str, str]]:
    """Every event of the ledger in this folder, as it is exported."""
    return [json.loads(text) for text in done("export").stdout.splitlines()]


def test_nouns_are_the_modules_of_commands():
    """Each module of commands is a noun of the command line, and no other."""
    assert list(NOUNS) == [module.__name__.rpartition(".")[2] for module in MODULES]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str):
    """Each command shows its line, its options and its examples, within 80 columns."""
    noun, verb = name.split()
    command = COMMANDS[name]
    shown = done(noun, verb, "--help").stdout
    assert command.summary.split()[0] in shown
    assert "Example:" in shown
    for parameter in command.parameters:
        option = parameter.name.replace("_", "-")
        as_argument = parameter.positional or parameter.name == "positions"
        assert (parameter.name.upper() if as_argument else option) in shown
    for common in COMMON:
        assert f"--{common.replace('_', '-')}" in shown
    for text in shown.splitlines():
        assert len(text) <= 80 or "'" in text, text


@pytest.mark.parametrize("name", COMMANDS)
def test_no_parameter_hides_a_common_one(name: str):
    """No command has a parameter of a name that stands for something else here."""
    assert not {p.name for p in COMMANDS[name].parameters} & TAKEN


def test_every_verb_is_listed_with_its_noun():
    """A noun's help lists its verbs, and they are those of the registry, and the import."""
    context = click.Context(root)
    listed = [
        f"{noun} {verb}"
        for noun in NOUNS
        for verb in NounGroup(noun).list_commands(context)
    ]
    assert sorted(listed) == sorted([*COMMANDS, "system import"])


def test_a_command_records_what_its_options_say():
    """Options become the event's fields; common ones, its provenance."""
    done("init")
    done(*OPEN, "--fictional", "--effective-on", "2025-01-02", "--reason", "why")
    done(
        *LOI,
        "--binding-clauses", "confidentiality",
        "--binding-clauses", "exclusivity",
        "--expires-on", "2026-01-01",
        "--evidence", '{"title": "Letter", "grade": "P"}',
        "--evidence", '[{"title": "Report", "grade": "S"}]',
        "--correlation-id", "case-1",
        "--actor", "Bo  Berg@orion",
    )  # fmt: skip
    opened, signed = events()
    assert opened["data"]["fictional"] is True
    assert opened["provenance"]["effective_on"] == "2025-01-02"
    assert opened["provenance"]["reason"] == "why"
    assert signed["data"]["binding_clauses"] == ["confidentiality", "exclusivity"]
    assert signed["data"]["expires_on"] == "2026-01-01"
    assert signed["data"]["terms"]["capacity_floor"] == "10000000000 W"
    assert [item["title"] for item in signed["provenance"]["evidence"]] == [
        "Letter",
        "Report",
    ]
    assert signed["provenance"]["actor"] == "Bo Berg"
    assert signed["provenance"]["party"] == "orion"
    assert signed["provenance"]["correlation_id"] == "case-1"


def test_json_comes_from_a_file_too(folder: Path):
    """`@file.json` reads a tree from a file, `@-` from standard input."""
    done("init")
    done(*OPEN)
    terms = {"capacity_floor": "1 GW"}
    (folder / "terms.json").write_text(json.dumps(terms), encoding="utf-8-sig")
    done(*LOI[:-1], "@terms.json", "--dry-run")
    done(*LOI[:-1], "@-", stdin=json.dumps(terms))
    assert events()[1]["data"]["terms"] == {"capacity_floor": "1000000000 W"}


def test_broken_json_of_a_file_is_named(folder: Path):
    """A broken file is named with the place where it breaks."""
    (folder / "terms.json").write_text('{\n  "pue": }')
    message = fails(2, *LOI[:-1], "@terms.json")
    assert "--terms: terms.json is not JSON" in message
    assert "line 2" in message
    (folder / "terms.json").write_bytes(b"\xff")
    assert "not UTF-8" in fails(2, *LOI[:-1], "@terms.json")


def test_command_line_and_batch_are_the_same_command():
    """Under one command id, an option set and a batch line are repeats of each other."""
    done("init")
    keys = {
        "title": "Acme and Orion",
        "capital": ["acme"],
        "capacity": ["orion"],
        "command_id": "open-1",
    }
    done("append", batch(line("agreement open", **keys)))
    again = done(*OPEN, "--command-id", "open-1")
    assert "Already recorded under command id open-1: position 1." in again.stdout
    assert "Nothing was written" in again.stdout
    assert size() == 1
    assert "REC-05" in fails(1, *OPEN, "--fictional", "--command-id", "open-1")


def test_receipt_says_what_was_recorded():
    """A write prints positions and types, as a table or as data."""
    done("init")
    shown = done(*OPEN).stdout
    assert "Recorded 1 event" in shown
    assert "agreement.opened" in shown
    receipt = answer(*LOI)
    assert receipt["repeated"] is False
    (event,) = receipt["events"]
    assert event["position"] == 2
    assert event["type"] == "agreement.loi_signed"
    assert event["stream"] == "agreement/acme-orion"
    row = done("agreement", "link", "acme-orion", "--relation", "complements",
               "--other", "x", "--format", "jsonl")  # fmt: skip
    assert json.loads(row.stdout)["type"] == "agreement.linked"


def test_dry_run_writes_nothing():
    """A dry run shows the event and what it would change, and leaves no trace."""
    done("init")
    shown = done(*OPEN, "--dry-run")
    assert "agreement.opened" in shown.stdout
    assert "nothing was written" in shown.stderr
    assert size() == 0
    done(*OPEN)
    assert fails(1, *OPEN, "--dry-run").startswith("error: AGR-14: ")
    assert accord(*LOI, "--dry-run").exit_code == 0
    assert size() == 1


def test_dry_run_tells_the_change():
    """The change is told by rung, before and after."""
    done("init")
    done(*OPEN)
    changes = answer(*LOI, "--dry-run")["changes"]
    announced = next(c for c in changes if c["row"] == "funding/announced")
    assert announced["deal"] == "acme-orion"
    assert (announced["old"], announced["new"]) == ("0.00", "100000000000.00")
    assert "0.00 USD → 100,000,000,000.00 USD" in done(*LOI, "--dry-run").stdout


def test_where_and_who_stand_before_the_noun_or_after_the_verb(
    monkeypatch: pytest.MonkeyPatch,
):
    """`--db` and `--actor` count in both places; the later one wins."""
    monkeypatch.delenv("ACCORD_ACTOR")
    place = address("other.db")
    done("--db", place, "init")
    done("--db", place, "--actor", "ann@acme", *OPEN)
    done("--actor", "bo@orion", *LOI, "--db", place, "--actor", "cy@orion")
    assert not Path("accord.db").exists()
    done("init")
    monkeypatch.setenv("ACCORD_DB", place)
    actors = [event["provenance"]["actor"] for event in events()]
    assert actors == ["ann", "cy"]


EXAMPLES = [text for command in COMMANDS.values() for text in command.examples]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_commands(example: str):
    """What a help text shows as an example can be typed: the ledger alone may refuse."""
    done("init")
    result = accord(*shlex.split(example)[1:])
    assert result.exit_code in {0, 1}, result.stderr
    assert isinstance(result.exception, SystemExit | None), result.exception
