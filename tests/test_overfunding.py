"""More paid than unlocked, and its cure: FND-12."""

from __future__ import annotations

import msgspec
import pytest
from deals import (
    AMY,
    BO,
    EVE,
    certify,
    draw,
    facility,
    funded,
    in_effect,
    pay,
    tranche,
    unlocked,
)
from money import (
    REQUEST,
    YES,
    ZERO,
    figures,
    get,
    m,
    revoke,
)

from ledger.commands.decision import Decision
from ledger.domain.funding import Funding, OverfundingCured, OverfundingDeclared
from ledger.errors import Refused
from projections.projector import Projections


@pytest.fixture
def overfunded(desk):
    """30 of 40 million paid, and the certificate that carried it revoked."""
    systems = unlocked(desk)
    pay(desk, amount="30m USD")
    pay(desk, "D2", "5m USD", to="approve-drawdown")
    pay(desk, "D3", "5m USD", to="request-drawdown")
    revoke(desk)
    return systems


def cured(events):
    return [data.cause for data in events if isinstance(data, OverfundingCured)]


def test_an_overfunded_facility_blocks_new_draws(desk, overfunded):
    """FND-12: no request, approval or instruction until it is cured."""
    again = draw("D4", value_on="2025-07-10")
    for line in (again[0], draw("D3")[1], draw("D2")[2]):
        said = desk.refuses("FND-12", **{**line, "on": "2025-07-02"})
        assert (
            "Paid 30000000.00 USD is 30000000.00 USD above unlocked 0.00 USD. "
            "New draws are blocked." in said
        )


def test_what_is_approved_and_locked_again_is_flagged(desk):
    """An approval whose capacity is lost stands above what is unlocked, and says why."""
    unlocked(desk)
    pay(desk, amount="30m USD", to="approve-drawdown")
    standing = Projections(desk.store)
    assert standing.answer("standing", desk.deal).about.flags == []
    revoke(desk)
    assert figures(desk) == (0, 0, 30, 0)
    flags = standing.answer("standing", desk.deal).about.flags
    assert flags == ["requests_exceed_unlocked"]


def test_new_capacity_cures(desk, overfunded):
    """FND-12: the unlock that brings the excess to nothing says so."""
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    done = desk.data("funding unlock", tranche="T1", on="2025-07-03")
    assert cured(done) == ["unlock of T1"]
    desk.do(**{**draw("D3")[1], "on": "2025-07-03"})


def test_a_clawback_cures_once_it_is_received(desk, overfunded):
    """FND-12, FND-01: demanded within what was paid, received within the demand."""
    demand = {"command": "funding demand-clawback", "clawback": "CB-1"}
    demand |= {"facility": "main", "on": "2025-07-02"}
    desk.refuses("FND-08", **demand, amount="30m USD", actor=BO)
    said = desk.refuses("FND-01", **demand, amount="31m USD")
    assert "31000000.00 USD exceeds 30000000.00 USD paid and not yet demanded" in said
    due = {"due_on": "2025-07-01"}
    desk.refuses("FND-16", **demand, amount="30m USD", **due)
    desk.do(**demand, amount="30m USD", due_on="2025-08-01")
    desk.refuses("FND-16", **demand, amount="1m USD")
    more = {**demand, "clawback": "CB-2"}
    desk.refuses("FND-01", **more, amount="1m USD")
    receive = {"command": "funding receive-clawback", "clawback": "CB-1"}
    desk.refuses(
        "FND-16", **{**receive, "clawback": "x"}, amount="1m USD", bank_ref="1"
    )
    desk.refuses("REC-12", **receive, amount="1m USD", bank_ref="1", on="2025-07-01")
    desk.refuses("FND-14", **receive, amount="1m EUR", bank_ref="1")
    assert cured(desk.data(**receive, amount="10m USD", bank_ref="1")) == []
    said = desk.refuses("FND-01", **receive, amount="21m USD", bank_ref="2")
    assert "21000000.00 USD exceeds 20000000.00 USD demanded and paid" in said
    done = desk.data(**receive, amount="20m USD", bank_ref="2", actor=AMY)
    assert cured(done) == ["clawback CB-1"]
    assert figures(desk) == (0, 0, 5, 0)


def test_a_true_up_cures_or_pays_more(desk, overfunded):
    """FND-12, FND-01: to the provider within what was paid; back only if available."""
    post = {"command": "funding post-true-up", "facility": "main", "text": "Interest"}
    back = {**post, "direction": "to_provider"}
    desk.refuses(
        "FND-08", **back, true_up="T", amount="1m USD", bank_ref="1", actor=EVE
    )
    said = desk.refuses("FND-01", **back, true_up="T", amount="31m USD", bank_ref="1")
    assert "exceeds 30000000.00 USD paid of main" in said
    more = {**post, "direction": "to_recipient", "true_up": "M", "bank_ref": "3"}
    said = desk.refuses("FND-01", **more, amount="1m USD")
    assert "exceeds 0.00 USD available of main" in said
    done = desk.data(**back, true_up="T", amount="30m USD", bank_ref="1")
    assert cured(done) == ["true-up T"]
    desk.refuses("FND-16", **back, true_up="T", amount="1m USD", bank_ref="2")
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    desk.do("funding unlock", tranche="T1", on="2025-07-03")
    desk.do(**more, amount="35m USD")
    assert figures(desk) == (40, 35, 5, 0)
    assert get(desk).drawn("T1") == m(40)


def test_a_returned_payment_cures(desk, overfunded):
    """FND-12: money that comes back by itself cures as well."""
    back = {"drawdown": "D1", "amount": "30m USD", "bank_ref": "R"}
    assert cured(desk.data("funding return", **back)) == ["return of D1"]


def test_a_waiver_forgives_and_unlocks_nothing(desk, overfunded):
    """FND-12: by the provider, within the excess; it covers no later excess."""
    waive = {"command": "funding waive-overfunding", "facility": "main"}
    desk.refuses("FND-08", **waive, amount="1m USD", actor=BO)
    desk.refuses("FND-16", **waive, amount="0 USD")
    desk.refuses("REC-12", **waive, amount="1m USD", on="2025-06-30")
    said = desk.refuses("FND-12", **waive, amount="31m USD")
    assert "31000000.00 USD exceeds the excess of 30000000.00 USD of main" in said
    assert cured(desk.data(**waive, amount="10m USD", on="2025-07-02")) == []
    assert cured(desk.data(**waive, amount="20m USD", on="2025-07-02")) == ["waiver"]
    desk.refuses("FND-01", **{**draw("D3")[1], "on": "2025-07-03"})
    certify(desk, "C-2", overfunded[1:2], on="2025-07-02")
    desk.do("funding unlock", tranche="T1", on="2025-07-03")
    assert get(desk).facilities["main"].waived == ZERO
    declared = revoke(desk, "C-2", on="2025-07-04")[-1]
    assert isinstance(declared, OverfundingDeclared)
    assert declared.excess == m(30), "the waiver was for the excess of then"


def test_what_was_instructed_before_is_paid_and_flagged(desk):
    """FND-12: a payment on its way when the certificate fell is accepted, and declared."""
    unlocked(desk)
    pay(desk, amount="30m USD", to="instruct")
    assert not any(
        isinstance(data, OverfundingDeclared) for data in revoke(desk, on="2025-06-03")
    )
    settled, declared = desk.do(**draw(amount="30m USD")[3])
    assert declared.data.excess == m(30)
    assert declared.provenance.causation == settled.ref


def test_nothing_is_waived_or_returned_of_nothing(desk):
    """FND-12, FND-16: without an excess there is nothing to waive."""
    unlocked(desk)
    waive = {"facility": "main", "amount": "1m USD"}
    said = desk.refuses("FND-12", "funding waive-overfunding", **waive)
    assert "exceeds the excess of 0.00 USD" in said
    demand = {"clawback": "C", "facility": "none", "amount": "1m USD"}
    desk.refuses("FND-16", "funding demand-clawback", **demand)


def test_a_clawback_is_given_back_to_the_tranche_it_came_from(desk):
    """What was paid of a re-locked tranche and clawed back may be drawn of it again."""
    systems = funded(desk)
    tranche(desk, "T1", 1, size="20m USD", trigger=YES)
    tranche(desk, "T2", 2, size="40m USD")
    certify(desk, "C-1", systems[:1])
    for name in ("T1", "T2"):
        desk.do("funding unlock", tranche=name, on="2025-05-02")
    pay(desk, "D1", "20m USD", tranche="T1")
    pay(desk, "D2", "40m USD", tranche="T2")
    revoke(desk)
    claw = {"clawback": "CB", "amount": "50m USD", "on": "2025-07-02"}
    desk.do("funding demand-clawback", facility="main", **claw)
    desk.do("funding receive-clawback", **claw, bank_ref="CB")
    drawn = [str(get(desk).drawn(name)) for name in ("T1", "T2")]
    assert drawn == ["10000000.00 USD", "0.00 USD"]
    certify(desk, "C-2", systems[1:2], on="2025-07-03")
    desk.do("funding unlock", tranche="T2", on="2025-07-03")
    pay(desk, "D3", "40m USD", tranche="T2", to="approve-drawdown", on="2025-07-04",
        value_on="2025-07-10")  # fmt: skip
    back = {"drawdown": "D2", "amount": "10m USD", "bank_ref": "R", "on": "2025-07-05"}
    desk.do("funding return", **back)
    drawn = [str(get(desk).drawn(name)) for name in ("T1", "T2")]
    assert drawn == ["0.00 USD", "40000000.00 USD"]


def proposed(desk, data):
    """Put an event on funding before the rules that no command would make."""
    decision = Decision(desk.ledger, desk.clock)
    text = {"statement": "s", "speaker": "s", "text": "s"}
    probe = desk.request("agreement record-statement", **text)
    decision.begin(desk.ledger.dry_run([(1, probe)])[0].provenance)
    return decision.record(Funding, desk.deal, data=data)


def test_overfunding_is_declared_and_cured_with_its_own_figures(desk, overfunded):
    """FND-12: neither is recorded against what the facility shows."""
    keys = {"facility": "main", "paid": m(30), "unlocked": ZERO}
    proposed(desk, OverfundingDeclared(**keys, excess=m(30)))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingDeclared(**keys, excess=m(29)))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingCured(facility="main", cause="A wish"))


def test_neither_is_recorded_of_a_facility_in_order(desk):
    """FND-12: a facility without excess is neither overfunded nor cured."""
    unlocked(desk)
    keys = {"facility": "main", "paid": ZERO, "unlocked": m(40), "excess": ZERO}
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingDeclared(**keys))
    with pytest.raises(Refused, match="FND-12"):
        proposed(desk, OverfundingCured(facility="main", cause="x"))


def test_parts_add_up_to_the_amount(desk):
    """FND-14: a request whose parts are not its amount is refused."""
    unlocked(desk)
    (event,) = desk.ledger.dry_run([(1, desk.request(**REQUEST))])
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(event.provenance)
    wrong = msgspec.structs.replace(event.data, amount=m(9))
    with pytest.raises(Refused, match="FND-14: The parts add up to 10000000"):
        decision.record(Funding, desk.deal, data=wrong)


def test_parts_are_of_their_own_facility(desk):
    """FND-16, FND-01: a tranche or clawback of another facility is not used for one."""
    unlocked(desk)
    pay(desk)
    facility(desk, "warrant", instrument="warrant", commitment="5 shares")
    tranche(desk, "W1", 1, facility="warrant", size="5 shares", trigger=YES)
    parts = [{"tranche": "W1", "amount": "1m USD"}]
    said = desk.refuses("FND-16", **{**draw("D2")[0], "allocations": parts})
    assert "Tranche W1 is of warrant" in said
    claw = {"clawback": "CB", "facility": "main", "amount": "1m USD"}
    desk.do("funding demand-clawback", **claw)
    from ledger.domain.funding import ClawbackReceived

    with pytest.raises(Refused, match="FND-16: Clawback CB is of main, not warrant"):
        proposed(
            desk,
            ClawbackReceived(
                clawback="CB", facility="warrant", amount=m(1), bank_ref="x"
            ),
        )


def test_facilities_are_kept_apart(desk):
    """What is paid, clawed back or trued up of one facility is not of another."""
    in_effect(desk)
    for number, name in enumerate(("main", "second"), start=1):
        facility(desk, name, commitment="40m USD")
        tranche(desk, f"T{number}", 1, facility=name, trigger=YES)
        desk.do("funding unlock", tranche=f"T{number}", on="2025-05-02")
    pay(desk, "D1", tranche="T1")
    pay(desk, "D2", tranche="T2", facility="second")
    claw = {"clawback": "CB", "amount": "4m USD", "on": "2025-06-05"}
    desk.do("funding demand-clawback", facility="main", **claw)
    desk.do("funding receive-clawback", **claw, bank_ref="CB")
    post = {"facility": "main", "amount": "1m USD", "bank_ref": "U", "text": "x"}
    desk.do("funding post-true-up", true_up="U", direction="to_provider", **post)
    assert figures(desk) == (40, 5, 0, 35)
    assert figures(desk, "second") == (40, 10, 0, 30)
