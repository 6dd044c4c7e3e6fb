"""SKUs, orders and registration: ORD-01, UNT-01, UNT-06, UNT-07, UNT-14."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import msgspec
import pytest
from fleet import LINE, SKU, SYSTEM, advance, allocate, opened, ordered

from ledger.application import Ledger
from ledger.domain.aggregate import fold
from ledger.domain.order import Order, OrderLine, OrderPlaced, SerialsAllocated
from ledger.domain.sku import Sku
from ledger.domain.system import Registered, System
from ledger.domain.values import Power
from ledger.errors import InvalidValue, NotFound, Refused
from ledger.record.store import open_store
from ledger.rules.rulebook import check

ORDER = {"order": "PO-1", "buyer": "orion", "seller": "nvidia", "lines": [LINE]}


def order(desk):
    return desk.get(Order, desk.deal, "PO-1")


def test_a_sku_has_versions_that_count_up(desk):
    """UNT-07: each version is fixed; the next one has the next number, and day."""
    opened(desk)
    desk.do("sku define", **SKU, on="2025-02-01")
    desk.do("sku define", **{**SKU, "rated": "200 kW"}, sku_version=2, on="2025-02-02")
    sku = desk.get(Sku, desk.deal, "vr-nvl72")
    assert [str(v.rated) for v in sku.versions.values()] == ["190000 W", "200000 W"]
    assert sku.defined_on[2] == date(2025, 2, 2)
    said = desk.refuses("UNT-07", "sku define", **SKU, sku_version=2)
    assert "Version 2 of vr-nvl72 does not follow version 2" in said
    desk.refuses("REC-12", "sku define", **SKU, on="2025-02-01")
    with pytest.raises(NotFound):
        desk.do("sku define", **SKU, deal="nowhere")


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("UNT-07", {"gpu_packages": 0}),
        ("UNT-07", {"gpu_dies": 0}),
        ("UNT-11", {"rated": "169 kW"}),
        ("UNT-11", {"rated": "231 kW"}),
        ("UNT-11", {"rated": "0 W", "rated_least": "0 W"}),
    ],
)
def test_a_sku_has_plausible_figures(desk, code, changed):
    """UNT-07, UNT-11: counts are positive, and the rating within its own limits."""
    opened(desk)
    desk.refuses(code, "sku define", **{**SKU, **changed})


def test_an_order_copies_the_rating(desk):
    """A line is rated as its SKU version; the buyer earns, or whom the order names."""
    opened(desk)
    desk.do("sku define", **SKU, on="2025-02-01")
    lines = [{**LINE, "unit_price": "3500000 USD"}]
    (placed,) = desk.data("order place", **{**ORDER, "lines": lines})
    assert isinstance(placed, OrderPlaced)
    assert placed.lines[0].rated == Power.parse("190 kW")
    assert order(desk).earning_party == "orion"
    desk.do("order place", **{**ORDER, "order": "PO-2"}, earning_party="acme")
    assert desk.get(Order, desk.deal, "PO-2").earning_party == "acme"
    with pytest.raises(InvalidValue, match="unknown field `rated`"):
        desk.do("order place", **{**ORDER, "lines": [{**LINE, "rated": "1 W"}]})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "'PO-1' is already on the record"),
        ({"order": "PO-2", "buyer": "nvidia"}, "cannot order from itself"),
        ({"order": "PO-2", "lines": []}, "has no lines"),
        ({"order": "PO-2", "lines": [LINE, LINE]}, "given are [1, 1]"),
        ({"order": "PO-2", "lines": [{**LINE, "line": 0}]}, "given are [0]"),
        ({"order": "PO-2", "lines": [{**LINE, "quantity": 0}]}, "orders 0"),
    ],
)
def test_an_order_is_sound(desk, changed, said):
    """ORD-01: placed once, between two, in numbered lines of at least one system."""
    ordered(desk)
    assert said in desk.refuses("ORD-01", "order place", **{**ORDER, **changed})


def test_an_order_names_skus_that_count(desk):
    """UNT-07: a version that is defined, of a platform of the terms, by that day."""
    opened(desk, platforms=["vr-nvl72"])
    desk.do("sku define", **SKU, on="2025-02-01")
    desk.do("sku define", **{**SKU, "sku": "gb300"}, on="2025-02-01")
    said = desk.refuses(
        "UNT-07", "order place", **{**ORDER, "lines": [{**LINE, "sku_version": 2}]}
    )
    assert "vr-nvl72 has no version 2 in acme-orion; known: 1" in said
    said = desk.refuses(
        "UNT-07", "order place", **{**ORDER, "lines": [{**LINE, "sku": "x"}]}
    )
    assert "known: none" in said
    said = desk.refuses(
        "UNT-07", "order place", **{**ORDER, "lines": [{**LINE, "sku": "gb300"}]}
    )
    assert "gb300 does not count toward acme-orion; its platforms are vr-nvl72" in said
    desk.refuses("REC-12", "order place", **ORDER, on="2025-01-31")
    desk.do("order place", **ORDER, on="2025-02-01")


def test_an_order_moves_along_its_states(desk):
    """ORD-01: acknowledged once; closed or cancelled, it takes nothing more."""
    ordered(desk)
    desk.refuses("REC-12", "order acknowledge", order="PO-1", on="2025-02-28")
    desk.do("order acknowledge", order="PO-1", on="2025-03-02")
    assert order(desk).state == "acknowledged"
    said = desk.refuses("ORD-01", "order acknowledge", order="PO-1")
    assert "PO-1 is acknowledged; 'order acknowledge' needs placed" in said
    desk.do("order cancel", order="PO-1")
    assert order(desk).state == "cancelled"
    keys = {"order": "PO-1", "line": 1, "systems": [SYSTEM]}
    desk.refuses("ORD-01", "order allocate", **keys)
    desk.refuses("ORD-01", "order close", order="PO-1")
    with pytest.raises(NotFound, match="Order 'PO-9'"):
        desk.do("order cancel", order="PO-9")


def test_an_order_is_closed_when_fulfilled(desk):
    """ORD-01: every line is allocated in full, or changed to what was delivered."""
    ordered(desk)
    allocate(desk)
    assert "has 1 of 4 allocated" in desk.refuses("ORD-01", "order close", order="PO-1")
    desk.do("order change-line", order="PO-1", line=1, new=1)
    desk.do("order close", order="PO-1")
    assert order(desk).state == "closed"


def test_a_line_covers_what_is_allocated(desk):
    """ORD-01: a quantity never falls below what is allocated, nor to nothing."""
    ordered(desk)
    change = {"command": "order change-line", "order": "PO-1", "line": 1}
    desk.refuses("ORD-01", **change, new=0)
    desk.refuses("ORD-01", **change, new=4)
    allocate(desk, "nvidia/VR-1", "nvidia/VR-2")
    said = desk.refuses("ORD-01", **change, new=1)
    assert "orders 4 and has 2 allocated; it cannot change to 1" in said
    desk.do(**change, new=2)
    assert order(desk).lines[1].quantity == 2
    said = desk.refuses("ORD-01", **{**change, "line": 7}, new=2)
    assert "PO-1 has no line 7; known: 1" in said


def test_history_loads_whatever_it_says(desk):
    """A change of a line that the order never had is read, and changes nothing."""
    ordered(desk)
    (changed,) = desk.do("order change-line", order="PO-1", line=1, new=2)
    identity = msgspec.structs.replace(changed.identity, version=1)
    stray = msgspec.structs.replace(changed, identity=identity)
    assert fold(Order, changed.stream, [stray]).lines == {}


def test_allocation_registers_each_serial(desk):
    """One entry allocates and registers; packages and dies come from the SKU."""
    ordered(desk)
    events = desk.do("order allocate", order="PO-1", line=1, systems=[SYSTEM])
    assert [event.data for event in events] == [
        SerialsAllocated(line=1, systems=(SYSTEM,)),
        Registered(
            order="PO-1",
            line=1,
            sku="vr-nvl72",
            sku_version=1,
            gpu_packages=72,
            gpu_dies=144,
            rated=Power.parse("190 kW"),
        ),
    ]
    assert events[1].stream == "system/nvidia/VR-1"
    assert events[1].provenance.causation == events[0].ref
    system = desk.get(System, SYSTEM)
    assert (system.state, system.system) == ("allocated", SYSTEM)
    assert order(desk).allocated == {1: {SYSTEM: None}}


def test_no_more_is_allocated_than_ordered(desk):
    """UNT-06: the line's quantity is the limit; UNT-01: each serial stands once."""
    ordered(desk)
    keys = {"order": "PO-1", "line": 1}
    many = [f"nvidia/VR-{number}" for number in range(5)]
    said = desk.refuses("UNT-06", "order allocate", **keys, systems=many)
    assert "Line 1 ordered 4; 5 would be allocated" in said
    said = desk.refuses("UNT-01", "order allocate", **keys, systems=[])
    assert "No system would be allocated to line 1 of PO-1." in said
    desk.refuses("UNT-01", "order allocate", **keys, systems=[SYSTEM, SYSTEM])
    allocate(desk)
    said = desk.refuses("UNT-01", "order allocate", **keys, systems=[SYSTEM])
    assert "nvidia/VR-1 would be allocated to line 1 of PO-1 twice" in said
    allocate(desk, *many[2:])


def test_a_system_is_registered_once_across_all_deals(desk):
    """UNT-01: the second registration names where the first one is."""
    ordered(desk)
    ordered(desk, "acme-vega")
    allocate(desk)
    keys = {"order": "PO-1", "line": 1, "systems": [SYSTEM]}
    said = desk.refuses("UNT-01", "order allocate", **keys, deal="acme-vega")
    assert "already registered under order PO-1 of acme-orion" in said


def test_a_system_is_by_the_maker_of_its_sku(desk):
    """UNT-07: a serial of another maker is another system."""
    ordered(desk)
    keys = {"order": "PO-1", "line": 1, "systems": ["nvidai/VR-1"]}
    said = desk.refuses("UNT-07", "order allocate", **keys)
    assert "nvidai/VR-1 is by nvidai; vr-nvl72 is by nvidia" in said


def test_a_decommissioned_system_moves_with_a_reason(desk):
    """UNT-14: between deals only by decommissioning, a later day, and a reason."""
    ordered(desk)
    ordered(desk, "acme-vega")
    allocate(desk)
    advance(desk, "accepted")
    keys = {"deal": "acme-vega", "order": "PO-1", "line": 1, "systems": [SYSTEM]}
    said = desk.refuses("UNT-14", "system ship", system=SYSTEM, shipment="S", deal="acme-vega")  # fmt: skip
    assert "nvidia/VR-1 is under acme-orion, not acme-vega" in said
    desk.do("system decommission", system=SYSTEM, ground="Moved", on="2025-06-01")
    said = desk.refuses("UNT-14", "order allocate", **keys)
    assert "was decommissioned under acme-orion on 2025-06-01" in said
    desk.refuses("REC-12", "order allocate", **keys, reason="Sold", on="2025-05-31")
    desk.do("order allocate", **keys, reason="Sold", on="2025-06-02")
    system = desk.get(System, SYSTEM)
    assert (system.deal, system.state, system.tests) == ("acme-vega", "allocated", ())
    assert system.received_on is None


def propose(desk, kind, *ids, data):
    """An event as a command would propose it, judged by the rules alone."""
    from ledger.commands.decision import Decision
    from ledger.domain.aggregate import stream_of
    from ledger.domain.transcoding import proposed

    decision = Decision(desk.ledger, desk.clock)
    (last,) = desk.ledger.execute(desk.request("order place", **{
        **ORDER, "order": "PO-77"
    })).events  # fmt: skip
    event = proposed(stream_of(kind, *ids), 1, last.provenance, data)
    with pytest.raises(Refused) as refusal:
        check(decision, event)
    return refusal.value


def test_a_forged_rating_is_refused(desk):
    """UNT-07: a recheck finds an order line that is not rated as its SKU."""
    ordered(desk)
    line = OrderLine(
        line=1, sku="vr-nvl72", sku_version=1, quantity=1, rated=Power.parse("1 W")
    )
    data = OrderPlaced(buyer="orion", seller="nvidia", lines=(line,))
    refusal = propose(desk, Order, desk.deal, "PO-8", data=data)
    assert refusal.code == "UNT-07"
    assert "Line 1 says 1 W" in str(refusal)


def test_a_registration_without_allocation_is_refused(desk):
    """UNT-07: a recheck finds a system that no order line allocated."""
    ordered(desk)
    allocate(desk)
    data = Registered(
        order="PO-1",
        line=1,
        sku="vr-nvl72",
        sku_version=1,
        gpu_packages=72,
        gpu_dies=144,
        rated=Power.parse("190 kW"),
    )
    refusal = propose(desk, System, "nvidia/VR-2", data=data)
    assert refusal.code == "UNT-07"
    assert "nvidia/VR-2 is not as line 1 of PO-1 orders it" in str(refusal)


def test_a_serial_raced_by_two_writers_is_registered_once(desk):
    """UNT-01 under concurrent writers: of two deals, exactly one gets the serial."""
    deals = ["acme-orion", "acme-vega"]
    for deal in deals:
        ordered(desk, deal)
    ledgers = [Ledger(open_store(desk.url, desk.clock)) for _ in deals]
    for number in range(20):
        barrier, system = Barrier(2), f"nvidia/RACE-{number}"
        for deal in deals:
            desk.do(
                "order change-line", deal=deal, order="PO-1", line=1, new=90 + number
            )

        def run(pair, barrier=barrier, system=system):
            ledger, deal = pair
            keys = {"order": "PO-1", "line": 1, "systems": [system], "deal": deal}
            barrier.wait()
            try:
                return ledger.execute(desk.request("order allocate", **keys))
            except Refused as refusal:
                return refusal.code

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(run, zip(ledgers, deals, strict=True)))
        assert outcomes.count("UNT-01") == 1, outcomes
        assert desk.get(System, system).version == 1
    for ledger in ledgers:
        ledger.close()
