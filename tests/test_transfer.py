"""Export and import: the record carried away and back, byte for byte."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from places import address
from vandal import raw

from ledger.application import Ledger
from ledger.custody import transfer
from ledger.custody.transfer import Imported, export, import_
from ledger.errors import ImportRejected, IntegrityFailure, UnknownEvent
from ledger.record.store import Store, create_store


@pytest.fixture
def copy(desk: Any, tmp_path: Path) -> Iterator[Store]:
    """An empty ledger, beside the desk's."""
    store, _ = create_store(address(tmp_path / "copy.db"), desk.clock)
    yield store
    store.close()


def opened(desk: Any, deal: str = "acme-orion", **more: Any) -> None:
    desk.do(
        "agreement open",
        deal=deal,
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        **more,
    )


def story(desk: Any) -> list[bytes]:
    """A short record: three events of two deals, one command id given."""
    opened(desk, command_id="first")
    desk.clock.advance(hours=1)
    opened(desk, "other")
    desk.clock.advance(hours=1)
    desk.do("agreement link", relation="depends_on", other="other")
    return lines_of(desk.store)


def lines_of(store: Store) -> list[bytes]:
    out = io.BytesIO()
    export(store, out)
    return out.getvalue().splitlines(keepends=True)


def edited(line: bytes, part: str, **changes: Any) -> bytes:
    """A line with fields of one part of its envelope changed."""
    envelope = json.loads(line)
    envelope[part].update(changes)
    return json.dumps(envelope, separators=(",", ":")).encode() + b"\n"


def rejects(store: Store, lines: list[bytes], *words: str) -> None:
    """The import is refused with these words, and nothing is written."""
    before = store.head()
    with pytest.raises(ImportRejected) as rejection:
        import_(store, lines)
    for word in (*words, "Nothing was imported"):
        assert word in str(rejection.value)
    assert store.head() == before


def test_export_writes_stored_bytes(desk: Any) -> None:
    """Each line of an export is an event's stored bytes, unchanged."""
    lines = story(desk)
    stored = desk.store.select_notifications(1, 10)
    assert lines == [item.state + b"\n" for item in stored]


def test_copy_is_the_same_record(desk: Any, copy: Store) -> None:
    """An imported copy has the same bytes, columns, nodes, commands and tree head."""
    lines = story(desk)
    assert import_(copy, lines) == Imported(0, 3, desk.store.head())
    assert lines_of(copy) == lines
    assert copy.head() == desk.store.head()
    for table in ("events", "commands", "tree_nodes"):
        query = sa.text(f"SELECT * FROM {table} ORDER BY 1, 2")
        with desk.store.reading() as one, copy.reading() as other:
            assert one.execute(query).all() == other.execute(query).all()


def test_chunks_make_no_difference(
    desk: Any, copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is the same however few events are written at once."""
    monkeypatch.setattr(transfer, "CHUNK", 1)
    lines = story(desk)
    told: list[tuple[int, int | None]] = []
    import_(copy, lines, lambda done, total: told.append((done, total)))
    assert copy.head() == desk.store.head()
    assert [done for done, _ in told] == [1, 2, 3]


def test_export_tells_its_progress(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for an export is told how far it is, and of how many."""
    monkeypatch.setattr(transfer, "CHUNK", 2)
    story(desk)
    told: list[tuple[int, int | None]] = []
    export(desk.store, io.BytesIO(), lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]


def test_command_of_several_events_stays_one(desk: Any, copy: Store) -> None:
    """Consecutive events of one command are one command in the copy, too."""
    lines = story(desk)
    same = {"command_id": "many", "command_digest": "00"}
    lines[0] = edited(lines[0], "provenance", **same)
    lines[1] = edited(lines[1], "provenance", **same)
    import_(copy, lines)
    assert copy.commands(["many"])["many"] == ("00", 1, 2)


def test_empty_record_has_an_empty_export(desk: Any, copy: Store) -> None:
    """Nothing recorded, nothing exported; importing nothing changes nothing."""
    assert lines_of(desk.store) == []
    assert import_(copy, []).added == 0


def test_import_continues_a_prefix(desk: Any, copy: Store) -> None:
    """A ledger whose record begins the file takes in the rest."""
    lines = story(desk)
    import_(copy, lines[:1])
    assert import_(copy, lines) == Imported(1, 2, desk.store.head())


def test_import_twice_adds_nothing(desk: Any, copy: Store) -> None:
    """The same file once more is no error, and writes nothing."""
    lines = story(desk)
    import_(copy, lines)
    assert import_(copy, lines) == Imported(3, 0, desk.store.head())


def test_copy_answers_a_repeated_command(desk: Any, copy: Store) -> None:
    """The copy knows the commands: a repeat gets the first answer there."""
    import_(copy, story(desk))
    ledger = Ledger(copy)
    request = desk.request(
        "agreement open",
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        command_id="first",
    )
    receipt = ledger.execute(request)
    assert receipt.repeated
    assert receipt.positions == (1,)


def test_copy_takes_new_entries(desk: Any, copy: Store) -> None:
    """After an import, the ledger goes on with the next position."""
    import_(copy, story(desk))
    request = desk.request("agreement link", relation="guarantees", other="x")
    assert Ledger(copy).execute(request).positions == (4,)


def test_line_without_its_newline_is_whole(desk: Any, copy: Store) -> None:
    """A last line that lost only its newline is still the event."""
    lines = story(desk)
    lines[-1] = lines[-1].rstrip()
    import_(copy, lines)
    assert copy.head() == desk.store.head()


def test_fork_is_refused(desk: Any, copy: Store) -> None:
    """A file that differs from the record where both have an event is refused."""
    lines = story(desk)
    opened_there = desk.request(
        "agreement open", title="Else", capital=["acme"], capacity=["orion"]
    )
    Ledger(copy).execute(opened_there)
    rejects(copy, lines, "Line 1 differs from event 1")


def test_shorter_file_is_refused(desk: Any, copy: Store) -> None:
    """A file that ends before the record does continues nothing."""
    lines = story(desk)
    import_(copy, lines)
    rejects(copy, lines[:2], "ends after event 2", "has 3")


def test_gap_is_refused(desk: Any, copy: Store) -> None:
    """A missing event is noticed by the next one's position."""
    lines = story(desk)
    rejects(copy, [lines[0], lines[2]], "Line 2 is event 3", "event 2 must follow")


def test_stream_gap_is_refused(desk: Any, copy: Store) -> None:
    """A stream's versions must follow each other, too."""
    lines = story(desk)
    lines[2] = edited(lines[2], "identity", version=3)
    rejects(copy, lines, "version 3 of 'agreement/acme-orion'", "version 2")


def test_stream_gap_after_a_prefix_is_refused(desk: Any, copy: Store) -> None:
    """Versions are held against those that the ledger has already."""
    lines = story(desk)
    import_(copy, lines[:2])
    lines[2] = edited(lines[2], "identity", version=5)
    rejects(copy, lines, "version 5", "version 2 must follow")


def test_time_going_back_is_refused(desk: Any, copy: Store) -> None:
    """Recorded time never goes back."""
    lines = story(desk)
    lines[1] = edited(lines[1], "identity", recorded_at="2026-01-15T08:59:59.000000Z")
    rejects(copy, lines, "Line 2 was recorded at", "before the one it follows")


def test_time_to_come_is_refused(desk: Any, copy: Store) -> None:
    """A recorded time later than now is refused."""
    lines = story(desk)
    desk.clock.advance(hours=-1)
    rejects(copy, lines, "Line 3 was recorded at", "and now is")


@pytest.mark.parametrize("moment", [None, "2026-01-15T09:00:00"])
def test_time_without_zone_is_refused(
    desk: Any, copy: Store, moment: str | None
) -> None:
    """An event without a recorded time in UTC is none of ours."""
    lines = story(desk)
    lines[0] = edited(lines[0], "identity", recorded_at=moment)
    rejects(copy, lines, "Line 1 has no recorded time")


def test_effective_after_recorded_is_refused(desk: Any, copy: Store) -> None:
    """An event that was effective only after it was recorded is no fact."""
    lines = story(desk)
    lines[0] = edited(lines[0], "provenance", effective_on="2026-01-17")
    rejects(copy, lines, "effective on 2026-01-17", "after it was recorded")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}\n", "Line 1 is no event"),
        (b"not json\n", "Line 1 is no event"),
        (b'{"identity":"\xff"}\n', "Line 1 is no event"),
        (b"\n", "Line 1 is empty"),
        (b'{"identity":{}}\r\n', "white space"),
        (b'{"identity":' + b"[" * 100_000, "Line 1 is no event"),
    ],
)
def test_what_is_no_event_is_refused(copy: Store, line: bytes, words: str) -> None:
    """A line that is no event is named, whatever it is instead."""
    rejects(copy, [line], words)


def test_truncated_line_is_refused(desk: Any, copy: Store) -> None:
    """A file cut off within its last line is refused whole."""
    lines = story(desk)
    lines[2] = lines[2][:-20]
    rejects(copy, lines, "Line 3 is no event", "cut off")


def test_newer_schema_is_refused(desk: Any, copy: Store) -> None:
    """An event of a newer schema stops the import and says so."""
    lines = story(desk)
    lines[1] = edited(lines[1], "identity", schema=99)
    rejects(copy, lines, "Line 2 is no event", "schema 99")


def test_command_id_of_two_commands_is_refused(desk: Any, copy: Store) -> None:
    """A command id belongs to one command."""
    lines = story(desk)
    lines[2] = edited(lines[2], "provenance", command_id="first")
    rejects(copy, lines, "twice")


def test_part_of_a_command_is_not_continued(desk: Any, copy: Store) -> None:
    """A record that ends within a command cannot be continued past it."""
    lines = story(desk)
    lines[1] = edited(lines[1], "provenance", command_id="first")
    import_(copy, lines[:1])
    rejects(copy, lines, "'first'", "only a part")


def damage(desk: Any, *statements: str) -> None:
    with raw(desk.path) as connection:
        for statement in statements:
            connection.execute(statement)


def test_export_stops_at_bytes_that_are_no_line(desk: Any) -> None:
    """Stored bytes with a newline in them would be two lines: refused by position."""
    story(desk)
    damage(desk, "UPDATE events SET data = x'0a' WHERE position = 2")
    with pytest.raises(IntegrityFailure) as failure:
        lines_of(desk.store)
    assert failure.value.position == 2


@pytest.mark.sqlite
def test_export_stops_at_text(desk: Any) -> None:
    """A database function may have turned stored bytes into text: refused."""
    story(desk)
    damage(desk, "UPDATE events SET data = 'text' WHERE position = 3")
    with pytest.raises(IntegrityFailure) as failure:
        lines_of(desk.store)
    assert failure.value.position == 3


def test_export_stops_at_a_gap(desk: Any) -> None:
    """A position that is missing stops the export."""
    story(desk)
    damage(desk, "UPDATE events SET position = 9 WHERE position = 3")
    with pytest.raises(IntegrityFailure) as failure:
        lines_of(desk.store)
    assert failure.value.position == 3


def test_continuing_an_unreadable_record_stops(
    desk: Any, copy: Store, tmp_path: Path
) -> None:
    """A record whose last event is newer than this software is not continued."""
    story(desk)
    lines = lines_of(desk.store)
    newer = edited(lines[0], "identity", schema=99).rstrip()
    import_(copy, lines[:1])
    with raw(tmp_path / "copy.db") as connection:
        connection.execute("UPDATE events SET data = ?", [newer])
    with pytest.raises(UnknownEvent):
        import_(copy, [newer, *lines[1:]])
