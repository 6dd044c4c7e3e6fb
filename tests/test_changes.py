"""What each event changed: a replay's changes, in order, make exactly the views."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Desk
from test_as_of import MACHINE, REAL, play, requests

from cli.commands.replay import within
from ledger.domain.transcoding import decode
from projections.engine import stored
from projections.explain.changes import (
    CHANGING,
    Change,
    Player,
    blame,
    diff,
    table_of,
    tables_of,
)
from projections.explain.preview import preview
from projections.projector import Projections
from projections.registry import BY_NAME
from projections.views.standing import STANDING


@pytest.fixture(scope="module", params=[0, 1, 2], ids=lambda seed: f"seed {seed}")
def played(request: Any, database: str, tmp_path_factory: Any) -> Any:
    """Both packaged deals, recorded over months, with reversals between."""
    desk = Desk(tmp_path_factory.mktemp("changes") / "accord.db")
    play(desk, request.param, request.param * 3)
    views = Projections(desk.store)
    views.catch_up()
    yield desk, views
    desk.ledger.close()


def apply(tables: dict[str, dict[str, dict[str, Any]]], change: Change) -> None:
    """Apply a change to the rows so far: a row is there while it says anything."""
    table = tables.setdefault(change.view, {})
    row = table.setdefault(change.row, dict(change.key))
    row[change.figure] = change.new
    if all(value is None for name, value in row.items() if name not in change.key):
        del table[change.row]


def said(tables: Any) -> Any:
    """Rows without what they leave unsaid."""
    return {
        view: {
            name: {k: v for k, v in row.items() if v is not None}
            for name, row in table.items()
        }
        for view, table in tables.items()
        if table
    }


@pytest.mark.parametrize("deal", [MACHINE, REAL])
@pytest.mark.parametrize("as_of", [None, date(2025, 12, 31)])
def test_a_replays_changes_add_up_to_the_current_views(played, deal, as_of):
    """Every change of a replay, applied in order, gives the rows of every view."""
    _, views = played
    with views.reading(as_of) as reading:
        player = Player(reading, deal)
        tables: dict[str, Any] = said(player.tables)
        for step in player.play():
            for change in step.changes:
                assert change.old != change.new
                before = tables.get(change.view, {}).get(change.row, {})
                assert before.get(change.figure) == change.old
                apply(tables, change)
        current = tables_of(reading, deal)
    assert said(tables) == said(current)


@pytest.mark.parametrize("deal", [MACHINE, REAL])
def test_a_diff_leads_from_one_reading_to_the_other(played, deal):
    """What differs between two positions, applied to the first, gives the second."""
    desk, views = played
    size = desk.store.head().size
    for old, new in ((1, size), (size // 3, size // 2), (size, size // 2)):
        with views.reading(None, old) as one, views.reading(None, new) as other:
            if not other.knows(deal):
                continue
            found = diff(one, other, deal)
            tables = said(tables_of(one, deal)) if one.knows(deal) else {}
            for change in found:
                apply(tables, change)
            assert said(tables) == said(tables_of(other, deal))


def test_nothing_differs_from_itself(played):
    """Between a moment and itself nothing changed."""
    _, views = played
    with views.reading() as one, views.reading() as other:
        assert diff(one, other, REAL) == []


def test_each_figure_names_the_event_that_set_it(played):
    """Blame covers every figure of a view, with an event that is on the deal's record."""
    _, views = played
    with views.reading() as reading:
        positions = {event.position for event in reading.history(MACHINE)}
        current = said(tables_of(reading, MACHINE))
        for view in CHANGING:
            found = blame(view, reading, MACHINE)
            assert {origin.position for origin in found} <= positions
            told = {(origin.row, origin.figure): origin.value for origin in found}
            expected = {
                (name, figure): value
                for name, row in current.get(view.name, {}).items()
                for figure, value in row.items()
                if name == "about" or figure not in view.key
            }
            # What stands from the beginning was set by no event.
            first = said(Player(reading, MACHINE, (view,)).tables)
            start = first.get(view.name, {})
            for (name, figure), value in expected.items():
                if (name, figure) in told:
                    assert told[name, figure] == value
                else:
                    assert start[name][figure] == value


def test_blame_names_the_settlement(tmp_path: Path):
    """What was disbursed was last set by the event that settled it."""
    import deals

    desk = Desk(tmp_path / "accord.db")
    deals.unlocked(desk)
    deals.pay(desk)
    with Projections(desk.store).reading() as reading:
        found = blame(BY_NAME["standing"], reading, desk.deal)
    set_by = {o.row: o.type for o in found if o.figure == "quantity"}
    assert set_by["funding/main/disbursed"] == "funding.disbursement_settled"
    assert set_by["funding/main/unlocked"] == "funding.tranche_unlocked"
    desk.ledger.close()


def test_a_replay_from_anywhere_is_the_end_of_the_whole(tmp_path, monkeypatch):
    """It begins with the answers as they were known there, reversals to come and all."""
    monkeypatch.setattr(stored, "SEGMENT", 16)
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    play(desk, 4, 5, views)
    views.catch_up()
    compared = 0
    for deal in (MACHINE, REAL):
        for as_of in (None, date(2025, 6, 1)):
            with views.reading(as_of) as reading:
                whole = list(Player(reading, deal).play())
                for after in range(1, reading.position, 37):
                    part = list(Player(reading, deal, after=after).play())
                    assert part == [s for s in whole if s.event.position > after]
                    compared += len(part)
    assert compared > 100
    desk.ledger.close()


@pytest.mark.parametrize("deal", [MACHINE, REAL])
def test_nothing_between_two_points_is_left_out(played, deal):
    """Before the place where a replay begins, and after its end, nothing is between."""
    _, views = played
    with views.reading() as reading:
        events = list(reading.history(deal))
        days = [event.on for event in events]
        times = [event.identity.recorded_at for event in events]
        places = [event.position for event in events]
        for point in (*days[::9], *times[::9], *places[::9]):
            first, last = reading.before(deal, point), reading.upto(deal, point)
            for event in events:
                assert event.position > first or not within(event, point, None)
                assert event.position <= last or not within(event, None, point)


@pytest.mark.parametrize("deal", [MACHINE, REAL])
def test_what_a_dry_run_foresees_comes_true(tmp_path, deal):
    """Each command's dry run says what the standing is once it is carried out."""
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)

    def now(deal: str) -> Any:
        with views.reading() as reading:
            return table_of(STANDING, reading.draw(STANDING, deal)[0])

    def foreseen(request: Any) -> Any:
        events = desk.ledger.dry_run([(1, request)])
        return table_of(STANDING, preview(desk.store, request.deal, events)[1])

    desk.clock.now = datetime(2026, 8, 1, tzinfo=UTC)
    asked = requests(desk, deal)
    for number, request in enumerate(asked):
        expected = foreseen(request) if number % 7 == 0 else None
        desk.ledger.execute(request)
        assert expected is None or now(request.deal) == expected
    views.catch_up()
    changed = 0
    # What another entry brought about is not reversed alone.
    entries = [(at, decode(data)) for at, data in desk.store.entries([deal])]
    mine = [at for at, entry in entries if entry.provenance.causation is None]
    for position in (mine[-3], mine[len(mine) // 2], mine[len(mine) // 3]):
        keys = {"deal": deal, "on": "2026-08-01", "reason": "A slip"}
        who = {"with_reliant": True, "actor": "rae@audit"}
        (said,) = desk.do("reverse request", positions=[position], **who, **keys)
        reversal = said.stream.rpartition("/")[2]
        answer = {"reversal": reversal, "actor": "max@audit", **keys}
        before, expected = (
            now(deal),
            foreseen(desk.request("reverse approve", **answer)),
        )
        desk.do("reverse approve", **answer)
        assert now(deal) == expected
        changed += before != expected
    assert changed
    desk.ledger.close()
