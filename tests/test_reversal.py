"""Reversals (REC-02): asked for by one, approved by another, with all that relied."""

from __future__ import annotations

import deals
import pytest
from deals import ANN, BO, IAN
from msgspec.structs import replace

from ledger.application import Ledger
from ledger.audit.recheck import recheck
from ledger.commands.decision import Decision
from ledger.domain.certificate import Certificate
from ledger.domain.event import Reversed
from ledger.domain.funding import Funding
from ledger.domain.reversal import Requested, Reversal
from ledger.domain.system import System
from ledger.errors import NotFound, Refused
from ledger.rules.past import Past
from ledger.rules.rulebook import check
from projections.projector import Projections


def at(desk, tag, nth=0):
    """The position of an entry, by its type: the first of them, or another."""
    found = [i.id for i in desk.store.select_notifications(1, 10_000, topics=[tag])]
    return found[nth]


def request(desk, *positions, by=ANN, **keys):
    """Ask for a reversal."""
    keys = {"reason": "A mistake", "actor": by, **keys}
    return desk.do("reverse request", positions=list(positions), **keys)


def approve(desk, reversal="R-1", by=BO, **keys):
    """Approve it."""
    return desk.do("reverse approve", reversal=reversal, actor=by, **keys)


def reverse(desk, *positions, **keys):
    """Ask for a reversal and approve it."""
    (asked,) = request(desk, *positions, **keys)
    return approve(desk, asked.stream.rpartition("/")[2])


def test_what_is_reversed_stays_and_counts_no_more(desk):
    """A tranche defined by mistake is gone from the state and stands on the record."""
    deals.funded(desk)
    deals.tranche(desk)
    place = at(desk, "funding.tranche_defined")
    before = desk.get(Funding, desk.deal)
    (asked,) = request(desk, place)
    assert "T1" in desk.get(Funding, desk.deal).tranches
    events = approve(desk)
    after = desk.get(Funding, desk.deal)
    assert after.tranches == {}
    assert after.version == before.version + 1
    assert desk.ledger.entry(place).data.tranche == "T1"
    assert [event.data.tag() for event in events] == [
        "reversal.approved",
        "record.reversed",
    ]
    assert events[1].provenance.causation == events[0].ref
    assert asked.data.targets[0].position == place
    deals.tranche(desk)
    assert "T1" in desk.get(Funding, desk.deal).tranches
    assert recheck(desk.store).findings == []


def test_two_people_are_needed(desk):
    """Who asked does not approve, whatever case the name is in; a reason is needed."""
    deals.funded(desk)
    place = at(desk, "funding.facility_defined")
    said = desk.refuses("REC-02", "reverse request", positions=[place])
    assert "--reason" in said
    request(desk, place, by=ANN)
    said = desk.refuses("REC-02", "reverse approve", reversal="R-1", actor="ANN@acme")
    assert said == (
        "REC-02: You made this request. Another approver is needed. "
        "Somebody other than ann approves it."
    )


def test_an_answer_is_not_before_its_question(desk):
    """A reversal is not approved, or rejected, on a day before it was asked for."""
    deals.funded(desk)
    request(desk, at(desk, "funding.facility_defined"), on="2026-01-10")
    early = {"reversal": "R-1", "actor": BO, "on": "2026-01-09"}
    said = desk.refuses("REC-12", "reverse approve", **early)
    assert "2026-01-09 is before the request on 2026-01-10" in said
    desk.refuses("REC-12", "reverse reject", ground="G", **early)


def test_entries_are_reversed_once_and_reversals_never(desk):
    """A second reversal of an entry, or one of a reversal, is refused."""
    deals.funded(desk)
    deals.tranche(desk)
    place = at(desk, "funding.tranche_defined")
    request(desk, place)
    approve(desk)
    keys = {"reason": "Again", "actor": ANN}
    assert "reversed before" in desk.refuses(
        "REC-02", "reverse request", positions=[place], **keys
    )
    for tag in ("reversal.requested", "reversal.approved", "record.reversed"):
        said = desk.refuses(
            "REC-02", "reverse request", positions=[at(desk, tag)], **keys
        )
        assert "cannot be reversed" in said
    assert "is approved" in desk.refuses("REC-02", "reverse approve", reversal="R-1")
    assert "is approved" in desk.refuses(
        "REC-02", "reverse reject", reversal="R-1", ground="Too late"
    )


def test_a_request_names_entries_of_its_deal(desk):
    """No entry, an unknown one, one named twice, or one of another deal is refused."""
    deals.funded(desk)
    other = {"deal": "other-deal", "title": "O", "capital": ["a"], "capacity": ["b"]}
    (opened,) = desk.do("agreement open", **other)
    keys = {"reason": "R", "actor": ANN}
    assert "each once" in desk.refuses(
        "REC-02", "reverse request", positions=[], **keys
    )
    assert "of other-deal" in desk.refuses(
        "REC-02", "reverse request", positions=[opened.position], **keys
    )
    with pytest.raises(NotFound, match="no entry 999"):
        request(desk, 999)
    with pytest.raises(NotFound, match="Reversal 'R-9'"):
        approve(desk, "R-9")
    assert "reported" in desk.refuses(
        "REC-02", "reverse request", positions=[1], status="reported", **keys
    )


def test_a_rejected_reversal_changes_nothing(desk):
    """A request that is rejected, or taken back, leaves its entries as they are."""
    deals.funded(desk)
    deals.tranche(desk)
    place = at(desk, "funding.tranche_defined")
    request(desk, place)
    desk.do("reverse reject", reversal="R-1", ground="It was right", actor=ANN)
    assert desk.get(Reversal, desk.deal, "R-1").state == "rejected"
    assert "T1" in desk.get(Funding, desk.deal).tranches
    (again,) = request(desk, place)
    assert again.stream == "reversal/acme-orion/R-2"


def test_what_relied_on_it_is_named(desk):
    """A certificate's effect carries an unlock and a request; both are named."""
    deals.unlocked(desk)
    deals.pay(desk, to="request-drawdown")
    effect = at(desk, "certificate.took_effect")
    keys = {"positions": [effect], "reason": "Wrong", "actor": ANN}
    said = desk.refuses("REC-02", "reverse request", **keys)
    marked = at(desk, "system.certified")
    unlock = at(desk, "funding.tranche_unlocked")
    asked = at(desk, "funding.drawdown_requested")
    assert said == (
        f"REC-02: #{effect} has later entries that rely on it: "
        f"#{marked} system.certified (certificate/acme-orion/C-1@5 brought it about); "
        f"#{unlock} funding.tranche_unlocked (FND-03: Certified 0 W of 100000 W; "
        f"100000 W missing); "
        f"#{asked} funding.drawdown_requested (FND-01: 10000000.00 USD exceeds "
        "available 0.00 USD (unlocked 0.00 USD, paid 0.00 USD, approved 0.00 USD)). "
        "Reverse them first, or together: request the reversal with --with-reliant."
    )
    (whole,) = desk.do("reverse request", with_reliant=True, **keys)
    named = [target.position for target in whole.data.targets]
    assert named == [effect, marked, unlock, asked]
    approve(desk)
    funding = desk.get(Funding, desk.deal)
    assert str(funding.unlocked("main")) == "0.00 USD"
    assert funding.drawdowns == {}
    assert desk.get(System, "maker", "R1").certificate is None
    assert desk.get(Certificate, desk.deal, "C-1").state == "issued"
    assert recheck(desk.store).findings == []


def test_what_was_paid_is_left_to_overfunding(desk):
    """Paid money is a fact: the unlock under it goes, and the facility is overfunded."""
    deals.unlocked(desk)
    deals.pay(desk)
    unlock = at(desk, "funding.tranche_unlocked")
    events = reverse(desk, unlock)
    declared = events[-1]
    assert declared.data.tag() == "funding.overfunding_declared"
    assert str(declared.data.excess) == "10000000.00 USD"
    assert declared.provenance.causation == events[0].ref
    funding = desk.get(Funding, desk.deal)
    assert funding.drawdowns["D1"].state == "settled"
    assert funding.facilities["main"].overfunded_since is not None
    assert recheck(desk.store).findings == []
    # Unlocked again on the same certificate, the facility is cured.
    desk.do("funding unlock", tranche="T1", on="2026-01-15")
    assert desk.get(Funding, desk.deal).facilities["main"].overfunded_since is None


def test_a_payment_made_after_a_cure_is_left_to_overfunding(desk):
    """Without the unlock that cured it, the facility is overfunded by all that was paid."""
    deals.unlocked(desk)
    deals.pay(desk)
    on = "2025-06-10"
    desk.do("certificate revoke", certificate="C-1", ground="A doubt", on=on)
    deals.certify(desk, "C-2", ["maker/R2"], on=on)
    unlock, cured = desk.do("funding unlock", tranche="T1", on=on)
    assert cured.data.tag() == "funding.overfunding_cured"
    for line in deals.draw("D2", value_on="2025-06-20"):
        paid = {"value_on": on} if line["command"].endswith("settle") else {}
        desk.do(**{**line, **paid, "on": on})
    (asked,) = request(desk, unlock.position, with_reliant=True)
    named = [target.position for target in asked.data.targets]
    assert named == [unlock.position, cured.position]
    approve(desk)
    funding = desk.get(Funding, desk.deal)
    assert str(funding.excess("main")) == "20000000.00 USD"
    assert funding.facilities["main"].overfunded_since is not None
    assert recheck(desk.store).findings == []


def test_a_payment_booked_by_mistake_cures_what_it_had_broken(desk):
    """Reversing the settlement of an overfunded facility takes its flag off."""
    deals.unlocked(desk)
    deals.pay(desk)
    reverse(desk, at(desk, "funding.tranche_unlocked"))
    declared = at(desk, "funding.overfunding_declared")
    settled = at(desk, "funding.disbursement_settled")
    said = desk.refuses(
        "REC-02", "reverse request", positions=[settled], reason="Not paid", actor=ANN
    )
    assert f"#{declared} funding.overfunding_declared" in said
    (asked,) = request(desk, settled, with_reliant=True)
    approve(desk, "R-2")
    named = {target.entry for target in asked.data.targets}
    assert "funding.overfunding_declared" in named
    assert desk.get(Funding, desk.deal).facilities["main"].overfunded_since is None
    assert recheck(desk.store).findings == []


def test_a_request_takes_its_approval_with_it(desk):
    """Another refusal than the one that stood before is a ground, whatever was paid."""
    deals.unlocked(desk)
    deals.pay(desk)
    reverse(desk, at(desk, "funding.tranche_unlocked"))
    asked = at(desk, "funding.drawdown_requested")
    reverse(desk, asked, with_reliant=True)
    assert desk.get(Funding, desk.deal).drawdowns == {}
    steps = ("drawdown_approved", "disbursement_instructed", "disbursement_settled")
    named = {target.entry for target in desk.get(Reversal, desk.deal, "R-2").targets}
    assert {f"funding.{step}" for step in steps} < named
    assert recheck(desk.store).findings == []


def test_what_another_entry_brought_about_is_reversed_with_it(desk):
    """A rack's mark goes with the certificate that set it, never alone."""
    deals.funded(desk)
    deals.certify(desk, "C-1", ["maker/R1"])
    effect, mark = at(desk, "certificate.took_effect"), at(desk, "system.certified")
    ask = {"command": "reverse request", "reason": "Wrong", "actor": ANN}
    said = desk.refuses("REC-02", **ask, positions=[mark])
    assert f"Entry {mark} was brought about by #{effect} certificate.took" in said
    desk.refuses("REC-02", **ask, positions=[mark], with_reliant=True)
    slot = at(desk, "slot.occupied")
    desk.refuses("REC-02", **ask, positions=[mark, slot])
    reverse(desk, effect, mark)
    assert desk.get(System, "maker", "R1").certificate is None
    assert desk.get(Certificate, desk.deal, "C-1").state == "issued"
    assert recheck(desk.store).findings == []


def test_what_came_meanwhile_is_asked_for_again(desk):
    """An entry that came to rely on it after the request stops the approval."""
    deals.funded(desk)
    deals.tranche(desk)
    request(desk, at(desk, "funding.tranche_defined"))
    deals.certify(desk, "C-1", ["maker/R1"])
    desk.do("funding unlock", tranche="T1", on="2025-05-02")
    said = desk.refuses("REC-02", "reverse approve", reversal="R-1", actor=IAN)
    assert "funding.tranche_unlocked (FND-16: Tranche 'T1' is not on" in said


def test_a_serial_reversed_may_be_registered_again(desk):
    """A serial typed wrong is freed by reversing its whole life, and used again."""
    deals.in_effect(desk)
    deals.racks(desk, "R1", "R2")
    first = at(desk, "order.serials_allocated")
    (asked,) = request(desk, first, with_reliant=True)
    assert {t.stream for t in asked.data.targets} >= {"system/maker/R1"}
    approve(desk)
    assert not desk.get(System, "maker", "R1").exists
    desk.do("order allocate", order="PO-1", line=1, systems=["maker/R1"])
    assert desk.get(System, "maker", "R1").state == "allocated"
    assert recheck(desk.store).findings == []


def test_what_is_left_of_fiction_is_fiction(desk):
    """A fictional deal whose opening is reversed is labelled all the same."""
    deal = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}
    desk.do("agreement open", fictional=True, on="2025-01-01", **deal)
    reverse(desk, 1)
    views = Projections(desk.store)
    for name in ("standing", "timeline", "reversals"):
        assert views.answer(name, desk.deal).fictional
        views.catch_up()
    desk.do("agreement open", on="2025-01-02", **deal)
    assert not views.answer("standing", desk.deal).fictional


def test_a_batch_sees_what_it_recorded_itself(desk):
    """An entry of the same batch that relies on it is named, too."""
    deals.funded(desk)
    deals.tranche(desk)
    place = at(desk, "funding.tranche_defined")
    request(desk, place)
    deals.certify(desk, "C-1", ["maker/R1"])
    lines = [
        {"command": "funding unlock", "tranche": "T1", "on": "2025-05-02"},
        {"command": "reverse approve", "reversal": "R-1", "actor": IAN},
    ]
    with pytest.raises(Exception, match=r"#0 funding.tranche_unlocked"):
        deals.batch(desk, *lines)


def test_a_request_names_what_stands_there_under_a_name_of_its_own(desk):
    """A target that is not what stands at its position is refused, and a taken id."""
    deals.funded(desk)
    (asked,) = request(desk, at(desk, "funding.facility_defined"))
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(asked.provenance)
    (target,) = asked.data.targets
    wrong = Requested(targets=(replace(target, version=9),))
    with pytest.raises(Refused, match=r"is funding.facility_defined \(funding/acme"):
        decision.record(Reversal, desk.deal, "R-2", data=wrong)
    with pytest.raises(Refused, match="reversal/acme-orion/R-1 is on the record"):
        decision.record(Reversal, desk.deal, "R-1", data=asked.data)


def test_what_is_recorded_while_a_reversal_is_decided_is_looked_at_too(desk):
    """An order that came between the decision and its saving stops the reversal."""

    class Slow(Ledger):
        """A ledger that is overtaken once, just before it saves."""

        def record(self, *events, **kwargs):
            if not overtaken:
                overtaken.append(True)
                line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 1}
                order = {"order": "PO-1", "buyer": "orion", "seller": "maker"}
                desk.do("order place", lines=[line], on="2025-02-01", **order)
            return super().record(*events, **kwargs)

    overtaken = []
    deals.in_effect(desk)
    desk.do("sku define", **deals.SKU, on="2025-02-01")
    request(desk, at(desk, "sku.versioned"))
    approve_it = desk.request("reverse approve", reversal="R-1", actor=BO)
    with pytest.raises(Refused, match=r"order\.placed"):
        Slow(desk.store).execute(approve_it)
    assert overtaken
    assert recheck(desk.store).findings == []


def test_a_past_without_a_record_has_no_entries():
    """Only the rules of reversals look entries up, and they have a record behind them."""
    past = Past(check)
    assert past.entry(1) is None
    assert list(past.entries("acme-orion")) == []


def test_only_an_approved_reversal_reverses(desk):
    """The mark that an entry is reversed stands only under what was approved."""
    deals.funded(desk)
    request(desk, at(desk, "funding.facility_defined"))
    entry = desk.ledger.entry(at(desk, "funding.facility_defined"))
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(entry.provenance)
    data = Reversed(
        position=entry.position,
        version=entry.version,
        entry=entry.data.tag(),
        reversal="R-1",
    )
    with pytest.raises(Refused, match="R-1 is requested and does not reverse"):
        decision.record(Funding, desk.deal, data=data)
