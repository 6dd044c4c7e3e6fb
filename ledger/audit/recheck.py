"""The whole history judged again: by today's rules, and by its own arithmetic.

Each event is held against every rule about the state just before it, in the order in
which it was recorded. What a rule would refuse today stays on the record and counts:
it is reported. Amounts are computed again from what their own events recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ledger.domain.aggregate import Aggregate, fold
from ledger.domain.agreement import Terms
from ledger.domain.certificate import Certificate, Issued, on_basis
from ledger.domain.evaluation import recomputed
from ledger.domain.event import Event, Reversed
from ledger.domain.funding import EquityIssued, TrancheRelocked, TrancheUnlocked
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import decode
from ledger.errors import NotFound
from ledger.record.store import Store
from ledger.rules.past import Past
from ledger.rules.rulebook import check

Progress = Callable[[int, int | None], None]


class Finding(Frozen, omit_defaults=False):
    """An event that today's rules refuse, or a figure that does not come out again.

    `code` is the rule's, or `figure`; `recorded` and `recomputed` are its two values.
    """

    position: int
    deal: str
    type: str
    stream: str
    code: str
    what: str
    recorded: str | None = None
    recomputed: str | None = None


class Report(msgspec.Struct):
    """How much was judged again, and what was found."""

    events: int = 0
    unlocks: int = 0
    certificates: int = 0
    equity: int = 0
    findings: list[Finding] = []


def recheck(store: Store, progress: Progress | None = None) -> Report:
    """Judge every event again; UnknownEvent stops it (REC-10)."""
    report = Report()
    with store.snapshot():
        past = _Recorded(store)
        size = store.head().size
        for position, data in store.entries():
            event = decode(data, position=position)
            past.reach(event)
            report.findings += _judge(past, event)
            report.findings += _recompute(past, event, report)
            past.take(event)
            report.events += 1
            if progress:
                progress(report.events, size)
    return report


class _Recorded(Past):
    """A past that can look its entries up, as the rules of reversals ask."""

    def __init__(self, store: Store) -> None:
        super().__init__(check)
        self._store = store
        self._before = 0

    def reach(self, event: Event[Any]) -> None:
        """Stand just before an event."""
        super().reach(event)
        self._before = event.position

    def take(self, event: Event[Any], *, counts: bool = True) -> None:
        """Take an event in; one that reverses another folds its stream anew."""
        if isinstance(event.data, Reversed):
            self._refold(self.aggregate(event), event)
        else:
            super().take(event, counts=counts)

    def _refold(self, aggregate: Aggregate, event: Event[Any]) -> None:
        stored = self._store.select_events(event.stream, lte=event.version)
        history = (decode(item.state) for item in stored)
        self.put(fold(type(aggregate), event.stream, history))

    def entry(self, position: int) -> Event[Any] | None:
        """The entry at a position, if it was there by then."""
        found = self._store.select_notifications(position, 1, stop=self._before - 1)
        return decode(found[0].state) if found else None

    def entries(self, deal: str) -> Iterator[Event[Any]]:
        """Every entry that may bear on a deal's, up to then."""
        kin = self._store.kin(deal)
        for position, data in self._store.entries(kin, upto=self._before - 1):
            yield decode(data, position=position)


def _judge(past: Past, event: Event[Any]) -> Iterable[Finding]:
    refusal = past.refusal(event)
    if refusal is not None:
        missing = isinstance(refusal, NotFound)
        code = "not_found" if missing else refusal.code  # type: ignore[union-attr]
        what = str(refusal) if missing else refusal.sentence  # type: ignore[union-attr]
        yield _finding(event, code, what)


def _recompute(past: Past, event: Event[Any], report: Report) -> Iterable[Finding]:
    """Compute a figure again from the inputs recorded with it."""
    data = event.data
    pairs: list[tuple[str, Any, Any]]
    match data:
        case TrancheUnlocked() | TrancheRelocked():
            report.unlocks += 1
            pairs = [("cumulative", data.cumulative, recomputed(data))]
        case Issued():
            report.certificates += 1
            name = event.stream.rpartition("/")[2]
            systems = past.get(Certificate, event.deal, name).systems
            rated_w = sum(counted.rated.watts for counted in systems)
            terms = Terms(
                capacity_basis=data.basis,
                overhead_ratio=data.overhead_ratio,
                pue=data.pue,
            )
            pairs = [
                ("rated", data.rated.watts, rated_w),
                ("certified", data.certified, on_basis(data.rated.watts, terms)),
            ]
        case EquityIssued():
            report.equity += 1
            value = data.price.times(int(data.quantity.value))
            close = abs(value - data.consideration.value) < data.price.value
            paid = data.consideration.value
            pairs = [("consideration", paid, paid if close else value)]
        case _:
            return
    for name, recorded, again in pairs:
        if recorded != again:
            said, found = _text(recorded), _text(again)
            what = f"{name} is recorded as {said} and comes out as {found}"
            yield _finding(event, "figure", what, recorded=said, recomputed=found)


def _text(value: Any) -> str:
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _finding(event: Event[Any], code: str, what: str, **figures: str) -> Finding:
    return Finding(
        position=event.position,
        deal=event.deal,
        type=event.data.tag(),
        stream=event.stream,
        code=code,
        what=what,
        **figures,
    )
