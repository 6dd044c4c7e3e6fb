"""Commands on the record as a whole: make it, fill it, check it, carry it away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from cli.input.options import NearestGroup, ViewName, formatted, placed, read_bytes
from cli.screen.progress import progress
from cli.session import session

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DEFAULT_DEMO: Final = "openai-nvidia"


@click.command()
@placed
def init() -> None:
    """Create the ledger and print where it is.

    A ledger that is there already is left as it is.

    \b
    Example:
      accord init
      accord init --db sqlite:///deals.db
    """
    with session().made() as (ledger, made):
        size = ledger.store.head().size
    if made:
        click.echo(f"Created an empty ledger at {session().place}.")
    else:
        click.echo(f"The ledger at {session().place} exists: {_events(size)}.")


class DemoName(click.ParamType[str]):
    """The name of a packaged deal file."""

    name = "NAME"

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The packaged deal files whose names begin so."""
        from click.shell_completion import CompletionItem

        from cli.demo.invented import NAME

        names = sorted([*_demos(), NAME])
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _demos() -> dict[str, Traversable]:
    from importlib.resources import files

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
    from cli.demo.invented import NAME

    if name == NAME:
        _invent(racks or 1000, seed or 0, deals or 1, form)
        return
    if racks or seed is not None or deals:
        raise click.UsageError(f"--racks, --seed and --deals belong to {NAME}.")
    from cli.input.batch import write_batch
    from cli.screen.receipts import plural, print_receipts

    known = _demos()
    if name not in known:
        names = ", ".join(sorted([*known, NAME]))
        raise click.BadParameter(
            f"there is no packaged deal {name!r}; there are: {names}.",
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
    from cli.demo.invented import chunks, deal_names
    from cli.screen.output import write_counts
    from cli.screen.receipts import plural
    from ledger.commands.registry import request_of

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
    from cli.input.batch import try_batch, write_batch
    from cli.screen.receipts import print_proposed, print_receipts

    actor = session().acting() if session().actor else None
    data = read_bytes(file)
    with session().ledger() as ledger, progress("Appending") as bar:
        if dry_run:
            print_proposed(ledger, try_batch(ledger, data, actor), form)
        else:
            receipts = write_batch(ledger, data, actor, bar, command_id)
            print_receipts(receipts, form)


@click.command()
@placed
def migrate() -> None:
    """Bring the ledger's tables up to date with this version of accord.

    What is recorded stays as it is, with the same tree head. It is all done or nothing
    is, and nothing else ever does it. Make a copy before: 'accord export' writes one.

    \b
    Example:
      accord migrate
      accord migrate --db postgresql+psycopg://admin@host/deals
    """
    from cli.commands.integrity import announce
    from ledger.custody.migration import migrate
    from projections.projector import view_tables

    session().opened = True
    done = migrate(session().db, view_tables())
    if done.before == done.now:
        what = f"The ledger at {session().place} has schema {done.now} already"
    else:
        what = (
            f"Migrated the ledger at {session().place} from schema {done.before} "
            f"to {done.now}: {_events(done.head.size)}"
        )
    announce(what, done.head)


@click.command()
@placed
@formatted
def doctor(form: str) -> None:
    """Examine the place where the ledger is kept, and say what to mend.

    The database's version and settings, what the connected role may do and should not,
    the triggers that keep entries as they are, free space, how far views are behind.
    Changes nothing. Exits 1 where anything is wrong.

    \b
    Example:
      accord doctor
      accord doctor --db postgresql+psycopg://ann@host/deals
    """
    from cli.commands.integrity import examine_place

    examine_place(form)


@click.command()
@click.option("--views", is_flag=True, help="Also fold every view anew and compare.")
@placed
@formatted
def verify(views: bool, form: str) -> None:
    """Recompute the whole record and compare it with its tree head.

    Checks every leaf and the head, positions without gaps, stream versions, columns
    against bytes, and that recorded time never goes back. Exits 3, naming the first
    bad position, where anything differs.

    \b
    Example:
      accord verify
      accord verify --views
    """
    from cli.commands.integrity import verify_record

    verify_record(views=views, form=form)


@click.command()
@placed
@formatted
def recheck(form: str) -> None:
    """Judge the whole history again by today's rules, and compute its figures again.

    Each event is held against every rule about the state before it, in recorded order;
    unlocks, certificate sums and equity considerations are computed again from their
    recorded inputs. What a rule would refuse today is reported; it stays, and counts.
    Exits 1 where anything is found.

    \b
    Example:
      accord recheck
      accord recheck --format csv
    """
    from cli.commands.integrity import recheck_record

    recheck_record(form)


@click.group(cls=NearestGroup)
def views() -> None:
    """Look after the stored views: their state, and building them anew."""


@views.command()
@placed
@formatted
def status(form: str) -> None:
    """Show how far each stored view has followed the record.

    \b
    Example:
      accord views status
    """
    from cli.commands.integrity import print_view_status

    print_view_status(form)


@views.command()
@click.argument("name", type=ViewName(), required=False)
@placed
def rebuild(name: str | None) -> None:
    """Build a view anew from the record, or all of them.

    It can be stopped and taken up again; readers see the old rows until it is done.

    \b
    Example:
      accord views rebuild
      accord views rebuild fleet
    """
    from cli.commands.integrity import rebuild_views

    rebuild_views(name)


@views.command()
@placed
def follow() -> None:
    """Keep every stored view up to date, until it is told to stop.

    Waits for new events and folds them as they come, each exactly once, however many
    do this side by side. A server that goes away is waited for. Ctrl-C or SIGTERM
    stops it between two batches.

    \b
    Example:
      accord views follow
      accord views follow --db postgresql+psycopg://views@host/deals
    """
    from cli.commands.integrity import follow_views

    follow_views()


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
        from cli.commands.bundles import export_bundle

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

    from cli.commands.integrity import announce
    from cli.input.files import replacing
    from ledger.custody.transfer import export as write_export

    with session().store() as store, progress("Exporting") as bar:
        if file == "-":
            sys.stdout.flush()
            head = write_export(store, sys.stdout.buffer, bar)
            sys.stdout.buffer.flush()
        else:
            with replacing(file) as out:
                head = write_export(store, out, bar)
    announce(f"Exported {_events(head.size)}", head)


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
    from cli.commands.integrity import announce
    from cli.input.files import reading_lines
    from ledger.custody.transfer import import_ as read_export

    with (
        reading_lines(file) as lines,
        session().made() as (ledger, _),
        progress("Importing") as bar,
    ):
        done = read_export(ledger.store, lines, bar)
    known = f"; {done.known:,} stood already" if done.known else ""
    announce(f"Imported {_events(done.added)}{known}", done.head)


def _events(count: int) -> str:
    from cli.screen.receipts import plural

    return plural(count, "event")


@click.command()
@click.argument("from_url")
@click.argument("to_url")
def copy(from_url: str, to_url: str) -> None:
    """Copy a ledger to another place, bytes and recorded times unchanged.

    TO_URL is made if need be, or holds the beginning of the same record: a copy that
    was stopped goes on where it stopped. Ends by comparing the two tree heads. Notes
    of refused commands stay behind, and views are folded anew.

    \b
    Example:
      accord copy sqlite:///accord.db postgresql+psycopg://admin@host/deals
    """
    from cli.commands.integrity import copy_ledger

    copy_ledger(from_url, to_url)


RECORD: Final[tuple[click.Command, ...]] = (
    init,
    demo,
    append,
    migrate,
    doctor,
    verify,
    recheck,
    export,
    import_,
    copy,
    views,
)
