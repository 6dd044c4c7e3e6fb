"""Commands on what was observed outside the deal: prices, events, defaults."""

from __future__ import annotations

from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.event import EventData
from ledger.domain.observation import (
    Attested,
    CorporateEventObserved,
    DefaultCured,
    DefaultDeclared,
    Observations,
    PriceObserved,
)
from ledger.domain.values import Id, Price, Slug

DefaultId = Annotated[Id, "the default"]


def price(
    decision: Decision,
    *,
    instrument: Annotated[str, "of what: a share by its ticker, say"],
    price: Annotated[Price, "the price seen"],
    method: Annotated[str, "how it is taken: close, or a weighted average"] = "close",
    days: Annotated[int, "over how many trading days"] = 1,
) -> None:
    """Record a price that was observed, with its method and window.

    accord observation price acme-orion --instrument ACME --price "231.50 USD" --method vwap --days 20 --evidence '{"title": "Exchange data"}'
    """
    _record(
        decision,
        PriceObserved(instrument=instrument, price=price, method=method, days=days),
    )


def corporate_event(
    decision: Decision,
    *,
    kind: Annotated[Id, "what kind of event: listing, merger, restructuring"],
    party: Annotated[Slug | None, "whose"] = None,
    text: Annotated[str, "what happened"] = "",
) -> None:
    """Record a corporate event, such as a listing.

    accord observation corporate-event acme-orion --kind listing --party orion --evidence '{"title": "Prospectus"}'
    """
    _record(decision, CorporateEventObserved(kind=kind, party=party, text=text))


def attest(
    decision: Decision,
    *,
    label: Annotated[Id, "the label of the condition, as the trigger names it"],
    by: Annotated[str, "who attests it"],
    text: Annotated[str, "what is attested"] = "",
) -> None:
    """Record that a condition, possibly redacted, was attested as met.

    accord observation attest acme-orion --label redacted-1 --by "Independent panel" --evidence '{"title": "Letter"}'
    """
    _record(decision, Attested(label=label, by=by, text=text))


def declare_default(
    decision: Decision,
    default: DefaultId,
    *,
    party: Annotated[Slug, "the party in default"],
    ground: Annotated[str, "on what ground"],
) -> None:
    """Declare a party in default; draws are blocked until it is cured.

    accord observation declare-default acme-orion D1 --party orion --ground "Interest unpaid"
    """
    _record(decision, DefaultDeclared(default=default, party=party, ground=ground))


def cure_default(decision: Decision, default: DefaultId) -> None:
    """Record that a default was cured.

    accord observation cure-default acme-orion D1
    """
    _record(decision, DefaultCured(default=default))


def _record(decision: Decision, data: EventData) -> None:
    decision.record(Observations, decision.deal, data=data)
