"""System, Slot: a rack's life from its registration to acceptance and beyond.

A system is known by manufacturer and serial wherever it is, so its stream is
`system/MANUFACTURER/SERIAL`: it is registered once, whoever writes at the same moment.
Its watts are the SKU's rating until acceptance, and frozen from acceptance on.

Every step may be a report. What takes capacity away (quarantine, return, derating)
holds as soon as it is reported; what adds it (acceptance, the return to service)
counts only once it is confirmed.
"""

from __future__ import annotations

from datetime import date
from sys import intern
from typing import Any, Final, Literal, NamedTuple, get_args

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.values import Id, Power, SystemId

SystemState = Literal[
    "none",
    "allocated",
    "shipped",
    "received",
    "installed",
    "energised",
    "accepted",
    "rejected",
    "returned",
    "replaced",
    "decommissioned",
]
Outage = Literal["quarantined", "in_rma"]
STATES: Final = (*get_args(SystemState)[1:], *get_args(Outage))
"""Every state in which a system can be shown; an outage stands in place of a state."""
LEFT: Final = frozenset({"rejected", "returned", "replaced", "decommissioned"})
"""The states in which a system is out of its place and of the outage it was in."""


class Registered(EventData, tag="system.registered"):
    """A system was allocated to an order line, by its serial."""

    order: Id
    line: int
    sku: Id
    sku_version: int
    gpu_packages: int
    gpu_dies: int
    rated: Power
    replaces: SystemId | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.begin(self, event)


class Shipped(EventData, tag="system.shipped"):
    """The system left the maker."""

    shipment: Id
    carrier: str | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("shipped", event)
        system.shipment = self.shipment


class Received(EventData, tag="system.received"):
    """The system arrived at a site."""

    site: Id
    condition: str = "good"

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("received", event)
        system.site = self.site
        system.received_on = event.on


class Installed(EventData, tag="system.installed"):
    """The system was installed in its place in a hall."""

    hall: Id
    place: Id

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("installed", event)
        system.slot = (system.site, self.hall, self.place)
        system.installed_by = intern(event.provenance.actor)


class Energised(EventData, tag="system.energised"):
    """The system was put under power, and its draw measured."""

    feed: Id
    measured: Power
    power_profile: str | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("energised", event)
        system.measured = self.measured


class AcceptanceTested(EventData, tag="system.tested"):
    """An acceptance test was run on the system."""

    suite: Id
    suite_version: str
    soak_hours: int
    passed: bool
    failure: str | None = None
    results_sha256: str | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.tests = (
            *system.tests,
            TestRun(
                suite=self.suite,
                soak_hours=self.soak_hours,
                passed=self.passed,
                confirmed=event.confirmed,
                on=event.on,
                actor=intern(event.provenance.actor),
                version=event.version,
            ),
        )


class Accepted(EventData, tag="system.accepted"):
    """The accepting party accepted the system; its watts are frozen here."""

    rated: Power
    test: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("accepted", event)
        system.rated = self.rated
        system.accepted_status_confirmed = event.confirmed


class Rejected(EventData, tag="system.rejected"):
    """The accepting party rejected the system."""

    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("rejected", event)


class Quarantined(EventData, tag="system.quarantined"):
    """The system was set aside until a doubt is cleared."""

    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.go_out("quarantined", event)


class ComponentReplaced(EventData, tag="system.component_replaced"):
    """A component of the system was exchanged."""

    component: str
    old_serial: Id
    new_serial: Id

    def apply(self, system: System, event: Event[Any]) -> None:
        done = (event.on, len(system.tests))
        system.component_replaced = max(done, system.component_replaced or done)


class SentToRma(EventData, tag="system.sent_to_rma"):
    """The system went back to the maker for repair."""

    rma: Id
    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.go_out("in_rma", event)


class ReturnedToService(EventData, tag="system.returned_to_service"):
    """The system came back into service after repair or quarantine."""

    def apply(self, system: System, event: Event[Any]) -> None:
        if event.confirmed:
            system.outage = None
            system.outage_since = None
            system.moved_on = event.on


class ReturnedToMaker(EventData, tag="system.returned"):
    """The system went back to the maker for good."""

    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("returned", event)


class Replaced(EventData, tag="system.replaced"):
    """Another serial took the system's place; only that one can count."""

    by: SystemId

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("replaced", event)
        system.replaced_by = self.by


class Derated(EventData, tag="system.derated"):
    """The system's rating was lowered."""

    old: Power
    new: Power

    def apply(self, system: System, event: Event[Any]) -> None:
        system.rated = self.new


class Decommissioned(EventData, tag="system.decommissioned"):
    """The system was taken out of service for good."""

    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("decommissioned", event)


class SystemCertified(EventData, tag="system.certified"):
    """A certificate that took effect counts this system."""

    certificate: Id
    watts: Power

    def apply(self, system: System, event: Event[Any]) -> None:
        system.certificate = self.certificate
        system.certificate_deal = intern(str(event.deal))


class SystemDecertified(EventData, tag="system.decertified"):
    """The certificate that counted this system was revoked."""

    certificate: Id

    def apply(self, system: System, event: Event[Any]) -> None:
        system.certificate = None
        system.certificate_deal = None


class TestRun(NamedTuple):
    """What is kept of an acceptance test: a deal has as many as it has systems."""

    suite: str
    soak_hours: int
    passed: bool
    confirmed: bool
    on: date
    actor: str
    version: int


class System(Plain):
    """A rack. Stream `system/MANUFACTURER/SERIAL`; `deal` is the one it is under."""

    __slots__ = (
        "accepted_status_confirmed",
        "certificate",
        "certificate_deal",
        "component_replaced",
        "installed_by",
        "line",
        "measured",
        "moved_on",
        "order",
        "outage",
        "outage_since",
        "rated",
        "received_on",
        "replaced_by",
        "replaces",
        "shipment",
        "site",
        "sku",
        "sku_version",
        "slot",
        "state",
        "state_on",
        "tests",
    )
    kind = "system"
    scoped = False

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: SystemState = "none"
        self.state_on: date = date.min
        self.moved_on: date = date.min
        self.order = ""
        self.line = 0
        self.sku = ""
        self.sku_version = 0
        self.rated = Power(0)
        self.measured: Power | None = None
        self.shipment: str | None = None
        self.site = ""
        self.received_on: date | None = None
        self.slot: tuple[str, str, str] | None = None
        self.installed_by: str | None = None
        self.tests: tuple[TestRun, ...] = ()
        self.component_replaced: tuple[date, int] | None = None
        self.outage: Outage | None = None
        self.outage_since: date | None = None
        self.replaces: str | None = None
        self.replaced_by: str | None = None
        self.certificate: str | None = None
        self.certificate_deal: str | None = None
        self.accepted_status_confirmed = False

    @property
    def system(self) -> str:
        """Manufacturer and serial, as a user writes them."""
        return self.id.partition("/")[2]

    @property
    def in_service(self) -> bool:
        """Whether it is accepted, confirmed, and neither set aside nor in repair."""
        return (
            self.state == "accepted"
            and self.accepted_status_confirmed
            and self.outage is None
        )

    @property
    def component_replaced_on(self) -> date | None:
        """The day of the last exchange of a component."""
        return self.component_replaced and self.component_replaced[0]

    def tested_since(self, number: int) -> bool:
        """Whether a test, by its number from 0, came after the last exchange.

        On the same day, the order in which they were recorded decides.
        """
        if self.component_replaced is None:
            return True
        return (self.tests[number].on, number) >= self.component_replaced

    def ref(self, test: TestRun) -> str:
        """A test of this system by stream and version."""
        return f"{self.id}@{test.version}"

    def begin(self, registered: Registered, event: Event[Any]) -> None:
        """Start a life under an order; a second one after decommissioning (UNT-14).

        A certificate that still counts the system keeps counting it: CER-02 holds
        for the rack, whatever deal it is under.
        """
        version, stream = self.version, self.id
        certificate, certificate_deal = self.certificate, self.certificate_deal
        self.__init__(stream)  # type: ignore[misc]
        self.version = version
        self.certificate, self.certificate_deal = certificate, certificate_deal
        self.deal = intern(str(event.deal))
        self.replaces = registered.replaces
        self.enter("allocated", event)
        self.order = registered.order
        self.line = registered.line
        self.sku = registered.sku
        self.sku_version = registered.sku_version
        self.rated = registered.rated

    def enter(self, state: SystemState, event: Event[Any]) -> None:
        """Move to a state of the life cycle."""
        self.state = state
        self.state_on = event.on
        self.moved_on = event.on
        if state in LEFT:
            self.slot = None
            self.outage = None
            self.outage_since = None

    def go_out(self, outage: Outage, event: Event[Any]) -> None:
        """Be out of service, without leaving the place in the hall."""
        self.outage = outage
        self.outage_since = event.on
        self.moved_on = event.on


class SlotOccupied(EventData, tag="slot.occupied"):
    """A system took a place in a hall."""

    system: SystemId

    def apply(self, slot: Slot, event: Event[Any]) -> None:
        slot.system = intern(str(self.system))


class SlotVacated(EventData, tag="slot.vacated"):
    """A system left its place in a hall."""

    system: SystemId

    def apply(self, slot: Slot, event: Event[Any]) -> None:
        slot.system = None


class Slot(Plain):
    """A place that holds one system. Stream `slot/SITE/HALL/PLACE` (UNT-12)."""

    __slots__ = ("system",)
    kind = "slot"
    scoped = False

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.system: str | None = None


EVENTS: Final = (
    Registered,
    Shipped,
    Received,
    Installed,
    Energised,
    AcceptanceTested,
    Accepted,
    Rejected,
    Quarantined,
    ComponentReplaced,
    SentToRma,
    ReturnedToService,
    ReturnedToMaker,
    Replaced,
    Derated,
    Decommissioned,
    SystemCertified,
    SystemDecertified,
)
SLOT_EVENTS: Final = (SlotOccupied, SlotVacated)
PHYSICAL: Final = tuple(
    event
    for event in (*EVENTS, *SLOT_EVENTS)
    if event not in {SystemCertified, SystemDecertified}
)
"""What happens to the thing itself, which UNT-05 keeps out of the future."""
