"""Exact sums: money and shares in whole minor units, power in watts, ratios."""

from __future__ import annotations

from fractions import Fraction

DECIMALS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "shares": 0}


def minor_of(text: str) -> int:
    """Read `40000000.00 USD`, or the number alone, as whole minor units."""
    return int(text.split(" ", maxsplit=1)[0].replace(".", ""))


def unit_of(text: str) -> str:
    """Name the unit of `40000000.00 USD`."""
    return text.split(" ")[1]


def shown(minor: int, unit: str) -> str:
    """Write minor units as the number that a view shows."""
    digits = DECIMALS[unit]
    if not digits:
        return str(minor)
    sign, whole = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}d}"


def watts_of(text: str) -> int:
    """Read `100000 W`."""
    return int(text.removesuffix(" W"))


def converted(watts: int, basis: str, overhead: str | None, pue: str | None) -> int:
    """Watts of racks on a basis, rounded down once; unspecified converts nothing."""
    factor = Fraction(1)
    if basis in {"critical_it", "facility"}:
        factor *= Fraction(overhead or "1")
    if basis == "facility":
        factor *= Fraction(pue or "1")
    return int(watts * factor)
