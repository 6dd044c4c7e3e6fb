"""A deal's standing on one page: who and what, two ladders, and what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.output import (
    FICTION,
    MARKS,
    NOTHING,
    STYLES,
    Sheet,
    cell,
    clean,
    heading,
    screen,
    shown,
    write_footer,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SIDE_BY_SIDE: Final = 100
"""Columns from which the two ladders stand beside each other."""


def write_standing(sheet: Sheet) -> None:
    """Write the standing to the terminal."""
    console = screen()
    about = sheet.whole["about"]
    _write_head(console, sheet, about)
    _write_ladders(console, sheet.rows)
    _write_list(console, "Next trigger", _as_list(about.get("next_trigger")))
    _write_list(console, "Open conditions", about.get("open_conditions") or [])
    _write_list(console, "Disputes", about.get("disputes") or [])
    _write_list(console, "Links", about.get("links") or [])
    console.print()
    write_footer(sheet)


def _write_head(console: Console, sheet: Sheet, about: Mapping[str, Any]) -> None:
    from rich.text import Text

    if sheet.fictional:
        console.print(FICTION, style="bold reverse")
    console.print(clean(sheet.title), style="bold")
    line = Text(f"state: {heading(about['state'])}   status: ")
    status = about["status"]
    line.append(MARKS.get(status, status), style=STYLES.get(status, ""))
    console.print(line)
    console.print()


def _write_ladders(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    ladders = [
        _ladder(name, [row for row in rows if row["ladder"] == name])
        for name in ("funding", "capacity")
    ]
    if console.width >= SIDE_BY_SIDE:
        both = Table.grid(padding=(0, 6))
        both.add_row(*ladders)
        console.print(both)
    else:
        console.print(ladders[0])
        console.print()
        console.print(ladders[1])


def _ladder(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(heading(name), min_width=10, no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    extra = [key for key in (rows[0] if rows else {}) if key not in _LADDER]
    for key in extra:
        table.add_column(heading(key), overflow="fold")
    for row in rows:
        table.add_row(
            heading(row["rung"]),
            cell(row, "quantity"),
            *(cell(row, key) for key in extra),
        )
    return table


_LADDER: Final = ("ladder", "rung", "quantity", "unit")


def _write_list(console: Console, title: str, items: Sequence[Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if not items:
        return
    console.print()
    console.print(title, style="bold")
    for item in items:
        console.print(Padding(Text(f"- {_line(item)}"), (0, 0, 0, 2)))


def _as_list(value: Any) -> Sequence[Any]:
    if not value:
        return []
    return value if isinstance(value, list) else [value]


def _line(item: Any) -> str:
    if not isinstance(item, Mapping):
        return shown(item)
    parts = [
        f"{heading(key)} {shown(value)}"
        for key, value in item.items()
        if shown(value) != NOTHING
    ]
    return ", ".join(parts)
