"""What relied on entries that are to be reversed: asked of the rules, not written down.

The history is judged once more without those entries. A later entry relied on them
where a rule now refuses it that had nothing against it before, or where it was brought
about by one of them. It is then left out too, so that what relied on it is found as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from copy import deepcopy
from typing import Any, Final, NamedTuple

from ledger.domain.aggregate import Aggregate, World
from ledger.domain.event import Event, Reversed
from ledger.domain.funding import (
    PAID,
    DisbursementInstructed,
    DrawdownApproved,
    DrawdownRequested,
    Funding,
)
from ledger.domain.reversal import EVENTS
from ledger.errors import NotFound, Refused
from ledger.rules.past import Check, Past

DRAWS: Final = (DrawdownRequested, DrawdownApproved, DisbursementInstructed)
LIMITS: Final = frozenset({"FND-01", "FND-07", "FND-12"})


class Reliant(NamedTuple):
    """An entry that relied on what is to be reversed, and what now speaks against it."""

    event: Event[Any]
    why: str


class _Without(Past):
    """A past without some entries: its own are the aggregates whose entries those are.

    All others are as they are in the other past, which takes each event after this one.
    """

    def __init__(self, check: Check, other: Past) -> None:
        super().__init__(check)
        self._other = other

    def find(self, kind: str, stream: str) -> Aggregate | None:
        """The aggregate of a stream, if there is one."""
        return super().find(kind, stream) or self._other.find(kind, stream)

    def of_kind(self, kind: str) -> Mapping[str, Aggregate]:
        """The aggregates of a kind by their streams."""
        return {**self._other.of_kind(kind), **super().of_kind(kind)}

    def take(self, event: Event[Any], *, counts: bool = True) -> None:
        """Take an event in; where both take it alike, the other does."""
        if super().find(event.kind, event.stream) is not None:
            super().take(event, counts=counts)

    def leave_out(self, event: Event[Any]) -> None:
        """Take an event in as one that does not count; from here on the two differ."""
        if super().find(event.kind, event.stream) is None:
            self.put(deepcopy(self._other.aggregate(event)))
        super().take(event, counts=False)


def reversed_among(entries: Iterable[Event[Any]]) -> frozenset[int]:
    """The positions of the entries that are reversed."""
    return frozenset(e.data.position for e in entries if isinstance(e.data, Reversed))


def reliant(
    world: World, deal: str, taken: AbstractSet[int], check: Check
) -> list[Reliant]:
    """Every entry that relied on those at the positions `taken`, in recorded order.

    Drawdowns that were paid are left as they are where only a limit, or the notice that
    was due, speaks against them: the money has moved, and FND-12 decides what follows.
    """
    funding: list[Event[Any]] = []
    gone = reversed_among(_noting(world.entries(deal), f"funding/{deal}", funding))
    paid = _paid(deal, funding, gone | taken)
    before = Past(check)
    without = _Without(check, before)
    found: list[Reliant] = []
    refs: set[str] = set()
    for event in world.entries(deal):
        aside = event.position in gone or isinstance(event.data, (Reversed, *EVENTS))
        for past in (without, before):
            past.reach(event)
        why = ""
        if event.position in taken:
            refs.add(event.ref)
        elif not aside and (refs or found):
            why = _why(without, before, event, refs, paid)
        if why:
            found.append(Reliant(event, why))
            refs.add(event.ref)
        if not aside and event.ref in refs:
            without.leave_out(event)
        else:
            without.take(event, counts=not aside)
        before.take(event, counts=not aside)
    return found


def _why(
    without: Past,
    before: Past,
    event: Event[Any],
    refs: set[str],
    paid: AbstractSet[str],
) -> str:
    """Why an entry cannot stand without the others; nothing where it can."""
    cause = event.provenance.causation
    if cause in refs:
        return f"{cause} brought it about"
    refusal = without.refusal(event)
    if refusal is None or _same(refusal, before.refusal(event)):
        return ""
    if isinstance(refusal, NotFound):
        return str(refusal)
    limit = refusal.code in LIMITS and isinstance(event.data, DRAWS)
    if limit and event.data.drawdown in paid:
        return ""
    return f"{refusal.code}: {refusal.sentence}"


def _same(now: Refused | NotFound, was: Refused | NotFound | None) -> bool:
    """Whether what is said against an entry was said before, on the same ground."""
    if isinstance(now, Refused) and isinstance(was, Refused):
        return now.code == was.code
    return type(now) is type(was)


def _noting(
    entries: Iterable[Event[Any]], stream: str, noted: list[Event[Any]]
) -> Iterator[Event[Any]]:
    """Entries as they come, those of a stream kept."""
    for event in entries:
        if event.stream == stream:
            noted.append(event)
        yield event


def _paid(
    deal: str, events: Iterable[Event[Any]], left_out: AbstractSet[int]
) -> frozenset[str]:
    """The drawdowns of a deal that are paid, whatever else is reversed."""
    funding = Funding.at("funding/" + deal)
    for event in events:
        funding.fold(event, counts=event.position not in left_out)
    return frozenset(n for n, d in funding.drawdowns.items() if d.state in PAID)
