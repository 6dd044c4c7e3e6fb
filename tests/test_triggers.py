"""Trigger trees, formulas and unlocks: FND-03 to FND-06, FND-13, FND-15."""

from __future__ import annotations

import msgspec
import pytest
from deals import (
    BO,
    REPORTED,
    certify,
    facility,
    funded,
    in_effect,
    linear,
    step,
    tranche,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger.commands.decision import Decision
from ledger.domain.aggregate import fold
from ledger.domain.agreement import Terms
from ledger.domain.certificate import Certificate, Counted, Drafted, Issued, TookEffect
from ledger.domain.evaluation import evaluate, recomputed
from ledger.domain.event import Event, Identity
from ledger.domain.funding import Funding, TrancheUnlocked
from ledger.domain.provenance import Provenance
from ledger.domain.transcoding import from_builtins
from ledger.domain.triggers import (
    Fixed,
    Linear,
    Step,
    Trigger,
    measures,
    most,
    pays_more_at,
    unlocked,
)
from ledger.domain.values import Amount, Power, Slug, parse_date
from ledger.errors import Refused

UNLOCK = {"command": "funding unlock", "tranche": "T1"}
FILING = [{"title": "Filing"}]
YES = {"when": "date_reached", "on": "2025-01-02"}
NO = {"when": "date_reached", "on": "2030-01-01"}


def capacity(least, **more):
    return {"when": "capacity_certified", "at_least": least, **more}


def tree(when, *of):
    return {"when": when, "of": list(of)}


@pytest.fixture
def systems(desk):
    """A deal in effect with four racks and a facility without tranches."""
    return funded(desk)


def get(desk, name="T1"):
    return desk.get(Funding, desk.deal).tranches[name]


def missing(desk, trigger, **unlock):
    """What the unlock of a tranche with that trigger is refused for."""
    tranche(desk, trigger=trigger)
    return desk.refuses("FND-03", **UNLOCK, **unlock)


# Formulas.
usd = st.integers(0, 10**14).map(lambda cents: Amount.of(cents, "JPY"))
watts = st.integers(0, 10**12)
some = st.integers(1, 10**11)
formulas = st.one_of(
    st.builds(Step, block=some.map(Power), amount=usd),
    st.builds(Linear, per=some.map(Power), amount=usd),
    st.builds(Fixed, amount=usd),
)


@given(formulas, st.lists(watts, min_size=2), usd)
def test_the_cumulative_grows_with_capacity_and_stays_within_the_size(
    formula, certified, size
):
    """More capacity never unlocks less, and nothing unlocks more than the size."""
    amounts = [unlocked(formula, Power(w), size) for w in sorted(certified)]
    assert amounts == sorted(amounts, key=lambda amount: amount.value)
    assert all(Amount.zero("JPY") <= amount <= size for amount in amounts)
    assert all(amount <= most(formula, size) for amount in amounts)


@given(some, usd, watts, usd)
def test_a_step_pays_whole_blocks(block, amount, certified, size):
    """FND-04: floor(certified / block) × amount, clamped to the size."""
    formula = Step(block=Power(block), amount=amount)
    whole = (certified // block) * int(amount.value)
    expected = min(whole, int(size.value))
    assert int(unlocked(formula, Power(certified), size).value) == expected


@given(some, usd, watts, usd)
def test_a_linear_formula_rounds_down(per, amount, certified, size):
    """So much for so many watts, never a fraction of the last decimal more."""
    formula = Linear(per=Power(per), amount=amount)
    expected = min(int(amount.value) * certified // per, int(size.value))
    assert int(unlocked(formula, Power(certified), size).value) == expected


def test_only_a_fixed_formula_does_not_measure():
    """A fixed amount is unlocked whatever the capacity."""
    size = Amount.parse("40m USD")
    fixed = Fixed(amount=Amount.parse("30m USD"))
    assert not measures(fixed)
    assert most(fixed, size) == fixed.amount
    assert measures(Linear(per=Power(1), amount=size))


class Past:
    """A world of certificates alone, built in memory."""

    def __init__(self, terms, *rated):
        from ledger.domain.agreement import Agreement, BecameEffective, DefinitiveSigned

        signed = DefinitiveSigned(signatories=(), terms=terms)
        self.agreement = self.folded(Agreement, "x", signed, BecameEffective())
        self.certificates = [
            self.folded(
                Certificate,
                f"x/C{n}",
                Drafted(
                    systems=(Counted(system="m/s", rated=Power(w)),),
                    accepted_by=parse_date("2025-01-01"),
                ),
                Issued(
                    issuer=Slug("e"),
                    rated=Power(w),
                    certified=Power(w),
                    basis=terms.capacity_basis,
                ),
                TookEffect(),
            )
            for n, w in enumerate(rated)
        ]
        self.latest_day = parse_date("2025-06-01")

    def folded(self, kind, name, *events):
        stream = f"{kind.kind}/{name}"
        by = Provenance(
            deal="x",
            actor="a",
            party="p",
            effective_on=parse_date("2025-01-01"),
            command="c",
            command_id="i",
            command_digest="d",
            correlation_id="r",
            software="0",
        )
        numbered = enumerate(events, start=1)
        return fold(
            kind,
            stream,
            [Event(Identity(stream=stream, version=n), by, d) for n, d in numbered],
        )

    def get(self, kind, *ids):
        return self.agreement if kind.kind == "agreement" else kind("")

    need = get

    def all(self, kind, deal):
        return self.certificates if kind is Certificate else []


leaves = st.one_of(
    st.integers(1, 10**9).map(lambda w: capacity(f"{w} W")),
    st.sampled_from([YES, NO, {"when": "agreement_in_effect"}]),
    st.just({"when": "capacity_purchased", "at_least": "1 W"}),
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda when, of: tree(when, *of),
        st.sampled_from(["all", "any"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def truth(trigger, certified):
    """The plainest reading of a tree, to hold the evaluation against."""
    match trigger["when"]:
        case "all":
            return all(truth(child, certified) for child in trigger["of"])
        case "any":
            return any(truth(child, certified) for child in trigger["of"])
        case "capacity_certified":
            return certified >= int(trigger["at_least"].split()[0])
        case "capacity_purchased":
            return False
        case "date_reached":
            return trigger is YES or trigger == YES
    return True


@given(trees, st.lists(st.integers(1, 10**9), max_size=4), formulas, usd)
def test_an_unlock_is_recomputed_from_its_inputs(given_tree, rated, formula, size):
    """The recorded inputs alone give the amount; the tree is met as it reads."""
    trigger = from_builtins(given_tree, Trigger)
    found = evaluate(Past(Terms(capacity_basis="rated"), *rated), "x", trigger, formula)
    assert found.met == truth(given_tree, sum(rated))
    assert found.met == (not found.missing) == (found.since is not None)
    assert found.certified == Power(sum(rated))
    cumulative = found.cumulative(formula, size)
    event = TrancheUnlocked(
        tranche="T",
        facility="F",
        amount=cumulative,
        cumulative=cumulative,
        size=size,
        certified=found.certified,
        formula=formula,
        inputs=found.inputs,
        terms_version=1,
    )
    again = msgspec.convert(msgspec.to_builtins(event, enc_hook=str), dict)
    assert recomputed(from_builtins(again, TrancheUnlocked)) == cumulative


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.data())
def test_capacity_is_converted_on_the_total(rated, data):
    """Certificates are added up in rated watts, and rounded down once, at the end."""
    given_terms = {"capacity_basis": "critical_it", "overhead_ratio": "1.0333"}
    terms = from_builtins(given_terms, Terms)
    trigger = from_builtins(capacity("1 W"), Trigger)
    formula = Step(block=Power(1), amount=Amount.of(1, "JPY"))
    found = evaluate(Past(terms, *rated), "x", trigger, formula)
    assert found.certified.watts == sum(rated) * 10333 // 10000


# Unlocking.
def test_an_unlock_records_its_inputs(desk, systems):
    """Certified watts, formula, size, the tree, and the certificates by stream@version."""
    trigger = tree("all", {"when": "agreement_in_effect"}, capacity("100 kW"))
    tranche(desk, trigger=trigger, formula=step("100 kW", "20m USD"))
    certify(desk, "C-1", systems[:2])
    (event,) = desk.data(**UNLOCK)
    assert str(event.amount) == str(event.cumulative) == "40000000.00 USD"
    assert (event.certified, event.terms_version) == (Power(200_000), 1)
    ref = "certificate/acme-orion/C-1@5"
    told = [(i.leaf, i.subject, i.met, i.found, i.refs) for i in event.inputs]
    assert told == [
        ("all", "2", True, "2", ()),
        (
            "agreement_in_effect",
            "acme-orion",
            True,
            "in_effect",
            ("agreement/acme-orion@3",),
        ),
        ("capacity_certified", "100000 W", True, "200000 W", (ref,)),
        ("formula", "step", True, "200000 W", (ref,)),
    ]
    assert recomputed(event) == event.cumulative


def test_capacity_that_is_missing_is_told_in_watts(desk, systems):
    """FND-03: certified so much of so much, so much missing."""
    certify(desk, "C-1", systems[:1])
    said = missing(desk, capacity("250 kW"))
    assert "Certified 100000 W of 250000 W; 150000 W missing." in said


def test_a_certificate_on_its_way_does_not_count(desk, systems):
    """FND-03: only effective certificates, and none that were revoked."""
    certify(desk, "C-1", systems[:1], to="countersign")
    said = missing(desk, capacity("100 kW"))
    assert "Certified 0 W of 100000 W" in said
    desk.do("certificate bring-into-effect", certificate="C-1")
    desk.do("certificate revoke", certificate="C-1", ground="x")
    desk.refuses("FND-03", **UNLOCK)


def test_every_unmet_leaf_is_told(desk, systems):
    """FND-03 names each thing that is missing, and the choices where one is enough."""
    desk.do("agreement define-condition", condition="permit", text="x", scope="tranche")
    said = missing(
        desk,
        tree(
            "all",
            YES,
            NO,
            {"when": "milestone_achieved", "milestone": "m1"},
            {"when": "condition_met", "condition": "permit"},
            {"when": "condition_met", "condition": "other"},
            tree(
                "any",
                tree("all", {"when": "corporate_event", "kind": "ipo"}, NO),
                {"when": "attested", "label": "redacted-1", "redacted": True},
            ),
            {
                "when": "price_at_least",
                "instrument": "ACME",
                "price": "600 USD",
                "method": "vwap",
                "days": 20,
            },
            {"when": "capacity_purchased", "at_least": "1 GW"},
        ),
    )
    for text in (
        "It is not 2030-01-01 yet.",
        "Milestone m1 is not on the record.",
        "Condition permit is open since",
        "Condition other is not on the record.",
        "One of these is needed: No ipo is confirmed and It is not 2030-01-01 yet, or ",
        ", or redacted-1 is not attested.",
        "No price was seen of ACME at 600 USD (vwap, days: 20).",
        "Purchased 400000 W of 1000000000 W; 999600000 W missing.",
    ):
        assert text in said, text


def test_an_agreement_that_ended_is_not_in_effect(desk, systems):
    """A leaf on the agreement follows its state, not its history."""
    tranche(desk, trigger={"when": "agreement_in_effect"})
    desk.do("agreement suspend", scopes=["delivery"], ground="x")
    notice = {"ground": "x", "terminates_on": "2026-01-14", "on": "2026-01-13"}
    desk.do("agreement give-notice", **notice)
    desk.do(**UNLOCK)
    desk.do("agreement terminate", ground="x")
    leaf = from_builtins({"when": "agreement_in_effect"}, Trigger)
    decision = Decision(desk.ledger, desk.clock)
    found = evaluate(decision, desk.deal, leaf, get(desk).defined.formula)
    assert found.missing == ("The agreement is terminated, not in effect",)


def test_a_milestone_unlocks_once_achieved_and_not_while_disputed(desk, systems):
    """MIL-05: a disputed milestone unlocks nothing until that is settled."""
    name = {"milestone": "m1"}
    propose = {"title": "M", "track": "hardware", "owner": "orion"}
    desk.do("milestone propose", **name, **propose, target_on="2025-12-31")
    for actor in ("ann@acme", BO):
        desk.do("milestone agree", **name, actor=actor)
    desk.do("milestone submit-evidence", **name, summary="Done")
    said = missing(desk, {"when": "milestone_achieved", **name})
    assert "Milestone m1 is evidenced (confirmed)." in said
    for actor in ("ann@acme", BO):
        desk.do("milestone sign-off", **name, actor=actor)
    desk.do("milestone achieve", **name)
    desk.do("milestone dispute", **name, ground="x")
    said = desk.refuses("FND-03", **UNLOCK)
    assert "Milestone m1 is disputed" in said
    desk.do("milestone settle-dispute", **name, upheld=False, outcome="Fine")
    (event,) = desk.data(**UNLOCK)
    assert event.inputs[0].refs == ("milestone/acme-orion/m1@7",)


def test_a_milestone_is_not_achieved_before_its_day(desk, systems):
    """REC-12: an unlock is not before the milestone that it relies on."""
    name = {"milestone": "m1", "on": "2025-02-01"}
    propose = {"title": "M", "track": "hardware", "owner": "orion"}
    desk.do("milestone propose", **name, **propose, target_on="2025-12-31")
    for verb in ("agree", "submit-evidence", "sign-off"):
        for actor in ("ann@acme", BO)[: 1 if verb == "submit-evidence" else 2]:
            keys = {"summary": "x"} if verb == "submit-evidence" else {}
            desk.do(f"milestone {verb}", **name, **keys, actor=actor)
    desk.do("milestone achieve", milestone="m1", on="2025-03-01")
    leaf = {"when": "milestone_achieved", "milestone": "m1"}
    tranche(desk, trigger=leaf)
    said = desk.refuses("REC-12", **UNLOCK, on="2025-02-28")
    assert "2025-02-28 is before what its trigger asks for on 2025-03-01" in said
    tranche(desk, "T2", 2, trigger=tree("all", leaf, NO))
    said = desk.refuses("FND-03", "funding unlock", tranche="T2", on="2025-02-28")
    assert "Milestone m1 is achieved only from 2025-03-01" in said
    desk.do(**UNLOCK, on="2025-03-01")


def test_a_condition_unlocks_once_met(desk, systems):
    """A condition counts when satisfied or waived, from that day."""
    desk.do("agreement define-condition", condition="c", text="x", scope="tranche")
    tranche(desk, trigger={"when": "condition_met", "condition": "c"})
    desk.do("agreement satisfy-condition", condition="c", evidence=REPORTED)
    desk.refuses("FND-03", **UNLOCK)
    desk.do("agreement satisfy-condition", condition="c")
    (event,) = desk.data(**UNLOCK)
    assert event.inputs[0].refs == ("agreement/acme-orion@6",)


@pytest.mark.parametrize(
    ("leaf", "command", "keys"),
    [
        (
            {"when": "corporate_event", "kind": "ipo"},
            "observation corporate-event",
            {"kind": "ipo"},
        ),
        (
            {"when": "attested", "label": "redacted-1"},
            "observation attest",
            {"label": "redacted-1", "by": "A panel"},
        ),
        (
            {"when": "price_at_least", "instrument": "ACME", "price": "600 USD"},
            "observation price",
            {"instrument": "ACME", "price": "600.00 USD"},
        ),
    ],
)
def test_only_confirmed_observations_unlock(desk, systems, leaf, command, keys):
    """FND-15: what was only reported is seen, and unlocks nothing."""
    tranche(desk, trigger=leaf)
    desk.do(command, **keys, evidence=REPORTED, on="2025-06-01")
    desk.refuses("FND-03", **UNLOCK)
    desk.do(command, **keys, evidence=FILING, on="2025-06-02")
    desk.refuses("REC-12", **UNLOCK, on="2025-06-01")
    (event,) = desk.data(**UNLOCK, on="2025-06-02")
    assert event.inputs[0].refs == ("observation/acme-orion@2",)


@pytest.mark.parametrize(
    "seen",
    [
        {"price": "599.99 USD"},
        {"price": "600 EUR"},
        {"price": "600 USD", "method": "vwap"},
        {"price": "600 USD", "days": 20},
        {"price": "600 USD", "instrument": "ORN"},
    ],
)
def test_another_price_is_not_the_one_asked_for(desk, systems, seen):
    """A price counts by instrument, method, window and currency."""
    desk.do("observation price", **{"instrument": "ACME", **seen}, evidence=FILING)
    leaf = {"when": "price_at_least", "instrument": "ACME", "price": "600 USD"}
    missing(desk, leaf)


def test_capacity_purchased_counts_orders_of_those_entitled(desk, systems):
    """Rated watts ordered, by the earning party, confirmed; of a cancelled order less."""
    leaf = {"when": "capacity_purchased", "at_least": "600 kW"}
    tranche(desk, trigger=leaf)
    tranche(desk, "T2", 2, trigger={**leaf, "earning_parties": ["vega"]})
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 3}
    place = {"command": "order place", "buyer": "orion", "seller": "maker"}
    desk.do(**place, order="PO-2", lines=[line], evidence=REPORTED, on="2025-03-01")
    desk.refuses("FND-03", **UNLOCK)
    desk.do(**place, order="PO-3", lines=[line], on="2025-03-02")
    desk.do("order cancel", order="PO-3", on="2025-03-03")
    said = desk.refuses("FND-03", **UNLOCK)
    assert "Purchased 400000 W of 600000 W" in said
    one = {**line, "quantity": 1}
    desk.do(**place, order="PO-4", lines=[one], on="2025-03-04")
    desk.do("order change-line", order="PO-4", line=1, new=9, evidence=REPORTED)
    said = desk.refuses("FND-03", **UNLOCK)
    assert "Purchased 500000 W of 600000 W" in said
    desk.do(**place, order="PO-5", lines=[line], on="2025-03-05")
    desk.refuses("REC-12", **UNLOCK, on="2025-03-04")
    (event,) = desk.data(**UNLOCK)
    assert event.inputs[0].found == "800000 W"
    assert event.inputs[0].refs[-1] == "order/acme-orion/PO-5@1"
    assert recomputed(event) == event.cumulative
    said = desk.refuses("FND-03", "funding unlock", tranche="T2")
    assert "Purchased 0 W of 600000 W" in said


def test_high_water_forgives_a_later_loss(desk):
    """A rack in repair or derated keeps counting at its frozen watts."""
    systems = funded(desk)
    certify(desk, "C-1", systems[:2])
    keys = {"ground": "Leak", "rma": "A"}
    desk.do("system send-to-rma", system=systems[0], **keys, on="2025-06-01")
    tranche(desk, trigger=capacity("200 kW"))
    desk.do(**UNLOCK)


def test_current_counts_what_is_in_service_now(desk):
    """On the basis current, repair and derating count, and so does the return."""
    systems = funded(desk, unlock_basis="current")
    certify(desk, "C-1", systems[:3])
    one, two, three = systems[:3]
    keys = {"ground": "Leak", "rma": "A"}
    desk.do("system send-to-rma", system=one, **keys, on="2025-06-01")
    desk.do("system derate", system=two, new="95 kW", on="2025-06-01")
    desk.do("system decommission", system=three, ground="x", on="2025-06-01")
    said = missing(desk, capacity("195 kW"))
    assert "Certified 95000 W of 195000 W; 100000 W missing" in said
    desk.do("system return-to-service", system=one, on="2025-06-05")
    (event,) = desk.data(**UNLOCK)
    assert event.certified == Power(195_000)


def test_capacity_counts_on_the_basis_of_the_terms(desk):
    """FND-03: another basis than the agreement's is never converted by guess."""
    systems = funded(desk, capacity_basis="critical_it", overhead_ratio="1.2")
    certify(desk, "C-1", systems[:1])
    said = missing(desk, capacity("100 kW", basis="facility"))
    assert (
        "The trigger asks for capacity on the basis facility; the terms in force "
        "count it as critical_it." in said
    )
    tranche(desk, "T2", 2, trigger=capacity("120 kW", basis="critical_it"))
    (event,) = desk.data("funding unlock", tranche="T2")
    assert event.certified == Power(120_000)


def test_a_basis_not_agreed_measures_nothing(desk):
    """FND-03: no capacity leaf and no measuring formula without a basis."""
    in_effect(desk, capacity_basis="unspecified")
    facility(desk)
    said = missing(desk, capacity("100 kW"))
    assert "how a gigawatt is measured: capacity_basis missing." in said
    tranche(desk, "T2", 2, trigger=YES, formula=step("1 kW", "1m USD"))
    said = desk.refuses("FND-03", "funding unlock", tranche="T2")
    assert "capacity_basis missing." in said
    tranche(desk, "T3", 3, trigger=YES, size="1m USD")
    desk.do("funding unlock", tranche="T3")


def test_less_than_a_block_pays_nothing(desk, systems):
    """FND-04: a met trigger without a whole block unlocks nothing."""
    certify(desk, "C-1", systems[:1])
    tranche(desk, formula=step("150 kW", "20m USD"))
    said = desk.refuses("FND-04", **UNLOCK)
    assert "100000 W certified pays for nothing of T1: there is no whole block" in said


def test_a_block_unlocks_once(desk, systems):
    """FND-05: the next unlock needs the next block; it adds only that one."""
    tranche(desk, formula=step("100 kW", "20m USD"), size="50m USD")
    certify(desk, "C-1", systems[:1])
    desk.do(**UNLOCK, on="2025-05-02")
    said = desk.refuses("FND-05", **UNLOCK)
    assert "Block 1 was unlocked on 2025-05-02; 100000 W certified" in said
    certify(desk, "C-2", systems[1:4], on="2025-06-01")
    desk.refuses("REC-12", **UNLOCK, on="2025-05-01")
    desk.refuses("FND-05", **UNLOCK, on="2025-05-31")
    (event,) = desk.data(**UNLOCK)
    assert str(event.amount) == "30000000.00 USD", "clamped to the size"
    said = desk.refuses("FND-05", **UNLOCK)
    assert "50000000.00 USD of T1 was unlocked on" in said


def test_a_share_of_capacity_unlocks_once(desk, systems):
    """FND-05 for a linear formula: only what is new."""
    tranche(desk, formula=linear("400 kW", "40m USD"))
    certify(desk, "C-1", systems[:1])
    (event,) = desk.data(**UNLOCK)
    assert str(event.amount) == "10000000.00 USD"
    said = desk.refuses("FND-05", **UNLOCK)
    assert "10000000.00 USD of T1 was unlocked on" in said
    certify(desk, "C-2", systems[1:2])
    (event,) = desk.data(**UNLOCK)
    assert (str(event.amount), str(event.cumulative)) == (
        "10000000.00 USD",
        "20000000.00 USD",
    )


def test_tranches_in_sequence_wait_for_each_other(desk):
    """FND-06: in sequence where the terms say so; an ended one is waited for no more."""
    in_effect(desk)
    facility(desk, in_sequence=True)
    tranche(desk, "T1", 1, size="10m USD", trigger=YES, expires_on="2025-06-30")
    report = {"trigger": YES, "size": "10m USD", "evidence": REPORTED}
    tranche(desk, "R1", 2, **report)
    tranche(desk, "T2", 3, size="10m USD", trigger=YES)
    tranche(desk, "T3", 4, size="10m USD", trigger=YES)
    two = {"command": "funding unlock", "tranche": "T2"}
    said = desk.refuses("FND-06", **two, on="2025-02-01")
    assert "Tranche T1 is still locked: 0.00 USD of 10000000.00 USD" in said
    desk.do("funding expire-tranche", tranche="T1", on="2025-07-01")
    desk.do(**two, on="2025-07-02")
    desk.refuses("REC-12", "funding unlock", tranche="T3", on="2025-07-01")
    desk.do("funding unlock", tranche="T3", on="2025-07-02")


def test_what_expired_or_lapsed_does_not_unlock(desk):
    """FND-13: after its last day, once cancelled, or with its facility closed."""
    in_effect(desk)
    facility(desk)
    for number, name in enumerate(("T1", "T2", "T3"), start=1):
        size = {"size": "10m USD", "trigger": YES}
        tranche(desk, name, number, **size, expires_on="2025-06-30")
    said = desk.refuses("FND-13", **UNLOCK, on="2025-07-01")
    assert "Tranche T1 lapsed on 2025-06-30." in said
    desk.refuses("REC-12", **UNLOCK, on="2025-01-19")
    desk.do("funding cancel-tranche", tranche="T2", on="2025-02-01")
    said = desk.refuses("FND-13", "funding unlock", tranche="T2")
    assert "Tranche T2 cancelled on 2025-02-01." in said
    desk.do(**UNLOCK, on="2025-06-30")
    desk.do("funding close-facility", facility="main", on="2025-06-30")
    said = desk.refuses("FND-13", "funding unlock", tranche="T3", on="2025-06-30")
    assert "closed on 2025-06-30" in said


def test_what_is_reported_never_unlocks(desk):
    """FND-15: neither a reported unlock, nor a reported tranche or facility."""
    in_effect(desk)
    facility(desk)
    tranche(desk, trigger=YES)
    said = desk.refuses("FND-15", **UNLOCK, evidence=REPORTED)
    assert "This unlock is marked reported." in said
    tranche(desk, "T2", 2, trigger=YES, evidence=REPORTED)
    said = desk.refuses("FND-15", "funding unlock", tranche="T2")
    assert "Tranche T2 is marked reported." in said
    facility(desk, "told", status="disputed", commitment="400m USD")
    tranche(desk, "T3", 1, facility="told", trigger=YES)
    said = desk.refuses("FND-15", "funding unlock", tranche="T3")
    assert "Facility told is marked disputed." in said


def test_unlocked_stays_within_the_commitment(desk):
    """FND-01: what a condition took from the commitment is not unlocked after it."""
    in_effect(desk)
    facility(desk)
    tranche(desk, trigger=YES)
    world = Decision(desk.ledger, desk.clock)
    funding = world.get(Funding, desk.deal)
    funding.facilities["main"].commitment = Amount.parse("39m USD")
    with pytest.raises(Refused, match=r"FND-01: 40000000.00 USD would make"):
        run(desk, world, "funding unlock", tranche="T1")


def run(desk, decision, command, **keys):
    """Carry a command out on a decision of one's own."""
    from ledger.commands.registry import find

    probe = desk.request(
        "agreement record-statement", statement="s", speaker="s", text="s"
    )
    decision.begin(desk.ledger.dry_run([(1, probe)])[0].provenance)
    found = find(command)
    found.run(decision, **found.decode(keys))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"certified": Power(1)}, "FND-03"),
        ({"terms_version": 2}, "FND-03"),
        ({"inputs": ()}, "FND-03"),
        ({"cumulative": Amount.parse("41m USD")}, "FND-04"),
        ({"amount": Amount.parse("41m USD")}, "FND-04"),
        ({"size": Amount.parse("41m USD")}, "FND-04"),
    ],
)
def test_figures_that_the_record_does_not_give_are_refused(desk, systems, change, code):
    """FND-03 and FND-04 hold what an unlock records against the record."""
    tranche(desk)
    certify(desk, "C-1", systems[:1])
    (event,) = desk.ledger.dry_run([(1, desk.request(**UNLOCK))])
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(event.provenance)
    wrong = msgspec.structs.replace(event.data, **change)
    with pytest.raises(Refused, match=code):
        decision.record(Funding, desk.deal, data=wrong)


def test_an_unknown_tranche_is_named(desk):
    """FND-16: what is not there is said with what is."""
    in_effect(desk)
    said = desk.refuses("FND-16", "funding unlock", tranche="T9")
    assert "Tranche 'T9' is not on the record; known: none." in said


def test_a_tranche_that_has_unlocked_all_of_itself_pays_for_no_more_capacity():
    """There is no next block to wait for; before that, there is one."""
    size = Amount.parse("10m USD")
    formula = Step(block=Power(100), amount=Amount.parse("5m USD"))
    assert pays_more_at(formula, Amount.parse("5m USD"), size) == 200
    assert pays_more_at(formula, size, size) is None
