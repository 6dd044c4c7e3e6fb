"""A question to the views, and its answer as a sheet with the control footer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from cli.screen.output import (
    FICTION,
    PART_FICTION,
    Row,
    Sheet,
    compact,
    csv_lines,
    heading,
    pretty,
    shown,
    write_bytes,
    write_footer,
)
from cli.screen.progress import progress
from cli.session import session

if TYPE_CHECKING:
    from projections.engine.answer import Answer
    from projections.engine.moment import KnownAt
    from projections.projector import Projections


@contextmanager
def projections() -> Iterator[Projections]:
    """The views of the ledger, brought up to date."""
    from projections.projector import Projections

    with session().reading() as store:
        views = Projections(store)
        with progress("Bringing views up to date") as bar:
            views.catch_up(bar)
        yield views


def ask(
    view: str, deal: str | None, as_of: date | None, known_at: KnownAt | None
) -> Answer:
    """One answer; its note, if it has one, goes to stderr."""
    with projections() as views:
        answer = views.answer(view, deal, as_of=as_of, known_at=known_at)
    return noted(answer)


def noted(answer: Answer) -> Answer:
    """The answer; its note, if it has one, goes to stderr."""
    if answer.note:
        click.echo(f"note: {answer.note}", err=True)
    return answer


def sheet_of(answer: Answer) -> Sheet:
    """The answer, ready to be written."""
    whole = whole_of(answer)
    return Sheet(
        rows=whole["rows"],
        columns=answer.columns,
        whole=whole,
        title=_title(answer),
        label=_label(answer, whole["rows"]),
        footer=footer_of(whole),
    )


def _label(answer: Answer, rows: Sequence[Mapping[str, Any]]) -> str:
    """Say first of all whether what follows is fiction, or some of it."""
    if answer.fictional:
        return FICTION
    return PART_FICTION if any(row.get("fictional") for row in rows) else ""


def whole_of(answer: Answer) -> dict[str, Any]:
    """The answer as one JSON object."""
    from ledger.domain.transcoding import to_builtins

    whole = {
        "view": answer.view,
        "version": answer.version,
        "params": to_builtins(answer.params),
        "fictional": answer.fictional,
        "position": answer.position,
        "rows": [to_builtins(row) for row in answer.rows],
        "totals": to_builtins(answer.totals),
        "digest": answer.digest,
        "tree_head": answer.tree_head,
    }
    if answer.about is not None:
        whole["about"] = to_builtins(answer.about)
    return whole


def footer_of(whole: dict[str, Any]) -> list[tuple[str, str]]:
    """The control footer: enough to ask the same again and to compare."""
    params = whole["params"]
    asked = [f"{whole['view']} v{whole['version']}"]
    if params["deal"]:
        asked.append(f"deal {params['deal']}")
    for name, value in params.items():
        if name not in {"deal", "as_of", "known_at"} and value is not None:
            asked.append(f"{heading(name)} {shown(value)}")
    known_at = shown(params["known_at"]) if params["known_at"] else "now"
    dates = f"as of {params['as_of'] or 'no limit'}; known at {known_at}"
    return [
        ("view", ", ".join(asked)),
        ("asked", dates),
        ("record", f"position {whole['position']}"),
        ("totals", shown(whole["totals"])),
        ("digest", whole["digest"]),
        ("tree head", whole["tree_head"]),
    ]


def _title(answer: Answer) -> str:
    deal = answer.params["deal"]
    if answer.about is not None:
        return f"{deal}: {answer.about.title}"
    return f"{answer.view}: {deal}" if deal else answer.view


class Tally:
    """Rows that are written as they come, counted, with their digest."""

    def __init__(self, rows: Iterator[Row]) -> None:
        import hashlib

        self._rows = rows
        self._digest = hashlib.sha256()
        self.many = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._digest.update(compact(row) + b"\n")
            self.many += 1
            yield row

    def answer(self, told: Callable[..., Answer]) -> Answer:
        """The answer without its rows, which were written."""
        return told([], digest=self._digest.hexdigest(), totals={"rows": self.many})


def write_streamed(
    told: Callable[..., Answer],
    rows: Iterator[Row],
    form: str,
    columns: Sequence[str] = (),
    spread: Callable[[Row], Iterable[Row]] = lambda row: (row,),
) -> Answer:
    """Write rows as they come, in a form for machines; the answer without them.

    `told` makes that answer of no rows, their digest and how many there were. `columns`
    and `spread`, which makes lines of a row, are for CSV alone.
    """
    tally = Tally(rows)
    if form == "json":
        whole = sheet_of(tally.answer(told)).whole
        write_bytes(_json_lines(whole, tally, lambda: tally.answer(told)))
        return tally.answer(told)
    if form == "jsonl":
        write_bytes(map(compact, tally))
    else:
        lines = (line for row in tally for line in spread(row))
        write_bytes(csv_lines(columns or tally.answer(told).columns, lines))
    answer = tally.answer(told)
    write_footer(sheet_of(answer), to_stderr=True)
    return answer


def _json_lines(
    whole: dict[str, Any], rows: Iterable[Row], answer: Callable[[], Answer]
) -> Iterator[bytes]:
    """One JSON object, indented, whose rows are written as they come."""
    names = list(whole)
    place = names.index("rows")
    first = pretty({name: whole[name] for name in names[:place]})
    yield first.removesuffix(b"\n}") + b",\n" + b'  "rows": ['
    last = b""
    for row in rows:
        if last:
            yield last + b","
        last = b"    " + pretty(row).replace(b"\n", b"\n    ")
    if last:
        yield last
    after = whole_of(answer())
    end = pretty({name: after[name] for name in names[place + 1 :]})
    yield b"  ]," + end.removeprefix(b"{")
