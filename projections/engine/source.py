"""A page as the world that rules look at: the same parts, and nothing is recorded.

What a decision loads here is a copy, so that the page never sees what a command would
have done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from ledger.commands.can import available as could_draw
from ledger.commands.can import can
from ledger.commands.decision import Decision
from ledger.domain.aggregate import A, Parted
from ledger.domain.catalogue import BY_KIND
from ledger.domain.event import Event
from ledger.domain.values import Amount
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


def world_of(book: Book) -> Decision:
    """The world as a page has it, for what rules and evaluations look at."""
    return Decision(BookSource(book), lambda: book.now)


def available(book: Book, facility: str) -> Amount:
    """What of a facility could be drawn on the day of the page."""
    source = BookSource(book)
    return could_draw(source, lambda: book.now, book.deal, book.as_of, facility)


def refusal(book: Book, command: str, **given: Any) -> Refused | NotFound | None:
    """What a command would be refused with on the day of the page; None if it is not."""
    source = BookSource(book)
    return can(source, lambda: book.now, book.deal, book.as_of, command, **given)
