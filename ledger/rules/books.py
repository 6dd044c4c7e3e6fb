"""Rules of the books: REC-04 for late entries, REC-14 for calendars and periods."""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.books import (
    WEEKDAYS,
    Books,
    HolidaysRecorded,
    PeriodClosed,
    PeriodOpened,
)
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event
from ledger.errors import Refused
from ledger.rules.registry import rule


# An entry on a period is about it, not of it: it may be closed on its own last day.
@rule("REC-04", *(e for e in EVENTS if e not in {PeriodOpened, PeriodClosed}))
def late_entries_give_a_reason(world: World, event: Event[Any]) -> None:
    """An entry effective in a closed period gives its reason, and is reported as late."""
    period = world.get(Books, event.deal).closed_period(event.on)
    if period and not (event.provenance.reason or "").strip():
        raise Refused(
            f"Period {period} is closed, and {event.on} lies in it. "
            "Give a reason; the entry will be reported as late.",
            todo="Say why in 'reason', or record it on a day that is still open.",
        )


@rule("REC-14", HolidaysRecorded)
def calendar_leaves_business_days(_: World, event: Event[Any]) -> None:
    """A calendar names days, each once, and leaves a day of the week for business."""
    days, weekend = event.data.days, set(event.data.weekend)
    if len(set(days)) != len(days):
        raise Refused("A day stands twice among the holidays.")
    if not days and not weekend:
        raise Refused("A calendar without a holiday or weekend says nothing.")
    if len(weekend) == len(WEEKDAYS):
        raise Refused("A week without a business day leaves no value date.")


@rule("REC-14", PeriodOpened)
def period_stands_alone(world: World, event: Event[Any]) -> None:
    """A period is opened once, runs forward, and overlaps no other."""
    opened, books = event.data, world.get(Books, event.deal)
    if opened.period in books.periods:
        raise Refused(f"Period {opened.period} is on the record already.")
    if opened.ends_on < opened.begins_on:
        raise Refused(
            f"Period {opened.period} would end on {opened.ends_on}, before it begins "
            f"on {opened.begins_on}.",
        )
    for name, other in books.periods.items():
        if opened.begins_on <= other.ends_on and other.begins_on <= opened.ends_on:
            raise Refused(
                f"Period {opened.period} ({opened.begins_on} to {opened.ends_on}) "
                f"overlaps {name} ({other.begins_on} to {other.ends_on}).",
            )


@rule("REC-14", PeriodClosed)
def period_is_closed_once_after_its_end(world: World, event: Event[Any]) -> None:
    """A period is closed once, on its last day or later."""
    name = event.data.period
    periods = world.get(Books, event.deal).periods
    period = periods.get(name)
    if period is None:
        known = ", ".join(periods) or "none"
        raise Refused(
            f"Period {name} is not on the record; known: {known}.",
            todo="Open it first with 'period open'.",
        )
    if period.closed_on is not None:
        raise Refused(f"Period {name} was closed on {period.closed_on}.")
    if event.on < period.ends_on:
        raise Refused(
            f"Period {name} runs to {period.ends_on} and cannot be closed on "
            f"{event.on}.",
        )


@rule("REC-14", HolidaysRecorded, PeriodOpened, PeriodClosed)
def books_are_confirmed(_: World, event: Event[Any]) -> None:
    """Calendars and periods are the parties' own: nothing in them is only reported."""
    if not event.confirmed:
        raise Refused(f"This entry is marked {event.provenance.status}.")
