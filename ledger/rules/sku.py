"""Rules of a SKU's versions: UNT-07, UNT-11."""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement
from ledger.domain.event import Event
from ledger.domain.sku import Sku, SkuVersioned
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule


@rule("UNT-07", SkuVersioned)
def versions_count_up(world: World, event: Event[Any]) -> None:
    """Versions of a SKU are numbered 1, 2, 3, … and never change."""
    world.need(Agreement, event.deal)
    sku = world.get(Sku, event.deal, _name(event))
    given = event.data.sku_version
    if given != sku.latest + 1:
        raise Refused(
            f"Version {given} of {sku.name} does not follow version {sku.latest}.",
            todo="A version is never changed; define the next one.",
        )
    if sku.exists:
        not_before(event, sku.defined_on[sku.latest], f"version {sku.latest}")


@rule("UNT-07", SkuVersioned)
def counts_are_positive(_: World, event: Event[Any]) -> None:
    """A SKU has at least one GPU package and one die, as two figures."""
    packages, dies = event.data.gpu_packages, event.data.gpu_dies
    if packages < 1 or dies < 1:
        raise Refused(
            f"{_name(event)} has {packages} GPU packages and {dies} dies.",
            todo="Give both, each at least 1; neither follows from the name.",
        )


@rule("UNT-11", SkuVersioned)
def rating_is_within_its_limits(_: World, event: Event[Any]) -> None:
    """A SKU's rated power is above zero and lies within its own limits."""
    least, rated, most = (
        event.data.rated_least,
        event.data.rated,
        event.data.rated_most,
    )
    if not rated or not least <= rated <= most:
        raise Refused(
            f"{rated} is outside {least} to {most} for {_name(event)}.",
            todo="Give rated_least ≤ rated ≤ rated_most, above zero.",
        )


def _name(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]
