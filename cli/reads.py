"""Reads: each a question to one view, as of a day, as known at a time."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import click

from cli.compare import COMPARE
from cli.history import history
from cli.options import DealId, ViewName, bitemporal
from cli.replay import replay

if TYPE_CHECKING:
    from cli.output import Sheet


@click.command(name="list")
@bitemporal
def list_(as_of: date | None, known_at: datetime | int | None, form: str) -> None:
    r"""List all deals, a line each.

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
    r"""Show a deal's standing: its two ladders, state, conditions, disputes, links.

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
@click.argument("name", type=ViewName(), required=False)
@click.argument("deal", type=DealId(), required=False)
@bitemporal
def view(
    name: str | None,
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    r"""Show a view, of one deal or of all; without a name, list the views.

    \b
    Example:
      accord view
      accord view fleet milestone-machine
      accord view drawdowns milestone-machine --format csv
    """
    if name is None:
        _write_views(form)
    else:
        _write(name, deal, as_of, known_at, form)


def _write(
    name: str,
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Ask, and write the answer; as a page of its own where its table form has one."""
    from cli.answers import ask, sheet_of
    from cli.output import write

    sheet = sheet_of(ask(name, deal, as_of, known_at))
    if form == "table" and (name != "standing" or deal):
        from cli.pages import PAGES

        PAGES.get(name, _table)(sheet)
    else:
        write(sheet, form)


def _table(sheet: Sheet) -> None:
    from cli.output import write

    write(sheet, "table")


def _write_views(form: str) -> None:
    from cli.output import Sheet, write
    from projections.registry import VIEWS

    rows = [{"view": view.name, "question": view.question} for view in VIEWS]
    write(Sheet(rows, ("view", "question"), {"views": rows}), form)


READS: Final[tuple[click.Command, ...]] = (
    list_,
    show,
    view,
    history,
    replay,
    *COMPARE,
)
