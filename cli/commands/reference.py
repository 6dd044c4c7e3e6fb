"""The reference, made from the code: commands, events, rules, schema, completion."""

from __future__ import annotations

import inspect
import types
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from cli.input.options import formatted
from cli.screen.output import Sheet, write
from ledger.commands.registry import COMMANDS, COMMON
from ledger.domain.catalogue import EVENTS
from ledger.domain.transcoding import json_schema, to_builtins
from ledger.rules.rulebook import CODES

if TYPE_CHECKING:
    from ledger.commands.registry import Command, Parameter
    from ledger.domain.event import EventData


@click.command()
@formatted
def commands(form: str) -> None:
    """List every command of every noun, with its parameters.

    The keys of a batch line are these names; the options of the command line are the
    same with dashes.

    \b
    Example:
      accord commands
      accord commands --format json
    """
    described = [_command(command) for command in COMMANDS.values()]
    common = [{"name": name, "text": text} for name, text in COMMON.items()]
    if form in {"json", "jsonl"}:
        whole = {"common": common, "commands": described}
        write(Sheet(described, (), whole), form)
        return
    rows = [
        {"command": entry["command"], "does": entry["summary"]} for entry in described
    ]
    write(Sheet(rows, ("command", "does"), None), form)


def _command(command: Command) -> dict[str, Any]:
    return {
        "command": command.name,
        "summary": command.summary,
        "details": command.details,
        "examples": list(command.examples),
        "parameters": [_parameter(p) for p in command.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:

    return {
        "name": parameter.name,
        "text": parameter.text,
        "type": type_name(parameter.kind),
        "positional": parameter.positional,
        "repeated": parameter.repeated,
        "required": parameter.required,
        "default": to_builtins(parameter.default),
    }


def type_name(kind: Any) -> str:
    """A type as the reference writes it: `Amount`, `tuple[Slug, ...]`, `draw | none`."""
    if kind is types.NoneType:
        return "none"
    if get_origin(kind) is Literal:
        return " | ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {type_name(get_args(kind)[0])}"
    if get_args(kind):
        return " | ".join(type_name(arm) for arm in get_args(kind))
    names = {"str": "text", "int": "integer", "bool": "flag"}
    name = getattr(kind, "__name__", str(kind))
    return names.get(name, name)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "jsonl", "csv", "markdown"]),
    default="table",
    show_default=True,
    help="How to write the answer.",
)
def events(form: str) -> None:
    """List every type of event, what it says happened, and its fields.

    \b
    Example:
      accord events
      accord events --format markdown
    """
    rows = [_event(event) for event in EVENTS]
    if form == "markdown":
        click.echo(_markdown(rows))
        return
    columns = ("type", "means") if form == "table" else ("type", "means", "fields")
    write(Sheet(rows, columns, {"events": rows}), form)


def _event(event: type[EventData]) -> dict[str, Any]:

    return {
        "type": event.tag(),
        "means": (inspect.getdoc(event) or "").split("\n\n")[0].replace("\n", " "),
        "fields": list(event.__struct_fields__),
    }


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| event | means | fields |", "|---|---|---|"]
    for row in rows:
        fields = ", ".join(f"`{name}`" for name in row["fields"])
        lines.append(f"| `{row['type']}` | {row['means']} | {fields} |")
    return "\n".join(lines)


@click.command()
@formatted
def rules(form: str) -> None:
    """List every rule that can refuse a command, by its code.

    \b
    Example:
      accord rules
    """
    rows = [
        {"code": code, "rule": sentence}
        for code in sorted(CODES)
        for sentence in CODES[code]
    ]
    write(Sheet(rows, ("code", "rule"), {"rules": rows}), form)


@click.command()
def schema() -> None:
    """Print the JSON Schema of an event, as it is stored and exported.

    \b
    Example:
      accord schema > event.schema.json
    """
    click.echo(json_schema())
