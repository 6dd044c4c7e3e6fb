"""`accord demo`: a packaged deal, or one made up."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import click

from cli.demo.invented import NAME, chunks, deal_names
from cli.input.batch import write_batch
from cli.input.options import formatted, placed
from cli.screen.output import write_counts
from cli.screen.progress import progress
from cli.screen.receipts import plural, print_receipts
from cli.session import session
from ledger.commands.registry import request_of
from ledger.errors import quoted

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DEFAULT_DEMO: Final = "openai-nvidia"


class DemoName(click.ParamType[str]):
    """The name of a packaged deal file."""

    name = "NAME"

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The packaged deal files whose names begin so."""
        from click.shell_completion import CompletionItem

        names = sorted([*_demos(), NAME])
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _demos() -> dict[str, Traversable]:

    folder = files("cli.demo")
    if not folder.is_dir():
        return {}
    return {
        file.name.removesuffix(".jsonl"): file
        for file in folder.iterdir()
        if file.name.endswith(".jsonl")
    }


@click.command()
@click.argument("name", type=DemoName(), default=DEFAULT_DEMO)
@click.option(
    "--racks", type=click.IntRange(1), metavar="N", help="How many racks to make up."
)
@click.option("--seed", type=int, metavar="S", help="Another seed: another history.")
@click.option(
    "--deals", type=click.IntRange(1), metavar="K", help="Spread them over K deals."
)
@placed
@formatted
def demo(
    name: str, racks: int | None, seed: int | None, deals: int | None, form: str
) -> None:
    """Load a packaged deal, creating the ledger if need be.

    openai-nvidia is the real history of that deal, with its sources;
    milestone-machine is fictional, and shows a deal's full life; ten-gigawatts is
    fictional and as large as you like: some nine events a rack, 1,000 racks if not
    told otherwise. Loading one twice changes nothing.

    \b
    Example:
      accord demo
      accord demo milestone-machine
      accord demo ten-gigawatts --racks 50000
    """
    if name == NAME:
        _invent(racks or 1000, seed or 0, deals or 1, form)
        return
    if racks or seed is not None or deals:
        raise click.UsageError(f"--racks, --seed and --deals belong to {NAME}.")

    known = _demos()
    if name not in known:
        names = ", ".join(sorted([*known, NAME]))
        raise click.BadParameter(
            f"there is no packaged deal {quoted(name)}; there are: {names}.",
            param_hint="NAME",
        )
    data = known[name].read_bytes()
    with session().made() as (ledger, made), progress("Loading") as bar:
        if made:
            click.echo(f"Created a ledger at {session().place}.", err=True)
        receipts = write_batch(ledger, data, None, bar)
    if form != "table":
        print_receipts(receipts, form)
        return
    written = [receipt for receipt in receipts if not receipt.repeated]
    if not written:
        click.echo(f"{name} is on the record already; nothing was written.")
    else:
        events = sum(len(receipt.events) for receipt in written)
        click.echo(
            f"Loaded {name}: {plural(len(written), 'command')}, "
            f"{plural(events, 'event')}."
        )
    click.echo(f"See it with: accord show {name}", err=True)


def _invent(racks: int, seed: int, deals: int, form: str) -> None:
    """Record an invented deal, chunk by chunk; what is there already is left alone."""
    written, there = 0, 0
    with session().made() as (ledger, made), progress("Recording") as bar:
        if made:
            click.echo(f"Created a ledger at {session().place}.", err=True)
        before = ledger.store.head().size
        for chunk in chunks(racks, seed, deals):
            requests = list(enumerate(map(request_of, chunk.lines), start=1))
            receipts = ledger.execute_batch(requests, command_id=chunk.command_id)
            fresh = sum(not receipt.repeated for receipt in receipts)
            written += fresh
            there += len(receipts) - fresh
            bar(chunk.done, chunk.total)
        events = ledger.store.head().size - before
    if form == "table":
        known = f"; {there:,} were on the record already" if there else ""
        said = f"{plural(written, 'command')}, {plural(events, 'event')}{known}"
        click.echo(f"FICTION. Recorded {plural(racks, 'rack')}: {said}.")
        click.echo(f"See it with: accord show {deal_names(1)[0]}", err=True)
    else:
        write_counts({"racks": racks, "commands": written, "events": events}, form)
