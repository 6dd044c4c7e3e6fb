"""Where does the deal stand: both ladders from word to deed, and what holds it up?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.agreement import ENDED, Agreement
from ledger.domain.certificate import on_basis
from ledger.domain.funding import Funding
from ledger.domain.ladder import Rungs
from ledger.domain.struct import Frozen
from ledger.domain.values import Amount
from projections.engine.nouns import NOUNS
from projections.engine.view import Book, Drawn, FoldRow, View
from projections.views.certificates import CERTIFICATES, certified_watts
from projections.views.commitment import COMMITMENT, facilities_of, plain, rungs_of
from projections.views.conditions import CONDITIONS, open_conditions
from projections.views.deals import DEALS, DealLine, agreement_of, disputes_of
from projections.views.distance import DISTANCE, next_trigger
from projections.views.fleet import FLEET, totals_of
from projections.views.links import LINKS, linked
from projections.views.milestones import MILESTONES, disputed_milestones

FUNDING: Final = "funding"
CAPACITY: Final = "capacity"
FUNDING_RUNGS: Final = ("announced", *Rungs._fields)
DELIVERED: Final = (
    "ordered",
    "shipped",
    "received",
    "installed",
    "energised",
    "accepted",
)

STANDING: Final = View(
    "standing", 3, "Where does the deal stand, from word to deed?", FoldRow
)


class Rung(Frozen, omit_defaults=False):
    """One rung of a ladder; of money from committed on, for each facility.

    `undertaking` names the facility; it is empty for what is announced, for capacity,
    and while there is no facility.
    """

    ladder: str
    undertaking: str
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
    *NOUNS,
    key=("ladder", "undertaking", "rung"),
)
def _standing(book: Book) -> Drawn:
    watts = _watts(book, agreement_of(book))
    rows = [*(_money(*one) for one in funding_rungs(book)), *_capacity(watts)]
    return Drawn(rows, {}, _about(book, watts))


def funding_rungs(book: Book) -> Iterator[tuple[str, str, Amount]]:
    """What is announced, once; then the rungs of each facility, in its own unit."""
    yield "", "announced", announced_cap(book) or Amount.zero(_unit(book))
    money = {
        facility.name: rungs_of(book, facility)
        for facility in facilities_of(book)
        if facility.confirmed
    }
    for name, amounts in (money or {"": _without_facility(book)}).items():
        for rung, amount in zip(Rungs._fields, amounts, strict=True):
            yield name, rung, amount


def announced_cap(book: Book) -> Amount | None:
    """The cap as announced: in the letter of intent, else in the agreement."""
    row = agreement_of(book)
    first = row.indicative_terms or row.terms
    return first.funding_cap if first else None


def _unit(book: Book) -> str:
    """The currency of a deal that announced no amount: its facilities', reports last."""
    cap = agreement_of(book).known_terms.funding_cap
    known = sorted(facilities_of(book), key=lambda one: not one.confirmed)
    units = [one.unit for one in known if one.commitment.is_money]
    return cap.unit if cap is not None else next(iter(units), "USD")


def _without_facility(book: Book) -> Rungs:
    """The rungs of an agreement in effect under which no facility is defined yet."""
    row = agreement_of(book)
    nothing = Amount.zero(_unit(book))
    cap = row.terms.funding_cap if row.terms else None
    binds = row.effective_from is not None and row.state not in ENDED
    committed = cap if binds and cap is not None else nothing
    return Rungs(committed, *(nothing,) * 4)


def _money(undertaking: str, rung: str, amount: Amount) -> Rung:
    return Rung(
        ladder=FUNDING,
        undertaking=undertaking,
        rung=rung,
        quantity=plain(amount),
        unit=amount.unit,
    )


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
        Rung(
            ladder=CAPACITY, undertaking="", rung=rung, quantity=str(quantity), unit="W"
        )
        for rung, quantity in watts.items()
    ]


def _flags(book: Book, watts: dict[str, int]) -> Iterator[str]:
    """Why a rung exceeds the one below it, where one does."""
    confirmed = [facility for facility in facilities_of(book) if facility.confirmed]
    funding = book.get(Funding)
    if any(funding.excess(facility.name) for facility in confirmed):
        yield "overfunded"
    if any(facility.waived for facility in confirmed):
        yield "overfunding_waived"
    if any(rungs_of(book, facility).requests_exceed_unlocked for facility in confirmed):
        yield "requests_exceed_unlocked"
    # What was certified and is lost or derated since shows as a rung that grows.
    if totals_of(book).out_of_service() or watts["certified"] > watts["accepted"]:
        yield "systems_out_of_service"


def _about(book: Book, watts: dict[str, int]) -> About:
    row = agreement_of(book)
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
        flags=list(_flags(book, watts)),
    )


@DEALS.answer(DealLine, STANDING, key=("deal", "funding_unit"))
def _deals(book: Book) -> Drawn:
    drawn = STANDING.draw(book)
    row = agreement_of(book)
    watts = {r.rung: r.quantity for r in drawn.rows if r.ladder == CAPACITY}
    lines = [
        DealLine(
            deal=book.deal,
            title=row.title,
            state=row.state,
            status=row.status,
            fictional=row.fictional,
            funding_announced=of["announced"],
            funding_committed=of["committed"],
            funding_disbursed=of["disbursed"],
            funding_unit=unit,
            capacity_announced=watts["announced"],
            capacity_accepted=watts["accepted"],
            capacity_unit="W",
        )
        for unit, of in _by_unit(book).items()
    ]
    return Drawn(lines)


def _by_unit(book: Book) -> dict[str, dict[str, str]]:
    """Each rung's total in each unit of its own: none is added to another."""
    totals: dict[str, dict[str, Amount]] = {}
    for _, rung, amount in funding_rungs(book):
        nothing = dict.fromkeys(FUNDING_RUNGS, Amount.zero(amount.unit))
        of = totals.setdefault(amount.unit, nothing)
        of[rung] = of[rung] + amount
    return {
        unit: {rung: plain(amount) for rung, amount in of.items()}
        for unit, of in totals.items()
    }
