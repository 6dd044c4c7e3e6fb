"""Commands on orders: from placing to the last serial allocated."""

from __future__ import annotations

from typing import Annotated

from ledger.commands.decision import Decision
from ledger.commands.registration import register
from ledger.domain.event import EventData
from ledger.domain.order import (
    LineAsked,
    Order,
    OrderAcknowledged,
    OrderCancelled,
    OrderClosed,
    OrderLine,
    OrderLineChanged,
    OrderPlaced,
)
from ledger.domain.sku import Sku
from ledger.domain.values import Id, Power, Slug, SystemId

OrderId = Annotated[Id, "the order"]
LineNumber = Annotated[int, "the line's number"]


def place(
    decision: Decision,
    order: OrderId,
    *,
    buyer: Annotated[Slug, "who orders"],
    seller: Annotated[Slug, "who delivers"],
    lines: Annotated[tuple[LineAsked, ...], "a line: SKU version and quantity"],
    earning_party: Annotated[
        Slug | None, "for whom it counts toward triggers; the buyer where left out"
    ] = None,
) -> None:
    """Place an order for systems; the rating is copied from the SKU version.

    accord order place acme-orion PO-1 --buyer orion --seller nvidia --lines '{"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": 16}'
    """
    _record(
        decision,
        order,
        OrderPlaced(
            buyer=buyer,
            seller=seller,
            lines=tuple(_rated(decision, line) for line in lines),
            earning_party=earning_party,
        ),
    )


def _rated(decision: Decision, asked: LineAsked) -> OrderLine:
    versions = decision.get(Sku, decision.deal, asked.sku).versions
    version = versions.get(asked.sku_version)
    return OrderLine(
        line=asked.line,
        sku=asked.sku,
        sku_version=asked.sku_version,
        quantity=asked.quantity,
        rated=version.rated if version else Power(0),
        unit_price=asked.unit_price,
    )


def acknowledge(decision: Decision, order: OrderId) -> None:
    """Record that the seller confirmed an order.

    accord order acknowledge acme-orion PO-1
    """
    _record(decision, order, OrderAcknowledged())


def change_line(
    decision: Decision,
    order: OrderId,
    *,
    line: LineNumber,
    new: Annotated[int, "the new quantity"],
) -> None:
    """Change the quantity of an order line, not below what is allocated.

    accord order change-line acme-orion PO-1 --line 1 --new 24
    """
    lines = decision.need(Order, decision.deal, order).lines
    old = lines[line].quantity if line in lines else 0
    _record(decision, order, OrderLineChanged(line=line, old=old, new=new))


def allocate(
    decision: Decision,
    order: OrderId,
    *,
    line: LineNumber,
    systems: Annotated[tuple[SystemId, ...], "a system: manufacturer and serial"],
) -> None:
    """Allocate serials to an order line, and register each as a system.

    A system is registered once, whatever the deal; one that was decommissioned can be
    registered again with a reason.

    accord order allocate acme-orion PO-1 --line 1 --systems nvidia/VR-1 --systems nvidia/VR-2
    """
    register(decision, order, line, systems)


def close(decision: Decision, order: OrderId) -> None:
    """Close an order whose lines are all allocated.

    accord order close acme-orion PO-1
    """
    _record(decision, order, OrderClosed())


def cancel(decision: Decision, order: OrderId) -> None:
    """Cancel what of an order is not allocated yet; systems allocated go on.

    accord order cancel acme-orion PO-1 --reason "Moved to the next platform"
    """
    _record(decision, order, OrderCancelled())


def _record(decision: Decision, order: Id, data: EventData) -> None:
    decision.record(Order, decision.deal, order, data=data)
