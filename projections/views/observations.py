"""What was seen outside the deal: prices, corporate events, attestations, defaults?

The state keeps what counts. The rows here list every observation, as it was worded and
with its source: only this view needs those.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import observation
from ledger.domain.event import Event
from ledger.domain.observation import Observations
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, Rows, View


class ObservationRow(FoldRow):
    """An observation as it was worded, and who says so."""

    kind: str
    subject: str
    text: str
    on: str
    status: str
    source: str


OBSERVATIONS: Final = View(
    "observations", 2, "What was seen outside the deal, and by whom?", ObservationRow
)


class ObservationLine(Frozen, omit_defaults=False):
    """An observation in a line; a cure that is only reported has a line of its own."""

    on: str
    kind: str
    subject: str
    text: str
    status: str
    source: str
    cured_on: str | None


@OBSERVATIONS.on(*observation.EVENTS)
def _observed(rows: Rows[ObservationRow], event: Event[Any]) -> None:
    if isinstance(event.data, observation.DefaultCured) and not event.is_claim:
        return  # It shows beside the default.
    subject, text = _worded(event.data)
    rows.put(
        ObservationRow(
            key=f"{event.position:012d}",
            kind=event.data.tag().partition(".")[2],
            subject=subject,
            text=text,
            on=event.on.isoformat(),
            status=event.provenance.status,
            source="; ".join(item.title for item in event.provenance.evidence),
        )
    )


def _worded(data: Any) -> tuple[str, str]:
    """What an observation is of, and what it says."""
    match data:
        case observation.PriceObserved() as seen:
            return (
                seen.instrument,
                f"{seen.price}, {seen.method} over {seen.days} days",
            )
        case observation.CorporateEventObserved(kind=kind, text=text):
            return kind, text
        case observation.Attested(label=label, by=by, text=text):
            return label, f"{by}: {text}"
        case observation.DefaultDeclared(default=default, party=party, ground=ground):
            return default, f"{party}: {ground}"
    return data.default, ""


@OBSERVATIONS.answer(
    ObservationLine, parts_of(Observations), key=("kind", "subject", "on")
)
def _observations(book: Book) -> Drawn:
    lines = [_line(book, row) for row in book.rows(OBSERVATIONS)]
    return Drawn(sorted(lines, key=lambda line: line.on))


def _line(book: Book, row: ObservationRow) -> ObservationLine:
    cured = None
    if row.kind == "default_declared" and row.status == "confirmed":
        default = book.get(Observations).default(row.subject)
        cured = default.cured_on if default else None
    return ObservationLine(
        on=row.on,
        kind=row.kind,
        subject=row.subject,
        text=row.text,
        status=row.status,
        source=row.source,
        cured_on=cured.isoformat() if cured else None,
    )
