"""How fast the ledger appends, beside raw SQLite and the library's own recorder.

All three write to files on the same disk, in WAL mode with `synchronous=FULL`, so each
commit reaches the disk. The ledger does everything: encoding, version checks, stamps,
leaves and tree head; one commit is a whole command with its rules. Raw SQLite and the
library's recorder get bytes that are ready to store: raw SQLite the ledger's rows into
the same tables and indexes, the recorder its own four columns. The library's
application encodes the same facts with its own transcoder, and loads one aggregate
for one commit. Rounds alternate, and the median counts.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
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

from ledger.agreement import StatementRecorded
from ledger.application import Ledger
from ledger.commands.registry import Request
from ledger.event import Event
from ledger.provenance import Provenance
from ledger.store import create_store
from ledger.transcoding import proposed, to_builtins
from ledger.values import Id

EVENTS: Final = 10_000
BATCH: Final = 1000
PER_STREAM: Final = 10
COMMITS: Final = 300
ROUNDS: Final = 3
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


def main() -> None:
    """Measure, and print a table with ratios."""
    bulk: dict[str, list[float]] = {}
    single: dict[str, list[float]] = {}
    # Not the system's temporary folder, which is often memory and no disk.
    Path("build").mkdir(exist_ok=True)
    for count in range(ROUNDS):
        print(f"round {count + 1} of {ROUNDS} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir="build") as folder:
            for name, measure in PARTS.items():
                many, one = measure(Path(folder))
                bulk.setdefault(name, []).append(many)
                single.setdefault(name, []).append(one)
    print("| written by | bulk, events/s | ledger is | one commit, ms | ledger takes |")
    print("|---|---:|---:|---:|---:|")
    fast, slow = median(bulk["ledger"]), median(single["ledger"])
    for name in PARTS:
        many, one = median(bulk[name]), median(single[name])
        print(
            f"| {name} | {many:,.0f} | {fast / many:.2f} × "
            f"| {1000 * one:.2f} | {slow / one:.2f} × |"
        )
    print(
        f"\nBulk: {EVENTS:,} events in batches of {BATCH:,}. One commit: {COMMITS} of "
        "each, a command of one event in the ledger and the application, one row else."
    )


def _ledger(folder: Path) -> tuple[float, float]:
    store, _ = create_store(f"sqlite:///{folder}/ledger.db")
    ledger = Ledger(store)
    events = _events()

    def append(batch: list[Event[Any]]) -> None:
        expects = {e.stream: 0 for e in batch if e.version == 1}
        ledger.save(*batch, expects=expects)

    many = _rate(append, events)
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

    one = _seconds(command)
    ledger.close()
    return many, one


def _raw(folder: Path) -> tuple[float, float]:
    source = sqlite3.connect(folder / "ledger.db")
    rows = source.execute(
        "SELECT * FROM events ORDER BY position LIMIT ?", (EVENTS,)
    ).fetchall()
    tables = [
        sql
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'events' "
            "AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC"
        )
    ]
    source.close()
    target = sqlite3.connect(folder / "raw.db", isolation_level=None)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA synchronous = FULL")
    for statement in tables:
        target.execute(statement)
    insert = f"INSERT INTO events VALUES ({', '.join('?' * len(rows[0]))})"

    def append(batch: list[Any]) -> None:
        target.execute("BEGIN IMMEDIATE")
        target.executemany(insert, batch)
        target.execute("COMMIT")

    many = _rate(append, rows)

    def commit(number: int) -> None:
        row = (EVENTS + number + 1, f"one/{number}", 1, *rows[0][3:])
        append([row])

    one = _seconds(commit)
    target.close()
    return many, one


def _recorder(folder: Path) -> tuple[float, float]:
    recorder = SQLiteApplicationRecorder(
        SQLiteDatastore(str(folder / "recorder.db"), originator_id_type="text")
    )
    recorder.create_table()
    source = sqlite3.connect(folder / "ledger.db")
    rows = source.execute(
        "SELECT stream, version, type, data FROM events ORDER BY position LIMIT ?",
        (EVENTS,),
    ).fetchall()
    source.close()
    many = _rate(recorder.insert_events, [StoredEvent(*row) for row in rows])
    _, _, topic, state = rows[0]

    def commit(number: int) -> None:
        recorder.insert_events([StoredEvent(f"one/{number}", 1, topic, state)])

    one = _seconds(commit)
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


def _application(folder: Path) -> tuple[float, float]:
    application = Application[UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / "application.db"),
        }
    )
    deals = []
    for start in range(0, EVENTS, PER_STREAM):
        deal = Deal()
        for number in range(start, start + PER_STREAM - 1):
            deal.say(number)
        deals.append(deal)
    start_at = perf_counter()
    for some in _batches(deals, BATCH // PER_STREAM):
        application.save(*some)
    many = EVENTS / (perf_counter() - start_at)

    def command(number: int) -> None:
        deal: Deal = application.repository.get(deals[number].id)
        deal.say(number)
        application.save(deal)

    one = _seconds(command)
    application.close()
    return many, one


PARTS: Final[dict[str, Callable[[Path], tuple[float, float]]]] = {
    "ledger": _ledger,
    "raw sqlite3": _raw,
    "eventsourcing's SQLite recorder": _recorder,
    "eventsourcing's application on it": _application,
}


def _events() -> list[Event[Any]]:
    return [
        proposed(
            f"agreement/bench-{number // PER_STREAM}",
            number % PER_STREAM + 1,
            PROVENANCE,
            _said(number),
        )
        for number in range(EVENTS)
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


def _rate(append: Callable[[list[Any]], object], items: list[Any]) -> float:
    start = perf_counter()
    for batch in _batches(items):
        append(batch)
    return len(items) / (perf_counter() - start)


def _seconds(step: Callable[[int], object]) -> float:
    took = []
    for number in range(COMMITS):
        start = perf_counter()
        step(number)
        took.append(perf_counter() - start)
    return median(took)


if __name__ == "__main__":
    main()
