"""Which deals are there, and where does each stand?

The fold keeps what the agreement itself says of its state, parties and terms; most
other views draw on it.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.agreement import Terms
from ledger.domain.event import Event
from ledger.domain.provenance import Status, weakest
from ledger.domain.struct import Frozen
from projections.engine.view import Book, Fiction, FoldRow, Rows, View

STATES: Final[dict[type, str]] = {
    agreed.BecameEffective: "in_effect",
    agreed.TerminationNoticeGiven: "terminating",
    agreed.Terminated: "terminated",
    agreed.Lapsed: "lapsed",
    agreed.Superseded: "superseded",
    agreed.Closed: "closed",
}
AGREEMENT: Final = "agreement"


class AgreementRow(FoldRow):
    """The agreement of a deal as far as it is known."""

    title: str = ""
    fictional: bool = False
    parties: tuple[str, ...] = ()
    state: str = "none"
    status: Status = "confirmed"
    suspended: tuple[str, ...] = ()
    disputes: tuple[str, ...] = ()
    indicative: Terms | None = None
    terms: Terms | None = None
    terms_version: int = 0
    effective_from: date | None = None
    ended_on: date | None = None
    expires_on: date | None = None
    terminates_on: date | None = None
    successor: str | None = None

    @property
    def shown_state(self) -> str:
        """The state, `suspended` while any scope is."""
        return (
            "suspended" if self.state == "in_effect" and self.suspended else self.state
        )

    @property
    def known_terms(self) -> Terms:
        """The terms in force, or the indicative ones, or none at all."""
        return self.terms or self.indicative or Terms()


DEALS: Final = View(
    "deals", 1, "Which deals are there, and where does each stand?", AgreementRow
)


class DealLine(Frozen):
    """One deal in a line."""

    deal: str
    title: str
    state: str
    status: str
    fictional: bool
    funding_announced: str
    funding_committed: str
    funding_disbursed: str
    funding_unit: str
    capacity_announced: str
    capacity_accepted: str
    capacity_unit: str


def agreement_of(book: Book) -> AgreementRow:
    """The agreement's row; an empty one where nothing is known yet."""
    return book.rows(DEALS).get(AGREEMENT) or AgreementRow(key=AGREEMENT)


def _fictional(book: Book) -> bool | None:
    row = agreement_of(book)
    return None if row.state == "none" else row.fictional


FICTION: Final = Fiction(DEALS, _fictional)


def _row(rows: Rows[AgreementRow]) -> AgreementRow:
    return rows.get(AGREEMENT) or AgreementRow(key=AGREEMENT)


def _source(event: Event[Any]) -> str:
    evidence = event.provenance.evidence
    if not evidence:
        return f"{event.provenance.actor} of {event.provenance.party}"
    first = evidence[0]
    return first.publisher or first.title


def _claimed(rows: Rows[AgreementRow], event: Event[Any], what: str) -> bool:
    """Keep an unconfirmed fact as a dispute beside the state; say whether it was."""
    if event.confirmed:
        return False
    row = _row(rows)
    told = event.provenance.status
    text = f"#{event.position}, {event.on}: {what} is {told} ({_source(event)})"
    row.disputes = (*row.disputes, text)
    row.status = "disputed"
    rows.put(row)
    return True


@DEALS.on(agreed.Opened)
def _opened(rows: Rows[AgreementRow], event: Event[agreed.Opened]) -> None:
    row = _row(rows)
    row.title = event.data.title
    row.fictional = event.data.fictional
    row.parties = tuple(dict.fromkeys((*event.data.capital, *event.data.capacity)))
    row.state = "draft"
    rows.put(row)


@DEALS.on(agreed.LoiSigned)
def _loi(rows: Rows[AgreementRow], event: Event[agreed.LoiSigned]) -> None:
    row = _row(rows)
    row.state = "loi_signed"
    row.status = weakest(row.status, event.provenance.status)
    row.indicative = event.data.terms
    row.expires_on = event.data.expires_on
    rows.put(row)


@DEALS.on(agreed.DefinitiveSigned)
def _definitive(
    rows: Rows[AgreementRow], event: Event[agreed.DefinitiveSigned]
) -> None:
    if not _claimed(rows, event, "a definitive agreement"):
        row = _row(rows)
        row.state = "definitive_signed"
        row.terms = event.data.terms
        row.terms_version = 1
        rows.put(row)


@DEALS.on(agreed.AmendmentTookEffect)
def _amended(
    rows: Rows[AgreementRow], event: Event[agreed.AmendmentTookEffect]
) -> None:
    if not _claimed(rows, event, f"amendment {event.data.amendment} in effect"):
        row = _row(rows)
        row.terms = event.data.terms
        row.terms_version = event.data.terms_version
        rows.put(row)


@DEALS.on(agreed.Suspended, agreed.Resumed)
def _suspended(rows: Rows[AgreementRow], event: Event[Any]) -> None:
    scopes = ", ".join(event.data.scopes)
    resumes = isinstance(event.data, agreed.Resumed)
    what = f"the {'resumption' if resumes else 'suspension'} of {scopes}"
    if not _claimed(rows, event, what):
        row = _row(rows)
        kept = set(row.suspended)
        kept = (
            kept - set(event.data.scopes) if resumes else kept | set(event.data.scopes)
        )
        row.suspended = tuple(sorted(kept))
        rows.put(row)


@DEALS.on(*STATES)
def _moved(rows: Rows[AgreementRow], event: Event[Any]) -> None:
    data = event.data
    state = STATES[type(data)]
    successor = getattr(data, "successor", None)
    what = f"'{state}'" + (f" by {successor}" if successor else "")
    if _claimed(rows, event, what):
        if successor:
            row = _row(rows)
            row.successor = successor
            rows.put(row)
        return
    row = _row(rows)
    row.state = state
    row.successor = successor or row.successor
    match data:
        case agreed.BecameEffective():
            row.effective_from = event.on
        case agreed.TerminationNoticeGiven(terminates_on=day):
            row.terminates_on = day
        case _:
            row.ended_on = row.ended_on or event.on
            row.suspended = ()
    rows.put(row)


@DEALS.on(agreed.StatementRecorded)
def _contradicted(
    rows: Rows[AgreementRow], event: Event[agreed.StatementRecorded]
) -> None:
    """A statement that contradicts another stands beside it, among the disputes."""
    data = event.data
    if data.contradicts is None:
        return
    row = _row(rows)
    text = f"#{event.position}, {event.on}: {data.speaker}: {data.text}"
    row.disputes = (
        *row.disputes,
        f"{text} (contradicts {data.contradicts}; {_source(event)})",
    )
    rows.put(row)
