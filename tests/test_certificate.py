"""Certificates and their rules, CER-01 to CER-07: the bridge from racks to money."""

from __future__ import annotations

import msgspec
import pytest
from deals import (
    ANN,
    BO,
    EVE,
    PAPER,
    REPORTED,
    batch,
    certificate,
    certify,
    facility,
    funded,
    in_effect,
    life,
    pay,
    racks,
    signed,
    step,
    tranche,
    unlocked,
)

from ledger.commands.decision import Decision
from ledger.domain.aggregate import fold
from ledger.domain.certificate import (
    Certificate,
    Issued,
    TookEffect,
    on_basis,
    unmeasured,
)
from ledger.domain.evaluation import recomputed
from ledger.domain.funding import (
    Funding,
    OverfundingCured,
    OverfundingDeclared,
    TrancheRelocked,
)
from ledger.domain.system import System, SystemCertified, SystemDecertified
from ledger.domain.values import Amount, Power, Ratio
from ledger.errors import NotFound, Refused

DRAFT = {"certificate": "C-1", "accepted_by": "2025-04-30", "on": "2025-05-01"}


@pytest.fixture
def accepted(desk):
    """A deal in effect with two accepted racks."""
    in_effect(desk)
    return racks(desk, "R1", "R2")


def get(desk, name="C-1"):
    return desk.get(Certificate, desk.deal, name)


def propose(desk, kind, *ids, data, actor=ANN, on="2025-06-01"):
    """Put an event before the rules that no command would make."""
    decision = Decision(desk.ledger, desk.clock)
    receipt = desk.ledger.dry_run(
        [(1, desk.request("agreement record-statement", statement="x", speaker="x",
                          text="x", actor=actor, on=on))]
    )  # fmt: skip
    decision.begin(receipt[0].provenance)
    return decision.record(kind, *ids, data=data)


def test_a_certificate_lives_from_draft_to_effect(desk, accepted):
    """Drafted, issued, countersigned by both, in effect: and each rack carries it."""
    certify(desk, "C-1", accepted, to="countersign")
    done = desk.data("certificate bring-into-effect", certificate="C-1")
    assert done == [
        TookEffect(),
        *(SystemCertified(certificate="C-1", watts=Power(100_000)) for _ in accepted),
    ]
    found = get(desk)
    assert found.counts
    assert (found.rated, found.certified) == (Power(200_000), Power(200_000))
    assert found.countersigned == {"acme": "ann", "orion": "bo"}
    for system in accepted:
        assert desk.get(System, system).certificate == "C-1"


def test_the_racks_are_caused_by_the_effect(desk, accepted):
    """What a command records besides carries the event that caused it."""
    certify(desk, "C-1", accepted, to="countersign")
    effect, *rest = desk.do("certificate bring-into-effect", certificate="C-1")
    assert {event.provenance.causation for event in rest} == {effect.ref}


def test_systems_stand_in_the_order_of_the_draft(desk, accepted):
    """However they are named, and each can be looked up by its name."""
    turned = accepted[::-1]
    certify(desk, "C-1", turned, to="draft")
    found = get(desk)
    assert [counted.system for counted in found.systems] == turned
    assert found.counted(turned[0]) == found.systems[0]
    assert found.counted("maker/R9") is None
    assert found.paper.count == 2


def test_a_second_draft_takes_the_place_of_the_first(desk, accepted):
    """A history with two drafts loads, and counts what the second one counts."""
    one, two = accepted
    certify(desk, "C-1", [one, two], to="draft")
    certify(desk, "C-2", [two], to="draft")
    (first,) = desk.ledger.events.get("certificate/acme-orion/C-1")
    (other,) = desk.ledger.events.get("certificate/acme-orion/C-2")
    identity = msgspec.structs.replace(first.identity, version=2)
    found = fold(
        Certificate,
        first.stream,
        [first, msgspec.structs.replace(other, identity=identity)],
    )
    assert [counted.system for counted in found.systems] == [two]
    assert (found.paper.count, found.rated) == (1, Power(100_000))


def test_watts_are_frozen_in_the_draft(desk, accepted):
    """A later derating changes nothing in a certificate that counts."""
    certify(desk, "C-1", accepted)
    desk.do("system derate", system=accepted[0], new="95 kW", on="2025-06-01")
    assert get(desk).systems[0].rated == Power(100_000)


def test_only_accepted_systems_count(desk):
    """CER-01: a rack that is only energised, or not there at all, is not certified."""
    in_effect(desk)
    (system,) = racks(desk, "R1", to="energise")
    said = desk.refuses("CER-01", "certificate draft", systems=[system], **DRAFT)
    assert "maker/R1 is energised, not accepted and in service" in said
    said = desk.refuses("CER-01", "certificate draft", systems=[], **DRAFT)
    assert "names no system" in said
    with pytest.raises(NotFound):
        desk.do("certificate draft", systems=["maker/R9"], **DRAFT)


def test_a_reported_acceptance_does_not_count(desk):
    """CER-01: what the press says was accepted is certified only once confirmed."""
    in_effect(desk)
    (system,) = racks(desk, "R1", to="test")
    report = {"system": system, "evidence": REPORTED, "on": "2025-04-15"}
    desk.do("system accept", **report, actor="pat@press")
    said = desk.refuses("CER-01", "certificate draft", systems=[system], **DRAFT)
    assert "accepted only by report" in said
    batch(desk, life(system)[-1])
    desk.do("certificate draft", systems=[system], **DRAFT)


def test_a_rack_out_of_service_does_not_count(desk, accepted):
    """CER-01: in quarantine or in repair it does not count, nor if it came back late."""
    system = accepted[0]
    desk.do("system quarantine", system=system, ground="Leak", on="2025-04-20")
    said = desk.refuses("CER-01", "certificate draft", systems=[system], **DRAFT)
    assert "quarantined since 2025-04-20" in said
    desk.do("system return-to-service", system=system, on="2025-05-10")
    late = {**DRAFT, "on": "2025-05-20"}
    said = desk.refuses("CER-01", "certificate draft", systems=[system], **late)
    assert "in service since 2025-05-10, not by 2025-04-30" in said
    later = {**late, "accepted_by": "2025-05-15"}
    desk.do("certificate draft", systems=[system], **later)


def test_what_changed_since_the_draft_is_not_certified(desk, accepted):
    """CER-01 is asked again at the issue and at the effect."""
    one, two = accepted
    certify(desk, "C-1", [one], to="draft")
    certify(desk, "C-2", [two], to="countersign")
    desk.do("system derate", system=one, new="95 kW", on="2025-05-01")
    said = desk.refuses(
        "CER-01", "certificate issue", certificate="C-1", actor=EVE, evidence=PAPER
    )
    assert "is rated 95000 W, not 100000 W" in said
    desk.do("system send-to-rma", system=two, rma="A", ground="x", on="2025-05-02")
    desk.refuses("CER-01", "certificate bring-into-effect", certificate="C-2")


def test_a_rack_of_another_deal_does_not_count(desk, accepted):
    """CER-01: a certificate counts systems of its own deal."""
    desk.deal = "acme-vega"
    in_effect(desk)
    said = desk.refuses("CER-01", "certificate draft", systems=accepted, **DRAFT)
    assert "is under acme-orion, not acme-vega" in said


def test_a_platform_outside_the_terms_does_not_count(desk):
    """CER-01: a rack ordered before the terms named its platforms may not count."""
    in_effect(desk)
    (system,) = racks(desk, "R1")
    change = {"path": "platforms", "new": '["other"]'}
    amend(desk, change)
    said = desk.refuses("CER-01", "certificate draft", systems=[system], **DRAFT)
    assert "is a rack, which does not count toward acme-orion" in said


def amend(desk, *changes):
    name, on = {"amendment": "A1"}, "2025-04-20"
    desk.do("agreement propose-amendment", **name, changes=changes, on=on)
    desk.do("agreement sign-amendment", **name, on=on)
    desk.do("agreement sign-amendment", **name, on=on, actor=BO)
    desk.do("agreement effect-amendment", **name, on=on)


def test_a_rack_stands_in_one_certificate(desk, accepted):
    """CER-02: a rack is in at most one effective certificate, and once in each."""
    one, two = accepted
    said = desk.refuses("CER-02", "certificate draft", systems=[one, one], **DRAFT)
    assert "maker/R1 stands twice in C-1" in said
    certify(desk, "C-1", [one])
    certify(desk, "C-2", [two, one], to="countersign")
    effect = {"certificate": "C-2", "on": "2025-05-01"}
    said = desk.refuses("CER-02", "certificate bring-into-effect", **effect)
    assert "maker/R1 is already in certificate C-1 of acme-orion" in said
    desk.do("certificate revoke", certificate="C-1", ground="Merged", on="2025-05-01")
    desk.do("certificate bring-into-effect", **effect)
    assert desk.get(System, one).certificate == "C-2"


def test_a_rack_is_certified_over_all_deals_once(desk, accepted):
    """CER-02 holds where a rack moved to another deal while the old one counts it."""
    one = accepted[0]
    certify(desk, "C-1", [one])
    desk.do("system decommission", system=one, ground="Moved", on="2025-05-05")
    desk.deal = "acme-vega"
    in_effect(desk)
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 1}
    sku = {
        "command": "sku define",
        "manufacturer": "maker",
        "title": "Rack",
        "sku": "rack",
        "sku_version": 1,
        "gpu_packages": 72,
        "gpu_dies": 144,
        "rated": "100 kW",
        "rated_least": "90 kW",
        "rated_most": "110 kW",
        "on": "2025-05-06",
    }
    place = {"command": "order place", "order": "O", "buyer": "orion", "lines": [line]}
    allocate = {"command": "order allocate", "order": "O", "line": 1, "systems": [one]}
    later = [{**given, "on": given["on"].replace("04", "06", 1)} for given in life(one)]
    batch(
        desk,
        sku,
        {**place, "seller": "maker", "on": "2025-05-07"},
        {**allocate, "on": "2025-05-08", "reason": "Moved from acme-orion"},
        *later,
    )
    lines = certificate("V-1", [one], "2025-07-01", "countersign")
    lines[0]["accepted_by"] = "2025-06-30"
    batch(desk, *lines)
    effect = {"certificate": "V-1", "on": "2025-07-01"}
    said = desk.refuses("CER-02", "certificate bring-into-effect", **effect)
    assert "already in certificate C-1 of acme-orion" in said
    revoke = {"certificate": "C-1", "ground": "Moved", "on": "2025-07-01"}
    desk.do("certificate revoke", deal="acme-orion", **revoke)
    desk.do("certificate bring-into-effect", **effect)
    assert desk.get(System, one).certificate_deal == "acme-vega"


def test_no_other_hand_certifies_or_releases_a_rack(desk, accepted):
    """CER-02: a rack is counted by a certificate that stands, and released by its end."""
    one, two = accepted
    certify(desk, "C-1", [one])
    for rated, name in ((90_000, two), (100_000, two)):
        data = SystemCertified(certificate="C-1", watts=Power(rated))
        with pytest.raises(Refused, match="CER-02: Certificate C-1 does not count"):
            propose(desk, System, name, data=data)
    with pytest.raises(Refused, match=r"CER-02: Certificate C-1 is effective"):
        propose(desk, System, one, data=SystemDecertified(certificate="C-1"))
    certify(desk, "C-2", [two], to="countersign")
    data = SystemCertified(certificate="C-2", watts=Power(100_000))
    with pytest.raises(Refused, match="CER-02: Certificate C-2 does not count"):
        propose(desk, System, two, data=data)


def test_certified_is_the_sum_on_the_basis(desk):
    """CER-03: rated × overhead × PUE, on the total; another figure is refused."""
    in_effect(desk, capacity_basis="facility", overhead_ratio="1.1", pue="1.25")
    systems = racks(desk, "R1", "R2", "R3")
    certify(desk, "C-1", systems, to="draft")
    issue = {"command": "certificate issue", "certificate": "C-1", "actor": EVE}
    issue |= {"evidence": PAPER, "on": "2025-05-02"}
    said = desk.refuses("CER-03", **issue, certified="412501 W")
    assert "412501 W certified; 3 systems of 300000 W come to 412500 W" in said
    desk.refuses("CER-03", **issue, certified="0 W")
    (issued,) = desk.data(**issue, certified="412500 W")
    assert issued == Issued(
        issuer="engineers",
        rated=Power(300_000),
        certified=Power(412_500),
        basis="facility",
        overhead_ratio=Ratio.parse("1.1"),
        pue=Ratio.parse("1.25"),
    )


def test_no_figure_without_a_basis(desk):
    """CER-03: terms that do not say how a gigawatt is measured certify nothing."""
    in_effect(desk, capacity_basis="unspecified")
    systems = racks(desk, "R1")
    certify(desk, "C-1", systems, to="draft")
    issue = {"certificate": "C-1", "actor": EVE, "evidence": PAPER}
    said = desk.refuses("CER-03", "certificate issue", **issue)
    assert "how a gigawatt is measured: capacity_basis missing" in said


@pytest.mark.parametrize(
    ("given", "lacking", "rated_w"),
    [
        ({"capacity_basis": "rated"}, [], 1000),
        ({"capacity_basis": "critical_it"}, ["overhead_ratio"], 1000),
        ({"capacity_basis": "facility"}, ["overhead_ratio", "pue"], 1000),
        ({"capacity_basis": "unspecified"}, ["capacity_basis"], 1000),
        ({"capacity_basis": "critical_it", "overhead_ratio": "1.0005"}, [], 1000),
        (
            {"capacity_basis": "facility", "overhead_ratio": "1.1", "pue": "1.1"},
            [],
            1210,
        ),
    ],
)
def test_a_watt_is_converted_once_on_the_total(given, lacking, rated_w):
    """The one conversion rounds down at its end; a basis not agreed converts nothing."""
    from ledger.domain.agreement import Terms
    from ledger.domain.transcoding import from_builtins

    terms = from_builtins(given, Terms)
    assert unmeasured(terms) == lacking
    assert on_basis(1000, terms) == Power(rated_w)


def test_the_issuer_is_independent(desk, accepted):
    """CER-04: a party issues no certificate, unless the terms allow it."""
    certify(desk, "C-1", accepted, to="draft")
    issue = {"certificate": "C-1", "evidence": PAPER, "on": "2025-05-02"}
    said = desk.refuses("CER-04", "certificate issue", **issue, actor=BO)
    assert "The issuer belongs to orion" in said
    desk.do("certificate issue", **issue, actor=EVE)


def test_the_terms_may_let_a_party_certify(desk):
    """CER-04 gives way to terms that say parties may certify."""
    in_effect(desk, parties_may_certify=True)
    certify(desk, "C-1", racks(desk, "R1"), to="draft")
    desk.do("certificate issue", certificate="C-1", evidence=PAPER, actor=BO)
    assert get(desk).paper.issuer == "orion"


def test_both_parties_countersign(desk, accepted):
    """CER-05: each party once, by different people, before it takes effect."""
    certify(desk, "C-1", accepted, to="issue")
    sign = {"command": "certificate countersign", "certificate": "C-1"}
    said = desk.refuses("CER-05", **sign, actor=EVE)
    assert "the parties are acme, orion" in said
    desk.do(**sign, actor=ANN, on="2025-05-02")
    desk.refuses("CER-05", **sign, actor="zoe@acme")
    said = desk.refuses("CER-05", **sign, actor="Ann@orion")
    assert "Ann has countersigned for acme already" in said
    effect = {"command": "certificate bring-into-effect", "certificate": "C-1"}
    said = desk.refuses("CER-05", **effect)
    assert "not countersigned by orion" in said
    desk.do(**sign, actor=BO, on="2025-05-03")
    desk.refuses("REC-12", **effect, on="2025-05-02")
    desk.do(**effect, on="2025-05-03")


def test_a_certificate_moves_along_its_states(desk, accepted):
    """CER-07: drafted, issued, effective, revoked; nothing twice, nothing skipped."""
    certify(desk, "C-1", accepted)
    desk.refuses("CER-07", "certificate draft", systems=accepted, **DRAFT)
    one = {"certificate": "C-1"}
    desk.refuses("CER-07", "certificate issue", **one, actor=EVE, evidence=PAPER)
    desk.refuses("CER-07", "certificate countersign", **one)
    desk.refuses("CER-07", "certificate bring-into-effect", **one)
    desk.do("certificate revoke", **one, ground="A doubt")
    said = desk.refuses("CER-07", "certificate revoke", **one, ground="Again")
    assert "Certificate C-1 is revoked" in said
    with pytest.raises(NotFound):
        desk.do("certificate countersign", certificate="C-9")


def test_a_draft_waits_for_the_agreement(desk):
    """CER-07: without an agreement in effect there is nothing to certify for."""
    signed(desk)
    systems = racks(desk, "R1")
    said = desk.refuses("CER-07", "certificate draft", systems=systems, **DRAFT)
    assert "acme-orion is definitive_signed" in said


def test_dates_of_a_certificate_are_in_order(desk, accepted):
    """REC-12: no step is before one that it relies on."""
    keys = {"certificate": "C-1", "systems": accepted}
    late = {"accepted_by": "2025-05-02", "on": "2025-05-01"}
    desk.refuses("REC-12", "certificate draft", **keys, **late)
    certify(desk, "C-1", accepted, to="draft")
    issue = {"certificate": "C-1", "actor": EVE, "evidence": PAPER}
    desk.refuses("REC-12", "certificate issue", **issue, on="2025-04-30")
    desk.do("certificate issue", **issue, on="2025-05-03")
    sign = {"certificate": "C-1", "on": "2025-05-02"}
    desk.refuses("REC-12", "certificate countersign", **sign)
    for actor in (ANN, BO):
        desk.do("certificate countersign", certificate="C-1", actor=actor)
    desk.do("certificate bring-into-effect", certificate="C-1")
    revoke = {"certificate": "C-1", "ground": "x", "on": "2026-01-14"}
    desk.refuses("REC-12", "certificate revoke", **revoke)


def test_a_revocation_needs_a_ground_and_nothing_else(desk, accepted):
    """CER-06: at any stage, also before the effect; only its ground is asked for."""
    revoke = {"command": "certificate revoke", "certificate": "C-1"}
    certify(desk, "C-1", accepted, to="issue")
    said = desk.refuses("CER-06", **revoke, ground="  ")
    assert "C-1 is revoked on no ground" in said
    (only,) = desk.data(**revoke, ground="A slip")
    assert only.ground == "A slip"
    assert get(desk).state == "revoked"


def test_reported_steps_count_for_nothing_until_confirmed(desk, accepted):
    """A reported issue or effect stands on the record, and is confirmed by a new one."""
    certify(desk, "C-1", accepted, to="draft")
    issue = {"command": "certificate issue", "certificate": "C-1", "actor": EVE}
    effect = {"command": "certificate bring-into-effect", "certificate": "C-1"}
    sign = {"command": "certificate countersign", "certificate": "C-1"}
    desk.do(**issue, evidence=REPORTED)
    desk.do(**sign, evidence=REPORTED)
    assert get(desk).countersigned == {}
    said = desk.refuses("CER-07", **sign)
    assert "Certificate C-1 is issued only by report" in said
    said = desk.refuses("CER-05", **effect)
    assert "issued only by report" in said
    assert [data.tag() for data in desk.data(**effect, evidence=REPORTED)] == [
        "certificate.took_effect"
    ]
    assert not get(desk).counts
    assert desk.get(System, accepted[0]).certificate is None
    desk.refuses("CER-07", **issue, evidence=REPORTED)
    desk.refuses("CER-07", **effect)
    desk.do(**issue, evidence=PAPER)
    assert get(desk).countersigned == {}
    desk.do(**sign)
    desk.do(**sign, actor=BO)
    desk.refuses("CER-07", **effect, evidence=REPORTED)
    assert not get(desk).counts
    desk.do(**effect)
    assert get(desk).counts
    assert desk.get(System, accepted[0]).certificate == "C-1"


def test_a_reported_revocation_is_a_claim(desk):
    """A report that a certificate was revoked locks nothing; its confirmation does."""
    unlocked(desk)
    revoke = {"command": "certificate revoke", "certificate": "C-1", "ground": "Copied"}
    (event,) = desk.do(**revoke, evidence=REPORTED)
    assert get(desk).counts
    assert [claim.ref for claim in get(desk).claims] == [event.ref]
    tags = [data.tag() for data in desk.data(**revoke)]
    assert tags == [
        "certificate.revoked",
        "system.decertified",
        "funding.tranche_relocked",
    ]


def test_a_revocation_locks_again_what_it_carried(desk):
    """FND-12: the re-lock, with its inputs, and the overfunding, in one transaction."""
    unlocked(desk)
    pay(desk, amount="30m USD")
    revoke = {"certificate": "C-1", "ground": "Copied", "on": "2025-07-01"}
    revoked, freed, relocked, declared = desk.do("certificate revoke", **revoke)
    assert freed.data == SystemDecertified(certificate="C-1")
    assert isinstance(relocked.data, TrancheRelocked)
    assert str(relocked.data.amount) == "40000000.00 USD"
    assert not relocked.data.cumulative
    assert relocked.data.certified == Power(0)
    assert recomputed(relocked.data) == relocked.data.cumulative
    assert declared.data == OverfundingDeclared(
        facility="main",
        paid=Amount.parse("30m USD"),
        unlocked=Amount.parse("0 USD"),
        excess=Amount.parse("30m USD"),
    )
    for event in (freed, relocked, declared):
        assert event.provenance.causation == revoked.ref
    facility = desk.get(Funding, desk.deal).facilities["main"]
    assert facility.overfunded_since == revoked.on


def test_what_other_certificates_carry_stays_unlocked(desk):
    """A revocation locks only what is not carried by the certificates that remain."""
    systems = funded(desk)
    tranche(desk, "T1", 1, size="20m USD")
    two = {"when": "capacity_certified", "at_least": "200 kW"}
    tranche(
        desk, "T2", 2, size="60m USD", trigger=two, formula=step("100 kW", "20m USD")
    )
    certify(desk, "C-1", systems[:1])
    certify(desk, "C-2", systems[1:3])
    for name in ("T1", "T2"):
        desk.do("funding unlock", tranche=name, on="2025-05-02")
    funding = desk.get(Funding, desk.deal)
    assert str(funding.unlocked("main")) == "80000000.00 USD"
    revoke = {"certificate": "C-1", "ground": "Copied", "on": "2025-07-01"}
    done = desk.data("certificate revoke", **revoke)
    (relocked,) = (data for data in done if isinstance(data, TrancheRelocked))
    assert (relocked.tranche, str(relocked.amount)) == ("T2", "20000000.00 USD")
    assert relocked.certified == Power(200_000)
    assert recomputed(relocked) == relocked.cumulative


def test_a_certificate_that_carried_nothing_locks_nothing(desk):
    """What was unlocked for less capacity than remains is not touched."""
    systems = unlocked(desk)
    certify(desk, "C-2", systems[1:2])
    tags = [
        data.tag()
        for data in desk.data("certificate revoke", certificate="C-2", ground="Copied")
    ]
    assert tags == ["certificate.revoked", "system.decertified"]


def test_a_revocation_after_the_end_still_locks(desk):
    """CER-06: also after the agreement ended and was closed; what stands stays."""
    systems = funded(desk)
    both = {"when": "all", "of": [{"when": "agreement_in_effect"}, dict(GATE)]}
    tranche(desk, "T1", 1, trigger=both, size="20m USD")
    more = {"when": "capacity_certified", "at_least": "200 kW"}
    tranche(
        desk, "T2", 2, size="20m USD", trigger={"when": "any", "of": [more, FUTURE]}
    )
    certify(desk, "C-1", systems[:1])
    certify(desk, "C-2", systems[1:2])
    for name in ("T1", "T2"):
        desk.do("funding unlock", tranche=name, on="2025-05-02")
    desk.do("agreement supersede", successor="acme-orion-2", on="2025-08-01")
    desk.do("agreement close", on="2025-08-02")
    done = desk.data("certificate revoke", certificate="C-2", ground="Copied")
    (relocked,) = (data for data in done if isinstance(data, TrancheRelocked))
    assert relocked.tranche == "T2", "T1 stands on C-1, though nothing is in effect"
    assert recomputed(relocked) == relocked.cumulative


GATE = {"when": "capacity_certified", "at_least": "100 kW"}
FUTURE = {"when": "date_reached", "on": "2030-01-01"}


def test_what_is_due_anyway_is_not_locked(desk):
    """A leaf that came true after the unlock keeps the tranche unlocked."""
    systems = funded(desk)
    either = {"when": "any", "of": [GATE, {"when": "corporate_event", "kind": "ipo"}]}
    tranche(desk, trigger=either)
    certify(desk, "C-1", systems[:1])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    filing = [{"title": "Prospectus"}]
    desk.do("observation corporate-event", kind="ipo", evidence=filing, on="2025-06-01")
    done = desk.data("certificate revoke", certificate="C-1", ground="Copied")
    assert not any(isinstance(data, TrancheRelocked) for data in done)


def test_a_block_locked_again_may_unlock_again(desk):
    """New capacity unlocks it again, and cures what was overfunded."""
    systems = unlocked(desk)
    pay(desk, amount="30m USD")
    desk.do("certificate revoke", certificate="C-1", ground="x", on="2025-07-01")
    certify(desk, "C-2", systems[1:2], on="2025-07-02")
    unlock = {"command": "funding unlock", "tranche": "T1"}
    desk.refuses("REC-12", **unlock, on="2025-06-30")
    again, cured = desk.data(**unlock, on="2025-07-03")
    assert str(again.amount) == "40000000.00 USD"
    assert cured == OverfundingCured(facility="main", cause="unlock of T1")
    assert desk.get(Funding, desk.deal).facilities["main"].overfunded_since is None


def test_a_second_revocation_keeps_the_first_day(desk):
    """Overfunding that grows is declared anew, and counts from its first day."""
    systems = funded(desk)
    formula = step("100 kW", "20m USD")
    tranche(desk, size="40m USD", formula=formula)
    certify(desk, "C-1", systems[:1])
    certify(desk, "C-2", systems[1:2])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    pay(desk, amount="40m USD")
    excess = []
    for name, on in (("C-1", "2025-07-01"), ("C-2", "2025-07-02")):
        done = desk.data("certificate revoke", certificate=name, ground="x", on=on)
        excess.append(str(done[-1].excess))
    assert excess == ["20000000.00 USD", "40000000.00 USD"]
    since = desk.get(Funding, desk.deal).facilities["main"].overfunded_since
    assert str(since) == "2025-07-01"


def test_a_relock_carries_its_own_figures(desk):
    """FND-04: a re-lock that is not what the formula gives is refused."""
    unlocked(desk)
    revoke = {"certificate": "C-1", "ground": "x"}
    (relocked,) = (
        event.data
        for event in desk.ledger.dry_run(
            [(1, desk.request("certificate revoke", **revoke))]
        )
        if isinstance(event.data, TrancheRelocked)
    )
    wrong = msgspec.structs.replace(relocked, amount=Amount.parse("1m USD"))
    with pytest.raises(Refused, match="FND-04"):
        propose(desk, Funding, desk.deal, data=wrong)


def test_a_facility_without_capacity_is_left_alone(desk):
    """A revocation reads the funding of the deal, and touches only what it carried."""
    in_effect(desk)
    systems = racks(desk, "R1")
    certify(desk, "C-1", systems)
    facility(desk)
    tranche(desk)
    done = desk.data("certificate revoke", certificate="C-1", ground="x")
    assert len(done) == 2
