"""What an entry brings about in the same transaction: re-lock, overfunding, cure.

These are computed, not chosen. The events carry the cause, and the rules that guard
them (FND-04, FND-12) hold their figures against the record.
"""

from __future__ import annotations

from typing import Any

from ledger.commands.decision import Decision
from ledger.domain.agreement import Agreement
from ledger.domain.evaluation import after_loss
from ledger.domain.event import Event
from ledger.domain.funding import (
    Funding,
    OverfundingCured,
    OverfundingDeclared,
    Tranche,
    TrancheRelocked,
)
from ledger.domain.values import Id


def relock(decision: Decision, cause: Event[Any]) -> None:
    """Lock again whatever a revoked certificate carried, and flag what was paid of it.

    An unlocked block whose capacity stands in other certificates stays unlocked.
    """
    funding = decision.get(Funding, decision.deal)
    for facility in sorted(funding.facilities):
        # What was unlocked last falls first: each is paid for by what others leave.
        last_first = funding.tranches_of(facility)[::-1]
        fell = [_fall(decision, tranche, cause) for tranche in last_first]
        if any(fell):
            declare(decision, facility, cause)


def _fall(decision: Decision, tranche: Tranche, cause: Event[Any]) -> bool:
    if not tranche.unlocked:
        return False
    defined = tranche.defined
    standing = after_loss(decision, decision.deal, tranche)
    left = standing.cumulative(defined.formula, tranche.size)
    if left >= tranche.unlocked:
        return False
    decision.record(
        Funding,
        decision.deal,
        data=TrancheRelocked(
            tranche=defined.tranche,
            facility=defined.facility,
            amount=tranche.unlocked - left,
            cumulative=left,
            size=tranche.size,
            certified=standing.payable,
            formula=defined.formula,
            inputs=standing.inputs,
            terms_version=decision.need(Agreement, decision.deal).terms_version,
        ),
        causation=cause.ref,
    )
    return True


def declare(decision: Decision, facility: str, cause: Event[Any]) -> None:
    """Flag a facility of which more was paid than is unlocked or waived (FND-12)."""
    funding = decision.get(Funding, decision.deal)
    excess = funding.excess(facility)
    if excess:
        decision.record(
            Funding,
            decision.deal,
            data=OverfundingDeclared(
                facility=Id(facility),
                paid=funding.paid(facility),
                unlocked=funding.unlocked(facility),
                excess=excess,
            ),
            causation=cause.ref,
        )


def cure(decision: Decision, facility: str, cause: Event[Any], what: str) -> None:
    """Take the flag off a facility whose excess is gone, and say by what."""
    funding = decision.get(Funding, decision.deal)
    flagged = funding.facilities[facility].overfunded_since is not None
    if flagged and not funding.excess(facility):
        decision.record(
            Funding,
            decision.deal,
            data=OverfundingCured(facility=Id(facility), cause=what),
            causation=cause.ref,
        )
