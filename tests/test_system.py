"""The life of a system: UNT-02 to UNT-05 and UNT-09 to UNT-14, one fact a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import msgspec
import pytest
from fleet import STEPS, SYSTEM, advance, allocate, line, opened, ordered, take

from ledger.application import Ledger
from ledger.commands.decision import Decision
from ledger.domain.aggregate import stream_of
from ledger.domain.order import Order, SerialsAllocated
from ledger.domain.system import (
    Registered,
    Slot,
    SlotOccupied,
    SlotVacated,
    System,
    SystemCertified,
    SystemDecertified,
)
from ledger.domain.transcoding import proposed
from ledger.domain.values import Id, Power
from ledger.errors import NotFound, Refused
from ledger.record.store import open_store
from ledger.rules.rulebook import RULES, check

PLACE = ("abilene", "hall-1", "P01")
NEW = "nvidia/VR-9"
BURN_IN = {"suite": "burn-in", "suite_version": "2", "soak_hours": 72}
TERMS = {
    "acceptance_suite": "burn-in",
    "soak_hours": 72,
    "measured_tolerance": "0.05",
}


def fleet(desk, to=None, **terms):
    ordered(desk, **terms)
    allocate(desk)
    if to:
        advance(desk, to)


def act(desk, verb, system=SYSTEM, **keys):
    return desk.data(f"system {verb}", system=system, **{"actor": "iva@orion", **keys})


def refused(desk, code, verb, system=SYSTEM, **keys):
    given = {"actor": "iva@orion", **keys}
    return desk.refuses(code, f"system {verb}", system=system, **given)


def rack(desk, system=SYSTEM):
    return desk.get(System, system)


def judged(desk, stream_kind, *ids, data, **changed):
    """What the rules say to an event put before them without a command."""
    decision = Decision(desk.ledger, desk.clock)
    provenance = remark(desk)
    provenance = msgspec.structs.replace(provenance, **changed)
    version = desk.get(stream_kind, *ids).version + 1
    check(decision, proposed(stream_of(stream_kind, *ids), version, provenance, data))


def remark(desk):
    """The provenance of an entry of today that changes nothing."""
    name = f"S{desk.store.head().size}"
    keys = {"statement": name, "speaker": "s", "text": "t"}
    (event,) = desk.do("agreement record-statement", **keys)
    return event.provenance


def certify(desk, system, data):
    """Record what a certificate's taking effect records on a system.

    Only the rules of systems are asked: there is no certificate here.
    """
    decision = Decision(desk.ledger, desk.clock)
    version = rack(desk, system).version + 1
    event = proposed(stream_of(System, system), version, remark(desk), data)
    for _, guard in RULES[type(data)]:
        if guard.__module__ == "ledger.rules.system":
            guard(decision, event)
    desk.ledger.record(event, expects=decision.expects)


def test_a_system_goes_from_order_to_acceptance(desk):
    """Shipped, received, installed, energised, tested, accepted: then in service."""
    fleet(desk, **TERMS)
    for step in STEPS:
        assert not rack(desk).in_service
        take(desk, step)
        assert rack(desk).state == (step if step != "tested" else "energised")
    system = rack(desk)
    assert system.in_service
    assert system.rated == Power.parse("190 kW")
    assert system.slot == PLACE
    assert desk.get(Slot, *PLACE).system == SYSTEM


def test_a_system_must_be_on_the_record(desk):
    """An unknown serial is not found."""
    opened(desk)
    with pytest.raises(NotFound, match="System 'nvidia/VR-1' is not on the record"):
        take(desk, "shipped")


def test_no_state_is_skipped(desk):
    """UNT-02: each step needs the one before, and none is taken twice."""
    fleet(desk)
    keys = {"site": "abilene", "on": "2025-04-05"}
    said = refused(desk, "UNT-02", "receive", **keys)
    assert "nvidia/VR-1 is allocated; 'system receive' needs shipped" in said
    take(desk, "shipped")
    desk.refuses("UNT-02", **line("shipped"))
    desk.refuses("UNT-02", **line("installed"))
    desk.refuses("UNT-02", **line("accepted"))
    refused(desk, "UNT-02", "derate", new="180 kW", on="2025-05-01")


def test_a_system_is_received_once(desk):
    """UNT-03: a second receipt is refused with the first one's day and site."""
    fleet(desk, "received")
    said = refused(desk, "UNT-03", "receive", site="elsewhere")
    assert "was received on 2025-04-05 at abilene. A second receipt is refused" in said


def test_dates_never_go_back(desk):
    """UNT-04: a step is not before the last, an outage included."""
    fleet(desk, "shipped")
    said = refused(desk, "UNT-04", "receive", site="abilene", on="2025-03-31")
    assert "Received 2025-03-31 is before shipped 2025-04-01" in said
    for step in ("received", "installed", "energised", "tested"):
        take(desk, step)
    act(desk, "quarantine", ground="Alarm", on="2025-04-20")
    said = refused(desk, "UNT-04", "return-to-service", on="2025-04-19")
    assert "Returned to service 2025-04-19 is before its last outage" in said
    keys = {"component": "fan", "old_serial": "A", "new_serial": "B"}
    act(desk, "replace-component", **keys, on="2025-04-12")
    refused(desk, "UNT-04", "replace-component", **keys, on="2025-04-08")


def test_no_physical_event_is_in_the_future(desk):
    """UNT-05: also where no command stands between."""
    fleet(desk)
    desk.refuses("UNT-05", **line("shipped", on="2026-01-17"))
    data = SlotOccupied(system=SYSTEM)
    with pytest.raises(Refused, match="UNT-05: 2026-01-17 is in the future"):
        judged(desk, Slot, *PLACE, data=data, effective_on=date(2026, 1, 17))
    judged(desk, Slot, *PLACE, data=data, effective_on=date(2026, 1, 15))


def test_acceptance_needs_a_passed_test(desk):
    """UNT-09: where the terms name no suite, any passed test will do; but one."""
    fleet(desk, "energised")
    said = desk.refuses("UNT-09", **line("accepted"))
    assert "No passed test since 2025-04-09" in said
    take(desk, "tested", passed=False)
    desk.refuses("UNT-09", **line("accepted"))
    take(desk, "tested")
    take(desk, "accepted")


@pytest.mark.parametrize("short", [{"suite": "smoke"}, {"soak_hours": 71}])
def test_the_test_is_the_one_of_the_terms(desk, short):
    """UNT-09: the suite and the hours of soak that the terms ask for."""
    fleet(desk, "energised", **TERMS)
    take(desk, "tested", **short)
    said = desk.refuses("UNT-09", **line("accepted"))
    assert "needs one of burn-in with 72 hours of soak" in said
    take(desk, "tested")
    take(desk, "accepted")


def test_a_component_exchanged_asks_for_a_new_test(desk):
    """UNT-09: a test before the last exchange no longer counts, even of that day."""
    fleet(desk, "tested", **TERMS)
    keys = {"component": "tray", "old_serial": "A", "new_serial": "B"}
    act(desk, "replace-component", **keys, on="2025-04-14")
    said = desk.refuses("UNT-09", **line("accepted"))
    assert "since 2025-04-14" in said
    assert "after the exchange of a component" in said
    act(desk, "replace-component", **keys, on="2025-04-11")
    assert rack(desk).component_replaced_on == date(2025, 4, 14)
    take(desk, "tested")
    take(desk, "accepted")


def test_a_later_failure_voids_the_test(desk):
    """UNT-09: what failed its suite afterwards is not accepted on the older pass."""
    fleet(desk, "tested")
    act(desk, "test", **BURN_IN, passed=False, failure="Links", on="2025-04-15")
    desk.refuses("UNT-09", **line("accepted"))
    other = {**BURN_IN, "suite": "fabric"}
    act(desk, "test", **BURN_IN, passed=True, on="2025-04-15")
    act(desk, "test", **other, passed=False, on="2025-04-15")
    take(desk, "accepted")


def test_a_test_can_be_named(desk):
    """UNT-09: acceptance may name its test, which must be one, and not later."""
    fleet(desk, "tested")
    desk.refuses("UNT-09", **line("accepted"), test="system/nvidia/VR-1@1")
    desk.refuses("REC-12", **line("accepted", on="2025-04-13"))
    (accepted,) = take(desk, "accepted", test="system/nvidia/VR-1@6")
    assert accepted.data.test == "system/nvidia/VR-1@6"


def test_a_test_is_sound(desk):
    """UNT-09: no negative soak, and no failure of what passed."""
    fleet(desk, "energised")
    refused(desk, "UNT-09", "test", **{**BURN_IN, "soak_hours": -1}, passed=True)
    refused(desk, "UNT-09", "test", **BURN_IN, passed=True, failure="Links")
    act(desk, "test", **BURN_IN, passed=False, failure="Links")


def test_the_acceptor_is_a_second_person_of_the_accepting_party(desk):
    """UNT-10: not of the other side, not the installer, not the tester."""
    fleet(desk, "tested")
    said = desk.refuses("UNT-10", **line("accepted", actor="ann@acme"))
    assert "acme is not the accepting party; orion is" in said
    said = desk.refuses("UNT-10", **line("accepted", actor="IVA@orion"))
    assert "IVA installed nvidia/VR-1. Acceptance needs a second person" in said
    said = desk.refuses("UNT-10", **line("accepted", actor="tom@orion"))
    assert "tom tested nvidia/VR-1" in said
    take(desk, "accepted")


def test_the_terms_may_name_the_accepting_party(desk):
    """UNT-10: then that one alone accepts and rejects."""
    fleet(desk, "tested", accepting_party="acme")
    desk.refuses("UNT-10", **line("accepted"))
    refused(desk, "UNT-10", "reject", ground="G")
    take(desk, "accepted", actor="ann@acme")


@pytest.mark.parametrize("rated", ["169999 W", "230001 W"])
def test_the_rating_is_within_the_limits_of_the_sku(desk, rated):
    """UNT-11: below or above, it is refused with the limits."""
    fleet(desk, "tested")
    said = desk.refuses("UNT-11", **line("accepted", rated=rated))
    assert "is outside 170000 W to 230000 W for vr-nvl72 version 1" in said


def test_a_deviation_from_what_was_measured_needs_a_reason(desk):
    """UNT-11: up to the tolerance none is needed; beyond it, one is."""
    fleet(desk, "tested", **TERMS)
    # 188 kW measured: 5 % of 197 895 W are 9 894.75 W, and of 197 894 W 9 894.7 W.
    said = desk.refuses("UNT-11", **line("accepted", rated="197895 W"))
    assert "drew 188000 W, which is more than 0.05 of the rating" in said
    take(desk, "accepted", rated="197895 W", reason="Power smoothing was on")


def test_a_deviation_within_the_tolerance_needs_none(desk):
    """UNT-11: the tolerance itself is within."""
    fleet(desk, "energised", measured_tolerance="0.05")
    assert rack(desk).measured == Power.parse("188 kW")
    take(desk, "tested")
    take(desk, "accepted", rated="179048 W")


def test_the_rating_is_the_skus_where_none_is_given(desk):
    """An acceptance without a rating freezes the SKU's."""
    fleet(desk, "tested")
    take(desk, "accepted", rated=None)
    assert rack(desk).rated == Power.parse("190 kW")


def test_derating_only_lowers(desk):
    """UNT-11: never up, never to nothing."""
    fleet(desk, "accepted")
    for new in ("190 kW", "191 kW", "0 W"):
        refused(desk, "UNT-11", "derate", new=new)
    act(desk, "derate", new="180 kW", on="2025-05-01")
    assert rack(desk).rated == Power.parse("180 kW")


def test_a_place_holds_one_system(desk):
    """UNT-12: the second is refused by the name of the first."""
    fleet(desk, "installed")
    allocate(desk, "nvidia/VR-2")
    take(desk, "shipped", "nvidia/VR-2")
    take(desk, "received", "nvidia/VR-2")
    said = desk.refuses("UNT-12", **line("installed", "nvidia/VR-2"))
    assert "abilene/hall-1/P01 holds nvidia/VR-1" in said
    take(desk, "installed", "nvidia/VR-2", place="P02")


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("reject", "rejected"),
        ("return", "returned"),
        ("decommission", "decommissioned"),
    ],
)
def test_what_leaves_frees_its_place(desk, verb, state):
    """UNT-12: in one transaction with the leaving; and it is out of any outage."""
    fleet(desk, "installed")
    act(desk, "quarantine", ground="Alarm", on="2025-05-01")
    events = desk.do(
        f"system {verb}",
        system=SYSTEM,
        ground="G",
        actor="iva@orion",
        on="2025-05-02",
    )
    assert events[1].data == SlotVacated(system=SYSTEM)
    assert events[1].provenance.causation == events[0].ref
    system = rack(desk)
    assert (system.state, system.slot, system.outage) == (state, None, None)
    assert desk.get(Slot, *PLACE).system is None


def test_what_has_no_place_frees_none(desk):
    """A system rejected on arrival held no place."""
    fleet(desk, "received")
    assert len(act(desk, "reject", ground="Dented")) == 1


def test_a_place_is_left_by_what_it_held(desk):
    """UNT-12: a recheck finds a place left by another system, or by none."""
    fleet(desk, "installed")
    with pytest.raises(Refused, match="holds nvidia/VR-1, not nvidia/VR-9"):
        judged(desk, Slot, *PLACE, data=SlotVacated(system=NEW))
    with pytest.raises(Refused, match="holds nothing, not nvidia/VR-9"):
        judged(desk, Slot, "abilene", "hall-1", "P02", data=SlotVacated(system=NEW))


def test_in_repair_a_system_keeps_its_place(desk):
    """UNT-12: RMA and quarantine take a system out of service, not out of its slot."""
    fleet(desk, "accepted")
    act(desk, "quarantine", ground="Leak", on="2025-05-01")
    assert not rack(desk).in_service
    refused(desk, "UNT-02", "quarantine", ground="Again")
    act(desk, "send-to-rma", rma="RMA-1", ground="Leak", on="2025-05-02")
    said = refused(desk, "UNT-02", "send-to-rma", rma="RMA-1", ground="Leak")
    assert "is in_rma since 2025-05-02" in said
    refused(desk, "UNT-02", "test", **BURN_IN, passed=True)
    assert desk.get(Slot, *PLACE).system == SYSTEM
    act(desk, "return-to-service", on="2025-05-20")
    assert rack(desk).in_service
    assert "in no outage" in refused(desk, "UNT-02", "return-to-service")


def test_what_is_set_aside_is_tested_but_not_accepted(desk):
    """UNT-02: a test may clear the doubt; acceptance waits until it is cleared."""
    fleet(desk, "energised")
    act(desk, "quarantine", ground="Alarm", on="2025-04-10")
    take(desk, "tested")
    said = desk.refuses("UNT-02", **line("accepted"))
    assert "Record 'system return-to-service' first" in said
    act(desk, "return-to-service", on="2025-04-15")
    take(desk, "accepted")


def test_a_component_is_exchanged_for_another(desk):
    """UNT-13: old and new serial differ."""
    fleet(desk, "installed")
    keys = {"component": "tray", "old_serial": "A"}
    refused(desk, "UNT-13", "replace-component", **keys, new_serial="A")
    act(desk, "replace-component", **keys, new_serial="B")


def test_a_replacement_is_linked_and_counts_once(desk):
    """UNT-13: one transaction frees the place, and allocates and registers the new."""
    fleet(desk, "installed")
    act(desk, "reject", ground="Links", on="2025-04-20")
    events = desk.do("system replace", system=SYSTEM, by=NEW, on="2025-04-22")
    assert [event.data.tag() for event in events] == [
        "system.replaced",
        "order.serials_allocated",
        "system.registered",
    ]
    assert events[1].data == SerialsAllocated(line=1, systems=(NEW,), replaces=SYSTEM)
    assert events[1].provenance.causation == events[0].ref
    assert rack(desk).replaced_by == NEW
    assert (rack(desk, NEW).replaces, rack(desk, NEW).state) == (SYSTEM, "allocated")
    assert desk.get(Order, desk.deal, "PO-1").allocated == {1: {NEW: None}}
    refused(desk, "UNT-02", "replace", by="nvidia/VR-10")


def test_a_replacement_is_another_new_serial(desk):
    """UNT-13, UNT-01: not itself, and not one that is registered already."""
    fleet(desk)
    allocate(desk, "nvidia/VR-2")
    assert "cannot replace itself" in refused(desk, "UNT-13", "replace", by=SYSTEM)
    refused(desk, "UNT-01", "replace", by="nvidia/VR-2")
    with pytest.raises(NotFound):
        act(desk, "replace", "nvidia/VR-3", by=NEW)


def test_a_full_or_closed_order_still_takes_a_replacement(desk):
    """ORD-01, UNT-06: a replacement adds nothing to what was ordered."""
    fleet(desk, "accepted")
    desk.do("order change-line", order="PO-1", line=1, new=1)
    desk.do("order close", order="PO-1")
    act(desk, "replace", by=NEW, on="2025-06-01")
    assert desk.get(Slot, *PLACE).system is None
    advance(desk, "installed", NEW, on="2025-06-02")
    assert desk.get(Slot, *PLACE).system == NEW


def test_a_forged_link_is_refused(desk):
    """UNT-13: a recheck finds a replacement that the old system does not know."""
    ordered(desk)
    allocate(desk, SYSTEM, "nvidia/VR-2")
    desk.do("system decommission", system="nvidia/VR-2", ground="G", on="2025-04-01")
    data = Registered(
        order="PO-1",
        line=1,
        sku="vr-nvl72",
        sku_version=1,
        gpu_packages=72,
        gpu_dies=144,
        rated=Power.parse("190 kW"),
        replaces=SYSTEM,
    )
    said = "does not replace nvidia/VR-1, which is allocated"
    with pytest.raises(Refused, match=said):
        judged(desk, System, "nvidia/VR-2", data=data, reason="R")
    act(desk, "replace", by=NEW)
    with pytest.raises(Refused, match="which is replaced by nvidia/VR-9"):
        judged(desk, System, "nvidia/VR-2", data=data, reason="R")


def test_old_and_new_are_never_certified_both(desk):
    """UNT-13: while a certificate counts the old one, none can count the new."""
    fleet(desk, "accepted")
    counted = SystemCertified(certificate=Id("C-1"), watts=Power.parse("190 kW"))
    certify(desk, SYSTEM, counted)
    assert (rack(desk).certificate, rack(desk).certificate_deal) == ("C-1", desk.deal)
    act(desk, "replace", by=NEW, on="2025-06-01")
    assert rack(desk).certificate == "C-1"
    act(desk, "replace", NEW, by="nvidia/VR-10", on="2025-06-02")
    with pytest.raises(Refused, match="VR-1 is replaced by nvidia/VR-9; only one can"):
        certify(desk, "nvidia/VR-10", counted)
    certify(desk, SYSTEM, SystemDecertified(certificate=Id("C-1")))
    assert rack(desk).certificate is None
    certify(desk, "nvidia/VR-10", counted)


def test_a_certificate_counts_a_rack_beyond_its_deal(desk):
    """CER-02 holds for the rack: a second life does not free it of a certificate."""
    fleet(desk, "accepted")
    certify(desk, SYSTEM, SystemCertified(certificate=Id("C-1"), watts=Power(1)))
    act(desk, "decommission", ground="Sold", on="2025-06-01")
    lines = [{"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 1}]
    keys = {"order": "PO-2", "buyer": "orion", "seller": "nvidia", "lines": lines}
    desk.do("order place", **keys, on="2025-06-01")
    allocate(desk, order="PO-2", on="2025-06-02", reason="Back")
    assert (rack(desk).state, rack(desk).certificate) == ("allocated", "C-1")


def test_a_reported_acceptance_counts_for_nothing(desk):
    """FND-15: it is told without a test; confirmed later, it needs all that it needs."""
    fleet(desk, "energised")
    take(desk, "accepted", actor="eve@press", status="reported")
    assert (rack(desk).state, rack(desk).told.state) == ("energised", "accepted")
    assert not rack(desk).in_service
    desk.refuses("UNT-02", **line("accepted"), status="reported")
    desk.refuses("UNT-09", **line("accepted"))
    take(desk, "tested", on="2025-04-15")
    take(desk, "accepted")
    assert rack(desk).in_service
    assert not rack(desk).claims
    desk.refuses("UNT-02", **line("accepted"))


def test_a_reported_test_carries_no_acceptance(desk):
    """FND-15: a confirmed acceptance rests on a confirmed test."""
    fleet(desk, "energised")
    act(desk, "test", **BURN_IN, passed=True, status="reported", on="2025-04-14")
    desk.refuses("UNT-09", **line("accepted"))


def test_what_is_reported_moves_no_system(desk):
    """A reported shipment, outage or derating is told, and takes or adds nothing."""
    fleet(desk)
    keys = {"actor": "eve@press", "status": "reported"}
    act(desk, "ship", shipment="SH-1", on="2025-04-01", **keys)
    assert (rack(desk).state, rack(desk).told.state) == ("allocated", "shipped")
    desk.refuses("UNT-02", **line("received"))
    advance(desk, "accepted")
    act(desk, "quarantine", ground="Rumour", on="2025-05-01", **keys)
    assert rack(desk).in_service
    assert rack(desk).told.outage == "quarantined"
    act(desk, "return-to-service", on="2025-05-02", **keys)
    act(desk, "derate", new="180 kW", on="2025-05-03", **keys)
    told = rack(desk).told
    assert (told.in_service, told.rated) == (True, Power.parse("180 kW"))
    assert (rack(desk).in_service, rack(desk).rated) == (True, Power.parse("190 kW"))
    act(desk, "quarantine", ground="Alarm", on="2025-05-04")
    assert not rack(desk).in_service
    assert [one.subject for one in rack(desk).claims] == [
        "system.returned_to_service",
        "system.derated",
    ]


def test_a_place_raced_by_two_writers_holds_one(desk):
    """UNT-12 under concurrent writers: of two systems, exactly one gets the place."""
    ordered(desk)
    desk.do("order change-line", order="PO-1", line=1, new=40)
    pairs = [(f"nvidia/A-{n}", f"nvidia/B-{n}") for n in range(15)]
    for pair in pairs:
        allocate(desk, *pair)
        for system in pair:
            take(desk, "shipped", system)
            take(desk, "received", system)
    ledgers = [Ledger(open_store(desk.url, desk.clock)) for _ in range(2)]
    for number, pair in enumerate(pairs):
        barrier = Barrier(2)

        def run(turn, barrier=barrier, number=number):
            ledger, system = turn
            barrier.wait()
            request = line("installed", system, place=f"P{number}")
            try:
                return ledger.execute(desk.request(**request))
            except Refused as refusal:
                return refusal.code

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(run, zip(ledgers, pair, strict=True)))
        assert outcomes.count("UNT-12") == 1, outcomes
        assert sorted(rack(desk, s).state for s in pair) == ["installed", "received"]
    for ledger in ledgers:
        ledger.close()
