"""The whole history judged again: clean as it stands, and named where it is not."""

from __future__ import annotations

import shutil

import deals
import pytest
from conftest import Desk
from msgspec.structs import replace
from test_releases import HEADS, RELEASES
from test_views import load

from ledger.audit.recheck import recheck
from ledger.custody.migration import migrate
from ledger.domain.funding import EquityIssued, Funding, TrancheUnlocked
from ledger.domain.transcoding import proposed
from ledger.errors import Refused
from ledger.record.store import open_store
from ledger.rules.registry import RULES
from projections.projector import Projections, view_tables


@pytest.fixture
def stricter():
    """A rule tightened today: no more than 30 million in one unlock."""

    def small_unlocks(_, event):
        if event.data.amount.value > 30_000_000:
            raise Refused(
                f"{event.data.amount} is more than 30 million.", code="FND-99"
            )

    guards = RULES[TrancheUnlocked]
    guards.append(("FND-99", small_unlocks))
    yield
    guards.pop()


def test_both_packaged_deals_are_clean(tmp_path):
    """Today's rules accept every event of both deals, and every figure comes out."""
    desk = Desk(tmp_path / "accord.db")
    load(desk, "openai-nvidia")
    load(desk, "milestone-machine")
    seen = []
    report = recheck(desk.store, lambda done, size: seen.append((done, size)))
    assert report.findings == []
    assert report.events == desk.store.head().size
    assert seen[-1] == (report.events, report.events)
    assert (report.unlocks, report.certificates, report.equity) == (5, 4, 4)
    desk.ledger.close()


@pytest.mark.sqlite
@pytest.mark.parametrize("version", sorted(HEADS))
def test_the_ledgers_of_all_releases_are_clean(tmp_path, version):
    """Unlocks named an agreement by its last entry once, and are no findings for it."""
    url = f"sqlite:///{tmp_path / 'accord.db'}"
    shutil.copy(RELEASES / f"ledger-{version}.db", tmp_path / "accord.db")
    migrate(url, view_tables())
    store = open_store(url)
    report = recheck(store)
    # The file of 0.5.0 has two deals more.
    assert report.findings == []
    assert report.unlocks == (7 if version == "0.5.0" else 5)
    store.close()


def test_a_rule_tightened_later_names_the_events_and_still_loads(desk, stricter):
    """What a tightened rule would refuse is named by code; the record loads as before."""
    guards = RULES[TrancheUnlocked]
    tightened = guards.pop()
    deals.unlocked(desk)
    deals.pay(desk)
    guards.append(tightened)
    (finding,) = recheck(desk.store).findings
    assert (finding.code, finding.type) == ("FND-99", "funding.tranche_unlocked")
    assert finding.what == "40000000.00 USD is more than 30 million."
    views = Projections(desk.store)
    views.catch_up()
    assert views.answer("standing", desk.deal).rows[2].quantity == "40000000.00"
    assert str(desk.get(Funding, desk.deal).paid("main")) == "10000000.00 USD"


def put(desk, kind, data, like):
    """Record an event past all rules, in the manner of another."""
    event = desk.ledger.entry(like)
    funding = desk.get(kind, desk.deal)
    made = proposed(funding.id, funding.version + 1, event.provenance, data)
    desk.ledger.record(made)


def test_a_figure_that_does_not_come_out_is_reported(desk):
    """An unlock, a certificate and equity whose figures are wrong are each named."""
    from ledger.domain.values import Amount, Power

    deals.unlocked(desk)
    deals.pay(desk)
    desk.do(
        "funding issue-equity",
        certificate_no="E-1",
        drawdown="D1",
        share_class="A",
        quantity="100 shares",
        price="100000 USD",
        consideration="10m USD",
        actor=deals.BO,
        on="2025-06-05",
    )
    tags = {i.topic: i.id for i in desk.store.select_notifications(1, 10_000)}
    unlock = desk.ledger.entry(tags["funding.tranche_unlocked"]).data
    equity = desk.ledger.entry(tags["funding.equity_issued"]).data
    issued = desk.ledger.entry(tags["certificate.issued"]).data
    assert isinstance(unlock, TrancheUnlocked)
    assert isinstance(equity, EquityIssued)
    assert recheck(desk.store).findings == []
    like = tags["funding.tranche_unlocked"]
    put(desk, Funding, replace(unlock, cumulative=Amount.parse("39m USD")), like)
    put(desk, Funding, replace(equity, consideration=Amount.parse("9m USD")), like)
    certificate = desk.ledger.entry(tags["certificate.issued"])
    made = proposed(
        certificate.stream,
        6,
        certificate.provenance,
        replace(issued, certified=Power.parse("1 MW")),
    )
    desk.ledger.record(made)
    figures = [f for f in recheck(desk.store).findings if f.code == "figure"]
    assert [(f.type, f.recorded, f.recomputed) for f in figures] == [
        ("funding.tranche_unlocked", "39000000.00 USD", "40000000.00 USD"),
        ("funding.equity_issued", "9000000.00", "10000000"),
        ("certificate.issued", "1000000 W", "100000 W"),
    ]


def test_what_names_nothing_on_the_record_is_reported(desk):
    """An event of a deal that was never opened is named as not found."""
    deals.funded(desk)
    event = desk.ledger.entry(1)
    from ledger.domain.observation import EVENTS, Observations
    from ledger.domain.transcoding import decode

    assert Observations.kind == "observation"
    assert EVENTS
    stray = replace(event.provenance, deal="no-deal")
    facility = next(
        decode(i.state)
        for i in desk.store.select_notifications(1, 10_000)
        if i.topic == "funding.facility_defined"
    )
    desk.ledger.record(proposed("funding/no-deal", 1, stray, facility.data))
    (finding,) = recheck(desk.store).findings
    assert finding.code == "not_found"
    assert "'no-deal' is not on the record" in finding.what


def test_a_history_without_what_a_rule_looks_up_is_told(desk):
    """A system registered past its allocation is a finding, not an accident."""
    deals.in_effect(desk)
    deals.racks(desk, "R1", "R2")
    item = desk.store.select_notifications(1, 1, topics=["system.registered"])[0]
    event = desk.ledger.entry(item.id)
    data = replace(event.data, line=1)
    desk.ledger.record(proposed("system/maker/R9", 1, event.provenance, data))
    other = replace(event.data, sku_version=7)
    desk.ledger.record(proposed("system/maker/R10", 1, event.provenance, other))
    deals.batch(desk, *deals.life("maker/R10", "test"))
    item = desk.store.select_notifications(1, 1, topics=["system.accepted"])[0]
    accepted = desk.ledger.entry(item.id)
    data = replace(accepted.data, test="system/maker/R10@6")
    desk.ledger.record(proposed("system/maker/R10", 7, accepted.provenance, data))
    found = recheck(desk.store).findings
    assert [finding.stream for finding in found] == [
        "system/maker/R9",
        "system/maker/R10",
        "system/maker/R10",
    ]
    assert "A rule looks up 7, which is not on the record" in found[2].what
