"""Which columns of an answer hold a quantity, and in what unit: by their names alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_QUANTITIES: Final = frozenset({"quantity", "value", "amount", "size", "power", "cap", "committed", "unlocked", "requested", "approved", "disbursed", "clawed_back", "available", "locked", "overfunded", "returned", "price", "consideration", "rated", "certified", "first_baseline", "baseline", "forecast", "accepted", "variance"})  # fmt: skip
"""Columns that hold a quantity in their row's `unit`."""


def unit_of(row: Mapping[str, Any], name: str) -> str | None:
    """The unit of a column's quantity in a row; an id that is all digits is none."""
    if name.endswith("_w"):
        return "W"
    prefix = name.partition("_")[0]
    # A unit of its own goes before the one that a row's other quantities share.
    found = row.get(f"{prefix}_unit") or (name in _QUANTITIES and row.get("unit"))
    return str(found) if found else None
