"""Certificate: the bridge from accepted systems to money, and the one conversion.

A watt on the agreement's basis is rated × overhead (critical IT) × PUE (facility),
converted on the total and rounded down once. A basis not agreed is never converted.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.agreement import Basis, Terms
from ledger.event import Aggregate, Event, EventData
from ledger.struct import Frozen
from ledger.values import Power, Ratio, Slug, SystemId, scaled_watts

CertificateState = Literal["none", "drafted", "issued", "effective", "revoked"]


class Counted(Frozen):
    """One system in a certificate, with its frozen rated watts."""

    system: SystemId
    rated: Power


class Drafted(EventData, tag="certificate.drafted"):
    """A certificate was drafted over systems accepted by a stated day."""

    systems: tuple[Counted, ...]
    accepted_by: date
    phase: str | None = None

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.state = "drafted"
        certificate.systems = self.systems
        certificate.accepted_by = self.accepted_by


class Issued(EventData, tag="certificate.issued"):
    """An independent engineer certified the capacity of the systems drafted."""

    issuer: Slug
    rated: Power
    certified: Power
    basis: Basis
    overhead_ratio: Ratio | None = None
    pue: Ratio | None = None

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.state = "issued"
        certificate.issuer = self.issuer
        certificate.rated = self.rated
        certificate.certified = self.certified
        certificate.basis = self.basis
        certificate.confirmed = certificate.confirmed and event.confirmed


class Countersigned(EventData, tag="certificate.countersigned"):
    """A party countersigned the certificate."""

    party: Slug

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        if event.confirmed:
            certificate.countersigned[self.party] = event.provenance.actor


class TookEffect(EventData, tag="certificate.took_effect"):
    """The certificate took effect; its capacity counts."""

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.state = "effective"
        certificate.effective_from = event.on
        certificate.confirmed = certificate.confirmed and event.confirmed


class Revoked(EventData, tag="certificate.revoked"):
    """The certificate was revoked; its capacity no longer counts."""

    ground: str

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.state = "revoked"


class Certificate(Aggregate):
    """A capacity certificate. Stream `certificate/DEAL/NAME`."""

    kind = "certificate"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: CertificateState = "none"
        self.systems: tuple[Counted, ...] = ()
        self.accepted_by: date | None = None
        self.issuer = ""
        self.rated = Power(0)
        self.certified = Power(0)
        self.basis: Basis = "unspecified"
        self.confirmed = True
        self.countersigned: dict[str, str] = {}
        self.effective_from: date | None = None

    @property
    def counts(self) -> bool:
        """Whether its capacity counts now, toward money too."""
        return self.state == "effective" and self.confirmed


def on_basis(rated_w: int, terms: Terms) -> Power:
    """Rated watts, a total, on the basis of the terms; rounded down once.

    On a basis not agreed (`unspecified`) the rated watts stay as they are.
    """
    ratios = []
    if terms.capacity_basis in {"critical_it", "facility"} and terms.overhead_ratio:
        ratios.append(terms.overhead_ratio)
    if terms.capacity_basis == "facility" and terms.pue:
        ratios.append(terms.pue)
    return Power(scaled_watts(rated_w, *ratios))


EVENTS: Final = (Drafted, Issued, Countersigned, TookEffect, Revoked)
