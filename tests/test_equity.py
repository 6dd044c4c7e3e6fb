"""Equity for money that has settled: FND-11."""

from __future__ import annotations

import pytest
from deals import (
    ANN,
    BO,
    REPORTED,
    facility,
    in_effect,
    pay,
    tranche,
    unlocked,
)
from money import (
    SETTLE,
    YES,
)


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
