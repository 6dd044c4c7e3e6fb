"""Certificate: the bridge from accepted systems to money, and the one conversion.

A watt on the agreement's basis is rated × overhead (critical IT) × PUE (facility),
converted on the total and rounded down once. A basis not agreed is never converted.

The paper is one part, and each system that it counts another: a page that adds up
certificates does not read their systems.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Parted
from ledger.domain.agreement import Basis, Terms
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part
from ledger.domain.provenance import Status
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
        paper = certificate.to_change(event)
        if paper.count:
            certificate.drop_systems()
        paper.state = "drafted"
        paper.status = event.provenance.status
        paper.accepted_by = self.accepted_by
        paper.drafted_on = event.on
        paper.count = len(self.systems)
        paper.rated = Power(sum(one.rated.watts for one in self.systems))
        for place, one in enumerate(self.systems):
            certificate.parts.put(
                CountedSystem(
                    key=f"counted/{certificate.name}/{one.system}",
                    place=place,
                    counted=one,
                )
            )


class Issued(EventData, tag="certificate.issued"):
    """An independent engineer certified the capacity of the systems drafted."""

    about = ()

    issuer: Slug
    rated: Power
    certified: Power
    basis: Basis
    overhead_ratio: Ratio | None = None
    pue: Ratio | None = None

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        paper = certificate.to_change(event)
        paper.state = "issued"
        paper.issuer = self.issuer
        paper.rated = self.rated
        paper.certified = self.certified
        paper.basis = self.basis
        paper.issued_on = event.on
        # A countersignature was given to the paper as it was issued before.
        paper.countersignatures = ()
        paper.countersigned_on = None


class Countersigned(EventData, tag="certificate.countersigned"):
    """A party countersigned the certificate."""

    party: Slug

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        paper = certificate.to_change(event)
        signed = Countersignature(party=self.party, person=event.provenance.actor)
        others = (one for one in paper.countersignatures if one.party != self.party)
        paper.countersignatures = (*others, signed)
        last = paper.countersigned_on or event.on
        paper.countersigned_on = max(event.on, last)


class TookEffect(EventData, tag="certificate.took_effect"):
    """The certificate took effect; its capacity counts."""

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        paper = certificate.to_change(event)
        paper.state = "effective"
        paper.effective_from = event.on
        paper.effective_ref = event.ref


class Revoked(EventData, tag="certificate.revoked"):
    """The certificate was revoked; its capacity no longer counts."""

    about = ()

    ground: str

    def apply(self, certificate: Certificate, event: Event[Any]) -> None:
        certificate.to_change(event).state = "revoked"


class Countersignature(Frozen):
    """Who countersigned for a party."""

    party: Slug
    person: str


class Paper(Part, tag="certificate"):
    """A certificate as it stands, without its systems.

    `status` is that of its draft, and `since` the day of its last step.
    """

    state: CertificateState = "none"
    status: Status = "confirmed"
    count: int = 0
    accepted_by: date | None = None
    issuer: str = ""
    rated: Power = Power(0)
    certified: Power = Power(0)
    basis: Basis = "unspecified"
    drafted_on: date | None = None
    issued_on: date | None = None
    countersignatures: tuple[Countersignature, ...] = ()
    countersigned_on: date | None = None
    effective_from: date | None = None
    effective_ref: str = ""
    since: date | None = None

    @property
    def counts(self) -> bool:
        """Whether its capacity counts now, toward money too."""
        return self.state == "effective"


class CountedSystem(Part, tag="counted"):
    """A system that a certificate counts, in the order of its draft."""

    place: int
    counted: Counted


class Certificate(Parted):
    """A capacity certificate. Stream `certificate/DEAL/NAME`."""

    __slots__ = ()
    kind = "certificate"

    @property
    def paper(self) -> Paper:
        """Its main part, only to look at."""
        return self.parts.get(self._key) or Paper(key=self._key)

    @property
    def state(self) -> CertificateState:
        """How far it came."""
        return self.paper.state

    @property
    def counts(self) -> bool:
        """Whether its capacity counts now, toward money too."""
        return self.paper.counts

    @property
    def rated(self) -> Power:
        """The rated watts of its systems, as they were drafted."""
        return self.paper.rated

    @property
    def certified(self) -> Power:
        """What they came to on the agreement's basis, when it was issued."""
        return self.paper.certified

    @property
    def effective_from(self) -> date | None:
        """The day on which it took effect."""
        return self.paper.effective_from

    @property
    def effective_ref(self) -> str:
        """The entry by which it took effect."""
        return self.paper.effective_ref

    @property
    def countersigned(self) -> dict[str, str]:
        """The parties that countersigned, each with the person who did."""
        return {one.party: one.person for one in self.paper.countersignatures}

    @property
    def systems(self) -> tuple[Counted, ...]:
        """The systems that it counts, in the order of the draft."""
        found: list[CountedSystem] = sorted(
            self.parts.under(f"counted/{self.name}").values(),
            key=lambda one: one.place,
        )
        return tuple(one.counted for one in found)

    def counted(self, system: str) -> Counted | None:
        """A system as it counts it."""
        found: CountedSystem | None = self.parts.get(f"counted/{self.name}/{system}")
        return found.counted if found else None

    def to_change(self, event: Event[Any]) -> Paper:
        """Its main part, to be changed by an event."""
        paper: Paper | None = self.parts.change(self._key)
        if paper is None:
            paper = Paper(key=self._key)
            self.parts.put(paper)
        paper.since = event.on
        return paper

    def drop_systems(self) -> None:
        """Forget the systems of another draft."""
        for system in list(self.parts.under(f"counted/{self.name}")):
            self.parts.drop(f"counted/{self.name}/{system}")

    @property
    def _key(self) -> str:
        return f"certificate/{self.name}"


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


PARTS: Final = (Paper, CountedSystem)
EVENTS: Final = (Drafted, Issued, Countersigned, TookEffect, Revoked)
