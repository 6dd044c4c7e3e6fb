"""Rules of equity issued for money that has settled: FND-11, FND-14, FND-16.

The recipient issues and cancels; what it issued for a payment, and in all, is for no
more than was paid, net of what came back.
"""

from __future__ import annotations

from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.event import Event
from ledger.domain.funding import Equity, EquityCancelled, EquityIssued, Funding
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.lookup import drawdown_of, equity_of, facility_of
from ledger.rules.registry import rule


@rule("FND-16", EquityIssued)
def equity_is_sound(world: World, event: Event[Any]) -> None:
    """Equity is issued for a payment of a facility that gives equity, in whole shares."""
    funding = world.get(Funding, event.deal)
    issued = event.data
    drawdown = drawdown_of(funding, issued.drawdown)
    instrument = facility_of(funding, drawdown.asked.facility).defined.instrument
    wrong = ""
    if instrument not in {"equity", "convertible"}:
        wrong = f"{drawdown.asked.facility} is a {instrument}; it issues no equity."
    elif issued.quantity.is_money or not issued.quantity:
        wrong = f"{issued.quantity} is no number of shares."
    elif not issued.consideration or not issued.price.value:
        wrong = f"Shares at {issued.price} for {issued.consideration} are no issue."
    if wrong:
        raise Refused(wrong)


@rule("FND-14", EquityIssued)
def issued_in_the_facilitys_currency(world: World, event: Event[Any]) -> None:
    """Price and consideration are in the currency that was paid."""
    issued = event.data
    unit = drawdown_of(world.get(Funding, event.deal), issued.drawdown).amount.unit
    if {issued.price.currency, issued.consideration.unit} != {unit}:
        raise Refused(
            f"Facility is in {unit}; the price is {issued.price}, the consideration "
            f"{issued.consideration}.",
        )


@rule("FND-11", EquityIssued)
def issued_after_settlement(world: World, event: Event[Any]) -> None:
    """Equity is issued only for money that has settled, under a number of its own."""
    funding = world.get(Funding, event.deal)
    issued = event.data
    drawdown = drawdown_of(funding, issued.drawdown)
    if funding.find(Equity, issued.certificate_no):
        raise Refused(
            f"Equity certificate {issued.certificate_no} is already issued.",
            todo="A number is used once, even if the certificate was cancelled.",
        )
    if drawdown.state != "settled":
        raise Refused(
            f"Drawdown {issued.drawdown} is {drawdown.state}; equity is issued only "
            "after settlement.",
        )
    not_before(event, drawdown.on["settled"], "the settlement")


@rule("FND-11", EquityIssued)
def price_times_quantity_is_the_consideration(_: World, event: Event[Any]) -> None:
    """Quantity × price is within one share's price of the consideration."""
    issued = event.data
    value = issued.price.times(int(issued.quantity.value))
    if abs(value - issued.consideration.value) >= issued.price.value:
        raise Refused(
            f"{issued.quantity} × {issued.price} = {value:f}, not "
            f"{issued.consideration}.",
            todo="The difference must be less than the price of one share.",
        )


@rule("FND-11", EquityIssued)
def issued_for_no_more_than_was_paid(world: World, event: Event[Any]) -> None:
    """Consideration, of a drawdown and in all, is no more than was paid, net."""
    funding = world.get(Funding, event.deal)
    issued = event.data
    drawdown = drawdown_of(funding, issued.drawdown)
    facility = drawdown.asked.facility
    total = funding.total(facility)
    paid_of_it = drawdown.amount - drawdown.returned
    for what, paid, so_far in (
        (f"drawdown {issued.drawdown}", paid_of_it, drawdown.considered),
        (f"facility {facility}", total.paid, total.considered),
    ):
        if so_far + issued.consideration > paid:
            raise Refused(
                f"{issued.consideration} exceeds what was paid of {what}: paid "
                f"{paid}, equity issued for {so_far}.",
            )


@rule("FND-16", EquityCancelled)
def cancelled_once(world: World, event: Event[Any]) -> None:
    """Equity that stands is cancelled once, and not before it was issued."""
    number = event.data.certificate_no
    equity = equity_of(world.get(Funding, event.deal), number)
    if equity.cancelled:
        raise Refused(f"Equity certificate {number} is cancelled already.")
    not_before(event, equity.issued_on, "its issue")


@rule("FND-08", EquityIssued, EquityCancelled)
def issued_by_the_recipient(world: World, event: Event[Any]) -> None:
    """The recipient of the money issues equity, and cancels it."""
    funding = world.get(Funding, event.deal)
    name: str = (
        event.data.drawdown
        if isinstance(event.data, EquityIssued)
        else equity_of(funding, event.data.certificate_no).drawdown
    )
    facility = drawdown_of(funding, name).asked.facility
    recipient = facility_of(funding, facility).defined.recipient
    if event.provenance.party != recipient:
        raise Refused(
            f"{event.provenance.command!r} is for {recipient}; "
            f"you act for {event.provenance.party}.",
        )
