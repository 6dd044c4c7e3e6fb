"""Moving house: the same record at another place, whatever stops it on the way."""

from __future__ import annotations

import io
import json
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cli_desk import at_home, done, fails, process
from conftest import Desk
from places import POSTGRESQL, SQLITE, places
from servers import DURABLE, server
from vandal import many_events, raw, small_ledger

from cli.hints import told
from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.custody import copying, transfer
from ledger.custody.copying import Copied, copy
from ledger.custody.transfer import export, import_
from ledger.database.tables import commands
from ledger.errors import (
    ImportRejected,
    IntegrityFailure,
    LedgerUnavailable,
    TryAgain,
    UnknownEvent,
)
from ledger.record.log import Row, Submission, append, locked_head
from ledger.record.store import Store, create_store, open_store
from projections.projector import Projections, view_tables

MANY = 20_000
"""Events that take so long to copy that it can be stopped on the way."""


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The address of a place of the other kind, where no ledger is yet."""
    here = places.kind
    places.kind = POSTGRESQL if here == SQLITE else SQLITE
    url = places.address(tmp_path / "other.db")
    places.kind = here
    return url


@pytest.fixture
def there(other: str, desk: Desk) -> Iterator[Store]:
    """An empty ledger of the other kind."""
    store, _ = create_store(other, desk.clock, beside=view_tables())
    yield store
    store.close()


def silent(_done: int, _total: int | None) -> None:
    """Say nothing."""


def exported(store: Store) -> list[bytes]:
    out = io.BytesIO()
    export(store, out)
    return out.getvalue().splitlines()


def everything(store: Store) -> list[Any]:
    with store.reading() as connection:
        return [
            connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2").all()
            for table in ("events", "commands", "tree_nodes")
        ]


def test_there_and_back_again(tmp_path: Path, other: str, desk: Desk) -> None:
    """A record moved to the other kind and back has the same bytes, commands and heads."""
    with at_home(tmp_path):
        for deal in ("openai-nvidia", "milestone-machine"):
            done("demo", deal, "--db", desk.url)
        done("copy", desk.url, other)
        back = places.address(tmp_path / "back.db")
        said = done("copy", other, back).stderr
    store, moved = open_store(back), open_store(other)
    assert f"tree head  {desk.store.head().root.hex()}" in said
    assert store.head() == moved.head() == desk.store.head()
    assert everything(store) == everything(desk.store) == everything(moved)
    for one in (store, moved):
        verify(one)
        views = Projections(one)
        views.catch_up()
        assert views.verify() > 0
        one.close()


def test_a_copy_answers_repeats(desk: Desk, there: Store) -> None:
    """A command that is known here is known there."""
    desk.do(
        "agreement open", title="T", capital=["a"], capacity=["b"], command_id="once"
    )
    copy(desk.store, there, silent)
    assert there.commands(["once"]) == desk.store.commands(["once"])
    repeat = desk.request(
        "agreement open", title="T", capital=["a"], capacity=["b"], command_id="once"
    )
    receipt = Ledger(there).execute(repeat)
    assert receipt.repeated
    assert there.head() == desk.store.head()


def test_it_goes_on_where_it_stopped(
    desk: Desk, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two chunks, it is a shorter record of whole commands."""
    monkeypatch.setattr(transfer, "CHUNK", 10)
    small_ledger(desk)
    many_events(desk, 25)
    seen: list[int] = []

    def stop(at: int, _: int | None) -> None:
        seen.append(at)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(desk.store, there, stop)
    assert there.head().size == 10
    verify(there)
    report = copy(desk.store, there, stop)
    assert (report.known, report.added) == (10, 27)
    # The batch of 25 is one transaction of many commands, the rest one each.
    assert seen == [0, 10, 10, 20, 30, 37]
    again = copy(desk.store, there, silent)
    assert again == Copied(37, 0, desk.store.head(), 0)


@pytest.fixture
def machine(desk: Desk) -> list[int]:
    """A deal's full life on the record; where each of its commands ends."""
    with at_home(desk.path.parent):
        done("demo", "milestone-machine", "--db", desk.url)
    desk.clock.now = datetime.now(UTC)
    with desk.store.reading() as connection:
        query = sa.select(commands.c.last).order_by(commands.c.last)
        return list(connection.scalars(query))


@pytest.mark.parametrize("known", [1, 30, 31, 35, 269])
def test_any_whole_command_may_be_the_last(
    desk: Desk,
    there: Store,
    machine: list[int],
    known: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target that ends with any command is completed, and ends with commands."""
    monkeypatch.setattr(transfer, "CHUNK", 7)
    monkeypatch.setattr(copying, "CHUNK", 5)
    import_(there, exported(desk.store)[: machine[known - 1]])
    ends: list[int] = []
    copy(desk.store, there, lambda at, _: ends.append(at))
    assert ends[0] == machine[known - 1]
    assert set(ends) <= set(machine)
    assert everything(there) == everything(desk.store)


def test_part_of_a_command_is_not_completed(
    desk: Desk, there: Store, machine: list[int]
) -> None:
    """A target that ends within a command cannot be continued past it."""
    # The thirty-first command recorded nine events.
    assert machine[30] - machine[29] == 9
    import_(there, exported(desk.store)[: machine[29] + 4])
    with pytest.raises(ImportRejected, match="holds only a part"):
        copy(desk.store, there, silent)
    assert there.head().size == machine[29] + 4


def test_a_large_command_is_one_chunk(
    desk: Desk, there: Store, machine: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small the chunks are, no command is cut in two."""
    monkeypatch.setattr(transfer, "CHUNK", 1)
    ends: list[int] = []
    copy(desk.store, there, lambda at, _: ends.append(at))
    assert ends == [0, *machine]


def fork(desk: Desk, there: Store, same: int) -> None:
    """Make the target the same record to a position, and another after it."""
    import_(there, exported(desk.store)[:same])
    url = there.engine.url.render_as_string(hide_password=False)
    guest = Desk(desk.path.with_name("guest"), url)
    guest.clock.now = desk.clock.now
    guest.do("agreement open", deal="guest", title="G", capital=["a"], capacity=["b"])
    guest.ledger.close()


@pytest.mark.parametrize("same", [0, 1, 4, 7, 11])
def test_any_other_record_is_refused(desk: Desk, there: Store, same: int) -> None:
    """Where the target parts from the source, the first event that differs is named."""
    small_ledger(desk)
    fork(desk, there, same)
    before = there.head()
    with pytest.raises(ImportRejected, match=f"records part at event {same + 1}:"):
        copy(desk.store, there, silent)
    assert there.head() == before


def test_a_target_ahead_is_refused(desk: Desk, there: Store) -> None:
    """A source that is behind adds nothing, and is told so."""
    small_ledger(desk)
    with pytest.raises(ImportRejected, match=r"12 events and .* 0: it is the source"):
        copy(there, desk.store, silent)


def test_a_target_whose_tree_is_damaged_is_told_from_another_record(
    desk: Desk, there: Store
) -> None:
    """The same bytes under another tree are damage, and not where two records part."""
    small_ledger(desk)
    copy(desk.store, there, silent)
    with raw(desk.path) as connection:
        connection.execute(
            f"UPDATE events SET leaf = x'{'00' * 32}' WHERE position = 5"
        )
    with pytest.raises(IntegrityFailure, match="the same event 5, and not") as failure:
        copy(desk.store, there, silent)
    assert failure.value.position == 5


def test_the_heads_are_compared_as_they_stand(desk: Desk, tmp_path: Path) -> None:
    """A copy whose tree was damaged after it was written is not called the same."""
    small_ledger(desk)
    place = Desk(tmp_path / "copy.db")

    def damage(at: int, _: int | None) -> None:
        if at == 12:
            with raw(place.path) as connection:
                connection.execute(
                    f"UPDATE events SET leaf = x'{'00' * 32}' WHERE position = 12"
                )

    with pytest.raises(IntegrityFailure, match=r"has another tree than was written"):
        copy(desk.store, place.store, damage)
    place.ledger.close()


def test_who_writes_there_meanwhile_stops_it(
    desk: Desk, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next chunk no longer fits, and nothing of it is written."""
    monkeypatch.setattr(transfer, "CHUNK", 4)
    small_ledger(desk)

    def write(at: int, _: int | None) -> None:
        if at == 4:
            fork(desk, there, 4)

    with pytest.raises(ImportRejected, match=r"Somebody wrote to .* meanwhile"):
        copy(desk.store, there, write)
    assert there.head().size == 5
    verify(there)


def test_what_the_source_records_meanwhile_is_counted(desk: Desk, there: Store) -> None:
    """A copy ends with what the source held when it began, and says what is left."""
    small_ledger(desk)

    def record(at: int, _: int | None) -> None:
        if at == 12:
            many_events(desk, 3)

    assert copy(desk.store, there, record).left == 3
    assert there.head().size == 12
    assert copy(desk.store, there, silent).added == 3


def test_a_host_whose_clock_is_behind_copies(desk: Desk, there: Store) -> None:
    """What the source has recorded is in its past, whatever the time is here."""
    small_ledger(desk)
    desk.clock.advance(days=-30)
    assert copy(desk.store, there, silent).added == 12


@pytest.mark.parametrize(
    ("sql", "said", "position", "stands"),
    [
        (
            ["UPDATE events SET data = x'7b7d' WHERE position = 7"],
            "at event 7, which does not match its hash",
            7,
            4,
        ),
        (["DELETE FROM events WHERE position = 7"], "has no event 7.", 7, 4),
        (
            ["DELETE FROM events WHERE position = 12"],
            "has no event 12.",
            12,
            10,
        ),
        (
            [f"UPDATE tree_head SET root = x'{'00' * 32}'"],
            "another tree than its events 11 to 12 make",
            11,
            10,
        ),
    ],
)
def test_a_damaged_source_is_not_copied(
    desk: Desk,
    there: Store,
    sql: list[str],
    said: str,
    position: int,
    stands: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be right is refused; what came before it stays, and is whole."""
    monkeypatch.setattr(transfer, "CHUNK", 2)
    small_ledger(desk)
    with raw(desk.path) as connection:
        for statement in sql:
            connection.execute(statement)
    with pytest.raises(IntegrityFailure, match=said) as failure:
        copy(desk.store, there, silent)
    assert failure.value.position == position
    assert "Run 'accord verify' there" in told(failure.value)
    assert verify(there).events == there.head().size == stands


def test_a_command_that_stands_twice_is_not_copied(desk: Desk, there: Store) -> None:
    """A source whose bytes name one command in two places is damaged, and refused."""
    small_ledger(desk)
    lines = exported(desk.store)
    first, event = json.loads(lines[0]), json.loads(lines[11])
    event["identity"].update(position=13, version=7)
    event["provenance"]["command_id"] = first["provenance"]["command_id"]
    data = json.dumps(event, separators=(",", ":")).encode()
    at = event["identity"]["recorded_at"]
    row = Row("agreement/two", 7, "agreement.resumed", "two", None, at, data)
    with desk.store.writing() as connection:
        head = locked_head(connection).head
        append(connection, head, [row], [Submission("another", "", 1)])
    with pytest.raises(IntegrityFailure, match="a command of events 1 to 13 twice"):
        copy(desk.store, there, silent)
    assert there.head().size == 0


def test_an_event_of_a_newer_version_stops_it(desk: Desk, there: Store) -> None:
    """What cannot be read is not skipped, and what came before it stays."""
    small_ledger(desk)
    data = exported(desk.store)[11].replace(b"agreement.resumed", b"agreement.newer")
    row = Row("agreement/two", 7, "agreement.newer", "two", None, "2026-01-16", data)
    with desk.store.writing() as connection:
        head = locked_head(connection).head
        append(connection, head, [row], [Submission("newer", "", 1)])
    with pytest.raises(UnknownEvent, match="REC-10: Event 13"):
        copy(desk.store, there, silent)


@pytest.mark.postgresql
def test_a_full_disk(desk: Desk, there: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunk that does not fit is not written; with room again, it goes on."""
    monkeypatch.setattr(transfer, "CHUNK", 100)
    many_events(desk, 500)
    with there.reading() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {used + 100}")
    with pytest.raises(LedgerUnavailable, match="is full; nothing was written"):
        copy(desk.store, there, silent)
    assert 0 < there.head().size < 500
    assert verify(there).events % 100 == 0
    with there.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert copy(desk.store, there, silent).known > 0
    assert everything(there) == everything(desk.store)


@pytest.mark.sqlite
@pytest.mark.parametrize("gone", ["source", "target"])
def test_a_server_that_goes_away(
    desk: Desk, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever side is lost is named; once it is back, the copy is completed."""
    monkeypatch.setattr(transfer, "CHUNK", 100)
    monkeypatch.setattr(copying, "CHUNK", 100)
    many_events(desk, 500)
    with server(DURABLE) as made, ExitStack() as held:
        made.sql("CREATE DATABASE moved")
        moved, _ = create_store(made.url("moved"), desk.clock)
        held.callback(moved.close)
        source, target = desk.store, moved
        if gone == "source":
            copy(source, moved, silent)
            url = f"sqlite:///{desk.path.with_name('back.db')}"
            source, (target, _) = moved, create_store(url, desk.clock)
            held.callback(target.close)

        def kill(at: int, _: int | None) -> None:
            if at == 200:
                made.kill()

        with pytest.raises(TryAgain, match="/moved"):
            copy(source, target, kill)
        made.start()
        report = copy(source, target, silent)
        assert (report.known, report.added) == (200, 300)
        assert everything(source) == everything(target)


def test_mistakes_on_the_command_line(tmp_path: Path, desk: Desk, other: str) -> None:
    """The same ledger twice, none at all, no URL, no ledger: each told plainly."""
    with at_home(tmp_path):
        assert "are the same ledger" in fails(2, "copy", desk.url, desk.url)
        nowhere = f"sqlite:///{tmp_path}/none.db"
        assert "There is no ledger at" in fails(1, "copy", nowhere, other)
        said = fails(1, "copy", desk.url, "postgres://pat:secret@@:x")
        assert "is not a database URL" in said
        assert "secret" not in said
        assert "are the same ledger" in fails(
            2, "copy", "sqlite:///x.db", f"sqlite:///{tmp_path}/x.db"
        )
        Path("x.db").touch()
        Path("y.db").symlink_to("x.db")
        assert "are the same ledger" in fails(
            2, "copy", "sqlite:///x.db", "sqlite:///y.db"
        )
        with closing(sqlite3.connect("z.db")) as connection:
            connection.execute("CREATE TABLE mine (a)")
        said = fails(1, "copy", desk.url, "sqlite:///z.db")
        assert "a database with other tables, not a ledger" in said


def test_what_it_says(desk: Desk, other: str, tmp_path: Path) -> None:
    """How many were copied and stood already, and the head of both."""
    small_ledger(desk)
    with at_home(tmp_path):
        said = done("copy", desk.url, other).stderr
        root = desk.store.head().root.hex()
        assert said.startswith("Copied 12 events to ")
        assert said.endswith(f".\ntree head  {root}\n")
        said = done("copy", desk.url, other).stderr
        assert said.startswith("Copied 0 events to ")
        assert "; 12 stood already.\n" in said


def grown(url: str, size: int) -> int:
    """Wait until there are more events than so many; how many there are then."""
    deadline = time.monotonic() + 60
    with ExitStack() as held:
        store = None
        while time.monotonic() < deadline:
            if store is None:
                with suppress(LedgerUnavailable):
                    store = open_store(url)
                    held.callback(store.close)
            elif (now := store.head().size) > size:
                return now
            time.sleep(0.005)
    raise AssertionError(f"{url} still has {size} events")


def test_ctrl_c(desk: Desk, other: str) -> None:
    """It stops with 130, says where it goes on, and then does, and what came since."""
    many_events(desk, MANY)
    running = process("copy", desk.url, other)
    grown(other, 0)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1].decode()
    with closing(open_store(other)) as store:
        stands = store.head().size
    assert 0 < stands < MANY
    assert running.returncode == 130
    assert said.strip() == (
        "error: Interrupted. What was not finished was not written.\n"
        f"note: {stands:,} events stand there, and stay. Run it again to go on from "
        f"event {stands + 1:,}."
    )
    running = process("copy", desk.url, other)
    grown(other, stands)
    desk.do("agreement open", deal="new", title="N", capital=["a"], capacity=["b"])
    said = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 0
    assert f"; {stands:,} stood already." in said
    assert said.endswith("has 1 event more by now; run it again.\n")


def test_killed_at_random_it_ends_as_if_it_had_not_been(desk: Desk, other: str) -> None:
    """SIGKILL of `accord copy` at any moment; the last run completes it."""
    many_events(desk, MANY)
    chance = random.Random(5)  # noqa: S311 - nothing secret, only out of step
    stands = [0]
    for turn in range(6):
        running = process("copy", desk.url, other)
        if turn < 3:
            # While it starts, and makes the tables.
            time.sleep(chance.uniform(0.1, 0.4))
        elif stands[-1] < MANY:
            grown(other, stands[-1])
            time.sleep(chance.uniform(0, 0.02))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        with suppress(LedgerUnavailable), closing(open_store(other)) as store:
            stands.append(store.head().size)
            assert verify(store).events == stands[-1]
    assert any(0 < size < MANY for size in stands), stands
    done("copy", desk.url, other)
    with closing(open_store(other)) as store:
        assert everything(store) == everything(desk.store)
