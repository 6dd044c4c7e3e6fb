"""Certificate: the bridge from accepted systems to money, and the one conversion.

A watt on the agreement's basis is rated × overhead (critical IT) × PUE (facility),
converted on the total and rounded down once. A basis not agreed is never converted.

A step that is only reported stands on the stream, counts for nothing, and may be
confirmed by recording it again; a reported revocation is a claim that changes nothing.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Plain
from ledger.domain.agreement import Basis, Terms
from ledger.domain.event import Event, EventData
from ledger.domain.struct import Frozen
from ledger.domain.values import Power, Ratio, Slug, SystemId, scaled_watts

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
        certificate.drafted_on = event.on


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
        certificate.issued_on = event.on
        certificate.issue_confirmed = event.confirmed
        certificate.effect_confirmed = False
        # A countersignature was given to the paper as it was issued before.
        certificate.countersigned.clear()
        certificate.countersigned_on = None


class Countersigned(EventData, tag="certificate.countersigned"):
    """A party countersigned the certificate."""

    party: Slug

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        if event.confirmed:
            certificate.countersigned[self.party] = event.provenance.actor
            last = certificate.countersigned_on or event.on
            certificate.countersigned_on = max(event.on, last)


class TookEffect(EventData, tag="certificate.took_effect"):
    """The certificate took effect; its capacity counts."""

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.state = "effective"
        certificate.effective_from = event.on
        certificate.effective_ref = event.ref
        certificate.effect_confirmed = event.confirmed


class Revoked(EventData, tag="certificate.revoked"):
    """The certificate was revoked; its capacity no longer counts."""

    ground: str

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        if event.confirmed:
            certificate.state = "revoked"
        else:
            certificate.claims.append(event.ref)


class Certificate(Plain):
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
        self.drafted_on: date | None = None
        self.issued_on: date | None = None
        self.issue_confirmed = False
        self.countersigned: dict[str, str] = {}
        self.countersigned_on: date | None = None
        self.effective_from: date | None = None
        self.effective_ref = ""
        self.effect_confirmed = False
        self.claims: list[str] = []

    @property
    def confirmed(self) -> bool:
        """Whether its issue and its taking effect are both confirmed facts."""
        return self.issue_confirmed and self.effect_confirmed

    @property
    def counts(self) -> bool:
        """Whether its capacity counts now, toward money too."""
        return self.state == "effective" and self.confirmed


def unmeasured(terms: Terms) -> list[str]:
    """What the terms still lack to say how a watt of capacity is measured."""
    basis = terms.capacity_basis
    lacking = ["capacity_basis"] if basis == "unspecified" else []
    if basis in {"critical_it", "facility"} and not terms.overhead_ratio:
        lacking.append("overhead_ratio")
    if basis == "facility" and not terms.pue:
        lacking.append("pue")
    return lacking


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
