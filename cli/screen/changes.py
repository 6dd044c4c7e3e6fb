"""How changes are written: a line for each row that changed, old → new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.screen.output import NOTHING, cell, heading, shown

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ledger.domain.event import Event
    from ledger.record.store import Store

Row = Mapping[str, Any]
COLUMNS: Final = ("view", "row", "figure", "old", "new", "unit")
ROOMY: Final = 100
"""Columns from which a view's name stands beside its changes."""
_TOLD_ELSEWHERE: Final = "deals"
"""The view that says of all deals what each one's standing says."""

_NOTHING: Final[tuple[Any, ...]] = ("0", "0.00", "", [], False)
"""What a row that comes or goes says of what never happened."""


def changes_of(store: Store, events: Sequence[Event[Any]]) -> list[dict[str, Any]]:
    """Each figure or state of a standing that proposed events would change."""
    from ledger.domain.transcoding import to_builtins
    from projections.explain.changes import changes_between, table_of
    from projections.explain.preview import preview
    from projections.views.standing import STANDING

    found = []
    for deal in dict.fromkeys(event.deal for event in events):
        before, after = (table_of(STANDING, d) for d in preview(store, deal, events))
        found += [
            {"deal": deal, **to_builtins(change)}
            for change in changes_between(STANDING, before, after)
        ]
    return found


def change_table(changes: Sequence[Row], indent: int = 0) -> Table:
    """The changes as text: what changed in each row of each view, one row a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    last = ""
    for view, row, mine in _by_row(changes):
        name = "" if view == last else view
        grid.add_row(f"{'':{indent}}{name}", _line(row, mine))
        last = view
    return grid


def _by_row(changes: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    """The changes, those of one row together; what is told twice, once."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for change in changes:
        nothing = change["old"] is None and change["new"] in _NOTHING
        nothing |= change["new"] is None and change["old"] in _NOTHING
        elsewhere = change["view"] == _TOLD_ELSEWHERE or is_unit(change["figure"])
        if not nothing and not elsewhere:
            rows.setdefault((change["view"], change["row"]), []).append(change)
    for (view, row), mine in rows.items():
        yield view, row, mine


def is_unit(figure: str) -> bool:
    """Whether a column tells only the unit of others, which are written with it."""
    return figure == "unit" or figure.endswith("_unit")


def _line(row: str, changes: Sequence[Row]) -> Text:
    from rich.text import Text

    line = Text()
    if row != "about":
        line.append(f"{shown(row)}  ", style="bold")
    if all(change["old"] is None for change in changes) and len(changes) > 1:
        line.append("new: ", style="green")
        parts = [_only(change, "new") for change in changes if change["new"]]
    elif all(change["new"] is None for change in changes) and len(changes) > 1:
        line.append("gone: ", style="red")
        parts = [_only(change, "old") for change in changes if change["old"]]
    else:
        parts = [_both(row, change) for change in changes]
    for number, part in enumerate(parts):
        line.append("; " if number else "")
        line.append_text(part)
    return line


def _only(change: Row, side: str) -> Text:
    from rich.text import Text

    text = Text(f"{heading(change['figure'])} ", style="dim")
    return text.append_text(value_of(change, side))


def _both(row: str, change: Row) -> Text:
    from rich.text import Text

    # Of a rung, its quantity is all there is to say.
    named = "" if change["figure"] == "quantity" else f"{heading(change['figure'])} "
    text = Text(named, style="dim" if row != "about" else "bold")
    old, new = change["old"], change["new"]
    if isinstance(old, list) or isinstance(new, list):
        return text.append_text(_of_lists(old or [], new or []))
    text.append_text(value_of(change, "old")).append(" → ")
    return text.append_text(value_of(change, "new"))


def _of_lists(old: Sequence[Any], new: Sequence[Any]) -> Text:
    from rich.text import Text

    gone = [f"− {shown(item)}" for item in old if item not in new]
    come = [f"+ {shown(item)}" for item in new if item not in old]
    return Text("; ".join([*gone, *come]) or NOTHING)


def value_of(change: Row, side: str) -> Text:
    """A figure's value, old or new, with its unit."""
    name = change["figure"]
    return cell({name: change[side], "unit": change["unit"]}, name)
