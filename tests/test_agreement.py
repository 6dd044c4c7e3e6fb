"""The agreement's life and its rules: AGR-01 to AGR-15, one fact a test."""

from __future__ import annotations

from datetime import date

import deals
import pytest

from ledger.domain.agreement import (
    Agreement,
    AmendmentTookEffect,
    BecameEffective,
    Change,
    LoiSigned,
    Opened,
    Terms,
)
from ledger.domain.funding import Funding
from ledger.errors import InvalidValue, NotFound

PARTIES = ["acme", "orion"]
TERMS = {
    "capacity_floor": "1 GW",
    "capacity_basis": "rated",
    "funding_cap": "100m USD",
}
SIGNED = [{"title": "The agreement", "kind": "signed_agreement"}]
REPORTED = [{"title": "A report", "grade": "R"}]
NOTICE = {"ground": "x", "terminates_on": "2026-02-01"}


def opened(desk):
    desk.do(
        "agreement open",
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )


def loi(desk, **more):
    opened(desk)
    desk.do(
        "agreement sign-loi", signatories=PARTIES, terms=TERMS, on="2025-01-02", **more
    )


def definitive(desk, **terms):
    loi(desk)
    desk.do(
        "agreement sign-definitive",
        signatories=PARTIES,
        terms={**TERMS, **terms},
        evidence=SIGNED,
        on="2025-02-01",
    )


def in_effect(desk, **terms):
    definitive(desk, **terms)
    desk.do("agreement bring-into-effect", on="2025-03-01")


def state(desk):
    return desk.get(Agreement, desk.deal).state


def amend(desk, name, *changes, on="2025-04-01", **more):
    desk.do(
        "agreement propose-amendment", amendment=name, changes=changes, on=on, **more
    )
    desk.do("agreement sign-amendment", amendment=name, on=on)
    desk.do("agreement sign-amendment", amendment=name, on=on, actor="bo@orion")


def facility(desk, commitment="80m USD"):
    desk.do(
        "funding define-facility",
        facility="main",
        provider="acme",
        recipient="orion",
        instrument="equity",
        commitment=commitment,
        on="2025-03-01",
    )


def tranche(desk, name="T1", number=1, size="50m USD"):
    desk.do(
        "funding define-tranche",
        tranche=name,
        facility="main",
        number=number,
        size=size,
        trigger={"when": "date_reached", "on": "2025-03-02"},
        formula={"rule": "fixed", "amount": size},
        on="2025-03-01",
    )
    desk.do("funding unlock", tranche=name, on="2025-03-03")


def locked(desk, name, number):
    """A tranche that nothing has unlocked."""
    desk.do(
        "funding define-tranche",
        tranche=name,
        facility="main",
        number=number,
        size="20m USD",
        trigger={"when": "date_reached", "on": "2099-01-01"},
        formula={"rule": "fixed", "amount": "20m USD"},
        on="2025-03-01",
    )


def test_a_deal_is_opened_and_signed(desk):
    """From the first entry to effect, each step is an event of its own."""
    opened(desk)
    assert state(desk) == "draft"
    (signed,) = desk.data("agreement sign-loi", signatories=PARTIES, terms=TERMS)
    assert isinstance(signed, LoiSigned)
    assert state(desk) == "loi_signed"
    desk.do(
        "agreement sign-definitive",
        signatories=PARTIES,
        terms=TERMS,
        evidence=SIGNED,
    )
    assert state(desk) == "definitive_signed"
    assert desk.data("agreement bring-into-effect") == [BecameEffective()]
    agreement = desk.get(Agreement, desk.deal)
    assert agreement.state == "in_effect"
    assert agreement.binding
    assert not agreement.ended
    assert agreement.terms_version == 1


def test_a_deal_is_opened_once_by_two_sides(desk):
    """AGR-14: a deal is put on the record once, with two different sides."""
    sides = {"title": "T", "capital": ["acme"], "capacity": ["acme"]}
    desk.refuses("AGR-14", "agreement open", **sides)
    opened(desk)
    desk.refuses("AGR-14", "agreement open", **{**sides, "capacity": ["orion"]})


def test_states_move_only_along_the_life(desk):
    """AGR-14: an agreement not signed cannot come into effect."""
    loi(desk)
    said = desk.refuses("AGR-14", "agreement bring-into-effect")
    assert "acme-orion is loi_signed" in said
    desk.refuses("AGR-14", "agreement suspend", scopes=["draw"], ground="x")
    with pytest.raises(NotFound, match="not on the record"):
        desk.do("agreement bring-into-effect", deal="nobody-knows")


def test_every_party_signs(desk):
    """AGR-02: a signature that is missing, or a stranger's, is named."""
    opened(desk)
    for command in ("agreement sign-loi", "agreement sign-definitive"):
        said = desk.refuses(
            "AGR-02", command, signatories=["acme"], terms=TERMS, evidence=SIGNED
        )
        assert "Signature of orion is missing" in said
        said = desk.refuses(
            "AGR-02",
            command,
            signatories=[*PARTIES, "zeta"],
            terms=TERMS,
            evidence=SIGNED,
        )
        assert "zeta signed" in said


def test_a_reported_definitive_is_a_claim_beside_the_state(desk):
    """A reported signature, known only in part, stands on the record and moves nothing."""
    loi(desk)
    desk.do(
        "agreement sign-definitive", signatories=["acme"], terms={}, evidence=REPORTED
    )
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("loi_signed", "disputed")
    assert [claim.ref for claim in agreement.claims] == ["agreement/acme-orion@3"]


def test_only_what_stands_disputes(desk):
    """A confirmed signature spends the report of one, and nothing disputes it then."""
    loi(desk)
    sign = {"signatories": PARTIES, "terms": TERMS}
    desk.do("agreement sign-definitive", **sign, evidence=REPORTED)
    assert desk.get(Agreement, desk.deal).status == "disputed"
    desk.do("agreement sign-definitive", **sign, evidence=SIGNED)
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("definitive_signed", "confirmed")


def test_a_reported_letter_is_a_claim_and_a_reported_deal_is_reported(desk):
    """Opening a deal is the record's own act; a letter known from the press is a claim."""
    deal = {"title": "Acme and Orion", "capital": ["acme"], "capacity": ["orion"]}
    desk.do("agreement open", **deal, evidence=REPORTED)
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("draft", "reported")
    desk.do("agreement sign-loi", signatories=PARTIES, terms=TERMS, evidence=REPORTED)
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("draft", "disputed")
    assert agreement.known_terms == Terms()
    assert agreement.told.state == "loi_signed"
    assert agreement.told.known_terms.funding_cap is not None


@pytest.mark.parametrize(
    ("told", "other", "same"),
    [
        (
            ("agreement suspend", {"scopes": ["draw"], "ground": "x"}),
            {"scopes": ["delivery"]},
            {"ground": "y"},
        ),
        (
            ("agreement sign-amendment", {"amendment": "A1"}),
            {"actor": "bo@orion"},
            {},
        ),
        (
            ("agreement link", {"relation": "complements", "other": "a"}),
            {"other": "b"},
            {"note": "By contract."},
        ),
        (("agreement lapse", {"ground": "x"}), None, {"ground": "y"}),
        (("agreement give-notice", NOTICE), None, {"ground": "y"}),
    ],
)
def test_a_claim_is_spent_by_its_own_subject_alone(desk, told, other, same):
    """A confirmed entry on the same thing spends a report, whatever it says of it."""
    definitive(desk)
    if told[0] != "agreement lapse":
        desk.do("agreement bring-into-effect", on="2025-03-01")
    change = {"path": "first_phase", "new": "2027"}
    desk.do("agreement propose-amendment", amendment="A1", changes=[change])
    command, keys = told
    desk.do(command, **keys, evidence=REPORTED)
    if other is not None:
        desk.do(command, **{**keys, **other})
    assert len(desk.get(Agreement, desk.deal).claims) == 1
    desk.do(command, **{**keys, **same})
    assert desk.get(Agreement, desk.deal).claims == ()


def test_a_reported_end_is_spent_by_the_end(desk):
    """A termination is one, on whatever ground it is told and confirmed."""
    in_effect(desk)
    give = {"ground": "x", "terminates_on": "2025-06-30", "on": "2025-05-01"}
    desk.do("agreement give-notice", **give)
    desk.do("agreement terminate", ground="They say", evidence=REPORTED)
    assert desk.get(Agreement, desk.deal).status == "disputed"
    desk.do("agreement terminate", ground="Notice ran out")
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("terminated", "confirmed")


def test_claims_move_an_agreement_forward_only(desk):
    """A report of the letter takes nothing back from what was signed since."""
    opened(desk)
    sign = {"signatories": PARTIES, "terms": TERMS}
    desk.do("agreement sign-loi", **sign, evidence=REPORTED, on="2025-01-02")
    desk.do("agreement sign-definitive", **sign, evidence=SIGNED, on="2025-02-01")
    told = desk.get(Agreement, desk.deal).told
    assert (told.state, told.terms_version) == ("definitive_signed", 1)


@pytest.mark.parametrize(
    ("terms", "missing"),
    [
        ({"capacity_basis": "unspecified"}, "capacity_basis"),
        ({"capacity_basis": "critical_it"}, "overhead_ratio"),
        ({"capacity_basis": "facility", "overhead_ratio": "1.2"}, "pue"),
    ],
)
def test_a_gigawatt_is_measurable(desk, terms, missing):
    """AGR-12: definitive terms say on what basis capacity is measured."""
    loi(desk)
    said = desk.refuses(
        "AGR-12",
        "agreement sign-definitive",
        signatories=PARTIES,
        terms={**TERMS, **terms},
        evidence=SIGNED,
    )
    assert f"{missing} missing" in said


def test_a_capacity_trigger_makes_the_basis_needed(desk):
    """AGR-12: without a floor, a trigger on capacity still needs a basis."""
    loi(desk)
    facility(desk)
    leaf = {"when": "capacity_certified", "at_least": "1 GW"}
    desk.do(
        "funding define-tranche",
        tranche="T1",
        facility="main",
        number=1,
        size="5m USD",
        trigger={"when": "all", "of": [{"when": "agreement_in_effect"}, leaf]},
        formula={"rule": "fixed", "amount": "5m USD"},
    )
    sign = {"signatories": PARTIES, "evidence": SIGNED}
    desk.refuses("AGR-12", "agreement sign-definitive", terms={}, **sign)
    desk.do("agreement sign-definitive", terms={"capacity_basis": "rated"}, **sign)


def test_terms_without_capacity_need_no_basis(desk):
    """AGR-12 asks nothing of a deal that does not use capacity."""
    opened(desk)
    desk.do("agreement sign-definitive", signatories=PARTIES, terms={}, evidence=SIGNED)
    assert state(desk) == "definitive_signed"


def test_open_conditions_hold_the_effect_back(desk):
    """AGR-03: in effect only when every agreement-scope condition is met."""
    definitive(desk)
    for name, scope in (("clearance", "agreement"), ("draws", "draw")):
        desk.do(
            "agreement define-condition",
            condition=name,
            text=name,
            scope=scope,
            waivable_by="acme",
            on="2025-02-02",
        )
    said = desk.refuses("AGR-03", "agreement bring-into-effect", on="2025-03-01")
    assert "1 condition is open: clearance." in said
    desk.do("agreement satisfy-condition", condition="clearance", on="2025-02-20")
    desk.refuses("REC-12", "agreement bring-into-effect", on="2025-02-10")
    desk.do("agreement bring-into-effect", on="2025-03-01")
    assert state(desk) == "in_effect"


def test_a_reported_condition_is_not_met(desk):
    """A reported satisfaction stands on the record, and the condition stays open."""
    definitive(desk)
    desk.do("agreement define-condition", condition="c", text="c", on="2025-02-02")
    desk.do("agreement satisfy-condition", condition="c", evidence=REPORTED)
    desk.refuses("AGR-03", "agreement bring-into-effect")


def test_only_the_party_named_waives(desk):
    """AGR-04: a waiver is the right of the party named, and of nobody else."""
    loi(desk)
    desk.do("agreement define-condition", condition="a", text="a", waivable_by="acme")
    desk.do("agreement define-condition", condition="b", text="b")
    said = desk.refuses(
        "AGR-04", "agreement waive-condition", condition="a", actor="bo@orion"
    )
    assert "orion cannot waive a; only acme can." in said
    desk.refuses("AGR-04", "agreement waive-condition", condition="b")
    desk.do("agreement waive-condition", condition="a")
    assert desk.get(Agreement, desk.deal).conditions["a"].met


def test_a_condition_is_defined_and_settled_once(desk):
    """AGR-14: a condition is defined once, by parties known, and settled once."""
    loi(desk)
    define = "agreement define-condition"
    desk.do(define, condition="a", text="a", on="2025-02-01")
    desk.refuses("AGR-14", define, condition="a", text="again")
    said = desk.refuses("AGR-14", define, condition="b", text="b", owner="zeta")
    assert "zeta is no party" in said
    fail = "agreement fail-condition"
    desk.refuses("REC-12", fail, condition="a", on="2025-01-31")
    desk.do(fail, condition="a", on="2025-02-01")
    desk.refuses("AGR-14", "agreement satisfy-condition", condition="a")
    with pytest.raises(NotFound, match="known: a"):
        desk.do(fail, condition="z")


def test_a_long_stop_ends_a_condition(desk):
    """AGR-05: past its long-stop a condition needs an amendment to be satisfied."""
    definitive(desk)
    desk.do(
        "agreement define-condition",
        condition="c",
        text="c",
        long_stop_on="2025-03-31",
        on="2025-02-02",
    )
    satisfy = "agreement satisfy-condition"
    said = desk.refuses("AGR-05", satisfy, condition="c", on="2025-04-01")
    assert "long-stop date 2025-03-31" in said
    amend(desk, "A1", {"path": "condition.c.long_stop_on", "new": "2025-06-30"})
    desk.do("agreement effect-amendment", amendment="A1", on="2025-04-01")
    amend(desk, "A2", {"path": "condition.c.long_stop_on", "new": None})
    desk.do("agreement effect-amendment", amendment="A2", on="2025-04-01")
    assert desk.get(Agreement, desk.deal).conditions["c"].long_stop_on is None
    desk.do(satisfy, condition="c", on="2025-04-02")


def test_recorded_late_but_effective_in_time(desk):
    """A condition met before its long-stop may be recorded after it."""
    loi(desk)
    desk.do(
        "agreement define-condition",
        condition="c",
        text="c",
        long_stop_on="2025-03-31",
        on="2025-02-02",
    )
    desk.do("agreement satisfy-condition", condition="c", on="2025-03-31")


def test_an_amendment_waits_for_every_signature(desk):
    """AGR-06: an amendment takes effect when all have signed, not before."""
    in_effect(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    desk.do("agreement propose-amendment", amendment="A1", changes=[change])
    effect = "agreement effect-amendment"
    said = desk.refuses("AGR-06", effect, amendment="A1")
    assert "Signed by nobody, waiting for acme, orion." in said
    desk.do("agreement sign-amendment", amendment="A1")
    desk.refuses("AGR-06", "agreement sign-amendment", amendment="A1")
    said = desk.refuses("AGR-06", effect, amendment="A1")
    assert "Signed by acme, waiting for orion." in said
    desk.refuses("AGR-14", "agreement sign-amendment", amendment="A1", actor="zoe@zeta")
    desk.do("agreement sign-amendment", amendment="A1", actor="bo@orion")
    (took,) = desk.data(effect, amendment="A1")
    assert isinstance(took, AmendmentTookEffect)
    agreement = desk.get(Agreement, desk.deal)
    assert agreement.terms_version == 2
    assert str(agreement.terms.capacity_floor) == "2000000000 W"
    assert took.changes[0].old == "1000000000 W"
    desk.refuses("AGR-06", effect, amendment="A1")


def test_an_amendment_is_written_for_a_version(desk):
    """AGR-06: terms that changed meanwhile need a new proposal."""
    in_effect(desk)
    amend(desk, "A1", {"path": "notice_business_days", "new": "5"})
    amend(desk, "A2", {"path": "platforms", "new": '["vr"]'})
    desk.do("agreement effect-amendment", amendment="A1", on="2025-04-01")
    said = desk.refuses("AGR-06", "agreement effect-amendment", amendment="A2")
    assert "Terms changed since version 1" in said
    desk.do("agreement withdraw-amendment", amendment="A2")
    desk.refuses("AGR-06", "agreement withdraw-amendment", amendment="A2")


def test_an_amendment_has_its_day(desk):
    """REC-12: an amendment takes effect neither before its day nor its signatures."""
    in_effect(desk)
    change = {"path": "first_phase", "new": "2027"}
    amend(desk, "A1", change, takes_effect_on="2025-05-01")
    effect = "agreement effect-amendment"
    desk.refuses("REC-12", effect, amendment="A1", on="2025-04-30")
    desk.refuses("REC-12", effect, amendment="A1", on="2025-03-30")
    desk.do(effect, amendment="A1", on="2025-05-01")


def test_what_an_amendment_cannot_say(desk):
    """AGR-14: no terms, no changes, an unknown path, a value that does not fit."""
    propose = "agreement propose-amendment"
    loi(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    desk.refuses("AGR-14", propose, amendment="A1", changes=[change])
    with pytest.raises(NotFound, match="Amendment 'A1'"):
        desk.do("agreement effect-amendment", amendment="A1")
    with pytest.raises(NotFound, match="known: none"):
        desk.do("agreement sign-amendment", amendment="A1")
    desk.do(
        "agreement sign-definitive", signatories=PARTIES, terms=TERMS, evidence=SIGNED
    )
    desk.refuses("AGR-14", propose, amendment="A1", changes=[])
    facility(desk)
    desk.do("agreement define-condition", condition="c", text="c")
    for path, new in (
        ("colour", "red"),
        ("capacity_floor", "ten"),
        ("platforms", "not json"),
        ("facility.main.commitment", "ten"),
        ("condition.c.long_stop_on", "tomorrow"),
    ):
        with pytest.raises(InvalidValue):
            desk.do(propose, amendment="A1", changes=[{"path": path, "new": new}])
    for path, new in (
        ("condition.z.long_stop_on", None),
        ("facility.other.commitment", "5m USD"),
    ):
        with pytest.raises(NotFound):
            desk.do(propose, amendment="A1", changes=[{"path": path, "new": new}])
    desk.do(propose, amendment="A1", changes=[{"path": "pue", "new": "1.2"}])
    desk.refuses("AGR-14", propose, amendment="A1", changes=[change])


def test_an_amendment_may_take_a_term_away(desk):
    """A term without a new value is dropped, but not the basis that capacity needs."""
    in_effect(desk, notice_business_days=5, platforms=["vr"])
    amend(desk, "A1", {"path": "notice_business_days", "new": None})
    desk.do("agreement effect-amendment", amendment="A1")
    assert desk.get(Agreement, desk.deal).terms.notice_business_days == 0
    amend(desk, "A2", {"path": "capacity_basis", "new": None}, on="2026-01-10")
    desk.refuses("AGR-12", "agreement effect-amendment", amendment="A2")
    amend(desk, "A3", {"path": "capacity_floor", "new": None}, on="2026-01-10")
    desk.do("agreement effect-amendment", amendment="A3", on="2026-01-15")


def test_a_cap_covers_what_is_used(desk):
    """AGR-07: no cap below what is paid, or approved and not yet settled."""
    in_effect(desk)
    facility(desk)
    tranche(desk)
    draw(desk)
    for change, cap in (
        ({"path": "facility.main.commitment", "new": "20m USD"}, "20000000.00 USD"),
        ({"path": "funding_cap", "new": "29m USD"}, "29000000.00 USD"),
    ):
        name = change["path"].replace(".", "-")
        amend(desk, name, change, relock=True)
        said = desk.refuses("AGR-07", "agreement effect-amendment", amendment=name)
        assert f"Cap {cap} is below 30000000.00 USD" in said


def test_a_cap_holds_what_is_used_in_its_own_currency(desk):
    """AGR-07: no cap in a currency against which what is approved cannot be held."""
    in_effect(desk, funding_cap=None)
    facility(desk)
    tranche(desk)
    draw(desk)
    amend(desk, "A1", {"path": "funding_cap", "new": "1m EUR"})
    said = desk.refuses("AGR-07", "agreement effect-amendment", amendment="A1")
    assert "Cap 1000000.00 EUR cannot be held against 30000000.00 USD" in said


def test_a_cap_may_change_its_currency_before_money_is_used(desk):
    """AGR-07 holds nothing against a cap that is not used; FND-02 does commitments."""
    in_effect(desk, funding_cap=None)
    facility(desk)
    amend(desk, "A1", {"path": "funding_cap", "new": "1m EUR"})
    desk.refuses("FND-02", "agreement effect-amendment", amendment="A1")
    desk.do("funding close-facility", facility="main")
    desk.do("agreement effect-amendment", amendment="A1")


def test_a_commitment_is_amended_in_its_own_currency(desk):
    """AGR-07: an amendment to another currency is refused when it is proposed."""
    in_effect(desk)
    facility(desk)
    change = {"path": "facility.main.commitment", "new": "80m EUR"}
    said = desk.refuses(
        "AGR-07", "agreement propose-amendment", amendment="A1", changes=[change]
    )
    assert "Facility main is in USD, not in EUR: 80000000.00 EUR." in said


def draw(desk):
    desk.do(
        "funding request-drawdown",
        drawdown="D1",
        facility="main",
        allocations=[{"tranche": "T1", "amount": "30m USD"}],
        value_on="2025-03-20",
        actor="bo@orion",
        on="2025-03-04",
    )
    desk.do("funding approve-drawdown", drawdown="D1", on="2025-03-05")


def test_a_relock_says_so(desk):
    """AGR-08: an amendment locks again what is unlocked only where it says so."""
    in_effect(desk)
    facility(desk)
    tranche(desk, "T1", 1, "30m USD")
    tranche(desk, "T2", 2, "30m USD")
    locked(desk, "T3", 3)
    desk.do("funding cancel-tranche", tranche="T3", on="2025-03-04")
    locked(desk, "T4", 4)
    change = {"path": "facility.main.commitment", "new": "25m USD"}
    amend(desk, "A1", change)
    said = desk.refuses("AGR-08", "agreement effect-amendment", amendment="A1")
    assert "35000000.00 USD already unlocked" in said
    amend(desk, "A2", change, relock=True)
    desk.do("agreement effect-amendment", amendment="A2")
    funding = desk.get(Funding, desk.deal)
    assert str(funding.unlocked("main")) == "25000000.00 USD"
    assert str(funding.facilities["main"].commitment) == "25000000.00 USD"
    assert str(funding.tranches["T2"].unlocked) == "0.00 USD"
    assert funding.tranches["T1"].ended == "cancelled"


def test_a_relock_stops_where_the_tranches_fit(desk):
    """A smaller commitment cancels the last tranches, and leaves the first ones."""
    in_effect(desk)
    facility(desk)
    tranche(desk, "T1", 1, "30m USD")
    locked(desk, "T2", 2)
    change = {"path": "facility.main.commitment", "new": "40m USD"}
    amend(desk, "A1", change, relock=True)
    desk.do("agreement effect-amendment", amendment="A1")
    tranches = desk.get(Funding, desk.deal).tranches
    assert (tranches["T1"].ended, tranches["T2"].ended) == (None, "cancelled")
    assert str(tranches["T1"].unlocked) == "30000000.00 USD"


def test_a_larger_commitment_relocks_nothing(desk):
    """An amendment that raises a commitment moves only that."""
    in_effect(desk)
    facility(desk)
    tranche(desk)
    amend(desk, "A1", {"path": "facility.main.commitment", "new": "90m USD"})
    kinds = [d.tag() for d in desk.data("agreement effect-amendment", amendment="A1")]
    assert kinds == ["agreement.amendment_took_effect", "funding.commitment_changed"]


def test_money_waits_for_effect(desk):
    """AGR-01: a letter of intent does not commit funds."""
    loi(desk)
    facility(desk)
    desk.do(
        "funding define-tranche",
        tranche="T1",
        facility="main",
        number=1,
        size="5m USD",
        trigger={"when": "date_reached", "on": "2025-01-02"},
        formula={"rule": "fixed", "amount": "5m USD"},
    )
    said = desk.refuses("AGR-01", "funding unlock", tranche="T1")
    assert "acme-orion is loi_signed" in said


def test_a_suspended_scope_stands_still(desk):
    """AGR-09: suspended draws are refused until resumed; another scope goes on."""
    in_effect(desk)
    facility(desk)
    tranche(desk)
    suspend, resume = "agreement suspend", "agreement resume"
    desk.refuses("AGR-14", suspend, scopes=[], ground="x", on="2025-03-03")
    desk.do(suspend, scopes=["draw"], ground="Default", on="2025-03-03")
    desk.refuses("AGR-14", suspend, scopes=["draw"], ground="x", on="2025-03-03")
    assert state(desk) == "suspended"
    said = desk.refuses(
        "AGR-09",
        "funding request-drawdown",
        drawdown="D1",
        facility="main",
        allocations=[{"tranche": "T1", "amount": "30m USD"}],
        value_on="2025-03-20",
        actor="bo@orion",
        on="2025-03-04",
    )
    assert "draw is suspended since 2025-03-03: Default." in said
    desk.refuses("AGR-14", resume, scopes=["delivery"])
    desk.refuses("REC-12", resume, scopes=["draw"], on="2025-03-02")
    desk.do(resume, scopes=["draw"], on="2025-03-04")
    draw(desk)


def test_a_delivery_before_the_suspension_is_a_fact(desk):
    """AGR-09: what was shipped before the suspension may be recorded after it."""
    in_effect(desk)
    desk.do("agreement suspend", scopes=["delivery"], ground="x", on="2025-06-01")
    order = {"command": "order place", "order": "O1", "buyer": "orion"}
    desk.do(
        "sku define",
        sku="vr",
        sku_version=1,
        manufacturer="maker",
        title="V",
        gpu_packages=72,
        gpu_dies=144,
        rated="200 kW",
        rated_least="190 kW",
        rated_most="230 kW",
        on="2025-05-01",
    )
    lines = [{"line": 1, "sku": "vr", "sku_version": 1, "quantity": 2}]
    place = {**order, "seller": "acme", "lines": lines}
    desk.refuses("AGR-09", **place, on="2025-06-02")
    desk.do(**place, on="2025-05-31")


def test_notice_then_the_end(desk):
    """AGR-14: an agreement is terminated by notice, on its day and not before."""
    in_effect(desk)
    notice = {"ground": "Clause 14", "terminates_on": "2025-06-30"}
    give, terminate = "agreement give-notice", "agreement terminate"
    desk.refuses("AGR-14", terminate, ground="x")
    desk.refuses("AGR-14", give, **notice, actor="zoe@zeta", on="2025-05-01")
    desk.refuses("AGR-14", give, **notice, on="2025-07-01")
    desk.do(give, **notice, on="2025-05-01")
    assert state(desk) == "terminating"
    desk.refuses("AGR-14", terminate, ground="x", on="2025-06-29")
    desk.do(terminate, ground="Notice ran out", on="2025-06-30")
    assert desk.get(Agreement, desk.deal).ended
    desk.refuses("AGR-14", terminate, ground="again")


def test_after_the_end_only_winding_down(desk):
    """AGR-10: an agreement that has ended takes nothing new."""
    in_effect(desk)
    facility(desk)
    desk.do("agreement supersede", successor="acme-orion-2", on="2025-05-01")
    said = desk.refuses("AGR-10", "agreement define-condition", condition="c", text="c")
    assert "Only wind-down entries are accepted" in said
    desk.do("funding close-facility", facility="main")
    desk.do("agreement link", relation="superseded_by", other="acme-orion-2")
    desk.do("agreement close")
    said = desk.refuses("AGR-10", "agreement define-condition", condition="c", text="c")
    assert "It is closed." in said
    desk.do("agreement record-statement", statement="s", speaker="A", text="Over.")


def test_what_was_instructed_still_settles_after_the_end(desk):
    """AGR-10: winding down takes the payment that was on its way."""
    in_effect(desk)
    facility(desk)
    tranche(desk)
    draw(desk)
    desk.do("funding instruct", drawdown="D1", on="2025-03-06", actor="ian@acme")
    desk.do("agreement supersede", successor="acme-orion-2", on="2025-03-07")
    desk.refuses("AGR-10", "funding unlock", tranche="T1")
    desk.do(
        "funding settle",
        drawdown="D1",
        amount="30m USD",
        value_on="2025-03-20",
        bank_ref="B1",
        evidence={"title": "Paid", "kind": "bank_confirmation"},
        actor="sue@acme",
    )
    funding = desk.get(Funding, desk.deal)
    assert str(funding.paid("main")) == "30000000.00 USD"


def test_lapse_waits_for_the_expiry(desk):
    """AGR-14: a letter of intent lapses on its day, or when a condition failed."""
    loi(desk, expires_on="2025-06-30")
    desk.do("agreement define-condition", condition="c", text="c", on="2025-02-01")
    desk.refuses("AGR-14", "agreement lapse", ground="x", on="2025-06-29")
    desk.do("agreement fail-condition", condition="c", on="2025-03-01")
    desk.do("agreement lapse", ground="Condition failed", on="2025-03-02")
    assert state(desk) == "lapsed"


def test_a_letter_without_expiry_may_lapse(desk):
    """Where no expiry was agreed, the parties say when it has lapsed."""
    loi(desk)
    desk.do("agreement lapse", ground="Talks ended")
    assert state(desk) == "lapsed"


def test_a_successor_is_another_deal(desk):
    """AGR-11: a deal cannot replace itself."""
    loi(desk)
    desk.refuses("AGR-11", "agreement supersede", successor="acme-orion")


def test_a_reported_supersession_leaves_the_state(desk):
    """A reported supersession marks the agreement disputed; a confirmed one ends it."""
    loi(desk)
    desk.do("agreement supersede", successor="acme-orion-2", evidence=REPORTED)
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("loi_signed", "disputed")
    assert agreement.successor is None
    assert agreement.told.successor == "acme-orion-2"
    assert list(agreement.told.links) == ["superseded_by/acme-orion-2"]
    desk.do("agreement supersede", successor="acme-orion-2")
    assert state(desk) == "superseded"


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("agreement bring-into-effect", {}),
        ("agreement suspend", {"scopes": ["draw"], "ground": "x"}),
        (
            "agreement give-notice",
            {"ground": "x", "terminates_on": "2026-02-01"},
        ),
        ("agreement terminate", {"ground": "x"}),
        ("agreement close", {}),
    ],
)
def test_reports_move_no_state(desk, command, keys):
    """A report of any step stands beside the state and moves nothing."""
    definitive(desk)
    desk.do("agreement define-condition", condition="c", text="c")
    desk.do(command, **keys, evidence=REPORTED)
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.status) == ("definitive_signed", "disputed")


def test_reported_amendments_and_resumptions_are_claims(desk):
    """A reported signature, effect or resumption changes neither terms nor scopes."""
    in_effect(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    desk.do("agreement propose-amendment", amendment="A1", changes=[change])
    desk.do("agreement sign-amendment", amendment="A1", evidence=REPORTED)
    desk.do("agreement effect-amendment", amendment="A1", evidence=REPORTED)
    desk.do("agreement suspend", scopes=["draw"], ground="x")
    desk.do("agreement resume", scopes=["draw"], evidence=REPORTED)
    agreement = desk.get(Agreement, desk.deal)
    assert agreement.terms_version == 1
    assert agreement.amendments["A1"].signed == ()
    assert agreement.state == "suspended"


def test_closing_names_what_is_open(desk):
    """AGR-13: an open draw, a unit in transit or an overfunding holds the close back."""
    in_effect(desk)
    facility(desk)
    tranche(desk)
    draw(desk)
    desk.do("agreement supersede", successor="next", on="2025-05-01")
    said = desk.refuses("AGR-13", "agreement close")
    assert "1 item is still open: drawdown D1 is approved." in said


def test_rights_links_and_statements_are_recorded_once(desk):
    """AGR-14: what is said twice is refused, with what stands already."""
    loi(desk)
    right = {
        "right": "first",
        "kind": "first_refusal",
        "holder": "acme",
        "text": "First call",
    }
    desk.do("agreement record-right", **right)
    desk.refuses("AGR-14", "agreement record-right", **right)
    desk.do("agreement release-right", right="first", evidence=REPORTED)
    assert desk.get(Agreement, desk.deal).rights["first"].held
    desk.do("agreement release-right", right="first")
    said = desk.refuses("AGR-14", "agreement release-right", right="first")
    assert "held are: none" in said
    link = {"relation": "complements", "other": "orion-grid"}
    desk.do("agreement link", **link)
    desk.refuses("AGR-14", "agreement link", **link)
    desk.refuses("AGR-14", "agreement link", relation="complements", other=desk.deal)
    said = {"statement": "s1", "speaker": "Acme", "text": "On track."}
    desk.do("agreement record-statement", **said)
    desk.refuses("AGR-14", "agreement record-statement", **said)


def test_a_plan_goes_up(desk):
    """AGR-15: months in order, totals that never fall, at least one point."""
    loi(desk)
    up = [
        {"month": "2026-03", "capacity": "250 MW"},
        {"month": "2026-09", "capacity": "1 GW"},
    ]
    for command in ("plan baseline", "plan forecast"):
        desk.do(command, points=up)
        desk.refuses("AGR-15", command, points=[])
        desk.refuses("AGR-15", command, points=up[::-1])
        desk.refuses("AGR-15", command, points=[up[0], up[0]])
    agreement = desk.get(Agreement, desk.deal)
    assert (len(agreement.baselines), len(agreement.forecasts)) == (1, 1)


def test_the_first_baseline_is_kept(desk):
    """A later baseline, or a report of one, takes the place of no earlier one."""
    loi(desk)
    for capacity, more in (
        ("1 GW", {}),
        ("2 GW", {}),
        ("3 GW", {"evidence": REPORTED}),
    ):
        points = [{"month": "2026-03", "capacity": capacity}]
        desk.do("plan baseline", points=points, **more)
    baselines = desk.get(Agreement, desk.deal).baselines
    assert [str(one.points[0].capacity) for one in baselines] == [
        "1000000000 W",
        "2000000000 W",
    ]


def test_reports_contradict_each_other(desk):
    """What has ended by a report alone refuses no report; a confirmed end does."""
    loi(desk)
    sign = {"signatories": PARTIES, "terms": TERMS, "evidence": REPORTED}
    desk.do("agreement supersede", successor="next", evidence=REPORTED)
    desk.do("agreement sign-definitive", **sign)
    desk.do("agreement define-condition", condition="c", text="c", evidence=REPORTED)
    desk.do("agreement supersede", successor="next")
    desk.refuses("AGR-14", "agreement sign-definitive", **sign)
    other = {"condition": "d", "text": "d", "evidence": REPORTED}
    desk.refuses("AGR-10", "agreement define-condition", **other)


def test_apply_never_refuses(desk):
    """An event about something unknown loads: history must load for ever."""
    from ledger.domain.aggregate import fold
    from ledger.domain.catalogue import EVENTS
    from ledger.domain.transcoding import proposed

    loi(desk)
    (opening, *_) = desk.do("agreement link", relation="complements", other="x")
    agreement = Agreement("agreement/x")
    unknown = {"condition": "c", "amendment": "a", "right": "r", "party": "acme"}
    lenient = [
        event
        for event in EVENTS
        if set(event.__struct_fields__)
        in ({"condition"}, {"amendment"}, {"right"}, {"amendment", "party"})
    ]
    assert len(lenient) == 6
    for version, event in enumerate(lenient, start=1):
        keys = {k: v for k, v in unknown.items() if k in event.__struct_fields__}
        agreement.fold(
            proposed("agreement/x", version, opening.provenance, event(**keys))
        )
    took = AmendmentTookEffect(
        amendment="a",
        terms_version=2,
        terms=Terms(),
        changes=(Change(path="condition.c.long_stop_on", new=None),),
    )
    agreement.fold(proposed("agreement/x", 7, opening.provenance, took))
    assert (agreement.conditions, agreement.amendments, agreement.rights) == (
        {},
        {},
        {},
    )
    assert (opening.originator_id, opening.originator_version) == (opening.stream, 3)
    assert fold(Agreement, "agreement/x", []).deal == ""
    assert date.min == Agreement("agreement/x").last_on
    assert Opened(title="t", capital=(), capacity=()).fictional is False


def test_notice_of_an_agreement_that_never_came_into_effect_makes_it_no_binding_one(
    desk,
):
    """It is ending, and still binds nobody: nothing is committed under it."""
    deals.signed(desk)
    desk.do(
        "agreement give-notice",
        ground="x",
        terminates_on="2027-01-01",
        on="2025-02-01",
    )
    agreement = desk.get(Agreement, desk.deal)
    assert (agreement.state, agreement.binding) == ("terminating", False)
