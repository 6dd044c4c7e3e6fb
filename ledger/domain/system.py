"""System, Slot: a rack's life from its registration to acceptance and beyond.

A system is known by manufacturer and serial wherever it is, so its stream is
`system/MANUFACTURER/SERIAL`: it is registered once, whoever writes at the same moment.
Its watts are the SKU's rating until acceptance, and frozen from acceptance on.

Of systems there are very many: each is one part, with watts as numbers, and with one
text for what many of them have in common.
"""

from __future__ import annotations

from datetime import date
from sys import intern
from typing import Any, Final, Literal, NamedTuple, get_args

from ledger.domain.aggregate import Single
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
LADDER: Final = ("shipped", "received", "installed", "energised", "accepted")
"""The rungs of delivery, from the lowest; each counts what the next one counts."""
LEFT: Final = frozenset({"rejected", "returned", "replaced", "decommissioned"})
"""The states in which a system is out of its place and of the outage it was in."""
NOT_HERE: Final = frozenset({"none", "decommissioned"})
"""The states in which a system can be registered."""
_RUNGS: Final = frozenset(LADDER)
# How far up the ladder a system that is out still counts, if it came that far: what
# went back was shipped.
_COUNTS_TO: Final = {
    "rejected": "received",
    "returned": "shipped",
    "decommissioned": "shipped",
    "in_rma": "shipped",
    "quarantined": "energised",
}


class Registered(EventData, tag="system.registered"):
    """A system was allocated to an order line, by its serial."""

    about = ()
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

    about = ()
    shipment: Id
    carrier: str | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("shipped", event)
        system.shipment = _shared(self.shipment)


class Received(EventData, tag="system.received"):
    """The system arrived at a site."""

    about = ()
    site: Id
    condition: str = "good"

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("received", event)
        system.site = _shared(self.site)
        system.received_on = event.on


class Installed(EventData, tag="system.installed"):
    """The system was installed in its place in a hall."""

    about = ()
    hall: Id
    place: Id

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("installed", event)
        system.slot = (system.site, _shared(self.hall), _shared(self.place))
        system.installed_by = intern(event.provenance.actor)


class Energised(EventData, tag="system.energised"):
    """The system was put under power, and its draw measured."""

    about = ()
    feed: Id
    measured: Power
    power_profile: str | None = None

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("energised", event)
        system.measured_w = self.measured.watts


class AcceptanceTested(EventData, tag="system.tested"):
    """An acceptance test was run on the system."""

    about = ("suite", "suite_version")
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
                suite=_shared(self.suite),
                soak_hours=self.soak_hours,
                passed=self.passed,
                on=event.on,
                actor=intern(event.provenance.actor),
                version=event.version,
            ),
        )


class Accepted(EventData, tag="system.accepted"):
    """The accepting party accepted the system; its watts are frozen here."""

    about = ()
    rated: Power
    test: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("accepted", event)
        system.rated_w = self.rated.watts


class Rejected(EventData, tag="system.rejected"):
    """The accepting party rejected the system."""

    about = ()
    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("rejected", event)


class Quarantined(EventData, tag="system.quarantined"):
    """The system was set aside until a doubt is cleared."""

    about = ()
    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.go_out("quarantined", event)


class ComponentReplaced(EventData, tag="system.component_replaced"):
    """A component of the system was exchanged."""

    about = ("component", "old_serial", "new_serial")
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
        system.outage = None
        system.outage_since = None
        system.moved_on = event.on


class ReturnedToMaker(EventData, tag="system.returned"):
    """The system went back to the maker for good."""

    about = ()
    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("returned", event)


class Replaced(EventData, tag="system.replaced"):
    """Another serial took the system's place; only that one can count."""

    about = ()
    by: SystemId

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("replaced", event)
        system.replaced_by = _shared(self.by)


class Derated(EventData, tag="system.derated"):
    """The system's rating was lowered."""

    old: Power
    new: Power

    def apply(self, system: System, event: Event[Any]) -> None:
        system.rated_w = self.new.watts
        system.derated_on = event.on


class Decommissioned(EventData, tag="system.decommissioned"):
    """The system was taken out of service for good."""

    about = ()
    ground: str

    def apply(self, system: System, event: Event[Any]) -> None:
        system.enter("decommissioned", event)


class SystemCertified(EventData, tag="system.certified"):
    """A certificate that took effect counts this system."""

    certificate: Id
    watts: Power

    def apply(self, system: System, event: Event[Any]) -> None:
        system.certificate = _shared(self.certificate)
        system.certificate_deal = _shared(event.deal)


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
    on: date
    actor: str
    version: int


class System(Single, tag="system"):
    """A rack. Stream `system/MANUFACTURER/SERIAL`; `deal` is the one it is under.

    `of_line_w` is what its line of the order counts for it.
    """

    kind = "system"
    scoped = False

    state: SystemState = "none"
    state_on: date = date.min
    moved_on: date = date.min
    order: str = ""
    line: int = 0
    sku: str = ""
    sku_version: int = 0
    gpu_packages: int = 0
    gpu_dies: int = 0
    rated_w: int = 0
    of_line_w: int = 0
    derated_on: date | None = None
    measured_w: int | None = None
    shipment: str | None = None
    site: str = ""
    received_on: date | None = None
    slot: tuple[str, str, str] | None = None
    installed_by: str | None = None
    tests: tuple[TestRun, ...] = ()
    component_replaced: tuple[date, int] | None = None
    outage: Outage | None = None
    outage_since: date | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    certificate: str | None = None
    certificate_deal: str | None = None

    @property
    def system(self) -> str:
        """Manufacturer and serial, as a user writes them."""
        return self.key

    @property
    def rated(self) -> Power:
        """Its watts: the SKU's rating, or what it was accepted or derated at."""
        return Power(self.rated_w)

    @property
    def measured(self) -> Power | None:
        """What it was measured to draw, once energised."""
        return None if self.measured_w is None else Power(self.measured_w)

    @property
    def in_service(self) -> bool:
        """Whether it is accepted, and neither set aside nor in repair."""
        return self.state == "accepted" and self.outage is None

    @property
    def in_service_w(self) -> int:
        """The watts that it is in service with."""
        return self.rated_w if self.in_service else 0

    @property
    def shown_state(self) -> str:
        """Where it is: the outage that it is in, else how far it came."""
        return self.outage or self.state

    @property
    def since(self) -> date:
        """The day from which it stands as it is shown."""
        return max(self.moved_on, self.derated_on or date.min)

    @property
    def rung(self) -> str:
        """The highest rung of delivery at which it counts; empty where at none.

        What is out counts as far as it came, and no further than its outage allows.
        What was replaced counts nowhere: another serial stands in its place.
        """
        state = self.state
        if self.outage is None and state in _RUNGS:
            return state
        if self.replaced_by is not None:
            return ""
        if state == "decommissioned" and self.shipment is None:
            return ""
        most = _COUNTS_TO.get(self.outage or state, "")
        return min(most, state, key=LADDER.index) if state in _RUNGS else most

    @property
    def beyond_w(self) -> int:
        """What its own watts add to those of its line: nothing before it is shipped."""
        unshipped = self.state in {"none", "allocated"}
        return 0 if unshipped or self.replaced_by else self.rated_w - self.of_line_w

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
        if self.state != "none":
            fresh = System(key=self.key)
            for name in _OF_A_LIFE:
                setattr(self, name, getattr(fresh, name))
        self.deal = _shared(event.deal)
        self.replaces = registered.replaces and _shared(registered.replaces)
        self.enter("allocated", event)
        self.order = _shared(registered.order)
        self.line = registered.line
        self.sku = _shared(registered.sku)
        self.sku_version = registered.sku_version
        self.gpu_packages = registered.gpu_packages
        self.gpu_dies = registered.gpu_dies
        self.rated_w = self.of_line_w = registered.rated.watts

    def enter(self, state: SystemState, event: Event[Any]) -> None:
        """Move to a state of the life cycle."""
        self.state = state
        self.state_on = self.moved_on = event.on
        if state in LEFT:
            self.slot = None
            self.outage = None
            self.outage_since = None

    def go_out(self, outage: Outage, event: Event[Any]) -> None:
        """Be out of service, without leaving the place in the hall."""
        self.outage = outage
        self.outage_since = self.moved_on = event.on


_OF_THE_RACK: Final = {"key", "deal", "version", "entries", "last_on"}
_OF_A_LIFE: Final = tuple(
    name
    for name in System.__struct_fields__
    if name not in _OF_THE_RACK | {"certificate", "certificate_deal"}
)
"""What a second life begins anew, the claims of the first one among them."""


def _shared(text: str) -> str:
    """One and the same plain text, however many systems have it."""
    return intern(str(text))


class SlotOccupied(EventData, tag="slot.occupied"):
    """A system took a place in a hall."""

    system: SystemId

    def apply(self, slot: Slot, event: Event[Any]) -> None:
        slot.system = _shared(self.system)


class SlotVacated(EventData, tag="slot.vacated"):
    """A system left its place in a hall."""

    system: SystemId

    def apply(self, slot: Slot, event: Event[Any]) -> None:
        slot.system = None


class Slot(Single, tag="slot"):
    """A place that holds one system. Stream `slot/SITE/HALL/PLACE` (UNT-12)."""

    kind = "slot"
    scoped = False

    system: str | None = None


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
