"""`accord views`: how far each stored view has followed the record; building it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.input.following import follow as follow_record
from cli.input.options import NearestGroup, ViewName, formatted, placed
from cli.screen.output import Sheet, write
from cli.screen.progress import progress
from cli.screen.receipts import plural
from cli.session import session
from ledger.domain.transcoding import to_builtins
from projections.projector import Projections

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from ledger.record.store import Store


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
    with session().store() as store:
        rows = to_builtins(Projections(store).status())
    columns = ("view", "version", "position", "lag", "rows")
    write(Sheet(rows, columns, {"views": rows}), form)


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
    with session().store() as store, progress("Rebuilding") as bar:
        folded = Projections(store).rebuild([name] if name else None, bar)
    click.echo(f"Rebuilt {name or 'all views'} from {plural(folded, 'event')}.")


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
    done = 0

    def keep_up(store: Store) -> int:
        nonlocal done
        done = store.head().size
        Projections(store).keep_up()
        return done

    def begin(store: Store) -> int:
        before = done
        after = keep_up(store)
        if after > before or not before:
            click.echo(f"Every view is at position {after:,}; following.", err=True)
        return after

    def take(store: Store, notification: Notification) -> None:
        if notification.id > done:
            keep_up(store)

    follow_record(begin, take)
    click.echo(f"Stopped; every view is at position {done:,}.", err=True)
