"""Which certificates stand, over how many systems, and for how much capacity?"""

from __future__ import annotations

from typing import Final

from ledger.domain import certificate as certificates
from ledger.domain.certificate import Certificate, Paper
from ledger.domain.evaluation import certified, counted
from ledger.domain.struct import Frozen
from projections.engine.claims import ClaimRow, claimed, keep_claims
from projections.engine.nouns import NOUNS, parts_of
from projections.engine.source import Page
from projections.engine.view import Book, Drawn, View

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


def counted_watts(book: Book) -> dict[str, int]:
    """The rated watts that each certificate counts for, as triggers count them."""
    return counted(Page(book), book.deal, book.as_of)


def certified_watts(book: Book) -> int:
    """Capacity in effective certificates, on the agreement's basis, converted once."""
    return certified(Page(book), book.deal, book.as_of).watts


def standing(certificate: Certificate) -> Paper:
    """A certificate as it stands; as it is told, where even its draft is only told."""
    known = certificate.state != "none"
    return certificate.paper if known else certificate.told.paper


@CERTIFICATES.answer(CertificateLine, *NOUNS, key=("certificate",))
def _certificates(book: Book) -> Drawn:
    # Read all at once what is looked at one by one.
    book.rows(parts_of(Certificate)).under("certificate")
    lines = [_line(book, certificate) for certificate in book.all(Certificate)]
    totals = {
        "rated_w": str(sum(counted_watts(book).values())),
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
