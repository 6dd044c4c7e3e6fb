"""The primary is killed while they write, and its standby takes over.

Nothing that was acknowledged is lost, nothing stands twice, and every head that was
seen still holds. One round in each run of the tests; `make soak` plays ACCORD_SOAK.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Flag
from typing import Any, Final

import pytest
from cluster import Cluster, cluster

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.audit.recheck import recheck
from ledger.commands.registry import request_of
from ledger.domain.transcoding import decode
from ledger.errors import LedgerUnavailable, OutcomeUnknown, Refused
from ledger.record.store import Store, create_store, open_store
from ledger.record.tiles import Tiles
from ledger.tlog.proofs import root_at

pytestmark = pytest.mark.postgresql

ROUNDS: Final = int(os.environ.get("ACCORD_SOAK", "1"))
LOG: Final = logging.getLogger(__name__)
# A kill comes at another moment each time, whatever chance is told to begin with.
CHANCE: Final = random.SystemRandom()
DATABASE: Final = "ledger"
WRITERS: Final = 3
DEALS: Final = [f"deal-{number}" for number in range(WRITERS + 1)]
PAUSE_S: Final = 0.05
PATIENCE_S: Final = 60
MORE: Final = 60
"""Events that must follow the takeover before a round ends."""

Answers = dict[str, tuple[int, ...]]
"""The positions that each command was told, by its id."""


@dataclass
class Round:
    """What the writers and a reader were told, and what came of it."""

    acknowledged: Answers = field(default_factory=dict)
    unknown: int = 0
    repeated: int = 0
    heads: dict[int, bytes] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    forked: list[int] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


def opening(deal: str) -> dict[str, Any]:
    return {
        "command": "agreement open",
        "deal": deal,
        "actor": "ann@acme",
        "title": f"Acme and Orion, {deal}",
        "capital": ["acme"],
        "capacity": ["orion"],
    }


def statement(name: str, deal: str) -> dict[str, Any]:
    return {
        "command": "agreement record-statement",
        "command_id": name,
        "deal": deal,
        "actor": "ann@acme",
        "statement": name,
        "speaker": "Acme",
        "text": "On track",
    }


def write(url: str, me: int, stop: Flag, pipe: Connection) -> None:
    """A writer: one command after the other, each repeated until it is answered."""
    ledger, told, unknown, repeated = _patiently(url), {}, 0, 0
    while not stop.is_set():
        name = f"w{me}-{len(told) + 1}"
        # Its own deal, or now and then the one in which the others write, too.
        deal = DEALS[me] if len(told) % 4 else DEALS[-1]
        request = request_of(statement(name, deal))
        while True:
            try:
                receipt = ledger.execute(request)
            except OutcomeUnknown:
                unknown += 1
            except LedgerUnavailable:
                pass
            except Refused as refusal:
                # The others were faster five times; nothing was written.
                assert refusal.code == "REC-06", refusal  # noqa: PT017 - in a process of its own
            else:
                told[name] = receipt.positions
                repeated += receipt.repeated
                break
            time.sleep(PAUSE_S)
    pipe.send((told, unknown, repeated))
    ledger.close()


def _patiently(url: str) -> Ledger:
    """The ledger, as soon as there is a server that takes entries."""
    while True:
        try:
            return Ledger(open_store(url))
        except LedgerUnavailable:
            time.sleep(PAUSE_S)


class Writers:
    """The processes that write, until they are told to stop."""

    def __init__(self, url: str) -> None:
        # The servers' connections, and threads, are no child's business.
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._pipes = []
        self._processes = []
        for me in range(WRITERS):
            ours, theirs = context.Pipe()
            self._pipes.append(ours)
            words = (url, me, self._stop, theirs)
            self._processes.append(context.Process(target=write, args=words))
        for process in self._processes:
            process.start()

    def told(self, into: Round) -> None:
        """Let each finish the command that it is at; what all of them were told."""
        self._stop.set()
        for pipe in self._pipes:
            assert pipe.poll(PATIENCE_S), "A writer does not end."
            told, unknown, repeated = pipe.recv()
            into.acknowledged |= told
            into.unknown += unknown
            into.repeated += repeated

    def end(self) -> None:
        self._stop.set()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def writers(url: str) -> Iterator[Writers]:
    made = Writers(url)
    try:
        yield made
    finally:
        made.end()


class Reader(threading.Thread):
    """Notes every head that it sees on a server, until there is none to see."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.store = open_store(url)
        self.heads: dict[int, bytes] = {}
        self._stop_now = threading.Event()

    def run(self) -> None:
        while not self._stop_now.wait(0.002):
            try:
                head = self.store.head()
            except LedgerUnavailable:
                return
            self.heads[head.size] = head.root

    def wait_for(self, size: int) -> None:
        """Wait until the record is as long as that."""
        deadline = time.monotonic() + PATIENCE_S
        while max(self.heads, default=0) < size:
            assert self.is_alive(), "The server is gone."
            assert time.monotonic() < deadline, "Nothing is written."
            time.sleep(0.005)

    def end(self) -> None:
        self._stop_now.set()
        self.join(PATIENCE_S)
        self.store.close()


@contextmanager
def reader(url: str) -> Iterator[Reader]:
    made = Reader(url)
    made.start()
    try:
        yield made
    finally:
        made.end()


def play(servers: Cluster, *, muted_s: float | None) -> Round:
    """Kill the primary while they write, let the standby lead, and compare.

    For `muted_s` before that the standby is sent nothing of what the primary writes.
    """
    became = Round()
    begin(servers)
    with writers(servers.url(DATABASE)) as busy:
        with reader(servers.primary.url(DATABASE)) as before:
            before.wait_for(len(DEALS) + WRITERS * 4)
            time.sleep(CHANCE.random())
            if muted_s is not None:
                servers.mute()
                time.sleep(muted_s)
            servers.primary.kill()
        servers.take_over()
        with reader(servers.standby.url(DATABASE)) as after:
            after.wait_for(after.store.head().size + MORE)
            busy.told(became)
    became.heads = before.heads
    with closing(open_store(servers.url(DATABASE))) as store:
        compare(store, became)
    return became


def begin(servers: Cluster) -> None:
    """Make the ledger, with its deals."""
    servers.primary.sql(f"CREATE DATABASE {DATABASE}")
    with closing(create_store(servers.url(DATABASE))[0]) as store:
        Ledger(store).execute_batch(
            [(n, request_of(opening(deal))) for n, deal in enumerate(DEALS, start=1)]
        )


def compare(store: Store, became: Round) -> None:
    """Hold what was told against the record as the survivor has it."""
    ids = list(became.acknowledged)
    known = store.commands(ids)
    for name, positions in became.acknowledged.items():
        found = known.get(name)
        if found is None or (found.first, found.last) != (positions[0], positions[-1]):
            became.lost.append(name)
    given = Counter(
        decode(data, position=position).provenance.command_id
        for position, data in store.entries()
        if position > len(DEALS)
    )
    became.twice = [name for name, count in given.items() if count > 1]
    # No writer ended before its last command was answered.
    assert given.keys() <= became.acknowledged.keys()
    with store.reading() as connection:
        size = store.head().size
        became.forked = [
            seen
            for seen, root in became.heads.items()
            if seen > size or root_at(seen, Tiles(connection)) != root
        ]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_was_acknowledged_outlives_the_primary(number: int) -> None:
    """A takeover under load loses no acknowledged entry and doubles none."""
    # In every other round the primary has written what its standby never gets.
    muted_s = None if number % 2 else CHANCE.uniform(0.0, 0.3)

    with cluster() as servers:
        became = play(servers, muted_s=muted_s)

        LOG.info(summary(became))
        assert not became.lost
        assert not became.twice
        assert not became.forked
        with closing(open_store(servers.url(DATABASE))) as store:
            size = len(became.acknowledged) + len(DEALS)
            assert verify(store).events == size
            judged = recheck(store)
            assert (judged.events, judged.findings) == (size, [])


def test_a_standby_that_nobody_waits_for_loses_what_was_acknowledged() -> None:
    """Where commits do not wait for the standby, the same comparison finds them lost."""
    with cluster(synchronous=False) as servers:
        became = play(servers, muted_s=0.5)

        LOG.info(summary(became))
        assert became.lost
        assert became.forked
        # What is left is whole all the same: only heads that were kept elsewhere tell.
        with closing(open_store(servers.url(DATABASE))) as store:
            verify(store)


def test_what_no_standby_has_is_told_as_unknown() -> None:
    """A commit whose wait for the standby was cancelled is not acknowledged."""
    request = request_of(statement("s-1", DEALS[0]))
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with cluster() as servers:
        begin(servers)
        with closing(Ledger(open_store(servers.url(DATABASE)))) as ledger:
            servers.mute()
            with ThreadPoolExecutor(1) as pool:
                told = pool.submit(ledger.execute, request)
                while not (found := servers.primary.sql(waiting)):
                    time.sleep(0.005)
                servers.primary.sql(f"SELECT pg_cancel_backend({found[0][0]})")
                with pytest.raises(OutcomeUnknown, match="Repeat it as it is"):
                    told.result(PATIENCE_S)
            servers.speak()

            assert ledger.execute(request).repeated
            assert ledger.store.head().size == len(DEALS) + 1


def summary(became: Round) -> str:
    return (
        f"{len(became.acknowledged)} acknowledged, {became.unknown} unknown, "
        f"{became.repeated} answered as repeats, {len(became.heads)} heads seen; "
        f"lost {len(became.lost)}, twice {len(became.twice)}, "
        f"forked {len(became.forked)}"
    )
