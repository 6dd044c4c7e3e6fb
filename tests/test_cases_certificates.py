"""Certified capacity that 0.4.0 showed or judged wrongly: each with the right answer."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import deals
import msgspec
import pytest
from casebook import load
from conftest import Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.commands.decision import Decision
from ledger.domain.aggregate import fold
from ledger.domain.certificate import Certificate
from ledger.domain.evaluation import evaluate
from ledger.domain.triggers import CapacityCertified, Linear
from ledger.domain.values import Amount, Power
from projections.explain.why import why
from projections.projector import Projections

UNLOCK = {"tranche": "T1", "on": "2024-03-02"}


def answer(desk, view, as_of=None):
    """What a view says, from stored rows brought up to date."""
    projections = Projections(desk.store)
    projections.catch_up()
    return projections.answer(view, desk.deal, as_of=as_of)


def certified(desk, as_of=None):
    """The rung of certified capacity, in watts."""
    rows = answer(desk, "standing", as_of).rows
    (rung,) = [row for row in rows if row.rung == "certified"]
    return int(rung.quantity)


def judged(desk):
    """The certified capacity that a trigger is judged by."""
    world = Decision(desk.ledger, desk.clock)
    said = {"statement": "s", "speaker": "S", "text": "T"}
    line = desk.request("agreement record-statement", **said)
    world.begin(desk.ledger.dry_run([(1, line)])[0].provenance)
    trigger = CapacityCertified(at_least=Power(1))
    formula = Linear(per=Power(1), amount=Amount.parse("1 USD"))
    return evaluate(world, desk.deal, trigger, formula).certified.watts


def test_an_issue_that_was_first_reported_counts_once_it_is_confirmed(desk):
    """The page shows the watts on which the money unlocks."""
    load(desk, "03")
    (line,) = answer(desk, "certificates").rows
    assert (line.state, line.status, line.claimed) == ("effective", "confirmed", "")
    assert (line.rated, line.certified) == ("200000", "200000")
    assert line.countersigned == "cap-co, run-co"
    assert certified(desk) == judged(desk) == 200_000
    assert desk.do("funding unlock", **UNLOCK)


def test_countersignatures_of_an_issue_that_was_only_reported_are_not_shown(desk):
    """What 0.4.0 let parties countersign was another paper than the one then issued."""
    load(desk, "03")
    stream = "certificate/deal-x/C1"
    draft, told, issue, first, _, _ = desk.ledger.events.get(stream)
    history = [draft, told, first, issue]
    as_it_was = [
        msgspec.structs.replace(
            event, identity=msgspec.structs.replace(event.identity, version=version)
        )
        for version, event in enumerate(history, start=1)
    ]
    known = fold(Certificate, stream, as_it_was)
    assert (known.state, known.countersigned) == ("issued", {})
    assert fold(Certificate, stream, as_it_was[:3]).told.countersigned == {}


def test_as_of_the_day_of_the_report_nothing_was_certified_yet(desk):
    """As of the issue the certificate is issued, and counts for nothing."""
    load(desk, "03")
    (line,) = answer(desk, "certificates", date(2024, 2, 12)).rows
    assert (line.state, line.rated) == ("issued", "200000")
    assert certified(desk, date(2024, 2, 12)) == 0
    assert certified(desk, date(2024, 2, 13)) == 200_000


def test_a_reported_revocation_is_listed_and_changes_nothing(desk):
    """A newspaper takes no watts away, neither from the rules nor from the page."""
    load(desk, "02")
    (line,) = answer(desk, "certificates").rows
    assert (line.state, line.rated) == ("effective", "200000")
    assert line.claimed == f"#{desk.store.head().size} revoked (reported)"
    assert certified(desk) == judged(desk) == 200_000
    assert desk.do("funding unlock", **UNLOCK)
    revoke = {"certificate": "C1", "ground": "Copied", "on": "2024-03-05"}
    desk.do("certificate revoke", **revoke)
    (line,) = answer(desk, "certificates").rows
    assert (line.state, line.claimed) == ("revoked", "")
    assert certified(desk) == judged(desk) == 0


def test_a_certificate_known_from_reports_alone_shows_as_reported(desk):
    """Its line says what reports say, and that they do; it counts for nothing."""
    deals.in_effect(desk)
    systems = deals.racks(desk, "R1")
    told = [
        {**line, "status": "reported"} for line in deals.certificate("C-1", systems)
    ]
    deals.batch(desk, *told)
    (line,) = answer(desk, "certificates").rows
    assert (line.state, line.status, line.rated) == ("effective", "reported", "100000")
    assert line.claimed.count("(reported)") == 5
    assert certified(desk) == judged(desk) == 0
    said = desk.refuses(
        "CER-07", "certificate issue", certificate="C-1", actor=deals.EVE,
        evidence=deals.PAPER, on="2025-05-02",
    )  # fmt: skip
    assert "Certificate C-1 is effective only by report" in said
    deals.certify(desk, "C-1", systems)
    (line,) = answer(desk, "certificates").rows
    assert (line.state, line.status, line.claimed) == ("effective", "confirmed", "")
    assert certified(desk) == judged(desk) == 100_000


MOVES = st.lists(
    st.tuples(st.sampled_from(["certify", "report", "amend", "revoke", "rumour"]),
              st.integers(1, 4)),
    min_size=3, max_size=8,
)  # fmt: skip


def amend(desk, number):
    """Change what a rated watt comes to, on the agreement's basis."""
    name, on = {"amendment": f"A{number}"}, "2025-05-01"
    ratio = f"1.{number:02d}7"
    changes = [{"path": "pue", "new": ratio}]
    desk.do("agreement propose-amendment", **name, changes=changes, on=on)
    desk.do("agreement sign-amendment", **name, on=on)
    desk.do("agreement sign-amendment", **name, on=on, actor=deals.BO)
    desk.do("agreement effect-amendment", **name, on=on)


def move(desk, taken, number, what, which):
    """One step in the life of certificates, where it can be taken."""
    name = f"C-{which}"
    lines = deals.certificate(name, [f"maker/R{which}"])
    revoke = {"certificate": name, "ground": "Copied", "on": "2025-05-02"}
    if what == "amend":
        amend(desk, number)
    elif what == "certify" and taken.get(which) in {None, "report"}:
        deals.batch(desk, *lines)
        taken[which] = "certify"
    elif what == "report" and which not in taken:
        deals.batch(desk, *({**line, "status": "reported"} for line in lines))
        taken[which] = "report"
    elif what == "revoke" and taken.get(which) in {"certify", "rumour"}:
        desk.do("certificate revoke", **revoke)
        taken[which] = "revoke"
    elif what == "rumour" and taken.get(which) == "certify":
        desk.do("certificate revoke", **revoke, evidence=deals.REPORTED)
        taken[which] = "rumour"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(taken=MOVES)
def test_rows_add_up_to_the_rung_and_the_rung_is_what_rules_judge(taken):
    """Σ rated of those that count, converted once under the terms in force."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "accord.db")
        ratios = {"overhead_ratio": "1.0139", "pue": "1.1117"}
        deals.in_effect(desk, capacity_basis="facility", **ratios)
        deals.racks(desk, "R1", "R2", "R3", "R4")
        done = {}
        for number, (what, which) in enumerate(taken):
            move(desk, done, number, what, which)
        compare(desk)
        desk.ledger.close()


def compare(desk):
    """The rows, their totals, the rung, its branches and the rule say the same."""
    told = answer(desk, "certificates")
    counted = [
        int(row.rated)
        for row in told.rows
        if (row.state, row.status) == ("effective", "confirmed")
    ]
    assert str(sum(counted)) == told.totals["rated_w"]
    assert int(told.totals["certified_w"]) == certified(desk) == judged(desk)
    with Projections(desk.store).reading() as reading:
        tree = why(reading, desk.deal, "capacity/certified")
    assert int(tree.figure) == certified(desk)
    assert [int(part.figure) for part in tree.because] == counted


@pytest.mark.parametrize("stored", [True, False])
def test_rows_keep_the_ratios_of_their_issue(desk, stored):
    """An amendment of PUE changes the rung, and not what was certified before it."""
    deals.in_effect(desk, capacity_basis="facility", overhead_ratio="1.1", pue="1.25")
    deals.certify(desk, "C-1", deals.racks(desk, "R1"))
    if stored:
        Projections(desk.store).catch_up()
    amend(desk, 1)
    told = answer(desk, "certificates")
    (line,) = told.rows
    assert (line.rated, line.certified) == ("100000", "137500")
    assert (told.totals["rated_w"], told.totals["certified_w"]) == ("100000", "111870")
    compare(desk)
