"""Which equity was issued for which payment, at what price, and what of it stands?"""

from __future__ import annotations

from typing import Final

from ledger.domain.funding import Drawdown, Equity, Facility, Funding
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, View
from projections.views.commitment import plain

EQUITY: Final = View(
    "equity", 1, "Which equity was issued for which payment, and what of it stands?"
)


class EquityLine(Frozen, omit_defaults=False):
    """A share certificate: so many shares at a price, for a consideration in `unit`."""

    certificate_no: str
    state: str
    drawdown: str
    facility: str | None
    issuer: str | None
    holder: str | None
    share_class: str
    quantity: str
    quantity_unit: str
    price: str
    consideration: str
    unit: str
    issued_on: str
    cancelled_on: str | None
    status: str


@EQUITY.answer(EquityLine, parts_of(Funding), key=("certificate_no",))
def _equity(book: Book) -> Drawn:
    funding = book.get(Funding)
    lines = [
        _line(funding, number, equity)
        for number, equity in sorted(funding.equity.items())
    ]
    standing = [line for line in lines if line.state == "issued"]
    return Drawn(lines, {"standing": len(standing)})


def _line(funding: Funding, number: str, equity: Equity) -> EquityLine:
    drawdown = funding.find(Drawdown, equity.drawdown)
    facility = drawdown and funding.find(Facility, drawdown.asked.facility)
    return EquityLine(
        certificate_no=number,
        state="cancelled" if equity.cancelled else "issued",
        drawdown=equity.drawdown,
        facility=facility.name if facility else None,
        issuer=facility.defined.recipient if facility else None,
        holder=facility.defined.provider if facility else None,
        share_class=equity.share_class,
        quantity=plain(equity.quantity),
        quantity_unit=equity.quantity.unit,
        price=f"{equity.price.value:f}",
        consideration=plain(equity.consideration),
        unit=equity.consideration.unit,
        issued_on=equity.issued_on.isoformat(),
        cancelled_on=equity.cancelled_on.isoformat() if equity.cancelled_on else None,
        status=equity.status,
    )
