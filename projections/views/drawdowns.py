"""Which drawdowns are there: asked, approved, instructed, paid by whom, and when?

Their state is the funding's own. What is kept here beside it is stamped when an entry
is recorded, and so may not be in a part: for which party each step was taken, and which
user or batch entered it.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.event import Event
from ledger.domain.funding import (
    UNDER_WAY,
    DisbursementFailed,
    DisbursementInstructed,
    DisbursementSettled,
    Drawdown,
    DrawdownApproved,
    DrawdownRejected,
    DrawdownRequested,
    DrawdownWithdrawn,
    Funding,
)
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.commitment import plain

STEPS: Final[dict[type, str]] = {
    DrawdownRequested: "requested",
    DrawdownApproved: "approved",
    DrawdownRejected: "rejected",
    DrawdownWithdrawn: "withdrawn",
    DisbursementInstructed: "instructed",
    DisbursementSettled: "settled",
    DisbursementFailed: "failed",
}


class Hand(Frozen, array_like=True):
    """Whose hand a step of a drawdown is from: its party, its user, its batch."""

    step: str
    party: str
    submitted_by: str
    batch: str | None


class HandsRow(FoldRow):
    """Whose hands a drawdown went through, and the bank's reference."""

    hands: tuple[Hand, ...] = ()
    bank_ref: str | None = None

    def of(self, step: str) -> Hand | None:
        """The hand of a step."""
        return next((hand for hand in self.hands if hand.step == step), None)


DRAWDOWNS: Final = View(
    "drawdowns", 2, "Which drawdowns are there, and who did what?", HandsRow
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


@DRAWDOWNS.on(*STEPS)
def _hand(rows: Rows[Any], event: Event[Any]) -> None:
    key = event.data.drawdown
    row = rows.get(key) or HandsRow(key=key)
    hand = Hand(
        step=STEPS[type(event.data)],
        party=event.provenance.party,
        submitted_by=event.identity.submitted_by,
        batch=event.identity.batch,
    )
    row.hands = (*row.hands, hand)
    row.bank_ref = getattr(event.data, "bank_ref", row.bank_ref)
    rows.put(row)


@DRAWDOWNS.answer(DrawdownLine, parts_of(Funding), key=("drawdown",))
def _drawdowns(book: Book) -> Drawn:
    funding = book.get(Funding)
    known = [drawdown for _, drawdown in sorted(funding.drawdowns.items())]
    shares = _shares(funding)
    lines = [_line(book, one, shares.get(one.name, [])) for one in known]
    return Drawn(lines, {"open": sum(1 for one in known if one.state in UNDER_WAY)})


def _shares(funding: Funding) -> dict[str, list[str]]:
    """The certificates of the equity that stands for each drawdown."""
    found: dict[str, list[str]] = {}
    for number, equity in sorted(funding.equity.items()):
        if not equity.cancelled:
            found.setdefault(equity.drawdown, []).append(number)
    return found


def _line(book: Book, drawdown: Drawdown, shares: list[str]) -> DrawdownLine:
    hands = book.rows(DRAWDOWNS).get(drawdown.name) or HandsRow(key=drawdown.name)
    asked = drawdown.asked
    waits = drawdown.state in UNDER_WAY
    return DrawdownLine(
        drawdown=drawdown.name,
        facility=asked.facility,
        tranches=", ".join(part.tranche for part in asked.allocations),
        amount=plain(drawdown.amount),
        unit=drawdown.amount.unit,
        state=drawdown.state,
        value_on=asked.value_on.isoformat(),
        requested=_who(drawdown, hands, "requested") or "",
        approved=_who(drawdown, hands, "approved"),
        instructed=_who(drawdown, hands, "instructed"),
        settled=_who(drawdown, hands, "settled"),
        bank_ref=hands.bank_ref,
        returned=plain(drawdown.returned),
        age_days=(book.as_of - drawdown.on["requested"]).days if waits else None,
        equity=", ".join(shares),
        same_submitter=_same(hands),
        status=drawdown.status,
    )


def _who(drawdown: Drawdown, hands: HandsRow, step: Any) -> str | None:
    if step not in drawdown.on:
        return None
    hand = hands.of(step)
    party = f"@{hand.party}" if hand else ""
    return f"{drawdown.on[step]} {drawdown.by[step]}{party}"


def _same(hands: HandsRow) -> bool:
    """Whether request and approval came from one system user or one batch."""
    asked, approved = hands.of("requested"), hands.of("approved")
    if asked is None or approved is None:
        return False
    batch = asked.batch is not None and asked.batch == approved.batch
    return asked.submitted_by == approved.submitted_by or batch
