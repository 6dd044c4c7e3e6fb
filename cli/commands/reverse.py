"""`accord reverse`: a position, or a reversal's id, stands for the deal that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.commands.verbs import carry_out, made, request_from
from cli.session import session
from ledger.domain.limits import FURTHEST
from ledger.domain.values import Slug
from ledger.errors import InvalidValue, NotFound, quoted

if TYPE_CHECKING:
    from ledger.application import Ledger
    from ledger.commands.registry import Command, Request


class ReversalName(click.ParamType[tuple[str, str]]):
    """A reversal as `accord reverse request` prints it: DEAL/ID."""

    name = "DEAL/REVERSAL"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> tuple[str, str]:
        """Read the deal and the reversal's own id."""
        deal, slash, name = str(value).rpartition("/")
        if not slash or not name:
            raise InvalidValue(
                f"{quoted(value)} is not a reversal. Write DEAL/ID, as in 'acme-orion/R-1'."
            )
        return str(Slug.parse(deal)), name


def reverse_command(command: Command) -> click.Command:
    """A verb of `accord reverse`, which takes no DEAL of its own."""
    own = "positions" if command.verb == "request" else "reversal"
    options = [p for p in command.parameters if p.name != own]
    if own == "positions":
        kind = click.IntRange(1, FURTHEST)
        argument = click.Argument([own], type=kind, nargs=-1, required=True)
    else:
        argument = click.Argument([own], type=ReversalName(), metavar="DEAL/REVERSAL")

    def run(**given: Any) -> None:
        session().acting()
        if own == "reversal":
            deal, name = given[own]
            request = request_from(command, {**given, "deal": deal, own: name})
            with session().ledger() as ledger:
                carry_out(ledger, request, given)
            return
        with session().ledger() as ledger:
            deal = _deal_of(ledger, given[own][0])
            request = request_from(command, {**given, "deal": deal})
            _ask(ledger, request, given)

    return made(command, run, [argument], options)


def _ask(ledger: Ledger, request: Request, given: dict[str, Any]) -> None:
    """Ask for a reversal; print its id, and what is to be done next."""
    if given["dry_run"] or given["form"] != "table":
        carry_out(ledger, request, given)
        return
    (asked,) = ledger.execute(request).events
    name = f"{request.deal}/{asked.stream.rpartition('/')[2]}"
    click.echo(name)
    places = ", ".join(f"#{t.position} {t.entry}" for t in asked.data.targets)
    click.echo(f"Asked to reverse {places}.", err=True)
    click.echo(
        "Nothing has changed. Somebody else approves it with: "
        f"accord reverse approve {name}",
        err=True,
    )


def _deal_of(ledger: Ledger, position: int) -> str:
    entry = ledger.entry(position)
    if entry is None:
        size = ledger.store.head().size
        raise NotFound(
            f"There is no position {position:,}: the record has {size:,} events."
        )
    return entry.deal
