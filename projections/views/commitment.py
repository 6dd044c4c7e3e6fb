"""What is each facility's position: cap, unlocked, approved, paid, available, locked?"""

from __future__ import annotations

from typing import Final

from ledger.domain.agreement import Agreement
from ledger.domain.funding import Facility, Funding
from ledger.domain.ladder import Rungs, rungs
from ledger.domain.struct import Frozen
from ledger.domain.values import Amount
from projections.engine.nouns import NOUNS
from projections.engine.source import available
from projections.engine.view import Book, Drawn, View

COMMITMENT: Final = View(
    "commitment", 3, "What is each facility's position: cap, unlocked, paid, available?"
)


class Position(Frozen):
    """A facility's position; every amount is in `unit`."""

    facility: str
    provider: str
    recipient: str
    instrument: str
    unit: str
    cap: str
    committed: str
    unlocked: str
    requested: str
    approved: str
    disbursed: str
    clawed_back: str
    available: str
    locked: str
    overfunded: str
    expires_on: str | None
    status: str


def plain(amount: Amount) -> str:
    """An amount without its unit."""
    return f"{amount.value:f}"


def facilities_of(book: Book) -> list[Facility]:
    """Every facility by its name; one that is only reported, where no other is."""
    funding = book.get(Funding)
    known = {**funding.told.facilities, **funding.facilities}
    return [facility for _, facility in sorted(known.items())]


def rungs_of(book: Book, facility: Facility) -> Rungs:
    """The rungs of a facility's money; nothing of one that is only reported."""
    if not facility.confirmed:
        return Rungs(*(Amount.zero(facility.unit),) * 5)
    return rungs(book.get(Agreement), book.get(Funding), facility.name)


@COMMITMENT.answer(Position, *NOUNS, key=("facility",))
def _commitment(book: Book) -> Drawn:
    return Drawn([_position(book, facility) for facility in facilities_of(book)])


def _position(book: Book, facility: Facility) -> Position:
    money, defined = rungs_of(book, facility), facility.defined
    funding, nothing = book.get(Funding), Amount.zero(facility.unit)
    known = facility.confirmed
    return Position(
        facility=facility.name,
        provider=defined.provider,
        recipient=defined.recipient,
        instrument=defined.instrument,
        unit=facility.unit,
        cap=plain(facility.commitment),
        committed=plain(money.committed),
        unlocked=plain(money.unlocked),
        requested=plain(money.requested),
        approved=plain(money.approved),
        disbursed=plain(money.disbursed),
        clawed_back=plain(
            funding.total(facility.name).clawed_back if known else nothing
        ),
        available=plain(available(book, facility.name) if known else nothing),
        locked=plain(facility.commitment - money.unlocked),
        overfunded=plain(funding.excess(facility.name) if known else nothing),
        expires_on=defined.available_to.isoformat() if defined.available_to else None,
        status=facility.status,
    )
