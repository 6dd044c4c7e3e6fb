"""The store: positions, versions, time, bytes, refusals, followers, forks."""

from __future__ import annotations

import gc
import getpass
import os
import shutil
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
import sqlalchemy as sa
from conftest import Desk
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from places import SQLITE, address
from servers import ADMIN
from vandal import many_events, raw, small_ledger

from ledger.audit.integrity import verify
from ledger.database import postgres, sqlite
from ledger.database.tables import nodes
from ledger.domain.transcoding import decode
from ledger.errors import IntegrityFailure, LedgerUnavailable
from ledger.record import store as store_module
from ledger.record.store import (
    Store,
    Submission,
    create_store,
    move_tracking,
    open_store,
)
from ledger.tlog.merkle import leaf_hash

COLUMNS = (
    "{}, stream, version, type, deal, effective_on, recorded_at, data, leaf FROM events"
)


def stored(stream: str, *versions: int) -> list[StoredEvent]:
    return [StoredEvent(stream, version, "topic", b"state") for version in versions]


def test_the_bytes_carry_what_the_store_stamped(desk: Desk) -> None:
    """Position, version, recorded time and submitter stand inside the hashed bytes."""
    small_ledger(desk)
    with raw(desk.path) as connection:
        query = "SELECT * FROM events ORDER BY position"
        rows = connection.execute(query).fetchall()
    assert [row[0] for row in rows] == list(range(1, 13))
    for position, stream, version, tag, deal, on, recorded_at, data, leaf in rows:
        event = decode(data)
        assert (event.position, event.stream, event.version) == (
            position,
            stream,
            version,
        )
        assert (event.data.tag(), event.deal, str(event.on)) == (tag, deal, on)
        assert event.identity.recorded_at == datetime.fromisoformat(recorded_at)
        user = getpass.getuser() if desk.kind == SQLITE else ADMIN
        assert event.identity.submitted_by == user
        assert leaf == leaf_hash(data)


def test_recorded_time_never_goes_back(desk: Desk) -> None:
    """A clock that goes back is not followed: the last time stands until it is passed."""
    small_ledger(desk, ("one",))
    last = desk.store.head().recorded_at
    desk.clock.advance(hours=-6)
    (event,) = desk.do("agreement suspend", deal="one", scopes=["draw"], ground="x")
    assert event.identity.recorded_at == datetime.fromisoformat(last)
    assert desk.store.head().recorded_at == last
    desk.clock.advance(hours=7)
    (event,) = desk.do("agreement resume", deal="one", scopes=["draw"])
    assert event.identity.recorded_at == desk.clock.now
    verify(desk.store)


def test_time_is_stamped_in_one_zone(desk: Desk) -> None:
    """A clock in another zone gives the same moment, in UTC."""
    desk.store.clock = lambda: datetime.fromisoformat("2026-01-15T11:00:00+02:00")
    desk.store.insert_events(stored("a/b", 1))
    assert desk.store.head().recorded_at == "2026-01-15T09:00:00.000000Z"


def test_nothing_to_insert_opens_no_transaction(desk: Desk) -> None:
    """No events and no commands: no positions, and the head stands still."""
    before = desk.store.head()
    assert desk.store.insert_events([]) == []
    assert desk.store.head() == before


def test_what_a_decision_saw_must_still_be_so(desk: Desk) -> None:
    """REC-06: a stream that moved since it was read stops the append, whole."""
    store = desk.store
    store.insert_events(stored("a/x", 1, 2))
    before = store.head()
    for seen in ({"a/x": 1}, {"a/x": 0}, {"a/x": 3}, {"a/none": 1}):
        with pytest.raises(IntegrityError, match="was at version"):
            store.insert_events(stored("a/y", 1), expects=seen)
    assert store.head() == before
    many = {f"a/{n}": 0 for n in range(1200)}
    assert store.insert_events(stored("a/y", 1), expects={**many, "a/x": 2}) == [3]


def test_a_command_is_remembered_with_its_events(desk: Desk) -> None:
    """Id, digest, first and last position; a command that recorded nothing is not."""
    store = desk.store
    submissions = [
        Submission("c1", "d1", 2),
        Submission("c2", "d2", 0),
        Submission("c3", "d3", 1),
    ]
    store.insert_events(stored("a/x", 1, 2, 3), commands=submissions)
    assert store.commands(["c1", "c2", "c3", "c4"]) == {
        "c1": ("d1", 1, 2),
        "c3": ("d3", 3, 3),
    }
    before = store.head()
    with pytest.raises(IntegrityError, match="command_id"):
        store.insert_events(stored("a/x", 4), commands=[Submission("c1", "d1", 1)])
    assert store.insert_events([], commands=[Submission("c5", "d5", 0)]) == []
    assert store.head() == before
    assert store.commands([f"c{n}" for n in range(1200)]).keys() == {"c1", "c3"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET deal = 'x'",
        "UPDATE events SET data = data WHERE position = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 12",
        f"INSERT INTO events SELECT {COLUMNS.format('position')} WHERE true "  # noqa: ISC004
        "ON CONFLICT (position) DO UPDATE SET deal = 'x'",
        "UPDATE commands SET digest = 'x'",
        "DELETE FROM commands",
        "UPDATE tree_nodes SET level = 1",
        "DELETE FROM tree_nodes",
        "UPDATE refused SET code = 'x'",
        "DELETE FROM refused",
        "UPDATE tree_head SET size = size - 1",
        "DELETE FROM tree_head",
    ],
)
def test_entries_cannot_be_edited(desk: Desk, sql: str) -> None:
    """REC-01: the database itself refuses to change or delete a row, or to go back."""
    small_ledger(desk)
    desk.refuses("AGR-14", "agreement bring-into-effect", deal="one")
    with desk.store.writing() as connection:
        connection.execute(sa.insert(nodes), [{"level": 9, "index": 9, "hash": b""}])
    with (
        pytest.raises(LedgerUnavailable, match="REC-01: entries cannot be edited"),
        desk.store.writing() as connection,
    ):
        connection.exec_driver_sql(sql)
    assert desk.store.select_events("agreement/one")[0].state


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 2",
        f"REPLACE INTO events SELECT {COLUMNS.format('position')} WHERE position = 2",
        f"REPLACE INTO events SELECT {COLUMNS.format('99')} WHERE position = 2",
        "REPLACE INTO commands SELECT * FROM commands",
    ],
)
def test_entries_cannot_be_replaced(desk: Desk, sql: str) -> None:
    """REC-01: SQLite's own way to change a row is none either."""
    small_ledger(desk)
    with (
        pytest.raises(LedgerUnavailable, match="REC-01: entries cannot be edited"),
        desk.store.writing() as connection,
    ):
        connection.exec_driver_sql(sql)


@pytest.mark.sqlite
def test_a_stranger_who_replaces_is_found_by_verify(desk: Desk) -> None:
    """Another program's REPLACE passes the triggers by; the verification sees it."""
    small_ledger(desk)
    with sqlite3.connect(desk.path) as connection:
        connection.execute(
            "REPLACE INTO events SELECT position, stream, version, type, deal, "
            "effective_on, recorded_at, x'00', leaf FROM events WHERE position = 2"
        )
    connection.close()
    with pytest.raises(IntegrityFailure) as found:
        verify(desk.store)
    assert found.value.position == 2


def test_streams_of_a_kind(desk: Desk) -> None:
    """The streams that a deal began, of that kind alone, in order."""
    small_ledger(desk)
    for name in ("b", "a"):
        desk.do(
            "milestone propose",
            deal="one",
            milestone=name,
            title="M",
            track="hardware",
            owner="acme",
            target_on="2027-01-01",
        )
    assert desk.store.streams("milestone", "one") == [
        "milestone/one/a",
        "milestone/one/b",
    ]
    assert desk.store.streams("agreement", "one") == ["agreement/one"]
    assert desk.store.streams("mile", "one") == []
    assert desk.store.streams("milestone", "two") == []
    assert desk.store.openings("agreement") == ["agreement/one", "agreement/two"]


def test_events_of_a_stream(desk: Desk) -> None:
    """By version, between two of them, in either direction, and no more than asked."""
    store = desk.store
    store.insert_events(stored("a/x", 1, 2, 3, 4))

    def versions(**keys: object) -> list[int]:
        found = store.select_events("a/x", **keys)  # type: ignore[arg-type]
        return [event.originator_version for event in found]

    assert versions() == [1, 2, 3, 4]
    assert versions(gt=1, lte=3) == [2, 3]
    assert versions(desc=True, limit=2) == [4, 3]


def test_a_follower_gets_what_is_recorded_later(desk: Desk) -> None:
    """A subscription waits, and gives an event as soon as another thread records it."""
    store = desk.store
    store.insert_events(stored("a/x", 1))
    with store.subscribe(gt=1) as following:
        writer = threading.Timer(0.1, store.insert_events, [stored("a/x", 2)])
        writer.start()
        assert next(following).originator_version == 2
        writer.join()


def test_a_follower_of_few_topics_passes_the_others_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are read one after another; events of other types are not looked at twice."""
    monkeypatch.setattr("ledger.record.subscription.PAGE", 2)
    store = desk.store
    for version in range(1, 8):
        topic = "odd" if version % 2 else "even"
        store.insert_events([StoredEvent("a/x", version, topic, b"")])
    with store.subscribe(topics=["odd"]) as following:
        assert [next(following).id for _ in range(4)] == [1, 3, 5, 7]
    with store.subscribe() as following:
        assert [next(following).id for _ in range(7)] == list(range(1, 8))


def test_a_waiting_follower_is_woken_when_stopped(desk: Desk) -> None:
    """Stopping ends the wait at once, even where the next look is far away."""
    with pytest.MonkeyPatch.context() as patch:
        for database in (sqlite, postgres):
            patch.setattr(database, "POLL_S", 60)
        following = desk.store.subscribe()
        threading.Timer(0.05, following.stop).start()
        begun = monotonic()
        assert list(following) == []
        assert monotonic() - begun < 10


def test_tracking_moves_forward_only(desk: Desk) -> None:
    """Of two followers with one name that take in the same position, one is refused."""
    store = desk.store
    store.insert_tracking(Tracking("view", 5))
    accepted: list[int] = []
    refused: list[int] = []

    def follow() -> None:
        for position in range(6, 56):
            try:
                store.insert_tracking(Tracking("view", position))
            except IntegrityError:
                refused.append(position)
            else:
                accepted.append(position)

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    assert accepted == sorted(set(accepted))
    assert len(accepted) + len(refused) == 100
    assert store.max_tracking_id("view") == 55


def test_tracking_and_rows_are_one_transaction(desk: Desk) -> None:
    """A follower that is refused takes its other writes back with it."""
    store = desk.store
    with store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (n integer)")
        move_tracking(connection, "view", 5)

    def take_in() -> None:
        with store.writing() as connection:
            connection.exec_driver_sql("INSERT INTO rows VALUES (1)")
            move_tracking(connection, "view", 5)

    with pytest.raises(IntegrityError, match="view has already taken in position 5"):
        take_in()
    with store.reading() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM rows")) == 0


def test_a_reader_sees_one_moment(desk: Desk) -> None:
    """Within one snapshot nothing changes, and the writer does not wait for it."""
    store = desk.store
    store.insert_events(stored("a/x", 1))
    with store.reading() as connection:
        query = sa.text("SELECT count(*) FROM events")
        assert connection.scalar(query) == 1
        store.insert_events(stored("a/x", 2))
        assert connection.scalar(query) == 1
    assert store.max_notification_id() == 2


def test_several_reads_see_one_moment(desk: Desk) -> None:
    """Within a snapshot all calls of a thread agree, one inside another too."""
    store = desk.store
    store.insert_events(stored("a/x", 1))
    with store.snapshot():
        assert store.max_notification_id() == 1
        with store.snapshot():
            store.insert_events(stored("a/x", 2))
            assert len(store.select_events("a/x")) == 1
        assert store.max_notification_id() == 1
    assert store.max_notification_id() == 2


def test_what_is_lost_with_the_last_row_is_not_given_out_again(desk: Desk) -> None:
    """Positions come from the tree head, not from the rows that happen to be there."""
    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute("DELETE FROM events WHERE position = 12")
    assert desk.store.insert_events(stored("a/y", 1)) == [13]
    with pytest.raises(IntegrityFailure, match="Event 12 is missing"):
        verify(desk.store)


def test_a_damaged_head_takes_no_more_events(desk: Desk) -> None:
    """What cannot be continued is not continued."""
    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute("UPDATE tree_head SET frontier = x''")
    with pytest.raises(IntegrityFailure, match="tree head is damaged"):
        desk.store.insert_events(stored("a/x", 1))


def test_many_threads_on_one_store(desk: Desk) -> None:
    """Each append has positions of its own, without gaps; the record verifies."""
    many_events(desk, 1)
    found: list[int] = []

    def write(name: str) -> None:
        for version in range(1, 21):
            found.extend(desk.store.insert_events(stored(f"a/{name}", version)))

    threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(2, 122))


def test_a_child_process_has_connections_of_its_own(desk: Desk) -> None:
    """After a fork both sides write, neither on a connection of the other's."""
    small_ledger(desk, ("one",))
    with desk.store.reading():
        child = os.fork()
        if child == 0:
            try:
                assert desk.store.engine.pool.checkedin() == 0  # type: ignore[attr-defined]
                assert desk.store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
                for version in range(1, 31):
                    desk.store.insert_events(stored("a/child", version))
            except BaseException:  # noqa: BLE001 - the exit code tells
                os._exit(1)
            os._exit(0)
    for version in range(1, 31):
        desk.store.insert_events(stored("a/parent", version))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert desk.store.max_notification_id() == 6 + 60


def test_a_fork_leaves_the_parent_with_a_working_store(desk: Desk) -> None:
    """Before a fork idle connections are closed, after it new ones are made."""
    desk.store.insert_events(stored("a/x", 1))
    store_module._before_fork()
    assert desk.store.engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    store_module._after_fork()
    assert desk.store.insert_events(stored("a/x", 2)) == [2]


def test_closed_stores_are_forgotten(desk: Desk) -> None:
    """A store that nobody holds is not kept for the next fork."""
    gc.collect()
    before = len(store_module._OPEN)
    other, _ = create_store(address(desk.path))
    assert len(store_module._OPEN) == before + 1
    other.close()
    del other
    gc.collect()
    assert len(store_module._OPEN) == before


def test_a_ledger_is_made_once(desk: Desk) -> None:
    """Creating where one is opens it, and changes nothing."""
    small_ledger(desk)
    again, made = create_store(desk.url)
    assert not made
    assert again.head() == desk.store.head()
    again.close()


@pytest.mark.sqlite
def test_a_ledger_is_in_wal_mode_and_safe_against_power_loss(desk: Desk) -> None:
    """WAL, synchronous=FULL and recursive triggers hold on every connection."""
    with desk.store.reading() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("recursive_triggers") == 1
        assert pragma("application_id") == int.from_bytes(b"ACOR")


@pytest.mark.sqlite
def test_a_copy_out_of_wal_mode_goes_back_to_it(desk: Desk) -> None:
    """A file that another tool left in another mode is put right when it is opened."""
    small_ledger(desk)
    desk.ledger.close()
    with raw(desk.path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    store = open_store(desk.url)
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


@pytest.mark.sqlite
def test_a_mode_that_cannot_be_changed_now_is_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another reads it, a file stays in the mode it has; the ledger works."""
    desk.ledger.close()
    monkeypatch.setattr(sqlite, "BUSY_S", 0.05)
    with raw(desk.path) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM tracking").fetchall()
        store = open_store(desk.url)
        assert store.head().size == 0
        store.close()


def test_two_create_at_once(tmp_path: Path) -> None:
    """One makes the ledger, the others find it; none of them fails."""
    for round_ in range(10):
        url = address(tmp_path / f"{round_}.db")
        barrier = threading.Barrier(4)
        made: list[bool | str] = []

        def create(
            url: str = url,
            barrier: threading.Barrier = barrier,
            made: list[bool | str] = made,
        ) -> None:
            barrier.wait()
            try:
                store, new = create_store(url)
                store.close()
                made.append(new)
            except LedgerUnavailable as error:
                made.append(str(error))

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made, key=str) == [False, False, False, True]


def test_the_user_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system knows no name for the user, the store says so and goes on."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000 - 7)
    store, _ = create_store(f"sqlite:///{tmp_path}/accord.db")
    assert store.submitted_by == "unknown"
    store.close()


@pytest.mark.sqlite
def test_a_ledger_copied_file_by_file_is_the_same(desk: Desk, tmp_path: Path) -> None:
    """A closed ledger is one file."""
    small_ledger(desk)
    head = desk.store.head()
    desk.ledger.close()
    shutil.copy(desk.path, tmp_path / "copy.db")
    copy = open_store(
        f"sqlite:///{tmp_path}/copy.db", lambda: datetime.now(UTC) + timedelta(1)
    )
    assert copy.head() == head
    copy.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["accord.db", "copy.db"]


def test_a_store_has_a_clock_of_its_own(tmp_path: Path) -> None:
    """Without a clock given, the store takes the host's."""
    store, _ = create_store(f"sqlite:///{tmp_path}/accord.db")
    before = datetime.now(UTC)
    assert before <= store.clock() <= datetime.now(UTC)
    assert isinstance(store, Store)
    store.close()
