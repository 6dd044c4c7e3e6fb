"""A manifest: one step of many systems, as a table or as JSON lines, read into commands.

Every column is a parameter of the step's command, or one of those that every command
takes. What cannot be read is told with its line; lines are counted as an editor does.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cli.hints import told
from ledger.commands.registry import Command, Parameter, Request, find, request_of
from ledger.errors import AccordError, InvalidValue, quoted

STEPS: Final = ("ship", "receive", "install", "energise", "test", "accept")
PROBLEM: Final = "problem"
"""The column that rejected rows get, and that is not looked at when they come again."""
COMMON: Final[Mapping[str, str]] = {
    "actor": "actor",
    "effective_on": "effective_on",
    "on": "effective_on",
    "status": "status",
    "reason": "reason",
    "correlation_id": "correlation_id",
}
"""Columns that every step takes, and what each becomes."""
PARTS: Final = ("manufacturer", "serial")
"""Two columns that together name the system."""
_YES: Final = frozenset({"true", "yes", "1", "passed", "pass"})
_NO: Final = frozenset({"false", "no", "0", "failed", "fail"})
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_MISCOUNTED: Final = re.compile(r"It has \d+ cells; the header has \d+\.")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    """A row with its line, and its cells as they stand."""

    line: int
    cells: dict[str, Any]


class Lost(NamedTuple):
    """A line that is no row, and why."""

    line: int
    cells: Any
    problem: AccordError


class Manifest(NamedTuple):
    """What a file holds: its columns, its rows, and the digest of its bytes.

    `lost` are lines that are no rows: the cells, or the text of a line that is no JSON.
    """

    digest: str
    is_json: bool
    columns: tuple[str, ...]
    rows: list[Row]
    lost: list[Lost]


def read_manifest(name: str) -> Manifest:
    """A manifest's file; InvalidValue where it is none, or changes while it is read."""
    with open(name, "rb") as file:  # noqa: PTH123 - no pathlib at start-up
        before = os.fstat(file.fileno())
        data = file.read()
        after = os.stat(name)  # noqa: PTH116 - the same
    seen = (before.st_size, before.st_mtime_ns, before.st_ino)
    if seen != (after.st_size, after.st_mtime_ns, after.st_ino) or (
        before.st_size and len(data) != before.st_size
    ):
        raise InvalidValue(
            f"{name} changed while it was read. Import it once it is finished."
        )
    text = _text(name, data)
    digest = hashlib.sha256(data).hexdigest()
    first = text.lstrip()[:1]
    is_json = name.endswith((".jsonl", ".ndjson")) or first == "{"
    columns, rows, lost = _json_lines(text) if is_json else _table(name, text)
    if not rows and not lost:
        raise InvalidValue(f"{name} holds no rows.")
    return Manifest(digest, is_json, columns, rows, lost)


def _text(name: str, data: bytes) -> str:
    if data.startswith(_UTF16) or b"\0" in data:
        raise InvalidValue(
            f"{name} is not UTF-8 text: it looks like UTF-16, or like no text at all. "
            "Save it as CSV in UTF-8."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidValue(
            f"{name} is not UTF-8 text: {error.reason}, in line {line}. "
            "Save it as CSV in UTF-8."
        ) from None


Read = tuple[tuple[str, ...], list[Row], list[Lost]]


def _json_lines(text: str) -> Read:
    from cli.input.options import parse_json

    columns: dict[str, None] = {}
    rows: list[Row] = []
    lost: list[Lost] = []
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json("the line", line)
        except InvalidValue as error:
            lost.append(Lost(number, line, error))
            continue
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
            rows.append(Row(number, value))
        else:
            said = InvalidValue("It is not a JSON object.")
            lost.append(Lost(number, line, said))
    return tuple(columns), rows, lost


def _table(name: str, text: str) -> Read:
    lines = io.StringIO(text, newline="")
    head = text.split("\n", 1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    lost: list[Lost] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _header(name, cells)
            elif len(cells) != len(columns):
                said = f"It has {len(cells)} cells; the header has {len(columns)}."
                lost.append(Lost(begins, cells, InvalidValue(said)))
            else:
                rows.append(Row(begins, dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        raise InvalidValue(
            f"{name} cannot be read from line {line} on: {error}."
        ) from None
    return columns, rows, lost


def _header(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    twice = sorted({one for one in columns if columns.count(one) > 1})
    if twice:
        raise InvalidValue(
            f"{name} has the column {', '.join(map(repr, twice))} twice."
        )
    return columns


class Plan:
    """How the rows of a manifest become commands of one step."""

    def __init__(
        self,
        step: str,
        columns: Sequence[str],
        mapped: Mapping[str, str],
        fixed: Mapping[str, str],
    ) -> None:
        self.command: Command = find(f"system {step}")
        self._parameters = {one.name: one for one in self.command.parameters}
        self._fixed = {_plain(name): value for name, value in fixed.items()}
        self._check_names("--set", self._fixed, (*COMMON, *self._parameters))
        known = (*COMMON, *self._parameters, *PARTS)
        lacking = [one for one in mapped if one not in columns]
        if lacking:
            raise InvalidValue(
                f"--map: there is no column {lacking[0]!r}; "
                f"the columns are {', '.join(columns)}."
            )
        self._check_names("--map", {_plain(n): "" for n in mapped.values() if n}, known)
        self._target = {
            column: _plain(mapped[column]) if column in mapped else _plain(column)
            for column in columns
            if mapped.get(column) != "" and _plain(column) != PROBLEM
        }
        self._check_columns(known)

    @staticmethod
    def _check_names(
        option: str, given: Mapping[str, str], known: Sequence[str]
    ) -> None:
        for name in given:
            if name not in known:
                raise InvalidValue(
                    f"{option}: there is no {name!r}; there are {', '.join(known)}."
                )

    def _check_columns(self, known: Sequence[str]) -> None:
        import difflib

        for column, target in self._target.items():
            if target not in known:
                near = difflib.get_close_matches(target, known, n=1)
                to = near[0] if near else "PARAMETER"
                raise InvalidValue(
                    f"The column {quoted(column)} is nothing that "
                    f"'{self.command.name}' takes. Map it with --map '{column}={to}', "
                    f"or leave it out with --map '{column}='."
                )
        targets = list(self._target.values())
        for target in targets:
            if targets.count(target) > 1:
                raise InvalidValue(f"Two columns say {target!r}; map one to nothing.")
        there = {*targets, *self._fixed}
        if set(PARTS) <= there:
            there.add("system")
        for name, parameter in self._parameters.items():
            if parameter.required and name not in there:
                raise InvalidValue(
                    f"No column says {name!r}, {parameter.text}. Map one with "
                    f"--map COLUMN={name}, or give one value for all rows with "
                    f"--set {name}=VALUE."
                )

    def requests(
        self, manifest: Manifest, deal: str, given: Mapping[str, Any]
    ) -> tuple[list[tuple[int, Request]], list[tuple[int, AccordError]]]:
        """Each row that can be read as a request, by its line, and what is wrong else.

        `given` is what every request has, unless its row says otherwise.
        """
        found, lines = [], dict[str, int]()
        problems = [(one.line, one.problem) for one in manifest.lost]
        for row in manifest.rows:
            try:
                request = self._request(row, deal, given, manifest.digest)
                system = str(request.parameters["system"])
                if system in lines:
                    raise InvalidValue(
                        f"{system} stands in line {lines[system]:,} already."
                    )
                self.command.decode(request.parameters)
            except AccordError as error:
                problems.append((row.line, error))
            else:
                lines[system] = row.line
                found.append((row.line, request))
        return found, problems

    def _request(
        self, row: Row, deal: str, given: Mapping[str, Any], digest: str
    ) -> Request:
        said: dict[str, Any] = dict(self._fixed)
        for column, target in self._target.items():
            cell = row.cells.get(column)
            cell = cell.strip() if isinstance(cell, str) else cell
            if cell not in (None, ""):
                said[target] = cell
        if "system" not in said and all(part in said for part in PARTS):
            said["system"] = "/".join(str(said[part]) for part in PARTS)
        line: dict[str, Any] = dict(given)
        for name, value in said.items():
            if name in COMMON:
                line[COMMON[name]] = value
            elif name in self._parameters:
                line[name] = _value(self._parameters[name], value)
        for name, parameter in self._parameters.items():
            if parameter.required and name not in line:
                raise InvalidValue(f"It says no {name!r}, {parameter.text}.")
        verb = self.command.verb
        line |= {"command": self.command.name, "deal": deal}
        line["command_id"] = f"import/{digest[:32]}/{deal}/{verb}/{row.line}"
        return request_of(line)


def _plain(name: str) -> str:
    """A column's name as a parameter's: `Soak hours` is `soak_hours`."""
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def _value(parameter: Parameter, cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    if parameter.optional_of is bool:
        if cell.casefold() not in _YES | _NO:
            raise InvalidValue(
                f"{parameter.name!r}: {quoted(cell)} is neither true nor false."
            )
        return cell.casefold() in _YES
    if parameter.optional_of is int:
        if not re.fullmatch(r"-?[0-9]{1,18}", cell):
            raise InvalidValue(
                f"{parameter.name!r}: {quoted(cell)} is not a whole number."
            )
        return int(cell)
    return cell


def rejected(
    manifest: Manifest, problems: Sequence[tuple[int, AccordError]]
) -> Iterator[bytes]:
    """What was not recorded, as the manifest has it, each row with its problem.

    What was no row is none here either, until somebody mends it.
    """
    said = {line: told(error) for line, error in problems}
    bad: list[Row | Lost] = [row for row in manifest.rows if row.line in said]
    bad += manifest.lost
    bad.sort(key=lambda one: one.line)
    if manifest.is_json:
        from ledger.domain.transcoding import to_json

        for one in bad:
            yield (
                to_json({**one.cells, PROBLEM: said[one.line]})
                if isinstance(one, Row)
                else one.cells.encode()
            ) + b"\n"
        return
    columns = [column for column in manifest.columns if _plain(column) != PROBLEM]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, PROBLEM])
    for one in bad:
        if isinstance(one, Row):
            cells = [one.cells[name] for name in columns]
        else:
            # If it comes again, it ends with what was wrong with it before.
            again = _MISCOUNTED.fullmatch(one.cells[-1])
            cells = one.cells[:-1] if again else one.cells
        writer.writerow([*cells, said[one.line]])
    yield text.getvalue().encode()
