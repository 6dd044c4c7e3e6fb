"""What each event belongs to, and what a thing on the record relied on.

A thread is the events of one thing: a drawdown, a tranche, a certificate, a system.
Threads rely on others: a drawdown on the tranches that it draws from, an unlock on the
certificates among its inputs, a certificate on its systems, a system on its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final, Protocol

from ledger.domain import agreement, certificate, funding, system
from ledger.domain.event import Event

IN_FUNDING: Final = ("drawdown", "tranche", "clawback", "true_up", "facility")
IN_AGREEMENT: Final = ("condition", "amendment", "statement", "right", "other")
MIXED: Final = ("agreement", "funding", "observation")
CALLED: Final = {"other": "link"}
NAMED: Final = frozenset({"certificate", "milestone", "order", "reversal", "sku"})
BROUGHT_ABOUT: Final = (funding.TrancheRelocked, funding.CommitmentChanged)
"""Events whose cause explains a figure; of others the cause is told in their thread."""
FLAGGED: Final = (funding.OverfundingDeclared, funding.OverfundingCured)
"""Events whose cause matters to who asks about the facility, and to no payment of it."""
SEEN: Final = ("default", "kind", "label", "instrument")


class Source(Protocol):
    """Where a deal's events come from: those that count, a stream at a time."""

    def of_stream(self, deal: str, stream: str) -> list[Event[Any]]:
        """The events of a stream, in order."""

    def at(self, deal: str, position: int) -> Event[Any] | None:
        """The event at a position."""


class Lineage:
    """The threads of one deal, read when they are asked for.

    Agreement, money and observations hold many threads in one stream, and are read
    whole; any other thread is a stream of its own.
    """

    def __init__(self, deal: str, source: Source) -> None:
        self.deal = deal
        self._source = source
        self._streams: dict[str, list[Event[Any]]] = {}
        self._equity: dict[str, str] = {}

    @cached_property
    def named(self) -> dict[str, list[Event[Any]]]:
        """The threads that share a stream with others."""
        threads: dict[str, list[Event[Any]]] = {}
        mixed = [one for kind in MIXED for one in self._stream(f"{kind}/{self.deal}")]
        for event in sorted(mixed, key=lambda event: event.position):
            threads.setdefault(self._thread_of(event), []).append(event)
        return threads

    def events(self, thread: str) -> list[Event[Any]]:
        """The events of a thread, in recorded order; none where there is no such."""
        if thread in self.named:
            return self.named[thread]
        kind, _, rest = thread.partition("/")
        if kind in {*MIXED, *IN_FUNDING, *IN_AGREEMENT}:
            return []
        return self._stream(f"{kind}/{self.deal}/{rest}" if kind in NAMED else thread)

    def _stream(self, stream: str) -> list[Event[Any]]:
        if stream not in self._streams:
            self._streams[stream] = self._source.of_stream(self.deal, stream)
        return self._streams[stream]

    def thread_at(self, position: int) -> str:
        """The thread of the event at a position."""
        event = self._source.at(self.deal, position)
        assert event is not None, position
        return self._thread_of(event)

    def position_of(self, ref: str | None) -> int | None:
        """Where an event stands that another refers to; None where it does not count."""
        event = self.by_ref(ref)
        return None if event is None else event.position

    def by_ref(self, ref: str | None) -> Event[Any] | None:
        """The event that a ref names; None where it does not count."""
        stream, _, version = (ref or "").rpartition("@")
        found = self._stream(stream) if stream else ()
        return next((one for one in found if str(one.version) == version), None)

    def _at(self, ref: str | None) -> str:
        """The thread that a ref is of; where it is a stream's own, it is not read."""
        stream = (ref or "").rpartition("@")[0]
        kind = stream.partition("/")[0]
        if kind and kind not in MIXED:
            return f"{kind}/{stream.rpartition('/')[2]}" if kind in NAMED else stream
        event = self.by_ref(ref)
        return "" if event is None else self._thread_of(event)

    def _thread_of(self, event: Event[Any]) -> str:
        """The thread of an event, `drawdown/D1`."""
        kind, _, rest = event.stream.partition("/")
        data = event.data
        match kind:
            case "agreement":
                noun = data.tag().partition(".")[0]
                named = self._named(data, IN_AGREEMENT)
                return named or f"{noun}/{self.deal}"
            case "funding":
                return self._of_money(data)
            case "observation":
                what = next((n for n in SEEN if hasattr(data, n)), "")
                return f"observation/{getattr(data, what)}"
        return f"{kind}/{rest.rpartition('/')[2]}" if kind in NAMED else event.stream

    @staticmethod
    def _named(data: Any, names: Iterable[str]) -> str | None:
        for name in names:
            found = getattr(data, name, None)
            if isinstance(found, str):
                return f"{CALLED.get(name, name)}/{found}"
        return None

    def _of_money(self, data: Any) -> str:
        match data:
            case funding.EquityIssued(certificate_no=number, drawdown=name):
                self._equity[number] = f"drawdown/{name}"
            case funding.EquityCancelled(certificate_no=number):
                # Threads of money are named in the order of the record.
                return self._equity.get(number, f"equity/{number}")
        thread = self._named(data, IN_FUNDING)
        assert thread is not None, data
        return thread

    def relied_on(self, thread: str, *, flags: bool = False) -> Iterator[str]:
        """The threads that a thread relied on, each once, nearest first.

        With `flags`, also those that had its facility flagged as overfunded, or cured.
        """
        told = BROUGHT_ABOUT + FLAGGED if flags else BROUGHT_ABOUT
        seen = {thread, ""}
        for event in reversed(self.events(thread)):
            causes = list(self._causes(event))
            if isinstance(event.data, told):
                causes.append(self._at(event.provenance.causation))
            for other in causes:
                if other not in seen:
                    seen.add(other)
                    yield other

    def _causes(self, event: Event[Any]) -> Iterator[str]:
        data = event.data
        match data:
            case funding.TrancheUnlocked(inputs=inputs):
                for one in inputs:
                    if one.leaf == "agreement_in_effect":
                        # Up to 0.4.0 its ref was the last event of the stream, of whatever.
                        yield f"agreement/{self.deal}"
                    else:
                        yield from (self._at(ref) for ref in one.refs)
            case funding.TrancheDefined(facility=facility):
                yield f"facility/{facility}"
            case funding.DrawdownRequested(allocations=parts):
                yield from (f"tranche/{part.tranche}" for part in parts)
            case funding.ClawbackDemanded(facility=facility):
                yield f"facility/{facility}"
            case funding.FacilityDefined():
                yield f"agreement/{self.deal}"
            case certificate.Drafted(systems=systems):
                yield from (f"system/{counted.system}" for counted in systems)
            case system.Registered(order=order):
                yield f"order/{order}"
            case agreement.BecameEffective():
                yield from self._conditions()

    def _conditions(self) -> Iterator[str]:
        """The conditions that the agreement as a whole depends on."""
        for name, events in self.named.items():
            defined = events[0].data
            if isinstance(defined, agreement.ConditionDefined) and (
                defined.scope == "agreement"
            ):
                yield name
