"""Which terms are in force, in which version, from which day, and do they bind?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement as agreed
from ledger.domain.agreement import Terms
from ledger.domain.event import Event
from ledger.domain.provenance import Status
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import to_builtins
from projections.engine.view import Book, Drawn, FoldRow, Rows, View
from projections.views.deals import DEALS, agreement_of


class TermsRow(FoldRow):
    """A version of the terms; version 0 is the letter of intent's."""

    version: int
    source: str
    since: str
    status: Status
    terms: Terms
    changed: tuple[str, ...] = ()
    binding_clauses: tuple[str, ...] = ()


TERMS: Final = View("terms", 1, "Which terms are in force, and do they bind?", TermsRow)


class Clause(Frozen, omit_defaults=False):
    """A clause; `in_force` marks the version that holds now."""

    version: int
    clause: str
    value: str
    unit: str | None
    source: str
    since: str
    in_force: bool
    binding: bool
    status: str


@TERMS.on(agreed.LoiSigned)
def _loi(rows: Rows[TermsRow], event: Event[agreed.LoiSigned]) -> None:
    data = event.data
    _keep(rows, 0, "letter of intent", event, data.terms, binding=data.binding_clauses)


@TERMS.on(agreed.DefinitiveSigned)
def _definitive(rows: Rows[TermsRow], event: Event[agreed.DefinitiveSigned]) -> None:
    if event.confirmed:
        _keep(rows, 1, "definitive agreement", event, event.data.terms)


@TERMS.on(agreed.AmendmentTookEffect)
def _amended(rows: Rows[TermsRow], event: Event[agreed.AmendmentTookEffect]) -> None:
    data = event.data
    if event.confirmed:
        changed = tuple(change.path for change in data.changes)
        source = f"amendment {data.amendment}"
        _keep(rows, data.terms_version, source, event, data.terms, changed=changed)


def _keep(
    rows: Rows[TermsRow],
    version: int,
    source: str,
    event: Event[Any],
    terms: Terms,
    *,
    changed: tuple[str, ...] = (),
    binding: tuple[str, ...] = (),
) -> None:
    rows.put(
        TermsRow(
            key=f"{version:04d}",
            version=version,
            source=source,
            since=event.on.isoformat(),
            status=event.provenance.status,
            terms=terms,
            changed=changed,
            binding_clauses=binding,
        )
    )


@TERMS.answer(Clause, DEALS, key=("version", "clause"))
def _terms(book: Book) -> Drawn:
    rows = list(book.rows(TERMS))
    latest = max((row.version for row in rows), default=0)
    binds = agreement_of(book).effective_from is not None
    lines = [line for row in rows for line in _clauses(row, latest, binds=binds)]
    return Drawn(lines, {"versions": len(rows), "in_force": latest})


def _clauses(row: TermsRow, latest: int, *, binds: bool) -> list[Clause]:
    plain: dict[str, Any] = to_builtins(row.terms)
    figures = {name: value for name, value in plain.items() if name != "other"}
    texts = {clause.name: clause.text for clause in row.terms.other}
    for clause in row.binding_clauses:
        texts.setdefault(clause, "binds")
    lines = []
    for name, value in {**figures, **texts}.items():
        amount, unit = _split(name, value)
        lines.append(
            Clause(
                version=row.version,
                clause=name,
                value=amount,
                unit=unit,
                source=row.source,
                since=row.since,
                in_force=row.version == latest,
                binding=name in row.binding_clauses or (row.version > 0 and binds),
                status=row.status,
            )
        )
    return lines


def _split(name: str, value: Any) -> tuple[str, str | None]:
    """A quantity's number and its unit apart; anything else as text."""
    if name in {"capacity_floor", "funding_cap"}:
        number, _, unit = value.partition(" ")
        return number, unit
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)), None
    return str(value), None
