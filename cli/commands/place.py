"""The place where a ledger is kept: made, brought up to date, examined, copied."""

from __future__ import annotations

from contextlib import closing, suppress

import click

from cli.hints import MENDS
from cli.input.options import formatted, placed
from cli.screen.output import Sheet, write
from cli.screen.progress import progress
from cli.screen.receipts import announce, plural
from cli.session import session
from ledger.custody import copying, migration
from ledger.custody.doctor import examine
from ledger.database.dialect import Fact, shown
from ledger.errors import AccordError, InvalidValue, LedgerUnavailable
from ledger.record.store import Store, create_store, open_store, same_place
from projections.projector import Projections, view_tables


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
        click.echo(f"The ledger at {session().place} exists: {plural(size, 'event')}.")


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
    session().opened = True
    done = migration.migrate(session().db, view_tables())
    if done.before == done.now:
        what = f"The ledger at {session().place} has schema {done.now} already"
    else:
        what = (
            f"Migrated the ledger at {session().place} from schema {done.before} "
            f"to {done.now}: {plural(done.head.size, 'event')}"
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

    def lag(store: Store) -> list[Fact]:
        behind = max(status.lag for status in Projections(store).status())
        return [Fact("views", f"{plural(behind, 'event')} behind")]

    session().opened = True
    facts = examine(session().db, lag)
    rows = [
        {
            "what": f.name,
            "found": f.value,
            "wrong": f.wrong + MENDS.get(f.hint, "") or None,
        }
        for f in facts
    ]
    wrong = sum(bool(fact.wrong) for fact in facts)
    whole = {"ok": not wrong, "found": rows}
    write(Sheet(rows, ("what", "found", "wrong"), whole), form)
    if form == "table":
        click.echo("ok: nothing is wrong." if not wrong else f"wrong: {wrong}")
    if wrong:
        click.get_current_context().exit(1)


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
    if same_place(from_url, to_url):
        raise InvalidValue("FROM_URL and TO_URL are the same ledger.")
    session().opened = True
    stands: int | None = None
    with closing(open_store(from_url)) as source:
        target, _ = create_store(to_url, beside=view_tables())
        with closing(target), progress("Copying") as bar:

            def tell(done: int, total: int | None) -> None:
                nonlocal stands
                stands = done
                bar(done, total)

            try:
                done = copying.copy(source, target, tell)
            except (KeyboardInterrupt, AccordError) as error:
                if stands is not None:
                    # What was appended last may not have been told yet.
                    with suppress(AccordError):
                        stands = target.head().size
                    error.add_note(_how_to_go_on(error, stands))
                raise
    known = f"; {done.known:,} stood already" if done.known else ""
    place = shown(target.engine.url)
    announce(f"Copied {plural(done.added, 'event')} to {place}{known}", done.head)
    if done.left:
        more = plural(done.left, "event")
        click.echo(
            f"note: {shown(source.engine.url)} has {more} more by now; run it again.",
            err=True,
        )


def _how_to_go_on(error: BaseException, stands: int) -> str:
    copied = f"{plural(stands, 'event')} stand there, and stay."
    if isinstance(error, (KeyboardInterrupt, LedgerUnavailable)):
        return f"{copied} Run it again to go on from event {stands + 1:,}."
    return copied
