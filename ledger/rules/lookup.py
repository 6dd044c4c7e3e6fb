"""What an entry on funding names must be on the record; else FND-16 lists what is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ledger.domain.funding import Clawback, Drawdown, Equity, Facility, Funding, Tranche
from ledger.errors import Refused

T = TypeVar("T")


def facility_of(funding: Funding, name: str) -> Facility:
    """A facility by its name."""
    return _known("Facility", funding.facilities, name)


def tranche_of(funding: Funding, name: str) -> Tranche:
    """A tranche by its name."""
    return _known("Tranche", funding.tranches, name)


def drawdown_of(funding: Funding, name: str) -> Drawdown:
    """A drawdown by its name."""
    return _known("Drawdown", funding.drawdowns, name)


def equity_of(funding: Funding, name: str) -> Equity:
    """Equity issued, by the number of its certificate."""
    return _known("Equity certificate", funding.equity, name)


def clawback_of(funding: Funding, name: str) -> Clawback:
    """A clawback by its name."""
    return _known("Clawback", funding.clawbacks, name)


def _known(what: str, found: Mapping[str, T], name: str) -> T:
    if name in found:
        return found[name]
    known = ", ".join(sorted(found)) or "none"
    raise Refused(
        "FND-16",
        f"{what} {name!r} is not on the record; known: {known}.",
        todo="Define it first, or check the name.",
    )


def new(what: str, found: Mapping[str, object], name: str) -> None:
    """Refuse a name that is taken."""
    if name in found:
        raise Refused(
            "FND-16",
            f"{what} {name!r} is already on the record.",
            todo="Choose another name.",
        )
