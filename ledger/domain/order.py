"""Order: so many systems of one SKU version each, asked for, allocated by serial, closed."""

from __future__ import annotations

from datetime import date
from sys import intern
from typing import Any, Final, Literal

import msgspec

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.struct import Frozen
from ledger.domain.values import Id, Power, Price, Slug, SystemId

OrderState = Literal["none", "placed", "acknowledged", "closed", "cancelled"]


class LineAsked(Frozen):
    """A line as a buyer asks for it: so many systems of one SKU version."""

    line: int
    sku: Id
    sku_version: int
    quantity: int
    unit_price: Price | None = None


class OrderLine(Frozen):
    """So many systems of one SKU version; `rated` is copied from that version."""

    line: int
    sku: Id
    sku_version: int
    quantity: int
    rated: Power
    unit_price: Price | None = None


class OrderPlaced(EventData, tag="order.placed"):
    """A buyer ordered systems from a seller."""

    buyer: Slug
    seller: Slug
    lines: tuple[OrderLine, ...]
    earning_party: Slug | None = None

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.state = "placed"
        order.placed_on = event.on
        order.confirmed = event.confirmed
        order.lines = {line.line: line for line in self.lines}
        order.earning_party = self.earning_party or self.buyer


class OrderAcknowledged(EventData, tag="order.acknowledged"):
    """The seller confirmed the order."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.state = "acknowledged"


class OrderLineChanged(EventData, tag="order.line_changed"):
    """The quantity of an order line was changed."""

    line: int
    old: int
    new: int

    def apply(self, order: Order, event: Event[Any]) -> None:
        line = order.lines.get(self.line)
        if line:
            order.lines[self.line] = msgspec.structs.replace(line, quantity=self.new)
            if self.new > self.old:
                order.confirmed = order.confirmed and event.confirmed


class SerialsAllocated(EventData, tag="order.serials_allocated"):
    """Serials were allocated to a line of the order."""

    line: int
    systems: tuple[SystemId, ...]
    replaces: SystemId | None = None

    def apply(self, order: Order, event: Event[Any]) -> None:
        allocated = order.allocated.setdefault(self.line, {})
        if self.replaces is not None:
            allocated.pop(self.replaces, None)
        # The place that a system stands in holds the same name.
        allocated.update(dict.fromkeys(intern(str(one)) for one in self.systems))


class OrderClosed(EventData, tag="order.closed"):
    """The order was fulfilled and closed."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.state = "closed"


class OrderCancelled(EventData, tag="order.cancelled"):
    """What of the order was not yet allocated was cancelled."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.state = "cancelled"


class Order(Plain):
    """An order. Stream `order/DEAL/NAME`."""

    kind = "order"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: OrderState = "none"
        self.placed_on: date | None = None
        self.confirmed = False
        self.lines: dict[int, OrderLine] = {}
        # For each line a dictionary without values: an ordered set of serials.
        self.allocated: dict[int, dict[str, None]] = {}
        self.earning_party = ""


EVENTS: Final = (
    OrderPlaced,
    OrderAcknowledged,
    OrderLineChanged,
    SerialsAllocated,
    OrderClosed,
    OrderCancelled,
)
