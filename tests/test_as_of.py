"""As-of answers beside a naive reference: a plain loop over an export.

The reference shares with the software only each view's fold and the way its answer is
drawn: no stored rows, no snapshots, no SQL.
"""

from __future__ import annotations

import io
import json
import random
import tempfile
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import deals
import pytest
from conftest import Desk
from deals import pay, unlocked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit.recheck import recheck
from ledger.custody.transfer import export
from ledger.domain.event import Reversed
from ledger.domain.transcoding import decode
from ledger.errors import AccordError, NotFound
from projections import projector
from projections.engine import stored
from projections.engine.nouns import NOUNS
from projections.engine.view import Book, Drawn, Rows
from projections.projector import Projections
from projections.registry import VIEWS

FOLDED = (*VIEWS, *NOUNS)
MACHINE, REAL = "milestone-machine", "openai-nvidia"


def naive(lines: list[bytes], deal: str, as_of: Any, known_at: Any, today: date) -> Any:
    """What each view says, by a plain loop over the lines of an export."""
    known = []
    for line in lines:
        event = decode(line)
        if isinstance(known_at, int):
            in_time = event.position <= known_at
        else:
            in_time = known_at is None or event.identity.recorded_at <= known_at
        if event.deal == deal and in_time:
            known.append(event)
    gone = {e.data.position for e in known if isinstance(e.data, Reversed)}
    rows: dict[str, Rows[Any]] = {view.name: Rows() for view in FOLDED}
    for event in known:
        if as_of and event.on > as_of:
            continue
        for view in FOLDED:
            if view.record or event.position not in gone:
                view.fold(rows[view.name], event)
    book = Book(deal, rows, as_of or today, limited=as_of is not None)
    found: dict[str, Drawn] = {view.name: view.draw(book) for view in VIEWS}
    return found, any(not as_of or event.on <= as_of for event in known)


def requests(desk: Desk, name: str) -> list[Any]:
    """The commands of a packaged deal."""
    text = files("cli.demo").joinpath(f"{name}.jsonl").read_text("utf-8")
    return [desk.request(**json.loads(line)) for line in text.splitlines()]


def play(
    desk: Desk, seed: int, reversals: int, views: Projections | None = None
) -> None:
    """Record both packaged deals over some months, and reverse some of it on the way.

    The views follow now and then, and a few statements come late.
    """
    chance = random.Random(seed)  # noqa: S311
    desk.clock.now = datetime(2026, 8, 1, tzinfo=UTC)
    for name in chance.sample([MACHINE, REAL], 2):
        waiting = requests(desk, name)
        waiting = waiting[: chance.randint(1, len(waiting))]
        stops = sorted(chance.choices(range(len(waiting) + 1), k=reversals))
        start = 0
        for stop in [*stops, len(waiting)]:
            record(desk, waiting[start:stop])
            start = stop
            if views is not None:
                late_words(desk, name, chance)
                views.catch_up()
            desk.clock.advance(days=chance.choice([0, 1, 20]))
            reverse_some(desk, name, chance)


def record(desk: Desk, waiting: list[Any]) -> None:
    """Record what can be recorded: what relied on something reversed is refused."""
    try:
        desk.ledger.execute_batch(list(enumerate(waiting)))
    except AccordError:
        for request in waiting:
            try:
                desk.ledger.execute(request)
            except AccordError:
                continue


def late_words(desk: Desk, name: str, chance: random.Random) -> None:
    """Statements of days long gone."""
    for _ in range(chance.randint(0, 3)):
        day = date(2024, 1, 1) + timedelta(days=chance.randint(0, 900))
        size = desk.store.head().size
        keys = {"statement": f"late-{size}", "speaker": "A", "text": "So it was."}
        request = desk.request(
            "agreement record-statement",
            **{**keys, "deal": name, "on": day.isoformat(), "actor": "rae@audit"},
        )
        record(desk, [request])


def reverse_some(desk: Desk, deal: str, chance: random.Random) -> None:
    """Ask for an entry, and all that relied on it, to be reversed; mostly approve it."""
    size = desk.store.head().size
    mine = [at for at, data in desk.store.entries([deal])][1:]
    if not mine:
        return
    day = desk.clock().date().isoformat()
    keys = {"deal": deal, "on": day, "reason": "A slip"}
    try:
        (asked,) = desk.do(
            "reverse request",
            positions=[chance.choice(mine)],
            with_reliant=chance.random() < 0.8,
            actor="rae@audit",
            **keys,
        )
    except AccordError:
        assert desk.store.head().size == size
        return
    verb = chance.choice(["approve", "approve", "approve", "reject"])
    more = {"ground": "It was right"} if verb == "reject" else {}
    name = asked.stream.rpartition("/")[2]
    desk.clock.advance(days=chance.choice([0, 3]))
    try:
        desk.do(f"reverse {verb}", reversal=name, actor="max@audit", **more, **keys)
    except AccordError as refused:
        pytest.fail(f"{asked.data}: {refused}")


def exported(desk: Desk) -> list[bytes]:
    """The lines of an export."""
    out = io.BytesIO()
    export(desk.store, out)
    return out.getvalue().splitlines()


def compare(desk: Desk, views: Projections, lines: list[bytes], pairs: Any) -> None:
    """Hold every view of both deals against the reference, at some pairs of dates."""
    today = desk.clock().date()
    for as_of, known_at in pairs:
        for deal in (MACHINE, REAL):
            expected, there = naive(lines, deal, as_of, known_at, today)
            for view in VIEWS:
                asked = {"as_of": as_of, "known_at": known_at}
                if not there:
                    with pytest.raises(NotFound):
                        views.answer(view.name, deal, **asked)
                    continue
                answer = views.answer(view.name, deal, **asked)
                drawn = expected[view.name]
                assert answer.rows == drawn.rows, (view.name, deal, asked)
                assert answer.about == drawn.about, (view.name, deal, asked)
                assert answer.totals == {"rows": len(drawn.rows), **drawn.totals}


days = st.none() | st.dates(date(2023, 1, 1), date(2027, 12, 31))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few events, so that a small record has many."""
    monkeypatch.setattr(stored, "SEGMENT", 16)
    monkeypatch.setattr(projector, "WINDOW", 50)


@pytest.mark.usefixtures("small_segments")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    reversals=st.integers(0, 4),
    pairs=st.lists(st.tuples(days, st.none() | st.floats(0, 1)), max_size=3),
)
def test_any_view_at_any_time_is_what_a_naive_loop_gives(seed, reversals, pairs):
    """Random histories with reversals: every view equals the plain loop, stored or not."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "accord.db")
        views = Projections(desk.store)
        play(desk, seed, reversals // 2, views)
        play_on = random.Random(seed)  # noqa: S311
        for _ in range(reversals):
            reverse_some(desk, play_on.choice([MACHINE, REAL]), play_on)
        lines = exported(desk)
        size = len(lines)
        stamps = [decode(line).identity.recorded_at for line in lines]
        asked: list[Any] = [(None, None), (desk.clock().date(), None)]
        for as_of, part in pairs:
            place = None if part is None else round(part * size)
            asked.append((as_of, place))
            asked.append((as_of, stamps[place - 1] if place else None))
        compare(desk, views, lines, asked)
        views.catch_up()
        views.verify()
        compare(desk, views, lines, asked)
        desk.ledger.close()


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("seed", range(3))
def test_what_was_known_at_each_end_of_a_segment_is_kept(tmp_path, seed):
    """However often the views followed, and rebuilt too: the same past, day by day."""
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    play(desk, seed, 3, views)
    lines = exported(desk)
    size = len(lines)
    days = [date(2024, 1, 1) + timedelta(days=150 * n) for n in range(5)]
    asked = [(day, place) for day in days for place in (None, size // 2)]
    asked += [(None, place) for place in range(16, size, 67)]
    compare(desk, views, lines, asked)
    views.rebuild()
    compare(desk, views, lines, asked)
    views.verify()
    desk.ledger.close()


def test_rows_that_are_read_again_are_kept_as_they_were(tmp_path, monkeypatch):
    """A fold that reads all of a kind forgets nothing that it changed before."""
    monkeypatch.setattr(stored, "SEGMENT", 4)
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    unlocked(desk)
    pay(desk, amount="30m USD")
    views.catch_up()
    desk.do("certificate revoke", certificate="C-1", ground="Copied", on="2025-07-01")
    claw = {"clawback": "CB", "on": "2025-07-02"}
    desk.do("funding demand-clawback", **claw, facility="main", amount="10m USD")
    desk.do("funding receive-clawback", **claw, amount="10m USD", bank_ref="B")
    desk.do("funding return", drawdown="D1", amount="5m USD", bank_ref="R")
    views.catch_up()
    views.verify()
    desk.ledger.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_history_with_reversals_on_the_way_stands_up_to_the_rules(tmp_path, seed):
    """Entries recorded between reversals: the record rechecks clean, rebuilt or not."""
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    play(desk, seed, 6)
    assert recheck(desk.store).findings == []
    lines = exported(desk)
    compare(desk, views, lines, [(None, None)])
    views.catch_up()
    compare(desk, views, lines, [(None, None), (date(2026, 1, 1), len(lines) // 2)])
    views.rebuild()
    views.verify()
    desk.ledger.close()


@pytest.mark.usefixtures("small_segments")
def test_what_is_put_in_place_of_something_unread_leaves_it_in_the_past(tmp_path):
    """A second order of a SKU, in another window: as of the first, it was on order."""
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    deals.in_effect(desk)
    deals.facility(desk)
    deals.tranche(desk)
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 3}
    order = {"buyer": "orion", "seller": "maker", "lines": [line]}
    desk.do("sku define", **deals.SKU, on="2025-02-01")
    desk.do("order place", order="PO-1", **order, on="2025-02-01")
    said = {"speaker": "A", "text": "So it is."}
    for number in range(4 * stored.SEGMENT):
        keys = {"statement": f"S{number}", "on": f"2025-02-{3 + number // 4:02}"}
        desk.do("agreement record-statement", **keys, **said)
    views.catch_up()
    desk.do("order place", order="PO-2", **order, on="2025-04-01")
    views.catch_up()
    (line,) = views.answer("distance", desk.deal, as_of=date(2025, 2, 15)).rows
    assert line.systems_needed == "1 rack"
    views.verify()
    desk.ledger.close()


@pytest.mark.usefixtures("small_segments")
def test_a_reversal_dated_into_a_closed_period_is_late_however_it_is_told(tmp_path):
    """Far behind the day that is asked about, it is among what came late, stored or not."""
    desk = Desk(tmp_path / "accord.db")
    views = Projections(desk.store)
    deals.in_effect(desk)
    quarter = {"begins_on": "2025-01-01", "ends_on": "2025-03-31"}
    desk.do("period open", period="Q1", **quarter, on="2025-01-02")
    desk.do("period close", period="Q1", on="2025-04-02")
    said = {"speaker": "A", "text": "So it is."}
    for number in range(5 * stored.SEGMENT):
        day = date(2025, 5, 1) + timedelta(days=number)
        keys = {"statement": f"S{number}", "on": day.isoformat(), **said}
        desk.do("agreement record-statement", **keys)
    keys = {"on": "2025-03-30", "reason": "Told of the wrong company"}
    (slip,) = desk.do("agreement record-statement", statement="slip", **said, **keys)
    desk.do("reverse request", positions=[slip.position], **keys)
    desk.do("reverse approve", reversal="R-1", actor=deals.BO, **keys)
    lines = exported(desk)
    known = [None, len(lines), len(lines) - 1]
    days = [date(2025, 3, 29), date(2025, 4, 2), date(2025, 6, 1), None]

    def check() -> None:
        for day in days:
            for place in known:
                asked = {"as_of": day, "known_at": place}
                expected, _ = naive(lines, desk.deal, day, place, desk.clock().date())
                rows = views.answer("late-entries", desk.deal, **asked).rows
                assert rows == expected["late-entries"].rows, asked
        late = views.answer("late-entries", desk.deal, as_of=days[1]).rows
        assert "record.reversed" in [row.type for row in late]

    check()
    views.catch_up()
    check()
    views.rebuild()
    check()
    desk.ledger.close()
