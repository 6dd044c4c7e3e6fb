"""How does accepted capacity run against the plan, month by month?

What was accepted or lost in a month is what systems in service gained or lost in watts
on a day of it: so the curve ends where the ladder of the standing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, NamedTuple

from ledger.domain.agreement import Agreement, Baseline, Forecast
from ledger.domain.certificate import on_basis
from ledger.domain.event import Event
from ledger.domain.parts import Part
from ledger.domain.struct import Frozen
from ledger.domain.system import System
from projections.engine.nouns import parts_of, watch
from projections.engine.view import Book, Drawn, Rows, View
from projections.views.deals import DEALS, agreement_of

IN_SERVICE: Final = "#in-service"


class Planned(NamedTuple):
    """What is planned to be accepted by the end of a month, in watts on the basis."""

    first_baseline: int | None = None
    baseline: int | None = None
    forecast: int | None = None


class Gained(Part, tag="gained"):
    """The rated watts that systems in service gained in a month, less what was lost."""

    watts: int = 0


PLAN: Final = View("capacity", 3, "How does accepted capacity run against the plan?")


class Month(Frozen, omit_defaults=False):
    """A month's end; quantities in watts on the agreement's basis, in total so far.

    Of a month that has not come by the day asked for, nothing is accepted or judged.
    """

    month: str
    first_baseline: str | None
    baseline: str | None
    forecast: str | None
    accepted: str | None
    variance: str | None
    spi: str | None
    unit: str


@watch(System, Gained)
def _gained(
    rows: Rows[Any], before: System | None, after: System, event: Event[Any]
) -> None:
    """Book the change of the watts in service in the month it happened."""
    then = before.in_service_w if before else 0
    now = after.in_service_w
    if now == then:
        return
    key = f"{IN_SERVICE}/{event.on.isoformat()[:7]}"
    month = rows.change(key)
    if month is None:
        month = Gained(key=key)
        rows.put(month)
    month.watts += now - then


def _plan(book: Book) -> dict[str, Planned]:
    """The months of the plan: the first and last baseline, and the last forecast."""
    agreement = book.get(Agreement)
    first, last = agreement.baselines[:1], agreement.baselines[-1:]
    named = [_watts(plans) for plans in (first, last, agreement.forecasts[-1:])]
    return {
        month: Planned(*(plan.get(month) for plan in named))
        for month in sorted({month for plan in named for month in plan})
    }


def _watts(plans: Sequence[Baseline | Forecast]) -> dict[str, int]:
    return {str(p.month): p.capacity.watts for plan in plans for p in plan.points}


def month_reaching(book: Book, watts: int) -> str | None:
    """The first month whose forecast, or else baseline, reaches a capacity."""
    plan = _plan(book)
    forecast = any(month.forecast is not None for month in plan.values())
    for name, month in plan.items():
        planned = month.forecast if forecast else month.baseline
        if planned is not None and planned >= watts:
            return name
    return None


@PLAN.answer(Month, DEALS, parts_of(Agreement), parts_of(System), key=("month",))
def _capacity(book: Book) -> Drawn:
    terms = agreement_of(book).known_terms
    gained = book.rows(parts_of(System)).under(IN_SERVICE)
    plan, total = _plan(book), 0
    lines = []
    for name in sorted({*plan, *gained}):
        total += gained[name].watts if name in gained else 0
        come = name <= book.as_of.isoformat()[:7]
        accepted = on_basis(total, terms).watts if come else None
        lines.append(_month(name, plan.get(name) or Planned(), accepted))
    return Drawn(lines, {"basis": terms.capacity_basis})


def _month(name: str, planned: Planned, accepted: int | None) -> Month:
    against = None if accepted is None else planned.baseline
    return Month(
        month=name,
        first_baseline=_text(planned.first_baseline),
        baseline=_text(planned.baseline),
        forecast=_text(planned.forecast),
        accepted=_text(accepted),
        variance=_text(_less(accepted, against)),
        spi=_spi(accepted, against),
        unit="W",
    )


def _less(watts: int | None, other: int | None) -> int | None:
    return None if watts is None or other is None else watts - other


def _text(watts: int | None) -> str | None:
    return None if watts is None else str(watts)


def _spi(accepted: int | None, planned: int | None) -> str | None:
    """Accepted over planned, two decimals, rounded down."""
    if accepted is None or not planned:
        return None
    ratio = Decimal(accepted) / Decimal(planned)
    return str(ratio.quantize(Decimal("0.01"), rounding=ROUND_DOWN))
