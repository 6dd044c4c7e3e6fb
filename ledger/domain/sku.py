"""Sku: a kind of system as the deal rates it, in versions that never change.

A name never yields a count: packages and dies are two fields, and power is watts per
system with the limits within which an accepted system's rating must lie.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.values import Power, Slug


class SkuVersioned(EventData, tag="sku.versioned"):
    """A version of a SKU was fixed: packages, dies and rated power per system."""

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
        sku.versions[self.sku_version] = self
        sku.defined_on[self.sku_version] = event.on


class Sku(Plain):
    """One SKU within a deal. Stream `sku/DEAL/NAME`."""

    kind = "sku"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.versions: dict[int, SkuVersioned] = {}
        self.defined_on: dict[int, date] = {}

    @property
    def latest(self) -> int:
        """The number of the newest version; 0 where there is none."""
        return max(self.versions, default=0)


EVENTS: Final = (SkuVersioned,)
