"""What relied on entries that are to be reversed: asked of the rules, not written down.

The history is judged once more without those entries. A later entry relied on them
where a rule now refuses it that had nothing against it before, or where it was brought
about by one of them. It is then left out too, so that what relied on it is found as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from ledger.errors import NotFound
from ledger.event import Event, Reversed, World
from ledger.funding import (
    PAID,
    DisbursementInstructed,
    DrawdownApproved,
    DrawdownRequested,
    Funding,
)
from ledger.past import Check, Past
from ledger.reversal import EVENTS

DRAWS: Final = (DrawdownRequested, DrawdownApproved, DisbursementInstructed)
LIMITS: Final = frozenset({"FND-01", "FND-07", "FND-12"})


class Reliant(NamedTuple):
    """An entry that relied on what is to be reversed, and what now speaks against it."""

    event: Event[Any]
    why: str


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
    gone = reversed_among(world.entries(deal))
    paid = _paid(world, deal, gone | taken)
    without, before = Past(check), Past(check)
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
        without.take(event, counts=not aside and event.ref not in refs)
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
    if refusal is None or before.refusal(event) is not None:
        return ""
    if isinstance(refusal, NotFound):
        return str(refusal)
    limit = refusal.code in LIMITS and isinstance(event.data, DRAWS)
    if limit and event.data.drawdown in paid:
        return ""
    return f"{refusal.code}: {refusal.sentence}"


def _paid(world: World, deal: str, left_out: AbstractSet[int]) -> frozenset[str]:
    """The drawdowns of a deal that are paid, whatever else is reversed."""
    funding = Funding("funding/" + deal)
    for event in world.entries(deal):
        if event.stream == funding.id:
            aside = event.position in left_out
            funding.fold(event, counts=not aside)
    return frozenset(n for n, d in funding.drawdowns.items() if d.state in PAID)
