"""Drawdowns from request to payment: FND-01, FND-08 to FND-10, FND-15."""

from __future__ import annotations

import pytest
from deals import (
    AMY,
    ANN,
    BO,
    EVE,
    IAN,
    REPORTED,
    certify,
    draw,
    funded,
    pay,
    step,
    tranche,
    unlocked,
)
from money import (
    APPROVE,
    INSTRUCT,
    REQUEST,
    SETTLE,
    figures,
    get,
    revoke,
    state,
)

from ledger.domain.funding import OverfundingDeclared


def test_a_drawdown_lives_from_request_to_payment(desk):
    """Requested, approved, instructed, settled: only the approval reserves."""
    unlocked(desk)
    seen = []
    for line in draw():
        desk.do(**line)
        seen.append((state(desk), *figures(desk)))
    assert seen == [
        ("requested", 40, 0, 0, 40),
        ("approved", 40, 0, 10, 30),
        ("instructed", 40, 0, 10, 30),
        ("settled", 40, 10, 0, 30),
    ]
    by = get(desk).drawdowns["D1"].by
    assert by == {
        "requested": "bo",
        "approved": "ann",
        "instructed": "ian",
        "settled": "sue",
    }


# FND-01
def test_a_request_is_within_what_is_available(desk):
    """FND-01: with the figures behind it; several requests may stand side by side."""
    unlocked(desk)
    said = desk.refuses("FND-01", **draw(amount="41m USD")[0])
    assert (
        "41000000.00 USD exceeds available 40000000.00 USD (unlocked 40000000.00 USD, "
        "paid 0.00 USD, approved 0.00 USD)." in said
    )
    pay(desk, "D1", "30m USD", to="request-drawdown")
    pay(desk, "D2", "30m USD", to="request-drawdown")
    desk.do(**draw("D1", "30m USD")[1])
    said = desk.refuses("FND-01", **draw("D2", "30m USD")[1])
    assert "30000000.00 USD exceeds available 10000000.00 USD" in said


def test_each_part_is_within_its_tranche(desk):
    """FND-01: a drawdown takes of each tranche no more than it has left."""
    unlocked(desk, "10m USD", "20m USD")
    said = desk.refuses("FND-01", **draw(amount="11m USD")[0])
    assert "what tranche T1 has left (unlocked 10000000.00 USD, drawn 0.00 USD)" in said
    parts = [
        {"tranche": "T1", "amount": "10m USD"},
        {"tranche": "T2", "amount": "5m USD"},
    ]
    pay(desk, "D1", to="approve-drawdown", allocations=parts)
    assert figures(desk) == (30, 0, 15, 15)
    desk.refuses("FND-01", **draw("D2", "1m USD")[0])
    desk.do(**draw("D2", "15m USD", tranche="T2")[0])


def test_a_payment_is_instructed_only_while_covered(desk):
    """FND-01 at the instruction: what a revocation took away is not paid out."""
    systems = funded(desk)
    tranche(desk, formula=step("100 kW", "20m USD"))
    certify(desk, "C-1", systems[:1])
    certify(desk, "C-2", systems[1:2])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    pay(desk, "D1", "15m USD", to="approve-drawdown")
    pay(desk, "D2", "15m USD", to="approve-drawdown")
    done = revoke(desk, on="2025-06-02")
    assert not any(isinstance(data, OverfundingDeclared) for data in done)
    said = desk.refuses("FND-01", **draw("D1", "15m USD")[2])
    assert "15000000.00 USD is no longer covered: 10000000.00 USD too much" in said
    desk.do("funding reject-drawdown", drawdown="D2", ground="x", on="2025-06-03")
    desk.do(**draw("D1", "15m USD")[2])


def test_a_payment_is_covered_by_its_own_tranche(desk):
    """FND-01: room in another tranche does not cover a payment of one re-locked."""
    systems = funded(desk)
    tranche(desk, "T1", 1, size="40m USD")
    two = {"when": "capacity_certified", "at_least": "200 kW"}
    tranche(desk, "T2", 2, size="40m USD", trigger=two)
    certify(desk, "C-1", systems[:1])
    certify(desk, "C-2", systems[1:2])
    for name in ("T1", "T2"):
        desk.do("funding unlock", tranche=name, on="2025-05-02")
    pay(desk, "D1", to="approve-drawdown", tranche="T2")
    revoke(desk, "C-2", on="2025-06-02")
    said = desk.refuses("FND-01", **draw()[2])
    assert "what tranche T2 has left (unlocked 0.00 USD, drawn 10000000.00" in said


# FND-16, FND-14
@pytest.mark.parametrize(
    ("code", "changed", "said"),
    [
        ("FND-16", {"allocations": []}, "from at least one tranche"),
        ("FND-16", {"value_on": "2025-05-31"}, "is before the request"),
        ("FND-16", {"facility": "none"}, "Facility 'none' is not on the record"),
        (
            "FND-16",
            {"allocations": [{"tranche": "T9", "amount": "1m USD"}]},
            "Tranche 'T9' is not on the record; known: T1",
        ),
        (
            "FND-16",
            {"allocations": [{"tranche": "T1", "amount": "1m USD"}] * 2},
            "Tranche T1 stands twice in D1",
        ),
        (
            "FND-16",
            {"allocations": [{"tranche": "T1", "amount": "0 USD"}]},
            "0.00 USD of T1 draws nothing",
        ),
        (
            "FND-14",
            {"allocations": [{"tranche": "T1", "amount": "1m EUR"}]},
            "Facility is in USD; 1000000.00 EUR is not",
        ),
        ("REC-12", {"on": "2025-05-01"}, "is before the unlock of T1 on 2025-05-02"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(desk, code, changed, said):
    """FND-16, FND-14, REC-12: tranches, amounts, currency and dates fit each other."""
    unlocked(desk)
    assert said in desk.refuses(code, **{**REQUEST, **changed})


def test_a_request_is_made_once_of_an_open_facility(desk):
    """FND-16: a name is taken once; nothing is drawn of a closed facility."""
    unlocked(desk)
    desk.do(**REQUEST)
    said = desk.refuses("FND-16", **REQUEST)
    assert "Drawdown 'D1' is already on the record" in said
    desk.do("funding withdraw-drawdown", drawdown="D1", actor=BO, on="2025-06-01")
    desk.do("funding close-facility", facility="main", on="2025-06-01")
    said = desk.refuses("FND-16", **draw("D2")[0])
    assert "Facility main was closed on 2025-06-01" in said


# FND-08
@pytest.mark.parametrize("actor", [AMY, "Ann@orion", EVE])
def test_the_provider_approves(desk, actor):
    """FND-08: the recipient, or anybody else, approves nothing."""
    unlocked(desk)
    desk.do(**REQUEST)
    said = desk.refuses("FND-08", **{**APPROVE, "actor": actor})
    assert "'funding approve-drawdown' is for acme; you act for" in said


def test_four_eyes(desk):
    """FND-08: by declared name, whatever its case and spaces, and for each step."""
    unlocked(desk)
    said = desk.refuses("FND-08", **{**REQUEST, "actor": ANN})
    assert "is for orion; you act for acme" in said
    desk.do(**REQUEST)
    said = desk.refuses("FND-08", **{**APPROVE, "actor": " BO @acme"})
    assert "You made this request. Another approver is needed." in said
    desk.do(**APPROVE)
    said = desk.refuses("FND-08", **{**INSTRUCT, "actor": "Ann@acme"})
    assert "You approved this drawdown. Another instructor is needed." in said
    desk.refuses("FND-08", **{**INSTRUCT, "actor": "ian@orion"})
    desk.do(**INSTRUCT)
    said = desk.refuses("FND-08", **{**SETTLE, "actor": IAN})
    assert "You instructed this payment. Another recorder is needed." in said
    desk.refuses("FND-08", **{**SETTLE, "actor": EVE})
    desk.do(**{**SETTLE, "actor": AMY})


def test_each_side_takes_back_its_own(desk):
    """FND-08: the recipient withdraws, the provider rejects; before the instruction."""
    unlocked(desk)
    take = {"drawdown": "D1", "on": "2025-06-02"}
    desk.do(**REQUEST)
    desk.refuses("FND-08", "funding withdraw-drawdown", **take)
    desk.refuses("FND-08", "funding reject-drawdown", **take, ground="x", actor=BO)
    desk.do("funding reject-drawdown", **take, ground="Too early")
    assert state(desk) == "rejected"
    pay(desk, "D2", to="approve-drawdown")
    take = {"drawdown": "D2", "on": "2025-06-02"}
    desk.do("funding withdraw-drawdown", **take, actor=BO)
    assert (state(desk, "D2"), *figures(desk)) == ("withdrawn", 40, 0, 0, 40)


# FND-09
def test_an_open_default_blocks_each_step(desk):
    """FND-09: no request, approval or instruction while a default is open."""
    unlocked(desk)
    default = {"default": "X", "on": "2025-06-01"}
    paper = {"evidence": [{"title": "Notice"}]}
    for number, line in enumerate(draw(to="instruct")):
        default["default"] = f"X{number}"
        declare = {"party": "orion", "ground": "Interest unpaid"}
        desk.do("observation declare-default", **default, **declare, **paper)
        said = desk.refuses("FND-09", **line)
        assert f"Default X{number} of orion is open since 2025-06-01" in said
        desk.do("observation cure-default", **default, **paper)
        desk.do(**line)


def test_draw_conditions_are_repeated(desk):
    """FND-09: each draw condition is met, at each step; other scopes do not matter."""
    unlocked(desk)
    define = {"text": "x", "on": "2025-05-20"}
    for number, line in enumerate(draw(to="instruct")):
        name = f"insurance-{number}"
        desk.do("agreement define-condition", condition=name, scope="draw", **define)
        desk.do("agreement define-condition", condition=f"t{number}", **define)
        said = desk.refuses("FND-09", **line)
        assert f"{name} is not met for this draw; it is open" in said
        desk.do("agreement satisfy-condition", condition=name, on=line["on"])
        desk.do(**line)


def test_a_draw_is_not_before_its_conditions(desk):
    """REC-12: a request relies on the condition, and is not before it was met."""
    unlocked(desk)
    condition = {"condition": "c", "on": "2025-06-02"}
    desk.do("agreement define-condition", **condition, text="x", scope="draw")
    desk.do("agreement satisfy-condition", **condition)
    said = desk.refuses("REC-12", **REQUEST)
    assert "2025-06-01 is before condition c on 2025-06-02" in said


# FND-10
def test_a_payment_settles_once_as_approved(desk):
    """FND-10: the same amount and currency, once, under a reference of its own."""
    unlocked(desk)
    pay(desk, to="instruct")
    for amount in ("9m USD", "11m USD", "10m EUR"):
        said = desk.refuses("FND-10", **{**SETTLE, "amount": amount})
        assert "10000000.00 USD was approved for D1" in said
    said = desk.refuses("FND-10", **{**SETTLE, "bank_ref": " "})
    assert "no bank reference" in said
    for day in ("2025-06-02", "2025-06-05"):
        said = desk.refuses("FND-16", **{**SETTLE, "value_on": day})
        assert f"The value date {day} does not lie between" in said
    desk.do(**SETTLE)
    again = {**SETTLE, "bank_ref": "FB-other", "actor": AMY}
    said = desk.refuses("FND-10", **again)
    assert "D1 was settled on 2025-06-04" in said
    pay(desk, "D2", to="instruct")
    twice = {**draw("D2")[3], "bank_ref": "fb-d1 "}
    said = desk.refuses("FND-10", **twice)
    assert "Payment FB-D1 is already recorded" in said


def test_a_drawdown_moves_along_its_states(desk):
    """FND-16 and REC-12: no step twice, none skipped, none before the last."""
    unlocked(desk)
    desk.refuses("FND-16", **APPROVE)
    desk.do(**REQUEST)
    desk.refuses("FND-16", **INSTRUCT)
    desk.refuses("FND-16", **SETTLE)
    desk.refuses("REC-12", **{**APPROVE, "on": "2025-05-31"})
    desk.do(**APPROVE)
    said = desk.refuses("FND-16", **APPROVE)
    assert "Drawdown D1 is approved; 'funding approve-drawdown' needs requested" in said
    back = {"drawdown": "D1", "amount": "1m USD", "bank_ref": "R"}
    desk.refuses("FND-16", "funding return", **back)


def test_a_payment_that_failed_frees_its_money(desk):
    """What the bank did not carry out may be requested again."""
    unlocked(desk)
    pay(desk, amount="40m USD", to="instruct")
    desk.do("funding fail", drawdown="D1", ground="No match", on="2025-06-04")
    assert (state(desk), *figures(desk)) == ("failed", 40, 0, 0, 40)
    pay(desk, "D2", "40m USD")


def test_money_comes_back_in_whole_or_in_part(desk):
    """FND-01: a return frees what came back, and is never more than what is paid."""
    unlocked(desk, "10m USD", "30m USD")
    parts = [
        {"tranche": "T1", "amount": "10m USD"},
        {"tranche": "T2", "amount": "20m USD"},
    ]
    pay(desk, amount="30m USD", allocations=parts)
    back = {"command": "funding return", "drawdown": "D1", "on": "2025-06-05"}
    desk.refuses("FND-14", **back, amount="1m EUR", bank_ref="R1")
    desk.refuses("FND-01", **back, amount="0 USD", bank_ref="R1")
    said = desk.refuses("FND-01", **back, amount="31m USD", bank_ref="R1")
    assert "cannot come back of D1: 30000000.00 USD is still paid" in said
    desk.do(**back, amount="25m USD", bank_ref="R1")
    funding = get(desk)
    assert (state(desk), *figures(desk)) == ("settled", 40, 5, 0, 35)
    assert [str(funding.drawn(name)) for name in ("T1", "T2")] == [
        "5000000.00 USD",
        "0.00 USD",
    ], "the last part is given back first"
    desk.refuses("FND-10", **back, amount="5m USD", bank_ref="R1")
    desk.do(**back, amount="5m USD", bank_ref="R2")
    assert (state(desk), *figures(desk)) == ("returned", 40, 0, 0, 40)
    said = desk.refuses("FND-10", **{**SETTLE, "bank_ref": "x", "amount": "30m USD"})
    assert "D1 was settled on" in said


def test_what_is_reported_moves_no_money(desk):
    """FND-15: each step of the money is refused as a report, and says what to do."""
    unlocked(desk)
    for line in draw():
        said = desk.refuses("FND-15", **{**line, "evidence": REPORTED})
        assert "A report is marked reported." in said
        assert "record-statement" in said
        desk.do(**line)
    told = {"drawdown": "D1", "amount": "1m USD", "bank_ref": "x"}
    said = desk.refuses("FND-15", "funding return", **told, status="disputed")
    assert "This entry is marked disputed" in said
