"""Books: which days are no business days, and which accounting periods are closed.

One stream a deal, so that every entry is decided beside it: a period closed at the
same moment makes whoever writes into it decide again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final, Literal, get_args

from ledger.domain.aggregate import Parted
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part
from ledger.domain.values import Id

Weekday = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
WEEKEND: Final[tuple[Weekday, ...]] = ("saturday", "sunday")


class HolidaysRecorded(EventData, tag="calendar.holidays_recorded"):
    """Days on which no business is done were recorded in a calendar."""

    calendar: Id
    days: tuple[date, ...]
    weekend: tuple[Weekday, ...] = WEEKEND

    def apply(self, books: Books, event: Event[Any]) -> None:
        key = f"calendar/{self.calendar}"
        calendar = books.parts.get(key) or Calendar(key=key)
        calendar.holidays = tuple(sorted({*calendar.holidays, *self.days}))
        calendar.weekend = self.weekend
        books.parts.put(calendar)


class PeriodOpened(EventData, tag="period.opened"):
    """An accounting period was opened."""

    period: Id
    begins_on: date
    ends_on: date

    def apply(self, books: Books, event: Event[Any]) -> None:
        books.parts.put(
            Period(
                key=f"period/{self.period}",
                begins_on=self.begins_on,
                ends_on=self.ends_on,
            )
        )


class PeriodClosed(EventData, tag="period.closed"):
    """An accounting period was closed: what is entered into it afterwards is late."""

    period: Id

    def apply(self, books: Books, event: Event[Any]) -> None:
        period = books.parts.change(f"period/{self.period}")
        if period:
            period.closed_on = event.on


class Calendar(Part, tag="calendar"):
    """Which days are business days: neither at a weekend nor a recorded holiday."""

    key: str = "calendar/"
    holidays: tuple[date, ...] = ()
    weekend: tuple[Weekday, ...] = WEEKEND

    def is_business_day(self, day: date) -> bool:
        """Whether business is done on a day."""
        return day not in self.holidays and WEEKDAYS[day.weekday()] not in self.weekend

    def next_business_day(self, day: date) -> date:
        """That day, or the first business day after it; at the end of days, that end."""
        while day < date.max and not self.is_business_day(day):
            day += timedelta(days=1)
        return day

    def after(self, day: date, business_days: int) -> date:
        """The business day so many business days after a day.

        A day without business counts as the next one with it.
        """
        found = self.next_business_day(day)
        while business_days > 0 and found < date.max:
            found = self.next_business_day(found + timedelta(days=1))
            business_days -= 1
        return found


class Period(Part, tag="period"):
    """An accounting period, both days included."""

    begins_on: date
    ends_on: date
    closed_on: date | None = None

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        return self.begins_on <= day <= self.ends_on


class Books(Parted):
    """The calendars and accounting periods of a deal. Stream `books/DEAL`."""

    __slots__ = ()
    kind = "books"

    @property
    def calendars(self) -> Mapping[str, Calendar]:
        """The calendars by name."""
        return self.parts.under("calendar")

    @property
    def periods(self) -> Mapping[str, Period]:
        """The periods by name."""
        return self.parts.under("period")

    def closed_period(self, day: date) -> str | None:
        """The closed period in which a day lies."""
        for name, period in self.periods.items():
            if period.closed_on is not None and period.holds(day):
                return name
        return None


PARTS: Final = (Calendar, Period)
EVENTS: Final = (HolidaysRecorded, PeriodOpened, PeriodClosed)
