"""Which conditions precedent are open, until when, and who can waive them?"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.event import Event
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View


class ConditionRow(FoldRow):
    """A condition."""

    text: str
    scope: str
    owner: str | None
    waivable_by: str | None
    long_stop_on: date | None
    state: str = "open"
    status: Status = "confirmed"
    on: date | None = None
    by: str = ""
    evidence: str = ""
    claims: tuple[str, ...] = ()


CONDITIONS: Final = View(
    "conditions", 1, "Which conditions are open, and until when?", ConditionRow
)


class ConditionLine(Frozen, omit_defaults=False):
    """A condition in a line; days left count from the day asked about."""

    condition: str
    scope: str
    text: str
    owner: str | None
    state: str
    status: str
    long_stop_on: str | None
    days_left: int | None
    waivable_by: str | None
    on: str | None
    by: str
    evidence: str
    claims: str


def open_conditions(book: Book) -> list[str]:
    """The names of the conditions that are open."""
    return [row.key for row in book.rows(CONDITIONS) if row.state == "open"]


@CONDITIONS.on(agreed.ConditionDefined)
def _defined(rows: Rows[ConditionRow], event: Event[agreed.ConditionDefined]) -> None:
    data = event.data
    rows.put(
        ConditionRow(
            key=data.condition,
            text=data.text,
            scope=data.scope,
            owner=data.owner,
            waivable_by=data.waivable_by,
            long_stop_on=data.long_stop_on,
            status=event.provenance.status,
        )
    )


SETTLED: Final[dict[type, str]] = {
    agreed.ConditionSatisfied: "satisfied",
    agreed.ConditionWaived: "waived",
    agreed.ConditionFailed: "failed",
}


@CONDITIONS.on(*SETTLED)
def _settled(rows: Rows[ConditionRow], event: Event[Any]) -> None:
    row = rows.get(event.data.condition)
    if row is None:
        return
    state = SETTLED[type(event.data)]
    if not event.confirmed:
        row.claims = (*row.claims, f"{state} is {event.provenance.status}")
    else:
        row.state = state
        row.on = event.on
        row.by = f"{event.provenance.actor}@{event.provenance.party}"
        row.evidence = "; ".join(item.title for item in event.provenance.evidence)
    rows.put(row)


@CONDITIONS.on(agreed.AmendmentTookEffect)
def _amended(
    rows: Rows[ConditionRow], event: Event[agreed.AmendmentTookEffect]
) -> None:
    if not event.confirmed:
        return
    for name, day in agreed.long_stops(event.data.changes).items():
        row = rows.get(name)
        if row is not None:
            row.long_stop_on = day
            rows.put(row)


@CONDITIONS.answer(ConditionLine, key=("condition",))
def _conditions(book: Book) -> Drawn:
    lines = []
    for row in book.rows(CONDITIONS):
        counting = row.state == "open" and row.long_stop_on is not None
        left = (row.long_stop_on - book.as_of).days if counting else None
        lines.append(
            ConditionLine(
                condition=row.key,
                scope=row.scope,
                text=row.text,
                owner=row.owner,
                state=row.state,
                status=row.status,
                long_stop_on=row.long_stop_on.isoformat() if row.long_stop_on else None,
                days_left=left,
                waivable_by=row.waivable_by,
                on=row.on.isoformat() if row.on else None,
                by=row.by,
                evidence=row.evidence,
                claims="; ".join(row.claims),
            )
        )
    return Drawn(lines, {"open": sum(1 for line in lines if line.state == "open")})
