"""Commands that correct the record in the open: ask for a reversal, approve, reject."""

from __future__ import annotations

from typing import Annotated

from ledger.commands.consequences import cure, declare
from ledger.commands.decision import Decision
from ledger.domain.catalogue import BY_KIND
from ledger.domain.event import Reversed
from ledger.domain.funding import Funding
from ledger.domain.reversal import Approved, Rejected, Requested, Reversal, Target
from ledger.domain.values import Id
from ledger.errors import NotFound
from ledger.rules.reliance import reliant
from ledger.rules.rulebook import check

ReversalId = Annotated[Id, "the reversal"]


def request(
    decision: Decision,
    *,
    positions: Annotated[tuple[int, ...], "the position of an entry to reverse"],
    with_reliant: Annotated[
        bool, "also whatever relied on them, so that they can be reversed together"
    ] = False,
) -> None:
    """Ask for entries to be reversed; nothing changes until somebody else approves it.

    On the command line the positions stand where other commands have their deal, and
    DEAL/ID names the reversal; a batch has the keys `deal`, `positions`, `reversal`.

    accord reverse request 41 42 --reason "The wrong serial was tested"
    """
    taken = set(positions)
    if with_reliant:
        found = reliant(decision, decision.deal, taken, check)
        taken.update(one.event.position for one in found)
    known = decision.all(Reversal, decision.deal)
    decision.record(
        Reversal,
        decision.deal,
        f"R-{len(known) + 1}",
        data=Requested(targets=tuple(_target(decision, at) for at in sorted(taken))),
    )


def approve(decision: Decision, reversal: ReversalId) -> None:
    """Approve a reversal that somebody else asked for: all of its entries, or none.

    What was reversed stays on the record. Where more was paid than is unlocked
    without it, the facility is flagged as overfunded.

    accord reverse approve acme-orion/R-1
    """
    standing = decision.need(Reversal, decision.deal, reversal)
    approved = decision.record(Reversal, decision.deal, reversal, data=Approved())
    for target in standing.targets:
        kind, _, ids = target.stream.partition("/")
        decision.record(
            BY_KIND[kind],
            *ids.split("/"),
            data=Reversed(
                position=target.position,
                version=target.version,
                entry=target.entry,
                reversal=reversal,
            ),
            causation=approved.ref,
        )
    for name, facility in decision.get(Funding, decision.deal).facilities.items():
        if facility.overfunded_since is None:
            declare(decision, name, approved)
        else:
            cure(decision, name, approved, f"reversal {reversal}")


def reject(
    decision: Decision,
    reversal: ReversalId,
    *,
    ground: Annotated[str, "on what ground"],
) -> None:
    """Reject a reversal, or take it back; its entries stand.

    accord reverse reject acme-orion/R-1 --ground "The serial was right after all"
    """
    data = Rejected(ground=ground)
    decision.record(Reversal, decision.deal, reversal, data=data)


def _target(decision: Decision, position: int) -> Target:
    entry = decision.entry(position)
    if entry is None:
        raise NotFound(f"There is no entry {position} on the record.")
    return Target(
        position=position,
        stream=entry.stream,
        version=entry.version,
        entry=entry.data.tag(),
    )
