"""Can: would a command be accepted, by somebody, on a day? And if not, why not.

The command itself is carried out, without recording, on copies of what it reads: so
whoever says "ready" or "available" says what the command would say. Each party of the
deal tries in turn, as a person whom nobody has been yet, with the evidence and the
reason that rules ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.commands.decision import Decision, Source
from ledger.commands.funding import request_drawdown
from ledger.domain.aggregate import World, stream_of
from ledger.domain.agreement import Agreement
from ledger.domain.funding import Allocation, Funding
from ledger.domain.provenance import Evidence, Provenance
from ledger.domain.values import EXPONENTS, Amount, Id
from ledger.errors import NotFound, Refused
from ledger.rules.drawdown import business_days
from ledger.rules.record import EVIDENCE

SOMEBODY: Final = "(somebody)"
"""No actor can bear this name: it is nobody's that acted before."""
_PAPERS: Final = tuple(
    Evidence(title="-", kind=kind) for kind in sorted(set(EVIDENCE.values()))
)
_OF_A_ROLE: Final = frozenset({"FND-08", "AGR-04", "REC-08", "UNT-10", "CER-04"})
"""Codes that say who may act: another party may have got further."""


def can(
    source: Source,
    clock: Callable[[], datetime],
    deal: str,
    on: date,
    command: Callable[..., None],
    **given: Any,
) -> Refused | NotFound | None:
    """What a command is refused with on a day, whoever gives it; None if it is not.

    `command` is its function, as `ledger.commands.funding.unlock`.

    Told is the refusal of the party that got furthest: not that somebody else must act,
    where that somebody met another refusal.
    """
    refusals: list[Refused | NotFound] = []
    parties = source.load(Agreement, stream_of(Agreement, deal)).parties
    for party in parties or ("-",):
        decision = Decision(source, clock)
        decision.begin(_somebody(deal, party, on, command))
        try:
            command(decision, **given)
        except (Refused, NotFound) as refusal:
            refusals.append(refusal)
        else:
            return None
    further = (
        one
        for one in refusals
        if not (isinstance(one, Refused) and one.code in _OF_A_ROLE)
    )
    return next(further, refusals[0])


def available(
    source: Source, clock: Callable[[], datetime], deal: str, on: date, facility: str
) -> Amount:
    """What of a facility could be drawn on a day: the rule's own figure (FND-01).

    It is nothing where a request for the least amount, at the earliest value date,
    would be refused.
    """
    world = Decision(source, clock)
    funding = world.get(Funding, deal)
    state = funding.facilities[facility]
    most = funding.available(facility)
    for tranche in funding.tranches_of(facility) if most else ():
        if tranche.unlocked > funding.drawn(tranche.name):
            least = Allocation(tranche=Id(tranche.name), amount=_least(most.unit))
            given = {
                "drawdown": Id("0"),
                "facility": Id(facility),
                "allocations": (least,),
                "value_on": _earliest(world, deal, on, state.defined.available_from),
            }
            if can(source, clock, deal, on, request_drawdown, **given) is None:
                return most
    return Amount.zero(most.unit)


def _least(unit: str) -> Amount:
    return Amount.of(Decimal(1).scaleb(-EXPONENTS.get(unit, 0)), unit)


def _earliest(world: World, deal: str, on: date, opens: date | None) -> date:
    """The first value date that notice, calendar and availability leave open."""
    days, name, calendar = business_days(world, deal)
    first = max(on, opens or on)
    if calendar is None or (not days and name is None):
        return first
    return max(calendar.after(on, days), calendar.next_business_day(first))


def _somebody(
    deal: str, party: str, on: date, command: Callable[..., None]
) -> Provenance:
    noun = command.__module__.rpartition(".")[2]
    return Provenance(
        deal=deal,
        actor=SOMEBODY,
        party=party,
        effective_on=on,
        command=f"{noun} {command.__name__.replace('_', '-')}",
        command_id="",
        command_digest="",
        correlation_id="",
        software="",
        evidence=_PAPERS,
        reason="-",
    )
