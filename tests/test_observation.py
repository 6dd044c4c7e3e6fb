"""Observations: what was seen outside the deal, each counted once it is confirmed."""

from __future__ import annotations

from datetime import date

import pytest

from ledger.domain.observation import Observations, PriceObserved
from ledger.domain.values import Price
from ledger.errors import NotFound
from projections.projector import Projections

SOURCE = [{"title": "A source"}]
REPORTED = [{"title": "A report", "grade": "R"}]


@pytest.fixture
def deal(desk):
    desk.do(
        "agreement open",
        title="Acme and Orion",
        capital=["acme"],
        capacity=["orion"],
        on="2025-01-01",
    )
    return desk


def observe(desk, verb, **keys):
    return desk.data(f"observation {verb}", **{"evidence": SOURCE, **keys})


def refused(desk, verb, **keys):
    return desk.refuses("OBS-01", f"observation {verb}", **{"evidence": SOURCE, **keys})


def seen(desk):
    return desk.get(Observations, desk.deal)


def test_a_price_is_observed(deal):
    """A price stands with its method, window and day."""
    keys = {"instrument": "ACME", "price": "231.50 USD", "method": "vwap", "days": 20}
    price = PriceObserved(**{**keys, "price": Price.parse("231.50 USD")})
    assert observe(deal, "price", **keys, on="2025-03-01") == [price]
    (found,) = seen(deal).prices("ACME")
    assert (found.price, found.method, found.days) == (price.price, "vwap", 20)
    assert (str(found.on), found.ref) == ("2025-03-01", "observation/acme-orion@1")
    assert seen(deal).prices("ACM") == []


def test_a_price_is_above_zero_over_a_day_or_more(deal):
    """OBS-01: no price of nothing, and none over no days."""
    assert "was not observed" in refused(
        deal, "price", instrument="ACME", price="0 USD"
    )
    refused(deal, "price", instrument="ACME", price="1 USD", days=0)


def test_events_and_attestations_are_kept_from_their_first_day(deal):
    """The observation of the first day is the one that counts, whenever it came in."""
    for on in ("2025-03-05", "2025-03-01", "2025-04-01"):
        observe(deal, "corporate-event", kind="listing", party="orion", on=on)
        observe(deal, "attest", label="redacted-1", by="Panel", on=on)
    first = seen(deal)
    assert str(first.corporate_events["listing"][0]) == "2025-03-01"
    assert str(first.attestations["redacted-1"][0]) == "2025-03-01"


def test_a_reported_observation_counts_for_nothing(deal):
    """FND-15: a report stands on the record, and satisfies no trigger."""
    observe(deal, "price", instrument="ACME", price="9 USD", evidence=REPORTED)
    observe(deal, "corporate-event", kind="listing", evidence=REPORTED)
    observe(deal, "attest", label="x", by="Panel", evidence=REPORTED)
    keys = {"default": "D1", "party": "orion", "ground": "Rumour"}
    observe(deal, "declare-default", **keys, evidence=REPORTED)
    nothing = seen(deal)
    assert nothing.version == 4
    assert not nothing.prices("ACME")
    assert not nothing.corporate_events
    assert not nothing.attestations
    assert not nothing.defaults


def test_a_default_is_declared_and_cured_once(deal):
    """OBS-01: a default is open from its declaration to its cure, and has one life."""
    keys = {"default": "D1", "party": "orion", "ground": "Interest unpaid"}
    assert "not open; open are: none" in refused(deal, "cure-default", default="D1")
    observe(deal, "declare-default", **keys, on="2025-03-01")
    assert "D1" in seen(deal).defaults
    assert "open since 2025-03-01" in refused(deal, "declare-default", **keys)
    observe(deal, "cure-default", default="D1", on="2025-03-05", status="reported")
    assert "D1" in seen(deal).defaults
    deal.refuses("REC-12", "observation cure-default", default="D1", on="2025-02-28")
    observe(deal, "cure-default", default="D1", on="2025-03-10")
    assert not seen(deal).defaults
    assert "declared and cured before" in refused(deal, "declare-default", **keys)
    assert "not open" in refused(deal, "cure-default", default="D1")


def test_the_view_lists_reports_and_says_when_a_default_was_cured(deal):
    """A report of a cure has a line of its own; the cure shows beside the default."""
    keys = {"default": "D1", "party": "orion", "ground": "Interest unpaid"}
    observe(deal, "declare-default", **keys, on="2025-03-01", evidence=REPORTED)
    observe(deal, "declare-default", **keys, on="2025-03-02")
    observe(deal, "cure-default", default="D1", on="2025-03-05", status="reported")
    observe(deal, "cure-default", default="D1", on="2025-03-10")
    views = Projections(deal.store)
    views.catch_up()
    shown = views.answer("observations", deal.deal).rows
    assert [(row.kind, row.status, row.cured_on) for row in shown] == [
        ("default_declared", "reported", None),
        ("default_declared", "confirmed", "2025-03-10"),
        ("default_cured", "reported", None),
    ]
    before = views.answer("observations", deal.deal, as_of=date(2025, 3, 4)).rows
    assert [row.cured_on for row in before] == [None, None]


def test_a_cure_without_its_default_breaks_no_fold(deal):
    """History loads for ever: curing what was not declared changes nothing."""
    keys = {"default": "D1", "party": "orion", "ground": "Interest unpaid"}
    observe(deal, "declare-default", **keys)
    (cure,) = deal.do("observation cure-default", default="D1", evidence=SOURCE)
    empty = Observations("observation/other")
    cure.data.apply(empty, cure)
    assert empty.cured == set()
    assert empty.default("D1") is None


def test_a_default_is_of_the_other_party(deal):
    """OBS-01: nobody declares itself, or a stranger, in default."""
    keys = {"default": "D1", "ground": "G"}
    assert "vega is no party" in refused(deal, "declare-default", party="vega", **keys)
    said = refused(deal, "declare-default", party="acme", **keys)
    assert "acme cannot declare itself in default" in said


def test_an_observation_belongs_to_a_deal(deal):
    """A deal that is not on the record has no observations."""
    with pytest.raises(NotFound, match="'nowhere'"):
        observe(deal, "attest", label="x", by="Panel", deal="nowhere")
