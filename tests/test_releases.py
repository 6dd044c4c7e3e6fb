"""What a release wrote loads for ever: each type of event, and a whole ledger file.

Files here are never changed. A new type of event, or a new shape of one, adds a file
under the version that first wrote it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ledger.audit.integrity import verify
from ledger.custody.migration import migrate
from ledger.domain.catalogue import BY_TAG
from ledger.domain.transcoding import decode, envelope
from ledger.record.mapper import EventMapper
from ledger.record.store import open_store
from projections.projector import Projections, view_tables

pytestmark = pytest.mark.sqlite

RELEASES = Path(__file__).parent / "releases"
SAMPLES = [
    line
    for file in sorted(RELEASES.glob("events-*.jsonl"))
    for line in file.read_bytes().splitlines()
]
HEADS = {
    "0.1.0": (407, "97cf3b1c257dac0b849543de551e4a5975db4a299f6434f62d7e5fc0ba5200a4"),
    "0.2.0": (414, "26d984f44ee04e8475eb5cbd50a517042d0609e93f64fed8970bde17cd9b20d7"),
    "0.3.0": (407, "6ad12fff5afc44e2ef686cf7821758b0f02fc90b20884ee6fe0523c45f20c967"),
    "0.4.0": (440, "8b262eaa2f3a9c4c9dd6318dac7705ee8732c8015cdbc107a7c1ca80b399ca37"),
    "0.5.0": (452, "edf1a6eaeb45206583daf8acf4f689dbbaa5584f25f0385f2245460ac4f49f30"),
}


def tag(line: bytes) -> str:
    """The type of a sample."""
    return json.loads(line)["data"]["type"]


@pytest.mark.parametrize("line", SAMPLES, ids=tag)
def test_every_event_ever_written_loads(line: bytes) -> None:
    """A sample of each type is read, and written again to the very same bytes."""
    event = decode(line)
    body = EventMapper().to_stored_event(event).state
    assert event.identity.recorded_at is not None
    again = envelope(
        body,
        position=event.position,
        stream=event.stream,
        version=event.version,
        recorded_at="2026-11-23T12:00:00.000001Z",
        submitted_by=event.identity.submitted_by,
        batch=event.identity.batch,
    )
    assert again == line


def test_every_type_has_a_sample() -> None:
    """A type of event without a stored sample is not released yet."""
    assert {tag(line) for line in SAMPLES} == set(BY_TAG)


@pytest.mark.parametrize("version", sorted(HEADS))
def test_every_ledger_ever_written_migrates(tmp_path: Path, version: str) -> None:
    """A release's ledger verifies with the same tree head, and its views agree."""
    path = tmp_path / "accord.db"
    shutil.copy(RELEASES / f"ledger-{version}.db", path)
    migrate(f"sqlite:///{path}", view_tables())
    store = open_store(f"sqlite:///{path}")
    report = verify(store)
    assert (report.events, report.root) == HEADS[version]
    views = Projections(store)
    views.catch_up()
    assert views.verify() > 0
    committed = views.answer("standing", "openai-nvidia").rows[1]
    assert (committed.rung, committed.quantity) == ("committed", "0.00")
    store.close()
