"""Claims as pages list them: where an entry that is only told stands, and what it says.

A state knows its claims by stream and version. Their places in the record are stamped
when they are appended, and so are kept here.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import Aggregate
from ledger.domain.event import Event, EventData
from projections.engine.view import Book, FoldRow, Rows, View


class ClaimRow(FoldRow):
    """The place of a claim in the record."""

    position: int


def keep_claims(view: View, *events: type[EventData]) -> None:
    """Let a view that folds nothing else keep the places of claims."""

    @view.on(*events)
    def _told(rows: Rows[ClaimRow], event: Event[Any]) -> None:
        if event.is_claim:
            rows.put(ClaimRow(key=event.ref, position=event.position))


def claimed(book: Book, view: View, aggregate: Aggregate) -> str:
    """The claims that stand beside a state: `#12 revoked (reported)`."""
    rows: Rows[ClaimRow] = book.rows(view)
    told = []
    for claim in aggregate.claims:
        row = rows.get(claim.ref)
        what = claim.event.data.tag().partition(".")[2]
        told.append(f"#{row.position if row else 0} {what} ({claim.provenance.status})")
    return ", ".join(told)
