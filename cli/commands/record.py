"""`accord append`: a batch of commands, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.input.batch import try_batch, write_batch
from cli.input.options import formatted, placed, read_bytes
from cli.screen.progress import progress
from cli.screen.receipts import print_proposed, print_receipts
from cli.session import session

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option(
    "--dry-run", is_flag=True, help="Show what it would record; write nothing."
)
@click.option(
    "--command-id",
    metavar="TEXT",
    help="Name the lines that have no id of their own TEXT/1, TEXT/2, …: "
    "the same batch again then writes nothing twice.",
)
@placed
@formatted
def append(file: str, dry_run: bool, command_id: str | None, form: str) -> None:
    """Record a batch of commands, all or nothing.

    FILE holds one command a line, as JSON: the keys are "command", "deal", "actor",
    "effective_on" and the command's own parameters, as 'accord commands' lists them.
    Every problem is reported with its line, and then nothing is written.

    \b
    Example:
      accord append deal.jsonl --dry-run
      accord append deal.jsonl --actor ann@acme --command-id monday
      generate | accord append -
    """
    actor = session().acting() if session().actor else None
    data = read_bytes(file)
    with session().ledger() as ledger, progress("Appending") as bar:
        if dry_run:
            print_proposed(ledger, try_batch(ledger, data, actor), form)
        else:
            receipts = write_batch(ledger, data, actor, bar, command_id)
            print_receipts(receipts, form)
