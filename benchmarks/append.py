"""Appending: the ledger beside raw SQLite, the library's recorder, and its SQLAlchemy one.

All write to files on the same disk, in WAL mode with `synchronous=FULL`, so that each
commit reaches the disk. The ledger does everything: encoding, version checks, stamps,
leaves and tree head; one commit is a whole command with its rules. The others get bytes
that are ready to store: raw SQLite the ledger's rows into the same table with the same
indexes, the recorders their own four columns.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.pairs import Row
from ledger.application import Ledger
from ledger.commands.registry import Request
from ledger.domain.agreement import StatementRecorded
from ledger.domain.event import Event
from ledger.domain.provenance import Provenance
from ledger.domain.transcoding import proposed, to_builtins
from ledger.domain.values import Id
from ledger.record.store import create_store

BATCH: Final = 1000
PER_STREAM: Final = 10
COMMITS: Final = 100
FOREIGN: Final = Path("build/bench-env/bin/python")
"""An environment of its own: `eventsourcing-sqlalchemy` needs an older SQLAlchemy."""
PROVENANCE: Final = Provenance(
    deal="bench",
    actor="ann",
    party="acme",
    effective_on=date(2025, 9, 22),
    command="agreement record-statement",
    command_id="bench",
    command_digest="0" * 64,
    correlation_id="bench",
    software="bench",
)
Measured = tuple[float, float]
"""Events a second in bulk, and the seconds of one commit."""


def rows(size: int, rounds: int, folder: Path, server: str | None) -> list[Row]:
    """What appending so many events takes, round by round."""
    found: dict[str, list[Measured]] = {}
    for number in range(rounds):
        here = folder / f"append-{number}"
        here.mkdir()
        found.setdefault("ledger", []).append(_ledger(here, size))
        for name, measure in _PEERS.items():
            found.setdefault(name, []).append(measure(here, size))
        if FOREIGN.exists():
            other = foreign(here / "ledger.db", here / "sqlalchemy.db")
            found.setdefault(SQLALCHEMY, []).append(other)
        if server and FOREIGN.exists():
            from benchmarks.server import measured

            ours, theirs = measured(server, number, size, here / "ledger.db")
            found.setdefault("ledger on PostgreSQL", []).append(ours)
            found.setdefault("PostgreSQL recorder", []).append(theirs)
    many = {name: [one for one, _ in pairs] for name, pairs in found.items()}
    single = {name: [one for _, one in pairs] for name, pairs in found.items()}
    bulk = f"bulk append, {size:,} events"
    told = [
        Row(bulk, RECORDER, "/s", many["ledger"], many[RECORDER], 3),
        Row(bulk, APPLICATION, "/s", many["ledger"], many[APPLICATION]),
        Row(bulk, RAW, "/s", many["ledger"], many[RAW], 0.35, note=_FLOOR),
        Row(
            "one command, one commit",
            RAW,
            "ms",
            single["ledger"],
            single[RAW],
            2,
            more=False,
        ),
    ]
    if SQLALCHEMY in many:
        told.insert(1, Row(bulk, SQLALCHEMY, "/s", many["ledger"], many[SQLALCHEMY], 7))
    if "ledger on PostgreSQL" in many:
        ours, theirs = "ledger on PostgreSQL", "PostgreSQL recorder"
        told += [
            Row(f"{bulk}, PostgreSQL", f"eventsourcing's {theirs}", "/s", many[ours], many[theirs]),
            Row("one command, one commit, PostgreSQL", f"eventsourcing's {theirs}", "ms",
                single[ours], single[theirs], more=False),
        ]  # fmt: skip
    return told


RAW: Final = "raw sqlite3, same rows and indexes"
RECORDER: Final = "eventsourcing's SQLite recorder"
APPLICATION: Final = "eventsourcing's application on that recorder"
SQLALCHEMY: Final = "eventsourcing-sqlalchemy"
_FLOOR: Final = "the aim is 0.5 ×, the floor 0.35 ×."


def _ledger(folder: Path, size: int) -> Measured:
    return measured_ledger(f"sqlite:///{folder}/ledger.db", size)


def measured_ledger(url: str, size: int) -> Measured:
    """What the ledger itself takes, at a URL where there is none yet."""
    store, _ = create_store(url)
    ledger = Ledger(store)
    events = _events(size)

    def append(batch: list[Event[Any]]) -> None:
        expects = {e.stream: 0 for e in batch if e.version == 1}
        ledger.record(*batch, expects=expects)

    many = rate(append, events)
    common: dict[str, Any] = {"actor": "ann@acme", "effective_on": date(2025, 9, 22)}
    for number in range(COMMITS):
        opened = {"title": "One", "capital": ["acme"], "capacity": ["orion"]}
        ledger.execute(
            Request(
                command="agreement open",
                deal=f"one-{number}",
                parameters=opened,
                **common,
            )
        )

    def command(number: int) -> None:
        said = {"statement": "first", "speaker": "Acme", "text": "On track."}
        ledger.execute(
            Request(
                command="agreement record-statement",
                deal=f"one-{number}",
                parameters=said,
                **common,
            )
        )

    one = seconds(command)
    ledger.close()
    return many, one


def _raw(folder: Path, size: int) -> Measured:
    source = sqlite3.connect(folder / "ledger.db")
    rows = source.execute(
        "SELECT * FROM events ORDER BY position LIMIT ?", (size,)
    ).fetchall()
    tables = [
        sql
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', "
            "'index') AND tbl_name IN ('events', 'commands', 'tree_head') "
            "ORDER BY type DESC"
        )
    ]
    moved = source.execute("SELECT * FROM tree_head").fetchone()
    source.close()
    target = sqlite3.connect(folder / "raw.db", isolation_level=None)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA synchronous = FULL")
    for statement in tables:
        target.execute(statement)
    target.execute("INSERT INTO tree_head VALUES (?, ?, ?, ?, ?)", moved)
    insert = f"INSERT INTO events VALUES ({', '.join('?' * len(rows[0]))})"
    move = "UPDATE tree_head SET size = ?, root = ?, frontier = ?, recorded_at = ?"

    def append(batch: list[Any], commands: Sequence[Any] = ()) -> None:
        target.execute("BEGIN IMMEDIATE")
        target.executemany(insert, batch)
        target.executemany("INSERT INTO commands VALUES (?, ?, ?, ?)", commands)
        target.execute(move, moved[1:])
        target.execute("COMMIT")

    many = rate(append, rows)

    def commit(number: int) -> None:
        at = size + number + 1
        row = (at, f"one/{number}", 1, *rows[0][3:])
        append([row], [(at, at, f"{number:032d}", PROVENANCE.command_digest)])

    one = seconds(commit)
    target.close()
    return many, one


def stored(folder: Path, size: int) -> list[StoredEvent]:
    """The ledger's events as the library's recorders take them."""
    source = sqlite3.connect(folder / "ledger.db")
    rows = source.execute(
        "SELECT stream, version, type, data FROM events ORDER BY position LIMIT ?",
        (size,),
    ).fetchall()
    source.close()
    return [StoredEvent(*row) for row in rows]


def _recorder(folder: Path, size: int) -> Measured:
    recorder = SQLiteApplicationRecorder(
        SQLiteDatastore(str(folder / "recorder.db"), originator_id_type="text")
    )
    recorder.create_table()
    events = stored(folder, size)
    many = rate(recorder.insert_events, events)

    def commit(number: int) -> None:
        one = StoredEvent(f"one/{number}", 1, events[0].topic, events[0].state)
        recorder.insert_events([one])

    one = seconds(commit)
    recorder.datastore.close()
    return many, one


class Deal(Aggregate):
    """The yardstick's aggregate: the same facts, in the library's own manner."""

    class Said(Aggregate.Event):
        """Somebody said something about the deal in public."""

        statement: str
        speaker: str
        text: str
        provenance: dict[str, str]

        def apply(self, aggregate: Any) -> None:
            """Change nothing."""

    def say(self, number: int) -> None:
        """Record a statement."""
        provenance = to_builtins(PROVENANCE)
        said = to_builtins(_said(number))
        said.pop("type")
        self.trigger_event(self.Said, **said, provenance=provenance)


def _application(folder: Path, size: int) -> Measured:
    application = Application[UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / "application.db"),
        }
    )
    deals = []
    for start in range(0, size, PER_STREAM):
        deal = Deal()
        for number in range(start, start + PER_STREAM - 1):
            deal.say(number)
        deals.append(deal)
    start_at = perf_counter()
    for some in _batches(deals, BATCH // PER_STREAM):
        application.save(*some)
    many = size / (perf_counter() - start_at)

    def command(number: int) -> None:
        deal: Deal = application.repository.get(deals[number].id)
        deal.say(number)
        application.save(deal)

    one = seconds(command)
    application.close()
    return many, one


def foreign(ledger: Path, target: Path | str, batch: int = BATCH) -> Measured:
    """Another recorder of the library's, in its own environment."""
    script = Path(__file__).with_name("foreign.py")
    said = subprocess.run(
        [FOREIGN, script, ledger, target, str(batch)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return float(said[0]), float(said[1])


_PEERS: Final[dict[str, Callable[[Path, int], Measured]]] = {
    RAW: _raw,
    RECORDER: _recorder,
    APPLICATION: _application,
}


def _events(size: int) -> list[Event[Any]]:
    return [
        proposed(
            f"agreement/bench-{number // PER_STREAM}",
            number % PER_STREAM + 1,
            PROVENANCE,
            _said(number),
        )
        for number in range(size)
    ]


def _said(number: int) -> StatementRecorded:
    return StatementRecorded(
        statement=Id(f"statement-{number}"),
        speaker="Acme",
        text="The first phase is on track for the second half of the year.",
    )


def _batches(items: list[Any], size: int = BATCH) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def rate(append: Callable[[list[Any]], object], items: list[Any]) -> float:
    """Items a second, appended in batches."""
    start = perf_counter()
    for batch in _batches(items):
        append(batch)
    return len(items) / (perf_counter() - start)


def seconds(step: Callable[[int], object]) -> float:
    """The median of many single steps."""
    took = []
    for number in range(COMMITS):
        start = perf_counter()
        step(number)
        took.append(perf_counter() - start)
    return median(took)
