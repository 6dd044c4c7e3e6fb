"""Rules of the record itself: REC-07, REC-11, REC-13, one fact a test."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from conftest import Desk
from vandal import SIGNED, TERMS

from ledger.commands.decision import Decision
from ledger.domain.agreement import DefinitiveSigned, Terms
from ledger.domain.catalogue import EVENTS
from ledger.domain.certificate import Issued
from ledger.domain.event import Event, EventData
from ledger.domain.funding import DisbursementSettled
from ledger.domain.provenance import Evidence
from ledger.domain.transcoding import proposed
from ledger.domain.values import Amount, Id, Power, Slug
from ledger.errors import Refused
from ledger.rules.record import (
    EVIDENCE,
    confirmed_by_a_primary_text,
    document_is_attached,
    not_in_the_future,
)
from ledger.rules.registry import RULES

W = Power(1)
SIGN: dict[str, Any] = {"signatories": ["acme", "orion"], "terms": TERMS}


def opened(desk: Desk) -> Event[Any]:
    (event,) = desk.do(
        "agreement open", title="T", capital=["acme"], capacity=["orion"]
    )
    return event


@pytest.mark.parametrize(
    ("evidence", "attached"),
    [
        ([], "attached: none"),
        ([{"title": "A page"}], "attached: None"),
        ([{"title": "A letter", "kind": "letter"}], "attached: letter"),
        (
            [
                {"title": "A copy", "kind": "signed_agreement", "grade": "S"},
                {"title": "P"},
            ],
            "attached: None",
        ),
    ],
)
def test_a_signature_names_its_document(
    desk: Desk, evidence: list[dict[str, str]], attached: str
) -> None:
    """REC-07: a definitive agreement rests on the signed agreement itself."""
    opened(desk)
    text = desk.refuses(
        "REC-07", "agreement sign-definitive", **SIGN, evidence=evidence
    )
    assert (
        "agreement.definitive_signed needs evidence of the kind 'signed_agreement'"
        in text
    )
    assert attached in text
    assert """--evidence '[{"title": "…", "kind": "signed_agreement"}]'""" in text
    desk.do("agreement sign-definitive", **SIGN, evidence=SIGNED + evidence)


def test_a_reported_signature_needs_no_document(desk: Desk) -> None:
    """REC-07 asks nothing of what is only reported."""
    opened(desk)
    desk.do(
        "agreement sign-definitive", **SIGN, evidence=[{"title": "R", "grade": "R"}]
    )
    desk.do("agreement sign-definitive", **SIGN, status="disputed")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            DefinitiveSigned(signatories=(), terms=Terms()),
            "signed_agreement",
        ),
        (
            Issued(issuer=Slug("eng"), rated=W, certified=W, basis="rated"),
            "engineer_certificate",
        ),
        (
            DisbursementSettled(
                drawdown=Id("D1"),
                amount=Amount.zero("USD"),
                value_on=date(2025, 1, 1),
                bank_ref="B1",
            ),
            "bank_confirmation",
        ),
    ],
)
def test_which_document_each_needs(desk: Desk, data: EventData, kind: str) -> None:
    """REC-07: signature, certificate and settlement each have a document of their own."""
    assert EVIDENCE[type(data)] == kind
    event = opened(desk)
    world = Decision(desk.ledger, desk.clock)
    with pytest.raises(Refused, match=f"needs evidence of the kind '{kind}'"):
        document_is_attached(world, proposed(event.stream, 2, event.provenance, data))
    paper = Evidence(title="T", kind=kind)
    provenance = msgspec.structs.replace(event.provenance, evidence=(paper,))
    document_is_attached(world, proposed(event.stream, 2, provenance, data))


def test_no_event_is_of_a_day_to_come(desk: Desk) -> None:
    """REC-11 holds for every type of event, in dry runs and rechecks too."""
    event = opened(desk)
    world = Decision(desk.ledger, desk.clock)
    not_in_the_future(world, event)
    later = msgspec.structs.replace(
        event.provenance, effective_on=world.latest_day + timedelta(days=1)
    )
    with pytest.raises(Refused, match="2026-01-16 is in the future") as refused:
        not_in_the_future(world, proposed(event.stream, 2, later, event.data))
    assert refused.value.code == "REC-11"


@pytest.mark.parametrize("grades", ["S", "R", "SR"])
def test_secondary_texts_confirm_nothing(desk: Desk, grades: str) -> None:
    """REC-13: called confirmed on reports alone, a fact is refused; left out, reported."""
    keys = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}
    evidence = [{"title": f"Page {g}", "grade": g} for g in grades]
    text = desk.refuses(
        "REC-13", "agreement open", **keys, evidence=evidence, status="confirmed"
    )
    assert f"'Page {grades[0]}' ({grades[0]})" in text
    primary = [*evidence, {"title": "Filing"}]
    (event,) = desk.do("agreement open", **keys, evidence=primary, status="confirmed")
    assert event.confirmed
    (event,) = desk.do(
        "agreement record-statement",
        statement="s",
        speaker="A",
        text="T",
        evidence=evidence,
    )
    assert event.provenance.status == "reported"


def test_their_own_word_confirms(desk: Desk) -> None:
    """REC-13: without any evidence the actor's own word stands."""
    assert opened(desk).confirmed


def test_they_guard_every_event() -> None:
    """REC-13 and REC-11, or UNT-05 in its place, are bound to every type of event."""
    for kind in EVENTS:
        guards = [guard for _, guard in RULES[kind]]
        codes = {code for code, _ in RULES[kind]}
        assert len(codes & {"REC-11", "UNT-05"}) == 1
        assert confirmed_by_a_primary_text in guards
