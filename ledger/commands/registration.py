"""What ordering and replacing share: a serial is allocated and registered at once."""

from __future__ import annotations

from ledger.commands.decision import Decision
from ledger.domain.event import Event
from ledger.domain.order import Order, SerialsAllocated
from ledger.domain.sku import Sku
from ledger.domain.system import Registered, Replaced, System
from ledger.domain.values import Id, SystemId


def register(
    decision: Decision,
    order: Id,
    line: int,
    systems: tuple[SystemId, ...],
    *,
    replaces: SystemId | None = None,
    cause: Event[Replaced] | None = None,
) -> None:
    """Allocate serials to a line of an order, and register each as its SKU says."""
    allocated = decision.record(
        Order,
        decision.deal,
        order,
        data=SerialsAllocated(line=line, systems=systems, replaces=replaces),
        causation=cause and cause.ref,
    )
    ordered = decision.get(Order, decision.deal, order).lines[line]
    version = decision.get(Sku, decision.deal, ordered.sku).versions[
        ordered.sku_version
    ]
    for system in systems:
        decision.record(
            System,
            system,
            data=Registered(
                order=order,
                line=line,
                sku=ordered.sku,
                sku_version=ordered.sku_version,
                gpu_packages=version.gpu_packages,
                gpu_dies=version.gpu_dies,
                rated=version.rated,
                replaces=replaces,
            ),
            causation=allocated.ref,
        )
