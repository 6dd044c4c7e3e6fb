"""Traps of `eventsourcing` 9.5.6: each shown, and shown to be built around."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from conftest import Desk
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate as LibraryAggregate
from eventsourcing.domain import event as library_event
from eventsourcing.persistence import (
    DatetimeAsISO,
    IntegrityError,
    JSONTranscoder,
    StoredEvent,
    Tracking,
)
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from vandal import raw, small_ledger

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.domain.agreement import Agreement
from ledger.domain.transcoding import decode
from ledger.errors import IntegrityFailure, InvalidValue, Refused
from ledger.record.mapper import EventMapper
from ledger.record.store import open_store

OPEN: dict[str, Any] = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}


class Dog(LibraryAggregate):
    """The library's own kind of aggregate."""

    @library_event("Named")
    def __init__(self) -> None:
        self.tricks: list[str] = []

    @library_event("TrickAdded")
    def add(self, trick: str) -> None:
        self.tricks.append(trick)


def test_an_aggregate_is_not_used_again_after_a_conflict(desk: Desk) -> None:
    """The library's drained aggregate saves over another's version; ours is reloaded."""
    app = Application[Any]()
    dog = Dog()
    app.save(dog)
    mine, yours = app.repository.get(dog.id), app.repository.get(dog.id)
    yours.add("roll")
    app.save(yours)
    mine.add("sit")
    with pytest.raises(IntegrityError):
        app.save(mine)
    # The trap: the lost event is gone from the list, and nobody says so.
    app.save(mine)
    assert mine.tricks == ["sit"]
    assert app.repository.get(dog.id).tricks == ["roll"]

    small_ledger(desk, ("one",))
    seen: list[int] = []

    class Late(Ledger):
        def record(self, *objects: Any, **kwargs: Any) -> Any:
            seen.append(objects[0].version)
            if len(seen) == 1:
                desk.do("agreement suspend", deal="one", scopes=["draw"], ground="x")
            return super().record(*objects, **kwargs)

    late = Late(desk.store)
    with pytest.raises(Refused) as refused:
        late.execute(
            desk.request("agreement suspend", deal="one", scopes=["draw"], ground="y")
        )
    # Decided again on what is there now, the command is refused by its rule.
    assert (seen, refused.value.code) == ([7], "AGR-14")


def test_events_are_folded_by_our_own_projector(desk: Desk) -> None:
    """The library checks a protocol for every event it folds; our events need not bend."""
    small_ledger(desk, ("one",))
    agreement = desk.get(Agreement, "one")
    assert agreement.version == 6
    assert not hasattr(agreement, "pending_events")
    assert not hasattr(desk.store.select_events("agreement/one")[0], "mutate")


def test_our_transcoding_decides_and_refuses(desk: Desk) -> None:
    """The library's JSON turns tuples into lists and takes naive times; ours does not."""
    loose = JSONTranscoder()
    loose.register(DatetimeAsISO())
    assert loose.decode(loose.encode({"parties": ("a", "b")})) == {
        "parties": ["a", "b"]
    }
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the trap
    assert loose.decode(loose.encode(naive)).tzinfo is None
    for strange in (date(2026, 1, 1), Enum("State", "OPEN")(1)):  # type: ignore[attr-defined]
        with pytest.raises(TypeError):
            loose.encode(strange)

    (event,) = desk.do("agreement open", **OPEN)
    assert event.data.capital == ("acme",)
    assert event.on == date(2026, 1, 15)
    assert event.identity.recorded_at == datetime(2026, 1, 15, 9, tzinfo=UTC)
    with pytest.raises(InvalidValue, match="Expected `str`, got `int`"):
        desk.do("agreement open", **OPEN | {"title": 5})


def test_a_lost_position_is_not_given_out_again(desk: Desk, tmp_path: Path) -> None:
    """The library numbers by row id, and gives a deleted one out again; ours does not."""
    theirs = SQLiteApplicationRecorder(
        SQLiteDatastore(str(tmp_path / "theirs.db"), originator_id_type="text")
    )
    theirs.create_table()
    theirs.insert_events([StoredEvent("a", n, "t", b"") for n in (1, 2)])
    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_version = 2")
    connection.close()
    assert theirs.insert_events([StoredEvent("b", 1, "t", b"")]) == [2]
    theirs.datastore.close()

    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute("DELETE FROM events WHERE position = 12")
    assert desk.store.insert_events([StoredEvent("b", 1, "t", b"")]) == [13]
    with pytest.raises(IntegrityFailure, match="Event 12 is missing"):
        verify(desk.store)


def test_a_follower_never_misses_an_event(desk: Desk, tmp_path: Path) -> None:
    """SQLite wakes nobody, and the library's recorder cannot be followed there; ours can."""
    theirs = SQLiteApplicationRecorder(SQLiteDatastore(str(tmp_path / "theirs.db")))
    with pytest.raises(NotImplementedError):
        theirs.subscribe(gt=None)
    theirs.datastore.close()

    other = open_store(desk.url)
    with desk.store.subscribe() as following:
        for version in range(1, 6):
            other.insert_events([StoredEvent("a", version, "t", b"")])
            assert next(following).originator_version == version
    other.close()


def test_tracking_is_one_conditional_write(desk: Desk) -> None:
    """A position that was taken in is refused by the write itself, not by a look before."""
    statements: list[str] = []
    sa.event.listen(
        desk.store.engine,
        "before_cursor_execute",
        lambda _c, _cur, statement, *_: statements.append(statement),
    )
    desk.store.insert_tracking(Tracking("view", 1))
    desk.store.insert_tracking(Tracking("view", 2))
    with pytest.raises(IntegrityError):
        desk.store.insert_tracking(Tracking("view", 2))
    assert not [text for text in statements if text.startswith("SELECT")]
    assert desk.store.max_tracking_id("view") == 2


def test_the_store_knows_every_argument_that_it_is_given(desk: Desk) -> None:
    """The library's recorders drop what they do not know, silently; ours refuses."""
    app = Application[Any]()
    app.save(Dog(), expects={"nothing": 5}, misspelt=True)
    event = StoredEvent("a", 1, "t", b"")
    with pytest.raises(TypeError, match="misspelt"):
        desk.store.insert_events([event], misspelt=True)
    with pytest.raises(IntegrityError):
        desk.store.insert_events([event], expects={"nothing": 5})


def test_a_receipt_tells_what_is_recorded(desk: Desk) -> None:
    """What the mapper makes is not stamped yet; a receipt is read from the record."""
    receipt = desk.ledger.execute(desk.request("agreement open", **OPEN))
    (event,) = receipt.events
    assert event.position == 1
    stored = desk.store.select_events(event.stream)[0]
    assert decode(stored.state) == event
    unstamped = EventMapper().to_stored_event(event).state
    assert stored.state.endswith(unstamped)
    assert stored.state != unstamped


@pytest.mark.sqlite
def test_stored_bytes_are_bytes(desk: Desk) -> None:
    """A database function that makes text of them is found, though it reads alike."""
    small_ledger(desk, ("one",))
    with raw(desk.path) as connection:
        connection.execute("UPDATE events SET data = replace(data, 'x', 'x')")
    with pytest.raises(IntegrityFailure, match="Event 1 is not stored as bytes"):
        verify(desk.store)


def test_ids_are_text(desk: Desk) -> None:
    """Streams are readable names; an id of the library's kind is written as text too."""
    strange = uuid4()
    desk.store.insert_events([StoredEvent(strange, 1, "t", b"")])  # type: ignore[arg-type]
    assert desk.store.select_events(strange)[0].originator_id == str(strange)
    (event,) = desk.do("agreement open", **OPEN)
    assert event.stream == f"agreement/{desk.deal}"


def test_the_conformance_cases_need_a_cipher() -> None:
    """The library's test cases import a cipher; it is among our development tools."""
    import Crypto.Cipher.AES

    assert Crypto.Cipher.AES
