"""What was seen outside the deal: prices, corporate events, attestations, defaults?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import observation
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from ledger.domain.values import Price
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of


class ObservationRow(FoldRow):
    """An observation."""

    kind: str
    subject: str
    text: str
    on: str
    status: str
    source: str
    price: Price | None = None
    method: str = ""
    days: int = 0
    cured_on: str | None = None


OBSERVATIONS: Final = View(
    "observations", 1, "What was seen outside the deal, and by whom?", ObservationRow
)


class ObservationLine(Frozen, omit_defaults=False):
    """An observation in a line."""

    on: str
    kind: str
    subject: str
    text: str
    status: str
    source: str
    cured_on: str | None


@OBSERVATIONS.on(
    observation.PriceObserved,
    observation.CorporateEventObserved,
    observation.Attested,
    observation.DefaultDeclared,
)
def _observed(rows: Rows[ObservationRow], event: Event[Any]) -> None:
    row = ObservationRow(
        key=f"{event.position:012d}",
        kind=event.data.tag().partition(".")[2],
        subject="",
        text="",
        on=event.on.isoformat(),
        status=event.provenance.status,
        source="; ".join(item.title for item in event.provenance.evidence),
    )
    match event.data:
        case observation.PriceObserved() as seen:
            row.subject, row.price = seen.instrument, seen.price
            row.method, row.days = seen.method, seen.days
            row.text = f"{seen.price}, {seen.method} over {seen.days} days"
        case observation.CorporateEventObserved(kind=kind, text=text):
            row.subject, row.text = kind, text
        case observation.Attested(label=label, by=by, text=text):
            row.subject, row.text = label, f"{by}: {text}"
        case observation.DefaultDeclared(default=default, party=party, ground=ground):
            row.key = f"default/{default}"
            row.subject, row.text = default, f"{party}: {ground}"
    rows.put(row)


@OBSERVATIONS.on(observation.DefaultCured)
def _cured(rows: Rows[ObservationRow], event: Event[observation.DefaultCured]) -> None:
    row = rows.get(f"default/{event.data.default}")
    if row is not None and event.confirmed:
        row.cured_on = event.on.isoformat()
        rows.put(row)


@OBSERVATIONS.answer(ObservationLine, key=("kind", "subject", "on"))
def _observations(book: Book) -> Drawn:
    lines = [line_of(ObservationLine, row) for row in book.rows(OBSERVATIONS)]
    return Drawn(sorted(lines, key=lambda line: line.on))
