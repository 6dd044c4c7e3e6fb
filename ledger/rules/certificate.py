"""Rules of certificates: CER-01 to CER-07, the bridge from systems to money.

What follows from a revocation (FND-12) is recorded by the command, in the same
transaction; the events that say so are guarded in `unlock.py` and `overfunding.py`.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Terms
from ledger.domain.certificate import (
    Certificate,
    Countersigned,
    Drafted,
    Issued,
    Revoked,
    TookEffect,
    on_basis,
    unmeasured,
)
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import same_person
from ledger.domain.system import System, SystemCertified, SystemDecertified
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import rule

NEEDED: Final[dict[type[EventData], frozenset[str]]] = {
    Issued: frozenset({"drafted"}),
    Countersigned: frozenset({"issued"}),
    TookEffect: frozenset({"issued"}),
    Revoked: frozenset({"drafted", "issued", "effective"}),
}


@rule("CER-07", Drafted)
def drafted_once(world: World, event: Event[Any]) -> None:
    """A certificate is drafted once, under an agreement that has come into effect."""
    agreement = world.need(Agreement, event.deal)
    name = _name(event)
    if world.get(Certificate, event.deal, name).state != "none":
        raise Refused(
            f"Certificate {name!r} is already on the record.",
            todo="Choose another name.",
        )
    if agreement.effective_from is None:
        raise Refused(
            f"{event.deal} is {agreement.state}; only an agreement that has come into "
            "effect says what a certificate counts toward.",
            todo="Record the definitive agreement and its effect first.",
        )
    not_before(event, agreement.effective_from, "the coming into effect")
    not_before(event, event.data.accepted_by, "the day by which systems are counted")


@rule("CER-07", *NEEDED)
def certificate_state_allows(world: World, event: Event[Any]) -> None:
    """A certificate moves only along its states."""
    certificate = _certificate(world, event)
    needed = NEEDED[type(event.data)]
    if certificate.state in needed:
        return
    told = certificate.told.state
    if told in needed and isinstance(event.data, TookEffect):
        return  # CER-05 says what is missing.
    if told in needed or certificate.state == "none":
        raise Refused(
            f"Certificate {certificate.name} is {told} only by report.",
            todo="Record that as a confirmed fact first.",
        )
    raise Refused(
        f"Certificate {certificate.name} is {certificate.state}; "
        f"{event.provenance.command!r} needs {' or '.join(sorted(needed))}.",
        todo="Its history tells how it came there.",
    ).hinting("history", deal=event.deal)


@rule("CER-01", Drafted, Issued, TookEffect)
def systems_are_in_service(world: World, event: Event[Any]) -> None:
    """Only accepted systems of this deal count, in service by the day certified."""
    certificate = _certificate(world, event, drafted=isinstance(event.data, Drafted))
    drafted = isinstance(event.data, Drafted)
    systems = event.data.systems if drafted else certificate.systems
    source: Any = event.data if drafted else certificate.paper
    accepted_by = source.accepted_by
    if not systems:
        raise Refused(f"Certificate {_name(event)} names no system.")
    platforms = _terms(world, event).platforms
    for counted in systems:
        system = world.need(System, counted.system)
        wrong = ""
        if system.deal != event.deal:
            wrong = f"is under {system.deal}, not {event.deal}"
        elif not system.in_service:
            wrong = f"is {_state(system)}, not accepted and in service"
        elif system.moved_on > accepted_by:
            wrong = f"is in service since {system.moved_on}, not by {accepted_by}"
        elif system.rated != counted.rated:
            wrong = f"is rated {system.rated}, not {counted.rated}"
        elif platforms and system.sku not in platforms:
            wrong = f"is a {system.sku}, which does not count toward {event.deal}"
        if wrong:
            raise Refused(
                f"System {counted.system} {wrong}.",
                todo="Draft a certificate without it, or once it is.",
            )


def _state(system: System) -> str:
    if system.outage is not None:
        return f"{system.outage} since {system.outage_since}"
    if system.told.state == "accepted":
        return "accepted only by report"
    return system.state


@rule("CER-02", Drafted)
def each_system_once(_: World, event: Event[Any]) -> None:
    """A system stands in a certificate once."""
    seen: set[str] = set()
    for counted in event.data.systems:
        if counted.system in seen:
            raise Refused(
                f"System {counted.system} stands twice in {_name(event)}.",
            )
        seen.add(counted.system)


@rule("CER-02", SystemCertified)
def in_one_certificate(world: World, event: Event[Any]) -> None:
    """A system is in at most one effective certificate, over all deals."""
    name = event.stream.partition("/")[2]
    system = world.need(System, name)
    if system.certificate is not None:
        where = f"{system.certificate} of {system.certificate_deal}"
        raise Refused(
            f"System {name} is already in certificate {where}.",
            todo="Revoke that one first, or draft this one without it.",
        )
    certificate = world.need(Certificate, event.deal, event.data.certificate)
    counted = certificate.counted(name)
    stands = counted is not None and counted.rated == event.data.watts
    if not stands or not certificate.counts:
        raise Refused(
            f"Certificate {certificate.name} does not count {name} "
            f"with {event.data.watts}.",
        )


@rule("CER-02", SystemDecertified)
def released_by_revocation(world: World, event: Event[Any]) -> None:
    """A system is released only by the revocation of the certificate that counts it."""
    name = event.stream.partition("/")[2]
    system = world.need(System, name)
    certificate = world.need(Certificate, event.deal, event.data.certificate)
    holder = (system.certificate, system.certificate_deal)
    if holder != (certificate.name, event.deal) or certificate.state != "revoked":
        raise Refused(
            f"Certificate {certificate.name} is {certificate.state}, and {name} is in "
            f"{system.certificate or 'none'}.",
        )


@rule("CER-03", Issued)
def certified_by_the_formula(world: World, event: Event[Any]) -> None:
    """What is certified equals the sum of the systems, on the basis of the terms."""
    terms = _terms(world, event)
    lacking = unmeasured(terms)
    if lacking:
        raise Refused(
            "The terms do not say how a gigawatt is measured: "
            f"{', '.join(lacking)} missing.",
            todo="Amend the terms first.",
        )
    issued = event.data
    systems = _certificate(world, event).systems
    rated_w = sum(counted.rated.watts for counted in systems)
    basis = (terms.capacity_basis, terms.overhead_ratio, terms.pue)
    given = (issued.basis, issued.overhead_ratio, issued.pue)
    certified = on_basis(rated_w, terms)
    if (issued.rated.watts, issued.certified, *given) != (rated_w, certified, *basis):
        raise Refused(
            f"{issued.certified} certified; {len(systems)} systems of {rated_w} W come "
            f"to {certified} on the basis {terms.capacity_basis}.",
            todo="Leave 'certified' out, or draft the certificate anew.",
        )


@rule("CER-04", Issued)
def issuer_is_independent(world: World, event: Event[Any]) -> None:
    """The issuer is no party of the agreement, unless the terms allow it."""
    agreement = world.need(Agreement, event.deal)
    issuer = event.data.issuer
    if issuer in agreement.parties and not _terms(world, event).parties_may_certify:
        raise Refused(
            f"The issuer belongs to {issuer}, which is a party of {event.deal}.",
            todo="An independent engineer issues it, acting for another party.",
        )


@rule("CER-05", Countersigned)
def countersigned_by_a_party(world: World, event: Event[Any]) -> None:
    """Each party of the agreement countersigns once, by a person of its own."""
    certificate = _certificate(world, event)
    parties = world.need(Agreement, event.deal).parties
    party, person = event.data.party, event.provenance.actor
    if party not in parties:
        raise Refused(
            f"{party} does not countersign; the parties are {', '.join(parties)}.",
        )
    for signed, signatory in certificate.countersigned.items():
        if signed == party:
            raise Refused(f"{party} has countersigned already: {signatory}.")
        if same_person(signatory, person):
            raise Refused(
                f"{person} has countersigned for {signed} already.",
                todo=f"A second person countersigns for {party}.",
            )


@rule("CER-05", TookEffect)
def countersigned_by_all(world: World, event: Event[Any]) -> None:
    """A certificate takes effect only when every party has countersigned it."""
    if not event.confirmed:
        return
    certificate = _certificate(world, event)
    parties = world.need(Agreement, event.deal).parties
    waiting = [party for party in parties if party not in certificate.countersigned]
    if certificate.state != "issued":
        raise Refused(
            f"Certificate {certificate.name} is issued only by report.",
            todo="Record its issue as a confirmed fact, and have it countersigned.",
        )
    if waiting:
        raise Refused(
            f"Certificate {certificate.name} is not countersigned by "
            f"{', '.join(waiting)}.",
            todo="Record 'certificate countersign' for each party first.",
        )


@rule("CER-06", Revoked)
def revoked_on_a_ground(_: World, event: Event[Any]) -> None:
    """A certificate can be revoked at any time, also after payment, on a stated ground.

    What it carried is locked again in the same transaction, and flagged where paid.
    """
    if not event.data.ground.strip():
        raise Refused(f"Certificate {_name(event)} is revoked on no ground.")


@rule("REC-12", *NEEDED)
def certificate_dates_in_order(world: World, event: Event[Any]) -> None:
    """A step of a certificate is not before the steps that it relies on."""
    paper = _certificate(world, event).paper
    not_before(event, paper.drafted_on, "the draft")
    if not isinstance(event.data, Issued):
        not_before(event, paper.issued_on, "the issue")
    if isinstance(event.data, TookEffect):
        not_before(event, paper.countersigned_on, "the last countersignature")
    if isinstance(event.data, Revoked):
        not_before(event, paper.effective_from, "its taking effect")


def _terms(world: World, event: Event[Any]) -> Terms:
    return world.need(Agreement, event.deal).terms or Terms()


def _certificate(
    world: World, event: Event[Any], *, drafted: bool = False
) -> Certificate:
    find = world.get if drafted else world.need
    return find(Certificate, event.deal, _name(event))


def _name(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]
