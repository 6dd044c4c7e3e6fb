"""Checking a record: hash by hash, and judged again by today's rules."""

from __future__ import annotations

from typing import Any

import click

from cli.input.options import formatted, placed
from cli.screen.output import Sheet, write
from cli.screen.progress import progress
from cli.screen.receipts import plural
from cli.session import session
from ledger.audit import integrity
from ledger.audit import recheck as judging
from ledger.audit.leaves import processors
from ledger.domain.transcoding import to_builtins
from ledger.record.store import Store
from projections.projector import Projections


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
    with session().store() as store:
        with progress("Verifying") as bar:
            report = integrity.verify(store, bar, processes=processors())
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


def _verify_views(store: Store) -> int:
    """Compare the stored views; how many there are, and on stderr which there are not."""
    views = Projections(store)
    with progress("Verifying views") as bar:
        views.verify(bar)
    stands = views.status()
    empty = store.head().size == 0
    absent = [one.view for one in stands if not one.position and not empty]
    if absent:
        click.echo(f"Not stored, and so not compared: {', '.join(absent)}.", err=True)
    return len(stands) - len(absent)


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
    with session().store() as store, progress("Rechecking") as bar:
        report = judging.recheck(store, bar)
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
    columns = judging.Finding.__struct_encode_fields__
    whole = {"ok": not rows, **counts, "findings": rows}
    if form != "table" or rows:
        write(Sheet(rows, columns, whole, title="Found"), form)
    if form == "table":
        click.echo(f"{'found ' + str(len(rows)) if rows else 'ok'}: {said}")
    if rows:
        click.get_current_context().exit(1)
