"""Facilities and tranches as laid down, changed and ended: FND-01, 02, 13 to 16."""

from __future__ import annotations

import msgspec
import pytest
from deals import (
    ANN,
    BO,
    REPORTED,
    facility,
    in_effect,
    pay,
    signed,
    step,
    tranche,
    unlocked,
)

from ledger.domain import funding as events
from ledger.domain.agreement import Agreement
from ledger.domain.funding import Funding
from ledger.domain.transcoding import proposed
from ledger.domain.triggers import Fixed
from ledger.domain.values import Amount, Power, parse_date

DEFINE = "funding define-facility"
CHANGE = "funding change-commitment"
YES = {"when": "date_reached", "on": "2025-01-02"}


def funding(desk):
    return desk.get(Funding, desk.deal)


def refused_facility(desk, code, **changed):
    keys = {
        "facility": "other",
        "provider": "acme",
        "recipient": "orion",
        "instrument": "equity",
        "commitment": "10m USD",
    }
    return desk.refuses(code, DEFINE, **{**keys, **changed})


def refused_tranche(desk, code, **changed):
    keys = {
        "tranche": "T1",
        "facility": "main",
        "number": 1,
        "size": "40m USD",
        "trigger": YES,
        "formula": {"rule": "fixed", "amount": "40m USD"},
    }
    return desk.refuses(code, "funding define-tranche", **{**keys, **changed})


def amended(desk, *changes, name="A1", on="2025-03-01", **more):
    """Propose and sign an amendment; only its effect is left."""
    keys = {"amendment": name, "on": on}
    desk.do("agreement propose-amendment", **keys, changes=changes, **more)
    desk.do("agreement sign-amendment", **keys, actor=ANN)
    desk.do("agreement sign-amendment", **keys, actor=BO)
    return {"command": "agreement effect-amendment", **keys}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"provider": "zeta"}, "zeta is no party of acme-orion"),
        ({"recipient": "acme"}, "acme cannot fund itself"),
        ({"commitment": "0 USD"}, "commits nothing"),
        ({"commitment": "5 shares"}, "a warrant commits shares, all others money"),
        ({"instrument": "warrant"}, "a warrant commits shares, all others money"),
        (
            {"available_from": "2025-05-02", "available_to": "2025-05-01"},
            "ends on 2025-05-01, before 2025-05-02",
        ),
    ],
)
def test_a_facility_that_makes_no_sense_is_refused(desk, changed, said):
    """FND-16: parties, commitment, instrument and period fit each other."""
    in_effect(desk)
    assert said in refused_facility(desk, "FND-16", **changed)


def test_a_facility_is_defined_once(desk):
    """FND-16: the same name twice is refused; an open end is none."""
    in_effect(desk)
    facility(desk, available_from="2025-02-01", available_to="2026-12-31")
    said = refused_facility(desk, "FND-16", facility="main")
    assert "Facility 'main' is already on the record" in said


def test_an_announced_structure_stands_before_anything_is_signed(desk):
    """A reported facility and its tranches are defined under no terms at all."""
    desk.do("agreement open", title="x", capital=["acme"], capacity=["orion"])
    facility(desk, commitment="900m USD", evidence=REPORTED, on="2026-01-15")
    for number in (1, 2):
        tranche(desk, f"T{number}", number, size="450m USD", on="2026-01-15",
                evidence=REPORTED)  # fmt: skip
    assert "main" not in funding(desk).facilities
    assert not funding(desk).told.facilities["main"].confirmed


def test_facilities_are_within_the_funding_cap(desk):
    """FND-02: all money facilities together, in the cap's own currency."""
    in_effect(desk)
    facility(desk, commitment="95m USD")
    said = refused_facility(desk, "FND-02")
    assert "Facilities total 105000000.00 USD; the funding cap is 100000000.00" in said
    said = refused_facility(desk, "FND-02", commitment="1m EUR")
    assert "cannot be held against it" in said
    facility(desk, "told", evidence=REPORTED)
    facility(desk, "warrant", instrument="warrant", commitment="160000000 shares")
    facility(desk, "small", commitment="5m USD")


def test_a_closed_facility_takes_up_only_what_was_paid(desk):
    """FND-02: what was not drawn of a closed facility is free again."""
    unlocked(desk)
    pay(desk, amount="10m USD")
    desk.do("funding close-facility", facility="main", on="2025-06-05")
    assert not funding(desk).available("main")
    refused_facility(desk, "FND-02", commitment="91m USD")
    facility(desk, "next", commitment="90m USD")


def test_a_facility_without_a_cap_is_not_capped(desk):
    """FND-02 asks nothing where the terms have no funding cap."""
    in_effect(desk, funding_cap=None)
    facility(desk, commitment="900bn USD")


def test_terms_that_are_signed_cover_the_commitments(desk):
    """FND-02: neither signed terms nor an amendment may cap below what is committed."""
    desk.do("agreement open", title="x", capital=["acme"], capacity=["orion"])
    facility(desk, commitment="101m USD", on="2026-01-15")
    sign = {
        "command": "agreement sign-definitive",
        "signatories": ["acme", "orion"],
        "terms": {"funding_cap": "100m USD"},
    }
    paper = [{"title": "x", "kind": "signed_agreement"}]
    said = desk.refuses("FND-02", **sign, evidence=paper)
    assert "Facilities total 101000000.00 USD" in said
    desk.do(**sign, evidence=REPORTED)


def test_an_amended_cap_covers_the_commitments(desk):
    """FND-02: cap and commitment may move together, but not the cap alone."""
    in_effect(desk)
    facility(desk)
    cap = {"path": "funding_cap", "new": "90m USD"}
    alone = amended(desk, cap)
    desk.refuses("FND-02", **alone)
    both = amended(
        desk, cap, {"path": "facility.main.commitment", "new": "90m USD"}, name="A2"
    )
    desk.do(**both)
    assert str(funding(desk).facilities["main"].commitment) == "90000000.00 USD"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"number": 0}, "Number 0 is not free"),
        ({"size": "0 USD"}, "unlocks nothing"),
        ({"formula": {"rule": "fixed", "amount": "0 USD"}}, "0.00 USD at once unlocks"),
        ({"formula": step("0 W", "1m USD")}, "1000000.00 USD for 0 W unlocks nothing"),
        (
            {"formula": {"rule": "linear", "per": "0 W", "amount": "1m USD"}},
            "for 0 W unlocks nothing",
        ),
        ({"expires_on": "2025-01-19", "on": "2025-01-20"}, "expired on 2025-01-19"),
        ({"pricing": {"rule": "fixed_per_share"}}, "names the price"),
        ({"pricing": {"rule": "fixed_pre_money"}}, "names the pre-money valuation"),
        ({"trigger": {"when": "all", "of": []}}, "'all' of nothing"),
        (
            {"trigger": {"when": "all", "of": [YES, {"when": "any", "of": []}]}},
            "'any' of nothing",
        ),
        (
            {"trigger": {"when": "capacity_certified", "at_least": "0 W"}},
            "capacity of at least 0 W",
        ),
        (
            {"trigger": {"when": "capacity_purchased", "at_least": "0 W"}},
            "capacity of at least 0 W",
        ),
        (
            {
                "trigger": {
                    "when": "price_at_least",
                    "instrument": "A",
                    "price": "1 USD",
                    "days": 0,
                }
            },
            "a price of at least 1 USD over 0 days",
        ),
        ({"facility": "none"}, "Facility 'none' is not on the record; known: main"),
    ],
)
def test_a_tranche_that_makes_no_sense_is_refused(desk, changed, said):
    """FND-16: a tranche has a number, a size, a formula that pays, a trigger that asks."""
    in_effect(desk)
    facility(desk)
    assert said in refused_tranche(desk, "FND-16", **changed)


def test_a_tranche_is_defined_once(desk):
    """FND-16: name and number are taken once; a report's number apart."""
    in_effect(desk)
    facility(desk)
    price = {"rule": "fixed_per_share", "price": "12.50 USD"}
    tranche(desk, pricing=price, size="1m USD")
    said = refused_tranche(desk, "FND-16", number=2)
    assert "Tranche 'T1' is already on the record" in said
    said = refused_tranche(desk, "FND-16", tranche="T2")
    assert "Number 1 is not free from 1 up; taken are: 1." in said
    tranche(desk, "told", 1, evidence=REPORTED)
    leaf = {"when": "price_at_least", "instrument": "A", "price": "1 USD"}
    tranche(desk, "T2", 2, size="1m USD", trigger=leaf)


def test_a_tranche_is_not_older_than_its_facility(desk):
    """REC-12: a tranche is not defined before its facility."""
    in_effect(desk)
    facility(desk)
    refused_tranche(desk, "REC-12", on="2025-01-19")


def test_one_currency_in_a_facility(desk):
    """FND-14: neither the size nor the formula of a tranche is in another."""
    in_effect(desk)
    facility(desk)
    said = refused_tranche(desk, "FND-14", size="40m EUR")
    assert "Facility main is in USD, not in EUR" in said
    eur = {"rule": "fixed", "amount": "1m EUR"}
    refused_tranche(desk, "FND-14", formula=eur)
    desk.do("agreement define-condition", condition="c", text="x")
    desk.do("agreement fail-condition", condition="c")
    desk.refuses("FND-14", CHANGE, facility="main", new="9m EUR", cause="c")


def test_tranches_are_within_the_commitment(desk):
    """FND-02: the sum of sizes; what an ended tranche kept locked is free again."""
    in_effect(desk)
    facility(desk)
    tranche(desk, "T1", 1, size="70m USD", trigger=YES)
    said = refused_tranche(desk, "FND-02", tranche="T2", number=2)
    assert "Tranches total 110000000.00 USD; commitment is 100000000.00 USD" in said
    desk.do("funding cancel-tranche", tranche="T1")
    tranche(desk, "T2", 2, on="2026-01-15")


def test_a_commitment_changes_with_a_cause(desk):
    """FND-16: by an amendment in effect or a condition's outcome, and only then."""
    in_effect(desk)
    facility(desk)
    desk.do("agreement define-condition", condition="split", text="x", on="2025-02-01")
    change = {"command": CHANGE, "facility": "main", "cause": "split"}
    said = desk.refuses("FND-16", **change, new="80m USD")
    assert "'split' is neither an amendment in effect nor a condition" in said
    desk.refuses("FND-16", **{**change, "cause": "none"}, new="80m USD")
    desk.do("agreement fail-condition", condition="split", on="2025-03-01")
    desk.refuses("REC-12", **change, new="80m USD", on="2025-02-28")
    desk.do(**change, new="80m USD", on="2025-03-02")
    said = desk.refuses("FND-16", **change, new="80m USD")
    assert "changes nothing" in said
    phase = amended(desk, {"path": "first_phase", "new": "2027"})
    desk.refuses("FND-16", **{**change, "cause": "A1"}, new="90m USD")
    desk.do(**phase)
    desk.refuses("REC-12", **{**change, "cause": "A1"}, new="90m USD", on="2025-02-28")
    desk.do(**{**change, "cause": "A1"}, new="90m USD")
    desk.refuses("FND-02", **change, new="101m USD")
    desk.do("funding close-facility", facility="main")
    said = desk.refuses("FND-16", **change, new="70m USD")
    assert "was closed on" in said


def test_a_commitment_covers_what_stands(desk):
    """FND-02, FND-01: not below its tranches, nor below what is unlocked or used."""
    in_effect(desk)
    facility(desk)
    tranche(desk, trigger=YES)
    desk.do("agreement define-condition", condition="c", text="x")
    desk.do("agreement fail-condition", condition="c")
    change = {"command": CHANGE, "facility": "main", "cause": "c"}
    said = desk.refuses("FND-02", **change, new="39m USD")
    assert "Tranches total 40000000.00 USD; commitment would be 39000000.00" in said
    desk.do(**change, new="40m USD")


def test_an_overfunded_commitment_covers_what_was_paid(desk):
    """FND-01: after a re-lock, what was paid still bounds the commitment."""
    unlocked(desk)
    pay(desk, amount="30m USD")
    desk.do("certificate revoke", certificate="C-1", ground="x")
    desk.do("funding cancel-tranche", tranche="T1")
    desk.do("agreement define-condition", condition="c", text="x")
    desk.do("agreement fail-condition", condition="c")
    change = {"command": CHANGE, "facility": "main", "cause": "c"}
    said = desk.refuses("FND-01", **change, new="29m USD")
    assert "is below what stands (unlocked 0.00 USD, paid 30000000.00 USD" in said
    desk.do(**change, new="30m USD")


def test_a_reported_change_is_a_claim(desk):
    """FND-15: a report changes no commitment, nor is a reported one changed as fact."""
    in_effect(desk)
    facility(desk)
    facility(desk, "told", evidence=REPORTED)
    change = {"command": CHANGE, "new": "80m USD", "cause": "c"}
    desk.do(**change, facility="main", evidence=REPORTED)
    assert str(funding(desk).facilities["main"].commitment) == "100000000.00 USD"
    desk.do("agreement define-condition", condition="c", text="x")
    desk.do("agreement fail-condition", condition="c")
    said = desk.refuses("FND-15", **change, facility="told")
    assert "Facility told is marked reported" in said


def test_a_reported_amendment_relocks_nothing(desk):
    """A report that an amendment took effect leaves what is unlocked as it is."""
    unlocked(desk)
    change = {"path": "facility.main.commitment", "new": "30m USD"}
    effect = amended(desk, change, relock=True, on="2025-06-01")
    desk.do(**effect, evidence=REPORTED)
    assert str(funding(desk).unlocked("main")) == "40000000.00 USD"
    assert funding(desk).tranches["T1"].ended is None


def test_an_amendment_that_relocks_leaves_a_smaller_tranche(desk):
    """After a re-lock by amendment, a revocation looks at what was left unlocked."""
    systems = unlocked(desk)
    assert systems
    change = {"path": "facility.main.commitment", "new": "30m USD"}
    effect = amended(desk, change, relock=True, on="2025-06-01")
    desk.do(**effect)
    one = funding(desk).tranches["T1"]
    assert (str(one.size), str(one.reserved(one.defined_on))) == (
        "30000000.00 USD",
        "30000000.00 USD",
    )
    done = desk.data("certificate revoke", certificate="C-1", ground="x")
    assert str(done[-1].amount) == "30000000.00 USD"


def test_a_tranche_expires_after_its_last_day(desk):
    """FND-13: not on the day itself, and not without a last day."""
    in_effect(desk)
    facility(desk)
    tranche(desk, "T1", 1, expires_on="2025-06-30")
    tranche(desk, "T2", 2)
    expire = "funding expire-tranche"
    said = desk.refuses("FND-13", expire, tranche="T1", on="2025-06-30")
    assert "Tranche T1 runs to 2025-06-30; it has not expired on 2025-06-30" in said
    said = desk.refuses("FND-13", expire, tranche="T2")
    assert "has no last day" in said
    desk.do(expire, tranche="T1", on="2025-07-01", evidence=REPORTED)
    assert funding(desk).tranches["T1"].ended is None
    desk.do(expire, tranche="T1", on="2025-07-01")
    said = desk.refuses("FND-16", "funding cancel-tranche", tranche="T1")
    assert "Tranche T1 is expired since 2025-07-01" in said


def test_what_is_unlocked_in_full_does_not_end(desk):
    """FND-16: a tranche ends while something of it is locked, and not before it was."""
    in_effect(desk)
    facility(desk)
    tranche(desk, trigger=YES)
    cancel = {"command": "funding cancel-tranche", "tranche": "T1"}
    desk.refuses("REC-12", **cancel, on="2025-01-19")
    desk.do("funding unlock", tranche="T1")
    said = desk.refuses("FND-16", **cancel)
    assert "Tranche T1 is unlocked in full: 40000000.00 USD" in said


def test_a_facility_closes_once_nothing_is_under_way(desk):
    """FND-16: closed by a party to it, once, with no drawdown under way."""
    unlocked(desk)
    pay(desk, to="approve-drawdown")
    close = {"command": "funding close-facility", "facility": "main"}
    said = desk.refuses("FND-16", **close)
    assert "Facility main has drawdowns under way: D1" in said
    desk.do("funding withdraw-drawdown", drawdown="D1", actor=BO, on="2025-06-05")
    said = desk.refuses("FND-16", **close, actor="zoe@zeta")
    assert "zeta cannot close it; acme or orion can" in said
    desk.refuses("FND-15", **close, evidence=REPORTED)
    desk.refuses("REC-12", **close, on="2025-06-04")
    facility(desk, "other", instrument="warrant", commitment="5 shares")
    desk.do(**close, on="2025-06-05")
    desk.refuses("FND-16", **close)
    said = refused_tranche(desk, "FND-16", tranche="T2", number=2)
    assert "Facility main was closed on 2025-06-05" in said
    desk.do("funding close-facility", facility="other", actor=BO)


def test_a_warrant_unlocks_shares(desk):
    """A warrant's facility unlocks shares, and is not drawn: its exercise is later."""
    in_effect(desk)
    shares = "160000000 shares"
    facility(desk, instrument="warrant", commitment=shares)
    tranche(desk, size=shares, trigger=YES)
    (event,) = desk.data("funding unlock", tranche="T1")
    assert str(event.amount) == shares
    said = desk.refuses(
        "FND-16",
        "funding request-drawdown",
        drawdown="D1",
        facility="main",
        allocations=[{"tranche": "T1", "amount": "5 shares"}],
        value_on="2026-02-01",
        actor=BO,
    )
    assert "main is a warrant; its exercise is later" in said


def test_the_deal_must_be_there(desk):
    """A structure belongs to a deal that is on the record."""
    from ledger.errors import NotFound

    with pytest.raises(NotFound):
        facility(desk)
    signed(desk)
    assert desk.get(Agreement, desk.deal).state == "definitive_signed"
    facility(desk)


USD = Amount.parse("1m USD")
MOVED = {
    "tranche": "T9",
    "facility": "F9",
    "amount": USD,
    "cumulative": USD,
    "size": USD,
    "certified": Power(1),
    "formula": Fixed(amount=USD),
    "inputs": (),
    "terms_version": 1,
}
DRAWN = {"drawdown": "D9"}
PAID = {"amount": USD, "bank_ref": "B9"}
STRAYS = [
    events.TrancheUnlocked(**MOVED),
    events.TrancheRelocked(**MOVED),
    events.TrancheExpired(tranche="T9"),
    events.CommitmentChanged(facility="F9", old=USD, new=USD, cause="c"),
    events.DrawdownApproved(**DRAWN),
    events.DisbursementReturned(**DRAWN, **PAID),
    events.EquityCancelled(certificate_no="E9", ground="x"),
    events.OverfundingDeclared(facility="F9", paid=USD, unlocked=USD, excess=USD),
    events.OverfundingCured(facility="F9", cause="x"),
    events.OverfundingWaived(facility="F9", amount=USD),
    events.ClawbackReceived(clawback="K9", facility="F9", **PAID),
    events.TrueUpPosted(
        true_up="U9", facility="F9", direction="to_recipient", text="x", **PAID
    ),
    events.FacilityClosed(facility="F9"),
]


@pytest.mark.parametrize("data", STRAYS, ids=lambda data: data.tag())
def test_history_loads_whatever_it_says(desk, data):
    """An event that names what is not there folds without a word: apply never refuses."""
    unlocked(desk)
    before = get_figures(desk)
    (probe,) = desk.do(
        "agreement record-statement", statement="s", speaker="s", text="s"
    )
    funding = funding_of(desk)
    stray = proposed(funding.id, funding.version + 1, probe.provenance, data)
    funding.fold(stray)
    assert figures_of(funding) == before


YEN = Amount.parse("7 JPY")
FOREIGN = [
    events.TrancheUnlocked(
        **{**MOVED, "tranche": "T1", "facility": "main", "cumulative": YEN}
    ),
    events.DrawdownRequested(
        drawdown="D7",
        facility="main",
        amount=YEN,
        allocations=(events.Allocation(tranche="T1", amount=YEN),),
        value_on=parse_date("2026-01-01"),
    ),
]


@pytest.mark.parametrize("data", FOREIGN, ids=lambda data: data.tag())
def test_money_in_another_currency_than_its_facility_is_in_no_total(desk, data):
    """A history that no rule saw folds without a word, and adds no yen to dollars."""
    unlocked(desk)
    (probe,) = desk.do(
        "agreement record-statement", statement="s", speaker="s", text="s"
    )
    funding = funding_of(desk)
    before = funding.find(events.Total, "main")
    funding.fold(proposed(funding.id, funding.version + 1, probe.provenance, data))
    after = funding.find(events.Total, "main")
    assert msgspec.structs.replace(after, under_way=0, drawn_on=None) == (
        msgspec.structs.replace(before, under_way=0, drawn_on=None)
    )


@pytest.mark.parametrize(
    "data",
    [
        events.TrancheUnlocked(**{**MOVED, "tranche": "T1", "facility": "main"}),
        events.TrancheRelocked(**{**MOVED, "tranche": "T1", "facility": "main"}),
        events.OverfundingWaived(facility="main", amount=USD),
        events.CommitmentChanged(facility="main", old=USD, new=USD, cause="c"),
        events.FacilityClosed(facility="main"),
    ],
    ids=lambda data: data.tag(),
)
def test_a_report_moves_no_figure(desk, data):
    """FND-15 is in the aggregate too: what is only reported changes no figure."""
    unlocked(desk)
    before = get_figures(desk)
    (probe,) = desk.do(
        "agreement record-statement",
        statement="s",
        speaker="s",
        text="s",
        evidence=REPORTED,
    )
    funding = funding_of(desk)
    funding.fold(proposed(funding.id, funding.version + 1, probe.provenance, data))
    assert figures_of(funding) == before


def funding_of(desk):
    return desk.get(Funding, desk.deal)


def figures_of(funding):
    main = funding.facilities["main"]
    money = (funding.unlocked("main"), funding.paid("main"), funding.available("main"))
    return (*map(str, money), str(main.commitment), str(main.waived), main.closed_on)


def get_figures(desk):
    return figures_of(funding_of(desk))


def test_money_that_comes_back_never_leaves_a_tranche_short(desk):
    """Given back beyond what was paid of one tranche, it is taken off another."""
    unlocked(desk, "10m USD", "20m USD", "10m USD")
    pay(desk, "D1", "10m USD", tranche="T1")
    pay(desk, "D2", "20m USD", tranche="T2")
    post = {"command": "funding post-true-up", "facility": "main", "text": "x"}
    more = {**post, "direction": "to_recipient", "true_up": "U1", "bank_ref": "B1"}
    desk.do(**more, amount="10m USD")
    back = {**post, "direction": "to_provider", "true_up": "U2", "bank_ref": "B2"}
    desk.do(**back, amount="15m USD")
    names = ("T1", "T2", "T3")
    drawn = [str(funding_of(desk).drawn(name)) for name in names]
    assert drawn == ["10000000.00 USD", "15000000.00 USD", "0.00 USD"]
    desk.do("funding return", drawdown="D2", amount="20m USD", bank_ref="B3")
    drawn = [str(funding_of(desk).drawn(name)) for name in names]
    assert drawn == ["5000000.00 USD", "0.00 USD", "0.00 USD"]
