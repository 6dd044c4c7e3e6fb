"""Sku: a kind of system as the deal rates it, in versions that never change.

A name never yields a count: packages and dies are two fields, and power is watts per
system with the limits within which an accepted system's rating must lie.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain.aggregate import Single
from ledger.domain.event import Event, EventData
from ledger.domain.struct import Frozen
from ledger.domain.values import Power, Slug


class SkuVersioned(EventData, tag="sku.versioned"):
    """A version of a SKU was fixed: packages, dies and rated power per system."""

    about = ("sku_version",)

    sku_version: int
    manufacturer: Slug
    title: str
    gpu_packages: int
    gpu_dies: int
    rated: Power
    rated_least: Power
    rated_most: Power
    power_profile: str | None = None

    def apply(self, sku: Sku, event: Event[Any]) -> None:
        others = (one for one in sku.fixed if one.data.sku_version != self.sku_version)
        sku.fixed = (*others, Fixed(data=self, on=event.on))


class Fixed(Frozen):
    """A version as it was fixed, and since when."""

    data: SkuVersioned
    on: date


class Sku(Single, tag="sku"):
    """One SKU within a deal. Stream `sku/DEAL/NAME`."""

    kind = "sku"

    fixed: tuple[Fixed, ...] = ()

    @property
    def versions(self) -> dict[int, SkuVersioned]:
        """The versions by their numbers."""
        return {one.data.sku_version: one.data for one in self.fixed}

    @property
    def defined_on(self) -> dict[int, date]:
        """The day of each version, by its number."""
        return {one.data.sku_version: one.on for one in self.fixed}

    @property
    def latest(self) -> int:
        """The number of the newest version; 0 where there is none."""
        return max(self.versions, default=0)


EVENTS: Final = (SkuVersioned,)
