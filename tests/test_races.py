"""Two processes, one command each, released together on one file: 200 rounds a pair.

Whatever order the record shows, judging its events again in that order finds nothing
to refuse. A pair that passed side by side would be found: see the last test.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from conftest import Desk
from fleet import SKU, SYSTEM, advance, allocate
from places import SQLITE, places

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.audit.recheck import recheck
from ledger.commands.registry import request_of
from ledger.errors import Refused
from ledger.record.store import Store, open_store

ROUNDS = 200
SLOW_ROUNDS = 20
"""On PostgreSQL, where each round makes a database of its own."""
PARTIES = ["acme", "orion"]
TERMS = {
    "capacity_floor": "100 kW",
    "capacity_basis": "rated",
    "funding_cap": "100m USD",
    "accepting_party": "orion",
}
APPROVE = {"command": "funding approve-drawdown", "drawdown": "D1", "actor": "ann@acme"}
SUSPEND = {
    "command": "agreement suspend",
    "scopes": ["draw"],
    "ground": "A doubt",
    "actor": "bo@orion",
}
UNLOCK = {"command": "funding unlock", "tranche": "T1", "actor": "ann@acme"}
REVOKE = {
    "command": "certificate revoke",
    "certificate": "C-1",
    "ground": "Copied records",
    "actor": "eve@engineers",
}
DISPUTE = {
    "command": "milestone dispute",
    "milestone": "M1",
    "ground": "The run was cut short",
    "actor": "bo@orion",
}


def clock() -> datetime:
    return datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


def work(pipe: Connection, barrier: Barrier) -> None:
    """A worker: carry out the command it is given, at the moment both are ready."""
    while True:
        order = pipe.recv()
        if order is None:
            return
        url, line, delay_s = order
        ledger = Ledger(open_store(url, clock))
        request = request_of(line)
        barrier.wait(timeout=60)
        until = perf_counter() + delay_s
        while perf_counter() < until:
            pass
        became = "accepted"
        try:
            ledger.execute(request)
        except Refused as refusal:
            became = refusal.code
        # Closed before the answer: whoever gets it may take the file away.
        ledger.close()
        pipe.send(became)


def rounds() -> int:
    return ROUNDS if places.kind == SQLITE else SLOW_ROUNDS


class Racers:
    """Two processes that live for all rounds."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.barrier = context.Barrier(2)
        self.pipes = []
        self.processes = []
        for _ in range(2):
            mine, theirs = context.Pipe()
            process = context.Process(
                target=work, args=(theirs, self.barrier), daemon=True
            )
            process.start()
            self.pipes.append(mine)
            self.processes.append(process)

    def race(
        self, url: str, lines: tuple[dict[str, Any], ...], delays: Any
    ) -> tuple[str, ...]:
        """Both commands at once; what became of each."""
        for pipe, line, delay_s in zip(self.pipes, lines, delays, strict=True):
            pipe.send(
                (
                    url,
                    {"deal": "acme-orion", "effective_on": "2025-06-01", **line},
                    delay_s,
                )
            )
        return tuple(pipe.recv() for pipe in self.pipes)

    def stop(self) -> None:
        """Let them go."""
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send(None)
            process.join(10)


class Edge:
    """Who waits how long, so that either of two may be the first.

    The first to pass waits longer the next time, doubly so as long as it stays the
    first: the rounds gather where both come through at the same moment.
    """

    def __init__(self) -> None:
        self._wait_s = 0.0
        self._step_s = 0.0005
        self._last: tuple[str, ...] = ()

    @property
    def delays(self) -> tuple[float, float]:
        """Seconds that the first and the second wait."""
        return (max(self._wait_s, 0), max(-self._wait_s, 0))

    def seen(self, outcome: tuple[str, ...], *, first_won: bool) -> None:
        """Move the edge toward the other."""
        same = outcome == self._last
        self._step_s = min(self._step_s * 2, 0.5) if same else 0.0005
        self._wait_s += self._step_s if first_won else -self._step_s
        self._last = outcome


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    both = Racers()
    yield both
    both.stop()


def in_effect(desk: Desk) -> None:
    desk.do(
        "agreement open",
        title="T",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )
    desk.do(
        "agreement sign-definitive",
        signatories=PARTIES,
        terms=TERMS,
        evidence=[{"title": "A", "kind": "signed_agreement"}],
        on="2025-01-02",
    )
    desk.do("agreement bring-into-effect", on="2025-01-03")


def tranche(desk: Desk, trigger: dict[str, Any]) -> None:
    desk.do(
        "funding define-facility",
        facility="main",
        provider="acme",
        recipient="orion",
        instrument="loan",
        commitment="50m USD",
        on="2025-01-04",
    )
    desk.do(
        "funding define-tranche",
        tranche="T1",
        facility="main",
        number=1,
        size="50m USD",
        trigger=trigger,
        formula={"rule": "fixed", "amount": "50m USD"},
        on="2025-01-04",
    )


def requested(desk: Desk) -> None:
    """A drawdown that waits for its approval."""
    in_effect(desk)
    tranche(desk, {"when": "date_reached", "on": "2025-01-05"})
    desk.do("funding unlock", tranche="T1", on="2025-01-05")
    desk.do(
        "funding request-drawdown",
        drawdown="D1",
        facility="main",
        allocations=[{"tranche": "T1", "amount": "5m USD"}],
        value_on="2025-07-01",
        actor="bo@orion",
        on="2025-01-06",
    )


def certified(desk: Desk) -> None:
    """A tranche whose capacity is certified, and which is still locked."""
    in_effect(desk)
    tranche(desk, {"when": "capacity_certified", "at_least": "100 kW"})
    desk.do("sku define", on="2025-02-01", **SKU)
    lines = [{"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 4}]
    desk.do(
        "order place",
        order="PO-1",
        buyer="orion",
        seller="nvidia",
        lines=lines,
        on="2025-03-01",
    )
    allocate(desk)
    advance(desk, "accepted")
    common = {"certificate": "C-1", "on": "2025-05-01"}
    desk.do("certificate draft", systems=[SYSTEM], accepted_by="2025-04-30", **common)
    desk.do(
        "certificate issue",
        actor="eve@engineers",
        evidence=[{"title": "C", "kind": "engineer_certificate"}],
        **common,
    )
    for actor in ("ann@acme", "bo@orion"):
        desk.do("certificate countersign", actor=actor, **common)
    desk.do("certificate bring-into-effect", **common)


def achieved(desk: Desk) -> None:
    """A tranche whose milestone is achieved, and which is still locked."""
    in_effect(desk)
    tranche(desk, {"when": "milestone_achieved", "milestone": "M1"})
    keys = {"milestone": "M1", "on": "2025-02-01"}
    desk.do(
        "milestone propose",
        title="M",
        track="hardware",
        owner="orion",
        target_on="2025-05-01",
        **keys,
    )
    for verb in ("agree", "sign-off"):
        if verb == "sign-off":
            desk.do("milestone submit-evidence", summary="Run 7", **keys)
        for actor in ("ann@acme", "bo@orion"):
            desk.do(f"milestone {verb}", actor=actor, **keys)
    desk.do("milestone achieve", **keys)


PAIRS = [
    pytest.param(requested, APPROVE, SUSPEND, "AGR-09", id="approve beside suspend"),
    pytest.param(certified, UNLOCK, REVOKE, "FND-03", id="unlock beside revoke"),
    pytest.param(achieved, UNLOCK, DISPUTE, "FND-03", id="unlock beside dispute"),
]


@pytest.mark.parametrize(("prepare", "one", "other", "code"), PAIRS)
def test_no_accepted_order_breaks_a_rule(
    tmp_path: Path,
    racers: Racers,
    prepare: Any,
    one: dict[str, Any],
    other: dict[str, Any],
    code: str,
) -> None:
    """The second of the two is refused, or the record shows it after the first."""
    desk = Desk(tmp_path / "accord.db")
    prepare(desk)
    size = desk.store.head().size
    desk.ledger.close()
    edge = Edge()
    outcomes: Counter[tuple[str, ...]] = Counter()
    for number in range(rounds()):
        copy = tmp_path / f"round-{number}.db"
        url = places.copy(desk.path, copy)
        outcome = racers.race(url, (one, other), edge.delays)
        edge.seen(outcome, first_won=outcome[0] == "accepted")
        outcomes[outcome] += 1
        store = open_store(url)
        assert recheck(store).findings == [], outcome
        assert verify(store).events > size
        store.close()
        places.drop(copy)
    assert outcomes.keys() == {("accepted", "accepted"), (code, "accepted")}


def taken_back(desk: Desk) -> None:
    """A certificate whose taking effect somebody asked to reverse, still locked money."""
    certified(desk)
    (effect,) = desk.store.select_notifications(
        1, 1, topics=["certificate.took_effect"]
    )
    desk.do(
        "reverse request",
        positions=[effect.id],
        with_reliant=True,
        reason="Signed by mistake",
        on="2025-05-20",
    )


def test_a_reversal_and_what_would_rely_on_it_do_not_both_pass(
    tmp_path: Path, racers: Racers
) -> None:
    """Unlocked first, the reversal is refused; reversed first, the unlock is."""
    desk = Desk(tmp_path / "accord.db")
    taken_back(desk)
    desk.ledger.close()
    approve = {"command": "reverse approve", "reversal": "R-1", "actor": "bo@orion"}
    edge = Edge()
    outcomes: Counter[tuple[str, ...]] = Counter()
    for number in range(rounds() // 2):
        copy = tmp_path / f"round-{number}.db"
        url = places.copy(desk.path, copy)
        outcome = racers.race(url, (UNLOCK, approve), edge.delays)
        edge.seen(outcome, first_won=outcome[0] == "accepted")
        outcomes[outcome] += 1
        store = open_store(url)
        assert recheck(store).findings == [], outcome
        store.close()
        places.drop(copy)
    assert outcomes.keys() == {("accepted", "REC-02"), ("FND-03", "accepted")}


def decided_apart(desk: Desk, lines: tuple[dict[str, Any], ...]) -> Store:
    """Both commands decided on the same state, then saved with no version expected."""

    class Careless(Ledger):
        """A ledger that forgets what its decisions read."""

        def record(self, *objects: Any, **kwargs: Any) -> Any:
            kwargs["expects"] = {}
            if self is first:
                second.execute(request_of(lines[1] | {"deal": "acme-orion"}))
            return super().record(*objects, **kwargs)

    first, second = Careless(desk.store), Careless(desk.store)
    first.execute(request_of(lines[0] | {"deal": "acme-orion"}))
    return desk.store


@pytest.mark.parametrize(("prepare", "one", "other", "code"), PAIRS)
def test_a_pair_that_passed_side_by_side_would_be_found(
    desk: Desk,
    prepare: Any,
    one: dict[str, Any],
    other: dict[str, Any],
    code: str,
) -> None:
    """Without the versions expected, the record breaks a rule, and the judge says so."""
    prepare(desk)
    assert recheck(desk.store).findings == []
    wrong = recheck(decided_apart(desk, (one, other))).findings
    assert wrong[0].code == code
