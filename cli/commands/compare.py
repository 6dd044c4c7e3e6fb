"""Two moments side by side: `accord diff`, `accord changes`, and `accord blame`."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.commands.replay import point_text
from cli.input.options import DealId, Moment, Point, ViewName, bitemporal
from cli.screen.answers import noted, projections, sheet_of
from cli.screen.changes import COLUMNS, change_table, is_unit, value_of
from cli.screen.output import (
    MARKS,
    clean,
    heading,
    screen,
    write,
    write_footer,
    write_heading,
)
from cli.screen.progress import progress
from ledger.domain.transcoding import to_builtins
from projections.explain.changes import Origin
from projections.explain.changes import blame as origins
from projections.explain.changes import diff as differences
from projections.registry import view_named

if TYPE_CHECKING:
    from cli.screen.output import Sheet
    from projections.engine.answer import Answer
    from projections.projector import Projections

Where = date | datetime | int


@click.command()
@click.argument("deal", type=DealId())
@click.argument("old", type=Point(), metavar="FROM")
@click.argument("new", type=Point(), metavar="TO")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where anything differs.")
@bitemporal
def diff(
    deal: str,
    old: Where,
    new: Where,
    *,
    exit_code: bool,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Show what changed in a deal between two days, recorded times or positions.

    Two days compare what was so; two times, or # and two positions, what was known.
    Figures and states are told by view, old → new.

    \b
    Example:
      accord diff openai-nvidia 2025-10-01 2026-03-15
      accord diff openai-nvidia '#10' '#20' --format json
      accord diff acme-orion 2026-09-30T17:00Z 2026-10-31T17:00Z --exit-code
    """
    if isinstance(old, int | datetime) != isinstance(new, int | datetime):
        raise click.UsageError(
            "FROM and TO are both days, or both recorded times or positions."
        )
    by_day = not isinstance(new, int | datetime)
    if (as_of if by_day else known_at) is not None:
        option = "--as-of" if by_day else "--known-at"
        raise click.UsageError(f"FROM and TO stand in the place of {option}.")
    with projections() as views:
        if by_day:
            pair: tuple[Any, Any] = ((old, known_at), (new, known_at))
        else:
            pair = ((as_of, old), (as_of, new))
        answer = _diff(views, deal, *pair, {"from": old, "to": new})
    _write(answer, form)
    if exit_code and answer.rows:
        click.get_current_context().exit(1)


def _diff(
    views: Projections, deal: str, old: Any, new: Any, asked: dict[str, Where]
) -> Answer:

    with views.reading(*old) as before, views.reading(*new) as after:
        after.check_known(deal)
        return after.told(
            "diff",
            differences(before, after, deal),
            COLUMNS,
            deal=deal,
            fictional=after.fictional(deal),
            asked={name: point_text(point) for name, point in asked.items()},
        )


@click.command()
@click.option(
    "--since",
    type=Moment(),
    required=True,
    metavar="DATETIME|#POSITION",
    help="What was known then; a day means its end, UTC.",
)
@bitemporal
def changes(
    since: datetime | int,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Show what changed in all deals since a meeting, by what was recorded since.

    \b
    Example:
      accord changes --since 2026-03-31
      accord changes --since '#120' --format csv
    """
    with (
        projections() as views,
        views.reading(as_of, since) as before,
        views.reading(as_of, known_at) as after,
    ):
        rows, made_up = [], []
        for deal in after.deals():
            fictional = after.fictional(deal)
            found = differences(before, after, deal)
            rows += [
                {"deal": deal, "fictional": fictional, **to_builtins(change)}
                for change in found
            ]
            made_up += [fictional] if found else []
        answer = noted(
            after.told(
                "changes",
                rows,
                ("deal", "fictional", *COLUMNS),
                deal=None,
                fictional=bool(made_up) and all(made_up),
                asked={"since": point_text(since)},
            )
        )
    _write(answer, form)


@click.command()
@click.argument("deal", type=DealId())
@click.argument("name", type=ViewName(), metavar="VIEW")
@bitemporal
def blame(
    deal: str,
    name: str,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Show each figure of a view with the event that set it last.

    \b
    Example:
      accord blame milestone-machine standing
      accord blame openai-nvidia terms --as-of 2025-10-01
    """
    with projections() as views, views.reading(as_of, known_at) as reading:
        reading.check_known(deal)
        with progress("Playing the history") as bar:
            found = origins(view_named(name), reading, deal, bar)
        answer = noted(
            reading.told(
                "blame",
                found,
                Origin.__struct_encode_fields__,
                deal=deal,
                fictional=reading.fictional(deal),
                asked={"of": name},
            )
        )
    sheet = sheet_of(answer)
    if form == "table":
        _write_origins(sheet)
    else:
        write(sheet, form)


def _write_origins(sheet: Sheet) -> None:
    """Each row of the view as a block: its figures, and where each comes from."""
    from rich.table import Table

    console = screen()
    write_heading(console, sheet)
    for name in dict.fromkeys(row["row"] for row in sheet.rows):
        console.print(f"\n{clean(name)}", style="bold")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        grid.add_column(overflow="fold", ratio=1)
        for row in sheet.rows:
            if row["row"] == name and not is_unit(row["figure"]):
                source = f"#{row['position']} {row['effective_on']} {row['type']}, "
                mark = f"  {MARKS[row['status']]}" if row["status"] in MARKS else ""
                grid.add_row(
                    f"  {heading(row['figure'])}",
                    value_of({**row, "new": row["value"]}, "new"),
                    f"← {source}{clean(row['actor'])}{mark}",
                )
        console.print(grid)
    console.print()
    write_footer(sheet)


def _write(answer: Answer, form: str) -> None:

    sheet = sheet_of(answer)
    if form != "table":
        write(sheet, form)
        return
    console = screen()
    write_heading(console, sheet)
    deals = dict.fromkeys(row.get("deal") for row in sheet.rows)
    for deal in deals:
        if deal:
            console.print(f"\n{deal}", style="bold")
        console.print(change_table([r for r in sheet.rows if r.get("deal") == deal]))
    if not sheet.rows:
        console.print("(nothing changed)", style="dim")
    console.print()
    write_footer(sheet)
