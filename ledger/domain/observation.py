"""Observations: what was seen outside the deal, each with its source.

Prices, corporate events, attestations, defaults: one stream for each deal. Only a
confirmed observation can satisfy a trigger; an open default blocks draws (FND-09).
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.values import Id, Price, Slug


class PriceObserved(EventData, tag="observation.price_observed"):
    """A price was observed by a stated method over a stated window of days."""

    instrument: str
    price: Price
    method: str = "close"
    days: int = 1

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        if event.confirmed:
            observations.prices.append((self, event.on, event.ref))


class CorporateEventObserved(EventData, tag="observation.corporate_event"):
    """A corporate event happened: a listing, a merger, a restructuring."""

    kind: Id
    party: Slug | None = None
    text: str = ""

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        if event.confirmed:
            observations.corporate_events.setdefault(self.kind, (event.on, event.ref))


class Attested(EventData, tag="observation.attested"):
    """Somebody entitled to it attested that a condition, possibly redacted, is met."""

    label: Id
    by: str
    text: str = ""

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        if event.confirmed:
            observations.attestations.setdefault(self.label, (event.on, event.ref))


class DefaultDeclared(EventData, tag="observation.default_declared"):
    """A party declared the other in default."""

    default: Id
    party: Slug
    ground: str

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        if event.confirmed:
            observations.defaults[self.default] = (event.on, self.party, self.ground)


class DefaultCured(EventData, tag="observation.default_cured"):
    """A default was cured."""

    default: Id

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        if event.confirmed:
            observations.defaults.pop(self.default, None)
            observations.cured.add(self.default)


class Observations(Plain):
    """All observations of one deal. Stream `observation/DEAL`."""

    kind = "observation"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.prices: list[tuple[PriceObserved, date, str]] = []
        self.corporate_events: dict[str, tuple[date, str]] = {}
        self.attestations: dict[str, tuple[date, str]] = {}
        self.defaults: dict[str, tuple[date, str, str]] = {}
        self.cured: set[str] = set()


EVENTS: Final = (
    PriceObserved,
    CorporateEventObserved,
    Attested,
    DefaultDeclared,
    DefaultCured,
)
