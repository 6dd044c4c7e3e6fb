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
    facility(desk, "loan", instrument="loan", commitment="1m USD", funding_cap=None) if (
        False
    ) else None
    desk.do(**REQUEST)
    said = desk.refuses("FND-16", **REQUEST)
    assert "Drawdown 'D1' is already on the record" in said
    desk.do("funding withdraw-drawdown", drawdown="D1", actor=BO, on="2025-06-01")
    desk.do("funding close-facility", facility="main", on="2025-06-01")
    said = desk.refuses("FND-16", **draw("D2")[0])
    assert "Facility main was closed on 2025-06-01" in said
