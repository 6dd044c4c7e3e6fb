"""What is due next, from whom?"""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger.domain import funding
from ledger.domain.agreement import ENDED, Agreement, Amendment
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from ledger.domain.values import Amount
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.commitment import COMMITMENT, FacilityRow, money_of
from projections.views.conditions import CONDITIONS, conditions_of
from projections.views.deals import DEALS, agreement_of
from projections.views.milestones import MILESTONES


class PendingRow(FoldRow):
    """A clawback that waits for money."""

    kind: str
    due_on: date | None
    facility: str = ""
    left: Amount | None = None


OBLIGATIONS: Final = View("obligations", 2, "What is due next, from whom?", PendingRow)


class Obligation(Frozen, omit_defaults=False):
    """Something that a party has to do; days left count from the day asked about."""

    due_on: str | None
    days_left: int | None
    party: str
    what: str
    subject: str
    status: str


@OBLIGATIONS.on(funding.ClawbackDemanded)
def _demanded(rows: Rows[PendingRow], event: Event[funding.ClawbackDemanded]) -> None:
    data = event.data
    rows.put(
        PendingRow(
            key=f"clawback/{data.clawback}",
            kind="clawback",
            due_on=data.due_on,
            facility=data.facility,
            left=data.amount,
        )
    )


@OBLIGATIONS.on(funding.ClawbackReceived)
def _received(rows: Rows[PendingRow], event: Event[funding.ClawbackReceived]) -> None:
    row = rows.get(f"clawback/{event.data.clawback}")
    if row is not None and row.left is not None:
        row.left = row.left - event.data.amount
        rows.put(row)


@OBLIGATIONS.on(funding.OverfundingCured)
def _cured(rows: Rows[PendingRow], event: Event[funding.OverfundingCured]) -> None:
    for row in list(rows):
        if row.kind == "clawback" and row.facility == event.data.facility:
            rows.drop(row.key)


@OBLIGATIONS.answer(
    Obligation, DEALS, CONDITIONS, MILESTONES, COMMITMENT, key=("subject",)
)
def _obligations(book: Book) -> Drawn:
    due = [*_of_agreement(book), *_of_roadmap(book), *_of_money(book)]
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
    if agreement_of(book).state in ENDED:
        return []
    open_states = {"proposed": "agree on", "agreed": "achieve", "evidenced": "sign off"}
    open_states["disputed"] = "settle the dispute on"
    return [
        (
            row.target_on,
            row.owner,
            f"{open_states[row.state]} {row.title}",
            f"milestone {row.key}",
            row.status,
        )
        for row in book.rows(MILESTONES)
        if row.state in open_states
    ]


def _of_money(book: Book) -> list[Due]:
    money = money_of(book)
    of = {row.facility: row for row in money.facilities}
    found: list[Due] = []
    steps = {"requested": "approve", "approved": "instruct", "instructed": "settle"}
    for draw in money.drawdowns:
        if draw.state in steps:
            what = f"{steps[draw.state]} {draw.amount}"
            who = of[draw.facility].provider if draw.facility in of else "-"
            subject = f"drawdown {draw.drawdown}"
            found.append((draw.value_on, who, what, subject, draw.status))
    for row in book.rows(OBLIGATIONS):
        if row.kind == "clawback" and row.left:
            who = _recipient(of, row.facility)
            subject = f"clawback {row.key.partition('/')[2]}"
            found.append(
                (row.due_on, who, f"pay back {row.left}", subject, "confirmed")
            )
    return found


def _recipient(of: dict[str, FacilityRow], facility: str) -> str:
    return of[facility].recipient if facility in of else "-"
