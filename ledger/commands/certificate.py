"""Commands on a capacity certificate: from its draft to its revocation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

from ledger.commands.consequences import relock
from ledger.commands.decision import Decision
from ledger.commands.reads import Ids, reads
from ledger.domain.aggregate import Aggregate, World
from ledger.domain.agreement import Agreement, Terms
from ledger.domain.certificate import (
    Certificate,
    Counted,
    Countersigned,
    Drafted,
    Issued,
    Revoked,
    TookEffect,
    on_basis,
)
from ledger.domain.event import Event, EventData
from ledger.domain.system import System, SystemCertified, SystemDecertified
from ledger.domain.values import Id, Power, Slug, SystemId

CertificateId = Annotated[Id, "the certificate"]


def draft(
    decision: Decision,
    certificate: CertificateId,
    *,
    systems: Annotated[tuple[SystemId, ...], "a system that it counts"],
    accepted_by: Annotated[date, "the day by which they were in service"],
    phase: Annotated[str | None, "the phase of the plan"] = None,
) -> None:
    """Draft a certificate over accepted systems, with their rated watts as they stand.

    accord certificate draft acme-orion C-1 --systems nvidia/VR-1 --systems nvidia/VR-2 --accepted-by 2026-03-31
    """
    counted = tuple(
        Counted(system=system, rated=decision.need(System, system).rated)
        for system in systems
    )
    data = Drafted(systems=counted, accepted_by=accepted_by, phase=phase)
    _record(decision, certificate, data)


def _counted(
    world: World, deal: str, *, certificate: Id, **_: Any
) -> Iterable[tuple[type[Aggregate], Ids]]:
    """The systems that a certificate counts."""
    systems = world.get(Certificate, deal, certificate).systems
    return ((System, (counted.system,)) for counted in systems)


@reads(_counted)
def issue(
    decision: Decision,
    certificate: CertificateId,
    *,
    certified: Annotated[
        Power | None, "the figure certified; computed where left out"
    ] = None,
) -> None:
    """Issue a certificate, as the independent engineer for whom the actor acts.

    The sum of the systems is converted on the basis of the terms in force.

    accord certificate issue acme-orion C-1 --actor eve@engineers --evidence '{"title": "Certificate 1", "kind": "engineer_certificate"}'
    """
    terms = decision.need(Agreement, decision.deal).terms or Terms()
    standing = decision.need(Certificate, decision.deal, certificate)
    rated_w = sum(counted.rated.watts for counted in standing.systems)
    data = Issued(
        issuer=Slug(decision.party),
        rated=Power(rated_w),
        certified=on_basis(rated_w, terms) if certified is None else certified,
        basis=terms.capacity_basis,
        overhead_ratio=terms.overhead_ratio,
        pue=terms.pue,
    )
    _record(decision, certificate, data)


def countersign(decision: Decision, certificate: CertificateId) -> None:
    """Countersign a certificate, for the actor's party.

    accord certificate countersign acme-orion C-1 --actor bo@orion
    """
    _record(decision, certificate, Countersigned(party=Slug(decision.party)))


@reads(_counted)
def bring_into_effect(decision: Decision, certificate: CertificateId) -> None:
    """Bring a certificate that every party countersigned into effect.

    Its capacity counts from here on, and each of its systems carries it, so that no
    other certificate can count that system too.

    accord certificate bring-into-effect acme-orion C-1
    """
    effect = _record(decision, certificate, TookEffect())
    if not effect.confirmed:
        return
    standing = decision.need(Certificate, decision.deal, certificate)
    for counted in standing.systems:
        decision.record(
            System,
            counted.system,
            data=SystemCertified(certificate=certificate, watts=counted.rated),
            causation=effect.ref,
        )


@reads(_counted)
def revoke(
    decision: Decision,
    certificate: CertificateId,
    *,
    ground: Annotated[str, "on what ground"],
) -> None:
    """Revoke a certificate, at any time, also after payment.

    What it alone had unlocked is locked again in the same transaction, and where more
    was paid than stays unlocked, the facility is flagged as overfunded.

    accord certificate revoke acme-orion C-1 --ground "The burn-in records were copied"
    """
    standing = decision.need(Certificate, decision.deal, certificate)
    counted = standing.systems if standing.counts else ()
    revoked = _record(decision, certificate, Revoked(ground=ground))
    if not revoked.confirmed or not counted:
        return
    for one in counted:
        decision.record(
            System,
            one.system,
            data=SystemDecertified(certificate=certificate),
            causation=revoked.ref,
        )
    relock(decision, revoked)


def _record(decision: Decision, certificate: Id, data: EventData) -> Event[Any]:
    return decision.record(Certificate, decision.deal, certificate, data=data)
