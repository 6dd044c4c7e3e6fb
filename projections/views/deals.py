"""Which deals are there, and where does each stand?

The state is the agreement's own; the fold keeps the wording of what disputes it.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.agreement import Agreement
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Fiction, FoldRow, Rows, View

CALLED: Final[dict[type, str]] = {
    agreed.LoiSigned: "a letter of intent",
    agreed.DefinitiveSigned: "a definitive agreement",
    agreed.BecameEffective: "'in_effect'",
    agreed.TerminationNoticeGiven: "'terminating'",
    agreed.Terminated: "'terminated'",
    agreed.Lapsed: "'lapsed'",
    agreed.Superseded: "'superseded'",
    agreed.Closed: "'closed'",
}
"""What a claim is called among the disputes."""


class SayingRow(FoldRow):
    """What an entry says, in words, with its source; its key is the entry's ref.

    A `claim` disputes the state as long as it stands; a statement that contradicts
    another always does.
    """

    text: str
    claim: bool


DEALS: Final = View(
    "deals", 2, "Which deals are there, and where does each stand?", SayingRow
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


def agreement_of(book: Book) -> Agreement:
    """The agreement; an empty one where nothing is known yet."""
    return book.get(Agreement)


def disputes_of(book: Book) -> list[str]:
    """What is told and not confirmed, or contradicted, in words and in order."""
    standing = {claim.ref for claim in agreement_of(book).claims}
    rows = sorted(book.rows(DEALS), key=lambda row: int(row.key.rpartition("@")[2]))
    return [row.text for row in rows if not row.claim or row.key in standing]


def _fictional(book: Book) -> bool | None:
    agreement = agreement_of(book)
    return None if agreement.state == "none" else agreement.fictional


FICTION: Final = Fiction(parts_of(Agreement), _fictional)


def _source(event: Event[Any]) -> str:
    evidence = event.provenance.evidence
    if not evidence:
        return f"{event.provenance.actor} of {event.provenance.party}"
    first = evidence[0]
    return first.publisher or first.title


def _what(data: Any) -> str:
    """What a step is called."""
    match data:
        case agreed.AmendmentTookEffect(amendment=name):
            return f"amendment {name} in effect"
        case agreed.Suspended(scopes=scopes):
            return f"the suspension of {', '.join(scopes)}"
        case agreed.Resumed(scopes=scopes):
            return f"the resumption of {', '.join(scopes)}"
        case agreed.Superseded(successor=successor):
            return f"'superseded' by {successor}"
    return CALLED[type(data)]


@DEALS.on(*agreed.STEPS)
def _told(rows: Rows[SayingRow], event: Event[Any]) -> None:
    if event.is_claim:
        what, told = _what(event.data), event.provenance.status
        text = f"#{event.position}, {event.on}: {what} is {told} ({_source(event)})"
        rows.put(SayingRow(key=event.ref, text=text, claim=True))


@DEALS.on(agreed.StatementRecorded)
def _contradicted(
    rows: Rows[SayingRow], event: Event[agreed.StatementRecorded]
) -> None:
    data = event.data
    if data.contradicts is not None:
        said = f"#{event.position}, {event.on}: {data.speaker}: {data.text}"
        text = f"{said} (contradicts {data.contradicts}; {_source(event)})"
        rows.put(SayingRow(key=event.ref, text=text, claim=False))
