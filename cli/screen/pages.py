"""The pages that are more than a table: a deal's standing, its history, all deals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.screen.output import (
    BLANK,
    MARKS,
    STYLES,
    Sheet,
    cell,
    clean,
    fits,
    heading,
    screen,
    short,
    shown,
    table_of,
    write_footer,
    write_heading,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Row = Mapping[str, Any]

SIDE_BY_SIDE: Final = 100
"""Columns from which the ladders stand beside each other."""
_SEVERAL: Final = 2
"""Facilities from which each has a column under its name."""
_BETWEEN: Final = 6
"""Columns between two ladders."""
_ENDLESS: Final = 10_000
WIDE: Final = 150
"""Columns from which the list of deals shows every figure in full."""


def write_standing(sheet: Sheet) -> None:
    """Write the standing of a deal: heading, ladders, and what is open."""
    console = screen()
    about = sheet.whole["about"]
    write_heading(console, sheet)
    _write_state(console, about)
    _write_ladders(console, sheet.rows)
    trigger = about["next_trigger"]
    _write_list(console, "Next trigger", [shown(trigger)] if trigger else [])
    _write_list(console, "Open conditions", map(clean, about["open_conditions"]))
    _write_list(console, "Disputes", (f"! {shown(d)}" for d in about["disputes"]))
    _write_list(console, "Links", map(_link, about["links"]))
    console.print()
    write_footer(sheet)


def _write_state(console: Console, about: Row) -> None:
    from rich.text import Text

    line = Text(f"state: {heading(about['state'])}   status: ")
    line.append_text(_status(about["status"]))
    if about["basis"] != "unspecified":
        line.append(f"   capacity basis: {heading(about['basis'])}")
    console.print(line)
    for flag in about["flags"]:
        console.print(f"! {heading(flag)}", style="bold red")
    console.print()


def _write_ladders(console: Console, rows: Sequence[Row]) -> None:
    from rich.table import Table

    ladders = []
    for name in dict.fromkeys(row["ladder"] for row in rows):
        ladders += _ladder(name, [r for r in rows if r["ladder"] == name], console)
    beside = Table.grid(padding=(0, _BETWEEN))
    beside.add_row(*ladders)
    if console.width >= SIDE_BY_SIDE and _width(console, beside) <= console.width:
        console.print(beside)
        return
    for number, ladder in enumerate(ladders):
        if number:
            console.print()
        console.print(ladder)


def _width(console: Console, what: Any) -> int:
    """How wide something is when nothing in it is wrapped, on any terminal."""
    from rich.measure import Measurement

    endless = console.options.update(width=_ENDLESS)
    return Measurement.get(console, endless, what).maximum


def _ladder(name: str, rows: Sequence[Row], console: Console) -> list[Table]:
    """A ladder; of several facilities a column each, as many in a table as fit."""
    facilities = dict.fromkeys(row["undertaking"] for row in rows if row["undertaking"])
    if len(facilities) < _SEVERAL:
        return [_rungs(name, [{**row, "undertaking": ""} for row in rows], {"": ""})]
    tables, columns = [], {"": "whole deal"}
    for facility in facilities:
        wider = {**columns, facility: facility}
        if columns and _width(console, _rungs(name, rows, wider)) > console.width:
            tables.append(_rungs(name, rows, columns))
            wider = {facility: facility}
        columns = wider
    return [*tables, _rungs(name, rows, columns)]


def _rungs(name: str, rows: Sequence[Row], columns: Mapping[str, str]) -> Table:
    """The rungs of some undertakings, each under its title."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(name, min_width=10, no_wrap=True)
    for title in columns.values():
        table.add_column(title, justify="right", no_wrap=True)
    rungs: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["undertaking"] in columns:
            rungs.setdefault(row["rung"], {})[row["undertaking"]] = row
    for rung, of in rungs.items():
        quantities = (cell(of[one], "quantity") if one in of else "" for one in columns)
        table.add_row(heading(rung), *quantities)
    return table


def _link(link: Row) -> str:
    status = link["status"]
    mark = f"  {MARKS[status]}" if status in MARKS else ""
    return f"{heading(link['relation'])} {clean(link['deal'])}{mark}"


def _write_list(console: Console, title: str, items: Any) -> None:
    from rich.padding import Padding

    lines = list(items)
    if not lines:
        return
    console.print()
    console.print(title, style="bold")
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 2), expand=False))


def write_history(sheet: Sheet, *, earlier: bool = False) -> None:
    """Write the events, newest last, each in a few lines; say if there are earlier ones."""
    console = screen()
    write_heading(console, sheet)
    if earlier:
        first = sheet.rows[0]["position"]
        console.print(f"… earlier ones: --before {first}; more of them: --limit N\n")
    width = max((len(str(row["position"])) for row in sheet.rows), default=1)
    for row in sheet.rows:
        _write_event(console, row, width)
    console.print()
    write_footer(sheet)


def print_event(row: Row) -> None:
    """Write one event as the history does."""
    _write_event(screen(), row, len(str(row["position"])))


def event_line(row: Row, width: int) -> Text:
    """An event in a line: where, when, what, and on which stream."""
    from rich.text import Text

    line = Text(f"{row['position']:>{width}}  {row['effective_on']}  ")
    line.append(row["type"], style="bold")
    line.append(f"  {clean(row['stream'].partition('/')[2])}")
    if row["status"] in MARKS:
        line.append("  ").append_text(_status(row["status"]))
    if row.get("reversed_by"):
        line.append(f"  ✗ reversed by {clean(row['reversed_by'])}", style="bold red")
    return line


def _write_event(console: Console, row: Row, width: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print(event_line(row, width))
    late = f", {row['lag_days']:,} days later" if row["lag_days"] else ""
    lines = [
        shown(row["what"]),
        f"by {clean(row['actor'])}, recorded {shown(row['recorded_at'])}{late}",
    ]
    if row.get("reason"):
        lines.append(f"reason: {clean(row['reason'])}")
    if row.get("evidence"):
        lines.append(f"evidence: {clean(row['evidence'])}")
    for text in lines:
        console.print(Padding(Text(text), (0, 0, 0, width + 2), expand=False))


def write_deals(sheet: Sheet) -> None:
    """Write all deals, a line each; in short figures where the terminal is narrow.

    A deal with money in several units has a line for each; the first tells the deal.
    """
    console = screen()
    write_heading(console, sheet)
    wide = console.width >= WIDE
    told = _OF_THE_DEAL if wide else _OF_THE_DEAL_IN_SHORT
    rows, last = [], None
    for row in sheet.rows:
        again = row["deal"] == last
        line = row if wide else _deal(row, again=again)
        rows.append({**line, **dict.fromkeys(told, BLANK)} if again else line)
        last = row["deal"]
    columns = list(sheet.columns if wide else _SHORT)
    while not wide and columns[2:] and not fits(rows, columns, console.width):
        columns.pop()
    console.print(table_of(rows, columns, console.width))
    console.print()
    write_footer(sheet)


_SHORT: Final = ("deal", "state", "marks", "announced", "paid", "accepted")
_OF_THE_DEAL: Final = ("deal", "title", "state", "status", "fictional", "capacity_announced", "capacity_accepted")  # fmt: skip
_OF_THE_DEAL_IN_SHORT: Final = ("deal", "state", "marks", "accepted")


def _deal(row: Row, *, again: bool) -> dict[str, str]:
    funding, capacity = row["funding_unit"], row["capacity_unit"]
    marks = ["FICTION"] if row["fictional"] else []
    if row["status"] in MARKS:
        marks.append(MARKS[row["status"]])
    watts = "" if again else f", {short(row['capacity_announced'], capacity)}"
    return {
        "deal": row["deal"],
        "state": heading(row["state"]),
        "marks": ", ".join(marks),
        "announced": short(row["funding_announced"], funding) + watts,
        "paid": short(row["funding_disbursed"], funding),
        "accepted": short(row["capacity_accepted"], capacity),
    }


PAGES: Final[Mapping[str, Callable[[Sheet], None]]] = {
    "standing": write_standing,
    "timeline": write_history,
    "deals": write_deals,
}


def _status(status: str) -> Text:
    from rich.text import Text

    return Text(MARKS.get(status, status), style=STYLES.get(status, ""))
