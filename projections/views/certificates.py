"""Which certificates stand, over how many systems, and for how much capacity?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import certificate as certificates
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.deals import DEALS, agreement_of


class CertificateRow(FoldRow):
    """A certificate."""

    certificate: str
    systems: int
    rated: int
    state: str = "drafted"
    issuer: str = ""
    certified: int = 0
    basis: str = "unspecified"
    countersigned: tuple[str, ...] = ()
    confirmed: bool = True
    since: str = ""

    @property
    def counts(self) -> bool:
        """Whether its capacity counts now."""
        return self.state == "effective" and self.confirmed


CERTIFICATES: Final = View(
    "certificates", 1, "Which certificates stand, and for how much?", CertificateRow
)


class CertificateLine(Frozen):
    """A certificate in a line."""

    certificate: str
    state: str
    systems: int
    certified: str
    unit: str
    basis: str
    issuer: str
    countersigned: str
    since: str


def certified_watts(book: Book) -> int:
    """Capacity in effective certificates, on the agreement's basis, converted once."""
    rated = sum(row.rated for row in book.rows(CERTIFICATES) if row.counts)
    return certificates.on_basis(rated, agreement_of(book).known_terms).watts


@CERTIFICATES.on(certificates.Drafted)
def _drafted(rows: Rows[CertificateRow], event: Event[certificates.Drafted]) -> None:
    name = event.stream.rpartition("/")[2]
    rows.put(
        CertificateRow(
            key=name,
            certificate=name,
            systems=len(event.data.systems),
            rated=sum(item.rated.watts for item in event.data.systems),
            since=event.on.isoformat(),
        )
    )


@CERTIFICATES.on(
    certificates.Issued,
    certificates.Countersigned,
    certificates.TookEffect,
    certificates.Revoked,
)
def _moved(rows: Rows[CertificateRow], event: Event[Any]) -> None:
    row = rows.get(event.stream.rpartition("/")[2])
    if row is None:
        return
    match event.data:
        case certificates.Issued() as issued:
            row.state = "issued"
            row.issuer = issued.issuer
            row.rated = issued.rated.watts
            row.certified = issued.certified.watts
            row.basis = issued.basis
            row.confirmed = row.confirmed and event.confirmed
        case certificates.Countersigned(party=party):
            row.countersigned = (*row.countersigned, party)
        case certificates.TookEffect():
            row.state = "effective"
            row.confirmed = row.confirmed and event.confirmed
        case _:
            row.state = "revoked"
    row.since = event.on.isoformat()
    rows.put(row)


@CERTIFICATES.answer(CertificateLine, DEALS, key=("certificate",))
def _certificates(book: Book) -> Drawn:
    lines = [
        CertificateLine(
            certificate=row.certificate,
            state=row.state,
            systems=row.systems,
            certified=str(row.certified),
            unit="W",
            basis=row.basis,
            issuer=row.issuer,
            countersigned=", ".join(row.countersigned),
            since=row.since,
        )
        for row in book.rows(CERTIFICATES)
    ]
    return Drawn(lines, {"certified_w": str(certified_watts(book))})
