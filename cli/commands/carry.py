"""Carrying a record away, and in."""

from __future__ import annotations

import sys

import click
from click.core import ParameterSource

from cli.commands.bundles import export_bundle
from cli.input.files import reading_lines, replacing
from cli.input.options import placed
from cli.screen.progress import progress
from cli.screen.receipts import announce, plural
from cli.session import session
from ledger.custody import transfer


@click.command()
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option(
    "--bundle",
    metavar="FILE.zip",
    help="Write a signed archive instead, with all that a stranger needs to verify it.",
)
@click.option(
    "--key",
    envvar="ACCORD_KEY",
    metavar="FILE",
    help="The private key that signs the bundle; else ACCORD_KEY.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="End the bundle with this checkpoint, which that key has signed.",
)
@placed
def export(
    file: str, bundle: str | None, key: str | None, checkpoint: str | None
) -> None:
    """Write every event, a line each, exactly as it is stored.

    A copy that 'accord import' makes of it has the same tree head. A bundle is
    verified by 'python verify.py' in the unpacked folder, or by 'accord check-bundle'.

    \b
    Example:
      accord export record.jsonl
      accord export | gzip > record.jsonl.gz
      accord export --bundle record.zip --key accord.key
    """
    if bundle is not None:
        if key is None or file != "-":
            raise click.UsageError(
                "a bundle needs the key that signs it, and no other file: write "
                "'accord export --bundle FILE.zip --key FILE'."
            )
        export_bundle(bundle, key, checkpoint)
        return
    source = click.get_current_context().get_parameter_source("key")
    if checkpoint is not None or source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--key and --checkpoint go with --bundle FILE.zip.")

    with session().store() as store, progress("Exporting") as bar:
        if file == "-":
            sys.stdout.flush()
            head = transfer.export(store, sys.stdout.buffer, bar)
            sys.stdout.buffer.flush()
        else:
            with replacing(file) as out:
                head = transfer.export(store, out, bar)
    announce(f"Exported {plural(head.size, 'event')}", head)


@click.command(name="import")
@click.argument("file", metavar="FILE|-")
@placed
def import_(file: str) -> None:
    """Restore an export, or continue a record that it begins with.

    Bytes and recorded times stay as they are. Anything that does not continue this
    record event by event is refused, and nothing of it is written.

    \b
    Example:
      accord import record.jsonl --db sqlite:///copy.db
    """
    with (
        reading_lines(file) as lines,
        session().made() as (ledger, _),
        progress("Importing") as bar,
    ):
        done = transfer.import_(ledger.store, lines, bar)
    known = f"; {done.known:,} stood already" if done.known else ""
    announce(f"Imported {plural(done.added, 'event')}{known}", done.head)
