"""The moment that a question is about: up to which position, and by which day.

A day and a recorded time are two questions; positions answer both, because recorded
time never goes back, and `days.py` keeps where a deal's events went past a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.clock import stamp_time
from ledger.database.tables import events
from ledger.domain.aggregate import not_found
from ledger.domain.agreement import Agreement
from ledger.errors import NotFound
from ledger.record.log import read_head
from ledger.record.store import Store
from ledger.record.tiles import Tiles
from ledger.tlog.proofs import root_at
from projections.engine import stored
from projections.engine.days import DAYS, reached
from projections.engine.history import (
    deals_of,
)
from projections.engine.stored import tracked

DAY: Final = timedelta(days=1)
KnownAt = datetime | int
"""A recorded time, or a position of the record."""


class Moment:
    """The record as of a day, as known at a time or position, in one snapshot.

    `today` is the day that an answer without a day is about; the clock's if left out.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        as_of: date | None = None,
        known_at: KnownAt | None = None,
        today: date | None = None,
    ) -> None:
        self.connection = connection
        self.as_of = as_of
        self.known_at = known_at
        self.now = store.clock()
        self.day = as_of or today or self.now.astimezone(UTC).date()
        self.tracked = tracked(connection)
        self._head = read_head(connection)
        self.position = self._horizon(known_at)
        self.limited = as_of is not None or self.position < self._head.size

    @property
    def recording_time(self) -> datetime:
        """When a command would be recorded: now, or at the time known at."""
        if isinstance(self.known_at, datetime):
            return min(self.known_at, self.now)
        return self.now

    def before(self, deal: str, point: date | datetime | int) -> int:
        """A position up to which every event of a deal lies before a point."""
        match point:
            case int():
                return min(point - 1, self.position)
            case datetime():
                just_before = self._horizon(point - timedelta(microseconds=1))
                return min(just_before, self.position)
            case _:
                return min(self.in_order(deal, point - DAY), self.position)

    def upto(self, deal: str, point: date | datetime | int) -> int:
        """The last position of a deal at which an event lies before a point, or at it."""
        match point:
            case int():
                return point
            case datetime():
                return self._horizon(point)
            case _:
                found: int | None = self.connection.scalar(
                    sa.select(events.c.position)
                    .where(
                        events.c.deal == deal,
                        events.c.effective_on <= point.isoformat(),
                    )
                    .order_by(events.c.position.desc())
                    .limit(1)
                )
                return found or 0

    def in_order(self, deal: str, day: date | None) -> int:
        """Up to where every event of a deal is effective by a day."""
        if day is None:
            return self.position
        version, known = self.tracked.get(DAYS.name, (0, 0))
        if version != DAYS.version:
            return 0
        past_the_day = reached(self.connection, deal, day)
        if past_the_day is None:
            return known
        return min(known, (past_the_day - 1) * stored.SEGMENT)

    def deals(self) -> Sequence[str]:
        """The deals that were known, in order of their ids."""
        return [deal for deal in deals_of(self.connection) if self.knows(deal)]

    def check_known(self, deal: str) -> None:
        """NotFound for a deal that is not on the record, or was not then."""
        if self.knows(deal):
            return
        effective, recorded = self.connection.execute(
            sa.select(
                sa.func.min(events.c.effective_on), sa.func.min(events.c.recorded_at)
            ).where(events.c.deal == deal)
        ).one()
        if effective is None:
            raise not_found(Agreement, (deal,))
        asked = []
        if self.as_of:
            asked.append(f"as of {self.as_of}")
        if self.known_at is not None:
            asked.append(f"known at {self.params(deal)['known_at']}")
        raise NotFound(
            f"Deal {deal!r} is not on the record {', '.join(asked)}; "
            f"it is from {effective}, recorded at {recorded}."
        )

    def knows(self, deal: str) -> bool:
        """Whether anything of a deal was on the record, and so by then."""
        found = sa.select(events.c.position).where(
            events.c.deal == deal, events.c.position <= self.position
        )
        if self.as_of is not None:
            found = found.where(events.c.effective_on <= self.as_of.isoformat())
        found = found.order_by(events.c.position).limit(1)
        return self.connection.scalar(found) is not None

    @property
    def limited_by_day(self) -> bool:
        """Whether what was so only after the day is left out."""
        return self.as_of is not None

    def check_position(self, position: int) -> None:
        """NotFound for a position beyond the end of the record."""
        if position > self._head.size:
            raise NotFound(
                f"There is no position {position:,}: "
                f"the record has {self._head.size:,} events."
            )

    def _horizon(self, known_at: KnownAt | None) -> int:
        """The last position that was on the record."""
        if known_at is None:
            return self._head.size
        if isinstance(known_at, int):
            self.check_position(known_at)
            return known_at
        stamp, known, unknown = stamp_time(known_at), 0, self._head.size + 1
        # Recorded time never goes back, and positions have no gaps.
        while unknown - known > 1:
            middle = (known + unknown) // 2
            at = sa.select(events.c.recorded_at).where(events.c.position == middle)
            if (self.connection.scalar(at) or "") <= stamp:
                known = middle
            else:
                unknown = middle
        return known

    def params(self, deal: str | None) -> dict[str, str | None]:
        """What was asked, as it was resolved.

        Asked again with these, the same answer comes back, whatever is recorded in the
        meantime.
        """
        known_at: str | None = self._head.recorded_at or None
        if isinstance(self.known_at, int):
            known_at = f"#{self.known_at}"
        elif self.known_at is not None:
            known_at = stamp_time(self.known_at)
        as_of = self.as_of.isoformat() if self.as_of else None
        return {"deal": deal, "as_of": as_of, "known_at": known_at}

    @property
    def root(self) -> bytes:
        """The root over all events up to the position."""
        if self.position == self._head.size:
            return self._head.root
        return root_at(self.position, Tiles(self.connection))
