"""How does accepted capacity run against the plan, month by month?"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

import msgspec

from ledger.domain import agreement as agreed
from ledger.domain import system as systems
from ledger.domain.certificate import on_basis
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.deals import DEALS, agreement_of

MONTHS: Final = "months"


class Planned(msgspec.Struct, omit_defaults=True):
    """A month: baseline, forecast, and what was accepted or lost in it (rated watts)."""

    first_baseline: int | None = None
    baseline: int | None = None
    forecast: int | None = None
    accepted: int = 0


class MonthsRow(FoldRow, tag_field="row", tag="months"):
    """Every month of the plan, and every one in which something was accepted or lost."""

    months: dict[str, Planned] = msgspec.field(default_factory=dict)


class AcceptedRow(FoldRow, tag_field="row", tag="accepted"):
    """A system: what it counts for now, and what it counts for when it is back."""

    accepted: int = 0
    back: int = 0


PLAN: Final = View(
    "capacity",
    2,
    "How does accepted capacity run against the plan?",
    MonthsRow | AcceptedRow,
)


class Month(Frozen, omit_defaults=False):
    """A month's end; quantities in watts on the agreement's basis, in total so far."""

    month: str
    first_baseline: str | None
    baseline: str | None
    forecast: str | None
    accepted: str
    variance: str | None
    spi: str | None
    unit: str


def _months(rows: Rows[Any]) -> MonthsRow:
    row = rows.get(MONTHS)
    return row if isinstance(row, MonthsRow) else MonthsRow(key=MONTHS)


def _system(event: Event[Any]) -> Iterable[str]:
    return (event.stream,)


@PLAN.on(agreed.PlanBaselined, agreed.PlanForecast)
def _planned(rows: Rows[Any], event: Event[Any]) -> None:
    baseline = isinstance(event.data, agreed.PlanBaselined)
    field = "baseline" if baseline else "forecast"
    row = _months(rows)
    known = row.months.values()
    first = baseline and all(month.first_baseline is None for month in known)
    for month in known:
        setattr(month, field, None)
    for point in event.data.points:
        month = row.months.setdefault(point.month, Planned())
        setattr(month, field, point.capacity.watts)
        if first:
            month.first_baseline = point.capacity.watts
    rows.put(row)


@PLAN.on(systems.Accepted, reads=_system)
def _accepted(rows: Rows[Any], event: Event[systems.Accepted]) -> None:
    if event.confirmed:
        system = rows.get(event.stream) or AcceptedRow(key=event.stream)
        _set(rows, event, system, event.data.rated.watts)


@PLAN.on(
    systems.Replaced,
    systems.ReturnedToMaker,
    systems.Decommissioned,
    systems.Quarantined,
    systems.SentToRma,
    reads=_system,
)
def _lost(rows: Rows[Any], event: Event[Any]) -> None:
    system = rows.get(event.stream)
    if system is not None:
        _set(rows, event, system, 0)


@PLAN.on(systems.ReturnedToService, reads=_system)
def _returned(rows: Rows[Any], event: Event[Any]) -> None:
    system = rows.get(event.stream)
    if system is not None and event.confirmed and system.back:
        _set(rows, event, system, system.back)


@PLAN.on(systems.Derated, reads=_system)
def _derated(rows: Rows[Any], event: Event[systems.Derated]) -> None:
    system = rows.get(event.stream)
    if system is not None and system.accepted:
        _set(rows, event, system, event.data.new.watts)


def _set(rows: Rows[Any], event: Event[Any], system: AcceptedRow, watts: int) -> None:
    """Book the change of a system's accepted watts in the month it happened."""
    row = _months(rows)
    month = row.months.setdefault(event.on.isoformat()[:7], Planned())
    month.accepted += watts - system.accepted
    system.accepted = watts
    system.back = watts or system.back
    rows.put(row)
    rows.put(system)


def month_reaching(book: Book, watts: int) -> str | None:
    """The first month whose forecast, or else baseline, reaches a capacity."""
    months = sorted(_months(book.rows(PLAN)).months.items())
    forecast = any(month.forecast is not None for _, month in months)
    for name, month in months:
        planned = month.forecast if forecast else month.baseline
        if planned is not None and planned >= watts:
            return name
    return None


@PLAN.answer(Month, DEALS, key=("month",))
def _capacity(book: Book) -> Drawn:
    terms = agreement_of(book).known_terms
    lines, total = [], 0
    for name, month in sorted(_months(book.rows(PLAN)).months.items()):
        total += month.accepted
        accepted = on_basis(total, terms).watts
        planned = month.baseline
        lines.append(
            Month(
                month=name,
                first_baseline=_text(month.first_baseline),
                baseline=_text(planned),
                forecast=_text(month.forecast),
                accepted=str(accepted),
                variance=None if planned is None else str(accepted - planned),
                spi=_spi(accepted, planned),
                unit="W",
            )
        )
    return Drawn(lines, {"basis": terms.capacity_basis})


def _text(watts: int | None) -> str | None:
    return None if watts is None else str(watts)


def _spi(accepted: int, planned: int | None) -> str | None:
    """Accepted over planned, two decimals, rounded down."""
    if not planned:
        return None
    ratio = Decimal(accepted) / Decimal(planned)
    return str(ratio.quantize(Decimal("0.01"), rounding=ROUND_DOWN))
