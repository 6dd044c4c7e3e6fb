"""Commands on a system, a rack: from shipment to acceptance and beyond."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from ledger.commands.decision import Decision
from ledger.commands.reads import Ids, reads
from ledger.commands.registration import register
from ledger.domain.aggregate import Aggregate, World
from ledger.domain.event import Event, EventData
from ledger.domain.system import (
    AcceptanceTested,
    Accepted,
    ComponentReplaced,
    Decommissioned,
    Derated,
    Energised,
    Installed,
    Quarantined,
    Received,
    Rejected,
    Replaced,
    ReturnedToMaker,
    ReturnedToService,
    SentToRma,
    Shipped,
    Slot,
    SlotOccupied,
    SlotVacated,
    System,
)
from ledger.domain.values import Id, Power, SystemId

AnySystem = Annotated[SystemId, "the system: manufacturer and serial"]
Ground = Annotated[str, "on what ground"]


def ship(
    decision: Decision,
    system: AnySystem,
    *,
    shipment: Annotated[Id, "the shipment"],
    carrier: Annotated[str | None, "who carries it"] = None,
) -> None:
    """Record that a system left the maker.

    accord system ship acme-orion nvidia/VR-1 --shipment SH-1
    """
    _record(decision, system, Shipped(shipment=shipment, carrier=carrier))


def receive(
    decision: Decision,
    system: AnySystem,
    *,
    site: Annotated[Id, "the site"],
    condition: Annotated[str, "in what condition"] = "good",
) -> None:
    """Record that a system arrived at a site, once.

    accord system receive acme-orion nvidia/VR-1 --site abilene
    """
    _record(decision, system, Received(site=site, condition=condition))


def _place(
    world: World, _deal: str, *, system: SystemId, hall: Id, place: Id
) -> Iterable[tuple[type[Aggregate], Ids]]:
    """The place that a system is to take."""
    site = world.get(System, system).site
    return [(Slot, (site, hall, place))] if site else []


def _held(
    world: World, _deal: str, *, system: SystemId, **_: Any
) -> Iterable[tuple[type[Aggregate], Ids]]:
    """The place that a system leaves."""
    place = world.get(System, system).slot
    return [(Slot, place)] if place else []


@reads(_place)
def install(
    decision: Decision,
    system: AnySystem,
    *,
    hall: Annotated[Id, "the hall"],
    place: Annotated[Id, "the place in the hall; it holds one system"],
) -> None:
    """Record that a system was installed in its place.

    accord system install acme-orion nvidia/VR-1 --hall hall-1 --place P01
    """
    installed = _record(decision, system, Installed(hall=hall, place=place))
    decision.record(
        Slot,
        decision.need(System, system).site,
        hall,
        place,
        data=SlotOccupied(system=system),
        causation=installed.ref,
    )


def energise(
    decision: Decision,
    system: AnySystem,
    *,
    feed: Annotated[Id, "the power feed"],
    measured: Annotated[Power, "the power that it was measured to draw"],
    power_profile: Annotated[str | None, "the profile it ran at"] = None,
) -> None:
    """Record that a system was put under power, and what it drew.

    accord system energise acme-orion nvidia/VR-1 --feed F1 --measured "188 kW"
    """
    _record(
        decision,
        system,
        Energised(feed=feed, measured=measured, power_profile=power_profile),
    )


def test(
    decision: Decision,
    system: AnySystem,
    *,
    suite: Annotated[Id, "the test suite"],
    suite_version: Annotated[str, "its version"],
    soak_hours: Annotated[int, "how long it ran"],
    passed: Annotated[bool, "whether it passed"],
    failure: Annotated[str | None, "what failed"] = None,  # noqa: PT028 - a command, no test
    results_sha256: Annotated[str | None, "their digest"] = None,  # noqa: PT028 - the same
) -> None:
    """Record an acceptance test, passed or not.

    accord system test acme-orion nvidia/VR-1 --suite rack-burn-in --suite-version 2.1 --soak-hours 72 --passed
    """
    _record(
        decision,
        system,
        AcceptanceTested(
            suite=suite,
            suite_version=suite_version,
            soak_hours=soak_hours,
            passed=passed,
            failure=failure,
            results_sha256=results_sha256,
        ),
    )


def accept(
    decision: Decision,
    system: AnySystem,
    *,
    rated: Annotated[Power | None, "the rating; the SKU's where left out"] = None,
    test: Annotated[
        str | None, "the test it rests on, STREAM@VERSION; the last passed one"
    ] = None,
) -> None:
    """Accept a system, for the accepting party; its watts are frozen from here on.

    A reported acceptance stands on the record, and counts for nothing until it is
    accepted as a confirmed fact.

    accord system accept acme-orion nvidia/VR-1 --rated "190 kW" --actor cy@orion
    """
    standing = decision.need(System, system)
    passed = [standing.ref(run) for run in standing.tests if run.passed]
    _record(
        decision,
        system,
        Accepted(
            rated=rated or standing.rated,
            test=test or (passed[-1] if passed else ""),
        ),
    )


@reads(_held)
def reject(decision: Decision, system: AnySystem, *, ground: Ground) -> None:
    """Reject a system, for the accepting party; it leaves its place.

    accord system reject acme-orion nvidia/VR-1 --ground "Link errors" --actor cy@orion
    """
    _leave(decision, system, Rejected(ground=ground))


def quarantine(decision: Decision, system: AnySystem, *, ground: Ground) -> None:
    """Set a system aside until a doubt is cleared.

    accord system quarantine acme-orion nvidia/VR-1 --ground "Coolant alarm"
    """
    _record(decision, system, Quarantined(ground=ground))


def replace_component(
    decision: Decision,
    system: AnySystem,
    *,
    component: Annotated[str, "what was exchanged"],
    old_serial: Annotated[Id, "the serial taken out"],
    new_serial: Annotated[Id, "the serial put in"],
) -> None:
    """Record that a component was exchanged; before acceptance a test must follow.

    accord system replace-component acme-orion nvidia/VR-1 --component tray --old-serial T1 --new-serial T2
    """
    _record(
        decision,
        system,
        ComponentReplaced(
            component=component, old_serial=old_serial, new_serial=new_serial
        ),
    )


def send_to_rma(
    decision: Decision,
    system: AnySystem,
    *,
    rma: Annotated[Id, "the maker's number for it"],
    ground: Ground,
) -> None:
    """Send a system to the maker for repair; it keeps its place.

    accord system send-to-rma acme-orion nvidia/VR-1 --rma RMA-77 --ground "Leak"
    """
    _record(decision, system, SentToRma(rma=rma, ground=ground))


def return_to_service(decision: Decision, system: AnySystem) -> None:
    """Record that a system is back after repair or quarantine.

    accord system return-to-service acme-orion nvidia/VR-1
    """
    _record(decision, system, ReturnedToService())


@reads(_held)
def return_(decision: Decision, system: AnySystem, *, ground: Ground) -> None:
    """Record that a system went back to the maker for good; it leaves its place.

    accord system return acme-orion nvidia/VR-1 --ground "Beyond repair"
    """
    _leave(decision, system, ReturnedToMaker(ground=ground))


@reads(_held)
def replace(
    decision: Decision,
    system: AnySystem,
    *,
    by: Annotated[SystemId, "the system that takes its place on the order"],
) -> None:
    """Replace a system by another serial on the same order line; only one counts.

    A certificate that counts the old one stays as it is.

    accord system replace acme-orion nvidia/VR-1 --by nvidia/VR-9
    """
    standing = decision.need(System, system)
    order, line = Id(standing.order), standing.line
    replaced = _leave(decision, system, Replaced(by=by))
    register(decision, order, line, (by,), replaces=system, cause=replaced)


def derate(
    decision: Decision,
    system: AnySystem,
    *,
    new: Annotated[Power, "the new rating, lower than the old"],
) -> None:
    """Lower the rating of an accepted system.

    accord system derate acme-orion nvidia/VR-1 --new "180 kW" --reason "Cooling limit"
    """
    old = decision.need(System, system).rated
    _record(decision, system, Derated(old=old, new=new))


@reads(_held)
def decommission(decision: Decision, system: AnySystem, *, ground: Ground) -> None:
    """Take a system out of service for good; it leaves its place.

    accord system decommission acme-orion nvidia/VR-1 --ground "End of life"
    """
    _leave(decision, system, Decommissioned(ground=ground))


def _leave(decision: Decision, system: SystemId, data: EventData) -> Event[Any]:
    place = decision.need(System, system).slot
    left = _record(decision, system, data)
    if place is not None:
        decision.record(
            Slot, *place, data=SlotVacated(system=system), causation=left.ref
        )
    return left


def _record(decision: Decision, system: SystemId, data: EventData) -> Event[Any]:
    return decision.record(System, system, data=data)
