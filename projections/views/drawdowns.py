"""Which drawdowns are there: asked, approved, instructed, paid by whom, and when?"""

from __future__ import annotations

from typing import Final

from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, View
from projections.views.commitment import COMMITMENT, DrawdownRow, money_of, plain
from projections.views.deals import DEALS

OPEN: Final = frozenset({"requested", "approved", "instructed"})

DRAWDOWNS: Final = View(
    "drawdowns", 1, "Which drawdowns are there, and who did what?", FoldRow
)


class DrawdownLine(Frozen, omit_defaults=False):
    """A drawdown; `same_submitter` tells that one user or batch entered both sides."""

    drawdown: str
    facility: str
    tranches: str
    amount: str
    unit: str
    state: str
    value_on: str
    requested: str
    approved: str | None
    instructed: str | None
    settled: str | None
    bank_ref: str | None
    returned: str
    age_days: int | None
    equity: str
    same_submitter: bool
    status: str


@DRAWDOWNS.answer(DrawdownLine, COMMITMENT, DEALS, key=("drawdown",))
def _drawdowns(book: Book) -> Drawn:
    rows = money_of(book).drawdowns
    lines = [_line(book, row) for row in rows]
    return Drawn(lines, {"open": sum(1 for row in rows if row.state in OPEN)})


def _line(book: Book, row: DrawdownRow) -> DrawdownLine:
    asked = row.on["requested"]
    return DrawdownLine(
        drawdown=row.drawdown,
        facility=row.facility,
        tranches=", ".join(row.tranches),
        amount=plain(row.amount),
        unit=row.amount.unit,
        state=row.state,
        value_on=row.value_on.isoformat(),
        requested=_who(row, "requested") or "",
        approved=_who(row, "approved"),
        instructed=_who(row, "instructed"),
        settled=_who(row, "settled"),
        bank_ref=row.bank_ref,
        returned=plain(row.returned),
        age_days=(book.as_of - asked).days if row.state in OPEN else None,
        equity=", ".join(row.equity),
        same_submitter=_same(row),
        status=row.status,
    )


def _who(row: DrawdownRow, step: str) -> str | None:
    return f"{row.on[step]} {row.by[step]}" if step in row.by else None


def _same(row: DrawdownRow) -> bool:
    """Whether request and approval came from one system user or one batch."""
    if "approved" not in row.submitted:
        return False
    asked_by, asked_in = row.submitted["requested"]
    approved_by, approved_in = row.submitted["approved"]
    return asked_by == approved_by or (asked_in is not None and asked_in == approved_in)
