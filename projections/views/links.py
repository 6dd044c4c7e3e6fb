"""Which other deals hang on this one, and who holds which rights?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.event import Event
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View, line_of


class LinkRow(FoldRow):
    """A link or a right."""

    kind: str
    relation: str
    other: str
    text: str = ""
    binding: bool = False
    since: str = ""
    until: str | None = None
    released_on: str | None = None
    status: Status = "confirmed"


LINKS: Final = View("links", 1, "Which deals and rights hang on this one?", LinkRow)


class LinkLine(Frozen, omit_defaults=False):
    """A linked deal, or a right and its holder."""

    kind: str
    relation: str
    other: str
    text: str
    binding: bool
    since: str
    until: str | None
    released_on: str | None
    status: str


def linked(book: Book) -> list[dict[str, str]]:
    """The linked deals."""
    return [
        {"relation": row.relation, "deal": row.other, "status": row.status}
        for row in book.rows(LINKS)
        if row.kind == "deal"
    ]


@LINKS.on(agreed.Linked)
def _linked(rows: Rows[LinkRow], event: Event[agreed.Linked]) -> None:
    data = event.data
    rows.put(
        LinkRow(
            key=f"deal/{data.relation}/{data.other}",
            kind="deal",
            relation=data.relation,
            other=data.other,
            text=data.note or "",
            since=event.on.isoformat(),
            status=event.provenance.status,
        )
    )


@LINKS.on(agreed.Superseded)
def _superseded(rows: Rows[LinkRow], event: Event[agreed.Superseded]) -> None:
    key = f"deal/superseded_by/{event.data.successor}"
    if rows.get(key) is None:
        rows.put(
            LinkRow(
                key=key,
                kind="deal",
                relation="superseded_by",
                other=event.data.successor,
                since=event.on.isoformat(),
                status=event.provenance.status,
            )
        )


@LINKS.on(agreed.RightRecorded)
def _right(rows: Rows[LinkRow], event: Event[agreed.RightRecorded]) -> None:
    data = event.data
    since = data.runs_from or event.on
    rows.put(
        LinkRow(
            key=f"right/{data.right}",
            kind="right",
            relation=data.kind,
            other=data.holder,
            text=data.text,
            binding=data.binding,
            since=since.isoformat(),
            until=data.runs_to.isoformat() if data.runs_to else None,
            status=event.provenance.status,
        )
    )


@LINKS.on(agreed.RightReleased)
def _released(rows: Rows[Any], event: Event[agreed.RightReleased]) -> None:
    row = rows.get(f"right/{event.data.right}")
    if row is not None:
        row.released_on = event.on.isoformat()
        rows.put(row)


@LINKS.answer(LinkLine, key=("kind", "relation", "other"))
def _links(book: Book) -> Drawn:
    return Drawn([line_of(LinkLine, row) for row in book.rows(LINKS)])
