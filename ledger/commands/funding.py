"""Commands on funding: facilities, tranches, drawdowns, equity, and overfunding."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from ledger.commands.consequences import cure, declare
from ledger.commands.decision import Decision
from ledger.domain.agreement import Agreement
from ledger.domain.evaluation import evaluate_tranche
from ledger.domain.event import Event, EventData
from ledger.domain.funding import (
    Allocation,
    ClawbackDemanded,
    ClawbackReceived,
    CommitmentChanged,
    Direction,
    DisbursementFailed,
    DisbursementInstructed,
    DisbursementReturned,
    DisbursementSettled,
    DrawdownApproved,
    DrawdownRejected,
    DrawdownRequested,
    DrawdownWithdrawn,
    EquityCancelled,
    EquityIssued,
    FacilityClosed,
    FacilityDefined,
    Funding,
    Instrument,
    OverfundingWaived,
    Pricing,
    TrancheCancelled,
    TrancheDefined,
    TrancheExpired,
    TrancheUnlocked,
    TrueUpPosted,
)
from ledger.domain.triggers import Formula, Trigger
from ledger.domain.values import Amount, Id, Price, Slug
from ledger.rules.lookup import clawback_of, drawdown_of, facility_of, tranche_of

FacilityId = Annotated[Id, "the facility"]
TrancheId = Annotated[Id, "the tranche"]
DrawdownId = Annotated[Id, "the drawdown"]
Ground = Annotated[str, "on what ground"]
BankRef = Annotated[str, "the bank's reference of the payment"]


def define_facility(
    decision: Decision,
    facility: FacilityId,
    *,
    provider: Annotated[Slug, "the party that funds"],
    recipient: Annotated[Slug, "the party that is funded"],
    instrument: Annotated[Instrument, "what the provider gets or gives"],
    commitment: Annotated[Amount, "up to how much: money, or shares of a warrant"],
    available_from: Annotated[date | None, "the first day for draws"] = None,
    available_to: Annotated[date | None, "the last day for draws"] = None,
    in_sequence: Annotated[bool, "tranches unlock in order of their number"] = False,
) -> None:
    """Define a facility: who funds whom, how, and up to how much.

    A structure that was only announced may be defined too, as reported; it never
    unlocks anything.

    accord funding define-facility acme-orion main --provider acme --recipient orion --instrument equity --commitment "10bn USD" --in-sequence
    """
    data = FacilityDefined(
        facility=facility,
        provider=provider,
        recipient=recipient,
        instrument=instrument,
        commitment=commitment,
        available_from=available_from,
        available_to=available_to,
        in_sequence=in_sequence,
    )
    _record(decision, data)


def define_tranche(
    decision: Decision,
    tranche: TrancheId,
    *,
    facility: FacilityId,
    number: Annotated[int, "its number within the facility, from 1"],
    size: Annotated[Amount, "how much at most"],
    trigger: Annotated[Trigger, "what must be true: a tree of conditions"],
    formula: Annotated[Formula, "how much is unlocked then"],
    expires_on: Annotated[date | None, "the last day for unlocking"] = None,
    pricing: Annotated[Pricing | None, "how its equity is priced"] = None,
) -> None:
    """Define a tranche of a facility: its size, trigger and formula.

    accord funding define-tranche acme-orion T1 --facility main --number 1 --size "10bn USD" --trigger '{"when": "capacity_certified", "at_least": "1 GW"}' --formula '{"rule": "fixed", "amount": "10bn USD"}'
    """
    data = TrancheDefined(
        tranche=tranche,
        facility=facility,
        number=number,
        size=size,
        trigger=trigger,
        formula=formula,
        expires_on=expires_on,
        pricing=pricing,
    )
    _record(decision, data)


def unlock(decision: Decision, tranche: TrancheId) -> None:
    """Unlock a tranche, or more of it, if its trigger is met now.

    The capacity certified, the inputs and the formula are recorded with it, so that
    anybody can compute the amount again.

    accord funding unlock acme-orion T1
    """
    standing = tranche_of(decision.get(Funding, decision.deal), tranche)
    defined = standing.defined
    found = evaluate_tranche(decision, decision.deal, standing, decision.on)
    cumulative = found.cumulative(defined.formula, standing.size)
    data = TrancheUnlocked(
        tranche=tranche,
        facility=defined.facility,
        amount=cumulative - standing.unlocked,
        cumulative=cumulative,
        size=standing.size,
        certified=found.payable,
        formula=defined.formula,
        inputs=found.inputs,
        terms_version=decision.need(Agreement, decision.deal).terms_version,
    )
    unlocked = _record(decision, data)
    cure(decision, defined.facility, unlocked, f"unlock of {tranche}")


def expire_tranche(decision: Decision, tranche: TrancheId) -> None:
    """Record that a tranche expired; what of it was still locked stays so.

    accord funding expire-tranche acme-orion T1
    """
    _record(decision, TrancheExpired(tranche=tranche))


def cancel_tranche(decision: Decision, tranche: TrancheId) -> None:
    """Cancel what of a tranche is still locked.

    accord funding cancel-tranche acme-orion T1 --reason "Agreed in amendment A1"
    """
    _record(decision, TrancheCancelled(tranche=tranche))


def change_commitment(
    decision: Decision,
    facility: FacilityId,
    *,
    new: Annotated[Amount, "the new commitment"],
    cause: Annotated[Id, "the amendment in effect, or the condition, that changes it"],
) -> None:
    """Change the commitment of a facility, by an amendment or a condition's outcome.

    An amendment that names facility.ID.commitment does so by itself.

    accord funding change-commitment acme-orion main --new "8bn USD" --cause restructuring
    """
    standing = facility_of(decision.get(Funding, decision.deal), facility)
    data = CommitmentChanged(
        facility=facility, old=standing.commitment, new=new, cause=cause
    )
    _record(decision, data)


def request_drawdown(
    decision: Decision,
    drawdown: DrawdownId,
    *,
    facility: FacilityId,
    allocations: Annotated[tuple[Allocation, ...], "how much of which tranche"],
    value_on: Annotated[date, "the day on which the money is to arrive"],
) -> None:
    """Request money out of unlocked tranches, for the recipient.

    It must be within what is available now; the approval is what reserves it.

    accord funding request-drawdown acme-orion D1 --facility main --allocations '{"tranche": "T1", "amount": "2bn USD"}' --value-on 2026-07-15 --actor bo@orion
    """
    unit = facility_of(decision.get(Funding, decision.deal), facility).unit
    amounts = (part.amount for part in allocations if part.amount.unit == unit)
    data = DrawdownRequested(
        drawdown=drawdown,
        facility=facility,
        amount=sum(amounts, start=Amount.zero(unit)),
        allocations=allocations,
        value_on=value_on,
    )
    _record(decision, data)


def approve_drawdown(decision: Decision, drawdown: DrawdownId) -> None:
    """Approve a drawdown, for the provider; another person than its requester.

    accord funding approve-drawdown acme-orion D1 --actor ann@acme
    """
    _record(decision, DrawdownApproved(drawdown=drawdown))


def reject_drawdown(
    decision: Decision, drawdown: DrawdownId, *, ground: Ground
) -> None:
    """Reject a drawdown before its payment is instructed, for the provider.

    accord funding reject-drawdown acme-orion D1 --ground "Before the quarter's review"
    """
    _record(decision, DrawdownRejected(drawdown=drawdown, ground=ground))


def withdraw_drawdown(decision: Decision, drawdown: DrawdownId) -> None:
    """Take a drawdown back before its payment is instructed, for the recipient.

    accord funding withdraw-drawdown acme-orion D1 --actor bo@orion
    """
    _record(decision, DrawdownWithdrawn(drawdown=drawdown))


def instruct(decision: Decision, drawdown: DrawdownId) -> None:
    """Instruct the bank to pay a drawdown; another person than its approver.

    accord funding instruct acme-orion D1 --actor ian@acme
    """
    _record(decision, DisbursementInstructed(drawdown=drawdown))


def settle(
    decision: Decision,
    drawdown: DrawdownId,
    *,
    amount: Annotated[Amount, "what was paid; just what was approved"],
    value_on: Annotated[date, "the day on which the money arrived"],
    bank_ref: BankRef,
) -> None:
    """Record that the money arrived; another person than who instructed it.

    accord funding settle acme-orion D1 --amount "2bn USD" --value-on 2026-07-15 --bank-ref FB-0001 --actor sue@acme --evidence '{"title": "Bank confirmation", "kind": "bank_confirmation"}'
    """
    data = DisbursementSettled(
        drawdown=drawdown, amount=amount, value_on=value_on, bank_ref=bank_ref
    )
    settled = _record(decision, data)
    # What was instructed before a revocation is paid all the same, and then flagged.
    declare(decision, _facility(decision, drawdown), settled)


def fail(decision: Decision, drawdown: DrawdownId, *, ground: Ground) -> None:
    """Record that the bank did not carry out a payment.

    accord funding fail acme-orion D1 --ground "The account name did not match"
    """
    _record(decision, DisbursementFailed(drawdown=drawdown, ground=ground))


def return_(
    decision: Decision,
    drawdown: DrawdownId,
    *,
    amount: Annotated[Amount, "what came back"],
    bank_ref: BankRef,
) -> None:
    """Record that money paid came back, wholly or in part.

    accord funding return acme-orion D1 --amount "500m USD" --bank-ref FB-0002
    """
    data = DisbursementReturned(drawdown=drawdown, amount=amount, bank_ref=bank_ref)
    returned = _record(decision, data)
    cure(decision, _facility(decision, drawdown), returned, f"return of {drawdown}")


def issue_equity(
    decision: Decision,
    certificate_no: Annotated[Id, "the number of the share certificate"],
    *,
    drawdown: DrawdownId,
    share_class: Annotated[str, "the class of shares"],
    quantity: Annotated[Amount, "how many shares"],
    price: Annotated[Price, "the price of a share"],
    consideration: Annotated[Amount, "what was paid for them"],
    pre_money: Annotated[Amount | None, "the valuation before the money"] = None,
) -> None:
    """Issue equity for a payment that has settled, for the recipient.

    accord funding issue-equity acme-orion EQ-1 --drawdown D1 --share-class "Series A" --quantity "160000000 shares" --price "12.50 USD" --consideration "2bn USD" --actor bo@orion
    """
    data = EquityIssued(
        certificate_no=certificate_no,
        drawdown=drawdown,
        share_class=share_class,
        quantity=quantity,
        price=price,
        consideration=consideration,
        pre_money=pre_money,
    )
    _record(decision, data)


def cancel_equity(
    decision: Decision,
    certificate_no: Annotated[Id, "the number of the share certificate"],
    *,
    ground: Ground,
) -> None:
    """Cancel equity that was issued, for the recipient.

    accord funding cancel-equity acme-orion EQ-1 --ground "The payment was returned"
    """
    _record(decision, EquityCancelled(certificate_no=certificate_no, ground=ground))


def waive_overfunding(
    decision: Decision,
    facility: FacilityId,
    *,
    amount: Annotated[Amount, "how much of the excess is forgiven"],
) -> None:
    """Waive an excess of payment over what is unlocked, for the provider.

    It forgives what was paid; it unlocks nothing.

    accord funding waive-overfunding acme-orion main --amount "500m USD" --actor ann@acme
    """
    waived = _record(decision, OverfundingWaived(facility=facility, amount=amount))
    cure(decision, facility, waived, "waiver")


def demand_clawback(
    decision: Decision,
    clawback: Annotated[Id, "the clawback"],
    *,
    facility: FacilityId,
    amount: Annotated[Amount, "how much is demanded back"],
    due_on: Annotated[date | None, "the day by which"] = None,
) -> None:
    """Demand money back that was paid, for the provider.

    accord funding demand-clawback acme-orion CB-1 --facility main --amount "500m USD" --due-on 2026-09-30
    """
    data = ClawbackDemanded(
        clawback=clawback, facility=facility, amount=amount, due_on=due_on
    )
    _record(decision, data)


def receive_clawback(
    decision: Decision,
    clawback: Annotated[Id, "the clawback"],
    *,
    amount: Annotated[Amount, "what was received"],
    bank_ref: BankRef,
) -> None:
    """Record that money demanded back was received, wholly or in part.

    accord funding receive-clawback acme-orion CB-1 --amount "500m USD" --bank-ref FB-0003
    """
    facility = Id(clawback_of(decision.get(Funding, decision.deal), clawback).facility)
    data = ClawbackReceived(
        clawback=clawback, facility=facility, amount=amount, bank_ref=bank_ref
    )
    received = _record(decision, data)
    cure(decision, facility, received, f"clawback {clawback}")


def post_true_up(
    decision: Decision,
    true_up: Annotated[Id, "the true-up"],
    *,
    facility: FacilityId,
    direction: Annotated[Direction, "to whom the difference was paid"],
    amount: Annotated[Amount, "how much"],
    bank_ref: BankRef,
    text: Annotated[str, "what it settles"],
) -> None:
    """Record the payment of a difference that was found afterwards.

    accord funding post-true-up acme-orion TU-1 --facility main --direction to_provider --amount "1m USD" --bank-ref FB-0004 --text "Interest on the late return"
    """
    data = TrueUpPosted(
        true_up=true_up,
        facility=facility,
        direction=direction,
        amount=amount,
        bank_ref=bank_ref,
        text=text,
    )
    posted = _record(decision, data)
    cure(decision, facility, posted, f"true-up {true_up}")


def close_facility(decision: Decision, facility: FacilityId) -> None:
    """Close a facility; what was not drawn is cancelled.

    accord funding close-facility acme-orion main
    """
    _record(decision, FacilityClosed(facility=facility))


def _record(decision: Decision, data: EventData) -> Event[Any]:
    return decision.record(Funding, decision.deal, data=data)


def _facility(decision: Decision, drawdown: str) -> str:
    return drawdown_of(decision.get(Funding, decision.deal), drawdown).asked.facility
