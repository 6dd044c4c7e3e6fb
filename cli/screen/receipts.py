"""What a write says afterwards: the events it recorded, or would record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from cli.screen.output import Sheet, screen, write

if TYPE_CHECKING:
    from ledger.application import Ledger, Receipt
    from ledger.domain.event import Event
    from ledger.record.log import Head
    from ledger.tlog.verifier import Record

COLUMNS: Final = (
    "position",
    "type",
    "deal",
    "stream",
    "effective_on",
    "status",
    "recorded_at",
    "command_id",
)
_COUNTED: Final = ("type", "events")
_MOST: Final = 100
"""Events up to which each is shown; beyond, they are counted by type."""
_SHOWN: Final = ("position", "type", "stream", "effective_on", "status")


def print_receipts(receipts: Sequence[Receipt], form: str) -> None:
    """Print what commands recorded; a repeat says so."""
    rows = [_row(event) for receipt in receipts for event in receipt.events]
    if form == "table":
        _print_table(receipts)
        return
    whole = [
        {
            "command_id": receipt.command_id,
            "repeated": receipt.repeated,
            "events": [_row(event) for event in receipt.events],
        }
        for receipt in receipts
    ]
    write(Sheet(rows, COLUMNS, whole[0] if len(whole) == 1 else whole), form)


def print_proposed(ledger: Ledger, events: Sequence[Event[Any]], form: str) -> None:
    """Print what a dry run would record, and what that would change."""
    from cli.screen.changes import change_table, changes_of

    rows = [_row(event) for event in events]
    changes = changes_of(ledger.store, events)
    if form != "table":
        whole = {"dry_run": True, "events": rows, "changes": changes}
        write(Sheet(rows, COLUMNS, whole), form)
    else:
        title = f"Would record {plural(len(rows), 'event')}"
        if len(rows) > _MOST:
            write(Sheet(_by_type(rows), _COUNTED, None, title=title), form)
        else:
            write(Sheet(rows, _SHOWN[1:], None, title=title), form)
        console = screen()
        console.print()
        console.print("Would change", style="bold")
        console.print(change_table(changes) if changes else "(nothing in its standing)")
    click.echo("Dry run: nothing was written.", err=True)


def _print_table(receipts: Sequence[Receipt]) -> None:
    fresh = [_row(event) for r in receipts if not r.repeated for event in r.events]
    repeated = [r for r in receipts if r.repeated]
    if fresh:
        title = f"Recorded {plural(len(fresh), 'event')}"
        if len(fresh) > _MOST:
            title += (
                f", positions {fresh[0]['position']:,} to {fresh[-1]['position']:,}"
            )
            write(Sheet(_by_type(fresh), _COUNTED, None, title=title), "table")
        else:
            write(Sheet(fresh, _SHOWN, None, title=title), "table")
    for receipt in repeated if len(repeated) == 1 else ():
        places = ", ".join(str(position) for position in receipt.positions) or "none"
        screen().print(
            f"Already recorded under command id {receipt.command_id}: "
            f"position {places}. Nothing was written."
        )
    if len(repeated) > 1:
        screen().print(
            f"{len(repeated)} commands were recorded before, under the same ids; "
            "nothing was written for them."
        )


def _by_type(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter(row["type"] for row in rows)
    return [{"type": name, "events": count} for name, count in counts.items()]


def plural(count: int, noun: str) -> str:
    """A number of things, `1 event` or `1,200 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _row(event: Event[Any]) -> dict[str, Any]:
    from ledger.clock import stamp_time

    recorded_at = event.identity.recorded_at
    return {
        "position": event.position or None,
        "type": event.data.tag(),
        "deal": event.deal,
        "stream": event.stream,
        "effective_on": event.on.isoformat(),
        "status": event.provenance.status,
        "recorded_at": stamp_time(recorded_at) if recorded_at else None,
        "command_id": event.provenance.command_id,
    }


def announce(what: str, head: Head | Record) -> None:
    """Say on stderr what was carried over, and the tree head that goes with it."""
    click.echo(f"{what}.", err=True)
    click.echo(f"tree head  {head.root.hex()}", err=True)
