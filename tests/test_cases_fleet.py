"""Systems that 0.4.0 counted wrongly: each input, with the right answer, and the laws."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from casebook import DEAL, lines, load, rows
from conftest import Desk
from fleet import SKU, STEPS, SYSTEM, advance, allocate, opened, ordered
from msgspec.structs import replace

from ledger.domain.order import Order
from ledger.domain.system import LADDER, System
from ledger.errors import AccordError
from projections.engine.view import Book
from projections.explain.changes import Player, tables_of
from projections.projector import Projections
from projections.views.fleet import FLEET, systems, systems_at, totals_of

RUNGS = ("ordered", *LADDER)


def rungs(desk: Desk, deal: str, as_of: date | None = None) -> list[int]:
    """The rated watts of a deal from `ordered` to `accepted`."""
    projections = Projections(desk.store)
    projections.catch_up()
    with projections.reading(as_of) as reading:
        return list(totals_of(reading.book(deal, FLEET)).rated().values())


def shown(desk: Desk, deal: str, **asked: str) -> dict[str, str]:
    """The systems that `accord systems` lists of a deal, each with its state."""
    projections = Projections(desk.store)
    projections.catch_up()
    with projections.reading() as reading:
        return {one.system: one.state for one in systems(reading, deal, asked)}


def test_what_is_set_aside_counts_no_further_than_it_came(desk):
    """A rack that is quarantined on arrival is received, and not installed."""
    load(desk, "04")
    before = rungs(desk, DEAL)
    keys = {"system": "maker/S001", "ground": "wet crate", "actor": "tom@run-co"}
    desk.do("system quarantine", on="2024-02-03", **keys)
    assert before == rungs(desk, DEAL) == [100_000, 100_000, 100_000, 0, 0, 0]
    assert shown(desk, DEAL) == {"maker/S001": "quarantined"}


def test_the_curve_takes_in_a_derating_in_repair(desk):
    """A rack comes back from repair with the watts that it was derated to there."""
    load(desk, "19a")
    curve = {month.month: month.accepted for month in rows(desk, "capacity")}
    assert curve == {"2024-02": "100000", "2024-03": "90000"}


def test_the_curve_judges_no_month_that_has_not_come(desk):
    """Of a month after the day asked for, nothing is accepted, short, or late."""
    load(desk, "19a")
    points = [
        {"month": "2024-02", "capacity": "200 kW"},
        {"month": "2024-05", "capacity": "1 MW"},
    ]
    desk.do("plan baseline", points=points, on="2024-01-11")
    of_may = [m for m in rows(desk, "capacity", date(2024, 5, 1)) if m.month[5:] > "03"]
    of_march = rows(desk, "capacity", date(2024, 3, 31))
    assert [(m.accepted, m.variance, m.spi) for m in of_may] == [
        ("90000", "-910000", "0.09")
    ]
    assert [(m.month, m.accepted, m.variance, m.spi) for m in of_march] == [
        ("2024-02", "100000", "-100000", "0.50"),
        ("2024-03", "90000", None, None),
        ("2024-05", None, None, None),
    ]
    assert of_march[-1].baseline == "1000000"


def test_what_is_only_reported_counts_nowhere(desk):
    """A reported order, registration or shipment moves no figure of the fleet."""
    ordered(desk)
    keys = {"status": "reported", "actor": "eve@press"}
    line = {"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 9}
    place = {"buyer": "orion", "seller": "nvidia", "lines": [line], "on": "2025-03-01"}
    desk.do("order place", order="PO-9", **place, **keys)
    allocate(desk, "nvidia/VR-9", order="PO-9", **keys)
    allocate(desk)
    desk.do("system ship", system=SYSTEM, shipment="S", on="2025-04-01", **keys)
    assert rungs(desk, "acme-orion") == [760_000, 0, 0, 0, 0, 0]
    assert shown(desk, "acme-orion") == {SYSTEM: "allocated"}
    assert desk.get(Order, "acme-orion", "PO-9").state == "none"
    assert desk.get(System, "nvidia/VR-9").told.state == "allocated"
    desk.do("order place", order="PO-9", **place)
    assert rungs(desk, "acme-orion")[0] == 13 * 190_000


def test_a_rack_that_never_left_the_maker_is_not_shipped(desk):
    """Decommissioned before shipment it counts as ordered, and no further."""
    ordered(desk)
    allocate(desk)
    desk.do("system decommission", system=SYSTEM, ground="Fire", on="2025-03-11")
    assert rungs(desk, "acme-orion") == [760_000, 0, 0, 0, 0, 0]


def test_what_was_replaced_counts_nowhere_any_more(desk):
    """Another serial stands in its place: not even its own end brings it back."""
    ordered(desk)
    allocate(desk)
    advance(desk, "accepted", rated="180 kW")
    assert rungs(desk, "acme-orion") == [750_000, *[180_000] * 5]
    keys = {"system": SYSTEM, "on": "2025-05-01"}
    desk.do("system replace", by="nvidia/VR-9", **keys)
    assert rungs(desk, "acme-orion") == [760_000, 0, 0, 0, 0, 0]
    desk.do("system decommission", ground="Scrap", **keys)
    assert rungs(desk, "acme-orion") == [760_000, 0, 0, 0, 0, 0]


def again(desk: Desk, deal: str, order: str = "PO-2", on: str = "2025-06-02") -> None:
    """Register the first rack anew, on another order of a deal."""
    line = {"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 1}
    keys = {"deal": deal, "order": order, "on": on}
    desk.do("order place", buyer="orion", seller="nvidia", lines=[line], **keys)
    given = {"line": 1, "systems": [SYSTEM], "reason": "Moved"}
    desk.do("order allocate", **given, **keys)


def test_a_rack_registered_anew_is_one_rack(desk):
    """In a second life under the same deal it stands where that one has come."""
    ordered(desk)
    allocate(desk)
    advance(desk, "accepted")
    desk.do("system decommission", system=SYSTEM, ground="Moved", on="2025-06-01")
    assert rungs(desk, "acme-orion") == [760_000, 190_000, 0, 0, 0, 0]
    again(desk, "acme-orion")
    assert shown(desk, "acme-orion") == {SYSTEM: "allocated"}
    assert [(r.state, r.systems) for r in rows(desk, "fleet", deal="acme-orion")] == [
        ("allocated", 1)
    ]
    assert rungs(desk, "acme-orion") == [950_000, 0, 0, 0, 0, 0]


def test_a_rack_that_moved_counts_under_one_deal(desk):
    """Registered under another deal, it leaves the first one; reversed, it is back."""
    ordered(desk)
    opened(desk, "acme-vega")
    desk.do("sku define", deal="acme-vega", on="2025-02-01", **SKU)
    allocate(desk)
    advance(desk, "accepted", rated="180 kW")
    desk.do("system decommission", system=SYSTEM, ground="Moved", on="2025-06-01")
    first = rungs(desk, "acme-orion")
    assert first == [750_000, 180_000, 0, 0, 0, 0]
    again(desk, "acme-vega")
    assert rungs(desk, "acme-orion") == [760_000, 0, 0, 0, 0, 0]
    assert shown(desk, "acme-orion") == {}
    assert shown(desk, "acme-vega") == {SYSTEM: "allocated"}
    everywhere = rows(desk, "fleet", deal=None)
    assert [(one["deal"], one["systems"]) for one in everywhere] == [("acme-vega", 1)]
    played = Projections(desk.store)
    with played.reading() as reading:
        player = Player(reading, "acme-orion")
        steps = list(player.play())
        assert player.tables == tables_of(reading, "acme-orion")
        assert any(c.row == "capacity/shipped" for c in steps[-1].changes)
    # As of a day before it moved, and as known before, it is where it was.
    assert rungs(desk, "acme-orion", date(2025, 6, 1)) == first
    last = desk.store.head().size
    keys = {"deal": "acme-vega", "reason": "Wrong rack"}
    desk.do("reverse request", positions=[last - 1, last], **keys)
    desk.do("reverse approve", reversal="R-1", actor="bo@orion", deal="acme-vega")
    assert rungs(desk, "acme-orion") == first


@pytest.mark.parametrize("seed", range(6))
def test_the_ladder_holds_whatever_happens(desk, seed):
    """No rung exceeds the one below, and each is what the rules' own systems say.

    Every rack counts once, over all deals; the curve ends where the ladder does; a
    fold from the first event gives the same rows.
    """
    deals, end = ("acme-orion", "acme-vega"), wander(desk, random.Random(seed))  # noqa: S311 - no secret
    projections = Projections(desk.store)
    projections.catch_up()
    projections.verify()
    found: Counter[str] = Counter()
    with projections.reading() as reading:
        for deal in deals:
            book = reading.book(deal, FLEET)
            check_against_rules(desk, book)
            found.update(one.system for one in systems(reading, deal, {}))
    assert set(found.values()) <= {1}
    for deal in deals:
        curve = [m for m in rows(desk, "capacity", deal=deal) if m.accepted]
        assert int(curve[-1].accepted if curve else 0) == rungs(desk, deal)[-1]
        for back in range(0, (end - date(2025, 3, 1)).days, 9):
            ladder = rungs(desk, deal, end - timedelta(days=back))
            assert ladder == sorted(ladder, reverse=True), (deal, back)


def check_against_rules(desk: Desk, book: Book) -> None:
    """Hold a page's systems, orders and totals against the aggregates."""
    expected = Counter(
        ordered=sum(desk.get(Order, book.deal, f"PO-{n}").watts for n in range(1, 4))
    )
    for name in (*SERIALS, *SPARE):
        truth = desk.get(System, name)
        if truth.deal != book.deal or not truth.exists:
            continue
        expected["ordered"] += truth.beyond_w
        for rung in LADDER[: LADDER.index(truth.rung) + 1] if truth.rung else ():
            expected[rung] += truth.rated_w
        page = book.get(System, name)
        # How much is on the stream is of all its deals.
        heads = {"entries": 0, "version": 0, "last_on": date.min, "claims": ()}
        assert replace(page, **heads) == replace(truth, **heads)
        own = [one.ref for one in truth.claims if one.provenance.deal == book.deal]
        assert [one.ref for one in page.claims] == own
    totals = totals_of(book)
    assert totals.rated() == {rung: expected[rung] for rung in RUNGS}
    for rung in LADDER:
        found = sum(one.rated_w for one in systems_at(book, rung))
        assert found == expected[rung]


SERIALS = [f"nvidia/VR-{number}" for number in range(6)]
SPARE = [f"nvidia/VR-{number}" for number in range(6, 12)]


def wander(desk: Desk, chance: random.Random) -> date:
    """Try commands at random on racks of two deals; the last day on which one was."""
    for deal in ("acme-orion", "acme-vega"):
        ordered(desk, deal)
        for order in ("PO-2", "PO-3"):
            line = {"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 3}
            parties = {"buyer": "orion", "seller": "nvidia", "lines": [line]}
            desk.do("order place", deal=deal, order=order, on="2025-03-01", **parties)
    day = date(2025, 3, 1)
    for _ in range(220):
        day += timedelta(days=chance.choice((0, 0, 1)))
        given = attempt(desk, chance)
        if chance.random() < 0.15:
            given |= {"status": "reported", "actor": "eve@press"}
        with suppress(AccordError):
            desk.do(**given, on=day.isoformat())
        if chance.random() < 0.1:
            Projections(desk.store).catch_up()
    return day


def attempt(desk: Desk, chance: random.Random) -> dict[str, Any]:
    """A command on some rack or order: mostly the next step of its life."""
    name = chance.choice(SERIALS if chance.random() < 0.8 else SPARE)
    order = {"order": chance.choice(("PO-1", "PO-2", "PO-3"))}
    known = desk.get(System, name)
    deal = {"deal": known.deal or chance.choice(("acme-orion", "acme-vega"))}
    if known.state in {"none", "decommissioned"}:
        deal["deal"] = chance.choice(("acme-orion", "acme-vega"))
        keys = {"line": 1, "systems": [name], "reason": "New"}
        return {"command": "order allocate", **order, **keys, **deal}
    if chance.random() < 0.05:
        keys = {"line": 1, "new": chance.randrange(1, 6)}
        return {"command": "order change-line", **order, **keys, **deal}
    if chance.random() < 0.03:
        return {"command": "order cancel", **order, **deal}
    if chance.random() < 0.55:
        done = [*STEPS].index(known.state) if known.state in STEPS else -1
        step = [*STEPS][min(done + 1, len(STEPS) - 1)]
        if known.state == "energised":
            step = "accepted" if known.tests and chance.random() < 0.7 else "tested"
        verb, keys, _, actor = STEPS[step]
        keys = {**keys, "actor": actor}
        if "place" in keys:
            keys["place"] = name.rpartition("/")[2]
        if step == "accepted":
            keys["rated"] = f"{chance.randrange(180, 200)} kW"
        return {"command": f"system {verb}", "system": name, **keys, **deal}
    verb, keys = chance.choice(OTHERS)
    keys = dict(keys)
    if "by" in keys:
        keys["by"] = chance.choice(SPARE)
    return {"command": f"system {verb}", "system": name, **keys, **deal}


OTHERS: list[tuple[str, dict[str, str]]] = [
    ("quarantine", {"ground": "Doubt"}),
    ("send-to-rma", {"rma": "R", "ground": "Leak"}),
    ("return-to-service", {}),
    ("return-to-service", {}),
    ("derate", {"new": "178 kW"}),
    ("reject", {"ground": "Links"}),
    ("return", {"ground": "Beyond repair"}),
    ("decommission", {"ground": "Old"}),
    ("decommission", {"ground": "Old"}),
    ("replace", {"by": ""}),
]


def test_every_case_is_told_by_its_lines():
    """The inputs are those that the release was given."""
    assert len(lines("04")) == 9
    assert len(lines("19a")) == 16
