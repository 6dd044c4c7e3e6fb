"""Which conditions precedent are open, until when, and who can waive them?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.agreement import Agreement, Condition
from ledger.domain.event import Event, EventData
from ledger.domain.struct import Frozen
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, FoldRow, Rows, View

OUTCOMES: Final[dict[type[EventData], str]] = {
    agreed.ConditionSatisfied: "satisfied",
    agreed.ConditionWaived: "waived",
    agreed.ConditionFailed: "failed",
}


class OutcomeRow(FoldRow):
    """Who recorded a condition's outcome, on what evidence; its key is the entry's ref."""

    by: str
    evidence: str


CONDITIONS: Final = View(
    "conditions", 2, "Which conditions are open, and until when?", OutcomeRow
)


class ConditionLine(Frozen, omit_defaults=False):
    """A condition in a line; days left count from the day asked about."""

    condition: str
    scope: str
    text: str
    owner: str | None
    state: str
    status: str
    long_stop_on: str | None
    days_left: int | None
    waivable_by: str | None
    on: str | None
    by: str
    evidence: str
    claims: str


def conditions_of(book: Book) -> list[Condition]:
    """Every condition by its name; one that is only reported, where no other is."""
    agreement = book.get(Agreement)
    known = {**agreement.told.conditions, **agreement.conditions}
    return [condition for _, condition in sorted(known.items())]


def open_conditions(book: Book) -> list[str]:
    """The names of the conditions that are open."""
    return [one.name for one in conditions_of(book) if one.state == "open"]


@CONDITIONS.on(*OUTCOMES)
def _settled(rows: Rows[OutcomeRow], event: Event[Any]) -> None:
    rows.put(
        OutcomeRow(
            key=event.ref,
            by=f"{event.provenance.actor}@{event.provenance.party}",
            evidence="; ".join(item.title for item in event.provenance.evidence),
        )
    )


@CONDITIONS.answer(ConditionLine, parts_of(Agreement), key=("condition",))
def _conditions(book: Book) -> Drawn:
    lines = [_line(book, condition) for condition in conditions_of(book)]
    return Drawn(lines, {"open": sum(1 for line in lines if line.state == "open")})


def _line(book: Book, condition: Condition) -> ConditionLine:
    is_open, stop = condition.state == "open", condition.long_stop_on
    outcome: OutcomeRow | None = book.rows(CONDITIONS).get(condition.ref)
    return ConditionLine(
        condition=condition.name,
        scope=condition.scope,
        text=condition.text,
        owner=condition.owner,
        state=condition.state,
        status=condition.status,
        long_stop_on=stop.isoformat() if stop else None,
        days_left=(stop - book.as_of).days if is_open and stop else None,
        waivable_by=condition.waivable_by,
        on=None if is_open else condition.on.isoformat(),
        by=outcome.by if outcome else "",
        evidence=outcome.evidence if outcome else "",
        claims="; ".join(_claims(book, condition.name)),
    )


def _claims(book: Book, name: str) -> list[str]:
    """What is told of a condition's outcome and is not confirmed."""
    subjects = {f"{kind.tag()}:{name}": state for kind, state in OUTCOMES.items()}
    return [
        f"{subjects[claim.subject]} is {claim.provenance.status}"
        for claim in book.get(Agreement).claims
        if claim.subject in subjects
    ]
