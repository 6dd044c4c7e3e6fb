"""Drawdowns from request to payment, equity, overfunding and its cure: FND-01, 08 to 16."""

from __future__ import annotations

import threading

import msgspec
import pytest
from conftest import Desk
from deals import (
    AMY,
    ANN,
    BANK,
    BO,
    EVE,
    IAN,
    PAPER,
    REPORTED,
    SUE,
    batch,
    certificate,
    certify,
    draw,
    facility,
    funded,
    in_effect,
    pay,
    step,
    tranche,
    unlocked,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.capacity import Certificate
from ledger.commands.registry import find
from ledger.decision import Decision
from ledger.errors import Refused
from ledger.evaluation import recomputed
from ledger.funding import (
    Funding,
    OverfundingCured,
    OverfundingDeclared,
    TrancheUnlocked,
)
from ledger.values import Amount

ZERO = Amount.parse("0 USD")
REQUEST, APPROVE, INSTRUCT, SETTLE = draw()
YES = {"when": "date_reached", "on": "2025-01-02"}


def m(millions):
    return Amount.parse(f"{millions}m USD")


def get(desk):
    return desk.get(Funding, desk.deal)


def state(desk, name="D1"):
    return get(desk).drawdowns[name].state


def figures(desk, name="main"):
    """Unlocked, paid, approved, available: in whole millions."""
    funding = get(desk)
    found = (
        funding.unlocked(name),
        funding.paid(name),
        funding.approved_unsettled(name),
        funding.available(name),
    )
    return tuple(int(amount.value) // 10**6 for amount in found)


def revoke(desk, name="C-1", on="2025-07-01"):
    return desk.data("certificate revoke", certificate=name, ground="Copied", on=on)


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
    batch(
        desk,
        *(
            {**line, "allocations": parts} if "allocations" in line else line
            for line in draw(amount="30m USD")
        ),
    )
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
    said = desk.refuses("FND-10", **{**SETTLE, "bank_ref": "x"}, amount="30m USD")
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


# FND-11
def paid(desk, amount, **more):
    """A facility large enough, with one drawdown of that amount settled."""
    in_effect(desk, funding_cap=None)
    facility(desk, commitment=amount, **more)
    tranche(desk, size=amount, trigger=YES)
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    pay(desk, amount=amount)


def equity(number="EQ-1", **changed):
    keys = {
        "certificate_no": number,
        "drawdown": "D1",
        "share_class": "Common",
        "quantity": "400000 shares",
        "price": "12.50 USD",
        "consideration": "5m USD",
        "actor": BO,
        "on": "2025-06-05",
    }
    return {"command": "funding issue-equity", **keys, **changed}


def test_the_intel_issue_passes(desk):
    """FND-11: 214,776,632 × 23.28 = 4,999,999,992.96 is issued for five billion."""
    paid(desk, "5bn USD")
    issue = {"price": "23.28 USD", "consideration": "5bn USD"}
    said = desk.refuses("FND-11", **equity(**issue, quantity="214776631 shares"))
    assert "214776631 shares × 23.28 USD = 4999999969.68, not 5000000000.00 USD" in said
    desk.refuses("FND-11", **equity(**issue, quantity="214776634 shares"))
    desk.do(**equity(**issue, quantity="214776632 shares"))


def test_the_difference_is_less_than_a_share(desk):
    """FND-11: by exactly one share's price it is too much, either way."""
    paid(desk, "10m USD")
    desk.refuses("FND-11", **equity(quantity="399999 shares"))
    desk.refuses("FND-11", **equity(quantity="400001 shares"))
    desk.do(**equity())


def test_equity_waits_for_the_settlement(desk):
    """FND-11: not before the money arrived, in state or in date, nor after its return."""
    unlocked(desk)
    pay(desk, to="instruct")
    said = desk.refuses("FND-11", **equity())
    assert "Drawdown D1 is instructed; equity is issued only after settlement" in said
    desk.do(**SETTLE)
    desk.refuses("REC-12", **equity(on="2025-06-03"))
    back = {"amount": "10m USD", "bank_ref": "R", "on": "2025-06-05"}
    desk.do("funding return", drawdown="D1", **back)
    desk.refuses("FND-11", **equity())


def test_equity_is_for_no_more_than_was_paid(desk):
    """FND-11: of each drawdown, and in all, net of what came back."""
    unlocked(desk)
    pay(desk, "D1")
    pay(desk, "D2")
    desk.do(**equity("EQ-1"))
    desk.do(**equity("EQ-2"))
    said = desk.refuses("FND-11", **equity("EQ-3"))
    assert (
        "paid of drawdown D1: paid 10000000.00 USD, equity issued for 10000000" in said
    )
    claw = {"clawback": "CB", "amount": "6m USD", "on": "2025-06-05"}
    desk.do("funding demand-clawback", facility="main", **claw)
    desk.do("funding receive-clawback", **claw, bank_ref="CB")
    said = desk.refuses("FND-11", **equity("EQ-3", drawdown="D2"))
    assert (
        "paid of facility main: paid 14000000.00 USD, equity issued for 10000" in said
    )
    cancel = {"command": "funding cancel-equity", "certificate_no": "EQ-1"}
    desk.refuses("FND-08", **cancel, ground="x", actor=ANN)
    desk.refuses("REC-12", **cancel, ground="x", actor=BO, on="2025-06-04")
    desk.do(**cancel, ground="Clawed back", actor=BO)
    said = desk.refuses("FND-16", **cancel, ground="x", actor=BO)
    assert "EQ-1 is cancelled already" in said
    desk.do(**equity("EQ-3", drawdown="D2"))
    said = desk.refuses("FND-11", **equity("EQ-1", drawdown="D2"))
    assert "Equity certificate EQ-1 is already issued" in said


@pytest.mark.parametrize(
    ("code", "changed", "said"),
    [
        ("FND-16", {"quantity": "400000 USD"}, "is no number of shares"),
        ("FND-16", {"quantity": "0 shares"}, "0 shares is no number of shares"),
        ("FND-16", {"price": "0 USD"}, "are no issue"),
        ("FND-16", {"consideration": "0 USD"}, "are no issue"),
        ("FND-16", {"drawdown": "D9"}, "Drawdown 'D9' is not on the record"),
        ("FND-14", {"price": "12.50 EUR"}, "the price is 12.50 EUR"),
        ("FND-14", {"consideration": "5m EUR"}, "consideration 5000000.00 EUR"),
        ("FND-08", {"actor": ANN}, "is for orion; you act for acme"),
        ("FND-15", {"evidence": REPORTED}, "A report is marked reported"),
    ],
)
def test_an_issue_that_makes_no_sense_is_refused(desk, code, changed, said):
    """FND-16, FND-14, FND-08: shares, price and money fit, and the recipient issues."""
    unlocked(desk)
    pay(desk)
    assert said in desk.refuses(code, **equity(**changed))


def test_a_loan_issues_no_equity(desk):
    """FND-16: only equity and convertibles turn into shares."""
    paid(desk, "10m USD", instrument="loan")
    said = desk.refuses("FND-16", **equity())
    assert "main is a loan; it issues no equity" in said


def test_equity_that_was_not_issued_is_not_cancelled(desk):
    """FND-16: an unknown certificate is named, with those that are known."""
    unlocked(desk)
    cancel = {"certificate_no": "EQ-9", "ground": "x", "actor": BO}
    said = desk.refuses("FND-16", "funding cancel-equity", **cancel)
    assert "Equity certificate 'EQ-9' is not on the record; known: none" in said


# FND-12
@pytest.fixture
def overfunded(desk):
    """30 of 40 million paid, and the certificate that carried it revoked."""
    systems = unlocked(desk)
    pay(desk, amount="30m USD")
    pay(desk, "D2", "5m USD", to="approve-drawdown")
    pay(desk, "D3", "5m USD", to="request-drawdown")
    revoke(desk)
    return systems


def cured(events):
    return [data.cause for data in events if isinstance(data, OverfundingCured)]


def test_an_overfunded_facility_blocks_new_draws(desk, overfunded):
    """FND-12: no request, approval or instruction until it is cured."""
    for line in (draw("D4")[0], draw("D3")[1], draw("D2")[2]):
        said = desk.refuses("FND-12", **{**line, "on": "2025-07-02"})
        assert (
            "Paid 30000000.00 USD is 30000000.00 USD above unlocked 0.00 USD. "
            "New draws are blocked." in said
        )


def test_new_capacity_cures(desk, overfunded):
    """FND-12: the unlock that brings the excess to nothing says so."""
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    done = desk.data("funding unlock", tranche="T1", on="2025-07-03")
    assert cured(done) == ["unlock of T1"]
    desk.do(**{**draw("D3")[1], "on": "2025-07-03"})


def test_a_clawback_cures_once_it_is_received(desk, overfunded):
    """FND-12, FND-01: demanded within what was paid, received within the demand."""
    demand = {"command": "funding demand-clawback", "clawback": "CB-1"}
    demand |= {"facility": "main", "on": "2025-07-02"}
    desk.refuses("FND-08", **demand, amount="30m USD", actor=BO)
    said = desk.refuses("FND-01", **demand, amount="31m USD")
    assert "31000000.00 USD exceeds 30000000.00 USD paid and not yet demanded" in said
    due = {"due_on": "2025-07-01"}
    desk.refuses("FND-16", **demand, amount="30m USD", **due)
    desk.do(**demand, amount="30m USD", due_on="2025-08-01")
    desk.refuses("FND-16", **demand, amount="1m USD")
    more = {**demand, "clawback": "CB-2"}
    desk.refuses("FND-01", **more, amount="1m USD")
    receive = {"command": "funding receive-clawback", "clawback": "CB-1"}
    desk.refuses(
        "FND-16", **{**receive, "clawback": "x"}, amount="1m USD", bank_ref="1"
    )
    desk.refuses("REC-12", **receive, amount="1m USD", bank_ref="1", on="2025-07-01")
    desk.refuses("FND-14", **receive, amount="1m EUR", bank_ref="1")
    assert cured(desk.data(**receive, amount="10m USD", bank_ref="1")) == []
    said = desk.refuses("FND-01", **receive, amount="21m USD", bank_ref="2")
    assert "21000000.00 USD exceeds 20000000.00 USD demanded and paid" in said
    done = desk.data(**receive, amount="20m USD", bank_ref="2", actor=AMY)
    assert cured(done) == ["clawback CB-1"]
    assert figures(desk) == (0, 0, 5, 0)


def test_a_true_up_cures_or_pays_more(desk, overfunded):
    """FND-12, FND-01: to the provider within what was paid; back only if available."""
    post = {"command": "funding post-true-up", "facility": "main", "text": "Interest"}
    back = {**post, "direction": "to_provider"}
    desk.refuses(
        "FND-08", **back, true_up="T", amount="1m USD", bank_ref="1", actor=EVE
    )
    said = desk.refuses("FND-01", **back, true_up="T", amount="31m USD", bank_ref="1")
    assert "exceeds 30000000.00 USD paid of main" in said
    more = {**post, "direction": "to_recipient", "true_up": "M", "bank_ref": "3"}
    said = desk.refuses("FND-01", **more, amount="1m USD")
    assert "exceeds 0.00 USD available of main" in said
    done = desk.data(**back, true_up="T", amount="30m USD", bank_ref="1")
    assert cured(done) == ["true-up T"]
    desk.refuses("FND-16", **back, true_up="T", amount="1m USD", bank_ref="2")
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    desk.do("funding unlock", tranche="T1", on="2025-07-03")
    desk.do(**more, amount="35m USD")
    assert figures(desk) == (40, 35, 5, 0)
    assert get(desk).drawn("T1") == m(40)


def test_a_returned_payment_cures(desk, overfunded):
    """FND-12: money that comes back by itself cures as well."""
    back = {"drawdown": "D1", "amount": "30m USD", "bank_ref": "R"}
    assert cured(desk.data("funding return", **back)) == ["return of D1"]


def test_a_waiver_forgives_and_unlocks_nothing(desk, overfunded):
    """FND-12: by the provider, within the excess; it covers no later excess."""
    waive = {"command": "funding waive-overfunding", "facility": "main"}
    desk.refuses("FND-08", **waive, amount="1m USD", actor=BO)
    desk.refuses("FND-16", **waive, amount="0 USD")
    desk.refuses("REC-12", **waive, amount="1m USD", on="2025-06-30")
    said = desk.refuses("FND-12", **waive, amount="31m USD")
    assert "31000000.00 USD exceeds the excess of 30000000.00 USD of main" in said
    assert cured(desk.data(**waive, amount="10m USD", on="2025-07-02")) == []
    assert cured(desk.data(**waive, amount="20m USD", on="2025-07-02")) == ["waiver"]
    desk.refuses("FND-01", **{**draw("D3")[1], "on": "2025-07-03"})
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    desk.do("funding unlock", tranche="T1", on="2025-07-03")
    assert get(desk).facilities["main"].waived == ZERO
    declared = revoke(desk, "C-2", on="2025-07-04")[-1]
    assert isinstance(declared, OverfundingDeclared)
    assert declared.excess == m(30), "the waiver was for the excess of then"


def test_what_was_instructed_before_is_paid_and_flagged(desk):
    """FND-12: a payment on its way when the certificate fell is accepted, and declared."""
    unlocked(desk)
    pay(desk, amount="30m USD", to="instruct")
    assert not any(
        isinstance(data, OverfundingDeclared) for data in revoke(desk, on="2025-06-03")
    )
    settled, declared = desk.do(**draw(amount="30m USD")[3])
    assert declared.data.excess == m(30)
    assert declared.provenance.causation == settled.ref


def test_nothing_is_waived_or_returned_of_nothing(desk):
    """FND-12, FND-16: without an excess there is nothing to waive."""
    unlocked(desk)
    waive = {"facility": "main", "amount": "1m USD"}
    said = desk.refuses("FND-12", "funding waive-overfunding", **waive)
    assert "exceeds the excess of 0.00 USD" in said
    demand = {"clawback": "C", "facility": "none", "amount": "1m USD"}
    desk.refuses("FND-16", "funding demand-clawback", **demand)


def test_a_clawback_is_given_back_to_the_tranche_it_came_from(desk):
    """What was paid of a re-locked tranche and clawed back may be drawn of it again."""
    systems = funded(desk)
    tranche(desk, "T1", 1, size="20m USD", trigger=YES)
    tranche(desk, "T2", 2, size="40m USD")
    certify(desk, "C-1", systems[:1])
    for name in ("T1", "T2"):
        desk.do("funding unlock", tranche=name, on="2025-05-02")
    pay(desk, "D1", "20m USD", tranche="T1")
    pay(desk, "D2", "40m USD", tranche="T2")
    revoke(desk)
    claw = {"clawback": "CB", "amount": "50m USD", "on": "2025-07-02"}
    desk.do("funding demand-clawback", facility="main", **claw)
    desk.do("funding receive-clawback", **claw, bank_ref="CB")
    drawn = [str(get(desk).drawn(name)) for name in ("T1", "T2")]
    assert drawn == ["10000000.00 USD", "0.00 USD"]
    certify(desk, "C-2", systems[1:2], on="2025-07-03")
    desk.do("funding unlock", tranche="T2", on="2025-07-03")
    pay(desk, "D3", "40m USD", tranche="T2", to="approve-drawdown", on="2025-07-04",
        value_on="2025-07-10")  # fmt: skip
    back = {"drawdown": "D2", "amount": "10m USD", "bank_ref": "R", "on": "2025-07-05"}
    desk.do("funding return", **back)
    drawn = [str(get(desk).drawn(name)) for name in ("T1", "T2")]
    assert drawn == ["0.00 USD", "40000000.00 USD"]


def proposed(desk, data):
    """Put an event on funding before the rules that no command would make."""
    decision = Decision(desk.ledger, desk.clock)
    text = {"statement": "s", "speaker": "s", "text": "s"}
    probe = desk.request("agreement record-statement", **text)
    decision.begin(desk.ledger.dry_run([(1, probe)])[0].provenance)
    return decision.record(Funding, desk.deal, data=data)


def test_overfunding_is_declared_and_cured_with_its_own_figures(desk, overfunded):
    """FND-12: neither is recorded against what the facility shows."""
    keys = {"facility": "main", "paid": m(30), "unlocked": ZERO}
    proposed(desk, OverfundingDeclared(**keys, excess=m(30)))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingDeclared(**keys, excess=m(29)))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingCured(facility="main", cause="A wish"))


def test_neither_is_recorded_of_a_facility_in_order(desk):
    """FND-12: a facility without excess is neither overfunded nor cured."""
    unlocked(desk)
    keys = {"facility": "main", "paid": ZERO, "unlocked": m(40), "excess": ZERO}
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingDeclared(**keys))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingCured(facility="main", cause="x"))


def test_parts_add_up_to_the_amount(desk):
    """FND-14: a request whose parts are not its amount is refused."""
    unlocked(desk)
    (event,) = desk.ledger.dry_run([(1, desk.request(**REQUEST))])
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(event.provenance)
    wrong = msgspec.structs.replace(event.data, amount=m(9))
    with pytest.raises(Refused, match="FND-14: The parts add up to 10000000.00 USD"):
        decision.record(Funding, desk.deal, data=wrong)


def test_parts_are_of_their_own_facility(desk):
    """FND-16, FND-01: a tranche or clawback of another facility is not used for one."""
    unlocked(desk)
    pay(desk)
    facility(desk, "warrant", instrument="warrant", commitment="5 shares")
    tranche(desk, "W1", 1, facility="warrant", size="5 shares", trigger=YES)
    parts = [{"tranche": "W1", "amount": "1m USD"}]
    said = desk.refuses("FND-16", **{**draw("D2")[0], "allocations": parts})
    assert "Tranche W1 is of warrant" in said
    claw = {"clawback": "CB", "facility": "main", "amount": "1m USD"}
    desk.do("funding demand-clawback", **claw)
    from ledger.funding import ClawbackReceived

    with pytest.raises(Refused, match="FND-16: Clawback CB is of main, not warrant"):
        proposed(
            desk,
            ClawbackReceived(
                clawback="CB", facility="warrant", amount=m(1), bank_ref="x"
            ),
        )


# Side by side.
def test_unlock_beside_revoke_is_decided_again(tmp_path):
    """Of two ledgers on one file, the one that loses decides again, and is refused."""
    desk = Desk(tmp_path / "accord.db")
    systems = funded(desk)
    tranche(desk)
    for number, system in enumerate(systems):
        certify(desk, f"C-{number}", [system], on="2025-05-01")
        beside(desk, number)
    desk.ledger.close()


def beside(desk, number):
    """Unlock and revoke at once; afterwards nothing is unlocked that is not carried."""
    from ledger.application import Ledger
    from ledger.store import open_store

    answers = {}
    start = threading.Barrier(2)

    def act(command, **keys):
        ledger = Ledger(open_store(desk.url, desk.clock))
        request = desk.request(command, **keys)
        start.wait()
        try:
            answers[command] = ledger.execute(request).events
        except Refused as refusal:
            answers[command] = refusal.code
        ledger.close()

    revoke = {"certificate": f"C-{number}", "ground": "x", "on": "2025-07-01"}
    unlock = {"tranche": "T1", "on": "2025-07-01"}
    threads = [
        threading.Thread(target=act, args=("certificate revoke",), kwargs=revoke),
        threading.Thread(target=act, args=("funding unlock",), kwargs=unlock),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = answers["funding unlock"]
    assert first == "FND-03" or isinstance(first[0].data, TrancheUnlocked)
    assert not get(desk).unlocked("main")
    assert not isinstance(answers["certificate revoke"], str)
    assert desk.get(Certificate, desk.deal, f"C-{number}").state == "revoked"


def test_an_unlock_that_was_overtaken_is_refused(desk, monkeypatch):
    """The loser's first decision is dropped; its second sees the revocation."""
    systems = funded(desk)
    tranche(desk)
    certify(desk, "C-1", systems[:1])
    decide, tries = desk.ledger._decide, []

    def overtaken(*given, **more):
        found = decide(*given, **more)
        tries.append(found)
        if len(tries) == 1:
            other = Desk(desk.path)
            revoke(other)
            other.ledger.close()
        return found

    monkeypatch.setattr(desk.ledger, "_decide", overtaken)
    with pytest.raises(Refused, match="FND-03: Certified 0 W of 100000 W"):
        desk.do("funding unlock", tranche="T1", on="2025-07-02")
    assert len(tries) == 1
    assert not get(desk).unlocked("main")


# Random lives, in memory.
class Nothing:
    """A record on which nothing stands."""

    def load(self, kind, stream):
        return kind(stream)

    def streams(self, kind, deal):
        return ()


COMMANDS = st.one_of(
    st.tuples(st.just("unlock"), st.sampled_from(["T1", "T2", "T3"])),
    st.tuples(
        st.just("request"), st.sampled_from(["T1", "T2", "T3"]), st.integers(1, 30)
    ),
    st.tuples(
        st.sampled_from(
            ["approve", "approve", "pay", "settle", "settle", "fail", "drop"]
        ),
        st.integers(0, 9),
    ),
    st.tuples(st.just("return"), st.integers(0, 9), st.integers(1, 30)),
    st.tuples(st.sampled_from(["certify", "revoke"]), st.integers(0, 3)),
    st.tuples(st.just("waive"), st.integers(1, 30)),
    st.tuples(st.just("claw"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["to_provider", "to_recipient"]), st.integers(1, 30)),
)


class Life:
    """One deal's money, taken through random commands, each refused or whole."""

    def __init__(self, desk):
        self.desk = desk
        self.decision = Decision(Nothing(), desk.clock)
        self.count = 0
        self.certificates = {}
        self.overfunding_possible = False

    def do(self, command, **keys):
        """Carry a command out in memory; whether it was accepted."""
        actor, _, party = keys.pop("actor", ANN).partition("@")
        on = self.desk.clock().date()
        probe = self.template
        decision = self.decision
        decision.begin(
            msgspec.structs.replace(
                probe,
                actor=actor,
                party=party,
                command=command,
                effective_on=on,
                evidence=keys.pop("evidence", ()),
            )  # fmt: skip
        )
        before = len(decision.events)
        found = find(command)
        try:
            found.run(decision, **found.decode(keys))
        except Refused:
            assert len(decision.events) == before, "a refusal leaves no trace"
            return False
        return True

    def act(self, what, *given):
        """One random command, as its users would give it."""
        self.count += 1
        number = self.count
        draws = sorted(self.funding.drawdowns)
        name = (
            draws[given[0] % len(draws)] if draws and isinstance(given[0], int) else ""
        )
        money = {"amount": f"{given[-1]}m USD"}
        common = {"facility": "main", "bank_ref": f"B{number}"}
        match what:
            case "unlock":
                self.do("funding unlock", tranche=given[0])
            case "request":
                parts = [{"tranche": given[0], **money}]
                keys = {"allocations": parts, "value_on": "2026-02-01", "actor": BO}
                keys |= {"drawdown": f"D{number}", "facility": "main"}
                self.do("funding request-drawdown", **keys)
            case "approve":
                self.do("funding approve-drawdown", drawdown=name)
            case "pay":
                self.do("funding instruct", drawdown=name, actor=IAN)
            case "settle" if name:
                self.do("funding instruct", drawdown=name, actor=IAN)
                keys = {"amount": str(self.funding.drawdowns[name].amount)}
                keys |= {"bank_ref": f"B{number}", "value_on": "2026-01-15"}
                keys |= {"evidence": self.paper, "actor": SUE}
                self.do("funding settle", drawdown=name, **keys)
            case "fail":
                self.do("funding fail", drawdown=name, ground="x")
            case "drop":
                self.do("funding withdraw-drawdown", drawdown=name, actor=BO)
            case "return":
                self.do("funding return", drawdown=name, **money, bank_ref=f"B{number}")
            case "certify":
                self.certify(given[0])
            case "revoke" if given[0] in self.certificates:
                keys = {"certificate": self.certificates.pop(given[0]), "ground": "x"}
                assert self.do("certificate revoke", **keys)
            case "waive":
                self.do("funding waive-overfunding", facility="main", **money)
            case "claw":
                keys = {"clawback": f"K{number}", **money}
                if self.do("funding demand-clawback", facility="main", **keys):
                    self.do("funding receive-clawback", **keys, bank_ref=f"B{number}")
            case "to_provider" | "to_recipient":
                keys = {"true_up": f"U{number}", "direction": what, "text": "x"}
                self.do("funding post-true-up", **keys, **money, **common)

    def certify(self, rack):
        """Certify a rack that no certificate counts, on its way in one go."""
        if rack in self.certificates:
            return
        name = f"C{self.count}"
        lines = certificate(name, [f"maker/R{rack}"])
        for line in lines:
            keys = {k: v for k, v in line.items() if k not in {"command", "on"}}
            if "evidence" in keys:
                keys["evidence"] = self.engineers
            assert self.do(line["command"], **keys)
        self.certificates[rack] = name

    @property
    def funding(self):
        return self.decision.get(Funding, "acme-orion")

    def check(self):
        """FND-01, but where flagged; and what holds of every state of the money."""
        funding = self.funding
        main = funding.facilities["main"]
        unlocked, paid = funding.unlocked("main"), funding.paid("main")
        used = funding.used("main")
        assert paid >= ZERO
        assert unlocked <= main.commitment
        flagged = main.overfunded_since is not None
        assert flagged == bool(funding.excess("main"))
        assert main.waived <= max(ZERO, paid - unlocked)
        assert paid - main.waived <= unlocked or flagged
        if used > unlocked:
            assert self.revoked, "only a revocation may leave it broken"
        drawn = [funding.drawn(name) for name in funding.tranches]
        assert sum(drawn, start=ZERO) == used
        for tranche in funding.tranches.values():
            assert ZERO <= tranche.unlocked <= tranche.size

    @property
    def revoked(self):
        return any(
            event.data.tag() == "certificate.revoked" for event in self.decision.events
        )


def new_life(desk):
    """A deal in memory: three tranches of 30 million, by a step, a share, at once."""
    life = Life(desk)
    text = {"statement": "s", "speaker": "s", "text": "s"}
    probe = desk.request("agreement record-statement", **text)
    life.template = desk.ledger.dry_run([(1, probe)])[0].provenance
    life.paper = from_json(BANK)
    life.engineers = from_json(PAPER)
    life.decision._source = desk.ledger
    gate = {"when": "capacity_certified", "at_least": "100 kW"}
    formulas = (
        step("100 kW", "10m USD"),
        {"rule": "linear", "per": "400 kW", "amount": "30m USD"},
        {"rule": "fixed", "amount": "30m USD"},
    )
    facility_keys = {"provider": "acme", "recipient": "orion", "instrument": "equity"}
    assert life.do(
        "funding define-facility",
        facility="main",
        commitment="90m USD",
        **facility_keys,
    )
    for number, formula in enumerate(formulas, start=1):
        keys = {"tranche": f"T{number}", "facility": "main", "number": number}
        assert life.do(
            "funding define-tranche",
            size="30m USD",
            trigger=gate,
            formula=formula,
            **keys,
        )
    return life


def from_json(evidence):
    from ledger.provenance import Evidence
    from ledger.transcoding import from_builtins

    return from_builtins(evidence, tuple[Evidence, ...])


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A deal in effect with four racks, on which each random life begins."""
    from deals import racks

    desk = Desk(tmp_path_factory.mktemp("money") / "accord.db")
    in_effect(desk)
    racks(desk, *(f"R{n}" for n in range(4)))
    yield desk
    desk.ledger.close()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(commands=st.lists(COMMANDS, min_size=10, max_size=60))
def test_no_order_of_commands_breaks_the_cap(ground, commands):
    """FND-01 holds after every command, but where a revocation is flagged."""
    life = new_life(ground)
    life.act("certify", 0)
    life.act("unlock", "T3")
    for command in commands:
        life.act(*command)
        life.check()
    for event in life.decision.events:
        if event.data.tag() in {"funding.tranche_unlocked", "funding.tranche_relocked"}:
            assert recomputed(event.data) == event.data.cumulative
