"""Every rule, in one place: importing this module is what puts them in force."""

from __future__ import annotations

from ledger.rules import (
    agreement,
    amendment,
    certificate,
    delivery,
    drawdown,
    equity,
    funding,
    in_force,
    milestone,
    observation,
    overfunding,
    record,
    system,
    unlock,
)
from ledger.rules.registry import CODES, RULES, check, problems

MODULES = (
    record,
    agreement,
    amendment,
    in_force,
    milestone,
    observation,
    delivery,
    system,
    certificate,
    funding,
    unlock,
    drawdown,
    overfunding,
    equity,
)

__all__ = ["CODES", "MODULES", "RULES", "check", "problems"]
