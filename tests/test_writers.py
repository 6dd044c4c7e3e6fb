"""Many writers at once: positions without gaps, nothing lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import deals
import pytest
from conftest import Clock, Desk
from places import SQLITE, places
from test_races import in_effect, tranche

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.audit.recheck import recheck
from ledger.commands.registry import request_of
from ledger.errors import Refused, TryAgain
from ledger.record.store import Store, open_store
from projections.projector import Projections

WRITERS = 8
COMMANDS = 500
FEWER = 40
"""On a file, where every commit waits for the disk and each writer for all others."""
DEALS = ("alpha", "beta", "gamma", "delta")


def lines(writer: int, many: int) -> list[dict[str, Any]]:
    """What a writer does: words, milestones, and requests for the same money."""
    chance = random.Random(writer)  # noqa: S311 - the same on every run
    found: list[dict[str, Any]] = []
    for number in range(many):
        name = f"w{writer}-{number}"
        some = {"command_id": name, "deal": chance.choice(DEALS), "actor": "bo@orion"}
        match chance.randrange(4):
            case 0:
                milestone = {
                    "command": "milestone propose",
                    "milestone": name,
                    "title": "M",
                    "track": "hardware",
                    "owner": "orion",
                    "target_on": "2027-05-01",
                }
                found.append({**some, **milestone})
            case 1:
                request = deals.draw(name, "700000 USD", value_on="2025-09-01")[0]
                found.append({**request, **some})
            case _:
                words = {
                    "command": "agreement record-statement",
                    "statement": name,
                    "speaker": "Orion",
                    "text": "On track.",
                }
                found.append({**some, **words})
        found[-1]["effective_on"] = "2025-08-01"
        found[-1].pop("on", None)
    return found


def work(pipe: Connection, url: str, writer: int, many: int) -> None:
    """A writer: each command until it is recorded, or refused for good."""
    clock = Clock()
    ledger = Ledger(open_store(url, clock))
    recorded: dict[str, tuple[int, ...]] = {}
    refused: Counter[str] = Counter()
    for line in lines(writer, many):
        while True:
            try:
                receipt = ledger.execute(request_of(dict(line)))
            except TryAgain:
                refused["busy"] += 1
            except Refused as error:
                refused[error.code] += 1
                if error.code != "REC-06":
                    break
            else:
                recorded[receipt.command_id] = receipt.positions
                break
    ledger.close()
    pipe.send((recorded, refused))


def grounds(desk: Desk) -> None:
    """Four deals in effect, each with 50m USD unlocked that all want."""
    for deal in DEALS:
        desk.deal = deal
        in_effect(desk)
        tranche(desk, {"when": "date_reached", "on": "2025-01-05"})
        desk.do("funding unlock", tranche="T1", on="2025-01-05")


def outcomes(desk: Desk, many: int) -> tuple[dict[str, Any], Counter[str]]:
    """What all writers together recorded, and what they were refused."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ledger.application", "deals", "conftest"])
    pipes, running = [], []
    for writer in range(WRITERS):
        mine, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, desk.url, writer, many))
        process.start()
        pipes.append(mine)
        running.append(process)
    recorded: dict[str, Any] = {}
    refused: Counter[str] = Counter()
    for pipe, process in zip(pipes, running, strict=True):
        told, no = pipe.recv()
        assert not recorded.keys() & told.keys()
        recorded.update(told)
        refused.update(no)
        process.join(10)
    return recorded, refused


def test_eight_writers_lose_and_double_nothing(desk: Desk) -> None:
    """What was acknowledged is on the record, where it was told, once; no rule broke."""
    grounds(desk)
    before = desk.store.head().size
    many = FEWER if places.kind == SQLITE else COMMANDS
    recorded, refused = outcomes(desk, many)
    positions = sorted(at for told in recorded.values() for at in told)
    size = desk.store.head().size
    assert positions == list(range(before + 1, size + 1))
    known = desk.store.commands(list(recorded))
    assert {name: (found.first, found.last) for name, found in known.items()} == {
        name: (told[0], told[-1]) for name, told in recorded.items()
    }
    told = Counter(refused)
    for harmless in ("REC-06", "busy"):
        told.pop(harmless, None)
    assert len(recorded) + told.total() == WRITERS * many
    # The money was less than what was asked for: the rule that guards it was met.
    assert set(told) <= {"FND-01"}
    report = verify(desk.store)
    assert report.events == size
    assert recheck(desk.store).findings == []
    views = Projections(desk.store)
    views.catch_up()
    views.verify()


def test_a_reader_never_sees_a_gap(desk: Desk) -> None:
    """While eight write, the positions that a reader sees run from 1 without a gap."""
    grounds(desk)
    context = multiprocessing.get_context("forkserver")
    stop = context.Event()
    mine, theirs = context.Pipe()
    reader = context.Process(target=watch, args=(theirs, desk.url, stop))
    reader.start()
    outcomes(desk, 20)
    stop.set()
    assert mine.recv() == "every look was whole"
    reader.join(10)


def watch(pipe: Connection, url: str, stop: Any) -> None:
    """Look again and again at all positions, times and the head, in one snapshot."""
    store: Store = open_store(url)
    said = "every look was whole"
    while not stop.is_set():
        with store.snapshot():
            size = store.head().size
            found = [position for position, _ in store.entries()]
        if found != list(range(1, size + 1)):
            said = f"{found[:3]}…{found[-3:]} of {size}"
    store.close()
    pipe.send(said)


@pytest.mark.postgresql
def test_deciding_holds_no_lock(desk: Desk, tmp_path: Path) -> None:
    """While one is still deciding, however long, another records."""
    grounds(desk)
    desk.deal = "alpha"
    with desk.store.snapshot():
        assert desk.store.head().size
        other = Desk(tmp_path / "other", desk.url)
        other.deal = "beta"
        other.do("agreement record-statement", statement="x", speaker="A", text="T")
        other.ledger.close()
