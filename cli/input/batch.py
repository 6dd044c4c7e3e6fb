"""A batch file: JSON Lines, a command each; every problem kept with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.input.options import as_text, parse_json
from ledger.errors import AccordError, BatchRefused, InvalidValue

if TYPE_CHECKING:
    from cli.screen.progress import Bar
    from ledger.application import Ledger, Receipt
    from ledger.commands.registry import Request
    from ledger.domain.event import Event

Numbered = list[tuple[int, "Request"]]
Problems = list[tuple[int, AccordError]]


def read_batch(data: bytes) -> tuple[Numbered, Problems]:
    """The requests of a batch with their lines, and what cannot be read of it."""
    requests: Numbered = []
    problems: Problems = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            requests.append((number, _request(line)))
        except InvalidValue as error:
            problems.append((number, error))
    return requests, problems


def _request(line: bytes) -> Request:
    from ledger.commands.registry import find, request_of

    value = parse_json("the line", as_text("the line", line))
    if not isinstance(value, dict):
        raise InvalidValue("the line is not a JSON object.")
    command = value.get("command")
    if isinstance(command, str):
        find(command)
    return request_of(value)


def write_batch(
    ledger: Ledger,
    data: bytes,
    actor: str | None,
    bar: Bar,
    command_id: str | None = None,
) -> list[Receipt]:
    """Record a batch, all or nothing; BatchRefused lists every problem."""
    requests, problems = read_batch(data)
    if problems:
        raise _all_of(ledger, requests, problems, actor)
    return ledger.execute_batch(requests, actor=actor, command_id=command_id, told=bar)


def try_batch(ledger: Ledger, data: bytes, actor: str | None) -> list[Event[Any]]:
    """What a batch would record; BatchRefused lists every problem."""
    requests, problems = read_batch(data)
    if problems:
        raise _all_of(ledger, requests, problems, actor)
    return ledger.dry_run(requests, actor=actor)


def _all_of(
    ledger: Ledger, requests: Numbered, problems: Problems, actor: str | None
) -> BatchRefused:
    """Unreadable lines and refused ones together, in order of their lines."""
    first = problems[0][0]
    try:
        ledger.dry_run(requests, actor=actor)
    except BatchRefused as refused:
        if refused.problems[-1][0] > first:
            click.echo(
                f"note: line {first} cannot be read; what is refused after it may "
                "follow from that.",
                err=True,
            )
        problems = sorted([*problems, *refused.problems], key=lambda item: item[0])
    return BatchRefused(problems)
