"""Every rule, in one place: importing this module is what puts them in force."""

from __future__ import annotations

from typing import Final

from ledger.rules import (
    agreement,
    amendment,
    books,
    certificate,
    drawdown,
    equity,
    funding,
    in_force,
    milestone,
    observation,
    order,
    overfunding,
    record,
    reversal,
    sku,
    system,
    terms,
    unlock,
)
from ledger.rules.record import written
from ledger.rules.registry import CODES, RULES, check

MODULES = (
    record,
    books,
    agreement,
    amendment,
    terms,
    in_force,
    milestone,
    observation,
    sku,
    order,
    system,
    certificate,
    funding,
    unlock,
    overfunding,
    drawdown,
    equity,
    reversal,
)

# Several rules may refuse one event; the first of this order is the one that speaks.
_ORDER: Final = {module.__name__: place for place, module in enumerate(MODULES)}
for _guards in RULES.values():
    _guards.sort(key=lambda guard: _ORDER[guard[1].__module__])

__all__ = ["CODES", "MODULES", "RULES", "check", "written"]
