"""The rungs of a facility's money, from what is committed to what is paid.

A rung never exceeds the one below it, but where a flag says why: paid above unlocked
(overfunded, FND-12), and requests above what is unlocked: several stand side by side,
since it is the approval that reserves money, and what was approved may be locked
again. What ended, the agreement or the facility, keeps on every rung what is paid or
approved: the rest is cancelled.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.domain.agreement import Agreement
from ledger.domain.funding import Funding
from ledger.domain.values import Amount


class Rungs(NamedTuple):
    """How much of a facility's money has come how far, cumulatively, in its unit."""

    committed: Amount
    unlocked: Amount
    requested: Amount
    approved: Amount
    disbursed: Amount

    @property
    def requests_exceed_unlocked(self) -> bool:
        """Whether requests, approved or not, ask for more than is unlocked."""
        return self.requested > max(self.unlocked, self.disbursed)


def rungs(agreement: Agreement, funding: Funding, facility: str) -> Rungs:
    """The rungs of a confirmed facility."""
    state, total = funding.facilities[facility], funding.total(facility)
    reached = total.paid + total.approved
    committed, unlocked, requested = state.commitment, total.unlocked, total.asked
    if agreement.effective_from is None:
        committed = Amount.zero(state.unit)
    elif agreement.ended or state.closed_on is not None:
        committed = requested = reached
        unlocked = min(unlocked, reached)
    return Rungs(committed, unlocked, requested, reached, total.paid)
