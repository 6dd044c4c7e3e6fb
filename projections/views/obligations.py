"""What is due next, from whom?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from ledger.domain.agreement import ENDED, Agreement, Amendment
from ledger.domain.certificate import Certificate
from ledger.domain.funding import Facility, Funding
from ledger.domain.milestone import Milestone
from ledger.domain.order import Order
from ledger.domain.reversal import Reversal
from ledger.domain.struct import Frozen
from projections.engine.nouns import NOUNS
from projections.engine.view import Book, Drawn, View
from projections.views.conditions import CONDITIONS, conditions_of
from projections.views.deals import DEALS, agreement_of
from projections.views.distance import DISTANCE, open_tranches, waits

OBLIGATIONS: Final = View("obligations", 2, "What is due next, from whom?")


class Obligation(Frozen, omit_defaults=False):
    """Something that a party has to do; days left count from the day asked about."""

    due_on: str | None
    days_left: int | None
    party: str
    what: str
    subject: str
    status: str


@OBLIGATIONS.answer(Obligation, DEALS, CONDITIONS, DISTANCE, *NOUNS, key=("subject",))
def _obligations(book: Book) -> Drawn:
    due = [
        *_of_agreement(book),
        *_of_roadmap(book),
        *_of_capacity(book),
        *_of_money(book),
        *_of_reversals(book),
    ]
    lines = [
        Obligation(
            due_on=day.isoformat() if day else None,
            days_left=(day - book.as_of).days if day else None,
            party=party,
            what=what,
            subject=subject,
            status=status,
        )
        for day, party, what, subject, status in due
    ]
    lines.sort(key=lambda line: (line.due_on or "9999", line.subject))
    overdue = sum(1 for line in lines if (line.days_left or 0) < 0)
    return Drawn(lines, {"overdue": overdue})


Due = tuple[date | None, str, str, str, str]


def _of_agreement(book: Book) -> list[Due]:
    row = agreement_of(book)
    if row.state in ENDED:
        return []
    found: list[Due] = []
    if row.state == "loi_signed" and row.loi_expires_on:
        who = ", ".join(row.parties)
        what = "sign the definitive agreement before the letter expires"
        found.append((row.loi_expires_on, who, what, "agreement", row.status))
    if row.state == "terminating":
        who = ", ".join(row.parties)
        found.append((row.terminates_on, who, "end of notice", "agreement", row.status))
    for condition in conditions_of(book):
        if condition.state == "open":
            who = condition.owner or "-"
            what = f"bring about: {condition.text}"
            subject = f"condition {condition.name}"
            found.append((condition.long_stop_on, who, what, subject, condition.status))
    return found + [_of_amendment(row, one) for one in _amendments(row)]


def _amendments(agreement: Agreement) -> list[Amendment]:
    """Amendments on their way; one that is only reported, where no other is."""
    known = {**agreement.told.amendments, **agreement.amendments}
    return [one for _, one in sorted(known.items()) if one.state == "proposed"]


def _of_amendment(agreement: Agreement, amendment: Amendment) -> Due:
    """Whose turn it is: of those who have not signed, then of whoever acts for all."""
    waiting = amendment.waits_for(agreement.parties)
    what = "sign the amendment" if waiting else "bring it into effect"
    if amendment.written_for_version != agreement.terms_version:
        # Signed by all, it would be refused all the same (AGR-06).
        waiting, what = [], "withdraw it: the terms have changed since it was proposed"
    who = ", ".join(waiting or agreement.parties)
    subject = f"amendment {amendment.name}"
    return (amendment.takes_effect_on, who, what, subject, amendment.status)


def _of_roadmap(book: Book) -> list[Due]:
    agreement = book.get(Agreement)
    if agreement.ended:
        return []
    found: list[Due] = []
    for milestone in book.all(Milestone):
        done = {"proposed": milestone.agreed_by, "evidenced": milestone.sign_offs}
        acted = {str(name) for name in _names(done.get(milestone.state, ()))}
        waits = [party for party in agreement.parties if party not in acted]
        what = _ROADMAP.get(milestone.state)
        if what is None:
            continue
        who = milestone.owner if milestone.state == "agreed" else ", ".join(waits)
        found.append(
            (
                milestone.target_on,
                who,
                f"{what} {milestone.title}",
                f"milestone {milestone.name}",
                milestone.status,
            )
        )
    return found


_ROADMAP: Final = {
    "proposed": "agree on",
    "agreed": "achieve",
    "evidenced": "sign off",
    "disputed": "settle the dispute on",
}


def _names(acted: Any) -> Iterator[str]:
    """Those who acted: names, or pairs that begin with one."""
    for one in acted:
        yield one if isinstance(one, str) else one.party


def _of_capacity(book: Book) -> Iterator[Due]:
    """Orders that wait for their seller, certificates for a countersignature."""
    agreement = book.get(Agreement)
    if agreement.ended:
        return
    for order in book.all(Order):
        if order.state == "placed":
            what, subject = "acknowledge the order", f"order {order.name}"
            yield None, order.seller, what, subject, "confirmed"
    for certificate in book.all(Certificate):
        subject = f"certificate {certificate.name}"
        if certificate.state == "issued":
            signed = set(_names(certificate.countersigned))
            waits = [party for party in agreement.parties if party not in signed]
            what = "countersign the certificate" if waits else "bring it into effect"
            who = ", ".join(waits or agreement.parties)
            yield None, who, what, subject, "confirmed"


def _of_money(book: Book) -> Iterator[Due]:
    funding = book.get(Funding)
    for tranche in open_tranches(book):
        if tranche.confirmed and not waits(book, tranche):
            who = ", ".join(_sides(funding, tranche.defined.facility))
            what = f"unlock {tranche.name}: its trigger is met"
            subject = f"tranche {tranche.name}"
            yield tranche.defined.expires_on, who, what, subject, tranche.status
    for name, drawdown in sorted(funding.drawdowns.items()):
        subject = f"drawdown {name}"
        if drawdown.state in _STEPS:
            sides = _sides(funding, drawdown.asked.facility)
            what = f"{_STEPS[drawdown.state]} {drawdown.amount}"
            who = sides[0] if drawdown.state != "instructed" else ", ".join(sides)
            yield drawdown.asked.value_on, who, what, subject, drawdown.status
    for name, clawback in sorted(funding.clawbacks.items()):
        left = funding.outstanding(clawback)
        if left:
            who = _sides(funding, clawback.facility)[-1]
            subject = f"clawback {name}"
            yield clawback.due_on, who, f"pay back {left}", subject, "confirmed"


_STEPS: Final = {"requested": "approve", "approved": "instruct", "instructed": "settle"}


def _sides(funding: Funding, name: str) -> tuple[str, ...]:
    """The provider and the recipient of a facility."""
    facility = funding.find(Facility, name)
    if facility is None:
        return ("-",)
    return facility.defined.provider, facility.defined.recipient


def _of_reversals(book: Book) -> Iterator[Due]:
    """Reversals that wait for somebody else's approval."""
    for reversal in book.all(Reversal):
        if reversal.state == "requested":
            what = "approve or reject the reversal"
            who = f"another than {reversal.requested_by}"
            yield None, who, what, f"reversal {reversal.name}", "confirmed"
