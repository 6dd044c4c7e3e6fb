"""Commands on calendars: which days are no business days."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from ledger.books import WEEKEND, Books, HolidaysRecorded, Weekday
from ledger.decision import Decision
from ledger.values import Id


def record_holidays(
    decision: Decision,
    calendar: Annotated[Id, "the calendar, as the terms name it"],
    *,
    days: Annotated[tuple[date, ...], "a day on which no business is done"] = (),
    weekend: Annotated[tuple[Weekday, ...], "a day of the weekend"] = WEEKEND,
) -> None:
    """Record holidays in a calendar, beside those that stand in it already.

    A value date must be a business day of the calendar that the terms name, and notice
    is counted in its business days (FND-07). A day recorded in error is reversed.

    accord calendar record-holidays acme-orion new-york --days 2026-11-26 --days 2026-12-25
    """
    data = HolidaysRecorded(calendar=calendar, days=days, weekend=weekend)
    decision.record(Books, decision.deal, data=data)
