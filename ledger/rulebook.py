"""Every rule, in one place: importing this module is what puts them in force."""

from __future__ import annotations

from ledger.rules import (
    agreement,
    amendment,
    certificate,
    delivery,
    funding,
    in_force,
    milestone,
    observation,
    record,
    system,
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
)

__all__ = ["CODES", "MODULES", "RULES", "check", "problems"]
