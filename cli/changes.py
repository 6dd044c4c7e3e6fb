"""What a dry run would change: a deal's standing before and after, where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.output import Sheet, shown, table_of, write_heading

if TYPE_CHECKING:
    from rich.console import Console

    from ledger.event import Event
    from ledger.store import Store

COLUMNS = ("deal", "what", "before", "after")


def changes_of(store: Store, events: Sequence[Event[Any]]) -> list[dict[str, str]]:
    """Each figure or fact of a standing that the events would change."""
    from projections.preview import preview

    found = []
    for deal in dict.fromkeys(event.deal for event in events):
        before, after = (_facts(drawn) for drawn in preview(store, deal, events))
        found += [
            {"deal": deal, "what": what, "before": before.get(what, ""), "after": now}
            for what, now in after.items()
            if now != before.get(what, "")
        ]
    return found


def _facts(drawn: Any) -> dict[str, str]:
    from ledger.transcoding import to_builtins

    facts = {
        f"{rung.ladder} {rung.rung}": f"{rung.quantity} {rung.unit}"
        for rung in drawn.rows
    }
    about = to_builtins(drawn.about)
    for name in ("state", "status", "next_trigger"):
        facts[name.replace("_", " ")] = about[name] or ""
    for name in ("open_conditions", "disputes", "links", "flags"):
        facts[name.replace("_", " ")] = shown(about[name]) if about[name] else ""
    return facts


def print_changes(console: Console, changes: Sequence[dict[str, str]]) -> None:
    """Print the changes as a table."""
    console.print()
    write_heading(console, Sheet(changes, COLUMNS, None, title="Would change"))
    console.print(table_of(changes, COLUMNS, console.width))
