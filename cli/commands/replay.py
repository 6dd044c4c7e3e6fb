"""`accord replay`: a deal's history event by event, and what each event changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import date, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import click

from cli.input.options import DealId, Point, bitemporal
from cli.screen.answers import Tally, noted, projections, sheet_of, write_streamed
from cli.screen.changes import COLUMNS as FIGURES
from cli.screen.changes import change_table
from cli.screen.output import screen, write_footer, write_heading
from cli.screen.pages import event_line
from ledger.clock import stamp_time
from ledger.domain.transcoding import to_builtins
from projections.explain.changes import Player, who

if TYPE_CHECKING:
    from rich.console import Console

    from cli.screen.answers import Tally
    from ledger.domain.event import Event
    from projections.engine.answer import Answer
    from projections.explain.changes import Step

COLUMNS: Final = (
    "position",
    "type",
    "stream",
    "effective_on",
    "recorded_at",
    "actor",
    "status",
    "changes",
)


@click.command()
@click.argument("deal", type=DealId())
@click.option("--from", "first", type=Point(), help="Begin there; see below.")
@click.option(
    "--to", "last", type=Point(), help="End there, that day or time included."
)
@click.option("--step", is_flag=True, help="Wait for a key after each event.")
@bitemporal
def replay(
    deal: str,
    first: date | datetime | int | None,
    last: date | datetime | int | None,
    *,
    step: bool,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Play a deal's history back, showing under each event what it changed.

    Events come in the order in which they were recorded. A day given to --from and
    --to is when something was so; a time, or # and a position, when it was recorded.

    \b
    Example:
      accord replay milestone-machine --from 2024-03-01 --to 2024-03-31
      accord replay openai-nvidia --from '#12' --format jsonl
      accord replay milestone-machine --step
    """
    if step and not (sys.stdin.isatty() and form == "table"):
        raise click.UsageError("--step needs a terminal, and the table form.")
    with ExitStack() as stack:
        views = stack.enter_context(projections())
        reading = stack.enter_context(views.reading(as_of, known_at))
        reading.check_known(deal)
        for point in (first, last):
            if isinstance(point, int):
                reading.check_position(point)
        after = 0 if first is None else reading.before(deal, first)
        upto = None if last is None else reading.upto(deal, last)
        player = Player(reading, deal, after=after)
        # Whoever reads the output may stop: what is read is closed before the ledger.
        steps = stack.enter_context(closing(player.play()))
        rows = (
            _row(one)
            for one in takewhile(
                lambda one: upto is None or one.event.position <= upto, steps
            )
            if within(one.event, first, last)
        )
        asked = {"from": point_text(first), "to": point_text(last)}
        fictional = reading.fictional(deal)

        def told(lines: list[Any], **more: Any) -> Answer:
            of: dict[str, Any] = {"deal": deal, "fictional": fictional, "asked": asked}
            return reading.told("replay", lines, COLUMNS, **of, **more)

        if form == "table":
            _play(told, Tally(rows), reading.position, step=step)
        else:
            noted(write_streamed(told, rows, form, (*COLUMNS[:-1], *FIGURES), _figures))


def _figures(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A line of a table for each figure that an event changed."""
    return ({**row, **change} for change in row["changes"])


def within(
    event: Event[Any],
    first: date | datetime | int | None,
    last: date | datetime | int | None,
) -> bool:
    """Whether an event lies between two points, both included."""
    return (first is None or _place(event, first) >= first) and (  # type: ignore[operator]
        last is None or _place(event, last) <= last  # type: ignore[operator]
    )


def _place(
    event: Event[Any], point: date | datetime | int
) -> date | datetime | int | None:
    """Where an event lies on the axis that a point is on."""
    match point:
        case int():
            return event.position
        case datetime():
            return event.identity.recorded_at
        case _:
            return event.on


def point_text(point: date | datetime | int | None) -> str | None:
    """A point as it is written."""
    match point:
        case None:
            return None
        case int():
            return f"#{point}"
        case datetime():
            return stamp_time(point)
        case _:
            return point.isoformat()


def _row(step: Step) -> dict[str, Any]:

    event = step.event
    assert event.identity.recorded_at is not None
    return {
        "position": event.position,
        "type": event.data.tag(),
        "stream": event.stream,
        "effective_on": event.on.isoformat(),
        "recorded_at": stamp_time(event.identity.recorded_at),
        "actor": who(event),
        "status": event.provenance.status,
        "changes": [to_builtins(change) for change in step.changes],
    }


def _play(
    told: Callable[..., Answer], rows: Tally, position: int, *, step: bool
) -> None:

    console = screen()
    write_heading(console, sheet_of(told([])))
    for row in rows:
        _write_step(console, row, len(str(position)))
        if step and _stops(console):
            click.echo(f"Stopped; the digest is of these {rows.many:,}.", err=True)
            break
    if not rows.many:
        console.print("(nothing)", style="dim")
    console.print()
    write_footer(sheet_of(noted(rows.answer(told))))


def _write_step(console: Console, row: Mapping[str, Any], width: int) -> None:

    console.print(event_line(row, width))
    if row["changes"]:
        console.print(change_table(row["changes"], indent=width + 2))


def _stops(console: Console) -> bool:
    """Wait for a key; q, Escape and Ctrl-C stop."""
    console.print("any key: next; q: stop", style="dim", end="\r")
    key = click.getchar()
    console.print(" " * 24, end="\r")
    return key in {"q", "Q", "\x1b", "\x03", "\x04"}
