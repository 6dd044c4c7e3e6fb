"""A question to the views, and its answer as a sheet with the control footer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from cli.screen.output import FICTION, PART_FICTION, Sheet, heading, shown
from cli.screen.progress import progress
from cli.session import session

if TYPE_CHECKING:
    from projections.engine.reading import Answer, KnownAt
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


def ask_with_receipt(
    view: str,
    deal: str | None,
    as_of: date | None,
    known_at: KnownAt | None,
    *,
    receipt: str,
    key_file: str,
) -> Answer:
    """One answer, and in a file a signed receipt of what it said."""
    from cli.input.files import replacing
    from cli.input.keys import read_signer
    from projections.receipts import receipt_of

    signer = read_signer(key_file)
    with projections() as views:
        with views.reading(as_of, known_at) as reading:
            day = reading.day
        answer = views.answer(view, deal, as_of=as_of, known_at=known_at, today=day)
        note = signer.sign(receipt_of(views, answer, day).note)
    with replacing(receipt) as out:
        out.write(bytes(note))
    click.echo(f"Wrote {receipt}, signed by {signer.name}.", err=True)
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
