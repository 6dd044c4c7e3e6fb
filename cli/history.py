"""`accord history`: the events, some of them, and those that are still to come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from cli.options import Day, DealId, bitemporal
from ledger.errors import InvalidValue

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from ledger.event import Event
    from ledger.store import Store
    from projections.reading import Answer

Row = Mapping[str, Any]
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
@click.option("--follow", is_flag=True, help="Wait for new events; Ctrl-C stops.")
@bitemporal
def history(
    deal: str | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
    *,
    follow: bool,
    **given: Any,
) -> None:
    r"""List the events, newest last: what happened, who recorded it, on what evidence.

    What was recorded after its day says how much later. What was reversed stays, and
    names its reversal.

    \b
    Example:
      accord history openai-nvidia
      accord history milestone-machine --type funding --from 2024-01-01
      accord history --by "p. adeyemi" --late --format csv
      accord history acme-orion --follow
    """
    from cli.answers import ask, sheet_of
    from cli.output import write
    from cli.pages import write_history

    if follow and (form not in FOLLOWED or as_of or known_at):
        raise click.UsageError(
            "--follow takes the forms table and jsonl, and no --as-of or --known-at: "
            "it shows what is still to come."
        )
    chosen = _filters(given)
    answer = _only(ask("timeline", deal, as_of, known_at), chosen, given)
    sheet = sheet_of(answer)
    if follow:
        sheet.footer = ()
    if form == "table":
        write_history(sheet)
    else:
        write(sheet, form)
    if follow:
        _follow(deal, answer.position, chosen, form)


def _filters(given: Mapping[str, Any]) -> list[Callable[[Row], bool]]:
    """What each filter that was given asks of a row."""
    from ledger.provenance import same_person

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
    from ledger.catalogue import BY_TAG

    nouns = dict.fromkeys(tag.partition(".")[0] for tag in BY_TAG)
    if kind and kind not in BY_TAG and kind not in nouns:
        import difflib

        near = difflib.get_close_matches(kind, [*BY_TAG, *nouns], n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise InvalidValue(
            f"There is no type of event {kind!r}.{hint} "
            f"The nouns are {', '.join(nouns)}."
        )


def _only(
    answer: Answer, chosen: list[Callable[[Row], bool]], given: Mapping[str, Any]
) -> Answer:
    """The answer with the rows that pass every filter, and what was asked."""
    if not chosen:
        return answer
    import msgspec

    from ledger.transcoding import to_builtins
    from projections.reading import digest_of

    rows = [to_builtins(row) for row in answer.rows]
    rows = [row for row in rows if all(test(row) for test in chosen)]
    named = {"kind": "type", "first": "from", "last": "to"}
    asked = {
        named.get(option, option): str(value).lower() if value is True else str(value)
        for option, value in given.items()
        if value
    }
    return msgspec.structs.replace(
        answer,
        rows=rows,
        params={**answer.params, **asked},
        totals={**answer.totals, "rows": len(rows)},
        digest=digest_of(rows),
    )


def _follow(
    deal: str | None, after: int, chosen: list[Callable[[Row], bool]], form: str
) -> None:
    """Write events as they are recorded, until interrupted."""
    from cli.following import follow
    from cli.output import compact
    from cli.pages import print_event
    from ledger.transcoding import decode

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
    from ledger.transcoding import to_builtins
    from projections.timeline import line_of_event

    row: Row = to_builtins(line_of_event(event))
    return row
