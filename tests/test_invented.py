"""The invented deal of any size: always the same, labelled, and right by all rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_desk import answer, done, fails
from places import address

from cli.demo.invented import CHUNK, FIRST_DAY, NAME, chunks
from ledger.audit.integrity import verify
from ledger.audit.recheck import recheck
from ledger.record.store import open_store
from projections.projector import Projections
from projections.registry import VIEWS

RACKS = "600"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    return tmp_path


def rows(views: Projections, deal: str = NAME) -> dict[str, Any]:
    """Every view's answer."""
    return {view.name: views.answer(view.name, deal).rows for view in VIEWS}


@pytest.mark.pure
def test_the_same_seed_gives_the_same_commands():
    """And another seed others; racks and deals are all there, each once."""
    whole = [chunk.lines for chunk in chunks(700, 1, 2)]
    assert whole == [chunk.lines for chunk in chunks(700, 1, 2)]
    assert whole != [chunk.lines for chunk in chunks(700, 2, 2)]
    lines = [line for some in whole for line in some]
    allocated = [
        system
        for line in lines
        if line["command"] == "order allocate"
        for system in line["systems"]
    ]
    assert len(allocated) == len(set(allocated)) == 700
    assert {line["deal"] for line in lines} == {NAME, f"{NAME}-2"}
    days = sorted(line["effective_on"] for line in lines)
    assert days[0] == FIRST_DAY.isoformat()
    assert days[-1] < "2026-11"
    assert all(len(some) < 3 * CHUNK for some in whole)


@pytest.mark.pure
def test_a_twentieth_comes_late():
    """Entries of a day before one that is recorded already, by up to ninety days."""
    lines = [line for chunk in chunks(5000, 0, 1) for line in chunk.lines]
    horizon, late = "", 0
    for line in lines:
        late += line["effective_on"] < horizon
        horizon = max(horizon, line["effective_on"])
    assert 0.03 < late / len(lines) < 0.12


def test_it_stands_up_to_every_rule_and_is_called_fiction():
    """Recorded, verified, judged again; the standing is what was made up."""
    said = done("demo", NAME, "--racks", RACKS)
    assert said.stdout.startswith("FICTION. Recorded 600 racks: ")
    store = open_store(address("accord.db"))
    size = verify(store).events
    assert recheck(store).findings == []
    views = Projections(store)
    views.keep_up()
    views.verify()
    standing = {f"{r.ladder}/{r.rung}": r.quantity for r in rows(views)["standing"]}
    assert standing["capacity/announced"] == str(600 * 200_000)
    assert standing["funding/disbursed"] == "100000000000.00"
    assert 0 < int(standing["capacity/certified"]) <= int(standing["capacity/shipped"])
    store.close()
    for words in (("show", NAME), ("history", NAME), ("why", NAME, "accepted")):
        assert done(*words).stdout.startswith("FICTION")
    again = done("demo", NAME, "--racks", RACKS).stdout
    assert "0 commands, 0 events; " in again
    assert answer("demo", NAME, "--racks", RACKS)["events"] == 0
    store = open_store(address("accord.db"))
    assert store.head().size == size
    store.close()
    assert "belong to ten-gigawatts" in fails(2, "demo", "--racks", "5")


def test_interrupted_it_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch):
    """After some chunks and once more: the same record as in one go."""
    import cli.demo.invented

    whole = list(chunks(600, 0, 1))
    monkeypatch.setattr(cli.demo.invented, "chunks", lambda *_: iter(whole[:2]))
    done("demo", NAME, "--racks", RACKS)
    monkeypatch.setattr(cli.demo.invented, "chunks", lambda *_: iter(whole))
    done("demo", NAME, "--racks", RACKS)
    store = open_store(address("accord.db"))
    views = Projections(store)
    views.keep_up()
    found, size = rows(views), store.head().size
    store.close()
    monkeypatch.setenv("ACCORD_DB", address("other.db"))
    done("demo", NAME, "--racks", RACKS)
    store = open_store(address("other.db"))
    assert store.head().size == size
    views = Projections(store)
    views.keep_up()
    assert rows(views) == found
    store.close()
