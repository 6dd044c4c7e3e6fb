"""Reading a whole record: rebuilding, verifying, and as-of answers, beside bare loops."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.domain import AggregateEvent
from eventsourcing.persistence import (
    DatetimeAsISO,
    DecimalAsStr,
    JSONTranscoder,
    Mapper,
    UUIDAsHex,
)
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.pairs import Row
from ledger.audit.integrity import verify
from ledger.audit.leaves import processors
from ledger.domain.transcoding import decode
from ledger.record.store import open_store
from projections.projector import Projections

PAGE: Final = 1000
DEAL: Final = "ten-gigawatts"
DAY: Final = date(2025, 6, 1)


class Fact(AggregateEvent):
    """One of our events as the library would keep it."""

    provenance: dict[str, Any]
    data: dict[str, Any]


def rows(ledger: Path, rounds: int, folder: Path) -> list[Row]:
    """What reading a ledger takes, round by round."""
    copy = folder / "copy.db"
    shutil.copy(ledger, copy)
    url = f"sqlite:///{copy}"
    store = open_store(url)
    size = store.head().size
    views = Projections(store)
    recorder, mapper = _library(copy, folder / "library.db")
    took: dict[str, list[float]] = {}

    def note(name: str, step: Callable[[], object]) -> None:
        start = perf_counter()
        step()
        took.setdefault(name, []).append(perf_counter() - start)

    for _ in range(rounds):
        note("loop", lambda: _loop(recorder, mapper))
        note("rebuild", views.rebuild)
        note("bare", lambda: _bare(copy))
        note("verify", lambda: verify(store, processes=processors()))
    for _ in range(max(rounds, 15)):
        note("now", lambda: views.answer("standing", DEAL))
        note("as of", lambda: views.answer("standing", DEAL, as_of=DAY))
        note("worst", lambda: views.answer("standing", DEAL, as_of=date(2023, 3, 1)))
    store.close()
    many = f"{size:,} events"
    return [
        Row(
            f"rebuild of all views, {many}",
            "a bare loop of eventsourcing's recorder and mapper, which folds nothing",
            "/s",
            [size / one for one in took["rebuild"]],
            [size / one for one in took["loop"]],
            2,
        ),
        Row(
            f"verify, {many}",
            "a bare loop that reads, decodes and hashes",
            "/s",
            [size / one for one in took["verify"]],
            [size / one for one in took["bare"]],
            0.8,
        ),
        Row(
            f"standing as of a day, {many}",
            "the standing now, both without start-up",
            "ms",
            took["as of"],
            took["now"],
            1.5,
            more=False,
        ),
        Row(
            f"standing as of the first weeks, {many}",
            "the standing now",
            "ms",
            took["worst"],
            took["now"],
            more=False,
            note="the day with the most late entries after it.",
        ),
    ]


def _library(ledger: Path, target: Path) -> tuple[Any, Any]:
    """The same facts in the library's own SQLite recorder, by its own mapper."""
    recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(target)))
    recorder.create_table()
    transcoder = JSONTranscoder()
    for kind in (DatetimeAsISO, DecimalAsStr, UUIDAsHex):
        transcoder.register(kind())
    mapper: Mapper[UUID] = Mapper(transcoder=transcoder)
    found = sqlite3.connect(ledger).execute(
        "SELECT stream, version, data FROM events ORDER BY position"
    )
    while page := found.fetchmany(PAGE):
        facts = []
        for stream, version, data in page:
            plain = msgspec.json.decode(data)
            facts.append(
                Fact(
                    originator_id=uuid5(NAMESPACE_URL, stream),
                    originator_version=version,
                    timestamp=datetime.fromisoformat(plain["identity"]["recorded_at"]),
                    provenance=plain["provenance"],
                    data=plain["data"],
                )
            )
        recorder.insert_events([mapper.to_stored_event(fact) for fact in facts])
    return recorder, mapper


def _loop(recorder: Any, mapper: Any) -> int:
    at = 0
    while page := recorder.select_notifications(start=at + 1, limit=PAGE):
        for notification in page:
            mapper.to_domain_event(notification)
        at = page[-1].id
    return at


def _bare(ledger: Path) -> None:
    found = sqlite3.connect(ledger).execute(
        "SELECT position, data, leaf FROM events ORDER BY position"
    )
    for position, data, leaf in found:
        decode(data, position=position)
        assert hashlib.sha256(b"\0" + data).digest() == leaf
