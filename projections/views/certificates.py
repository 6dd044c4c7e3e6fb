"""Which certificates stand, over how many systems, and for how much capacity?"""

from __future__ import annotations

from typing import Final

from ledger.domain import certificate as certificates
from ledger.domain.certificate import Certificate, Paper
from ledger.domain.struct import Frozen
from projections.engine.claims import ClaimRow, claimed, keep_claims
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, View
from projections.views.deals import DEALS, agreement_of

CERTIFICATES: Final = View(
    "certificates", 2, "Which certificates stand, and for how much?", ClaimRow
)
keep_claims(CERTIFICATES, *certificates.EVENTS)


class CertificateLine(Frozen):
    """A certificate in a line.

    `rated` are the watts of its systems as they were drafted; `certified` is what they
    came to under the ratios of its issue. Those that are effective and confirmed add up
    to `rated_w` in the totals, and `certified_w` is that sum, converted once under the
    terms in force. `claimed` are reports that stand beside it.
    """

    certificate: str
    state: str
    status: str
    systems: int
    rated: str
    certified: str
    unit: str
    basis: str
    issuer: str
    countersigned: str
    since: str
    claimed: str


def counting(book: Book) -> list[Paper]:
    """The certificates whose capacity counts now, in order of their names."""
    papers = book.rows(parts_of(Certificate)).under("certificate")
    return [paper for _, paper in sorted(papers.items()) if paper.counts]


def rated_watts(book: Book) -> int:
    """The rated watts of the certificates that count."""
    return sum(paper.rated.watts for paper in counting(book))


def certified_watts(book: Book) -> int:
    """Capacity in effective certificates, on the agreement's basis, converted once."""
    terms = agreement_of(book).known_terms
    return certificates.on_basis(rated_watts(book), terms).watts


def standing(certificate: Certificate) -> Paper:
    """A certificate as it stands; as it is told, where even its draft is only told."""
    known = certificate.state != "none"
    return certificate.paper if known else certificate.told.paper


@CERTIFICATES.answer(
    CertificateLine, DEALS, parts_of(Certificate), key=("certificate",)
)
def _certificates(book: Book) -> Drawn:
    # Read all at once what is looked at one by one.
    book.rows(parts_of(Certificate)).under("certificate")
    lines = [_line(book, certificate) for certificate in book.all(Certificate)]
    totals = {
        "rated_w": str(rated_watts(book)),
        "certified_w": str(certified_watts(book)),
    }
    return Drawn(lines, totals)


def _line(book: Book, certificate: Certificate) -> CertificateLine:
    paper = standing(certificate)
    return CertificateLine(
        certificate=certificate.name,
        state=paper.state,
        status=paper.status,
        systems=paper.count,
        rated=str(paper.rated.watts),
        certified=str(paper.certified.watts),
        unit="W",
        basis=paper.basis,
        issuer=paper.issuer,
        countersigned=", ".join(one.party for one in paper.countersignatures),
        since=paper.since.isoformat() if paper.since else "",
        claimed=claimed(book, CERTIFICATES, certificate),
    )
