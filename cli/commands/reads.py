"""Reads: each a question to one view, as of a day, as known at a time.

They are asked for most often, so what loads the database waits until it is needed.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from cli.input.files import replacing
from cli.input.keys import key_option, read_signer
from cli.input.options import DealId, ViewName, bitemporal
from cli.screen.answers import ask, noted, projections, sheet_of
from cli.screen.output import Sheet, write
from cli.screen.pages import PAGES

if TYPE_CHECKING:
    from projections.engine.answer import Answer
    from projections.engine.moment import KnownAt


@click.command(name="list")
@bitemporal
def list_(as_of: date | None, known_at: datetime | int | None, form: str) -> None:
    """List all deals, a line each.

    \b
    Example:
      accord list
      accord list --as-of 2025-12-31 --format csv
    """
    _write("deals", None, as_of, known_at, form)


@click.command()
@click.argument("deal", type=DealId())
@bitemporal
def show(
    deal: str, as_of: date | None, known_at: datetime | int | None, form: str
) -> None:
    """Show a deal's standing: its two ladders, state, conditions, disputes, links.

    An announced figure never counts as committed. Without --as-of there is no limit
    on when things were so; without --known-at, everything recorded so far counts.

    \b
    Example:
      accord show openai-nvidia
      accord show openai-nvidia --as-of 2025-10-01
      accord show openai-nvidia --known-at 2026-03-31 --format json
    """
    _write("standing", deal, as_of, known_at, form)


@click.command()
@click.argument("name", type=ViewName(beside=True), required=False)
@click.argument("deal", type=DealId(), required=False)
@click.option(
    "--receipt", metavar="FILE", help="Also write a signed receipt of the answer."
)
@bitemporal
def view(
    name: str | None,
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
    receipt: str | None,
    key_file: str | None,
) -> None:
    """Show a view, of one deal or of all; without a name, list the views.

    A receipt holds the view and its version, what was asked, the position, the digest
    of the rows and the tree head, signed with --key: 'accord check-receipt' computes
    the answer again and says whether it is the same.

    \b
    Example:
      accord view
      accord view fleet milestone-machine
      accord view drawdowns milestone-machine --format csv
      accord view standing milestone-machine --receipt q1.receipt --key treasury.key
    """
    if name is None:
        _write_views(form)
    elif name == "timeline" and receipt is None:
        # The record itself: told page by page, and as a stream.
        from cli.commands.history import history

        dates = {"as_of": as_of, "known_at": known_at}
        click.get_current_context().invoke(history, deal=deal, form=form, **dates)
    elif receipt is None:
        _write(name, deal, as_of, known_at, form)
    elif key_file is None:
        raise click.UsageError("A receipt is signed: give --key, or set ACCORD_KEY.")
    else:
        signed = {"receipt": receipt, "key_file": key_file}
        answer = _with_receipt(name, deal, as_of, known_at, **signed)
        _write_answer(answer, form)


view.params.append(key_option(required=False))


def _write(
    name: str,
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Ask, and write the answer; as a page of its own where its table form has one."""
    _write_answer(ask(name, deal, as_of, known_at), form)


def _write_answer(answer: Answer, form: str) -> None:

    sheet, name = sheet_of(answer), answer.view
    if form == "table" and (name != "standing" or answer.params["deal"]):
        PAGES.get(name, _table)(sheet)
    else:
        write(sheet, form)


def _table(sheet: Sheet) -> None:

    write(sheet, "table")


def _write_views(form: str) -> None:
    from projections.registry import ANSWERED

    rows = [{"view": view.name, "question": view.question} for view in ANSWERED]
    write(Sheet(rows, ("view", "question"), {"views": rows}), form)


def _with_receipt(
    view: str,
    deal: str | None,
    as_of: date | None,
    known_at: KnownAt | None,
    *,
    receipt: str,
    key_file: str,
) -> Answer:
    """One answer, and in a file a signed receipt of what it said."""
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
