"""Money that 0.4.0 showed or judged wrongly: each input, with the right answer."""

from __future__ import annotations

from datetime import date

import pytest
from casebook import about, lines, load, rows

from ledger.errors import BatchRefused, Refused


def refusals(name, desk):
    """What a whole case is refused with."""
    with pytest.raises(BatchRefused) as refused:
        load(desk, name)
    return [p.code for _, p in refused.value.problems if isinstance(p, Refused)]


def test_a_second_currency_can_be_drawn(desk):
    """An approved draw in dollars is nothing to a facility in euros."""
    load(desk, "06a")
    desk.do(
        "funding request-drawdown",
        actor="rex@run-co",
        on="2024-01-15",
        drawdown="D2",
        facility="zeuro",
        allocations=[{"tranche": "E1", "amount": "5m EUR"}],
        value_on="2024-01-20",
    )
    money = {row.facility: row for row in rows(desk, "commitment")}
    assert (money["zeuro"].requested, money["zeuro"].unit) == ("5000000.00", "EUR")
    assert (money["main"].approved, money["main"].unit) == ("1000000.00", "USD")


def test_every_currency_stands_on_the_page(desk):
    """500m EUR that were paid are not hidden by a facility in dollars."""
    load(desk, "06b")
    shown = {
        (row.undertaking, row.rung, row.unit): row.quantity
        for row in rows(desk, "standing")
        if row.ladder == "funding"
    }
    assert shown["main", "disbursed", "EUR"] == "500000000.00"
    assert shown["a-usd", "disbursed", "USD"] == "0.00"
    assert shown["a-usd", "unlocked", "USD"] == "10000000.00"
    paid = {row.funding_unit: row.funding_disbursed for row in rows(desk, "deals")}
    assert paid == {"USD": "0.00", "EUR": "500000000.00"}


def test_no_facility_escapes_the_cap_by_its_currency(desk):
    """A cap in dollars is not agreed beside a facility in euros."""
    assert "FND-02" in refusals("07", desk)


def test_the_cap_is_not_amended_away_into_another_currency(desk):
    """A cap of 1 EUR cannot take the place of one that 40m USD are held against."""
    load(desk, "08")
    desk.refuses("AGR-07", "agreement effect-amendment", amendment="A1",
                 on="2024-02-03")  # fmt: skip


@pytest.mark.parametrize("case", ["09a", "09b"])
def test_what_was_paid_for_is_not_ready_again(desk, case):
    """A block, or a share of capacity, that unlocked once does not show as ready."""
    load(desk, case)
    desk.refuses("FND-05", "funding unlock", tranche="T1", on="2024-03-02")
    (line,) = rows(desk, "distance")
    assert not line.ready
    assert line.missing
    assert int(line.gap_w) > 0
    assert "ready" not in about(desk).next_trigger


def test_a_fixed_amount_below_the_size_unlocks_once(desk):
    """A tranche that has unlocked all that its formula pays waits for nothing."""
    load(desk, "09c")
    assert [row.tranche for row in rows(desk, "distance")] == ["T2"]
    assert about(desk).next_trigger.startswith("T2 ")


def test_a_lapsed_tranche_is_in_nobodys_way(desk):
    """After its last day a tranche keeps neither its place nor its commitment."""
    load(desk, "09e")
    after = date(2024, 12, 31)
    assert about(desk, after).next_trigger == "T2 (60000000.00 USD): ready to unlock"
    assert [row.tranche for row in rows(desk, "distance", after)] == ["T2"]
    desk.do("funding unlock", tranche="T2", on="2024-07-01")
    desk.refuses("FND-13", "funding unlock", tranche="T1", on="2024-07-01")
    desk.do(
        "funding define-tranche", tranche="T3", facility="main", number=3,
        size="40m USD", trigger={"when": "agreement_in_effect"},
        formula={"rule": "fixed", "amount": "40m USD"}, on="2024-07-01",
    )  # fmt: skip


def test_a_purchase_by_another_party_earns_nothing(desk):
    """Only what a party orders that may earn the trigger counts toward it."""
    load(desk, "10a")
    desk.refuses("FND-03", "funding unlock", tranche="T1", on="2024-02-01")
    (line,) = rows(desk, "distance")
    assert not line.ready
    assert line.missing == "Purchased 0 W of 1000000 W; 1000000 W missing"
    assert line.by_whom == "run-co"


def test_any_shows_the_least_gap(desk):
    """Of two alternatives the nearer one is what is missing."""
    load(desk, "10d")
    (line,) = rows(desk, "distance")
    assert (line.threshold_w, line.gap_w) == ("1000000", "1000000")


def test_nothing_is_available_after_the_last_day(desk):
    """After the availability period nothing could be drawn, whatever is unlocked."""
    load(desk, "14")
    (before,) = rows(desk, "commitment", date(2024, 6, 20))
    (after,) = rows(desk, "commitment", date(2024, 7, 1))
    assert (before.unlocked, before.available) == ("40000000.00", "40000000.00")
    assert (after.unlocked, after.available) == ("40000000.00", "0.00")


def test_cancelled_equity_is_listed_as_cancelled(desk):
    """A cancelled certificate is no equity of its drawdown, and has its own line."""
    load(desk, "16a")
    (drawdown,) = rows(desk, "drawdowns")
    assert drawdown.equity == ""
    (equity,) = rows(desk, "equity")
    assert (equity.state, equity.cancelled_on) == ("cancelled", "2024-06-01")
    assert (equity.price, equity.unit) == ("10.00", "USD")


def test_a_demand_lapses_with_the_excess_that_it_was_for(desk):
    """Once new capacity cured an excess, its demand is gone for page and rule alike."""
    load(desk, "18a")
    assert [
        r.subject for r in rows(desk, "obligations") if "clawback" in r.subject
    ] == []
    desk.refuses(
        "FND-01", "funding receive-clawback", clawback="CB1", amount="20m USD",
        bank_ref="B9", actor="cal@cap-co", on="2024-05-10",
    )  # fmt: skip
    desk.do(
        "funding demand-clawback", clawback="CB2", facility="main", amount="40m USD",
        due_on="2024-06-01", on="2024-05-02",
    )  # fmt: skip
    (due,) = [r for r in rows(desk, "obligations") if "clawback" in r.subject]
    assert (due.party, due.what) == ("run-co", "pay back 40000000.00 USD")


def test_a_condition_of_a_tranche_guards_it(desk):
    """A tranche unlocks only once every condition of scope `tranche` on it is met."""
    load(desk, "23")
    desk.refuses("FND-17", "funding unlock", tranche="T1", on="2024-02-01")
    (line,) = rows(desk, "distance")
    assert not line.ready
    assert "site-permit" in line.missing
    desk.do("agreement satisfy-condition", condition="site-permit", on="2024-02-01")
    assert rows(desk, "distance")[0].ready
    desk.do("funding unlock", tranche="T1", on="2024-02-01")


def test_requests_side_by_side_are_flagged(desk):
    """Requests that together exceed what is unlocked say so beside the ladder."""
    load(desk, "26")
    (money,) = rows(desk, "commitment")
    assert money.requested > money.unlocked
    assert "requests_exceed_unlocked" in about(desk).flags


@pytest.mark.pure
def test_the_cases_are_whole():
    """Every case names its deal on each line."""
    for name in ("06a", "09e", "26"):
        assert {line["deal"] for line in lines(name)} == {"deal-x"}
