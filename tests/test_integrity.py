"""Whatever is changed behind the store's back, `verify` finds it and says where."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from places import address
from sqlalchemy.exc import DBAPIError
from vandal import damaged_copy, many_events, raw, small_ledger

from ledger.audit import leaves
from ledger.audit.integrity import verify
from ledger.domain.agreement import StatementRecorded
from ledger.domain.provenance import Provenance
from ledger.domain.transcoding import proposed
from ledger.domain.values import Id
from ledger.errors import IntegrityFailure, LedgerUnavailable, UnknownEvent
from ledger.record.log import Submission, append, locked_head
from ledger.record.store import Row, open_store
from ledger.tlog.merkle import EMPTY_ROOT, leaf_hash, root_of

COUNT = 12
SQLITE = pytest.mark.sqlite
"""For damage that PostgreSQL's types do not let in."""


@pytest.fixture(scope="module")
def path(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("small") / "accord.db")
    small_ledger(desk)
    desk.ledger.close()
    return desk.path


@pytest.fixture(scope="module")
def commanded(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A command of one event, and then of five each: to 256, and across 512."""
    desk = Desk(tmp_path_factory.mktemp("commanded") / "accord.db")
    sizes = [1, *(5 for _ in range(120))]
    events = []
    for number, size in enumerate(sizes):
        provenance = Provenance(
            deal="one", actor="ann", party="acme", effective_on=date(2025, 9, 22),
            command="agreement record-statement", command_id=f"c{number}",
            command_digest="0" * 64, correlation_id="c", software="test",
        )  # fmt: skip
        for _ in range(size):
            name, version = f"s{len(events)}", len(events) + 1
            said = StatementRecorded(statement=Id(name), speaker="Acme", text="So.")
            events.append(proposed("agreement/one", version, provenance, said))
    known = [Submission(f"c{n}", "0" * 64, size) for n, size in enumerate(sizes)]
    desk.ledger.record(*events, expects={"agreement/one": 0}, commands=known)
    desk.ledger.close()
    return desk.path


@pytest.fixture(scope="module")
def long_path(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("long") / "accord.db")
    many_events(desk, 600)
    desk.ledger.close()
    return desk.path


def failure(path: Path, *statements: tuple[Any, ...]) -> IntegrityFailure:
    """What `verify` says after some SQL behind the store's back."""
    with (
        damaged_copy(path, *statements) as store,
        pytest.raises(IntegrityFailure) as found,
    ):
        verify(store)
    return found.value


def rows(path: Path) -> list[tuple[int, bytes]]:
    with raw(path) as connection:
        return connection.execute(
            "SELECT position, data FROM events ORDER BY position"
        ).fetchall()


def test_an_empty_ledger_verifies(desk: Desk) -> None:
    """Nothing recorded: the root of the empty tree."""
    report = verify(desk.store)
    assert (report.events, report.commands) == (0, 0)
    assert report.root == EMPTY_ROOT.hex()
    assert report.recorded_at == ""


def test_a_whole_ledger_verifies(desk: Desk) -> None:
    """The report names the number of events, the root, and the last recorded time."""
    small_ledger(desk)
    seen: list[tuple[int, int | None]] = []
    report = verify(desk.store, lambda done, total: seen.append((done, total)))
    assert report.events == report.commands == COUNT
    assert report.recorded_at == "2026-01-15T09:00:11.000000Z"
    leaves = [leaf_hash(data) for _, data in rows(desk.path)]
    assert report.root == root_of(leaves).hex()
    assert seen == [(COUNT, COUNT)]


@pytest.mark.parametrize("count", [255, 256, 257, 513])
def test_every_shape_of_the_tree_verifies(desk: Desk, count: int) -> None:
    """On both sides of a whole tile, stored nodes and frontier agree."""
    many_events(desk, count)
    assert verify(desk.store).events == count
    with raw(desk.path) as connection:
        stored = connection.execute("SELECT count(*) FROM tree_nodes").fetchone()[0]
    assert stored == count // 256


def test_pages_do_not_part_what_belongs_together(
    long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in small pages, the same record gives the same report."""
    store = open_store(address(long_path))
    whole = verify(store)
    monkeypatch.setattr(leaves, "SPAN", 256)
    monkeypatch.setattr(leaves, "PAGE", 256)
    seen: list[int] = []
    assert verify(store, lambda done, _: seen.append(done)) == whole
    assert seen == [256, 512, 600]
    store.close()


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record is large enough to be checked by two processes."""
    monkeypatch.setattr(leaves, "MANY", 1)
    monkeypatch.setattr(leaves, "SPAN", 256)


@pytest.mark.usefixtures("side_by_side")
def test_processes_side_by_side_say_what_one_does(
    long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same report of a whole record, the same first fault of a damaged one."""
    told = leaves._side_by_side
    used: list[Any] = []

    def noting(*args: Any) -> Iterator[Any]:
        used.append(args)
        return told(*args)

    monkeypatch.setattr(leaves, "_side_by_side", noting)
    with closing(open_store(address(long_path))) as store:
        there = verify(store, processes=2)
        assert len(used) == 1
        assert verify(store) == there
        assert len(used) == 1
    for position in (3, 256, 257, 599):
        other = b"\x01" * 32
        change = "UPDATE events SET leaf = ? WHERE position IN (?, 600)"
        with (
            damaged_copy(long_path, (change, other, position)) as store,
            pytest.raises(IntegrityFailure, match="does not match its hash") as fault,
        ):
            verify(store, processes=2)
        assert fault.value.position == position


def damaged_file() -> IntegrityFailure:
    return IntegrityFailure("Event 300 is missing.", position=300)


@pytest.mark.usefixtures("side_by_side")
@pytest.mark.parametrize(
    "trouble",
    [BrokenProcessPool(), OSError("no more"), LedgerUnavailable("gone"), None],
)
def test_what_other_processes_leave_undone_is_done_here(
    long_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    """Where they fail, or one has not seen what is there, the record is whole all the same."""
    made = leaves._side_by_side

    def failing(*args: Any) -> Iterator[Any]:
        parts = made(*args)
        yield next(parts)
        if trouble is not None:
            raise trouble
        part = next(parts)
        part.fault = damaged_file()
        yield part

    with closing(open_store(address(long_path))) as store:
        whole = verify(store)
        monkeypatch.setattr(leaves, "_side_by_side", failing)
        assert verify(store, processes=2) == whole


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("side_by_side")
def test_a_command_reaches_as_far_as_its_events(
    commanded: Path, processes: int
) -> None:
    """Also where its last event is the last of a span, or lies in the next one."""
    with closing(open_store(address(commanded))) as store:
        assert verify(store, processes=processes).commands == 121
    for change, position in (
        ("UPDATE commands SET last = 257 WHERE last = 256", 257),
        ("UPDATE commands SET last = 300 WHERE last = 256", 257),
        ("UPDATE commands SET last = 514 WHERE last = 516", 515),
        ("UPDATE commands SET last = 520 WHERE last = 516", 517),
        ("UPDATE commands SET first = 506 WHERE first = 507", 507),
        ("DELETE FROM commands WHERE first = 257", 257),
    ):
        with (
            damaged_copy(commanded, (change,)) as store,
            pytest.raises(IntegrityFailure, match="table of commands do not") as fault,
        ):
            verify(store, processes=processes)
        assert fault.value.position == position, change


@pytest.mark.usefixtures("side_by_side")
@pytest.mark.parametrize("position", [1, 256, 257, 400])
def test_an_event_that_is_missing_is_named(long_path: Path, position: int) -> None:
    """The first of a span, the last, and one between: with the one that is next."""
    gone = ("DELETE FROM events WHERE position = ?", position)
    said = f"Event {position} is missing; the next is {position + 1}"
    with (
        damaged_copy(long_path, gone) as store,
        pytest.raises(IntegrityFailure, match=said) as fault,
    ):
        verify(store)
    assert fault.value.position == position


@pytest.mark.pure
def test_an_error_comes_from_another_process_whole() -> None:
    """What was found, and where."""
    error = UnknownEvent(7, "it is new")
    told = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(told), told.position) == (str(error), 7)


ENDLESS = """
import sys
from ledger.audit import leaves
from ledger.domain.agreement import StatementRecorded
from ledger.audit.integrity import verify
from ledger.record.store import open_store
leaves.MANY, leaves.SPAN = 1, 256
store = open_store(sys.argv[1])
print(verify(store, processes=2).events, flush=True)
for _ in leaves._side_by_side(store, [leaves.Span(1, 256)] * 1_000_000, 2):
    pass
"""


@pytest.mark.sqlite
def test_other_processes_end_with_the_one_that_started_them(long_path: Path) -> None:
    """Killed, it leaves none behind."""
    running = subprocess.Popen(
        (sys.executable, "-c", ENDLESS, address(long_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "600\n"
    started = wait_for(
        lambda: children(running.pid) if len(children(running.pid)) > 1 else ()
    )
    running.kill()
    running.communicate()
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in started))


@pytest.mark.pure
def test_it_ends_after_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a code that says so; and there is a processor at least."""
    done: list[Any] = []
    monkeypatch.setattr(os, "_exit", done.append)
    leaves._end_after(lambda: done.append("waited"))
    assert done == ["waited", 1]
    assert 1 <= leaves.processors() <= leaves.MOST


@SQLITE
def test_what_is_no_damage_is_not_told_as_such(long_path: Path) -> None:
    """A reading that is broken off says nothing about the events."""
    with closing(open_store(address(long_path))) as store:
        with store.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            driver.set_progress_handler(lambda: 1, 1)
            with pytest.raises(DBAPIError, match="interrupted"):
                leaves.read_part(connection, leaves.Span(1, 600))
            driver.set_progress_handler(None, 0)
        assert verify(store).events == 600


def children(parent: int) -> tuple[str, ...]:
    """The processes that a process started."""
    return tuple(Path(f"/proc/{parent}/task/{parent}/children").read_text().split())


def wait_for(what: Callable[[], Any]) -> Any:
    """What comes to be true within a while."""
    for _ in range(600):
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(what)


@SQLITE
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("side_by_side")
def test_a_page_that_cannot_be_read_is_named_by_its_first_event(
    long_path: Path, tmp_path: Path, processes: int
) -> None:
    """The first page of the events, the last, and one between."""
    copy = tmp_path / "torn.db"
    for wanted in (1, 300, 600):
        shutil.copy(long_path, copy)
        page, first = page_with(copy, wanted)
        data = bytearray(copy.read_bytes())
        data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
        copy.write_bytes(data)
        with (
            closing(open_store(address(copy))) as store,
            pytest.raises(IntegrityFailure, match="cannot be read") as fault,
        ):
            verify(store, processes=processes)
        assert fault.value.position == first


def page_with(copy: Path, position: int) -> tuple[int, int]:
    """The page of a file on which an event begins, and the first event on it."""
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = connection.execute("SELECT position, data FROM events").fetchall()
    pages: dict[int, list[int]] = {}
    whole = copy.read_bytes()
    for at, data in found:
        pages.setdefault(whole.index(data) // 4096 + 1, []).append(at)
    return next((page, min(held)) for page, held in pages.items() if position in held)


@SQLITE
def test_a_head_that_counts_more_than_there_can_be(path: Path) -> None:
    """What is missing is the first event after those that are there."""
    change = "UPDATE tree_head SET size = ?, frontier = ?"
    with (
        damaged_copy(path, (change, 1 << 62, b"\x01" * 32)) as store,
        pytest.raises(
            IntegrityFailure, match="is missing: the tree head counts"
        ) as fault,
    ):
        verify(store)
    assert fault.value.position == len(rows(path)) + 1


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_found(path: Path, data: st.DataObject) -> None:
    """One bit of any byte of any event's data, and its position is named."""
    position, whole = data.draw(st.sampled_from(rows(path)))
    index = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[index] ^= bit
    found = failure(
        path,
        ("UPDATE events SET data = ? WHERE position = ?", bytes(flipped), position),
    )
    assert found.position == position
    assert str(found) == f"REC-09: Event {position} does not match its hash."


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_with_its_hash_redone_is_found(
    path: Path, data: st.DataObject
) -> None:
    """Whoever redoes the leaf as well still cannot redo the head unnoticed."""
    position, whole = data.draw(st.sampled_from(rows(path)))
    index = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[index] ^= 1 << data.draw(st.integers(0, 7))
    found = failure(
        path,
        (
            "UPDATE events SET data = ?, leaf = ? WHERE position = ?",
            bytes(flipped),
            leaf_hash(bytes(flipped)),
            position,
        ),
    )
    # Either a column says otherwise, or the tree does.
    assert found.position is not None
    assert found.position <= position


@settings(max_examples=60, deadline=None)
@given(
    pair=st.lists(st.integers(1, COUNT), min_size=2, max_size=2, unique=True).map(
        sorted
    ),
    columns=st.sampled_from(
        [
            "data",
            "data, leaf",
            "stream, version, type, deal, effective_on, recorded_at, data, leaf",
        ]
    ),
)
def test_swapped_events_are_found(path: Path, pair: list[int], columns: str) -> None:
    """Two events whose bytes, hashes or whole rows changed places: the first is named."""
    one, other = pair
    names = columns.split(", ")
    take = f"SELECT {columns} FROM events WHERE position = ?"
    put = f"UPDATE events SET {', '.join(f'{n} = ?' for n in names)} WHERE position = ?"
    with raw(path) as connection:
        first = connection.execute(take, (one,)).fetchone()
        second = connection.execute(take, (other,)).fetchone()
    aside = f"UPDATE events SET {names[0]} = 'x', version = -1 WHERE position = ?"
    if "version" not in names:
        aside = f"UPDATE events SET {names[0]} = 'x' WHERE position = ?"
    found = failure(path, (aside, one), (put, *first, other), (put, *second, one))
    assert found.position == one


def test_a_dropped_event_is_found(path: Path) -> None:
    """The last one, the first one, or one in between: the missing position is named."""
    for position in (COUNT, 1, 5):
        found = failure(path, ("DELETE FROM events WHERE position = ?", position))
        assert found.position == position
        assert f"Event {position} is missing" in str(found)


def test_the_last_event_dropped_with_its_command_is_found(path: Path) -> None:
    """Taking all traces of the last command leaves the tree head, which counts it."""
    found = failure(
        path,
        ("DELETE FROM events WHERE position = ?", COUNT),
        ("DELETE FROM commands WHERE first = ?", COUNT),
    )
    assert found.position == COUNT
    assert str(found) == (
        "Event 12 is missing: the tree head counts 12, and 11 are stored."
    )


def test_an_event_added_is_found(path: Path) -> None:
    """An event beyond the tree head, or before the first, does not belong there."""
    for position, said in (
        (13, "Event 13 is more than the tree head counts, which is 12."),
        (-1, "An event stands at -1, before the first."),
    ):
        copied = (
            "INSERT INTO events SELECT ?, 'x', 1, type, deal, effective_on, "
            "recorded_at, data, leaf FROM events WHERE position = 1"
        )
        assert str(failure(path, (copied, position))) == said


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "agreement/three"),
        ("version", 7),
        pytest.param("version", "garbage", marks=SQLITE),
        ("type", "agreement.lapsed"),
        ("deal", "three"),
        ("deal", None),
        ("effective_on", "2026-01-14"),
        ("effective_on", None),
        pytest.param("effective_on", b"\xff", marks=SQLITE),
        ("recorded_at", "2026-01-15T09:00:00.000001Z"),
        ("recorded_at", "2026-01-15T09:00:02Z"),
    ],
)
def test_an_edited_column_is_found(path: Path, column: str, value: Any) -> None:
    """What stands beside the bytes must say what they say."""
    found = failure(path, (f"UPDATE events SET {column} = ? WHERE position = 3", value))
    assert found.position == 3
    assert f"the column {column} says {value!r}" in str(found)


@pytest.mark.sqlite
def test_text_in_place_of_bytes_is_found(path: Path) -> None:
    """A database function that turned the bytes into equal text is still found."""
    found = failure(
        path, ("UPDATE events SET data = replace(data, 'Ω', 'Ω') WHERE position = 1",)
    )
    assert str(found) == "Event 1 is not stored as bytes."


@pytest.mark.sqlite
@pytest.mark.parametrize("column", ["stream", "type", "recorded_at"])
def test_text_that_is_no_text_is_found(path: Path, column: str) -> None:
    """A column whose text cannot be decoded stops nothing but the verification."""
    sql = f"UPDATE events SET {column} = CAST(x'ff41' AS TEXT) WHERE position = 4"
    found = failure(path, (sql,))
    assert found.position == 4
    assert "Event 4 is missing or cannot be read: Could not decode to UTF-8" in str(
        found
    )


def test_the_first_of_two_faults_on_a_page_is_named(path: Path) -> None:
    """An unreadable row does not hide a fault before it."""
    found = failure(
        path,
        ("UPDATE events SET type = CAST(x'ff41' AS TEXT) WHERE position = 9",),
        ("UPDATE events SET deal = 'x' WHERE position = 2",),
    )
    assert found.position == 2
    found = failure(
        path,
        ("UPDATE events SET type = CAST(x'ff41' AS TEXT) WHERE position = 9",),
        ("DELETE FROM events WHERE position = 3",),
    )
    assert found.position == 3


@pytest.mark.sqlite
def test_text_that_is_no_text_beside_the_events_is_found(path: Path) -> None:
    """The same in the table of commands."""
    sql = "UPDATE commands SET digest = CAST(x'ff41' AS TEXT) WHERE first = 4"
    assert "What stands beside the events cannot be read" in str(failure(path, (sql,)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("root = x'00'", "REC-09: The events hash to"),
        ("root = zeroblob(32)", "REC-09: The events hash to"),
        pytest.param("root = 'text'", "is damaged or missing.", marks=SQLITE),
        pytest.param("size = 'many'", "is damaged or missing.", marks=SQLITE),
        ("size = -1", "The tree head is damaged or missing."),
        ("size = 3", "The tree head is damaged"),
        ("size = 10", "Event 11 is more than the tree head counts"),
        ("size = 17", "Event 13 is missing"),
        ("frontier = x'00'", "The tree head is damaged or missing."),
        ("frontier = 'text'", "The tree head is damaged or missing."),
        ("frontier = zeroblob(64)", "REC-09: Events 1 to 8 and the tree head's"),
        ("recorded_at = ''", "the tree head says ''"),
        pytest.param("recorded_at = x'00'", "is damaged or", marks=SQLITE),
    ],
)
def test_an_edited_head_is_found(path: Path, change: str, said: str) -> None:
    """Size, root, frontier and time of the head all follow from the events."""
    if change == "size = 3":
        change, said = "size = 3", "Event 4 is more"
    assert said in str(failure(path, (f"UPDATE tree_head SET {change}",)))


def test_a_head_that_is_gone_or_double_is_found(path: Path) -> None:
    """There is one tree head."""
    for sql in (
        "DELETE FROM tree_head",
        "INSERT INTO tree_head SELECT 2, size, root, frontier, '' FROM tree_head",
    ):
        assert str(failure(path, (sql,))) == "The tree head is damaged or missing."


def test_the_frontier_names_the_events_it_is_about(path: Path) -> None:
    """A frontier that is wrong in its second peak points at the events under it."""
    with raw(path) as connection:
        (frontier,) = connection.execute("SELECT frontier FROM tree_head").fetchone()
    bad = frontier[:32] + bytes(32)
    found = failure(path, ("UPDATE tree_head SET frontier = ?", bad))
    assert found.position == 9
    assert "Events 9 to 12" in str(found)


def test_the_frontier_names_a_single_event(desk: Desk) -> None:
    """The last event of an odd number is a peak of its own."""
    many_events(desk, 3)
    desk.ledger.close()
    with raw(desk.path) as connection:
        (frontier,) = connection.execute("SELECT frontier FROM tree_head").fetchone()
    bad = frontier[:32] + bytes(32)
    found = failure(desk.path, ("UPDATE tree_head SET frontier = ?", bad))
    assert found.position == 3
    assert "Event 3 and the tree head's frontier do not agree" in str(found)


@pytest.mark.parametrize(
    ("sql", "position", "said"),
    [
        (
            "UPDATE tree_nodes SET hash = x'00' WHERE \"index\" = 1",
            257,
            "Events 257 to 512",
        ),
        ("UPDATE tree_nodes SET hash = 'x'", 1, "Events 1 to 256"),
        ('DELETE FROM tree_nodes WHERE "index" = 0', 1, "Events 1 to 256"),
        ("DELETE FROM tree_nodes", 1, "the stored node over them"),
        (
            "INSERT INTO tree_nodes VALUES (8, 2, zeroblob(32))",
            None,
            "The tree has 2 nodes to keep, and 3 are stored.",
        ),
        pytest.param(
            "INSERT INTO tree_nodes VALUES (3, 'x', 'y')",
            None,
            "and 3 are stored",
            marks=SQLITE,
        ),
    ],
)
def test_an_edited_node_is_found(
    long_path: Path, sql: str, position: int | None, said: str
) -> None:
    """The stored nodes of the tree are those of its events, no more and no fewer."""
    found = failure(long_path, (sql,))
    assert found.position == position
    assert said in str(found)


def test_a_forged_event_is_narrowed_down_by_the_stored_nodes(long_path: Path) -> None:
    """Bytes and leaf forged alike: the stored node tells among which 256 events."""
    with raw(long_path) as connection:
        (data,) = connection.execute(
            "SELECT data FROM events WHERE position = 300"
        ).fetchone()
    forged = data.replace(b"On track.", b"Off track")
    found = failure(
        long_path,
        (
            "UPDATE events SET data = ?, leaf = ? WHERE position = 300",
            forged,
            leaf_hash(forged),
        ),
    )
    assert found.position == 257
    assert "Events 257 to 512 and the stored node over them do not agree" in str(found)


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("DELETE FROM commands WHERE first = 4", 4),
        ("DELETE FROM commands WHERE first = 12", 12),
        ("DELETE FROM commands", 1),
        ("UPDATE commands SET command_id = 'x' WHERE first = 4", 4),
        ("UPDATE commands SET digest = 'x' WHERE first = 4", 4),
        ("UPDATE commands SET last = 5 WHERE first = 4", 5),
        ("UPDATE commands SET last = 3 WHERE first = 4", 4),
        pytest.param("UPDATE commands SET last = 'x' WHERE first = 4", 4, marks=SQLITE),
        ("UPDATE commands SET last = 13 WHERE first = 12", 12),
        ("INSERT INTO commands VALUES (13, 13, 'x', 'y')", 12),
        ("INSERT INTO commands VALUES (0, 0, 'x', 'y')", 12),
    ],
)
def test_an_edited_command_is_found(path: Path, sql: str, position: int) -> None:
    """The table of commands says what the events' provenance says."""
    found = failure(path, (sql,))
    assert found.position == position
    assert "the table of commands do not agree" in str(found)


class Forger:
    """One who redoes leaves, nodes and head, so that only what the events say is left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = open_store(address(path))
        self.decoded = [msgspec.json.decode(data) for _, data in rows(path)]

    def forge(self, change: Any) -> None:
        """Write the record anew, with one change to the list of its envelopes."""
        change(self.decoded)
        with raw(self.path) as connection:
            for table in ("events", "commands", "tree_nodes"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute(
                "UPDATE tree_head SET size = 0, root = x'', frontier = x'', "
                "recorded_at = ''"
            )
        with self.store.writing() as connection:
            head = locked_head(connection).head
            made = [self._row(envelope) for envelope in self.decoded]
            known = [
                Submission(
                    e["provenance"]["command_id"], e["provenance"]["command_digest"], 1
                )
                for e in self.decoded
            ]
            append(connection, head, made, known)

    @staticmethod
    def _row(envelope: Any) -> Row:
        identity, provenance = envelope["identity"], envelope["provenance"]
        return Row(
            identity["stream"],
            identity["version"],
            envelope["data"]["type"],
            provenance["deal"],
            provenance["effective_on"],
            str(identity.get("recorded_at")),
            msgspec.json.encode(envelope),
        )


@pytest.fixture
def forger(desk: Desk) -> Iterator[Forger]:
    small_ledger(desk)
    desk.ledger.close()
    forger = Forger(desk.path)
    yield forger
    forger.store.close()


def test_a_forger_who_changes_nothing_is_not_found(forger: Forger) -> None:
    """The forger's own tools write a record that verifies."""
    forger.forge(lambda events: None)
    assert verify(forger.store).events == COUNT


def swap_times(events: list[Any]) -> None:
    one, other = events[3]["identity"], events[4]["identity"]
    one["recorded_at"], other["recorded_at"] = other["recorded_at"], one["recorded_at"]


def swap_versions(events: list[Any]) -> None:
    one, other = events[4]["identity"], events[6]["identity"]
    one["version"], other["version"] = other["version"], one["version"]


def skip_version(events: list[Any]) -> None:
    for envelope in events[6:]:
        if envelope["identity"]["stream"] == "agreement/one":
            envelope["identity"]["version"] += 1


def no_zone(events: list[Any]) -> None:
    events[2]["identity"]["recorded_at"] = "2026-01-15T09:00:02"


def no_time(events: list[Any]) -> None:
    del events[2]["identity"]["recorded_at"]


def beyond_time(events: list[Any]) -> None:
    events[2]["identity"]["recorded_at"] = "0001-01-01T00:00:00+14:00"


def wrong_position(events: list[Any]) -> None:
    events[2]["identity"]["position"] = 30


@pytest.mark.parametrize(
    ("change", "position", "said"),
    [
        (swap_times, 5, "before the one that it follows"),
        (swap_versions, 5, "does not follow the last of its stream"),
        (skip_version, 7, "does not follow the last of its stream"),
        (no_zone, 3, "the column recorded_at says"),
        (no_time, 3, "the column recorded_at says"),
        (beyond_time, 3, "the column recorded_at says"),
        (wrong_position, 3, "the column position says 3, its bytes 30"),
    ],
)
def test_a_forged_order_is_found(
    forger: Forger, change: Any, position: int, said: str
) -> None:
    """Even with every hash redone, times and versions cannot run backwards."""
    forger.forge(change)
    with pytest.raises(IntegrityFailure) as found:
        verify(forger.store)
    assert found.value.position == position
    assert said in str(found.value)


def rename_type(events: list[Any]) -> None:
    events[5]["data"] = {"type": "agreement.teleported"}


def newer_schema(events: list[Any]) -> None:
    events[5]["identity"]["schema"] = 2


def deep(events: list[Any]) -> None:
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]
    events[5]["data"]["nested"] = "x"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_type, "agreement.teleported"),
        (newer_schema, "it has schema 2, and this version knows 1"),
        (deep, "unknown field"),
    ],
)
def test_an_event_of_a_newer_version_is_not_called_forged(
    forger: Forger, change: Any, said: str
) -> None:
    """REC-10: where every hash agrees, an unknown event means newer software."""
    forger.forge(change)
    with pytest.raises(UnknownEvent) as found:
        verify(forger.store)
    assert found.value.position == 6
    assert said in str(found.value)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b"[" * 100_000, b"null"])
def test_garbage_is_called_forged(path: Path, data: bytes) -> None:
    """Bytes that are no event at all, with their leaf redone: the tree disagrees."""
    found = failure(
        path,
        (
            "UPDATE events SET data = ?, leaf = ? WHERE position = 10",
            data,
            leaf_hash(data),
        ),
    )
    assert found.position == 9
    assert "Events 9 to 12 and the tree head's frontier" in str(found)


@pytest.mark.sqlite
def test_a_command_id_that_stands_twice_is_found(forger: Forger) -> None:
    """A table of commands that lost its unique index is counted through."""

    def repeat(events: list[Any]) -> None:
        events[9]["provenance"]["command_id"] = "again"
        events[11]["provenance"]["command_id"] = "again"

    with raw(forger.path) as connection:
        connection.execute("DROP TABLE commands")
        connection.execute(
            "CREATE TABLE commands (first INTEGER PRIMARY KEY, last, command_id, digest)"
        )
    forger.forge(repeat)
    with pytest.raises(IntegrityFailure, match="has a command id twice"):
        verify(forger.store)


@pytest.mark.sqlite
def test_a_damaged_page_of_the_file_is_found(long_path: Path) -> None:
    """Bytes overwritten in the file itself: a fault of the record, not of the program."""
    with damaged_copy(long_path) as store:
        file = Path(str(store.engine.url.database))
        size = file.stat().st_size
        page = 4096
        caught = 0
        for start in range(page, size, 7 * page):
            whole = file.read_bytes()
            file.write_bytes(whole[:start] + b"\xa5" * page + whole[start + page :])
            again = None
            try:
                again = open_store(address(file))
                verify(again)
            except (IntegrityFailure, LedgerUnavailable):
                caught += 1
            finally:
                if again:
                    again.close()
            file.write_bytes(whole)
    assert caught


def test_a_ledger_in_use_elsewhere_is_not_called_damaged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that says nothing about the bytes stays what it is."""
    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute("ALTER TABLE commands RENAME TO others")
    with pytest.raises(
        LedgerUnavailable, match=r"(no such table: |relation .)commands"
    ):
        verify(desk.store)
    with raw(desk.path) as connection:
        connection.execute("ALTER TABLE events RENAME TO more")
    with pytest.raises(LedgerUnavailable, match=r"(no such table: |relation .)events"):
        verify(desk.store)


def test_verification_looks_at_one_moment(desk: Desk) -> None:
    """What is recorded while it runs does not disturb it."""
    many_events(desk, 300)

    def write(done: int, total: int | None) -> None:
        desk.do(
            "agreement open", deal="later", title="T", capital=["a"], capacity=["b"]
        )

    assert verify(desk.store, write).events == 300
    assert verify(desk.store).events == 301
