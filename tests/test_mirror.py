"""Views say what the aggregates say: of milestones and of money, whatever was recorded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import deals
import pytest
from conftest import Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.agreement import Agreement
from ledger.domain.funding import Funding
from ledger.domain.ladder import rungs
from ledger.domain.milestone import Milestone
from ledger.errors import NotFound, Refused
from projections.projector import Projections
from projections.views.commitment import COMMITMENT

WHO = ("ann@acme", "ian@acme", "bo@orion", "amy@orion")
STEPS: dict[str, dict[str, Any]] = {
    "agree": {},
    "reschedule": {"new": "2025-09-30"},
    "rebaseline": {"platform": "second"},
    "submit-evidence": {"summary": "S", "result": "7.6"},
    "sign-off": {},
    "achieve": {},
    "dispute": {"ground": "A doubt"},
    "settle-dispute": {"upheld": True, "outcome": "O"},
    "settle": {"upheld": False, "outcome": "O"},
    "miss": {},
    "waive": {},
    "cancel": {},
}
METRIC = {
    "name": "throughput",
    "target": "7.5",
    "bound": "at_least",
    "unit": "x",
    "baseline": "old",
    "benchmark": "b",
}
steps = st.tuples(
    st.sampled_from(
        [*STEPS, "agree", "agree", "submit-evidence", "sign-off", "achieve"]
    ),
    st.sampled_from(WHO),
    st.sampled_from(["confirmed", "confirmed", "reported", "disputed"]),
)


def opened(folder: str) -> Desk:
    """A deal with a proposed milestone's parties."""
    desk = Desk(Path(folder) / "accord.db")
    desk.do(
        "agreement open",
        title="T",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )
    return desk


def attempt(desk: Desk, command: str, **keys: Any) -> None:
    """Carry out a command, if it can be."""
    try:
        desk.do(command, **keys)
    except (Refused, NotFound):
        return


def compare_milestone(desk: Desk) -> None:
    """The view's line and the aggregate, field by field."""
    known = desk.get(Milestone, desk.deal, "m")
    milestone = known if known.state != "none" else known.told
    (line,) = Projections(desk.store).answer("milestones", desk.deal).rows
    assert line.state == milestone.state
    assert line.status == milestone.status
    assert line.platform == milestone.platform
    assert line.target_on == milestone.target_on.isoformat()
    assert line.first_target_on == milestone.first_target_on.isoformat()
    assert line.agreed_by == ", ".join(sorted(milestone.agreed_by))
    assert line.signed_off_by == ", ".join(milestone.sign_offs)
    assert line.result == (str(milestone.result) if milestone.result else None)
    day = milestone.achieved_on
    assert line.achieved_on == (day.isoformat() if day else None)
    assert len(line.claimed.split(", ")) == max(1, len(known.claims))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=st.sampled_from(["confirmed", "reported"]),
    taken=st.lists(steps, min_size=4, max_size=14),
)
def test_the_roadmap_shows_what_the_rules_see(first, taken):
    """Any steps, confirmed, reported or disputed: the view equals the aggregate."""
    with tempfile.TemporaryDirectory() as folder:
        desk = opened(folder)
        keys = {"track": "hardware", "owner": "orion", "target_on": "2025-06-30"}
        desk.do("milestone propose", milestone="m", title="M", metric=METRIC,
                status=first, **keys)  # fmt: skip
        for verb, actor, status in taken:
            command = f"milestone {'settle-dispute' if verb == 'settle' else verb}"
            asked = {"milestone": "m", "actor": actor, "status": status, "reason": "R"}
            attempt(desk, command, **asked, **STEPS[verb])
        compare_milestone(desk)
        views = Projections(desk.store)
        views.catch_up()
        compare_milestone(desk)
        views.verify()
        desk.ledger.close()


def test_a_reported_achievement_is_told_beside_the_state(tmp_path):
    """What is only reported does not achieve a confirmed milestone, and is shown."""
    desk = opened(str(tmp_path))
    keys = {"track": "hardware", "owner": "orion", "target_on": "2025-06-30"}
    desk.do("milestone propose", milestone="m", title="M", metric=METRIC, **keys)
    for actor in ("ann@acme", "bo@orion"):
        desk.do("milestone agree", milestone="m", actor=actor)
    evidence = {"summary": "S", "result": "7.6"}
    desk.do("milestone submit-evidence", milestone="m", actor="bo@orion", **evidence)
    for actor in ("ann@acme", "bo@orion"):
        desk.do("milestone sign-off", milestone="m", actor=actor)
    (told,) = desk.do("milestone achieve", milestone="m", status="reported")
    (line,) = Projections(desk.store).answer("milestones", desk.deal).rows
    assert line.state == "evidenced"
    assert line.claimed == f"#{told.position} achieved (reported)"
    desk.ledger.close()


def compare_money(desk: Desk) -> None:
    """Each facility's position and tranches, figure by figure."""
    agreement, funding = desk.get(Agreement, desk.deal), desk.get(Funding, desk.deal)
    views = Projections(desk.store)
    lines = {row.facility: row for row in views.answer("commitment", desk.deal).rows}
    assert set(lines) == set(funding.facilities)
    for name, facility in funding.facilities.items():
        line = lines[name]
        expected = {
            "cap": facility.commitment,
            "unlocked": rungs(agreement, funding, name).unlocked,
            "approved": funding.used(name),
            "disbursed": funding.paid(name),
            "available": funding.available(name),
            "overfunded": funding.excess(name),
        }
        shown = {figure: getattr(line, figure) for figure in expected}
        assert shown == {f: f"{amount.value:f}" for f, amount in expected.items()}
    with views.reading() as reading:
        kept = reading.book(desk.deal, COMMITMENT).get(Funding)
        assert dict(kept.tranches) == dict(funding.tranches)
    states = {
        row.drawdown: row.state for row in views.answer("drawdowns", desk.deal).rows
    }
    assert states == {name: d.state for name, d in funding.drawdowns.items()}


AMOUNTS = st.sampled_from(["1m USD", "2m USD", "5m USD", "9m USD"])
MONEY = st.tuples(
    st.sampled_from(
        ["draw", "return", "waive", "demand", "receive", "true-up", "revoke", "certify",
         "unlock", "expire", "close", "reverse"]
    ),
    AMOUNTS,
    st.booleans(),
)  # fmt: skip


def move_money(desk: Desk, number: int, what: str, amount: str, other: bool) -> None:
    """One step of the money of a deal, if it can be taken."""
    day = {"on": "2026-01-10"}
    bank = {"evidence": deals.BANK, "bank_ref": f"B{number}", "amount": amount, **day}
    of = {"facility": "main"}
    tranche = "T2" if other else "T1"
    match what:
        case "draw":
            part = {"tranche": tranche, "value_on": "2026-01-10"}
            for line in deals.draw(f"D{number}", amount, **part):
                paid = {"value_on": "2026-01-10"} if "bank_ref" in line else {}
                attempt(desk, **{**line, **paid, **day})
        case "return":
            for drawdown in list(desk.get(Funding, desk.deal).drawdowns)[:1]:
                attempt(desk, "funding return", drawdown=drawdown, **bank)
        case "waive":
            attempt(desk, "funding waive-overfunding", **of, amount=amount, **day)
        case "demand":
            asked = {"clawback": f"K{number}", "amount": amount}
            attempt(desk, "funding demand-clawback", **of, **asked, **day)
        case "receive":
            for clawback in list(desk.get(Funding, desk.deal).clawbacks)[-1:]:
                attempt(desk, "funding receive-clawback", clawback=clawback, **bank)
        case "true-up":
            way = "to_recipient" if other else "to_provider"
            asked = {"true_up": f"U{number}", "direction": way, "text": "T"}
            attempt(desk, "funding post-true-up", **of, **asked, **bank)
        case "revoke":
            paper = {"certificate": "C-1", "ground": "G", "actor": deals.EVE}
            attempt(desk, "certificate revoke", **paper, **day)
        case "certify":
            for line in deals.certificate(f"N{number}", ["maker/R2"], "2026-01-09"):
                attempt(desk, **line)
        case "unlock":
            attempt(desk, "funding unlock", tranche=tranche, **day)
        case "expire":
            attempt(desk, "funding cancel-tranche", tranche="T2", **day)
        case "close":
            status = "confirmed" if other else "reported"
            attempt(desk, "funding close-facility", **of, status=status, **day)
        case _:
            size = desk.store.head().size
            keys = {"positions": [size], "reason": "R", "with_reliant": True}
            attempt(desk, "reverse request", **keys)
            known = list(desk.ledger.streams("reversal", desk.deal))
            attempt(desk, "reverse approve", reversal=f"R-{len(known)}", actor="max@x")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(taken=st.lists(MONEY, min_size=4, max_size=12))
def test_the_commitment_shows_what_the_rules_see(taken):
    """Any movements of money, some refused: the view equals the aggregate's figures."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "accord.db")
        deals.unlocked(desk, "20m USD", "20m USD")
        deals.pay(desk, "D0", "9m USD")
        for number, (what, amount, other) in enumerate(taken, start=1):
            move_money(desk, number, what, amount, other)
            compare_money(desk)
        Projections(desk.store).catch_up()
        compare_money(desk)
        desk.ledger.close()


@pytest.mark.parametrize(
    "taken",
    [
        [("revoke", "1m USD", False), ("waive", "5m USD", False), ("certify", "", False),
         ("unlock", "", False), ("revoke", "", False), ("true-up", "1m USD", False)],
        [("revoke", "1m USD", False), ("waive", "5m USD", False),
         ("return", "5m USD", False), ("demand", "1m USD", False),
         ("receive", "1m USD", False)],
        [("close", "", False), ("draw", "1m USD", False), ("close", "", True)],
    ],
)  # fmt: skip
def test_a_waiver_shrinks_and_a_closed_facility_has_nothing_left(tmp_path, taken):
    """What the random runs seldom meet: waived and unlocked again, returned, closed."""
    desk = Desk(tmp_path / "accord.db")
    deals.unlocked(desk, "20m USD", "20m USD")
    deals.pay(desk, "D0", "9m USD")
    for number, (what, amount, other) in enumerate(taken, start=1):
        move_money(desk, number, what, amount or "1m USD", other)
        compare_money(desk)
    desk.ledger.close()
