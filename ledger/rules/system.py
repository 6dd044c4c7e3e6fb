"""Rules of a system's life: UNT-02 to UNT-05, UNT-09 to UNT-14.

Every step may be a report, which moves nothing; only acceptance is judged by its
confirmation. A reported acceptance is noted without test or acceptor: nobody of the
parties said it.

UNT-08 (energise only in a hall at or above the commissioning level of the terms)
belongs between UNT-07 and UNT-09; it waits for the commissioning of halls.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Terms
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import same_person
from ledger.domain.sku import Sku
from ledger.domain.system import (
    LEFT,
    PHYSICAL,
    AcceptanceTested,
    Accepted,
    ComponentReplaced,
    Decommissioned,
    Derated,
    Energised,
    Installed,
    Quarantined,
    Received,
    Registered,
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
    SystemCertified,
)
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.order import terms_of
from ledger.rules.registry import rule

ON_SITE: Final = frozenset({"received", "installed", "energised", "accepted"})
LIVE: Final = ON_SITE | {"allocated", "shipped"}
NEEDED: Final[dict[type[EventData], frozenset[str]]] = {
    Shipped: frozenset({"allocated"}),
    Received: frozenset({"shipped"}),
    Installed: frozenset({"received"}),
    Energised: frozenset({"installed"}),
    AcceptanceTested: frozenset({"energised", "accepted"}),
    Accepted: frozenset({"energised"}),
    Rejected: ON_SITE - {"accepted"},
    Quarantined: ON_SITE,
    ComponentReplaced: ON_SITE,
    SentToRma: ON_SITE,
    ReturnedToService: ON_SITE,
    ReturnedToMaker: ON_SITE | {"shipped", "rejected"},
    Replaced: LIVE | {"rejected", "returned"},
    Derated: frozenset({"accepted"}),
    # Out for good is possible from anywhere: a rack may be lost before it arrives.
    Decommissioned: LIVE | LEFT - {"decommissioned"},
}
FORWARD: Final = (Installed, Energised, Accepted)
TIMELESS: Final = (AcceptanceTested, ComponentReplaced, Derated)
"""Facts beside the life cycle: late entries of them may precede an outage."""


@rule("UNT-14", *NEEDED)
def under_this_deal(world: World, event: Event[Any]) -> None:
    """A system moves between deals only by decommissioning and a new registration."""
    system = _system(world, event)
    if system.deal != event.deal:
        raise Refused(
            f"System {system.system} is under {system.deal}, not {event.deal}.",
            todo="Decommission it there, then register it here with a reason.",
        )


@rule("UNT-03", Received)
def received_once(world: World, event: Event[Any]) -> None:
    """A system is received once."""
    system = _system(world, event)
    if system.received_on is not None:
        raise Refused(
            f"System {system.system} was received on {system.received_on} at "
            f"{system.site}. A second receipt is refused.",
        )


@rule("UNT-02", *NEEDED)
def system_state_allows(world: World, event: Event[Any]) -> None:
    """A system's states follow one another; none is skipped."""
    system = _system(world, event)
    needed = NEEDED[type(event.data)]
    if system.state not in needed:
        state = system.state if system.state != "none" else "not registered"
        raise Refused(
            f"System {system.system} is {state}; {event.provenance.command!r} "
            f"needs {' or '.join(sorted(needed))}.",
        )


@rule("UNT-02", *FORWARD, AcceptanceTested, Quarantined, SentToRma, ReturnedToService)
def outage_allows(world: World, event: Event[Any]) -> None:
    """What is set aside or in repair goes on only once it is back."""
    system = _system(world, event)
    out = system.outage
    match event.data:
        case ReturnedToService():
            fits = out is not None
        case AcceptanceTested() | SentToRma():
            fits = out != "in_rma"
        case _:
            fits = out is None
    if not fits:
        raise Refused(
            f"System {system.system} is {out or 'in no outage'}"
            f"{f' since {system.outage_since}' if out else ''}; "
            f"{event.provenance.command!r} is not possible.",
            todo="Record 'system return-to-service' first." if out else "",
        )


@rule("UNT-04", *NEEDED)
def dates_never_go_back(world: World, event: Event[Any]) -> None:
    """Effective dates never go back along a system's life."""
    system = _system(world, event)
    last = system.state_on if isinstance(event.data, TIMELESS) else system.moved_on
    if event.on < last:
        raise Refused(
            f"{_deed(event)} {event.on} is before {_last(system)} {last}.",
            todo="Give the day on which it really was so as 'effective_on'.",
        )


def _deed(event: Event[Any]) -> str:
    deed: str = event.data.tag().partition(".")[2]
    return deed.replace("_", " ").capitalize()


def _last(system: System) -> str:
    return system.state if system.moved_on == system.state_on else "its last outage"


@rule("UNT-05", *PHYSICAL)
def not_in_the_future(world: World, event: Event[Any]) -> None:
    """A physical event has happened; it has no future date."""
    if event.on > world.latest_day:
        raise Refused(
            f"{event.on} is in the future; the latest day is {world.latest_day}.",
            todo="Record it when it has happened.",
        )


@rule("UNT-09", AcceptanceTested)
def soak_is_sound(_: World, event: Event[Any]) -> None:
    """A test soaked for no negative time, and a passed one has no failure."""
    test = event.data
    if test.soak_hours < 0 or (test.passed and test.failure):
        raise Refused(
            f"A test of {test.soak_hours} hours, passed {test.passed}, with failure "
            f"{test.failure!r} cannot be.",
        )


@rule("UNT-09", Accepted)
def passed_before(world: World, event: Event[Any]) -> None:
    """Accepted only on a passed test of the suite and soak that the terms ask for.

    It comes after the last exchange of a component, and no later test of the same
    suite failed.
    """
    if not event.confirmed:
        return
    system = _system(world, event)
    terms = terms_of(world.need(Agreement, event.deal))
    number = _test_number(system, event.data.test)
    if number is None or not _suffices(system, number, terms):
        since = system.component_replaced_on or system.state_on
        suite = terms.acceptance_suite or "any suite"
        raise Refused(
            f"No passed test since {since}: {system.system} needs one of {suite} "
            f"with {terms.soak_hours} hours of soak"
            f"{', after the exchange of a component' * bool(system.component_replaced)}.",
            todo="Record 'system test' first.",
        )
    not_before(event, system.tests[number].on, "the test")


def _test_number(system: System, ref: str) -> int | None:
    numbers = (n for n, test in enumerate(system.tests) if system.ref(test) == ref)
    return next(numbers, None)


def _suffices(system: System, number: int, terms: Terms) -> bool:
    test = system.tests[number]
    later = [t for t in system.tests[number + 1 :] if t.suite == test.suite]
    return (
        test.passed
        and terms.acceptance_suite in {None, test.suite}
        and test.soak_hours >= terms.soak_hours
        and system.tested_since(number)
        and all(t.passed for t in later)
    )


@rule("UNT-10", Accepted, Rejected)
def judged_by_the_accepting_party(world: World, event: Event[Any]) -> None:
    """A system is accepted or rejected by the accepting party alone."""
    if not event.confirmed:
        return
    agreement = world.need(Agreement, event.deal)
    named = terms_of(agreement).accepting_party
    entitled = (named,) if named else agreement.capacity
    if event.provenance.party not in entitled:
        raise Refused(
            f"{event.provenance.party} is not the accepting party; "
            f"{' or '.join(entitled)} is.",
        )


@rule("UNT-10", Accepted)
def accepted_by_another_person(world: World, event: Event[Any]) -> None:
    """Who accepts a system neither installed nor tested it."""
    if not event.confirmed:
        return
    system = _system(world, event)
    number = _test_number(system, event.data.test)
    assert number is not None  # UNT-09 comes before.
    person = event.provenance.actor
    for did, other in (
        ("installed", system.installed_by),
        ("tested", system.tests[number].actor),
    ):
        if other is not None and same_person(person, other):
            raise Refused(
                f"{person} {did} {system.system}. Acceptance needs a second person.",
            )


@rule("UNT-11", Accepted)
def rating_is_plausible(world: World, event: Event[Any]) -> None:
    """The rating accepted is within the SKU's limits, and near what was measured."""
    system = _system(world, event)
    rated = event.data.rated
    version = world.need(Sku, event.deal, system.sku).versions[system.sku_version]
    if not version.rated_least <= rated <= version.rated_most:
        raise Refused(
            f"{rated} is outside {version.rated_least} to {version.rated_most} "
            f"for {system.sku} version {system.sku_version}.",
        )
    tolerance = terms_of(world.need(Agreement, event.deal)).measured_tolerance
    measured = system.measured
    if tolerance is None or measured is None or event.provenance.reason:
        return
    top, bottom = tolerance.value.as_integer_ratio()
    if abs(measured.watts - rated.watts) * bottom > rated.watts * top:
        raise Refused(
            f"{system.system} drew {measured}, which is more than {tolerance} of "
            f"the rating away from {rated}.",
            todo="Say in 'reason' why it is accepted all the same.",
        )


@rule("UNT-11", Derated)
def rating_only_falls(world: World, event: Event[Any]) -> None:
    """Derating lowers a rating, from where it stands, to more than nothing."""
    system = _system(world, event)
    old, new = event.data.old, event.data.new
    if old != system.rated or not new or not new < old:
        raise Refused(
            f"{system.system} is rated {system.rated}; derating to {new} "
            "does not lower it to a rating above zero.",
        )


@rule("UNT-12", Installed)
def place_is_free(world: World, event: Event[Any]) -> None:
    """A place in a hall holds one system."""
    system = _system(world, event)
    _free(world.get(Slot, system.site, event.data.hall, event.data.place))


@rule("UNT-12", SlotOccupied)
def slot_is_free(world: World, event: Event[Any]) -> None:
    """A place that a system takes was empty."""
    _free(world.get(Slot, _path(event)))


@rule("UNT-12", SlotVacated)
def slot_held_it(world: World, event: Event[Any]) -> None:
    """A place is left by the system that it held."""
    slot = world.get(Slot, _path(event))
    if slot.system != event.data.system:
        raise Refused(
            f"{_path(event)} holds {slot.system or 'nothing'}, "
            f"not {event.data.system}.",
        )


def _free(slot: Slot) -> None:
    if slot.system is not None:
        raise Refused(
            f"{slot.id.partition('/')[2]} holds {slot.system}.",
            todo="Name another place, or record first how that system left.",
            code="UNT-12",
        )


@rule("UNT-13", ComponentReplaced)
def component_is_another(_: World, event: Event[Any]) -> None:
    """A component is exchanged for another one."""
    if event.data.old_serial == event.data.new_serial:
        raise Refused(f"{event.data.old_serial} cannot be exchanged for itself.")


@rule("UNT-13", Replaced)
def replaced_by_another(_: World, event: Event[Any]) -> None:
    """A system is replaced by another serial."""
    if event.data.by == _path(event):
        raise Refused(f"{event.data.by} cannot replace itself.")


@rule("UNT-13", Registered)
def replacement_is_linked(world: World, event: Event[Any]) -> None:
    """A replacement is linked both ways: old to new, and new to old."""
    if event.data.replaces is None:
        return
    old = world.need(System, event.data.replaces)
    if old.replaced_by != _path(event):
        raise Refused(
            f"{_path(event)} does not replace {old.system}, which is {old.state}"
            f"{f' by {old.replaced_by}' if old.replaced_by else ''}.",
        )


@rule("UNT-13", SystemCertified)
def replacement_counts_once(world: World, event: Event[Any]) -> None:
    """Of a system and those that it replaced, only one can count."""
    system = world.need(System, _path(event))
    seen = {system.system}
    while system.replaces is not None and system.replaces not in seen:
        new, system = system, world.need(System, system.replaces)
        seen.add(system.system)
        if system.certificate is not None:
            raise Refused(
                f"System {system.system} is replaced by {new.system}; only one can "
                f"count, and certificate {system.certificate} counts the old one.",
                todo="Revoke that certificate, and certify anew.",
            )


def _system(world: World, event: Event[Any]) -> System:
    return world.need(System, _path(event))


def _path(event: Event[Any]) -> str:
    return event.stream.partition("/")[2]
