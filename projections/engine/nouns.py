"""The state of every aggregate, as the views keep it: parts in the rows of a table.

There is no second fold. What an event does is its own `apply`, taken in by the same
`take` as in a decision; the engine makes a view of it for each kind of aggregate, and
other views draw on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from functools import reduce
from operator import or_
from typing import Any, Final, TypeVar

from ledger.domain.aggregate import Aggregate, Head, Single, Standing
from ledger.domain.catalogue import EVENTS_OF, PARTS_OF
from ledger.domain.event import Event
from ledger.domain.parts import Part, Parts
from ledger.domain.system import Slot
from projections.engine.view import View

VERSION: Final = 1
"""Raised when an `apply` or a part changes: rows of another version are folded anew."""
Watch = Callable[[Parts[Any], Any, Any, Event[Any]], None]
_WATCHES: Final[dict[type[Aggregate], list[Watch]]] = {}
W = TypeVar("W", bound=Watch)


_MADE: Final[dict[type[Aggregate], View]] = {}


def parts_of(kind: type[Aggregate]) -> View:
    """The view that keeps the state of every aggregate of a kind."""
    if kind not in _MADE:
        _MADE[kind] = _made(kind)
    return _MADE[kind]


def _made(kind: type[Aggregate]) -> View:
    kept = (
        kind
        if issubclass(kind, Single)
        else reduce(or_, (*PARTS_OF[kind], Head, Standing))
    )
    question = f"What is the state of each {kind.kind}?"
    view = View(f"{kind.kind}-parts", VERSION, question, kept)
    if issubclass(kind, Single):
        # Of what is of no one deal there is very much: it is read ahead.
        reads = None if kind.scoped else _stream_key
        view.on(*EVENTS_OF[kind], reads=reads)(_single(kind))
    else:
        view.on(*EVENTS_OF[kind])(_parted(kind))
    return view


def watch(kind: type[Aggregate], *kept: type[Part]) -> Callable[[W], W]:
    """Bind what keeps totals of a kind, as parts among those that they add up.

    It is given these parts, the aggregate's own part as it was, or None, and as it is,
    and the event, right after the aggregate took it: totals and what they add up are
    never of different positions. What moves no state is not given to it. Raise
    `VERSION` when a watch changes.
    """

    def bind(function: W) -> W:
        _WATCHES.setdefault(kind, []).append(function)
        view = parts_of(kind)
        view.kept = reduce(or_, kept, view.kept)
        return function

    return bind


def _stream_key(event: Event[Any]) -> Iterable[str]:
    return (event.stream.partition("/")[2],)


def _single(kind: type[Aggregate]) -> Callable[[Parts[Any], Event[Any]], None]:
    watches = _WATCHES.setdefault(kind, [])

    def take(rows: Parts[Any], event: Event[Any]) -> None:
        one = rows.get(event.stream.partition("/")[2])
        before = one.__copy__() if watches and one is not None else None
        if one is None:
            one = kind.at(event.stream)
        one.take(event)
        rows.put(one)
        if watches and not event.is_claim:
            for told in watches:
                told(rows, before, one, event)

    return take


def _parted(kind: Any) -> Callable[[Parts[Any], Event[Any]], None]:
    watches = _WATCHES.setdefault(kind, [])

    def take(rows: Parts[Any], event: Event[Any]) -> None:
        stream = event.identity.stream
        one = rows.lenses.get(stream) or kind.over(stream, rows)
        if not watches:
            one.take(event)
            return
        own = f"{kind.kind}/{one.name}"
        before = copy(rows.get(own))
        one.take(event)
        if not event.is_claim:
            for told in watches:
                told(rows, before, rows.get(own), event)

    return take


NOUNS: Final[tuple[View, ...]] = tuple(
    parts_of(kind) for kind in EVENTS_OF if kind is not Slot
)
"""The state of every kind; what stands in a place, its system says, too."""
