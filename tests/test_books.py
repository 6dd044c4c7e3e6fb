"""Calendars, accounting periods, and the refusals that are kept beside the record."""

from __future__ import annotations

import io
import os
import sqlite3
from datetime import date

import deals
import pytest
from cli_desk import OPEN, answer, done, fails
from conftest import Desk, read_only
from hypothesis import given
from hypothesis import strategies as st
from places import address

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.custody.transfer import export
from ledger.domain.books import WEEKDAYS, Books, Calendar
from ledger.domain.transcoding import decode
from ledger.errors import (
    BatchRefused,
    InvalidValue,
    LedgerUnavailable,
    NotFound,
    Refused,
)
from ledger.record.store import open_store
from projections.engine.view import Rows
from projections.projector import Projections
from projections.views.late_entries import LATE_ENTRIES

QUARTER = {"period": "2025-Q1", "begins_on": "2025-01-01", "ends_on": "2025-03-31"}
XMAS = ["2025-12-25", "2025-12-26"]


class CountedRows(Rows):
    """Rows that count how often somebody goes through all of them."""

    walks = 0

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


def record_calendar(desk, name="city", **more):
    """Record a calendar with the two days of Christmas."""
    return desk.do(
        "calendar record-holidays", calendar=name, days=XMAS, on="2025-01-02", **more
    )


def closed(desk):
    """A deal whose first quarter is closed."""
    deals.in_effect(desk)
    desk.do("period open", **QUARTER, on="2025-01-02")
    desk.do("period close", period="2025-Q1", on="2025-04-02")


@given(st.dates(date(2024, 1, 1), date(2027, 1, 1)), st.integers(0, 30))
def test_business_days_are_counted_one_by_one(day, count):
    """So many business days after a day lie between it and the day found, no more."""
    calendar = Calendar()
    calendar.holidays = (date(2025, 12, 25), date(2025, 12, 26), date(2026, 1, 1))
    found = calendar.after(day, count)
    assert calendar.is_business_day(found)
    start = calendar.next_business_day(day)
    days = range(start.toordinal() + 1, found.toordinal() + 1)
    between = [date.fromordinal(number) for number in days]
    assert sum(map(calendar.is_business_day, between)) == count


def drawn_on(desk, on, value_on, **more):
    """The line that requests a drawdown."""
    (line,) = deals.draw(to="request-drawdown", value_on=value_on)
    return {**line, "on": on, **more}


def test_a_value_date_is_a_business_day_after_notice(desk):
    """FND-07: five business days of the calendar, holidays and weekends left out."""
    deals.in_effect(desk, notice_business_days=5, calendar="city")
    deals.racks(desk, "R1")
    deals.facility(desk)
    deals.tranche(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    request = drawn_on(desk, "2025-12-19", "2025-12-29")
    said = desk.refuses("FND-07", **request)
    assert "Record it with 'calendar record-holidays', as city" in said
    record_calendar(desk)
    said = desk.refuses("FND-07", **request)
    assert said == (
        "FND-07: The value date 2025-12-29 is too early for a request on 2025-12-19. "
        "Earliest value date is 2025-12-30 (5 business days)."
    )
    said = desk.refuses("FND-07", **drawn_on(desk, "2025-12-15", "2025-12-26"))
    assert "2025-12-26 is no business day of city; the next is 2025-12-29" in said
    assert desk.do(**drawn_on(desk, "2025-12-19", "2025-12-30"))


def test_without_a_calendar_notice_runs_from_monday_to_friday(desk):
    """Terms with a notice and no calendar count weekdays; terms with neither, nothing."""
    deals.in_effect(desk, notice_business_days=2)
    deals.racks(desk, "R1")
    deals.facility(desk)
    deals.tranche(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    said = desk.refuses("FND-07", **drawn_on(desk, "2025-06-06", "2025-06-09"))
    assert "Earliest value date is 2025-06-10 (2 business days)" in said
    said = desk.refuses("FND-07", **drawn_on(desk, "2025-06-06", "2025-06-14"))
    assert "2025-06-14 is no business day; the next is 2025-06-16" in said
    assert desk.do(**drawn_on(desk, "2025-06-06", "2025-06-10"))


def test_a_value_date_lies_in_the_availability_period(desk):
    """FND-07: before the first day for draws, or after the last, nothing is drawn."""
    deals.in_effect(desk)
    deals.racks(desk, "R1")
    deals.facility(desk, available_from="2025-06-01", available_to="2025-06-30")
    deals.tranche(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    for value_on in ("2025-05-31", "2025-07-01"):
        said = desk.refuses("FND-07", **drawn_on(desk, "2025-05-20", value_on))
        assert "outside the availability of main: 2025-06-01 to 2025-06-30" in said
    assert desk.do(**drawn_on(desk, "2025-05-20", "2025-06-30"))


def test_a_late_entry_gives_its_reason_and_shows(desk):
    """REC-04: into a closed period only with a reason, and then in late-entries."""
    closed(desk)
    told = {
        "statement": "s1",
        "speaker": "CFO",
        "text": "Told late",
        "on": "2025-03-01",
    }
    said = desk.refuses("REC-04", "agreement record-statement", **told)
    assert said == (
        "REC-04: Period 2025-Q1 is closed, and 2025-03-01 lies in it. Give a reason; "
        "the entry will be reported as late. Say why in --reason, or record it on a "
        "day that is still open."
    )
    desk.refuses("REC-04", "agreement record-statement", reason="  ", **told)
    desk.do("period open", period="now", begins_on="2025-04-01", ends_on="2026-12-31",
            on="2025-04-02")  # fmt: skip
    (late,) = desk.do("agreement record-statement", reason="It came by post", **told)
    desk.do(
        "agreement record-statement", **{**told, "statement": "s2", "on": "2025-04-01"}
    )
    views = Projections(desk.store)
    (row,) = views.answer("late-entries", desk.deal).rows
    assert (row.position, row.period, row.shown_in) == (late.position, "2025-Q1", "now")
    assert (row.reason, row.lag_days) == ("It came by post", 320)
    views.catch_up()
    assert views.answer("late-entries", desk.deal).rows == [row]
    # Entries made before the closing are not late, whatever their day.
    before = views.answer("late-entries", desk.deal, known_at=late.position - 1)
    assert before.rows == []


def test_periods_are_in_order(desk):
    """REC-14: once, forward, apart from each other, closed at their end."""
    deals.in_effect(desk)
    opened = {"on": "2025-01-20", **QUARTER}
    desk.refuses("REC-14", "period open", **{**opened, "ends_on": "2024-12-31"})
    desk.refuses("REC-14", "period open", **opened, status="reported")
    desk.do("period open", **opened)
    assert "already" in desk.refuses("REC-14", "period open", **opened)
    overlap = {"period": "x", "begins_on": "2025-03-31", "ends_on": "2025-06-30"}
    said = desk.refuses("REC-14", "period open", **overlap, on="2025-01-20")
    assert "overlaps 2025-Q1 (2025-01-01 to 2025-03-31)" in said
    close = "period close"
    assert "known: 2025-Q1" in desk.refuses(
        "REC-14", close, period="x", on="2025-04-01"
    )
    said = desk.refuses("REC-14", close, period="2025-Q1", on="2025-03-30")
    assert "runs to 2025-03-31" in said
    desk.do(close, period="2025-Q1", on="2025-03-31")
    assert "was closed on" in desk.refuses(
        "REC-14", close, period="2025-Q1", on="2025-04-01"
    )


def test_a_closing_without_its_opening_breaks_no_fold(desk):
    """History loads for ever: closing a period that is not there changes nothing."""
    closed(desk)
    (*_, closing) = desk.ledger.history("books/acme-orion")
    empty = Books("books/other")
    closing.data.apply(empty, closing)
    assert empty.periods == {}


def test_a_calendar_leaves_room_for_business(desk):
    """REC-14: a day once, some days at all, and a day of the week to work on."""
    deals.in_effect(desk)
    keys = {"calendar": "city", "on": "2025-01-20"}
    record = "calendar record-holidays"
    desk.refuses("REC-14", record, days=[XMAS[0], XMAS[0]], **keys)
    desk.refuses("REC-14", record, days=[], weekend=[], **keys)
    week = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ]
    desk.refuses("REC-14", record, days=[], weekend=week, **keys)
    desk.do(record, days=XMAS[:1], **keys)
    desk.do(record, days=XMAS[1:], weekend=["friday", "saturday"], **keys)
    calendar = desk.get(Books, desk.deal).calendars["city"]
    assert calendar.holidays == (date(2025, 12, 25), date(2025, 12, 26))
    assert calendar.is_business_day(date(2025, 12, 28))


def test_a_calendar_keeps_its_weekend(desk):
    """A later list of holidays leaves the weekend as it was, unless it names another."""
    deals.in_effect(desk)
    record, gulf = "calendar record-holidays", ["friday", "saturday"]
    desk.do(record, calendar="gulf", weekend=gulf)
    (data,) = desk.data(record, calendar="gulf", days=["2025-06-08"])
    assert data.weekend == ("friday", "saturday")
    friday, sunday = date(2025, 6, 6), date(2025, 6, 1)
    calendar = desk.get(Books, desk.deal).calendars["gulf"]
    assert not calendar.is_business_day(friday)
    assert calendar.is_business_day(sunday)
    desk.do(record, calendar="gulf", weekend=["saturday", "sunday"])
    calendar = desk.get(Books, desk.deal).calendars["gulf"]
    assert calendar.is_business_day(friday)
    assert not calendar.is_business_day(sunday)


def test_days_end_and_business_with_them(desk):
    """The longest notice is a refusal; one beyond the last day is no accident."""
    deals.in_effect(desk, notice_business_days=10_000)
    deals.racks(desk, "R1")
    deals.facility(desk)
    deals.tranche(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    said = desk.refuses("FND-07", **drawn_on(desk, "2025-06-06", "2025-06-10"))
    assert "Earliest value date is 2063-10-05 (10000 business days)" in said
    assert Calendar().after(date(9999, 12, 1), 10_000) == date.max
    rest = Calendar()
    assert rest.after(date(9999, 12, 1), 10**9) == date.max
    rest.weekend = WEEKDAYS
    assert rest.next_business_day(date(9999, 12, 1)) == date.max


def test_a_holiday_is_a_day_of_the_calendar(desk):
    """A day that there is not, or that is written otherwise, is named as it stands."""
    deals.in_effect(desk)
    for wrong in ("2025-02-30", "25 December"):
        with pytest.raises(InvalidValue, match=f"'days': '{wrong}' is not a d"):
            desk.do("calendar record-holidays", calendar="city", days=[XMAS[0], wrong])
    for wrong in (XMAS[0], 25, [25], {}):
        with pytest.raises(InvalidValue, match="'days': Expected `"):
            desk.do("calendar record-holidays", calendar="city", days=wrong)
    with pytest.raises(InvalidValue, match="'begins_on': Expected `date`"):
        desk.do("period open", **{**QUARTER, "begins_on": [XMAS[0]]})


@pytest.mark.parametrize("left", ["paid", "requested"])
def test_a_calendar_reversed_leaves_what_was_paid(desk, left):
    """REC-02: a payment made does not rely on the calendar; an open request does."""
    deals.in_effect(desk, calendar="city")
    deals.racks(desk, "R1")
    deals.facility(desk)
    deals.tranche(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    (holidays,) = record_calendar(desk)
    # 1 June 2025 is a Sunday.
    deals.pay(desk, to="settle" if left == "paid" else "request-drawdown")
    ask = {"positions": [holidays.position], "reason": "Another city"}
    if left == "paid":
        desk.do("reverse request", **ask)
    else:
        said = desk.refuses("REC-02", "reverse request", **ask)
        assert "funding.drawdown_requested (FND-07: The terms count business" in said


def test_many_late_entries_are_folded_in_time(desk):
    """What a late entry costs to fold does not grow with those before it."""
    closed(desk)
    event = desk.do(
        "agreement record-statement", statement="s", speaker="x", text="x",
        on="2025-03-01", reason="By post",
    )[0]  # fmt: skip
    stored = desk.store.select_notifications(1, 100)
    rows = CountedRows()
    for item in stored[:-1]:
        LATE_ENTRIES.fold(rows, decode(item.state))
    for _ in range(3):
        LATE_ENTRIES.fold(rows, event)
    assert rows.walks == 0


def test_the_books_are_a_view(desk):
    """Calendars with their holidays, periods with their state; unknown ones fold, too."""
    closed(desk)
    record_calendar(desk, reason="Agreed in January")
    rows = Projections(desk.store).answer("books", desk.deal).rows
    calendar, period = rows
    assert (calendar.name, calendar.holidays) == ("city", tuple(XMAS))
    assert (period.state, period.closed_on) == ("closed", "2025-04-02")


def test_a_refusal_is_kept_beside_the_record(desk):
    """Who tried what, under which rule, how often; and nothing of it on the record."""
    deals.in_effect(desk)
    before = desk.store.head()
    for _ in range(3):
        desk.refuses("AGR-14", "agreement bring-into-effect", on="2025-01-20")
        desk.clock.advance(hours=1)
    batch = [
        (1, desk.request("agreement bring-into-effect", on="2025-01-20")),
        (2, desk.request("milestone agree", milestone="none")),
    ]
    with pytest.raises(BatchRefused):
        desk.ledger.execute_batch(batch)
    with pytest.raises(BatchRefused):
        desk.ledger.dry_run(batch)
    answer = Projections(desk.store).answer("refused", desk.deal)
    (row,) = answer.rows
    assert (row.actor, row.command, row.code) == (
        "ann@acme",
        "agreement bring-into-effect",
        "AGR-14",
    )
    assert (row.times, answer.totals["refusals"]) == (4, 4)
    assert row.first_at < row.last_at
    assert "no tree head covers them" in answer.note
    assert desk.store.head() == before
    assert verify(desk.store).events == before.size
    out = io.BytesIO()
    export(desk.store, out)
    assert len(out.getvalue().splitlines()) == before.size


def test_refusals_are_known_from_when_they_were(desk):
    """As known at a time or position before it, a refusal is not told; nor as of before."""
    views = Projections(desk.store)
    deals.in_effect(desk)
    assert views.answer("refused", None).rows == []
    desk.refuses("AGR-14", "agreement bring-into-effect", on="2025-01-20")
    size = desk.store.head().size
    assert len(views.answer("refused", None).rows) == 1
    assert len(views.answer("refused", None, known_at=desk.clock()).rows) == 1
    assert len(views.answer("refused", None, known_at=size).rows) == 1
    assert views.answer("refused", None, known_at=size - 1).rows == []
    assert views.answer("refused", None, as_of=date(2025, 1, 19)).rows == []
    with pytest.raises(NotFound, match="'other' is not on the record"):
        views.answer("refused", "other")
    earlier = desk.clock.now.replace(year=2025)
    assert views.answer("refused", None, known_at=earlier).rows == []


@pytest.mark.sqlite
def test_a_ledger_that_cannot_note_a_refusal_says_so(nobody):
    """On a ledger that may only be read the refusal stands, with a note."""
    desk = Desk(nobody / "accord.db")
    deals.in_effect(desk)
    request = desk.request("agreement bring-into-effect", on="2025-01-20")
    desk.ledger.close()
    read_only(nobody)
    ledger = Ledger(open_store(desk.url, desk.clock))
    with pytest.raises(Refused) as refusal:
        ledger.execute(request)
    assert "could not be noted" in refusal.value.__notes__[0]
    with pytest.raises(LedgerUnavailable):
        ledger.execute(desk.request("agreement suspend", scopes=["draw"], ground="G"))
    ledger.close()


@pytest.mark.sqlite
def test_refusals_on_the_command_line(tmp_path, monkeypatch):
    """`accord view refused` lists them, of one deal or of all, in every form."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("init")
    assert "(nothing)" in done("view", "refused").stdout
    done(*OPEN)
    fails(1, "agreement", "bring-into-effect", "acme-orion")
    (row,) = answer("view", "refused")["rows"]
    assert row["code"] == "AGR-14"
    result = done("view", "refused", "acme-orion")
    assert "note: refusals stand beside the record" in result.stderr
    assert "refused" in done("view").stdout
    done("export", "all.jsonl")
    done("import", "all.jsonl", "--db", address("copy.db"))
    assert answer("view", "refused", "--db", address("copy.db"))["rows"] == []
    raw = sqlite3.connect("accord.db")
    raw.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("ledger.database.sqlite.BUSY_S", 0.1)
    said = fails(1, "agreement", "bring-into-effect", "acme-orion")
    raw.close()
    assert "locked" in said or "could not be noted" in said
    assert os.path.exists("copy.db")  # noqa: PTH110
