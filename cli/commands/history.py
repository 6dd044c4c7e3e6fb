"""`accord history`: the events, some of them, and those that are still to come."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from cli.input.following import follow
from cli.input.options import Day, DealId, bitemporal
from cli.screen.answers import noted, projections, sheet_of, write_streamed
from cli.screen.output import compact, write
from cli.screen.pages import print_event, write_history
from ledger.domain.catalogue import BY_TAG
from ledger.domain.limits import FURTHEST
from ledger.domain.provenance import same_person
from ledger.domain.transcoding import decode, to_builtins
from ledger.errors import InvalidValue, quoted
from projections.engine.answer import columns_of
from projections.views.timeline import TIMELINE, line_of_event, timeline

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from ledger.domain.event import Event
    from ledger.record.store import Store
    from projections.engine.answer import Answer

Row = Mapping[str, Any]
PAGE: Final = 500
"""Events in a table, where nobody says how many."""
FOLLOWED: Final = ("table", "jsonl")


@click.command()
@click.argument("deal", type=DealId(), required=False)
@click.option("--type", "kind", metavar="TYPE", help="A type of event, or its noun.")
@click.option("--stream", metavar="STREAM", help="A stream, or what it begins with.")
@click.option("--by", metavar="NAME[@PARTY]", help="Who recorded it.")
@click.option("--party", metavar="SLUG", help="For which party.")
@click.option("--status", type=click.Choice(["confirmed", "reported", "disputed"]))
@click.option(
    "--from", "first", type=Day(), metavar="YYYY-MM-DD", help="From that day on."
)
@click.option("--to", "last", type=Day(), metavar="YYYY-MM-DD", help="Up to that day.")
@click.option("--late", is_flag=True, help="Recorded after its day.")
@click.option(
    "--limit", type=click.IntRange(1, FURTHEST), metavar="N", help="Only the last N."
)
@click.option(
    "--before",
    type=click.IntRange(1, FURTHEST),
    metavar="POSITION",
    help="Only those before it.",
)
@click.option("--follow", is_flag=True, help="Wait for new events; Ctrl-C stops.")
@bitemporal
def history(
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
    *,
    limit: int | None,
    before: int | None,
    follow: bool,
    **given: Any,
) -> None:
    """List the events, newest last: what happened, who recorded it, on what evidence.

    A table shows the last 500, if not told otherwise; the other forms show all.

    What was recorded after its day says how much later. What was reversed stays, and
    names its reversal.

    \b
    Example:
      accord history openai-nvidia
      accord history milestone-machine --type funding --from 2024-01-01
      accord history milestone-machine --limit 20 --before 200
      accord history --by "p. adeyemi" --late --format csv
      accord history acme-orion --follow
    """
    if follow and (form not in FOLLOWED or as_of or known_at or before):
        raise click.UsageError(
            "--follow takes the forms table and jsonl, and no --as-of, --known-at or "
            "--before: it shows what is still to come."
        )

    chosen = _filters(given)
    if follow and form == "jsonl" and limit is None:
        # From the first event on, by the same way as those that are still to come.
        with projections() as views, views.reading() as reading:
            if deal is not None:
                reading.check_known(deal)
        _follow(deal, 0, chosen, form)
        return
    page = PAGE if limit is None and form == "table" else limit
    asked = _asked({**given, "before": before, "limit": limit})
    with (
        projections() as views,
        views.reading(as_of, known_at) as reading,
        # Closed before what it reads from is, also where nobody reads on.
        closing(timeline(reading, deal, before=before, newest=bool(page))) as lines,
    ):
        if deal is not None:
            reading.check_known(deal)
        rows = _chosen(lines, chosen)

        def told(lines: list[Row], **more: Any) -> Answer:
            return reading.told(
                TIMELINE.name,
                lines,
                columns_of(TIMELINE, deal),
                deal=deal,
                version=TIMELINE.version,
                fictional=reading.all_fictional(deal),
                asked=asked,
                **more,
            )

        if page:
            # One more tells whether there are others.
            newest = list(islice(rows, page + 1))
            shown = newest[:page][::-1]
            rows = iter(shown)
            answer = noted(told(shown))
        if form != "table" and not follow:
            noted(write_streamed(told, rows, form))
            return
    sheet = sheet_of(answer)
    if follow:
        sheet.footer = ()
    if form == "table":
        write_history(sheet, earlier=len(newest) > len(shown))
    else:
        write(sheet, form)
    if follow:
        _follow(deal, answer.position, chosen, form)


def _chosen(lines: Iterator[Any], chosen: list[Callable[[Row], bool]]) -> Iterator[Row]:
    """Lines as plain data, of those that pass every filter."""
    for line in lines:
        row = to_builtins(line)
        if all(test(row) for test in chosen):
            yield row


def _asked(given: Mapping[str, Any]) -> dict[str, str]:
    """The options that were given, as an answer's footer tells them."""
    named = {"kind": "type", "first": "from", "last": "to"}
    return {
        named.get(option, option): str(value).lower() if value is True else str(value)
        for option, value in given.items()
        if value
    }


def _filters(given: Mapping[str, Any]) -> list[Callable[[Row], bool]]:
    """What each filter that was given asks of a row."""

    def who(row: Row) -> tuple[str, str]:
        name, _, party = row["actor"].rpartition("@")
        return name, party

    kind, stream, by = given["kind"], given["stream"], given["by"]
    _check_type(kind)
    name, at, party = (by or "").rpartition("@")
    name, party = (name, party) if at else (party, "")
    known: dict[str, Callable[[Row], bool]] = {
        "kind": lambda row: row["type"] == kind or row["type"].startswith(f"{kind}."),
        "stream": lambda row: row["stream"].startswith(stream),
        "by": lambda row: same_person(who(row)[0], name) and party in {"", who(row)[1]},
        "party": lambda row: who(row)[1] == given["party"],
        "status": lambda row: row["status"] == given["status"],
        "first": lambda row: row["effective_on"] >= given["first"].isoformat(),
        "last": lambda row: row["effective_on"] <= given["last"].isoformat(),
        "late": lambda row: row["lag_days"] > 0,
    }
    return [test for option, test in known.items() if given[option]]


def _check_type(kind: str | None) -> None:

    nouns = dict.fromkeys(tag.partition(".")[0] for tag in BY_TAG)
    if kind and kind not in BY_TAG and kind not in nouns:
        near = difflib.get_close_matches(kind, [*BY_TAG, *nouns], n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise InvalidValue(
            f"There is no type of event {quoted(kind)}.{hint} "
            f"The nouns are {', '.join(nouns)}."
        )


def _follow(
    deal: str | None, after: int, chosen: list[Callable[[Row], bool]], form: str
) -> None:
    """Write events as they are recorded, until interrupted."""
    last = after

    def take(_: Store, notification: Notification) -> None:
        nonlocal last
        event = decode(notification.state, position=notification.id)
        row = _row(event)
        if deal in {None, event.deal} and all(test(row) for test in chosen):
            if form == "table":
                print_event(row)
            else:
                sys.stdout.buffer.write(compact(row) + b"\n")
            sys.stdout.flush()
        last = notification.id

    follow(lambda _: last, take, reached=True)


def _row(event: Event[Any]) -> Row:

    row: Row = to_builtins(line_of_event(event))
    return row
