"""From a figure back to its evidence: the branches add up, and every event is there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import deals
import pytest
from cli_desk import answer as cli_answer
from cli_desk import done, fails
from conftest import Desk
from places import address
from test_as_of import MACHINE, REAL
from test_views import load

from ledger.domain.certificate import on_basis
from ledger.errors import NotFound
from projections.explain.why import Reason, subjects, why
from projections.projector import Projections
from projections.views.deals import DEALS, agreement_of

DAYS = (None, date(2023, 8, 1), date(2024, 2, 9), date(2025, 3, 20), date(2025, 12, 1))


@pytest.fixture(scope="module")
def views(database: str, tmp_path_factory: Any) -> Any:
    """Both packaged deals."""
    desk = Desk(tmp_path_factory.mktemp("why") / "accord.db")
    load(desk, REAL)
    load(desk, MACHINE)
    yield Projections(desk.store)
    desk.ledger.close()


def added(tree: Reason) -> Decimal:
    """The sum of the first branches' figures."""
    assert {part.unit for part in tree.because} <= {tree.unit}
    return sum((Decimal(part.figure or 0) for part in tree.because), start=Decimal(0))


@pytest.mark.parametrize("deal", [MACHINE, REAL, "openai-nvidia-equity-2026"])
@pytest.mark.parametrize("as_of", DAYS)
def test_the_branches_of_every_rung_add_up(views, deal, as_of):
    """On any day, a rung's quantity is the sum of its branches, converted once."""
    with views.reading(as_of) as reading:
        if not reading.knows(deal):
            return
        terms = agreement_of(reading.book(deal, DEALS)).known_terms
        standing = views.answer("standing", deal, as_of=as_of)
        for row in standing.rows:
            tree = why(reading, deal, f"{row.ladder}/{row.rung}")
            assert (tree.figure, tree.unit) == (row.quantity, row.unit)
            if row.unit != "W":
                assert added(tree) == Decimal(row.quantity), tree
            elif row.rung in {"announced", "committed"}:
                assert str(added(tree)) == row.quantity, tree
            else:
                assert str(on_basis(int(added(tree)), terms).watts) == row.quantity


def walk(tree: Reason) -> Any:
    """Every branch."""
    yield tree
    for branch in tree.because:
        yield from walk(branch)


def test_a_payment_leads_to_its_acceptance_tests(views):
    """Settled, approved, requested; unlock; certificate; systems; tests; order."""
    with views.reading() as reading:
        tree = why(reading, MACHINE, "D1")
    branches = list(walk(tree))
    types = [branch.what for branch in branches if branch.position]
    for event in (
        "funding.disbursement_settled",
        "funding.drawdown_approved",
        "funding.drawdown_requested",
        "funding.tranche_unlocked",
        "certificate.took_effect",
        "certificate.countersigned",
        "system.accepted",
        "system.tested",
        "order.placed",
        "agreement.became_effective",
        "agreement.condition_satisfied",
    ):
        assert event in types
    depth = {branch.what: branch for branch in branches if branch.position is None}
    tested = depth["system/orrery-systems/OR-0001"].because
    assert "system.tested" in [branch.what for branch in tested]
    papers = [p.title for b in branches for p in b.evidence]
    assert {"Bank confirmation FB-2024-0001", "Certificate C-1"} <= set(papers)


def test_everything_of_a_deal_can_be_asked_about(views):
    """Every thing has a tree, with each of its events once, and no end without one."""
    for deal in (MACHINE, REAL):
        with views.reading() as reading:
            for subject in subjects(reading, deal):
                tree = why(reading, deal, subject)
                told = [b.position for b in walk(tree) if b.position]
                assert len(told) == len(set(told)), subject
                assert tree.what == subject
                assert told or tree.note, subject


def test_a_term_leads_to_what_set_it(views):
    """A clause that was amended leads to the amendment, another to the agreement."""
    with views.reading() as reading:
        cap = why(reading, MACHINE, "funding_cap")
        assert (cap.figure, cap.unit) == ("130000000.00", "USD")
        assert cap.because[0].what == "amendment/A1"
        basis = why(reading, MACHINE, "term/capacity_basis")
        assert basis.figure == "critical_it"
        assert basis.because[0].what == "agreement.definitive_signed"
    with views.reading(date(2024, 8, 1)) as reading:
        assert why(reading, MACHINE, "funding_cap").because[0].what == (
            "agreement.definitive_signed"
        )
    with views.reading() as reading:
        known = {s for s in subjects(reading, MACHINE) if s.startswith("term/")}
        rows = views.answer("terms", MACHINE).rows
        assert known == {f"term/{row.clause}" for row in rows if row.in_force}
        for row in rows:
            if row.in_force:
                told = why(reading, MACHINE, f"term/{row.clause}")
                assert told.figure == row.value, row


def test_what_is_locked_says_what_it_waits_for(views):
    """A tranche that is not unlocked names the open parts of its trigger."""
    with views.reading(date(2026, 6, 30)) as reading:
        locked = why(reading, MACHINE, "T4")
        assert locked.note == "locked: Milestone cold-plate-2 is agreed (confirmed)"
    with views.reading(date(2026, 7, 1)) as reading:
        lapsed = why(reading, MACHINE, "T4")
        assert (lapsed.state, lapsed.note) == ("lapsed", None)
    with views.reading() as reading:
        told = why(reading, REAL, "T01").note
        assert told == (
            "locked: The tranche itself is reported. "
            "The agreement is loi signed, not in effect"
        )
        nothing = why(reading, REAL, "disbursed")
        assert (nothing.figure, nothing.because) == ("0.00", ())
        assert nothing.note == (
            "nothing has come this far; next is T01 (10000000000.00 USD): "
            "The tranche itself is reported. "
            "The agreement is loi signed, not in effect"
        )
        assert why(reading, REAL, "capacity/committed").note == (
            "nothing has come this far: the agreement is loi signed"
        )
        assert why(reading, REAL, "accepted").note == "nothing has come this far"


def test_a_name_of_several_things_or_of_none_is_told(views):
    """An ambiguous name lists what it may mean; an unknown one names the near ones."""
    with views.reading() as reading:
        with pytest.raises(NotFound, match="funding/committed or capacity/committed"):
            why(reading, MACHINE, "committed")
        with pytest.raises(NotFound, match="Did you mean 'T1'"):
            why(reading, MACHINE, "T11")
        with pytest.raises(NotFound, match="write KIND/NAME"):
            why(reading, MACHINE, "zzzz")


def test_money_that_went_back_is_a_branch_of_its_own(tmp_path: Path):
    """A clawback and a true-up stand under the rung with their sign, and add up."""
    desk = Desk(tmp_path / "accord.db")
    deals.unlocked(desk)
    deals.pay(desk)
    back = {"direction": "to_provider", "amount": "3m USD", "bank_ref": "X1"}
    more = {"direction": "to_recipient", "amount": "1m USD", "bank_ref": "X2"}
    same = {"facility": "main", "text": "Counted again", "evidence": deals.BANK}
    for name, keys in (("U1", back), ("U2", more)):
        desk.do("funding post-true-up", true_up=name, on="2025-07-01", **same, **keys)
    with Projections(desk.store).reading() as reading:
        tree = why(reading, desk.deal, "disbursed")
    figures = [(branch.what, branch.figure) for branch in tree.because]
    assert figures == [
        ("drawdown/D1", "10000000.00"),
        ("true_up/U1", "-3000000.00"),
        ("true_up/U2", "1000000.00"),
    ]
    assert tree.figure == "8000000.00"
    desk.ledger.close()


def test_what_was_reversed_is_no_reason(tmp_path: Path):
    """After its reversal an entry stands behind no figure; known before, it does."""
    desk = Desk(tmp_path / "accord.db")
    deals.unlocked(desk)
    before = desk.store.head().size
    unlock = before
    desk.do("reverse request", positions=[unlock], reason="A slip")
    desk.do("reverse approve", reversal="R-1", actor=deals.BO)
    views = Projections(desk.store)
    with views.reading() as reading:
        tree = why(reading, desk.deal, "T1")
        assert "funding.tranche_unlocked" not in {b.what for b in walk(tree)}
        assert why(reading, desk.deal, "unlocked").because == ()
    with views.reading(None, before) as reading:
        assert why(reading, desk.deal, "unlocked").figure == "40000000.00"
    desk.ledger.close()


def test_shares_have_their_own_reasons(desk):
    """A warrant's shares are explained apart from money."""
    deals.in_effect(desk)
    deals.facility(desk, "w", instrument="warrant", commitment="160000000 shares")
    with Projections(desk.store).reading() as reading:
        tree = why(reading, desk.deal, "funding/w/committed")
    assert (tree.figure, tree.unit) == ("160000000", "shares")
    assert [branch.what for branch in tree.because] == ["facility/w"]


def test_the_tree_on_the_command_line(tmp_path, monkeypatch):
    """As a tree, cut short unless all is asked for; as rows with numbers and parents."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("demo", MACHINE)
    table = done("why", MACHINE, "disbursed").stdout
    assert table.startswith("FICTION")
    assert "├── drawdown D1  40,000,000.00 USD  settled" in table
    assert "… and 7 more systems; --all shows them" in table
    assert "told above" in table
    assert "-40,000,000.00 USD" in table
    assert "←#325" in table
    assert "P: Bank confirmation FB-2024-0001" in table
    whole = done("why", MACHINE, "disbursed", "--all").stdout
    assert "more systems" not in whole
    assert len(whole) > 2 * len(table)
    monkeypatch.setattr("projections.explain.why.MOST", 12)
    for subject in ("disbursed", "accepted"):
        said = fails(1, "why", MACHINE, subject, "--all")
        assert "More than 12 things stand behind it" in said
        assert f"'accord systems {MACHINE}' lists every system" in said
    rows = cli_answer("why", MACHINE, "D1", "--as-of", "2024-03-01")
    assert rows["tree"]["what"] == "drawdown/D1"
    assert rows["params"]["subject"] == "drawdown/D1"
    csv = done("why", MACHINE, "D1", "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("number,parent,depth,what,figure,unit")
    assert csv[1].startswith("1,,0,drawdown/D1,40000000.00,USD,settled")
    assert "committed" in fails(1, "why", MACHINE, "committed")


def amend(desk: Desk, name: str, path: str, new: str, **effect: str) -> None:
    """Bring an amendment of one term into effect."""
    keys = {"amendment": name, "evidence": deals.SIGNED}
    change = [{"path": path, "new": new}]
    desk.do(
        "agreement propose-amendment", amendment=name, changes=change, on="2025-02-01"
    )
    desk.do("agreement sign-amendment", **keys, actor=deals.ANN, on="2025-02-02")
    desk.do("agreement sign-amendment", **keys, actor=deals.BO, on="2025-02-03")
    desk.do("agreement effect-amendment", **keys, on="2025-02-04", **effect)


def test_without_a_letter_of_intent_the_terms_in_force_announce(desk):
    """What was announced leads to the event that set it, amended or first reported."""
    views = Projections(desk.store)
    signed = {"signatories": ["acme", "orion"], "evidence": deals.REPORTED}
    parties = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}
    desk.do("agreement open", on="2025-01-01", **parties)
    terms = {"funding_cap": "90m USD", "capacity_floor": "9 MW"}
    desk.do("agreement sign-definitive", terms=terms, on="2025-01-05", **signed)
    with views.reading() as reading:
        for rung in ("funding/announced", "capacity/announced"):
            assert why(reading, desk.deal, rung).because == ()
    signed["evidence"] = deals.SIGNED
    terms = {**deals.TERMS, "capacity_floor": "10 MW"}
    desk.do("agreement sign-definitive", terms=terms, on="2025-01-10", **signed)
    desk.do("agreement bring-into-effect", on="2025-01-15")
    amend(desk, "A1", "funding_cap", "130m USD")
    amend(desk, "A2", "capacity_floor", "11 MW")
    with views.reading() as reading:
        for rung, figure in (("funding", "130000000.00"), ("capacity", "11000000")):
            tree = why(reading, desk.deal, f"{rung}/announced")
            assert (tree.figure, added(tree)) == (figure, Decimal(figure))
            assert [b.what for b in tree.because] == ["agreement.amendment_took_effect"]


def test_an_unlock_relies_on_the_agreement_and_on_no_condition_beside_it(desk):
    """The agreement in effect is the reason, whatever was recorded of it last."""
    systems = deals.funded(desk)
    insured = {"condition": "insured", "evidence": deals.SIGNED}
    desk.do(
        "agreement define-condition",
        condition="insured",
        text="Insured",
        scope="draw",
        on="2025-01-16",
    )
    desk.do("agreement satisfy-condition", **insured, on="2025-01-17")
    both = {"when": "all", "of": [{"when": "agreement_in_effect"}, deals.GW]}
    deals.tranche(desk, trigger=both)
    deals.certify(desk, "C-1", systems[:1])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    with Projections(desk.store).reading() as reading:
        tree = why(reading, desk.deal, "T1")
    relied = [branch.what for branch in tree.because if branch.position is None]
    assert relied == ["agreement/acme-orion", "certificate/C-1", "facility/main"]


@pytest.mark.parametrize("as_of", DAYS)
def test_the_moves_of_a_thing_add_up_to_what_it_stands_at(views, as_of):
    """The events of a tranche, drawdown or facility carry its figure between them."""
    checked = 0
    for deal in (MACHINE, REAL):
        with views.reading(as_of) as reading:
            if not reading.knows(deal):
                continue
            for name in subjects(reading, deal):
                if name.startswith(("tranche/", "drawdown/", "facility/")):
                    tree = why(reading, deal, name)
                    events = [part for part in tree.because if part.position]
                    moves = [Decimal(part.figure or 0) for part in events]
                    assert sum(moves) == Decimal(tree.figure or "x"), name
                    checked += 1
    assert checked


def test_what_is_only_reported_moves_nothing(desk):
    """A reported change stands among the events of its facility, without a figure."""
    deals.in_effect(desk)
    deals.facility(desk)
    amend(desk, "A1", "facility.main.commitment", "90m USD", status="reported")
    with Projections(desk.store).reading() as reading:
        tree = why(reading, desk.deal, "main")
        assert why(reading, desk.deal, "A1").state == "proposed"
    moves = [(part.status, part.figure) for part in tree.because[:2]]
    assert moves == [("reported", None), ("confirmed", "100000000.00")]
    assert tree.figure == "100000000.00"


def test_a_thing_known_only_from_a_report_stands_as_it_is_told(desk):
    """No state `none`, no figure 0: what is told, until a confirmed entry makes it."""
    deals.in_effect(desk)
    systems = deals.racks(desk, "R1", "R2")
    metric = {"name": "rate", "target": "5.0", "bound": "at_least", "unit": "x"}
    desk.do(
        "milestone propose",
        milestone="m1",
        title="A faster one",
        track="hardware",
        owner="orion",
        target_on="2025-12-31",
        metric=metric,
        on="2025-02-01",
        evidence=deals.REPORTED,
    )
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 3}
    order = {"buyer": "orion", "seller": "maker", "lines": [line], "on": "2025-03-01"}
    desk.do("order place", order="PO-2", **order, evidence=deals.REPORTED)
    draft = {"systems": systems, "accepted_by": "2025-04-30", "on": "2025-05-01"}
    desk.do("certificate draft", certificate="C-1", **draft, evidence=deals.REPORTED)
    deals.facility(desk, evidence=deals.REPORTED)
    views = Projections(desk.store)
    names = ("milestone/m1", "order/PO-2", "certificate/C-1", "facility/main")
    with views.reading() as reading:
        told = [why(reading, desk.deal, name) for name in names]
    assert [(one.state, one.figure) for one in told] == [
        ("proposed", None),
        ("placed", "300000"),
        ("drafted", "0"),
        ("equity", "100000000.00"),
    ]
    assert [part.figure for part in told[3].because if part.position] == [
        "100000000.00"
    ]
    deals.facility(desk, commitment="90m USD")
    with views.reading() as reading:
        tree = why(reading, desk.deal, "facility/main")
    moves = [part.figure for part in tree.because if part.position]
    assert (tree.figure, moves) == ("90000000.00", ["90000000.00", None])


def test_a_thing_says_its_figure_or_its_state(views):
    """Milestones, conditions, orders, amendments say what state they are in, and when."""
    last = {
        "milestone/inference-throughput": "achieved",
        "milestone/fabric-800": "missed",
        "condition/merger-clearance": "waived",
        "order/PO-2": "closed",
        "amendment/A1": "in effect",
        "agreement/milestone-machine": "in_effect",
        "certificate/C-2": "revoked",
        "clawback/CB-1": "lapsed: the excess was cured",
        "drawdown/D2": "failed",
    }
    with views.reading() as reading:
        states = {name: why(reading, MACHINE, name).state for name in last}
        assert states == last
        order = why(reading, MACHINE, "PO-2")
        assert (order.figure, order.unit) == ("1200000", "W")
    with views.reading(date(2024, 8, 13)) as reading:
        assert why(reading, MACHINE, "A1").state == "proposed"


def test_an_ended_tranche_waits_for_nothing(desk):
    """What expired says so, and no longer what it would have waited for."""
    deals.funded(desk)
    deals.tranche(desk, expires_on="2025-03-01")
    views = Projections(desk.store)
    with views.reading(date(2025, 3, 1)) as reading:
        short = "locked: Certified 0 W of 100000 W; 100000 W missing"
        assert why(reading, desk.deal, "T1").note == short
    with views.reading(date(2025, 3, 2)) as reading:
        tree = why(reading, desk.deal, "T1")
    assert (tree.state, tree.note) == ("lapsed", None)
    desk.do("funding expire-tranche", tranche="T1", on="2025-03-02")
    with views.reading() as reading:
        tree = why(reading, desk.deal, "T1")
    assert (tree.state, tree.note) == ("expired", None)


def test_an_overfunding_leads_to_its_cause(views):
    """The facility that was asked about leads to the revocation; a payment of it not."""
    with views.reading() as reading:
        tree = why(reading, MACHINE, "facility/main")
        assert {"certificate/C-2", "tranche/T3"} <= {part.what for part in tree.because}
        flagged = [b for b in walk(tree) if b.what == "funding.overfunding_declared"]
        revoked = [b for b in walk(tree) if b.what == "certificate.revoked"]
        assert [b.cause for b in flagged] == [b.position for b in revoked]
        paid = why(reading, MACHINE, "D1")
    assert "certificate/C-2" not in {branch.what for branch in walk(paid)}
    assert flagged[0].cause in {branch.cause for branch in walk(paid)}
