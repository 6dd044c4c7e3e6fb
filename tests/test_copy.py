"""Moving house: the same record at another place, whatever stops it on the way."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_desk import at_home, done, fails, process
from conftest import Desk
from places import POSTGRESQL, SQLITE, places
from vandal import many_events, raw, small_ledger

from ledger import copying, transfer
from ledger.copying import copy
from ledger.errors import ImportRejected, IntegrityFailure
from ledger.integrity import verify
from ledger.store import Store, create_store, open_store
from projections.projector import Projections, view_tables


@pytest.fixture
def other(database: str, tmp_path: Path) -> str:
    """The address of a place of the other kind, where no ledger is yet."""
    places.kind = POSTGRESQL if database == SQLITE else SQLITE
    url = places.address(tmp_path / "other.db")
    places.kind = database
    return url


@pytest.fixture
def there(other: str, desk: Desk) -> Iterator[Store]:
    """An empty ledger of the other kind."""
    store, _ = create_store(other, desk.clock, beside=view_tables())
    yield store
    store.close()


def silent(_done: int, _total: int | None) -> None:
    """Say nothing."""


def everything(store: Store) -> list[Any]:
    with store.reading() as connection:
        return [
            connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2").all()
            for table in ("events", "commands", "tree_nodes")
        ]


def test_there_and_back_again(
    tmp_path: Path, other: str, desk: Desk, database: str
) -> None:
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
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(desk.store, there, stop)
    assert there.head().size == 10
    verify(there)
    report = copy(desk.store, there, stop)
    assert (report.known, report.added) == (10, 27)
    # The batch of 25 is one transaction of many commands, the rest one each.
    assert seen == [10, 20, 30, 37]
    again = copy(desk.store, there, silent)
    assert (again.known, again.added, again.head) == (37, 0, desk.store.head())


@pytest.mark.parametrize("at", [1, 5, 12])
def test_any_other_record_is_refused(
    desk: Desk, there: Store, tmp_path: Path, at: int
) -> None:
    """Where the target parts from the source, the first event that differs is named."""
    small_ledger(desk)
    fork = Desk(tmp_path / "fork.db")
    copy(desk.store, fork.store, silent)
    with raw(fork.path) as connection:
        connection.execute(
            f"UPDATE events SET leaf = x'{'00' * 32}' WHERE position = {at}"
        )
    with pytest.raises(ImportRejected, match=f"part at event {at}:"):
        copy(desk.store, fork.store, silent)
    with pytest.raises(ImportRejected, match="it is the source that is behind"):
        copy(there, desk.store, silent)
    fork.ledger.close()


def test_who_writes_there_meanwhile_stops_it(
    desk: Desk, there: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next chunk no longer fits, and nothing of it is written."""
    monkeypatch.setattr(transfer, "CHUNK", 4)
    small_ledger(desk)
    place = there.engine.url.render_as_string(hide_password=False)

    def write(_at: int, _: int | None) -> None:
        guest = Desk(tmp_path / "guest", place)
        guest.clock.now = desk.clock.now
        guest.do(
            "agreement open", deal="guest", title="G", capital=["a"], capacity=["b"]
        )
        guest.ledger.close()

    with pytest.raises(ImportRejected, match=r"Somebody wrote to .* meanwhile"):
        copy(desk.store, there, write)
    assert there.head().size == 5
    verify(there)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE events SET data = x'7b7d' WHERE position = 7",
            "Event 7 of the source",
        ),
        (
            "DELETE FROM events WHERE position = 7",
            "event 7 is|is event 8; event 7 must",
        ),
        ("DELETE FROM events WHERE position = 12", "counts 12 events and holds 11"),
        (f"UPDATE tree_head SET root = x'{'00' * 32}'", "is damaged somewhere in"),
    ],
)
def test_a_damaged_source_is_not_copied(
    desk: Desk, there: Store, sql: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be right is refused; what came before it stays, and is whole."""
    monkeypatch.setattr(transfer, "CHUNK", 2)
    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute(sql)
    with pytest.raises((IntegrityFailure, ImportRejected), match=said):
        copy(desk.store, there, silent)
    assert verify(there).events == there.head().size


def test_mistakes_on_the_command_line(tmp_path: Path, desk: Desk) -> None:
    """The same ledger twice, none at all, and no URL: each told plainly."""
    with at_home(tmp_path):
        assert "are the same ledger" in fails(2, "copy", desk.url, desk.url)
        nowhere = f"sqlite:///{tmp_path}/none.db"
        assert "There is no ledger at" in fails(1, "copy", nowhere, desk.url)
        assert "is not a database URL" in fails(1, "copy", desk.url, "somewhere")
        assert "are the same ledger" in fails(
            2, "copy", "sqlite:///x.db", f"sqlite:///{tmp_path}/x.db"
        )


def test_killed_at_random_it_ends_as_if_it_had_not_been(desk: Desk, other: str) -> None:
    """SIGKILL of `accord copy` at any moment; the last run completes it."""
    many_events(desk, 6000)
    chance = random.Random(5)  # noqa: S311 - nothing secret, only out of step
    for _ in range(6):
        running = process("copy", desk.url, other)
        time.sleep(chance.uniform(0.3, 1.0))
        running.send_signal(signal.SIGKILL)
        running.communicate()
    done("copy", desk.url, other)
    store = open_store(other)
    assert store.head() == desk.store.head()
    verify(store)
    store.close()
    assert copying.CHUNK < 6000
