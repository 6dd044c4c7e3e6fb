"""Which terms are in force, in which version, from which day, and do they bind?"""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.agreement import Agreement, TermsVersion
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import to_builtins
from projections.engine.nouns import parts_of
from projections.engine.view import Book, Drawn, View

TERMS: Final = View("terms", 2, "Which terms are in force, and do they bind?")


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


@TERMS.answer(Clause, parts_of(Agreement), key=("version", "clause"))
def _terms(book: Book) -> Drawn:
    agreement = book.get(Agreement)
    known = agreement.versions
    rows = [row for _, row in sorted({**agreement.told.versions, **known}.items())]
    latest = agreement.terms_version
    binds = agreement.effective_from is not None
    lines = []
    for row in rows:
        holds = row.name in known and row.version == latest
        lines += _clauses(row, holds=holds, binds=binds and row.name in known)
    return Drawn(lines, {"versions": len(rows), "in_force": latest})


def _clauses(row: TermsVersion, *, holds: bool, binds: bool) -> list[Clause]:
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
                since=row.since.isoformat(),
                in_force=holds,
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
