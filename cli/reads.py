"""Reads: each a question to one view, as of a day, as known at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import click

from cli.options import DealId, ViewName, bitemporal

if TYPE_CHECKING:
    from cli.output import Sheet


@click.command(name="list")
@bitemporal
def list_(as_of: date | None, known_at: datetime | None, form: str) -> None:
    r"""List all deals, a line each.

    \b
    Example:
      accord list
      accord list --as-of 2025-12-31 --format csv
    """
    from cli.answers import ask, sheet_of
    from cli.pages import write_deals

    sheet = sheet_of(ask("deals", None, as_of, known_at))
    _finish(sheet, form, write_deals)


@click.command()
@click.argument("deal", type=DealId())
@bitemporal
def show(deal: str, as_of: date | None, known_at: datetime | None, form: str) -> None:
    r"""Show a deal's standing: its two ladders, state, conditions, disputes, links.

    An announced figure never counts as committed. Without --as-of there is no limit
    on when things were so; without --known-at, everything recorded so far counts.

    \b
    Example:
      accord show openai-nvidia
      accord show openai-nvidia --as-of 2025-10-01
      accord show openai-nvidia --known-at 2026-03-31 --format json
    """
    from cli.answers import ask, sheet_of
    from cli.pages import write_standing

    sheet = sheet_of(ask("standing", deal, as_of, known_at))
    _finish(sheet, form, write_standing)


@click.command()
@click.argument("name", type=ViewName(), required=False)
@click.argument("deal", type=DealId(), required=False)
@bitemporal
def view(
    name: str | None,
    deal: str | None,
    as_of: date | None,
    known_at: datetime | None,
    form: str,
) -> None:
    r"""Show a view, of one deal or of all; without a name, list the views.

    \b
    Example:
      accord view
      accord view fleet milestone-machine
      accord view drawdowns milestone-machine --format csv
    """
    from cli.answers import ask, sheet_of

    if name is None:
        _write_views(form)
    else:
        _finish(sheet_of(ask(name, deal, as_of, known_at)), form)


@click.command()
@click.argument("deal", type=DealId(), required=False)
@bitemporal
def history(
    deal: str | None,
    as_of: date | None,
    known_at: datetime | None,
    form: str,
) -> None:
    r"""List the events, newest last: what happened, who recorded it, on what evidence.

    \b
    Example:
      accord history openai-nvidia
      accord history --known-at 2026-03-31 --format jsonl
    """
    from cli.answers import ask, sheet_of
    from cli.pages import write_history

    sheet = sheet_of(ask("timeline", deal, as_of, known_at))
    _finish(sheet, form, write_history)


def _finish(
    sheet: Sheet, form: str, page: Callable[[Sheet], None] | None = None
) -> None:
    """Write an answer; as a page of its own where the table form has one."""
    from cli.output import write

    if page is not None and form == "table":
        page(sheet)
    else:
        write(sheet, form)


def _write_views(form: str) -> None:
    from cli.output import Sheet
    from projections.registry import VIEWS

    rows = [{"view": view.name, "question": view.question} for view in VIEWS]
    _finish(Sheet(rows, ("view", "question"), {"views": rows}), form)


READS: Final[tuple[click.Command, ...]] = (list_, show, view, history)
