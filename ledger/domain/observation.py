"""Observations: what was seen outside the deal, each with its source.

Prices, corporate events, attestations, defaults: one stream for each deal. Only a
confirmed observation can satisfy a trigger; an open default blocks draws (FND-09).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from hashlib import sha256
from typing import Any, Final

from ledger.domain.aggregate import Parted
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part
from ledger.domain.values import Id, Price, Slug


class PriceObserved(EventData, tag="observation.price_observed"):
    """A price was observed by a stated method over a stated window of days."""

    about = ("instrument", "method", "days", "price")

    instrument: str
    price: Price
    method: str = "close"
    days: int = 1

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        observations.parts.put(
            PriceSeen(
                key=f"{_prices_of(self.instrument)}/{event.version:09d}",
                instrument=self.instrument,
                price=self.price,
                method=self.method,
                days=self.days,
                on=event.on,
                ref=event.ref,
            )
        )


class CorporateEventObserved(EventData, tag="observation.corporate_event"):
    """A corporate event happened: a listing, a merger, a restructuring."""

    about = ("kind", "party")

    kind: Id
    party: Slug | None = None
    text: str = ""

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        key = f"corporate-event/{self.kind}"
        observations.keep_first(Happened(key=key, on=event.on, ref=event.ref))


class Attested(EventData, tag="observation.attested"):
    """Somebody entitled to it attested that a condition, possibly redacted, is met."""

    label: Id
    by: str
    text: str = ""

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        key = f"attestation/{self.label}"
        observations.keep_first(Attestation(key=key, on=event.on, ref=event.ref))


class DefaultDeclared(EventData, tag="observation.default_declared"):
    """A party declared the other in default."""

    default: Id
    party: Slug
    ground: str

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        observations.parts.put(
            Default(
                key=f"default/{self.default}",
                party=self.party,
                ground=self.ground,
                declared_on=event.on,
            )
        )


class DefaultCured(EventData, tag="observation.default_cured"):
    """A default was cured."""

    default: Id

    def apply(self, observations: Observations, event: Event[Any]) -> None:
        default = observations.parts.change(f"default/{self.default}")
        if default:
            default.cured_on = event.on


class PriceSeen(Part, tag="price"):
    """A price that was seen."""

    instrument: str
    price: Price
    method: str
    days: int
    on: date
    ref: str


class Happened(Part, tag="corporate-event"):
    """A kind of corporate event, by the first of its days."""

    on: date
    ref: str


class Attestation(Part, tag="attestation"):
    """What was attested under a label, by the first of its days."""

    on: date
    ref: str


class Default(Part, tag="default"):
    """A default, from its declaration to its cure."""

    party: Slug
    ground: str
    declared_on: date
    cured_on: date | None = None


class Observations(Parted):
    """All observations of one deal. Stream `observation/DEAL`."""

    __slots__ = ()
    kind = "observation"

    def prices(self, instrument: str) -> Iterable[PriceSeen]:
        """The prices that were seen of an instrument, in recorded order."""
        seen = self.parts.under(_prices_of(instrument))
        return [price for _, price in sorted(seen.items())]

    @property
    def corporate_events(self) -> dict[str, tuple[date, str]]:
        """Each kind of corporate event: the first of its days, and which entry."""
        return self._first("corporate-event")

    @property
    def attestations(self) -> dict[str, tuple[date, str]]:
        """Each label that was attested: the first of its days, and by which entry."""
        return self._first("attestation")

    @property
    def defaults(self) -> dict[str, tuple[date, str, str]]:
        """The open defaults, the oldest first: since when, of whom, on what ground."""
        found: list[Default] = sorted(
            self.parts.under("default").values(),
            key=lambda default: (default.declared_on, default.name),
        )
        return {
            default.name: (default.declared_on, default.party, default.ground)
            for default in found
            if default.cured_on is None
        }

    @property
    def cured(self) -> set[str]:
        """The defaults that were cured."""
        found = self.parts.under("default").items()
        return {name for name, default in found if default.cured_on is not None}

    def default(self, name: str) -> Default | None:
        """A default by its name, open or cured."""
        found: Default | None = self.parts.get(f"default/{name}")
        return found

    def keep_first(self, seen: Happened | Attestation) -> None:
        """Keep what was seen, unless it was seen on an earlier day or as early."""
        known = self.parts.get(seen.key)
        if known is None or seen.on < known.on:
            self.parts.put(seen)

    def _first(self, kind: str) -> dict[str, tuple[date, str]]:
        found = self.parts.under(kind).items()
        return {name: (seen.on, seen.ref) for name, seen in found}


def _prices_of(instrument: str) -> str:
    """Where the prices of an instrument stand; its own name may be of any length."""
    return f"price/{sha256(instrument.encode()).hexdigest()[:16]}"


PARTS: Final = (PriceSeen, Happened, Attestation, Default)
EVENTS: Final = (
    PriceObserved,
    CorporateEventObserved,
    Attested,
    DefaultDeclared,
    DefaultCured,
)
