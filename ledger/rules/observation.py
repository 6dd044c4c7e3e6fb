"""Rules of observations, OBS-01: what was seen is plausible, and each default is one.

That a source is named is REC-07; that only a confirmed observation counts is in the
aggregate, which keeps no other.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement
from ledger.domain.event import Event
from ledger.domain.observation import (
    Attested,
    CorporateEventObserved,
    DefaultCured,
    DefaultDeclared,
    Observations,
    PriceObserved,
)
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule


@rule("OBS-01", PriceObserved)
def price_was_seen(_: World, event: Event[Any]) -> None:
    """A price is above zero and was observed over at least one day."""
    if event.data.days < 1 or not event.data.price.value:
        raise Refused(
            f"{event.data.price} over {event.data.days} days was not observed.",
            todo="Give a price above zero, and a window of at least one day.",
        )


@rule(
    "OBS-01",
    PriceObserved,
    CorporateEventObserved,
    Attested,
    DefaultDeclared,
    DefaultCured,
)
def deal_is_known(world: World, event: Event[Any]) -> None:
    """An observation belongs to a deal that is on the record."""
    world.need(Agreement, event.deal)


@rule("OBS-01", DefaultDeclared)
def default_is_new(world: World, event: Event[Any]) -> None:
    """A default is declared once, of a party of the agreement, by somebody else."""
    name, party = event.data.default, event.data.party
    parties = world.need(Agreement, event.deal).parties
    observed = world.get(Observations, event.deal)
    wrong = ""
    if party not in parties:
        wrong = f"{party} is no party of {event.deal}: {', '.join(parties)}."
    elif party == event.provenance.party:
        wrong = f"{party} cannot declare itself in default."
    elif name in observed.defaults:
        wrong = f"Default {name!r} is open since {observed.defaults[name][0]}."
    elif name in observed.cured:
        wrong = f"Default {name!r} was declared and cured before."
    if wrong:
        raise Refused(wrong)


@rule("OBS-01", DefaultCured)
def default_is_open(world: World, event: Event[Any]) -> None:
    """A default is cured once, while it is open, and not before it was declared."""
    name = event.data.default
    observed = world.get(Observations, event.deal)
    if name not in observed.defaults:
        known = ", ".join(sorted(observed.defaults)) or "none"
        raise Refused(f"Default {name!r} is not open; open are: {known}.")
    not_before(event, observed.defaults[name][0], f"the declaration of {name}")
