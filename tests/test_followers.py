"""Followers: what is recorded reaches the views once, whatever happens to who folds it."""

from __future__ import annotations

import multiprocessing
import random
import select
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cli_desk import process
from conftest import Desk
from places import POSTGRESQL, places
from servers import Server, server

from ledger.record.store import create_store, open_store
from projections.projector import Projections, view_tables
from projections.registry import VIEWS

KILLS = 50
_numbers = count(1)


def opened(desk: Desk) -> None:
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])


def speak(desk: Desk, many: int = 1) -> None:
    """Record some statements, in one batch."""
    lines = [
        {"statement": f"s{next(_numbers)}", "speaker": "Acme", "text": "On track."}
        for _ in range(many)
    ]
    desk.ledger.execute_batch(
        [
            (number, desk.request("agreement record-statement", **line))
            for number, line in enumerate(lines, start=1)
        ]
    )


def positions(desk: Desk) -> set[int]:
    return {status.position for status in Projections(desk.store).status()}


def until(true: Any) -> None:
    """Wait until something holds, but not for ever."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def caught_up(desk: Desk) -> bool:
    return positions(desk) == {desk.store.head().size}


def said(follower: Any, words: str) -> str:
    """What it says on stderr, up to the line with these words."""
    lines = ""
    while words not in lines:
        assert select.select([follower.stderr], [], [], 20)[0], lines
        line = follower.stderr.readline()
        assert line, lines
        lines += line.decode()
    return lines


@pytest.fixture
def follower(desk: Desk) -> Iterator[Any]:
    """A process that keeps the views of the desk's ledger up to date."""
    opened(desk)
    running = process("views", "follow", "--db", desk.url, bufsize=0)
    said(running, "following")
    yield running
    running.kill()
    running.communicate()


def test_views_follow_the_record(desk: Desk, follower: Any) -> None:
    """What is recorded is in every view a moment later; SIGTERM ends it cleanly."""
    for _ in range(3):
        speak(desk, 5)
        until(lambda: caught_up(desk))
    follower.send_signal(signal.SIGTERM)
    assert said(follower, "Stopped") == "Stopped; every view is at position 16.\n"
    assert follower.wait(10) == 0
    assert Projections(desk.store).verify() > 0


def test_interrupted_it_says_so(desk: Desk, follower: Any) -> None:
    """Ctrl-C ends it as it ends any command, between two batches."""
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 130
    assert b"Traceback" not in follower.stderr.read()


def test_it_may_run_twice(desk: Desk, follower: Any) -> None:
    """Two followers and a reader fold the same events; each is in the views once."""
    second = process("views", "follow", "--db", desk.url, bufsize=0)
    said(second, "following")
    for _ in range(30):
        speak(desk, 7)
        Projections(desk.store).catch_up()
    until(lambda: caught_up(desk))
    assert Projections(desk.store).verify() > 0
    for running in (follower, second):
        assert running.poll() is None
    second.kill()
    second.communicate()


def follow(url: str) -> None:
    """What `accord views follow` does, in a process that is quickly there."""
    from cli.main import root

    root.main(["views", "follow", "--db", url])


def test_killed_at_random_it_loses_and_doubles_nothing(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL at any moment, fifty times: the views are those of a rebuild."""
    opened(desk)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cli.main", "projections.projector"])
    chance = random.Random(11)  # noqa: S311 - nothing secret, only out of step
    seen = set()
    for _ in range(KILLS):
        speak(desk, chance.choice((1, 20, 150)))
        running = context.Process(target=follow, args=(desk.url,), daemon=True)
        running.start()
        time.sleep(chance.uniform(0.05, 0.35))
        running.kill()
        running.join()
        seen.add(min(positions(desk)) - desk.store.head().size)
    # Some were killed when they were done, and some before.
    assert len(seen) > 1
    views = Projections(desk.store)
    views.catch_up()
    kept = everything(desk)
    views.verify()
    views.rebuild()
    assert everything(desk) == kept


def everything(desk: Desk) -> list[Any]:
    return [Projections(desk.store).answer(view.name, None).digest for view in VIEWS]


@pytest.fixture
def home() -> Iterator[tuple[Server, str]]:
    """A server of its own, that a test may stop, with a ledger."""
    with server() as made:
        made.sql("CREATE DATABASE home")
        url = made.url("home")
        store, _ = create_store(url, beside=view_tables())
        store.close()
        yield made, url


@pytest.mark.postgresql
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_follower_outlives_its_server(
    home: tuple[Server, str], tmp_path: Path, how: str
) -> None:
    """While the server is away it waits; then it goes on where it was."""
    made, url = home
    desk = Desk(tmp_path / "accord.db", url)
    opened(desk)
    speak(desk)
    views = process("views", "follow", "--db", url, bufsize=0)
    events = process("history", "--follow", "--format", "jsonl", "--db", url, bufsize=0)
    said(views, "following")
    for _ in range(2):
        assert events.stdout.readline()
    getattr(made, how)()
    for running in (views, events):
        assert "Trying again until it is there." in said(running, "Trying again")
    made.start()
    for running in (views, events):
        assert "it is there again, at position 2." in said(running, "there again")
    desk.store.engine.dispose()
    speak(desk, 3)
    for _ in range(3):
        assert b"agreement.statement_recorded" in events.stdout.readline()
    until(lambda: caught_up(desk))
    for running in (views, events):
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
        running.communicate()
    assert Projections(desk.store).verify() > 0
    desk.ledger.close()


@pytest.mark.postgresql
def test_a_follower_that_never_reached_a_server_does_not_wait(tmp_path: Path) -> None:
    """A wrong address is told at once."""
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    lost = process("views", "follow", "--db", url)
    _, error = lost.communicate(timeout=20)
    assert lost.returncode == 1
    assert b"no server answers there" in error


@pytest.mark.postgresql
def test_a_lost_wake_up_is_lost_for_a_moment(desk: Desk) -> None:
    """Where nobody may listen, as on a standby, the follower still looks by itself."""
    store = open_store(f"{desk.url}&options=-cdefault_transaction_read_only%3Don")
    opened(desk)
    with store.subscribe() as following:
        assert next(following).id == 1
        speak(desk)
        assert next(following).id == 2
    store.close()


def test_the_kinds_are_both_tried(desk: Desk) -> None:
    """Each test here runs on the kind that it says."""
    assert desk.url.startswith(places.kind)
    assert (places.kind == POSTGRESQL) == ("psycopg" in desk.url)
