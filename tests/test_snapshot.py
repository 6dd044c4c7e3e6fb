"""Snapshots: what an aggregate was is what its events give, however it is read."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa
from cli_desk import done, fails
from conftest import Desk

from ledger.commands.registry import request_of
from ledger.domain.agreement import Agreement
from ledger.domain.funding import Funding
from ledger.errors import IntegrityFailure
from ledger.record import snapshot
from ledger.record.snapshot import EVERY, check_snapshots, pack, unpack
from projections.projector import Projections

DEAL = "acme-orion"


def talked(desk: Desk, many: int) -> None:
    """A deal of which so many statements are on the record."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    for number in range(many):
        said(desk, number)


def said(desk: Desk, number: int) -> Any:
    text = {"statement": f"s{number}", "speaker": "A", "text": f"Number {number}."}
    return desk.do("agreement record-statement", **text)


def kept(desk: Desk) -> dict[str, int]:
    """The version of each snapshot."""
    with desk.store.reading() as connection:
        rows = connection.execute(
            sa.select(snapshot.snapshots.c.stream, snapshot.snapshots.c.version)
        )
        return dict(map(tuple, rows))


def fresh(desk: Desk, kind: Any = Agreement) -> Any:
    """An aggregate from its first event."""
    stream = f"{kind.kind}/{DEAL}"
    return snapshot.fold(kind, stream, desk.ledger.history(stream))


def test_a_long_stream_is_read_from_its_snapshot(desk: Desk) -> None:
    """Every fifty events one is taken; from there on only what came later is read."""
    talked(desk, EVERY - 2)
    assert kept(desk) == {}
    said(desk, EVERY)
    assert kept(desk) == {f"agreement/{DEAL}": EVERY}
    said(desk, EVERY + 1)
    read: list[int] = []
    select = desk.store.select_events

    def noted(*args: Any, **kwargs: Any) -> Any:
        found = select(*args, **kwargs)
        read.append(len(found))
        return found

    desk.store.select_events = noted  # type: ignore[method-assign]
    found = desk.ledger.load(Agreement, f"agreement/{DEAL}")
    assert read == [1]
    assert pack(found) == pack(fresh(desk))
    said(desk, EVERY + 2)
    assert check_snapshots(desk.store) == 1


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("name", "many"), [("openai-nvidia", 4), ("milestone-machine", 2)]
)
def test_every_state_survives_its_bytes(
    desk: Desk, name: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a snapshot at every event, both demos end as without, entry by entry."""
    monkeypatch.setattr(snapshot, "EVERY", 1)
    desk.clock.now = desk.clock.now.replace(year=2027)
    for line in lines(name):
        desk.ledger.execute(request_of(line))
    assert check_snapshots(desk.store) == many
    for kind in (Agreement, Funding):
        stream = f"{kind.kind}/{name}"
        state = pack(snapshot.fold(kind, stream, desk.ledger.history(stream)))
        assert pack(desk.ledger.load(kind, stream)) == state
        assert pack(unpack(kind, stream, state)) == state


def lines(name: str) -> list[dict[str, Any]]:
    """The commands of a demo, in order."""
    text = files("cli.demo").joinpath(f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def test_what_a_snapshot_holds_can_be_reversed(desk: Desk) -> None:
    """The stream is then folded anew, without what was taken back."""
    talked(desk, EVERY)
    first = said(desk, 900)[0]
    for number in range(901, 901 + EVERY):
        said(desk, number)
    desk.do("reverse request", positions=[first.position], reason="Said by another")
    desk.do("reverse approve", reversal="R-1", actor="bo@orion")
    found = desk.get(Agreement, DEAL)
    assert "s900" not in found.statements
    assert pack(found) == pack(fresh(desk))
    for number in range(1900, 1900 + EVERY):
        said(desk, number)
    assert "s900" not in desk.ledger.load(Agreement, f"agreement/{DEAL}").statements
    assert check_snapshots(desk.store) == 1


def test_a_snapshot_that_lies_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The views' check names it, a rebuild drops it, and the record is not blamed."""
    talked(desk, EVERY)
    state = pack(fresh(desk)).replace(b'"T"', b'"U"')
    with desk.store.writing() as connection:
        connection.execute(snapshot.snapshots.update().values(state=state))
    with pytest.raises(IntegrityFailure, match=f"at version {EVERY} is not what its"):
        check_snapshots(desk.store)
    monkeypatch.setenv("ACCORD_DB", desk.url)
    done("verify")
    assert "The snapshot of agreement/acme-orion" in fails(3, "verify", "--views")
    done("views", "rebuild")
    assert kept(desk) == {}
    done("verify", "--views")
    with desk.store.writing() as connection:
        row = ("system/x/1", 1, snapshot.__version__, state)
        connection.execute(snapshot.snapshots.insert().values(row))
    with pytest.raises(IntegrityFailure, match="The snapshot of system/x/1"):
        check_snapshots(desk.store)


def test_another_release_s_snapshot_is_left_alone(desk: Desk) -> None:
    """Its folds may be others: the stream is folded from its first event."""
    talked(desk, EVERY)
    with desk.store.writing() as connection:
        connection.execute(
            snapshot.snapshots.update().values(software="0.0.1", state=b"{}")
        )
    assert len(desk.ledger.load(Agreement, f"agreement/{DEAL}").statements) == EVERY
    assert check_snapshots(desk.store) == 0
    Projections(desk.store).rebuild(["deals"])
    assert kept(desk) == {f"agreement/{DEAL}": EVERY}


@pytest.mark.pure
def test_snapshots_are_written_with_events_alone() -> None:
    """The library cannot write one by itself, unseen by the record's own transaction."""
    with pytest.raises(NotImplementedError):
        snapshot.SnapshotMapper().to_stored_event(None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        snapshot.SnapshotRecorder(None).insert_events([])  # type: ignore[arg-type]
