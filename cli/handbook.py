"""Writes the reference of events, commands, rules and views from the code itself.

`python -m cli.handbook FOLDER` writes one Markdown file for each; `make docs` calls
it, and a test holds the files in `docs/reference` against what it would write.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ledger.commands.registry import COMMANDS, COMMON, Command, Parameter
from ledger.domain.catalogue import AGGREGATES, EVENTS
from ledger.domain.event import EventData
from ledger.domain.provenance import Provenance
from ledger.domain.values import Amount, Id, Month, Power, Price, Ratio, Slug, SystemId
from ledger.rules.rulebook import RULES
from projections.engine.nouns import NOUNS
from projections.engine.view import View
from projections.registry import ANSWERED

WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    bool: "true or false",
    date: "date",
    Amount: "amount",
    Power: "power",
    Ratio: "ratio",
    Price: "price",
    Id: "id",
    Slug: "slug",
    SystemId: "system",
    Month: "month",
}
VALUES: Final = """\
| value | is written as |
|---|---|
| amount | `100000000000.00 USD`, or whole shares: `160000000 shares`; read also as `100bn USD`; at most 10^24 of its last decimal |
| power | `10000000000 W`; read also as kW, MW and GW; at most 1,000,000 GW |
| ratio | a decimal of zero or more: `1.20`; at most 10^15, with 18 decimals |
| price | money per share: `23.28 USD`; at most 10^15, with 18 decimals |
| date | `2025-09-22` |
| month | `2026-07` |
| id | letters, digits, `.`, `_` and `-`, at most 80, beginning with a letter or digit |
| slug | the same in lower case, without `.` and `_`, at most 60: a deal or a party |
| system | manufacturer and serial: `nvidia/VR-000123` |
| text | a name of at most 500 characters, prose of at most 65,536 |
"""
ELSEWHERE: Final[dict[str, tuple[str, str]]] = {
    "FND-04": (
        "A step pays for whole blocks alone, clamped to the tranche's size.",
        "the formula, `ledger/domain/triggers.py`",
    ),
    "MIL-04": (
        "Changed evidence voids the sign-offs that were given to the old.",
        "the aggregate, `ledger/domain/milestone.py`",
    ),
    "MIL-05": (
        "A disputed milestone unlocks nothing.",
        "the evaluation of triggers, `ledger/domain/evaluation.py`",
    ),
    "REC-01": (
        "Entries are never changed and never deleted.",
        "triggers in the database; no command does it",
    ),
    "REC-03": (
        "The store alone stamps position and recorded time, in commit order.",
        "the store, under its lock",
    ),
    "REC-05": (
        "The same command id gives the first answer and writes nothing.",
        "the application, and a unique table",
    ),
    "REC-06": (
        "A stream that the decision read has not moved when its events are appended.",
        "the store, under its lock",
    ),
    "REC-09": (
        "The record replays to the same views, and every hash holds.",
        "`accord verify`, `accord verify --views`",
    ),
    "REC-10": (
        "An unknown event type or a newer schema stops reading; it is never skipped.",
        "decoding, `ledger/domain/transcoding.py`",
    ),
    "REC-15": (
        "An entry is read back from its bytes as it was, and has at most 1 MiB of them.",
        "every entry, when all other rules have agreed",
    ),
}
GENERATED: Final = (
    "Written by `make docs` from the code; a test holds the two together.\n"
)


def main() -> None:
    """Write every page of the reference into the folder named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def events_page() -> str:
    """The reference of events: what each says, and its fields."""
    shapes = _Shapes()
    lines = [
        "# Events",
        "",
        GENERATED,
        f"{len(EVENTS)} types of event. A tag, once released, is never renamed or reused.",
        "An event's bytes are one JSON envelope: `identity` (stamped by the store),",
        "`provenance` (below) and `data` (the fields of its type, with the tag as `type`).",
        "",
        "## Provenance",
        "",
        *_docstring(Provenance),
        *_fields(Provenance, shapes),
    ]
    for module, found in _by_module():
        kinds = [kind for kind in AGGREGATES if kind.__module__ == module]
        lines += ["", f"## {' and '.join(kind.__name__ for kind in kinds)}", ""]
        lines += [(kind.__doc__ or "").split("\n")[0] for kind in kinds]
        for event in found:
            lines += ["", f"### `{event.tag()}`", "", *_docstring(event)]
            lines += _fields(event, shapes)
    return _page([*lines, *shapes.section()])


def commands_page() -> str:
    """The reference of commands: each one's line, parameters and examples."""
    shapes = _Shapes()
    lines = [
        "# Commands",
        "",
        GENERATED,
        f"{len(COMMANDS)} commands. On the command line: `accord NOUN VERB DEAL …`;",
        "in a batch: one JSON object a line, with the same names and `_` for `-`.",
        "An option marked *repeats* is given once for each value; in JSON it is a list.",
        "",
        "Every command also takes:",
        "",
        "| option | is |",
        "|---|---|",
        *(f"| `{_option(name)}` | {_cell(text)} |" for name, text in COMMON.items()),
    ]
    noun = ""
    for command in COMMANDS.values():
        if command.noun != noun:
            noun = command.noun
            lines += ["", f"## {noun}"]
        lines += ["", f"### `{command.name}`", "", *_command(command, shapes)]
    return _page([*lines, *shapes.section()])


def rules_page() -> str:
    """The reference of rules: each code, its sentence, and what it guards."""
    lines = [
        "# Rules",
        "",
        GENERATED,
        "A rule is a pure function of the record as it stands and the event proposed.",
        "A refusal prints the code, what was refused with its numbers, and what to do;",
        "nothing is written.",
        "",
        "| code | rule | guards |",
        "|---|---|---|",
    ]
    rows = [
        (code, sentence, f"*{where}*") for code, (sentence, where) in ELSEWHERE.items()
    ]
    rows += [
        (code, sentence, _tags(tags)) for (code, sentence), tags in _guards().items()
    ]
    lines += [
        f"| {code} | {_cell(text)} | {guards} |" for code, text, guards in sorted(rows)
    ]
    return _page(lines)


def views_page() -> str:
    """The reference of views: the question each answers, and its columns."""
    shapes = _Shapes()
    lines = [
        "# Views",
        "",
        GENERATED,
        f"{len(ANSWERED)} views. Each is `accord view NAME [DEAL]`, takes `--as-of DATE` and",
        "`--known-at DATETIME`, and can be rebuilt from the record at any time.",
        "Quantities are text with a separate unit; a column that is empty is `null` in JSON.",
    ]
    for view in ANSWERED:
        lines += ["", f"## `{view.name}`", "", view.question, ""]
        lines += _docstring(view.row)
        lines += ["| column | type |", "|---|---|"]
        lines += [f"| `{name}` | {kind} |" for name, kind in _columns(view.row, shapes)]
        if view.reads:
            lines += ["", f"It draws on {_drawn_on(view)}."]
    return _page([*lines, *shapes.tables()])


def _drawn_on(view: View) -> str:
    """The views whose rows a view reads; the state of every kind in few words."""
    every = set(NOUNS) <= set(view.reads)
    names = [
        f"`{other.name}`" for other in view.reads if not (every and other in NOUNS)
    ]
    return ", ".join([*names, "the state of every kind"] if every else names)


PAGES: Final[dict[str, Callable[[], str]]] = {
    "events.md": events_page,
    "commands.md": commands_page,
    "rules.md": rules_page,
    "views.md": views_page,
}


class _Shapes:
    """The structs that fields are made of, gathered while a page is written."""

    def __init__(self) -> None:
        self._found: dict[str, type[Any]] = {}

    def text(self, kind: Any) -> str:
        """A type in words; a struct by its name, with its own table further down."""
        if kind in WORDS:
            return WORDS[kind]
        arms = get_args(kind)
        if get_origin(kind) in {Union, types.UnionType}:
            return self._union([arm for arm in arms if arm is not types.NoneType])
        if get_origin(kind) is Literal:
            return ", ".join(f"`{arm}`" for arm in arms)
        if get_origin(kind) in {tuple, list}:
            return f"list of {self.text(arms[0])}"
        assert issubclass(kind, msgspec.Struct), kind
        found = self._found.setdefault(kind.__name__, kind)
        assert found is kind, (found, kind)
        return f"[{kind.__name__}](#{kind.__name__.lower()})"

    def _union(self, arms: list[Any]) -> str:
        return " or ".join(self.text(arm) for arm in arms)

    def section(self) -> Iterator[str]:
        """The tables of the structs met so far, and of those met while writing them."""
        yield from ("", "## Values and shapes", "", VALUES.rstrip())
        yield from self.tables()

    def tables(self) -> Iterator[str]:
        """The same, without the table of values."""
        done: set[str] = set()
        lines: dict[str, list[str]] = {}
        while len(done) < len(self._found):
            for name in [name for name in self._found if name not in done]:
                done.add(name)
                kind = self._found[name]
                lines[name] = [*_docstring(kind), *_fields(kind, self)]
        for name in sorted(lines):
            yield from ("", f"### {name}", "", *lines[name])


def _by_module() -> Iterator[tuple[str, list[type[EventData]]]]:
    found: dict[str, list[type[EventData]]] = {}
    for event in EVENTS:
        found.setdefault(event.__module__, []).append(event)
    return iter(found.items())


def _docstring(kind: type[Any]) -> list[str]:
    return [*inspect.cleandoc(kind.__doc__ or "").split("\n"), ""]


def _fields(kind: type[Any], shapes: _Shapes) -> list[str]:
    hints = get_type_hints(kind)
    config = kind.__struct_config__
    rows = []
    if config.tag is not None and not issubclass(kind, EventData):
        rows.append(f"| `{config.tag_field}` | `{config.tag}` | |")
    rows += [
        f"| `{field.encode_name}` | {shapes.text(hints[field.name])} "
        f"| {'required' if field.required else _default(field.default)} |"
        for field in msgspec.structs.fields(kind)
    ]
    if not rows:
        return ["No fields of its own."]
    return ["| field | type | where left out |", "|---|---|---|", *rows]


def _columns(row: type[Any], shapes: _Shapes) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(row)
    for field in msgspec.structs.fields(row):
        yield field.encode_name, shapes.text(hints[field.name])


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _command(command: Command, shapes: _Shapes) -> Iterator[str]:
    yield command.summary
    if command.details:
        yield from ("", command.details)
    if command.parameters:
        yield from ("", "| parameter | is | type | |", "|---|---|---|---|")
        for parameter in command.parameters:
            yield _parameter(parameter, shapes)
    yield from ("", "```sh", *command.examples, "```")


def _parameter(parameter: Parameter, shapes: _Shapes) -> str:
    name = parameter.name.upper() if parameter.positional else _option(parameter.name)
    notes = ["required" if parameter.required else "optional"]
    kind = parameter.optional_of
    if kind is bool and parameter.required:
        name += f"/--no-{name[2:]}"
    if parameter.repeated:
        notes.append("repeats")
        kind = parameter.item
    return (
        f"| `{name}` | {_cell(parameter.text)} | {shapes.text(kind)} "
        f"| {', '.join(notes)} |"
    )


def _option(name: str) -> str:
    return "--" + name.rstrip("_").replace("_", "-")


def _guards() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for event, guards in RULES.items():
        for code, guard in guards:
            sentence = inspect.cleandoc(guard.__doc__ or "").split("\n")[0]
            found.setdefault((code, sentence), []).append(event.tag())
    return found


def _tags(tags: list[str]) -> str:
    if len(tags) == len(EVENTS):
        return "every event"
    return ", ".join(f"`{tag}`" for tag in tags)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _page(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


if __name__ == "__main__":
    main()
