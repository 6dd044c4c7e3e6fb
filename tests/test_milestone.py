"""The roadmap and its rules: MIL-01 to MIL-07, one fact a test."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from ledger.commands.decision import Decision
from ledger.domain.aggregate import fold
from ledger.domain.milestone import Achieved, Agreed, Metric, Milestone, Rescheduled
from ledger.domain.values import Ratio
from ledger.errors import NotFound, Refused
from projections.projector import Projections

METRIC = {
    "name": "inference throughput",
    "target": "5.0",
    "bound": "at_least",
    "unit": "x",
    "baseline": "Hopper",
    "benchmark": "House benchmark 1",
}
REPORTED = [{"title": "A report", "grade": "R"}]


@pytest.fixture
def deal(desk):
    desk.do(
        "agreement open",
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )
    return desk


def propose(desk, **more):
    desk.do(
        "milestone propose",
        **{
            "milestone": "rubin",
            "title": "Rubin inference",
            "track": "hardware",
            "owner": "orion",
            "target_on": "2025-12-31",
            "metric": METRIC,
            "on": "2025-01-02",
            **more,
        },
    )


def agree(desk, **more):
    propose(desk, **more)
    act(desk, "agree", on="2025-01-03")
    act(desk, "agree", on="2025-01-04", actor="bo@orion")


def evidence(desk, result="5.2", on="2025-06-01", **more):
    act(desk, "submit-evidence", summary="Run 12", result=result, on=on, **more)


def sign_off(desk):
    act(desk, "sign-off", on="2025-06-02")
    act(desk, "sign-off", on="2025-06-03", actor="bo@orion")


def achieve(desk, **more):
    agree(desk, **more)
    evidence(desk)
    sign_off(desk)
    act(desk, "achieve", on="2025-06-04")


def act(desk, verb, **keys):
    return desk.data(f"milestone {verb}", milestone="rubin", **keys)


def refused(desk, code, verb, **keys):
    return desk.refuses(code, f"milestone {verb}", milestone="rubin", **keys)


def rubin(desk):
    return desk.get(Milestone, desk.deal, "rubin")


def reverse(desk, *positions):
    desk.do("reverse request", positions=list(positions), reason="A slip")
    number = len(list(desk.ledger.streams("reversal", desk.deal)))
    desk.do("reverse approve", reversal=f"R-{number}", actor="max@acme")


def answer(desk, view, as_of=None):
    projections = Projections(desk.store)
    projections.catch_up()
    return projections.answer(view, desk.deal, as_of=as_of)


def shown(desk, as_of=None):
    return answer(desk, "milestones", as_of).rows


def disputes(desk):
    return answer(desk, "standing").about.disputes


def test_a_milestone_goes_from_proposal_to_achievement(deal):
    """Proposed, agreed by all, evidenced, signed off by each, achieved: it unlocks."""
    propose(deal)
    first, second = (
        act(deal, "agree", on="2025-01-03"),
        act(deal, "agree", on="2025-01-04", actor="bo@orion"),
    )
    needed = ("acme", "orion")
    assert first == [Agreed(party="acme", needed=needed)]
    assert second == [Agreed(party="orion", needed=needed)]
    assert rubin(deal).state == "agreed"
    evidence(deal)
    assert rubin(deal).state == "evidenced"
    sign_off(deal)
    assert not rubin(deal).unlocks
    assert act(deal, "achieve", on="2025-06-04") == [Achieved()]
    milestone = rubin(deal)
    assert milestone.state == "achieved"
    assert milestone.achieved_on == date(2025, 6, 4)
    assert milestone.achieved_ref == "milestone/acme-orion/rubin@7"
    assert milestone.unlocks


def test_a_milestone_is_proposed_once_in_a_known_deal(deal):
    """MIL-07: a name is taken once; a deal must be on the record."""
    propose(deal)
    keys = {"title": "T", "track": "model", "owner": "acme", "target_on": "2026-01-01"}
    assert "already on the record" in refused(deal, "MIL-07", "propose", **keys)
    with pytest.raises(NotFound, match="'nowhere' is not on the record"):
        propose(deal, deal="nowhere")
    with pytest.raises(NotFound, match="Milestone 'other' of deal 'acme-orion'"):
        deal.do("milestone agree", milestone="other")


def test_only_parties_propose_agree_and_sign_off(deal):
    """MIL-01: strangers neither own nor propose; with evidence they may take note."""
    keys = {"title": "T", "track": "model", "target_on": "2026-01-01"}
    said = refused(deal, "MIL-01", "propose", owner="vega", **keys)
    assert "vega owns it, but the parties of acme-orion are acme, orion" in said
    stranger = {"actor": "eve@vega"}
    refused(deal, "MIL-01", "propose", owner="acme", **keys, **stranger)
    propose(deal, evidence=[{"title": "The announcement"}], **stranger)
    refused(deal, "MIL-01", "agree", **stranger)
    act(deal, "agree", on="2025-01-03")
    act(deal, "agree", on="2025-01-04", actor="bo@orion")
    evidence(deal, **stranger)
    said = refused(deal, "MIL-02", "sign-off", **stranger)
    assert "vega cannot sign off; the parties are acme, orion" in said


def test_every_party_agrees_before_evidence(deal):
    """MIL-01: what not every party agreed to goes no further, and who is named."""
    propose(deal)
    said = refused(deal, "MIL-01", "submit-evidence", summary="Early")
    assert "acme and orion have not agreed to rubin" in said
    act(deal, "agree", on="2025-01-03")
    said = refused(deal, "MIL-01", "submit-evidence", summary="Early")
    assert "orion has not agreed to rubin" in said
    assert "acme has agreed to rubin already" in refused(deal, "MIL-01", "agree")
    refused(deal, "MIL-01", "sign-off")
    refused(deal, "MIL-01", "achieve")


def test_achievement_needs_each_sign_off_after_evidence(deal):
    """MIL-02: no sign-off without evidence, no achievement without each sign-off."""
    agree(deal)
    assert "there is no evidence" in refused(deal, "MIL-02", "sign-off")
    assert "there is no evidence" in refused(deal, "MIL-02", "achieve")
    evidence(deal)
    assert "not signed off by acme and orion" in refused(deal, "MIL-02", "achieve")
    act(deal, "sign-off", on="2025-06-02")
    assert "not signed off by orion" in refused(deal, "MIL-02", "achieve")


def test_sign_offs_are_by_different_people(deal):
    """MIL-02: one person cannot sign off for both, however the name is written."""
    agree(deal)
    evidence(deal)
    act(deal, "sign-off", on="2025-06-02")
    said = refused(deal, "MIL-02", "sign-off", actor=" ANN @orion")
    assert "has signed off for acme already" in said
    said = refused(deal, "MIL-02", "sign-off", actor="amy@acme")
    assert "acme has signed off already: ann" in said


def test_a_ceiling_is_no_pass_mark(deal):
    """MIL-03: 'up to' can be proposed as announced, but not agreed."""
    propose(deal, metric={**METRIC, "target": "7.5", "bound": "up_to"})
    said = refused(deal, "MIL-03", "agree")
    assert "'Up to 7.5 x' is a ceiling. Give the minimum that counts" in said
    act(deal, "rebaseline", metric=METRIC, on="2025-01-03")
    act(deal, "agree", on="2025-01-04")


def test_a_metric_agreed_can_be_measured(deal):
    """MIL-03: a metric without baseline, benchmark or unit is not agreed."""
    propose(deal, metric={"name": "speed", "target": "2", "bound": "up_to"})
    said = refused(deal, "MIL-03", "agree")
    assert "'speed' has no baseline, no benchmark, no unit" in said


def test_a_result_below_the_minimum_is_no_achievement(deal):
    """MIL-03: the minimum agreed is what counts as success."""
    agree(deal)
    evidence(deal, result="4.9")
    sign_off(deal)
    said = refused(deal, "MIL-03", "achieve", on="2025-06-04")
    assert "The result 4.9 x is below the minimum of 5.0 x" in said


def test_a_milestone_without_a_metric_rests_on_its_sign_offs(deal):
    """A milestone of yes or no needs no metric, and evidence no figure."""
    achieve(deal, metric=None)
    assert rubin(deal).unlocks


def test_changed_evidence_voids_the_sign_offs(deal):
    """MIL-04: what was signed off was the other evidence."""
    agree(deal)
    evidence(deal)
    sign_off(deal)
    evidence(deal, result="5.6", on="2025-06-05")
    assert rubin(deal).sign_offs == {}
    said = refused(deal, "MIL-02", "achieve", on="2025-06-06")
    assert "not signed off by acme and orion" in said


def test_a_disputed_milestone_unlocks_nothing(deal):
    """MIL-05: not while it is disputed; again once it is not."""
    achieve(deal)
    act(deal, "dispute", ground="Batch size", on="2025-07-01")
    assert not rubin(deal).unlocks
    refused(deal, "MIL-07", "dispute", ground="Again")
    act(
        deal,
        "settle-dispute",
        upheld=False,
        outcome="Hearsay",
        on="2025-07-02",
        status="reported",
    )
    assert rubin(deal).state == "disputed"
    act(deal, "settle-dispute", upheld=False, outcome="Agreed", on="2025-07-03")
    assert rubin(deal).unlocks


def test_a_reported_dispute_is_a_claim(deal):
    """A report of a dispute holds nothing up: it is told beside the state."""
    achieve(deal)
    act(deal, "dispute", ground="Batch size", on="2025-07-01", evidence=REPORTED)
    assert rubin(deal).unlocks
    assert rubin(deal).told.state == "disputed"
    (line,) = shown(deal)
    assert (line.state, line.claimed) == ("achieved", "#9 disputed (reported)")
    (said,) = disputes(deal)
    assert said == "milestone rubin: Batch size (reported)"
    act(deal, "dispute", ground="Batch size", on="2025-07-02")
    assert not rubin(deal).unlocks
    (line,) = shown(deal)
    assert (line.state, line.claimed) == ("disputed", "")
    assert disputes(deal) == ["milestone rubin: Batch size"]


def test_a_second_dispute_keeps_what_was_before(deal):
    """A history with two disputes on end loads, and remembers the state before both."""
    achieve(deal)
    events = [
        event
        for event in deal.ledger.events.get("milestone/acme-orion/rubin")
        if event.version <= 7
    ]
    (dispute,) = deal.do("milestone dispute", milestone="rubin", ground="Batch size")
    identity = msgspec.structs.replace(dispute.identity, version=9)
    again = msgspec.structs.replace(dispute, identity=identity)
    milestone = fold(Milestone, dispute.stream, [*events, dispute, again])
    assert (milestone.state, milestone.before_dispute) == ("disputed", "achieved")


def test_a_dispute_upheld_asks_for_evidence_anew(deal):
    """An upheld dispute takes the achievement back to before its evidence."""
    achieve(deal)
    act(deal, "dispute", ground="Batch size", on="2025-07-01")
    act(deal, "settle-dispute", upheld=True, outcome="Right", on="2025-07-03")
    milestone = rubin(deal)
    assert milestone.state == "agreed"
    assert (milestone.achieved_on, milestone.achieved_ref) == (None, "")
    assert (milestone.result, milestone.sign_offs) == (None, {})
    assert "there is no evidence" in refused(deal, "MIL-02", "sign-off")


def test_rescheduling_keeps_the_first_target(deal):
    """MIL-06: the target moves, the first baseline stays."""
    propose(deal)
    assert act(deal, "reschedule", new="2026-03-31", on="2025-02-01") == [
        Rescheduled(old=date(2025, 12, 31), new=date(2026, 3, 31))
    ]
    milestone = rubin(deal)
    assert milestone.target_on == date(2026, 3, 31)
    assert milestone.first_target_on == date(2025, 12, 31)
    said = refused(deal, "MIL-06", "reschedule", new="2026-03-31")
    assert "changes nothing" in said


def test_rebaselining_is_agreed_anew(deal):
    """MIL-06: a new definition keeps the first one, and must be agreed again."""
    agree(deal)
    evidence(deal)
    refused(deal, "MIL-06", "rebaseline")
    act(
        deal,
        "rebaseline",
        metric={**METRIC, "target": "6.0"},
        target_on="2026-06-30",
        on="2025-07-01",
    )
    milestone = rubin(deal)
    assert milestone.state == "proposed"
    assert (milestone.agreed_by, milestone.evidenced_on) == (set(), None)
    assert isinstance(milestone.first_metric, Metric)
    assert milestone.first_metric.target == Ratio.parse("5.0")
    assert milestone.metric.target == Ratio.parse("6.0")
    assert milestone.target_on == date(2026, 6, 30)
    act(deal, "rebaseline", platform="Rubin Ultra", on="2025-07-02")
    assert rubin(deal).platform == "Rubin Ultra"
    assert rubin(deal).metric == milestone.metric


def test_a_milestone_is_missed_only_after_its_target(deal):
    """MIL-07: not on the day; and what is missed can be laid down anew."""
    agree(deal)
    said = refused(deal, "MIL-07", "miss", on="2025-12-31")
    assert "due on 2025-12-31; it is not missed on 2025-12-31" in said
    act(deal, "miss", on="2026-01-01")
    assert rubin(deal).state == "missed"
    refused(deal, "MIL-07", "submit-evidence", summary="Late")
    act(deal, "achieve", on="2026-01-02", status="reported")
    assert rubin(deal).state == "missed"
    act(deal, "rebaseline", target_on="2026-06-30", on="2026-01-02")
    assert rubin(deal).state == "proposed"


@pytest.mark.parametrize(
    ("verb", "state"), [("waive", "waived"), ("cancel", "cancelled")]
)
def test_what_was_given_up_goes_no_further(deal, verb, state):
    """MIL-07: a milestone waived or cancelled was not achieved, and takes nothing."""
    agree(deal)
    act(deal, verb, on="2025-02-01")
    assert rubin(deal).state == state
    assert not rubin(deal).unlocks
    assert f"rubin is {state}" in refused(deal, "MIL-07", "achieve")
    refused(deal, "MIL-07", "achieve", status="reported")
    refused(deal, "MIL-07", "agree")


def test_dates_follow_one_another(deal):
    """REC-12: no step is effective before what it relies on."""
    propose(deal)
    refused(deal, "REC-12", "agree", on="2025-01-01")
    act(deal, "agree", on="2025-01-03")
    act(deal, "agree", on="2025-01-05", actor="bo@orion")
    refused(deal, "REC-12", "submit-evidence", summary="S", on="2025-01-04")
    evidence(deal)
    refused(deal, "REC-12", "sign-off", on="2025-05-31")
    sign_off(deal)
    said = refused(deal, "REC-12", "achieve", on="2025-06-02")
    assert "2025-06-02 is before the last sign-off on 2025-06-03" in said
    refused(deal, "REC-12", "dispute", ground="G", on="2025-05-31")
    act(deal, "achieve", on="2025-06-04")
    refused(deal, "REC-12", "dispute", ground="G", on="2025-06-03")
    act(deal, "dispute", ground="G", on="2025-07-01")
    refused(deal, "REC-12", "settle-dispute", upheld=True, outcome="O", on="2025-06-30")


@pytest.mark.parametrize(
    ("verb", "keys", "told"),
    [
        ("achieve", {}, "achieved"),
        ("agree", {}, "proposed"),
        ("reschedule", {"new": "2026-12-31"}, "proposed"),
        ("rebaseline", {"platform": "Other"}, "proposed"),
        ("waive", {}, "waived"),
        ("cancel", {}, "cancelled"),
        ("miss", {"on": "2026-01-03"}, "missed"),
    ],
)
def test_a_report_is_a_claim_beside_the_state(deal, verb, keys, told):
    """FND-15: what is only reported does not move a confirmed milestone."""
    propose(deal)
    act(deal, verb, **{"on": "2025-01-03", "status": "reported", **keys})
    milestone = rubin(deal)
    assert milestone.state == "proposed"
    assert milestone.target_on == date(2025, 12, 31)
    assert milestone.platform is None
    assert milestone.agreed_by == set()
    assert len(milestone.claims) == 1
    assert milestone.told.state == told


def test_reports_are_judged_in_the_world_that_reports_tell(deal):
    """MIL-07: what reports say was given up, no report says was achieved later."""
    agree(deal)
    act(deal, "waive", on="2025-02-01", status="reported")
    said = refused(deal, "MIL-07", "achieve", on="2025-03-01", status="reported")
    assert "rubin is waived" in said
    evidence(deal)
    sign_off(deal)
    act(deal, "achieve", on="2025-06-04")
    assert rubin(deal).unlocks


def test_reported_evidence_is_signed_off_by_nobody(deal):
    """Evidence that is only reported is a claim: what parties sign is a confirmed one."""
    agree(deal)
    evidence(deal, evidence=REPORTED)
    act(deal, "sign-off", on="2025-06-02", status="reported")
    said = refused(deal, "MIL-02", "sign-off", on="2025-06-02")
    assert "there is no evidence" in said
    milestone = rubin(deal)
    assert (milestone.state, milestone.told.state) == ("agreed", "evidenced")
    assert milestone.sign_offs == {}


def test_reported_evidence_voids_no_sign_offs(deal):
    """MIL-04 is of confirmed evidence: a report of other evidence changes nothing."""
    agree(deal)
    evidence(deal)
    sign_off(deal)
    evidence(deal, result="3.0", on="2025-06-04", evidence=REPORTED)
    act(deal, "achieve", on="2025-06-05")
    assert rubin(deal).unlocks


def test_a_reported_milestone_moves_by_reports(deal):
    """A milestone known from reports lives by them, and unlocks nothing."""
    reported = {"status": "reported"}
    propose(deal, **reported)
    act(deal, "agree", on="2025-01-03", **reported)
    act(deal, "agree", on="2025-01-04", actor="bo@orion", **reported)
    told = rubin(deal).told
    assert (told.state, told.status) == ("agreed", "reported")
    said = refused(deal, "MIL-02", "achieve", on="2025-06-04", **reported)
    assert "there is no evidence" in said
    evidence(deal, **reported)
    act(deal, "sign-off", on="2025-06-02", **reported)
    act(deal, "sign-off", on="2025-06-02", actor="bo@orion", **reported)
    act(deal, "achieve", on="2025-06-04", **reported)
    milestone = rubin(deal)
    assert (milestone.state, milestone.told.state) == ("none", "achieved")
    assert not milestone.unlocks
    (line,) = shown(deal)
    assert (line.state, line.status) == ("achieved", "reported")
    assert (line.title, line.owner) == ("Rubin inference", "orion")


def test_what_is_only_reported_is_proposed_before_it_is_agreed(deal):
    """A proposal known from a report binds nobody: the parties agree to one of theirs."""
    propose(deal, status="reported")
    for verb, keys in (
        ("agree", {}),
        ("reschedule", {"new": "2026-01-31"}),
        ("waive", {}),
        ("submit-evidence", {"summary": "S"}),
    ):
        said = refused(deal, "MIL-07", verb, on="2025-01-03", **keys)
        assert "Milestone rubin is known only from a report" in said
    said = refused(
        deal,
        "MIL-07",
        "propose",
        title="T",
        track="model",
        owner="acme",
        target_on="2026-01-01",
        status="reported",
    )
    assert "already on the record" in said
    agree(deal)
    milestone = rubin(deal)
    assert (milestone.state, milestone.claims) == ("agreed", ())


@pytest.mark.parametrize(
    ("party", "again"), [("acme", "ann@acme"), ("orion", "bo@orion")]
)
def test_an_agreement_taken_back_is_an_agreement_missing(deal, party, again):
    """Either agreement reversed: proposed again; and given again, agreed again."""
    agree(deal)
    position = 3 if party == "acme" else 4
    reverse(deal, position)
    milestone = rubin(deal)
    assert (milestone.state, party in milestone.agreed_by) == ("proposed", False)
    assert [line.state for line in shown(deal)] == ["proposed"]
    said = refused(deal, "MIL-01", "submit-evidence", summary="S", on="2025-06-01")
    assert f"{party} has not agreed to rubin" in said
    act(deal, "agree", on="2025-02-01", actor=again)
    assert rubin(deal).state == "agreed"
    assert [line.state for line in shown(deal)] == ["agreed"]


def test_between_the_agreements_a_milestone_is_proposed(deal):
    """As of a day before the second party agreed, whichever was recorded first."""
    propose(deal)
    act(deal, "agree", on="2025-01-10")
    act(deal, "agree", on="2025-01-05", actor="bo@orion")
    for day, state in (("04", "proposed"), ("07", "proposed"), ("10", "agreed")):
        (line,) = shown(deal, date.fromisoformat(f"2025-01-{day}"))
        assert line.state == state, day


@pytest.mark.parametrize(
    ("gone", "state"), [("acme", "proposed"), ("orion", "proposed")]
)
def test_agreements_of_before_say_who_was_the_last(deal, gone, state):
    """Entries of before 0.5.0 do not say whom it needs: two agreed, and the last did."""
    agree(deal)
    events = deal.ledger.events.get("milestone/acme-orion/rubin")
    old = [
        msgspec.structs.replace(
            event, data=Agreed(party=event.data.party, complete=last)
        )
        if isinstance(event.data, Agreed)
        else event
        for event, last in zip(events, (False, False, True), strict=True)
    ]
    assert fold(Milestone, old[0].stream, old).state == "agreed"
    milestone = Milestone.at(old[0].stream)
    for event in old:
        left_out = isinstance(event.data, Agreed) and event.data.party == gone
        milestone.fold(event, counts=not left_out)
    assert milestone.state == state


def test_what_0_4_0_let_parties_agree_to_keeps_its_name(deal):
    """A reported proposal that was agreed and achieved by then unlocks, and has a title."""
    achieve(deal)
    proposed, *rest = deal.ledger.events.get("milestone/acme-orion/rubin")
    reported = msgspec.structs.replace(proposed.provenance, status="reported")
    twice = rest[1]
    identity = msgspec.structs.replace(twice.identity, version=len(rest) + 2)
    history = [
        msgspec.structs.replace(proposed, provenance=reported),
        *rest,
        msgspec.structs.replace(twice, identity=identity),
    ]
    milestone = fold(Milestone, proposed.stream, history)
    assert (milestone.state, milestone.title) == ("achieved", "")
    assert milestone.unlocks
    assert milestone.agreements == ("acme", "orion")
    told = milestone.told
    assert (told.state, told.title, told.status) == (
        "achieved",
        "Rubin inference",
        "reported",
    )


def test_an_agreement_names_the_parties_that_it_needs(deal):
    """MIL-01: an entry that would make it agreed by fewer parties is refused."""
    propose(deal)
    decision = Decision(deal.ledger, deal.clock)
    decision.begin(deal.do("agreement record-statement", statement="s", speaker="x",
                           text="t", on="2025-01-03")[0].provenance)  # fmt: skip
    data = Agreed(party="acme", needed=("acme",))
    with pytest.raises(
        Refused, match="needs the agreement of acme, orion, not of acme"
    ):
        decision.record(Milestone, deal.deal, "rubin", data=data)


def test_a_sign_off_is_not_taken_back_from_an_achievement(deal):
    """REC-02: what is achieved relies on each sign-off; together they can be reversed."""
    achieve(deal)
    said = deal.refuses("REC-02", "reverse request", positions=[6], reason="Slip")
    assert "milestone.achieved" in said
    reverse(deal, 6, 8)
    milestone = rubin(deal)
    assert (milestone.state, milestone.sign_offs) == ("evidenced", {"orion": "bo"})
