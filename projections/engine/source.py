"""A page as the world that rules look at: the same parts, and nothing is recorded.

What a decision loads here is a copy, so that the page never sees what a command would
have done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from typing import Any

from ledger.domain.aggregate import A, Parted, not_found, stream_of
from ledger.domain.catalogue import BY_KIND
from ledger.domain.event import Event
from ledger.domain.values import Amount, Id
from ledger.errors import NotFound, Refused
from projections.engine.view import Book


class BookSource:
    """Where a decision about a page reads from: the rows of a book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def load(self, kind: type[A], stream: str) -> A:
        """A copy of the aggregate of a stream."""
        known = self._book.state(kind, stream)
        if isinstance(known, Parted):
            return type(known)(stream, known.parts.fork())
        return copy(known)

    def several(self, kind: type[A], streams: Sequence[str]) -> Iterable[A]:
        """The same of many streams, in few queries."""
        self._book.ahead(kind, streams)
        return [self.load(kind, stream) for stream in streams]

    def streams(self, kind: str, deal: str) -> Iterable[str]:
        """The streams of a kind that have events of the deal."""
        assert deal == self._book.deal
        return self._book.streams(BY_KIND[kind])

    def history(self, stream: str) -> Iterable[Event[Any]]:
        """Nothing: a page has no events, and no command that it tries reverses one."""
        raise NotImplementedError(stream)

    def entry(self, _position: int) -> Event[Any] | None:
        """Nothing: see `history`."""
        return None

    def kin(self, _deal: str) -> Mapping[str, int]:
        """Nothing: see `history`."""
        return {}

    def entries(self, _deals: Iterable[str]) -> Iterable[Event[Any]]:
        """Nothing: see `history`."""
        return ()


class Page:
    """A page as a world that is only looked at."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.latest_day = (book.now + timedelta(hours=14)).date()

    def get(self, kind: type[A], *ids: str) -> A:
        """The aggregate, with version 0 where nothing is recorded of it."""
        return self._book.state(kind, stream_of(kind, *ids))

    def need(self, kind: type[A], *ids: str) -> A:
        """The same, or NotFound."""
        found = self.get(kind, *ids)
        if not found.exists:
            raise not_found(kind, ids)
        return found

    def ahead(self, kind: type[A], ids: Iterable[tuple[str, ...]]) -> None:
        """Read aggregates that are looked at next, in few queries."""
        self._book.ahead(kind, (stream_of(kind, *each) for each in ids))

    def all(self, kind: type[A], deal: str) -> list[A]:
        """Every aggregate of that kind in the deal, in order of its id."""
        return [one for one in self._book.all(kind) if one.deal == deal and one.exists]

    def entry(self, _position: int) -> Event[Any] | None:
        """Nothing: a page has no events."""
        return None

    def entries(self, _deal: str) -> Iterable[Event[Any]]:
        """Nothing: a page has no events."""
        return ()


def available(book: Book, facility: str) -> Amount:
    """What of a facility could be drawn on the day of the page."""
    # All rules hang on it: they are loaded where something is tried.
    from ledger.commands.can import available

    source = BookSource(book)
    return available(source, lambda: book.now, book.deal, book.as_of, facility)


def why_not_unlock(book: Book, tranche: str) -> Refused | NotFound | None:
    """What `funding unlock` would be refused with on that day; None if it is not."""
    from ledger.commands.can import can
    from ledger.commands.funding import unlock

    source, name = BookSource(book), Id(tranche)
    return can(source, lambda: book.now, book.deal, book.as_of, unlock, tranche=name)
