"""Integrity and stored views: what they report, in words or as data."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from cli.screen.output import Sheet, write
from cli.screen.progress import progress
from cli.screen.receipts import plural
from cli.session import session
from ledger.errors import AccordError, LedgerUnavailable

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from ledger.record.log import Head
    from ledger.record.store import Store
    from ledger.tlog.verifier import Record


def verify_record(*, views: bool, form: str) -> None:
    """Verify the record, and if asked the views, and say what was found whole."""
    from ledger.audit.integrity import verify
    from ledger.audit.leaves import processors

    with session().store() as store:
        with progress("Verifying") as bar:
            report = verify(store, bar, processes=processors())
        checked = _verify_views(store) if views else None
    row: dict[str, Any] = {
        "ok": True,
        "events": report.events,
        "commands": report.commands,
        "tree_head": report.root,
        "recorded_at": report.recorded_at or None,
    }
    if checked is not None:
        row["views"] = checked
    if form != "table":
        write(Sheet([row], tuple(row), row), form)
        return
    parts = [plural(report.events, "event"), f"tree head {report.root}"]
    if checked is not None:
        parts.append(f"{plural(checked, 'view')} as folded anew")
    click.echo(f"ok: {', '.join(parts)}")


def recheck_record(form: str) -> None:
    """Judge the record again, and say what today's rules would refuse; exit 1 then."""
    from ledger.audit.recheck import Finding, recheck
    from ledger.domain.transcoding import to_builtins

    with session().store() as store, progress("Rechecking") as bar:
        report = recheck(store, bar)
    rows = [to_builtins(finding) for finding in report.findings]
    counts = {
        "events": report.events,
        "unlocks": report.unlocks,
        "certificates": report.certificates,
        "equity": report.equity,
    }
    said = (
        f"{plural(report.events, 'event')} judged again; recomputed "
        f"{plural(report.unlocks, 'unlock')}, "
        f"{plural(report.certificates, 'certificate sum')}, "
        f"{plural(report.equity, 'equity consideration')}"
    )
    columns = Finding.__struct_encode_fields__
    whole = {"ok": not rows, **counts, "findings": rows}
    if form != "table" or rows:
        write(Sheet(rows, columns, whole, title="Found"), form)
    if form == "table":
        click.echo(f"{'found ' + str(len(rows)) if rows else 'ok'}: {said}")
    if rows:
        click.get_current_context().exit(1)


def _verify_views(store: Any) -> int:
    """Compare the stored views; how many there are, and on stderr which there are not."""
    from projections.projector import Projections

    views = Projections(store)
    with progress("Verifying views") as bar:
        views.verify(bar)
    stands = views.status()
    empty = store.head().size == 0
    absent = [one.view for one in stands if not one.position and not empty]
    if absent:
        click.echo(f"Not stored, and so not compared: {', '.join(absent)}.", err=True)
    return len(stands) - len(absent)


def print_view_status(form: str) -> None:
    """Print how far each stored view has followed the record."""
    from ledger.domain.transcoding import to_builtins
    from projections.projector import Projections

    with session().store() as store:
        rows = to_builtins(Projections(store).status())
    columns = ("view", "version", "position", "lag", "rows")
    write(Sheet(rows, columns, {"views": rows}), form)


def rebuild_views(name: str | None) -> None:
    """Build one view anew, or all, and say which."""
    from projections.projector import Projections

    with session().store() as store, progress("Rebuilding") as bar:
        folded = Projections(store).rebuild([name] if name else None, bar)
    click.echo(f"Rebuilt {name or 'all views'} from {plural(folded, 'event')}.")


def examine_place(form: str) -> None:
    """Write what is found about the ledger's place; exit 1 where anything is wrong."""
    from ledger.custody.doctor import examine
    from ledger.database.dialect import Fact
    from projections.projector import Projections

    def lag(store: Store) -> list[Fact]:
        behind = max(status.lag for status in Projections(store).status())
        return [Fact("views", f"{plural(behind, 'event')} behind")]

    session().opened = True
    facts = examine(session().db, lag)
    rows = [{"what": f.name, "found": f.value, "wrong": f.wrong or None} for f in facts]
    wrong = sum(bool(fact.wrong) for fact in facts)
    whole = {"ok": not wrong, "found": rows}
    write(Sheet(rows, ("what", "found", "wrong"), whole), form)
    if form == "table":
        click.echo("ok: nothing is wrong." if not wrong else f"wrong: {wrong}")
    if wrong:
        click.get_current_context().exit(1)


def copy_ledger(from_url: str, to_url: str) -> None:
    """Copy a ledger to another place, and say what was copied."""
    from ledger.custody.copying import copy
    from ledger.database.dialect import shown
    from ledger.errors import InvalidValue
    from ledger.record.store import create_store, open_store, same_place
    from projections.projector import view_tables

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
                done = copy(source, target, tell)
            except (KeyboardInterrupt, AccordError) as error:
                if stands is not None:
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


def follow_views() -> None:
    """Keep the stored views up to date, until it is told to stop."""
    from cli.input.following import follow
    from projections.projector import Projections

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

    follow(begin, take)
    click.echo(f"Stopped; every view is at position {done:,}.", err=True)


def announce(what: str, head: Head | Record) -> None:
    """Say on stderr what was carried over, and the tree head that goes with it."""
    click.echo(f"{what}.", err=True)
    click.echo(f"tree head  {head.root.hex()}", err=True)
