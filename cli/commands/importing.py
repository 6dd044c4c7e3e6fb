"""`accord system import`: one step of many systems, from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from cli.hints import told
from cli.input.files import replacing
from cli.input.manifests import Plan, read_manifest, rejected
from cli.input.options import DealId, format_option
from cli.screen.output import write_counts
from cli.screen.progress import progress
from cli.screen.receipts import plural
from cli.session import session, where_and_who
from ledger.domain.aggregate import not_found, stream_of
from ledger.domain.agreement import Agreement
from ledger.errors import AccordError, BatchRefused, InvalidValue, quoted

if TYPE_CHECKING:
    from cli.input.manifests import Manifest
    from ledger.application import Ledger
    from ledger.commands.registry import Request

CHUNK: Final = 1000
"""Rows that are recorded in one transaction."""
Numbered = list[tuple[int, "Request"]]
Problems = list[tuple[int, AccordError]]
STEPS: Final = ("ship", "receive", "install", "energise", "test", "accept")
HELP: Final = """Record one step of many systems, from a CSV or JSONL file.

A column is a parameter of 'accord system STEP', by its name; the system is one column,
'system', or two, 'manufacturer' and 'serial'. A row may have its own effective_on,
actor, status and reason. Every bad row is reported with its line, and then nothing is
recorded; with --continue the good ones are, and the bad ones go to a file that can be
corrected and imported as it is.

Rows are recorded in chunks. After an interruption, the same command goes on where it
stopped: what a file's line recorded is never recorded again.

\b
Example:
  accord system import shipped.csv acme-orion --step ship --dry-run
  accord system import halls.csv acme-orion --step install --map "Rack no=place" \\
      --set hall=hall-1 --effective-on 2026-03-14
  accord system import tests.jsonl acme-orion --step test --continue"""


def import_command() -> click.Command:
    """`accord system import MANIFEST DEAL --step STEP`."""
    return click.Command(
        name="import",
        callback=_run,
        help=HELP,
        short_help="Record one step of many systems, from a file",
        params=[
            click.Argument(["manifest"], metavar="MANIFEST"),
            click.Argument(["deal"], type=DealId()),
            click.Option(
                ["--step"],
                type=click.Choice(STEPS),
                required=True,
                help="what happened to the systems",
            ),
            click.Option(
                ["--map", "mapped"],
                multiple=True,
                metavar="COLUMN=PARAMETER",
                help="what a column says; nothing after '=' leaves it out, repeatable",
            ),
            click.Option(
                ["--set", "fixed"],
                multiple=True,
                metavar="PARAMETER=VALUE",
                help="what every row says that does not say otherwise, repeatable",
            ),
            click.Option(
                ["--effective-on"], metavar="YYYY-MM-DD", help="the day of every row"
            ),
            click.Option(["--reason"], metavar="TEXT", help="the reason of every row"),
            click.Option(
                ["--dry-run"], is_flag=True, help="report bad rows; record nothing"
            ),
            click.Option(
                ["--continue", "go_on"],
                is_flag=True,
                help="record the good rows, and write the bad ones to a file",
            ),
            click.Option(
                ["--rejects"],
                metavar="FILE",
                help="where bad rows go; MANIFEST.rejects.csv where left out",
            ),
            format_option(),
            *where_and_who(),
        ],
    )


def _run(
    manifest: str,
    deal: str,
    step: str,
    mapped: Sequence[str],
    fixed: Sequence[str],
    effective_on: str | None,
    reason: str | None,
    rejects: str | None,
    form: str,
    *,
    dry_run: bool,
    go_on: bool,
) -> None:

    if dry_run and go_on:
        raise click.UsageError("--dry-run records nothing: leave out --continue.")
    actor = session().acting() if session().actor else None
    found = read_manifest(manifest)
    plan = Plan(step, found.columns, _pairs("--map", mapped), _pairs("--set", fixed))
    given = {
        name: value
        for name, value in (("effective_on", effective_on), ("reason", reason))
        if value
    }
    requests, problems = plan.requests(found, deal, given)
    place = rejects or _beside(manifest)
    if go_on and os.path.exists(place):  # noqa: PTH110 - no pathlib at start-up
        raise InvalidValue(
            f"{place} is there already. Correct and import it, take it away, or name "
            "another file with --rejects."
        )
    with session().ledger() as ledger:
        _check_deal(ledger, deal)
        if go_on:
            _record(ledger, found, requests, problems, actor, form, place)
            return
        problems += _tried(ledger, requests, actor)
        if problems:
            raise BatchRefused(sorted(problems, key=lambda one: one[0]))
        if dry_run:
            _tell(form, step, rows=len(requests), recorded=0, already=0, rejected=0)
        else:
            _record(ledger, found, requests, problems, actor, form, None)


def _check_deal(ledger: Ledger, deal: str) -> None:
    """Say once what every row would say."""
    if not ledger.load(Agreement, stream_of(Agreement, deal)).exists:
        raise not_found(Agreement, (deal,))


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"{option} takes NAME=VALUE, not {quoted(text)}.")
        pairs[name.strip()] = value.strip()
    return pairs


def _beside(manifest: str) -> str:
    stem, dot, suffix = manifest.rpartition(".")
    return f"{stem}.rejects.{suffix}" if dot else f"{manifest}.rejects.csv"


def _chunks(requests: Numbered) -> Iterator[Numbered]:
    for start in range(0, len(requests), CHUNK):
        yield requests[start : start + CHUNK]


def _tried(ledger: Ledger, requests: Numbered, actor: str | None) -> Problems:
    """What the ledger would refuse of the rows, each chunk after the one before."""
    problems: Problems = []
    with progress("Checking") as bar:
        tried = ledger.rehearse(_chunks(requests), actor=actor)
        for done, found in enumerate(tried, start=1):
            problems += found
            bar(min(len(requests), done * CHUNK), len(requests))
    return problems


def _record(
    ledger: Ledger,
    manifest: Manifest,
    requests: Numbered,
    problems: Problems,
    actor: str | None,
    form: str,
    place: str | None,
) -> None:
    """Record the rows, chunk by chunk; at a `place` for them, go on past bad ones."""
    recorded, already, last = 0, 0, 0
    try:
        with progress("Recording") as bar:
            for chunk in _chunks(requests):
                fresh, known = _record_chunk(
                    ledger, chunk, actor, problems if place else None
                )
                recorded, already = recorded + fresh, already + known
                last = chunk[-1][0]
                bar(recorded + already + len(problems), len(requests))
    except (AccordError, KeyboardInterrupt) as stopped:
        stopped.add_note(
            f"{recorded:,} rows are recorded, up to line {last:,}. The same command "
            "goes on from there; nothing is recorded twice."
        )
        if isinstance(stopped, KeyboardInterrupt):
            raise click.Abort from stopped
        raise
    counts = {"recorded": recorded, "already": already, "rejected": len(problems)}
    _tell(form, requests[0][1].command if requests else "", len(requests), **counts)
    if problems and place:
        _write_rejects(manifest, problems, place)


def _record_chunk(
    ledger: Ledger, chunk: Numbered, actor: str | None, problems: Problems | None
) -> tuple[int, int]:
    """Record a chunk in one transaction; how many rows now, and how many before.

    Where bad rows are to be left out, the others are decided again without them.
    """
    while chunk:
        try:
            receipts = ledger.execute_batch(chunk, actor=actor)
        except BatchRefused as refused:
            if problems is None:
                raise
            problems += refused.problems
            bad = {line for line, _ in refused.problems}
            chunk = [one for one in chunk if one[0] not in bad]
        else:
            known = sum(receipt.repeated for receipt in receipts)
            return len(receipts) - known, known
    return 0, 0


def _tell(
    form: str, step: str, rows: int, recorded: int, already: int, rejected: int
) -> None:

    counts = {
        "rows": rows,
        "recorded": recorded,
        "already": already,
        "rejected": rejected,
    }
    if form != "table":
        write_counts(counts, form)
        return
    verb = step.rpartition(" ")[2]
    if not recorded and not already and not rejected:
        click.echo(
            f"{plural(rows, 'row')} can be recorded as '{verb}'; nothing was written."
        )
        return
    known = f", {already:,} on the record already" if already else ""
    bad = f", {rejected:,} rejected" if rejected else ""
    click.echo(f"'{verb}': {plural(recorded, 'row')} recorded{known}{bad}.")


def _write_rejects(manifest: Manifest, problems: Problems, place: str) -> None:

    with replacing(place) as out:
        out.writelines(rejected(manifest, problems))
    for line, error in sorted(problems, key=lambda one: one[0])[:SHOWN]:
        click.echo(f"line {line}: {told(error)}", err=True)
    if len(problems) > SHOWN:
        click.echo(f"… and {len(problems) - SHOWN:,} more", err=True)
    click.echo(f"The rejected rows are in {place}.", err=True)
    click.get_current_context().exit(1)


SHOWN: Final = 20
"""Problems that are told on the screen; all are in the file."""
