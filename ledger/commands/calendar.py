"""Commands on calendars: which days are no business days."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.books import WEEKDAYS, WEEKEND, Books, HolidaysRecorded, Weekday
from ledger.domain.values import Id


def record_holidays(
    decision: Decision,
    calendar: Annotated[Id, "the calendar, as the terms name it"],
    *,
    days: Annotated[tuple[date, ...], "a day on which no business is done"] = (),
    weekend: Annotated[
        tuple[Weekday, ...] | None,
        "a day of the weekend; as recorded before, else Saturday and Sunday",
    ] = None,
) -> None:
    """Record holidays in a calendar, beside those that stand in it already.

    A value date must be a business day of the calendar that the terms name, and notice
    is counted in its business days (FND-07). A day recorded in error is reversed.

    accord calendar record-holidays acme-orion new-york --days 2026-11-26 --days 2026-12-25
    """
    known = decision.get(Books, decision.deal).calendars.get(calendar)
    if weekend is None:
        # A list of holidays says nothing of the weekend, and so does not change it.
        kept = known.weekend if known else WEEKEND
        weekend = tuple(name for name in WEEKDAYS if name in kept)
    data = HolidaysRecorded(calendar=calendar, days=days, weekend=weekend)
    decision.record(Books, decision.deal, data=data)
