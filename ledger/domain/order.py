"""Order: so many systems of one SKU version each, asked for, allocated by serial, closed.

An order is one part, with its lines; each serial that is allocated to a line is a part
of its own, since there are very many.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from msgspec.structs import asdict, replace

from ledger.domain.aggregate import Parted
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part
from ledger.domain.provenance import Status
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

    about = ()

    buyer: Slug
    seller: Slug
    lines: tuple[OrderLine, ...]
    earning_party: Slug | None = None

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.parts.put(Placed.of(self, event, order.name))


class OrderAcknowledged(EventData, tag="order.acknowledged"):
    """The seller confirmed the order."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.move("acknowledged", event)


class OrderLineChanged(EventData, tag="order.line_changed"):
    """The quantity of an order line was changed."""

    about = ("line",)

    line: int
    old: int
    new: int

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.change_line(self.line, event, quantity=self.new)


class SerialsAllocated(EventData, tag="order.serials_allocated"):
    """Serials were allocated to a line of the order."""

    about = ("line", "systems")

    line: int
    systems: tuple[SystemId, ...]
    replaces: SystemId | None = None

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.allocate(self, event)


class OrderClosed(EventData, tag="order.closed"):
    """The order was fulfilled and closed."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.move("closed", event)


class OrderCancelled(EventData, tag="order.cancelled"):
    """What of the order was not yet allocated was cancelled."""

    def apply(self, order: Order, event: Event[Any]) -> None:
        order.move("cancelled", event)


class Line(OrderLine):
    """A line of an order, and how many serials are allocated to it."""

    allocated: int = 0


class Placed(Part, tag="order"):
    """An order that was placed; `ref` is the entry that changed it last."""

    placed_on: date
    status: Status
    buyer: str
    seller: str
    earning_party: str
    lines: tuple[Line, ...]
    ref: str
    state: OrderState = "placed"

    @classmethod
    def of(cls, placed: OrderPlaced, event: Event[Any], name: str) -> Placed:
        """An order as it was placed."""
        return cls(
            key=f"order/{name}",
            placed_on=event.on,
            status=event.provenance.status,
            buyer=str(placed.buyer),
            seller=str(placed.seller),
            earning_party=str(placed.earning_party or placed.buyer),
            lines=tuple(Line(**asdict(line)) for line in placed.lines),
            ref=event.ref,
        )

    def counts(self, line: Line) -> int:
        """How many systems of a line count: of a cancelled order, those allocated."""
        return line.allocated if self.state == "cancelled" else line.quantity

    @property
    def systems(self) -> int:
        """How many systems are on order, allocated or not."""
        return sum(map(self.counts, self.lines))

    @property
    def unallocated(self) -> int:
        """How many of them have no serial yet."""
        return sum(self.counts(line) - line.allocated for line in self.lines)

    @property
    def watts(self) -> int:
        """The rated watts that are on order."""
        return sum(self.counts(line) * line.rated.watts for line in self.lines)


class Serial(Part, tag="serial"):
    """A serial that is allocated to a line: `serial/ORDER/LINE/SYSTEM`."""


class Order(Parted):
    """An order. Stream `order/DEAL/NAME`."""

    __slots__ = ()
    kind = "order"

    @property
    def placed(self) -> Placed | None:
        """The order as it stands; None where it was not placed."""
        found: Placed | None = self.parts.get(f"order/{self.name}")
        return found

    @property
    def state(self) -> OrderState:
        """How far it came."""
        placed = self.placed
        return placed.state if placed else "none"

    @property
    def placed_on(self) -> date | None:
        """The day on which it was placed."""
        placed = self.placed
        return placed.placed_on if placed else None

    @property
    def confirmed(self) -> bool:
        """Whether it is confirmed that it was placed."""
        placed = self.placed
        return placed is not None and placed.status == "confirmed"

    @property
    def seller(self) -> str:
        """Who delivers."""
        placed = self.placed
        return placed.seller if placed else ""

    @property
    def earning_party(self) -> str:
        """For whom it counts toward triggers."""
        placed = self.placed
        return placed.earning_party if placed else ""

    @property
    def lines(self) -> Mapping[int, Line]:
        """Its lines by number."""
        placed = self.placed
        return {line.line: line for line in placed.lines} if placed else {}

    @property
    def watts(self) -> int:
        """The rated watts that are on order."""
        placed = self.placed
        return placed.watts if placed else 0

    @property
    def ref(self) -> str:
        """The entry that changed it last."""
        placed = self.placed
        return placed.ref if placed else ""

    @property
    def allocated(self) -> Mapping[int, Mapping[str, None]]:
        """The serials of each line that has any; to ask for one, see `holds`."""
        found: dict[int, dict[str, None]] = {}
        for key in self.parts.under(f"serial/{self.name}"):
            line, _, system = key.partition("/")
            found.setdefault(int(line), {})[system] = None
        return found

    def holds(self, line: int, system: str) -> bool:
        """Whether a serial is allocated to a line."""
        return self.parts.get(self._serial(line, system)) is not None

    # What events do.
    def move(self, state: OrderState, event: Event[Any]) -> None:
        """Move it to its next state."""
        placed = self._changed(event)
        if placed:
            placed.state = state

    def change_line(self, number: int, event: Event[Any], **changed: int) -> None:
        """Change a line of it."""
        placed = self._changed(event)
        if placed:
            placed.lines = tuple(
                replace(line, **changed) if line.line == number else line
                for line in placed.lines
            )

    def allocate(self, given: SerialsAllocated, event: Event[Any]) -> None:
        """Allocate serials to a line, in place of another where one is replaced."""
        line = self.lines.get(given.line)
        if line is None:
            return
        keys = [self._serial(line.line, system) for system in given.systems]
        more, gone = 0, given.replaces
        if gone is not None and self.holds(line.line, gone):
            self.parts.drop(self._serial(line.line, gone))
            more -= 1
        self.parts.ahead(keys)
        for key in keys:
            more += self.parts.get(key) is None
            self.parts.put(Serial(key=key))
        self.change_line(line.line, event, allocated=line.allocated + more)

    def _changed(self, event: Event[Any]) -> Placed | None:
        placed: Placed | None = self.parts.change(f"order/{self.name}")
        if placed:
            placed.ref = event.ref
        return placed

    def _serial(self, line: int, system: str) -> str:
        return f"serial/{self.name}/{line}/{system}"


PARTS: Final = (Placed, Serial)
EVENTS: Final = (
    OrderPlaced,
    OrderAcknowledged,
    OrderLineChanged,
    SerialsAllocated,
    OrderClosed,
    OrderCancelled,
)
