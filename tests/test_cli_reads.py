"""Reads: every view in every form, as of a day, as known at a time, with its footer."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_desk import (
    LOI,
    OPEN,
    answer,
    at_home,
    batch,
    done,
    fails,
    line,
    opening,
    process,
)
from conftest import read_only
from places import address

from ledger.record.store import open_store
from projections.projector import Projections
from projections.registry import VIEWS

FOOTER = ("view", "asked", "record", "totals", "digest", "tree head")


@pytest.fixture(scope="module")
def home(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that holds the fictional demo and a deal of Ann's."""
    folder = tmp_path_factory.mktemp("home")
    with at_home(folder):
        done("demo", "milestone-machine")
        signed = ("--effective-on", "2025-09-22", "--actor", "ann@acme")
        done(*OPEN, *signed)
        done(*LOI, *signed)
    return folder


@pytest.fixture(autouse=True)
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads happen in that folder."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("COLUMNS", "80")


def rungs(deal: str, *more: str) -> dict[str, str]:
    """A standing's rungs with their units."""
    rows = answer("show", deal, *more)["rows"]
    return {f"{r['ladder']} {r['rung']}": f"{r['quantity']} {r['unit']}" for r in rows}


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
@pytest.mark.parametrize("deal", [(), ("milestone-machine",)])
def test_every_view_in_every_form(view: str, deal: tuple[str, ...]):
    """A view is the same rows as table, JSON, JSONL and CSV; footer and label stand by."""
    whole = answer("view", view, *deal)
    assert list(whole)[:4] == ["view", "version", "params", "fictional"]
    assert whole["view"] == view
    rows = whole["rows"]

    lines = done("view", view, *deal, "--format", "jsonl")
    assert [json.loads(text) for text in lines.stdout.splitlines()] == rows
    table = done("view", view, *deal, "--format", "csv")
    found = list(csv.DictReader(io.StringIO(table.stdout)))
    assert len(found) == len(rows)
    if rows:
        assert set(rows[0]) <= set(found[0])
    fiction = any(row.get("fictional") for row in rows) or whole["fictional"]
    for result in (lines, table):
        assert ("FICTION" in result.stderr) is fiction
        for name in FOOTER:
            assert name in result.stderr
    shown = done("view", view, *deal).stdout
    assert shown.startswith("FICTION: ") is fiction
    for name in (*FOOTER, whole["digest"], whole["tree_head"]):
        assert name in shown


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
@pytest.mark.parametrize("width", [80, 200])
def test_tables_keep_to_the_terminal(
    view: str, width: int, monkeypatch: pytest.MonkeyPatch
):
    """No line is wider than the terminal, and no cell is cut off."""
    monkeypatch.setenv("COLUMNS", str(width))
    shown = done("view", view, "milestone-machine").stdout
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown or view == "timeline"


@pytest.mark.parametrize("view", ["deals", "drawdowns", "timeline", "standing"])
def test_digest_is_that_of_the_rows(view: str):
    """The digest is the SHA-256 of the JSONL bytes; a standing's covers `about` first."""
    whole = answer("view", view, "milestone-machine")
    lines = done("view", view, "milestone-machine", "--format", "jsonl").stdout_bytes
    if "about" in whole:
        about = json.dumps(whole["about"], separators=(",", ":"), ensure_ascii=False)
        lines = about.encode() + b"\n" + lines
    assert hashlib.sha256(lines).hexdigest() == whole["digest"]


def test_footer_names_the_record():
    """Position and tree head are those of the record, the parameters those resolved."""
    whole = answer("show", "acme-orion", "--as-of", "2025-10-01")
    report = answer("verify")
    assert whole["position"] == report["events"]
    assert whole["tree_head"] == report["tree_head"]
    assert whole["params"] == {
        "deal": "acme-orion",
        "as_of": "2025-10-01",
        "known_at": report["recorded_at"],
    }
    assert whole["totals"]["rows"] == len(whole["rows"]) == 15


def test_standing_separates_announced_from_committed():
    """A letter of intent announces and commits nothing."""
    found = rungs("acme-orion")
    assert found["funding announced"] == "100000000000.00 USD"
    assert found["funding committed"] == "0.00 USD"
    assert found["capacity announced"] == "10000000000 W"
    assert found["capacity committed"] == "0 W"
    shown = done("show", "acme-orion").stdout
    assert "100,000,000,000.00 USD" in shown
    assert "10.000 GW" in shown
    assert "FICTION" not in shown


def test_as_of_asks_about_a_day():
    """`--as-of` shows what was so by the end of that day."""
    assert rungs("milestone-machine", "--as-of", "2023-03-01")[
        "funding committed"
    ].startswith("0.00")
    message = fails(1, "show", "acme-orion", "--as-of", "2025-09-21")
    assert "not on the record as of 2025-09-21" in message
    assert "2025-09-22" in message


def test_known_at_asks_about_what_was_known():
    """`--known-at` does not know what was recorded later."""
    message = fails(1, "show", "acme-orion", "--known-at", "2025-12-31")
    assert "not on the record" in message
    assert answer("list", "--known-at", "2025-12-31")["rows"] == []
    assert len(answer("list", "--known-at", "2999-01-01")["rows"]) == 2
    known = answer("list", "--known-at", "2999-01-01")["params"]["known_at"]
    assert known == "2999-01-01T23:59:59.999999Z"


def test_list_is_a_line_each():
    """All deals, a line each, the fictional one marked."""
    shown = done("list").stdout
    (mine,) = (text for text in shown.splitlines() if text.startswith("acme-orion"))
    (other,) = (text for text in shown.splitlines() if text.startswith("milestone-"))
    assert "100bn USD, 10 GW" in mine
    assert "FICTION" not in mine
    assert "FICTION" in other


def test_views_are_listed_with_their_questions():
    """Without a name, `view` lists all views; an unknown one suggests the nearest."""
    shown = done("view").stdout
    for view in VIEWS:
        assert view.name in shown
    assert answer("view")["views"][0]["question"]
    assert "Did you mean 'fleet'" in fails(2, "view", "flet")
    assert "accord view" in fails(2, "view", "zzz")


def test_systems_are_told_page_by_page(monkeypatch):
    """All, or those in a state, at a site, of an order, after one: also on earlier days."""
    whole = answer("systems", "milestone-machine")["rows"]
    assert [row["system"] for row in whole] == sorted(row["system"] for row in whole)
    fleet = answer("view", "fleet", "milestone-machine")["rows"]
    for group in fleet:
        words = ("--state", group["state"], "--site", group["site"])
        found = answer("systems", "milestone-machine", *words)["rows"]
        mine = [row for row in found if row["sku_version"] == group["sku_version"]]
        assert len(mine) == group["systems"]
        assert sum(int(row["power"]) for row in mine) == int(group["power"])
    page = answer("systems", "milestone-machine", "--limit", "2")
    assert page["rows"] == whole[:2]
    after = ("--after", whole[1]["system"], "--order", whole[2]["order"])
    assert answer("systems", "milestone-machine", *after)["rows"][0] == whole[2]
    early = ("--as-of", "2024-06-30", "--state", "accepted")
    count = answer("view", "fleet", "milestone-machine", "--as-of", "2024-06-30")[
        "rows"
    ]
    expected = sum(row["systems"] for row in count if row["state"] == "accepted")
    assert len(answer("systems", "milestone-machine", *early)["rows"]) == expected
    monkeypatch.setattr("cli.commands.systems.PAGE", 1)
    shown = done("systems", "milestone-machine")
    assert shown.stdout.startswith("FICTION")
    assert f"more of them: --after {whole[0]['system']}" in shown.stderr
    assert answer("systems", "milestone-machine", "--site", "nowhere")["rows"] == []
    said = fails(2, "systems", "milestone-machine", "--state", "shiped")
    assert "Did you mean 'shipped'?" in said


def test_a_page_of_systems_leaves_nothing_open():
    """Whoever reads no further hears of nothing that could not be closed."""
    words = ("systems", "milestone-machine", "--limit", "2", "--format", "jsonl")
    reading = process(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told, said = reading.communicate(timeout=60)
    assert len(told.splitlines()) == 2
    assert b"Error" not in said


def test_history_is_told_page_by_page(monkeypatch):
    """The last ones by default, those before a position on demand; a footer for each."""
    whole = answer("history", "milestone-machine")["rows"]
    page = answer("history", "milestone-machine", "--limit", "7")
    assert page["rows"] == whole[-7:]
    assert page["params"]["limit"] == "7"
    first = page["rows"][0]["position"]
    before = ("--before", str(first), "--limit", "3")
    assert answer("history", "milestone-machine", *before)["rows"] == whole[-10:-7]
    late = answer("history", "milestone-machine", "--type", "funding", "--limit", "2")
    mine = [row for row in whole if row["type"].startswith("funding.")]
    assert late["rows"] == mine[-2:]
    monkeypatch.setattr("cli.commands.history.PAGE", 5)
    shown = done("history", "milestone-machine").stdout
    assert f"… earlier ones: --before {whole[-5]['position']}" in shown
    assert shown.count(", recorded ") == 5
    assert fails(2, "history", "--follow", "--before", "3")


def test_a_streamed_history_is_the_answer_of_its_view():
    """Row by row in each form, and in the end the digest that a receipt would sign."""
    views = Projections(open_store(os.environ["ACCORD_DB"]))
    expected = views.answer("timeline", None)
    views.store.close()
    whole = answer("history")
    assert (whole["digest"], len(whole["rows"])) == (
        expected.digest,
        len(expected.rows),
    )
    assert whole["totals"] == {"rows": len(expected.rows)}
    lines = done("history", "--format", "jsonl")
    assert [json.loads(line) for line in lines.stdout.splitlines()] == whole["rows"]
    assert expected.digest in lines.stderr
    table = done("history", "--format", "csv").stdout.splitlines()
    assert len(table) == len(whole["rows"]) + 1
    assert done("view", "timeline", "--format", "csv").stdout.splitlines() == table
    nothing = answer("history", "milestone-machine", "--by", "nobody")
    assert (nothing["rows"], nothing["totals"]["rows"]) == ([], 0)


def test_history_is_told_in_order():
    """The history is newest last: position, dates, who, what, on what evidence."""
    shown = done("history", "milestone-machine").stdout
    assert "agreement.opened" in shown.splitlines()[2]
    assert "by a.osei@halcyon-capital, recorded " in shown
    assert "evidence: Letter of intent" in shown
    positions = [
        json.loads(text)["position"]
        for text in done("history", "--format", "jsonl").stdout.splitlines()
    ]
    assert positions == sorted(positions)


def test_disputed_standing_is_marked_without_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Reported and disputed facts carry a mark in words, with their source."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    report = {"title": "A report", "publisher": "The Daily", "grade": "R"}
    done("init")
    lines: list[Any] = [
        opening(),
        line("agreement record-statement", statement="s", speaker="S", text="\x1b[2J",
             evidence=report),
        line("agreement supersede", successor="acme-orion-2", evidence=report),
        line("agreement define-condition", condition="clearance", text="Cleared"),
    ]  # fmt: skip
    done("append", batch(*lines))
    shown = done("show", "acme-orion").stdout
    assert "status: ! disputed" in shown
    assert "The Daily" in shown
    assert "superseded by acme-orion-2  ? reported" in shown
    assert "clearance" in shown
    assert "! disputed" in done("list").stdout
    assert "? reported" in done("history", "acme-orion").stdout
    assert "\x1b" not in done("view", "statements").stdout
    assert "\x1b" not in done("history").stdout
    monkeypatch.setenv("COLUMNS", "200")
    assert "! disputed" in done("show", "acme-orion").stdout


def test_ladders_stand_side_by_side_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
):
    """On a wide terminal the two ladders share their lines."""
    monkeypatch.setenv("COLUMNS", "200")
    (heads,) = (
        text
        for text in done("show", "acme-orion").stdout.splitlines()
        if text.startswith("funding ")
    )
    assert "capacity" in heads


def facilities() -> None:
    """A deal with two facilities, in two currencies, in a ledger of its own."""
    case = Path(__file__).parent / "cases" / "06b-second-currency-not-in-the-standing"
    done("init")
    done("append", f"{case}.jsonl")


def test_facilities_stand_beside_each_other_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A column for each, and what is announced in one of the whole deal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("facilities.db"))
    facilities()
    wide = done("show", "deal-x").stdout.splitlines()
    (heads,) = (text.split() for text in wide if text.startswith("funding"))
    assert heads == ["funding", "whole", "deal", "a-usd", "main"]
    (paid,) = (text.split() for text in wide if text.startswith("disbursed"))
    assert paid == ["disbursed", "0.00", "USD", "500,000,000.00", "EUR"]
    announced = next(text for text in wide if text.startswith("announced "))
    assert announced.split() == ["announced", "0.00", "USD"]
    monkeypatch.setenv("COLUMNS", "50")
    narrow = done("show", "deal-x").stdout.splitlines()
    heads = [text.split() for text in narrow if text.startswith("funding")]
    assert heads == [["funding", "whole", "deal", "a-usd"], ["funding", "main"]]


@pytest.mark.parametrize("width", ["80", "200"])
def test_a_deal_in_several_currencies_is_told_in_its_first_line(
    width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The lines after it hold money alone; none is added to another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("currencies.db"))
    monkeypatch.setenv("COLUMNS", width)
    facilities()
    shown = done("list").stdout
    assert shown.count("deal-x") == shown.count("in effect") == 1
    assert "500m EUR" in shown or "500,000,000.00 EUR" in shown
    assert {row["funding_unit"] for row in answer("list")["rows"]} == {"EUR", "USD"}


def test_read_only_ledger_is_read(nobody: Path, monkeypatch: pytest.MonkeyPatch):
    """A ledger that may not be written answers the same, and a write says why not."""
    monkeypatch.setenv("ACCORD_DB", f"sqlite:///{nobody / 'accord.db'}")
    done("init")
    done(*OPEN)
    before = answer("show", "acme-orion")
    read_only(nobody)
    assert answer("show", "acme-orion") == before
    said = fails(1, *LOI)
    assert "may not be written by this user; nothing was written." in said
