"""What an entry on funding names must be on the record; else FND-16 lists what is."""

from __future__ import annotations

from typing import TypeVar

from ledger.domain.funding import Clawback, Drawdown, Equity, Facility, Funding, Tranche
from ledger.domain.parts import Part
from ledger.errors import Refused

P = TypeVar("P", bound=Part)


def facility_of(funding: Funding, name: str) -> Facility:
    """A facility by its name; one that is only reported, where no other is."""
    return _known("Facility", funding, Facility, name)


def tranche_of(funding: Funding, name: str) -> Tranche:
    """A tranche by its name; one that is only reported, where no other is."""
    return _known("Tranche", funding, Tranche, name)


def drawdown_of(funding: Funding, name: str) -> Drawdown:
    """A drawdown by its name."""
    return _known("Drawdown", funding, Drawdown, name)


def equity_of(funding: Funding, name: str) -> Equity:
    """Equity issued, by the number of its certificate."""
    return _known("Equity certificate", funding, Equity, name)


def clawback_of(funding: Funding, name: str) -> Clawback:
    """A clawback by its name."""
    return _known("Clawback", funding, Clawback, name)


def _known(what: str, funding: Funding, kind: type[P], name: str) -> P:
    found = funding.find(kind, name) or funding.told.find(kind, name)
    if found is not None:
        return found
    known = ", ".join(sorted(funding.told.every(kind))) or "none"
    raise Refused(
        f"{what} {name!r} is not on the record; known: {known}.",
        todo="Define it first, or check the name.",
        code="FND-16",
    )


def new(what: str, funding: Funding, kind: type[Part], name: str) -> None:
    """Refuse a name that is taken."""
    if funding.find(kind, name) is not None:
        raise Refused(
            f"{what} {name!r} is already on the record.",
            todo="Choose another name.",
            code="FND-16",
        )
