"""Where does the deal stand: both ladders from word to deed, and what holds it up?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.agreement import ENDED, Agreement
from ledger.domain.certificate import on_basis
from ledger.domain.struct import Frozen
from ledger.domain.values import SHARES, Amount
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, View
from projections.views.certificates import CERTIFICATES, certified_watts
from projections.views.commitment import COMMITMENT, FacilityRow, Money, money_of, plain
from projections.views.conditions import CONDITIONS, open_conditions
from projections.views.deals import DEALS, DealLine, agreement_of, disputes_of
from projections.views.distance import DISTANCE, next_trigger
from projections.views.fleet import FLEET, totals_of
from projections.views.links import LINKS, linked
from projections.views.milestones import MILESTONES, disputed_milestones

FUNDING_RUNGS: Final = (
    "announced",
    "committed",
    "unlocked",
    "requested",
    "approved",
    "disbursed",
)
DELIVERED: Final = (
    "ordered",
    "shipped",
    "received",
    "installed",
    "energised",
    "accepted",
)

STANDING: Final = View(
    "standing", 2, "Where does the deal stand, from word to deed?", FoldRow
)


class Rung(Frozen):
    """One rung of a ladder."""

    ladder: str
    rung: str
    quantity: str
    unit: str


class About(Frozen, omit_defaults=False):
    """What is said of the deal beside its figures."""

    title: str
    state: str
    status: str
    fictional: bool
    basis: str
    next_trigger: str | None
    open_conditions: list[str]
    disputes: list[str]
    links: list[dict[str, str]]
    flags: list[str]


@STANDING.answer(
    Rung,
    DEALS,
    COMMITMENT,
    CERTIFICATES,
    FLEET,
    CONDITIONS,
    MILESTONES,
    LINKS,
    DISTANCE,
    key=("ladder", "rung"),
)
def _standing(book: Book) -> Drawn:
    row = agreement_of(book)
    money = money_of(book)
    watts = _watts(book, row)
    rows = [*_funding(row, money, money_unit(row, money)), *_capacity(watts)]
    if any(f.commitment.unit == SHARES for f in money.facilities):
        rows += _funding(row, money, SHARES, "shares")[1:]
    return Drawn(rows, {}, _about(book, row, money, watts))


def money_unit(row: Agreement, money: Money) -> str:
    """The currency that the funding ladder is in."""
    cap = row.known_terms.funding_cap
    if cap is not None:
        return cap.unit
    units = [f.commitment.unit for f in money.facilities if f.commitment.is_money]
    return units[0] if units else "USD"


def _funding(
    row: Agreement, money: Money, unit: str, ladder: str = "funding"
) -> list[Rung]:
    nothing = Amount.zero(unit)
    facilities = [f for f in money.facilities if f.commitment.unit == unit]
    cap = announced_cap(row)
    announced = cap if cap is not None and cap.unit == unit else nothing
    amounts = [
        announced,
        _committed(row, money, facilities, unit),
        _total(unit, [money.unlocked(f) for f in facilities]),
        _total(unit, [money.drawn(f, "requested") for f in facilities]),
        _total(unit, [money.drawn(f, "approved") for f in facilities]),
        _total(unit, [money.drawn(f, "paid") for f in facilities]),
    ]
    return [
        Rung(ladder=ladder, rung=rung, quantity=plain(amount), unit=unit)
        for rung, amount in zip(FUNDING_RUNGS, amounts, strict=True)
    ]


def announced_cap(row: Agreement) -> Amount | None:
    """The cap as announced: in the letter of intent, else in the agreement."""
    first = row.indicative_terms or row.terms
    return first.funding_cap if first else None


def _total(unit: str, amounts: list[Amount]) -> Amount:
    return sum(amounts, start=Amount.zero(unit))


def _committed(
    row: Agreement, money: Money, facilities: list[FacilityRow], unit: str
) -> Amount:
    if row.effective_from is None:
        return Amount.zero(unit)
    confirmed = [f for f in facilities if f.status == "confirmed"]
    if confirmed:
        return _total(unit, [money.committed(f) for f in confirmed])
    cap = row.terms.funding_cap if row.terms else None
    if cap is None or cap.unit != unit or row.state in ENDED:
        return Amount.zero(unit)
    return cap


def _watts(book: Book, row: Agreement) -> dict[str, int]:
    announced = (row.indicative_terms or row.known_terms).capacity_floor
    binds = row.effective_from is not None and row.state not in ENDED
    floor = row.terms.capacity_floor if binds and row.terms else None
    rated = totals_of(book).rated()
    return {
        "announced": announced.watts if announced else 0,
        "committed": floor.watts if floor else 0,
        **{r: on_basis(rated[r], row.known_terms).watts for r in DELIVERED},
        "certified": certified_watts(book),
    }


def _capacity(watts: dict[str, int]) -> list[Rung]:
    return [
        Rung(ladder="capacity", rung=rung, quantity=str(quantity), unit="W")
        for rung, quantity in watts.items()
    ]


def _about(book: Book, row: Agreement, money: Money, watts: dict[str, int]) -> About:
    flags = []
    if any(money.excess(facility) for facility in money.facilities):
        flags.append("overfunded")
    # What was certified and is lost or derated since shows as a rung that grows.
    if totals_of(book).out_of_service() or watts["certified"] > watts["accepted"]:
        flags.append("systems_out_of_service")
    return About(
        title=row.title,
        state=row.state,
        status=row.status,
        fictional=row.fictional,
        basis=row.known_terms.capacity_basis,
        next_trigger=next_trigger(book),
        open_conditions=open_conditions(book),
        disputes=[*disputes_of(book), *disputed_milestones(book)],
        links=linked(book),
        flags=flags,
    )


@DEALS.answer(DealLine, STANDING, parts_of(Agreement), key=("deal",))
def _deals(book: Book) -> Drawn:
    drawn = STANDING.draw(book)
    row = agreement_of(book)
    of: dict[str, Any] = {f"{r.ladder} {r.rung}": r for r in drawn.rows}
    line = DealLine(
        deal=book.deal,
        title=row.title,
        state=row.state,
        status=row.status,
        fictional=row.fictional,
        funding_announced=of["funding announced"].quantity,
        funding_committed=of["funding committed"].quantity,
        funding_disbursed=of["funding disbursed"].quantity,
        funding_unit=of["funding announced"].unit,
        capacity_announced=of["capacity announced"].quantity,
        capacity_accepted=of["capacity accepted"].quantity,
        capacity_unit="W",
    )
    return Drawn([line])
