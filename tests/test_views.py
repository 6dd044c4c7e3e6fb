"""The views: as-of answers, catching up, rebuilding, racing, tampering; the ladders."""

from __future__ import annotations

import json
import random
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import deals
import pytest
from conftest import Desk, read_only
from deals import facility, in_effect
from vandal import raw

from ledger.commands.registry import request_of
from ledger.domain.evaluation import recomputed
from ledger.domain.funding import TrancheRelocked, TrancheUnlocked
from ledger.domain.transcoding import decode, to_builtins
from ledger.errors import IntegrityFailure, InvalidValue, NotFound
from ledger.record.store import open_store
from projections import projector
from projections.engine import stored
from projections.engine.nouns import NOUNS
from projections.engine.view import Book, Rows
from projections.projector import Projections, view_tables
from projections.registry import BY_NAME, VIEWS, view_named

MACHINE = "milestone-machine"
FUNDING = ("committed", "unlocked", "requested", "approved", "disbursed")
CAPACITY = (
    "ordered",
    "shipped",
    "received",
    "installed",
    "energised",
    "accepted",
    "certified",
)


def load(desk: Desk, name: str, months: int = 0) -> None:
    """Load a packaged deal; spread over months of recording where asked."""
    text = files("cli.demo").joinpath(f"{name}.jsonl").read_text("utf-8")
    lines = [request_of(json.loads(line)) for line in text.splitlines()]
    desk.clock.now = max(desk.clock.now, datetime(2026, 8, 1, tzinfo=UTC))
    size = max(1, len(lines) // max(1, months)) if months else len(lines)
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        desk.ledger.execute_batch(list(enumerate(part, start=start + 1)))
        desk.clock.advance(days=30)


@pytest.fixture(scope="module")
def played(database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both packaged deals, recorded over half a year."""
    desk = Desk(tmp_path_factory.mktemp("played") / "accord.db")
    load(desk, "openai-nvidia", months=3)
    load(desk, MACHINE, months=3)
    views = Projections(desk.store)
    views.catch_up()
    yield desk, views
    desk.ledger.close()


def test_now_is_the_current_view(played):
    """As of today, known at now, is the current view: the same rows and digest."""
    desk, views = played
    now = desk.clock()
    for view in VIEWS:
        for deal in ("openai-nvidia", MACHINE):
            current = views.answer(view.name, deal)
            assert current.note is None
            asked = views.answer(view.name, deal, as_of=now.date(), known_at=now)
            assert (asked.rows, asked.digest) == (current.rows, current.digest)
            assert (asked.position, asked.tree_head) == (
                current.position,
                current.tree_head,
            )


def test_known_at_tells_the_head_of_that_time(played):
    """The footer's position and tree head are those of the last event known then."""
    desk, views = played
    first = views.answer("timeline", "openai-nvidia").rows[0]
    then = datetime.fromisoformat(first.recorded_at)
    answer = views.answer("standing", "openai-nvidia", known_at=then)
    assert 0 < answer.position < desk.store.head().size
    assert answer.tree_head != desk.store.head().root.hex()


def test_a_deal_not_known_yet_says_from_when_it_is(played):
    """Before its first event, or before it was recorded, a deal is not on the record."""
    _, views = played
    with pytest.raises(NotFound, match=r"as of 2022-12-31; it is from 2023-02-01"):
        views.answer("standing", MACHINE, as_of=date(2022, 12, 31))
    with pytest.raises(NotFound, match="known at 2026-01-01"):
        views.answer("standing", MACHINE, known_at=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFound, match="is not on the record"):
        views.answer("standing", "nobody-knows")
    with pytest.raises(InvalidValue, match="There is no view"):
        view_named("weather")


def test_an_early_day_before_any_event_has_an_empty_head(played):
    """Known before anything was recorded: no deals, position 0, the empty tree."""
    _, views = played
    answer = views.answer("deals", None, known_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert (answer.rows, answer.position) == ([], 0)


def test_all_deals_at_once_name_their_deal(played):
    """Without a deal, every row says which deal it is of, and whether it is invented."""
    _, views = played
    deals = {row.deal for row in views.answer("deals", None).rows}
    assert deals == {"openai-nvidia", "openai-nvidia-equity-2026", MACHINE}
    rows = views.answer("timeline", None).rows
    assert {row["deal"] for row in rows} == deals
    assert {row["deal"] for row in rows if row["fictional"]} == {MACHINE}
    assert not views.answer("timeline", None).fictional


def rungs(views: Projections, day: date) -> tuple[dict[str, Any], Any]:
    """The standing of the fictional deal on a day."""
    answer = views.answer("standing", MACHINE, as_of=day)
    found = {(r.ladder, r.rung): r.quantity for r in answer.rows}
    return found, answer.about


def test_the_ladders_never_grow_going_up_unflagged(played):
    """On every day, each rung is at most the one below, or the standing says why not."""
    _, views = played
    flagged = set()
    day = date(2023, 2, 1)
    while day < date(2026, 1, 1):
        found, about = rungs(views, day)
        money = [int(found["funding", rung].replace(".", "")) for rung in FUNDING]
        watts = [int(found["capacity", rung]) for rung in CAPACITY]
        if money != sorted(money, reverse=True):
            assert "overfunded" in about.flags, day
        if watts != sorted(watts, reverse=True):
            assert "systems_out_of_service" in about.flags, day
        flagged.update(about.flags)
        day += timedelta(days=7)
    assert flagged == {"overfunded", "systems_out_of_service"}


def test_the_fiction_lies_wholly_in_its_years(played):
    """Every event of the fictional deal is of 2023 to 2025, and labelled in each view."""
    _, views = played
    rows = views.answer("timeline", MACHINE).rows
    assert {row.effective_on[:4] for row in rows} == {"2023", "2024", "2025"}
    assert all(views.answer(view.name, MACHINE).fictional for view in VIEWS)
    assert not views.answer("standing", "openai-nvidia").fictional


def test_every_unlock_can_be_computed_again(played):
    """From its recorded inputs alone each unlock and re-lock gives its amount."""
    desk, _ = played
    seen = []
    for item in desk.store.select_notifications(1, 10**9):
        data = decode(item.state).data
        if isinstance(data, TrancheUnlocked | TrancheRelocked):
            assert recomputed(data) == data.cumulative
            seen.append(type(data))
    assert seen.count(TrancheUnlocked) >= 4
    assert TrancheRelocked in seen


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_batches_do_not_matter(tmp_path, monkeypatch, batch):
    """Catching up in batches of any size gives the rows of a fold in one go."""
    monkeypatch.setattr(projector, "WINDOW", batch)
    desk = Desk(tmp_path / "accord.db")
    load(desk, MACHINE)
    views = Projections(desk.store)
    told = []
    assert views.catch_up(lambda done, _: told.append(done)) >= desk.store.head().size
    assert told == sorted(told)
    assert views.verify(lambda *_: None) > 0
    assert {status.lag for status in views.status()} == {0}
    before = [views.answer(view.name, MACHINE).digest for view in VIEWS]
    views.rebuild(["fleet"])
    views.rebuild(progress=lambda *_: None)
    assert [views.answer(view.name, MACHINE).digest for view in VIEWS] == before
    desk.ledger.close()


def test_two_followers_fold_each_event_once(tmp_path, monkeypatch):
    """Two catch-ups racing in threads leave the rows of one."""
    monkeypatch.setattr(projector, "WINDOW", 5)
    desk = Desk(tmp_path / "accord.db")
    load(desk, "openai-nvidia")
    others = [Projections(open_store(desk.url, desk.clock)) for _ in range(3)]
    threads = [threading.Thread(target=views.catch_up) for views in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    views = Projections(desk.store)
    assert {status.lag for status in views.status()} == {0}
    views.verify()
    for other in others:
        other.store.close()
    desk.ledger.close()


def test_a_view_that_another_folds_while_it_is_emptied(tmp_path, monkeypatch):
    """Whoever was emptying it leaves the other's rows alone; a read in between is right."""
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    desk = Desk(tmp_path / "accord.db")
    load(desk, MACHINE)
    views = Projections(desk.store)
    views.catch_up()
    before = views.answer("fleet", MACHINE).digest
    other = Projections(open_store(desk.url, desk.clock))

    def between(turns):
        assert other.answer("fleet", MACHINE).digest == before
        if turns == 5:
            assert other.keep_up() > 0

    Projections(Between(desk.store, between)).rebuild()
    assert views.verify() > 0
    assert views.answer("fleet", MACHINE).digest == before
    assert {status.lag for status in views.status()} == {0}
    other.store.close()
    desk.ledger.close()


class Between:
    """A store that lets others in after each of its transactions."""

    def __init__(self, store, then):
        self._store, self._then, self._turns = store, then, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def writing(self):
        with self._store.writing() as connection:
            yield connection
        self._turns += 1
        self._then(self._turns)


def test_a_view_of_another_version_is_emptied_in_turns(tmp_path, monkeypatch):
    """Not in one transaction, for which every writer would wait; nor is it left half."""
    monkeypatch.setattr(stored, "AT_ONCE", 5)
    desk = Desk(tmp_path / "accord.db")
    load(desk, MACHINE)
    views = Projections(desk.store)
    views.catch_up()
    before = views.answer("fleet", MACHINE).digest
    with desk.store.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE view_tracking SET version = 77 WHERE name = 'system-parts'"
        )
    turns = []
    Projections(Between(desk.store, turns.append)).keep_up()
    assert len(turns) > 5
    assert views.verify() > 0
    assert views.answer("fleet", MACHINE).digest == before
    desk.ledger.close()


def test_stale_or_foreign_rows_answer_the_same_with_a_note(tmp_path, monkeypatch):
    """A view not caught up, or of another version, is folded in memory, and says so."""
    desk = Desk(tmp_path / "accord.db")
    load(desk, MACHINE)
    views = Projections(desk.store)
    early = views.answer("standing", MACHINE)
    assert early.note is not None
    views.catch_up()
    assert views.answer("standing", MACHINE).note is None
    desk.do(
        "agreement record-statement",
        deal=MACHINE,
        statement="late",
        speaker="x",
        text="y",
        actor="x@halcyon-capital",
    )
    later = views.answer("statements", MACHINE)
    assert later.note is not None
    assert [row.statement for row in later.rows] == ["launch", "late"]
    monkeypatch.setattr(BY_NAME["fleet"], "version", 99)
    foreign = views.answer("standing", MACHINE)
    assert foreign.note is not None
    assert foreign.rows == early.rows
    views.catch_up()
    assert views.answer("standing", MACHINE).note is None
    views.verify()
    desk.ledger.close()


def test_a_ledger_without_view_tables_still_answers(tmp_path):
    """Views are a cache: without their tables every answer is folded in memory."""
    desk = Desk(tmp_path / "accord.db")
    load(desk, "openai-nvidia")
    views = Projections(desk.store)
    assert views.answer("standing", "openai-nvidia").note is not None
    desk.ledger.close()


@pytest.mark.sqlite
def test_a_read_only_ledger_answers(nobody):
    """A ledger that may only be read gives the same answer, with a note."""
    desk = Desk(nobody / "accord.db")
    load(desk, "openai-nvidia")
    expected = Projections(desk.store).answer("standing", "openai-nvidia")
    desk.ledger.close()
    read_only(nobody)
    store = open_store(desk.url, desk.clock)
    views = Projections(store)
    assert views.catch_up() == 0
    answer = views.answer("standing", "openai-nvidia")
    assert answer.note is not None
    assert answer.digest == expected.digest
    store.close()


def test_a_tampered_row_is_named(tmp_path: Path):
    """`verify --views` finds a row that the events do not give, lost or made up."""
    desk = Desk(tmp_path / "accord.db")
    load(desk, "openai-nvidia")
    views = Projections(desk.store)
    views.catch_up()
    views.verify()
    for statement in (
        "UPDATE view_deals SET body = x'7b7d'",
        "DELETE FROM view_statements WHERE key = (SELECT min(key) FROM view_statements)",
        "INSERT INTO view_statements VALUES ('openai-nvidia', 'deal/x', 1, '{}')",
    ):
        with raw(desk.path) as connection:
            connection.execute(statement)
        with pytest.raises(IntegrityFailure, match="what the events give"):
            views.verify()
        views.rebuild()
        views.verify()
    desk.ledger.close()


def test_answers_are_data(played):
    """Every answer's rows go to plain data under the columns that the view declares."""
    _, views = played
    for view in VIEWS:
        for row in views.answer(view.name, MACHINE).rows:
            plain = to_builtins(row)
            assert tuple(plain) == view.row.__struct_fields__
            assert not any(isinstance(value, float) for value in plain.values())


def test_a_rumour_does_not_decide_the_currency_of_a_deal(desk):
    """A facility that is only reported adds no line, whatever its name."""
    in_effect(desk, funding_cap=None)
    facility(desk)
    told = {"status": "reported", "evidence": [{"title": "The Paper"}]}
    facility(desk, "a-rumour", commitment="1m EUR", **told)
    answer = Projections(desk.store).answer("deals", desk.deal)
    assert [row.funding_unit for row in answer.rows] == ["USD"]


def test_shares_have_a_ladder_of_their_own(desk):
    """A warrant's shares never mix with money: they stand in rows of their own."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    desk.do(
        "funding define-facility",
        facility="warrant",
        provider="acme",
        recipient="orion",
        instrument="warrant",
        commitment="160000000 shares",
    )
    answer = Projections(desk.store).answer("standing", desk.deal)
    units = {(row.ladder, row.undertaking): row.unit for row in answer.rows}
    assert units == {
        ("funding", ""): "USD",
        ("funding", "warrant"): "shares",
        ("capacity", ""): "W",
    }


def test_events_out_of_nowhere_do_not_break_a_fold(played):
    """A fold is total: any subset of a deal's events, in order, folds and answers."""
    desk, _ = played
    stored = desk.store.select_notifications(1, 10**9)
    history = [decode(item.state) for item in stored]
    mine = [event for event in history if event.deal == MACHINE]
    chance = random.Random(20250922)  # noqa: S311
    for _ in range(30):
        some = [event for event in mine if chance.random() < 0.5]
        folded = (*VIEWS, *NOUNS)
        rows: dict[str, Rows[Any]] = {each.name: Rows() for each in folded}
        for event in some:
            for each in folded:
                each.fold(rows[each.name], event)
        for each in VIEWS:
            each.draw(Book(MACHINE, rows, date(2026, 1, 1)))


def test_a_view_is_rebuilt_with_the_state_that_it_draws_on(tmp_path):
    """Whoever sees a wrong page rebuilds it by its name, and the parts with it."""
    desk = Desk(tmp_path / "accord.db")
    load(desk, MACHINE)
    views = Projections(desk.store)
    views.catch_up()
    with raw(desk.path) as connection:
        connection.execute("DELETE FROM view_funding_parts WHERE key LIKE 'facility/%'")
    with pytest.raises(IntegrityFailure, match="View funding-parts, deal"):
        views.verify()
    views.rebuild(["observations"])
    with pytest.raises(IntegrityFailure):
        views.verify()
    views.rebuild(["commitment"])
    views.verify()
    desk.ledger.close()


def test_a_view_that_keeps_no_rows_follows_a_reversal_without_a_table(desk):
    """What is drawn from other views alone has nothing to read or to write."""
    deals.in_effect(desk)
    views = Projections(desk.store)
    views.keep_up()
    said = {"statement": "S", "speaker": "A", "text": "So it is."}
    (slip,) = desk.do("agreement record-statement", **said)
    desk.do("reverse request", positions=[slip.position], reason="A slip")
    desk.do("reverse approve", reversal="R-1", actor=deals.BO)
    views.keep_up()
    assert all(view.lag == 0 for view in views.status())
    tables = set(view_tables().tables)
    assert not tables & {f"view_{v.name}" for v in VIEWS if not v.keeps_rows}
