"""What pages say of an agreement: its parts, and beside them what is only told."""

from __future__ import annotations

from datetime import date

import pytest
from test_agreement import (
    PARTIES,
    REPORTED,
    SIGNED,
    TERMS,
    definitive,
    in_effect,
    loi,
    opened,
)

from projections.projector import Projections

BO = "bo@orion"
PRESS = [{"title": "Story", "publisher": "The Paper", "grade": "R"}]


def answer(desk, view, as_of=None):
    """What a view says of the deal, stored and brought up to date."""
    projections = Projections(desk.store)
    projections.catch_up()
    projections.verify()
    return projections.answer(view, desk.deal, as_of=as_of)


def about(desk, as_of=None):
    """What the standing says beside its figures."""
    return answer(desk, "standing", as_of).about


def rows(desk, view, as_of=None):
    """The rows of a view."""
    return answer(desk, view, as_of).rows


def test_a_report_disputes_as_long_as_it_stands(desk):
    """What is told is listed with its place, day and source, until it is confirmed."""
    loi(desk)
    sign = {"signatories": PARTIES, "terms": TERMS, "on": "2025-02-01"}
    desk.do("agreement sign-definitive", **sign, evidence=PRESS)
    told = about(desk)
    assert (told.state, told.status) == ("loi_signed", "disputed")
    assert told.disputes == [
        "#3, 2025-02-01: a definitive agreement is reported (The Paper)"
    ]
    desk.do("agreement sign-definitive", **sign, evidence=SIGNED)
    told = about(desk)
    assert (told.state, told.status) == ("definitive_signed", "confirmed")
    assert told.disputes == []


@pytest.mark.parametrize(
    ("command", "keys", "what"),
    [
        (
            "agreement suspend",
            {"scopes": ["draw", "delivery"], "ground": "x"},
            "the suspension of draw, delivery",
        ),
        ("agreement terminate", {"ground": "x"}, "'terminated'"),
        ("agreement supersede", {"successor": "next"}, "'superseded' by next"),
    ],
)
def test_every_step_that_is_told_is_named(desk, command, keys, what):
    """Whatever would move the state is among the disputes, in words."""
    in_effect(desk)
    desk.do(command, **keys, evidence=PRESS, on="2025-04-01")
    assert about(desk).disputes == [f"#5, 2025-04-01: {what} is reported (The Paper)"]
    assert about(desk, date(2025, 3, 31)).disputes == []


def test_reports_of_resumption_and_amendment_are_named(desk):
    """A resumption and an amendment's effect that are only told are named, too."""
    in_effect(desk)
    desk.do("agreement suspend", scopes=["draw"], ground="x", on="2025-04-01")
    change = {"path": "capacity_floor", "new": "2 GW"}
    propose = "agreement propose-amendment"
    desk.do(propose, amendment="A1", changes=[change], on="2025-04-01")
    desk.do("agreement resume", scopes=["draw"], status="disputed", on="2025-04-02")
    effect = {"amendment": "A1", "evidence": PRESS, "on": "2025-04-03"}
    desk.do("agreement effect-amendment", **effect)
    assert about(desk).disputes == [
        "#7, 2025-04-02: the resumption of draw is disputed (ann of acme)",
        "#8, 2025-04-03: amendment A1 in effect is reported (The Paper)",
    ]
    assert about(desk).state == "suspended"


def test_statements_that_contradict_stay_among_the_disputes(desk):
    """Each is listed once with its source; a confirmed one takes a report's place."""
    loi(desk)
    say = "agreement record-statement"
    first = {"statement": "s1", "speaker": "Acme", "text": "On track."}
    desk.do(say, **first, evidence=PRESS, on="2025-02-01")
    other = {"statement": "s2", "speaker": "Orion", "text": "Off.", "contradicts": "s1"}
    desk.do(say, **other, evidence=PRESS, on="2025-02-02")
    assert about(desk).disputes == [
        "#4, 2025-02-02: Orion: Off. (contradicts s1; The Paper)"
    ]
    assert about(desk).status == "confirmed"
    said = [(row.statement, row.status, row.source) for row in rows(desk, "statements")]
    assert said == [("s1", "reported", "The Paper"), ("s2", "reported", "The Paper")]
    desk.do(say, **first, on="2025-02-01")
    said = [(row.statement, row.status, row.source) for row in rows(desk, "statements")]
    assert said == [("s1", "confirmed", ""), ("s2", "reported", "The Paper")]


def test_a_successor_is_linked_also_where_it_is_only_told(desk):
    """A supersession links its successor; a link of its own stands in that one's place."""
    loi(desk)
    desk.do("agreement supersede", successor="next", evidence=PRESS, on="2025-02-01")
    told = {"relation": "superseded_by", "deal": "next", "status": "reported"}
    assert about(desk).links == [told]
    desk.do("agreement supersede", successor="next", on="2025-02-02")
    assert about(desk).links == [{**told, "status": "confirmed"}]
    link = {"relation": "superseded_by", "other": "next", "note": "By contract."}
    desk.do("agreement link", **link, on="2025-02-03")
    (line,) = rows(desk, "links")
    assert (line.text, line.since, line.status) == (
        "By contract.",
        "2025-02-03",
        "confirmed",
    )


def test_a_link_keeps_what_it_says(desk):
    """Neither the supersession nor a report takes the place of a confirmed link."""
    loi(desk)
    link = {"relation": "superseded_by", "other": "next"}
    desk.do("agreement link", **link, note="By contract.", on="2025-02-01")
    desk.do("agreement supersede", successor="next", evidence=PRESS)
    desk.do("agreement supersede", successor="next", on="2025-02-02")
    (line,) = rows(desk, "links")
    assert (line.text, line.since) == ("By contract.", "2025-02-01")


def test_a_confirmed_supersession_stands_over_a_reported_link(desk):
    """Where one link is confirmed and another told, the confirmed one is shown."""
    loi(desk)
    desk.do("agreement supersede", successor="next", on="2025-02-02")
    link = {"relation": "superseded_by", "other": "next", "note": "They say."}
    desk.do("agreement link", **link, evidence=PRESS)
    (line,) = rows(desk, "links")
    assert (line.text, line.status) == ("", "confirmed")


def test_a_report_releases_no_right(desk):
    """A right stays until its release is confirmed; one that is told is listed."""
    loi(desk)
    right = {"kind": "first_refusal", "holder": "acme", "text": "First call"}
    desk.do("agreement record-right", right="a", **right, runs_from="2025-03-01")
    desk.do("agreement record-right", right="b", **right, evidence=PRESS)
    release = {"right": "a", "on": "2026-01-10"}
    desk.do("agreement release-right", **release, evidence=PRESS)
    told = [(row.since, row.released_on, row.status) for row in rows(desk, "links")]
    assert told == [
        ("2025-03-01", None, "confirmed"),
        ("2026-01-15", None, "reported"),
    ]
    desk.do("agreement release-right", **release)
    assert rows(desk, "links")[0].released_on == "2026-01-10"


def test_conditions_say_who_settled_them_and_what_is_told(desk):
    """An outcome has its day, actor and evidence; a report stands beside the state."""
    definitive(desk)
    define = "agreement define-condition"
    desk.do(define, condition="a", text="A", long_stop_on="2026-02-01", on="2025-02-02")
    desk.do(define, condition="b", text="B", evidence=PRESS, on="2025-02-02")
    desk.do("agreement satisfy-condition", condition="a", evidence=PRESS)
    first, second = rows(desk, "conditions")
    assert (first.state, first.claims) == ("open", "satisfied is reported")
    assert (first.days_left, first.on, first.by) == (
        (date(2026, 2, 1) - answer_day(desk)).days,
        None,
        "",
    )
    assert (second.state, second.status) == ("open", "reported")
    assert about(desk).open_conditions == ["a", "b"]
    paper = [{"title": "Clearance"}]
    satisfy = {"condition": "a", "on": "2025-03-01", "actor": BO}
    desk.do("agreement satisfy-condition", **satisfy, evidence=paper)
    first = rows(desk, "conditions")[0]
    assert (first.state, first.on, first.claims) == ("satisfied", "2025-03-01", "")
    assert (first.by, first.evidence) == ("bo@orion", "Clearance")
    assert rows(desk, "conditions", date(2025, 2, 28))[0].state == "open"


def answer_day(desk):
    """The day that a page without another is about."""
    return desk.clock().date()


def test_terms_that_are_told_are_in_force_nowhere(desk):
    """A version that is only told is listed as that, beside the one in force."""
    loi(desk)
    sign = {"signatories": PARTIES, "evidence": PRESS}
    desk.do("agreement sign-definitive", terms={"funding_cap": "300m USD"}, **sign)
    terms = answer(desk, "terms")
    caps = {row.version: row for row in terms.rows if row.clause == "funding_cap"}
    assert (caps[0].value, caps[0].in_force, caps[0].status) == (
        "100000000.00",
        True,
        "confirmed",
    )
    assert (caps[1].value, caps[1].in_force, caps[1].binding, caps[1].status) == (
        "300000000.00",
        False,
        False,
        "reported",
    )
    assert terms.totals["in_force"] == 0
    assert answer(desk, "standing").rows[0].quantity == "100000000.00"


def test_a_letter_that_is_told_is_not_in_force(desk):
    """A letter of intent known from the press alone announces nothing."""
    opened(desk)
    sign = {"signatories": PARTIES, "terms": TERMS}
    desk.do("agreement sign-loi", **sign, evidence=PRESS)
    lines = rows(desk, "terms")
    assert {(row.in_force, row.status) for row in lines} == {(False, "reported")}
    assert answer(desk, "standing").rows[0].quantity == "0.00"


def test_an_amendment_that_is_told_does_not_bind(desk):
    """Its terms are listed beside those that do."""
    in_effect(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    propose = "agreement propose-amendment"
    desk.do(propose, amendment="A1", changes=[change], on="2025-04-01")
    desk.do("agreement effect-amendment", amendment="A1", evidence=PRESS)
    floors = [row for row in rows(desk, "terms") if row.clause == "capacity_floor"]
    assert [(row.version, row.in_force, row.binding) for row in floors] == [
        (0, False, False),
        (1, True, True),
        (2, False, False),
    ]


def amendments(desk, as_of=None):
    """What is due of amendments: what, by whom, how certain."""
    return [
        (row.what, row.party, row.status)
        for row in rows(desk, "obligations", as_of)
        if row.subject.startswith("amendment")
    ]


def test_an_amendment_waits_for_whoever_has_not_acted(desk):
    """First for those who have not signed, then for whoever brings it into effect."""
    in_effect(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    for name in ("A1", "A2"):
        desk.do(
            "agreement propose-amendment",
            amendment=name,
            changes=[change],
            takes_effect_on="2025-06-01",
            on="2025-04-01",
        )
    sign = {"amendment": "A1"}
    desk.do("agreement sign-amendment", **sign, on="2025-04-02")
    desk.do("agreement sign-amendment", **sign, actor=BO, evidence=PRESS)
    wait = ("sign the amendment", "orion", "confirmed")
    none = ("sign the amendment", "acme, orion", "confirmed")
    assert amendments(desk) == [wait, none]
    assert amendments(desk, date(2025, 4, 1)) == [none, none]
    desk.do("agreement sign-amendment", **sign, actor=BO, on="2025-04-03")
    assert amendments(desk)[0] == (
        "bring it into effect",
        "acme, orion",
        "confirmed",
    )
    desk.do("agreement effect-amendment", **sign, on="2025-06-01")
    stale = "withdraw it: the terms have changed since it was proposed"
    assert amendments(desk) == [(stale, "acme, orion", "confirmed")]


def test_a_reported_amendment_is_no_confirmed_duty(desk):
    """What is due by a report alone says so."""
    in_effect(desk)
    change = {"path": "capacity_floor", "new": "2 GW"}
    propose = {"amendment": "A1", "changes": [change], "evidence": REPORTED}
    desk.do("agreement propose-amendment", **propose)
    assert amendments(desk) == [("sign the amendment", "acme, orion", "reported")]


def test_a_reported_plan_is_no_baseline(desk):
    """The curve is judged against what was fixed, not against what is told."""
    loi(desk)
    for capacity, more in (("3 GW", {"evidence": PRESS}), ("1 GW", {}), ("2 GW", {})):
        points = [{"month": "2026-03", "capacity": capacity}]
        desk.do("plan baseline", points=points, **more)
    points = [{"month": "2026-04", "capacity": "1 GW"}]
    desk.do("plan forecast", points=points)
    march, april = rows(desk, "capacity")
    assert (march.first_baseline, march.baseline, march.forecast) == (
        "1000000000",
        "2000000000",
        None,
    )
    assert (april.first_baseline, april.forecast) == (None, "1000000000")
