"""What the agreement's state allows elsewhere: AGR-01, AGR-09, AGR-10, REC-12."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain import certificate, funding, milestone, order, sku, system
from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Scope
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event, EventData
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule

MOVES_MONEY: Final = (
    funding.TrancheUnlocked,
    funding.DrawdownRequested,
    funding.DrawdownApproved,
    funding.DisbursementInstructed,
    funding.DisbursementSettled,
    funding.EquityIssued,
    funding.TrueUpPosted,
)
SCOPED: Final[dict[type[EventData], Scope]] = {
    funding.DrawdownRequested: "draw",
    funding.DrawdownApproved: "draw",
    funding.DisbursementInstructed: "draw",
    order.OrderPlaced: "delivery",
    order.SerialsAllocated: "delivery",
    system.Shipped: "delivery",
    system.Installed: "delivery",
    system.Energised: "delivery",
    system.Accepted: "delivery",
    milestone.Agreed: "milestone",
    milestone.EvidenceSubmitted: "milestone",
    milestone.SignedOff: "milestone",
    milestone.Achieved: "milestone",
}
# After the end: what is neither winding down nor a mere statement is refused.
NOT_AFTER_THE_END: Final = (
    agreed.ConditionDefined,
    agreed.ConditionSatisfied,
    agreed.ConditionWaived,
    agreed.ConditionFailed,
    agreed.AmendmentProposed,
    agreed.AmendmentSigned,
    agreed.AmendmentTookEffect,
    agreed.RightRecorded,
    agreed.PlanBaselined,
    agreed.PlanForecast,
    milestone.Proposed,
    milestone.Agreed,
    milestone.Rescheduled,
    milestone.Rebaselined,
    milestone.EvidenceSubmitted,
    milestone.SignedOff,
    milestone.Achieved,
    sku.SkuVersioned,
    order.OrderPlaced,
    order.OrderAcknowledged,
    order.OrderLineChanged,
    order.SerialsAllocated,
    system.Registered,
    system.Shipped,
    certificate.Drafted,
    certificate.Issued,
    certificate.Countersigned,
    certificate.TookEffect,
    funding.FacilityDefined,
    funding.TrancheDefined,
    funding.TrancheUnlocked,
    funding.CommitmentChanged,
    funding.DrawdownRequested,
    funding.DrawdownApproved,
    funding.DisbursementInstructed,
)
# Once closed, only what speaks about the past is left: statements, links, and the
# revocation of a certificate (CER-06) with what follows from it (FND-12).
NOT_AFTER_THE_CLOSE: Final = (
    *NOT_AFTER_THE_END,
    *(event for event in system.PHYSICAL if event not in NOT_AFTER_THE_END),
    order.OrderClosed,
    order.OrderCancelled,
    funding.DisbursementSettled,
    funding.EquityIssued,
)


@rule("REC-12", *(event for event in EVENTS if event is not agreed.Opened))
def after_the_opening(world: World, event: Event[Any]) -> None:
    """Nothing of a deal is effective before the deal was opened.

    Else an answer as of a day between would know neither its parties nor whether it
    is fiction.
    """
    agreement = world.need(Agreement, event.deal)
    not_before(event, agreement.opened_on, f"the opening of {event.deal}")


@rule("AGR-01", *MOVES_MONEY)
def in_effect_before_money(world: World, event: Event[Any]) -> None:
    """No money moves, and nothing unlocks, before the agreement is in effect."""
    agreement = world.need(Agreement, event.deal)
    if agreement.effective_from is None:
        raise Refused(
            f"No money can move: {event.deal} is {agreement.state}. "
            "A letter of intent does not commit funds.",
            todo="Record the definitive agreement and its conditions first.",
        )
    not_before(event, agreement.effective_from, "the coming into effect")


@rule("AGR-09", *SCOPED)
def scope_is_not_suspended(world: World, event: Event[Any]) -> None:
    """A suspended scope refuses its commands."""
    agreement = world.need(Agreement, event.deal)
    scope = SCOPED[type(event.data)]
    held = agreement.suspensions.get(scope)
    if held is None or (scope == "delivery" and event.on < held.on):
        return  # A delivery made before the suspension is still a fact.
    raise Refused(f"{scope} is suspended since {held.on}: {held.ground}.")


@rule("AGR-10", *dict.fromkeys((*NOT_AFTER_THE_END, *NOT_AFTER_THE_CLOSE)))
def only_winding_down(world: World, event: Event[Any]) -> None:
    """After its end an agreement takes only winding down; once closed, not even that.

    An end that is only told refuses nothing.
    """
    agreement = world.need(Agreement, event.deal).confirmed
    if not agreement.ended:
        return
    closed = agreement.state == "closed"
    if not closed and not isinstance(event.data, NOT_AFTER_THE_END):
        return
    raise Refused(
        f"{event.deal} ended on {agreement.ended_on}, and is {agreement.state}. "
        + ("It is closed." if closed else "Only wind-down entries are accepted."),
    )
