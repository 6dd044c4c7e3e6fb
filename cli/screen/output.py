"""How answers are written: table, json, jsonl or csv; one renderer for every view.

JSON, JSONL and CSV carry values as the record has them; tables show them readable,
and exact all the same. A reported or disputed fact is marked in words, not by colour.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from projections.engine.units import unit_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


Row = Mapping[str, Any]

FICTION: Final = "FICTION: this deal is invented; no party, system or payment is real."
PART_FICTION: Final = (
    "FICTION: part of what follows is invented; 'accord list' marks those deals."
)
NOTHING: Final = "–"
BLANK: Final = " "
"""A cell that stays empty, since the row above says it."""
MARKS: Final = {"reported": "? reported", "disputed": "! disputed"}
STYLES: Final = {"reported": "yellow", "disputed": "bold red"}
_NAMES: Final = ("state", "relation", "kind", "scope", "basis", "clause")
_AMOUNT: Final = re.compile(r"(-?\d+(?:\.\d+)?) ([A-Z]{3}|shares|W)")
_IN_TEXT: Final = re.compile(
    r"(?<![\w.,])(\d+(?=\.\d\d [A-Z]{3}\b)\.\d\d|\d{4,}(?= W\b)) ([A-Z]{3}|W)\b"
)
_UNIT: Final = re.compile(r"(\w+_)?unit")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WATTS: Final = (("GW", 10**9), ("MW", 10**6), ("kW", 10**3), ("W", 1))
_MULTIPLES: Final = (("bn", 10**9), ("m", 10**6))
_PHRASE: Final = 40
"""Characters up to which a cell is a phrase, and beyond which a sentence."""
_NARROWEST: Final = 12
"""Columns to which a cell of words may shrink before rows become blocks."""
_GAP: Final = 2


@dataclass
class Sheet:
    """An answer ready to be written.

    `label` stands above everything; `whole` is the JSON object; `rows` are what JSONL and CSV hold, under `columns`;
    `footer` says where the answer comes from.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    whole: Any
    title: str = ""
    label: str = ""
    footer: Sequence[tuple[str, str]] = ()
    lines: Sequence[bytes] = field(default=())
    """The rows' JSONL, where their digest is that of exactly these bytes."""


def write(sheet: Sheet, form: str) -> None:
    """Write an answer to stdout in the form asked for."""
    match form:
        case "json":
            write_bytes([pretty(sheet.whole)])
        case "jsonl":
            write_bytes(sheet.lines or [compact(row) for row in sheet.rows])
            write_footer(sheet, to_stderr=True)
        case "csv":
            _write_csv(sheet)
            write_footer(sheet, to_stderr=True)
        case _:
            console = screen()
            write_heading(console, sheet)
            console.print(table_of(sheet.rows, sheet.columns, console.width))
            if sheet.footer:
                console.print()
            write_footer(sheet)


def write_counts(counts: Mapping[str, int], form: str) -> None:
    """Write how many of what, as one row."""
    write(Sheet([counts], tuple(counts), dict(counts)), form)


def screen(*, stderr: bool = False) -> Console:
    """The terminal, or the file in its place: no colour and no width but 80 there."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def write_heading(console: Console, sheet: Sheet) -> None:
    """Say what is answered, and first of all whether it is fiction."""
    if sheet.label:
        console.print(sheet.label, style="bold reverse")
    if sheet.title:
        console.print(clean(sheet.title), style="bold")


def write_footer(sheet: Sheet, *, to_stderr: bool = False) -> None:
    """Say where the answer comes from: the control footer."""
    console = screen(stderr=to_stderr)
    if to_stderr and sheet.label:
        console.print(sheet.label)
    width = max((len(name) for name, _ in sheet.footer), default=0)
    for name, value in sheet.footer:
        line = f"{name:<{width}}  {clean(value)}"
        console.print(line, style="dim", soft_wrap=True)


def table_of(rows: Sequence[Row], columns: Sequence[str], width: int) -> Any:
    """The rows as a table; as a block each where a table would be too narrow to read."""
    from rich.console import Group
    from rich.text import Text

    if not rows:
        return Text("(nothing)", style="dim")
    taken, cells = _cells(rows, columns)
    if _narrowest(taken, cells) <= width:
        return _table(taken, cells, width)
    common = _common(taken, cells)
    rest = [index for index in range(len(taken)) if index not in common]
    taken = [taken[index] for index in rest]
    said = ", ".join(f"{name} {value}" for name, value in common.values())
    above = [Text(f"in every row: {said}\n", style="dim")] if said else []
    cells = [[line[index] for index in rest] for line in cells]
    if _narrowest(taken, cells) <= width:
        return Group(*above, _table(taken, cells, width))
    return Group(*above, *(block_of(taken, line) for line in cells))


def fits(rows: Sequence[Row], columns: Sequence[str], width: int) -> bool:
    """Whether the rows can be a table of that width."""
    return not rows or _narrowest(*_cells(rows, columns)) <= width


def _cells(
    rows: Sequence[Row], columns: Sequence[str]
) -> tuple[list[str], list[list[Text]]]:
    """The columns worth a place, and every cell readable, with its unit."""
    taken = [
        name
        for name in columns
        if not _UNIT.fullmatch(name)
        and any(row.get(name) not in (None, "", [], False) for row in rows)
    ]
    return taken, [[cell(row, name) for name in taken] for row in rows]


def _common(
    columns: Sequence[str], cells: Sequence[Sequence[Text]]
) -> dict[int, tuple[str, str]]:
    """Columns that say the same in every row, and what they say."""
    if len(cells) == 1:
        return {}
    return {
        index: (heading(name), cells[0][index].plain)
        for index, name in enumerate(columns)
        if index and len({line[index].plain for line in cells}) == 1
    }


def _narrowest(columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> int:
    leasts = (_least(columns, cells, index) for index in range(len(columns)))
    return sum(leasts) + _GAP * (len(columns) - 1)


def _least(columns: Sequence[str], cells: Sequence[Sequence[Text]], index: int) -> int:
    """How narrow a column may become: words wrap, figures and names never do."""
    header = max(len(word) for word in heading(columns[index]).split())
    longest = max(line[index].cell_len for line in cells)
    if index and _words(index, cells):
        word = max(len(w) for line in cells for w in line[index].plain.split())
        fewest = _NARROWEST if longest <= _PHRASE else _NARROWEST * 2
        longest = min(longest, max(fewest, min(word, _PHRASE)))
    return max(longest, header)


def _widths(
    columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int
) -> list[int]:
    """Each column's width: what it would like, or a fair share above its least."""
    leasts = [_least(columns, cells, index) for index in range(len(columns))]
    wants = [
        max(len(heading(name)), *(line[index].cell_len for line in cells))
        for index, name in enumerate(columns)
    ]
    spare = width - _GAP * (len(columns) - 1) - sum(leasts)
    lacking = sum(wants) - sum(leasts)
    if lacking <= spare:
        return wants
    return [
        least + spare * (want - least) // lacking
        for least, want in zip(leasts, wants, strict=True)
    ]


def _table(
    columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int
) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0)
    )
    widths = _widths(columns, cells, width)
    for index, name in enumerate(columns):
        figures = all(_figure(line[index].plain) for line in cells)
        table.add_column(
            heading(name),
            justify="right" if figures else "left",
            overflow="fold",
            width=widths[index],
        )
    for line in cells:
        table.add_row(*line)
    return table


def _words(index: int, cells: Sequence[Sequence[Text]]) -> bool:
    """Whether a column holds words that may wrap, not figures or names."""
    texts = [line[index].plain for line in cells]
    return any(" " in text for text in texts) and not all(map(_figure, texts))


def block_of(columns: Sequence[str], line: Sequence[Text]) -> Any:
    """One row as a block, a field a line; empty fields left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    width = max(len(heading(name)) for name in columns)
    grid.add_column(style="dim", no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for name, value in zip(columns, line, strict=True):
        if value.plain != NOTHING:
            grid.add_row(heading(name), value)
    grid.add_row("", "")
    return grid


def heading(column: str) -> str:
    """A name in words; a unit at its end is said in the cells."""
    if column == "critical_it":
        return "critical IT"
    return re.sub(r"_w$", "", column).replace("_", " ")


def cell(row: Row, name: str) -> Text:
    """One value, readable; a quantity with the unit that its row gives it."""
    from rich.text import Text

    value = row.get(name)
    unit = unit_of(row, name)
    if unit and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = f"{value} {unit}"
    text = shown(value)
    if name in _NAMES:
        text = heading(text)
    if name == "status" and text in MARKS:
        return Text(MARKS[text], style=STYLES[text])
    return Text(text)


def shown(value: Any) -> str:
    """A value as people read it: grouped digits, watts in their largest unit."""
    match value:
        case None | "" | [] | ():
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case str():
            return _shown_text(value)
        case Mapping():
            return "; ".join(f"{heading(k)} {_named(k, v)}" for k, v in value.items())
        case list() | tuple():
            return ", ".join(shown(item) for item in value)
        case _:
            return clean(str(value))


def _named(name: str, value: Any) -> str:
    """A value under its name, which tells watts and words."""
    if name.endswith("_w") and _NUMBER.fullmatch(str(value)):
        return watts(str(value))
    return heading(shown(value)) if name in _NAMES else shown(value)


def _shown_text(value: str) -> str:
    if match := _MOMENT.fullmatch(value):
        return f"{match[1]} {match[2]}Z"
    if match := _AMOUNT.fullmatch(value):
        return _shown_amount(match)
    # In a sentence, only what has a currency's decimals or many watts is an amount.
    return clean(_IN_TEXT.sub(_shown_amount, value))


def _shown_amount(match: re.Match[str]) -> str:
    number, unit = match.groups()
    return watts(number) if unit == "W" else f"{Decimal(number):,f} {unit}"


def watts(number: str) -> str:
    """Watts in the largest unit that they fill; every digit kept."""
    value = Decimal(number)
    for unit, size in _WATTS:
        if abs(value) >= size and unit != "W":
            exact = value / size
            places = max(3, -int(exact.normalize().as_tuple().exponent))
            return f"{exact:,.{places}f} {unit}"
    return f"{value:,f} W"


def short(number: str, unit: str) -> str:
    """An amount or power in its shortest exact form, as commands read it, too."""
    value = Decimal(number)
    if unit == "W":
        scaled = next(((n, s) for n, s in _WATTS if abs(value) >= s), ("W", 1))
        return f"{_plain(value / scaled[1])} {scaled[0]}"
    for name, size in _MULTIPLES:
        part = value / size
        if value and part == part.to_integral_value():
            return f"{part:,.0f}{name} {unit}"
    return f"{_plain(value) if value == int(value) else f'{value:,f}'} {unit}"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def clean(text: str) -> str:
    """Text from the record, without what would steer the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _figure(text: str) -> bool:
    return text in {NOTHING, BLANK} or bool(
        re.fullmatch(r"-?[\d,]+(\.\d+)?( ([A-Z]{3}|shares|[kMG]?W|%))?", text)
    )


def compact(value: Any) -> bytes:
    """A value as one line of JSON."""
    from ledger.domain.transcoding import to_json

    return to_json(value)


def pretty(value: Any) -> bytes:
    """A value as indented JSON."""
    import msgspec

    return msgspec.json.format(compact(value), indent=2)


def write_bytes(lines: Iterable[bytes]) -> None:
    """Write lines to stdout as they are."""
    # The bytes themselves: a digest must not depend on the terminal's encoding.
    sys.stdout.flush()
    for line in lines:
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _write_csv(sheet: Sheet) -> None:
    write_bytes(csv_lines(sheet.columns, sheet.rows))


def csv_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """A header and rows as CSV, a line each."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        yield text.getvalue().removesuffix("\n").encode()
        text.seek(0)
        text.truncate()
        writer.writerow([_csv_value(row.get(name)) for name in columns])
    yield text.getvalue().removesuffix("\n").encode()


def _csv_value(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int():
            return value
        case _:
            return compact(value).decode()
