"""Snapshots: what an aggregate was is what its events give, however it is read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from copy import copy
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa
from cli_desk import done, fails
from conftest import Desk
from eventsourcing.persistence import IntegrityError

from ledger.application import Ledger
from ledger.commands.decision import Decision
from ledger.commands.registry import request_of
from ledger.database.tables import snapshot_parts, snapshots
from ledger.domain.aggregate import Parted, fold
from ledger.domain.funding import Facility, Funding, Tranche
from ledger.domain.transcoding import to_json
from ledger.errors import IntegrityFailure, Refused
from ledger.record import snapshot
from ledger.record.snapshot import EVERY, Kept, check_snapshots
from ledger.record.store import open_store
from projections.projector import Projections

DEAL = "acme-orion"
STREAM = f"funding/{DEAL}"
MAIN = {
    "provider": "acme",
    "recipient": "orion",
    "instrument": "equity",
    "commitment": "10bn USD",
}
TRANCHE = {
    "facility": "main",
    "size": "1m USD",
    "trigger": {"when": "capacity_certified", "at_least": "1 GW"},
    "formula": {"rule": "fixed", "amount": "1m USD"},
}


def funded(desk: Desk, many: int) -> None:
    """A deal of which so many tranches are on the record, after its facility."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    desk.do("funding define-facility", facility="main", **MAIN)
    for number in range(1, many + 1):
        defined(desk, number)


def defined(desk: Desk, number: int) -> Any:
    """One tranche more."""
    name = {"tranche": f"T{number}", "number": number}
    return desk.do("funding define-tranche", **name, **TRANCHE)


def kept(desk: Desk) -> dict[str, int]:
    """The version of each snapshot."""
    with desk.store.reading() as connection:
        rows = connection.execute(sa.select(snapshots.c.stream, snapshots.c.version))
        return dict(map(tuple, rows))


def stored(desk: Desk) -> dict[str, bytes]:
    """The parts of the funding's snapshot."""
    with desk.store.reading() as connection:
        rows = connection.execute(
            sa.select(snapshot_parts.c.key, snapshot_parts.c.body).where(
                snapshot_parts.c.stream == STREAM
            )
        )
        return dict(map(tuple, rows))


def bodies(aggregate: Parted) -> dict[str, bytes]:
    """An aggregate's parts as they are stored."""
    return {part.key: to_json(part) for part in aggregate.parts}


def fresh(desk: Desk, kind: Any = Funding, deal: str = DEAL) -> Any:
    """An aggregate from its first event."""
    stream = f"{kind.kind}/{deal}"
    return fold(kind, stream, desk.ledger.history(stream))


def loaded(desk: Desk) -> Funding:
    """The funding as a decision reads it."""
    return desk.ledger.load(Funding, STREAM)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of all parts that are read from snapshots."""
    found: list[str] = []

    def noting(real: Any) -> Any:
        def noted(*asked: Any) -> Iterator[Any]:
            for part in real(*asked):
                found.append(part.key)
                yield part

        return noted

    for name in ("many", "under", "all"):
        real = getattr(snapshot.Rows, name)
        monkeypatch.setattr(snapshot.Rows, name, noting(real))
    return found


def test_a_long_stream_is_read_from_its_snapshot(desk: Desk, read: list[str]) -> None:
    """Every fifty events one is taken; from there on only what came later is read."""
    funded(desk, EVERY - 2)
    assert kept(desk) == {}
    defined(desk, EVERY)
    assert kept(desk) == {STREAM: EVERY}
    assert len(stored(desk)) == 1 + 1 + (EVERY - 1)
    defined(desk, EVERY + 1)
    several: list[int] = []
    select = desk.store.select_events

    def noted(*args: Any, **kwargs: Any) -> Any:
        found = select(*args, **kwargs)
        several.append(len(found))
        return found

    desk.store.select_events = noted  # type: ignore[method-assign]
    read.clear()
    found = loaded(desk)
    assert several == [1]
    assert read == []
    assert found.entries == EVERY + 1
    assert found.find(Tranche, "T7")
    assert found.find(Tranche, "T0") is None
    assert read == ["tranche/T7"]
    assert bodies(found) == bodies(fresh(desk))
    assert check_snapshots(desk.store) == 1


def test_only_what_changed_is_written(desk: Desk, monkeypatch: Any) -> None:
    """The next snapshot puts the parts of its own events in place, and drops others."""
    monkeypatch.setattr(snapshot, "EVERY", 1)
    funded(desk, 3)
    claim = desk.do(
        "funding define-tranche",
        tranche="R1",
        number=1,
        status="reported",
        evidence=[{"title": "Press", "kind": "press"}],
        **TRANCHE,
    )[0]
    assert f"claim/{STREAM}@{claim.version:09d}" in stored(desk)
    taken: list[Any] = []
    write = snapshot.write
    monkeypatch.setattr(
        "ledger.record.store.write_snapshots",
        lambda connection, some: (taken.extend(some), write(connection, some)),
    )
    desk.do("funding define-tranche", tranche="R1", number=4, **TRANCHE)
    (one,) = taken
    assert (one.since, one.version) == (5, 6)
    assert [key for _, key, _ in one.kept] == [f"head/{STREAM}", "tranche/R1"]
    assert [key for _, key in one.gone] == [f"claim/{STREAM}@{claim.version:09d}"]
    assert stored(desk) == bodies(fresh(desk))
    assert check_snapshots(desk.store) == 2  # The agreement's is the other.


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["openai-nvidia", "milestone-machine"])
def test_every_part_survives_its_bytes(
    desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a snapshot at every event, both demos end as without, entry by entry."""
    monkeypatch.setattr(snapshot, "EVERY", 1)
    desk.clock.now = desk.clock.now.replace(year=2027)
    for line in lines(name):
        desk.ledger.execute(request_of(line))
    many = check_snapshots(desk.store)
    assert many == len(kept(desk)) >= len(snapshot.KINDS)
    for stream in kept(desk):
        kind = next(one for one in snapshot.KINDS if stream.startswith(one.kind))
        found = desk.ledger.load(kind, stream)
        again = fold(kind, stream, desk.ledger.history(stream))
        assert bodies(found) == bodies(again)


def lines(name: str) -> list[dict[str, Any]]:
    """The commands of a demo, in order."""
    text = files("cli.demo").joinpath(f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def test_what_a_snapshot_holds_can_be_reversed(desk: Desk) -> None:
    """The stream is then folded anew, and the next snapshot takes the old one's place."""
    funded(desk, EVERY)
    first = defined(desk, 900)[0]
    for number in range(901, 901 + EVERY):
        defined(desk, number)
    assert "tranche/T900" in stored(desk)
    desk.do("reverse request", positions=[first.position], reason="Of another deal")
    desk.do("reverse approve", reversal="R-1", actor="bo@orion")
    assert loaded(desk).find(Tranche, "T900") is None
    assert bodies(loaded(desk)) == bodies(fresh(desk))
    assert check_snapshots(desk.store) == 1
    for number in range(1900, 1900 + EVERY):
        defined(desk, number)
    assert "tranche/T900" not in stored(desk)
    assert isinstance(loaded(desk).parts, Kept)
    assert loaded(desk).find(Tranche, "T900") is None
    assert check_snapshots(desk.store) == 1


def test_a_snapshot_that_lies_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The views' check names it, a rebuild drops it, and the record is not blamed."""
    funded(desk, EVERY)
    right = stored(desk)["tranche/T7"]
    lie = right.replace(b"1000000.00", b"9000000.00")
    named = rf"{STREAM} at version {EVERY}, part tranche/T7, is not what its"
    at_t7 = (snapshot_parts.c.stream == STREAM) & (snapshot_parts.c.key == "tranche/T7")
    for change in (
        snapshot_parts.update().where(at_t7).values(body=lie),
        snapshot_parts.delete().where(at_t7),
    ):
        with desk.store.writing() as connection:
            connection.execute(change)
        with pytest.raises(IntegrityFailure, match=named):
            check_snapshots(desk.store)
    monkeypatch.setenv("ACCORD_DB", desk.url)
    done("verify")
    assert f"The snapshot of {STREAM}" in fails(3, "verify", "--views")
    done("views", "rebuild")
    assert (kept(desk), stored(desk)) == ({}, {})
    done("verify", "--views")


def test_a_snapshot_of_what_has_none_is_found(desk: Desk) -> None:
    """So is one of a version that the stream has not, or of a kind that takes none."""
    funded(desk, 1)
    for stream in (STREAM, "system/x/1", "nothing"):
        with desk.store.writing() as connection:
            row = (stream, 99, snapshot.__version__)
            connection.execute(snapshots.delete())
            connection.execute(snapshots.insert().values(row))
        with pytest.raises(IntegrityFailure, match=f"The snapshot of {stream} at"):
            check_snapshots(desk.store)


def test_another_release_s_snapshot_is_replaced_whole(desk: Desk) -> None:
    """Its folds may be others: it is neither read nor written on top of."""
    funded(desk, EVERY - 1)
    with desk.store.writing() as connection:
        connection.execute(snapshots.update().values(software="0.0.1"))
        connection.execute(snapshot_parts.update().values(body=b"{}"))
        row = (STREAM, "tranche/X", b"{}")
        connection.execute(snapshot_parts.insert().values(row))
    assert len(loaded(desk).tranches) == EVERY - 1
    assert check_snapshots(desk.store) == 0
    Projections(desk.store).rebuild(["deals"])
    assert kept(desk) == {STREAM: EVERY}
    for number in range(100, 100 + EVERY):
        defined(desk, number)
    assert kept(desk) == {STREAM: 2 * EVERY}
    assert stored(desk) == bodies(fresh(desk))
    assert check_snapshots(desk.store) == 1


def test_a_state_outlasts_the_snapshot_that_it_is_read_from(desk: Desk) -> None:
    """Where the rows moved on, what they were is folded from the events up to then."""
    funded(desk, EVERY - 1)
    before = [loaded(desk) for _ in range(4)]
    right = bodies(fresh(desk))
    for number in range(100, 100 + EVERY):
        defined(desk, number)
    one, whole, all_, forgotten = before
    assert kept(desk) == {STREAM: 2 * EVERY}
    assert one.find(Tranche, "T100") is None
    assert one.find(Tranche, "T7")
    one.parts.ahead(["tranche/T8", "tranche/T101", "facility/main"])
    assert len(one.tranches) == len(whole.tranches) == EVERY - 1
    assert bodies(all_) == bodies(one) == right
    Projections(desk.store).rebuild()
    assert bodies(forgotten) == right


def test_within_one_moment_nothing_moves(desk: Desk, read: list[str]) -> None:
    """A decision reads the rows of its own moment, whatever is written beside it."""
    funded(desk, EVERY - 1)
    other = Ledger(open_store(desk.url, desk.clock))
    with desk.store.snapshot():
        found = loaded(desk)
        requests = [
            (
                number,
                desk.request(
                    "funding define-tranche",
                    tranche=f"T{number}",
                    number=number,
                    **TRANCHE,
                ),
            )
            for number in range(100, 100 + EVERY)
        ]
        other.execute_batch(requests)
        assert kept(desk) == {STREAM: EVERY}
        assert sorted(found.tranches) == sorted(f"T{n}" for n in range(1, EVERY))
    assert len(read) > EVERY
    assert len(other.load(Funding, STREAM).tranches) == 2 * EVERY - 1
    other.close()


def decided(desk: Desk, ledger: Ledger, number: int) -> tuple[Decision, Any]:
    """A decision to define a tranche, not recorded yet."""
    request = desk.request(
        "funding define-tranche", tranche=f"T{number}", number=number, **TRANCHE
    )
    made: list[Decision] = []
    real = ledger.record

    def holding(*_: Any, **kwargs: Any) -> Sequence[int]:
        made.append(kwargs["taken"])
        raise _Held

    ledger.record = holding  # type: ignore[method-assign]
    with pytest.raises(_Held):
        ledger.execute(request)
    ledger.record = real  # type: ignore[method-assign]
    (taken,) = made
    return request, taken


class _Held(Exception):
    """What would be recorded is not."""


def test_what_was_dropped_meanwhile_is_not_written_on(desk: Desk) -> None:
    """A rebuild between decision and append: no snapshot is left, rather than a part."""
    funded(desk, EVERY - 1)
    for number in range(100, 99 + EVERY):
        defined(desk, number)
    _, taken = decided(desk, desk.ledger, 900)
    assert [(one.since, one.version) for one in taken] == [(EVERY, 2 * EVERY)]
    Projections(desk.store).rebuild()
    with desk.store.writing() as connection:
        snapshot.write(connection, taken)
    assert (kept(desk), stored(desk)) == ({}, {})
    defined(desk, 901)
    assert kept(desk) == {STREAM: 2 * EVERY}
    assert check_snapshots(desk.store) == 1


def test_of_two_writers_one_conflicts_and_its_rows_with_it(desk: Desk) -> None:
    """Whoever comes second has written no part, and decides again on what is there."""
    funded(desk, EVERY - 2)
    found = loaded(desk)
    version = found.version
    request, taken = decided(desk, desk.ledger, 900)
    assert [one.version for one in taken] == [EVERY]
    defined(desk, 901)
    before = stored(desk)
    event = copy(desk.ledger.dry_run([(1, request)])[0])
    with pytest.raises(IntegrityError):
        desk.ledger.record(event, expects={STREAM: version}, taken=taken)
    assert stored(desk) == before
    assert "tranche/T900" not in before
    assert check_snapshots(desk.store) == 1


def test_writers_side_by_side_leave_a_right_snapshot(desk: Desk) -> None:
    """Two threads on one stream: what they leave is what the events give."""
    funded(desk, 1)
    done_: list[int] = []

    def work(begin: int) -> None:
        ledger = Ledger(open_store(desk.url, desk.clock))
        number = begin
        while number < begin + 40:
            request = desk.request(
                "funding define-tranche", tranche=f"T{number}", number=number, **TRANCHE
            )
            try:
                ledger.execute(request)
            except Refused as refused:
                # Whoever loses five times in a row is told so, and begins again.
                if refused.code != "REC-06":
                    raise
                continue
            done_.append(number)
            number += 1
        ledger.close()

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in (1, 2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(done_) == 80
    assert kept(desk) == {STREAM: EVERY}
    assert check_snapshots(desk.store) == 1
    assert bodies(loaded(desk)) == bodies(fresh(desk))


def test_a_facility_is_looked_at_without_its_neighbours(
    desk: Desk, read: list[str]
) -> None:
    """What a command reads of a snapshot is what it looks at."""
    funded(desk, EVERY)
    read.clear()
    with desk.store.snapshot():
        assert loaded(desk).find(Facility, "main")
    assert read == ["facility/main"]
