"""How does accepted capacity run against the plan, month by month?"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from ledger import agreement as agreed
from ledger import delivery
from ledger.capacity import on_basis
from ledger.event import Event
from ledger.struct import Frozen
from projections.deals import DEALS, agreement_of
from projections.view import Book, Drawn, FoldRow, Rows, View


class PlanRow(FoldRow):
    """A month: baseline, forecast, and what was accepted or lost in it (rated watts)."""

    first_baseline: int | None = None
    baseline: int | None = None
    forecast: int | None = None
    accepted: int = 0


PLAN: Final = View(
    "capacity", 1, "How does accepted capacity run against the plan?", PlanRow
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


def _months(rows: Rows[PlanRow]) -> Iterable[PlanRow]:
    return [row for row in rows if not row.key.startswith("system/")]


def _row(rows: Rows[PlanRow], month: str) -> PlanRow:
    return rows.get(month) or PlanRow(key=month)


@PLAN.on(agreed.PlanBaselined, agreed.PlanForecast)
def _planned(rows: Rows[PlanRow], event: Event[Any]) -> None:
    baseline = isinstance(event.data, agreed.PlanBaselined)
    field = "baseline" if baseline else "forecast"
    first = baseline and all(row.first_baseline is None for row in rows)
    for row in list(_months(rows)):
        setattr(row, field, None)
        rows.put(row)
    for point in event.data.points:
        row = _row(rows, point.month)
        setattr(row, field, point.capacity.watts)
        if first:
            row.first_baseline = point.capacity.watts
        rows.put(row)


@PLAN.on(delivery.Accepted)
def _accepted(rows: Rows[PlanRow], event: Event[delivery.Accepted]) -> None:
    if event.confirmed:
        _set(rows, event, event.data.rated.watts)


@PLAN.on(
    delivery.Replaced,
    delivery.ReturnedToMaker,
    delivery.Decommissioned,
    delivery.Quarantined,
    delivery.SentToRma,
)
def _lost(rows: Rows[PlanRow], event: Event[Any]) -> None:
    system = rows.get(event.stream)
    if system is not None:
        _set(rows, event, 0)
        if isinstance(event.data, delivery.Quarantined | delivery.SentToRma):
            system = rows.get(event.stream) or system
            rows.put(system)


@PLAN.on(delivery.ReturnedToService)
def _back(rows: Rows[PlanRow], event: Event[Any]) -> None:
    system = rows.get(event.stream)
    if system is not None and event.confirmed and system.baseline:
        _set(rows, event, system.baseline)


@PLAN.on(delivery.Derated)
def _derated(rows: Rows[PlanRow], event: Event[delivery.Derated]) -> None:
    system = rows.get(event.stream)
    if system is not None and system.accepted:
        _set(rows, event, event.data.new.watts)


def _set(rows: Rows[PlanRow], event: Event[Any], watts: int) -> None:
    """Book the change of a system's accepted watts in the month it happened."""
    system = rows.get(event.stream) or PlanRow(key=event.stream)
    month = _row(rows, event.on.isoformat()[:7])
    month.accepted += watts - system.accepted
    system.accepted = watts
    system.baseline = watts or system.baseline  # What it counts for when it is back.
    rows.put(month)
    rows.put(system)


def month_reaching(book: Book, watts: int) -> str | None:
    """The first month whose forecast, or else baseline, reaches a capacity."""
    months = sorted(_months(book.rows(PLAN)), key=lambda row: row.key)
    forecast = any(row.forecast is not None for row in months)
    for row in months:
        planned = row.forecast if forecast else row.baseline
        if planned is not None and planned >= watts:
            return row.key
    return None


@PLAN.answer(Month, DEALS, key=("month",))
def _capacity(book: Book) -> Drawn:
    terms = agreement_of(book).known_terms
    lines, total = [], 0
    for row in sorted(_months(book.rows(PLAN)), key=lambda row: row.key):
        total += row.accepted
        accepted = on_basis(total, terms).watts
        planned = row.baseline
        lines.append(
            Month(
                month=row.key,
                first_baseline=_text(row.first_baseline),
                baseline=_text(planned),
                forecast=_text(row.forecast),
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
