"""Commands on accounting periods: open, close."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.books import Books, PeriodClosed, PeriodOpened
from ledger.domain.values import Id

PeriodId = Annotated[Id, "the period"]


def open_(
    decision: Decision,
    period: PeriodId,
    *,
    begins_on: Annotated[date, "its first day"],
    ends_on: Annotated[date, "its last day"],
) -> None:
    """Open an accounting period.

    accord period open acme-orion 2026-Q1 --begins-on 2026-01-01 --ends-on 2026-03-31
    """
    data = PeriodOpened(period=period, begins_on=begins_on, ends_on=ends_on)
    decision.record(Books, decision.deal, data=data)


def close(decision: Decision, period: PeriodId) -> None:
    """Close an accounting period: what is entered into it afterwards is late.

    A late entry needs a reason, and shows in the view late-entries. A period closed in
    error is opened again by reversing the closing.

    accord period close acme-orion 2026-Q1
    """
    decision.record(Books, decision.deal, data=PeriodClosed(period=period))
