"""A command of the command line, made from the ledger command's own definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import click

from cli.input.options import DealId, format_option, read_json
from cli.screen.receipts import print_proposed, print_receipts
from cli.session import session, where_and_who
from ledger.commands.registry import COMMON, request_of
from ledger.errors import BatchRefused, InvalidValue

if TYPE_CHECKING:
    from ledger.application import Ledger
    from ledger.commands.registry import Command, Parameter, Request

WIDEST: Final = 40
"""Characters of choices that an option shows beside its name rather than in its text."""


def noun_command(command: Command) -> click.Command:
    """`accord NOUN VERB DEAL …`, with the options that the definition names."""
    positional = [p for p in command.parameters if p.positional]

    def run(**given: Any) -> None:
        _run(command, given)

    return made(
        command,
        run,
        [
            click.Argument(["deal"], type=DealId()),
            *(
                click.Argument([p.name], type=_kind(p.item)[0], metavar=p.name.upper())
                for p in positional
            ),
        ],
        [p for p in command.parameters if not p.positional],
    )


def made(
    command: Command,
    run: Callable[..., None],
    arguments: Sequence[click.Argument],
    options: Sequence[Parameter],
) -> click.Command:
    """A command of the command line, with its own arguments and options."""
    return click.Command(
        name=command.verb,
        callback=run,
        help=help_text(command),
        short_help=command.summary.rstrip("."),
        params=[
            *arguments,
            *(_option(p) for p in sorted(options, key=lambda p: not p.required)),
            *_common_options(),
            *where_and_who(),
        ],
    )


def help_text(command: Command) -> str:
    """A command's help: what it does, then examples whose lines stay as they are."""
    parts = [command.summary]
    if command.details:
        parts.append(command.details)
    if command.examples:
        lines = [line for example in command.examples for line in _folded(example)]
        parts.append("\b\nExample:\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _folded(example: str) -> list[str]:
    """An example in lines of a terminal's width, still one command for the shell."""
    words = example.split(" --")
    lines = ["  " + words[0]]
    for word in words[1:]:
        piece = f" --{word}"
        if len(lines[-1]) + len(piece) > 76:  # noqa: PLR2004 - 80, less the backslash
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += piece
    return lines


def _option(parameter: Parameter) -> click.Option:
    name = parameter.name.replace("_", "-")
    text = parameter.text + (", repeatable" if parameter.repeated else "")
    kind, metavar = _kind(parameter.item)
    if isinstance(kind, click.Choice) and len("|".join(kind.choices)) > WIDEST:
        metavar = "CHOICE"
        text += ": " + ", ".join(kind.choices)
    if parameter.required:
        text += "  [required]"
    elif parameter.default not in (None, False, ()):
        text += f"  [default: {parameter.default}]"
    if parameter.item is bool:
        # A flag that must be given has two sides; neither is taken for granted.
        sides = f"--{name}/--no-{name}" if parameter.required else f"--{name}"
        return click.Option(
            [sides, parameter.name],
            is_flag=True,
            default=None if parameter.required else False,
            help=text,
        )
    return click.Option(
        [f"--{name}", parameter.name],
        type=kind,
        metavar=metavar,
        multiple=parameter.repeated,
        help=text,
    )


_METAVARS: Final = {
    "Amount": "AMOUNT",
    "Power": "POWER",
    "Ratio": "RATIO",
    "Price": "PRICE",
    "Id": "ID",
    "Slug": "SLUG",
    "SystemId": "MAKER/SERIAL",
    "Month": "YYYY-MM",
    "date": "YYYY-MM-DD",
    "str": "TEXT",
}


def _kind(item: Any) -> tuple[Any, str | None]:
    """What click checks of a value, and how help names it; the rest is the ledger's."""
    if get_origin(item) is Literal:
        return click.Choice(get_args(item)), None
    if item is int:
        return click.INT, "NUMBER"
    return click.STRING, _METAVARS.get(getattr(item, "__name__", ""), "JSON|@FILE")


def _is_json(parameter: Parameter) -> bool:
    return _kind(parameter.item)[1] == "JSON|@FILE" and parameter.item is not bool


def _common_options() -> list[click.Option]:

    common: dict[str, dict[str, Any]] = {
        "effective_on": {"metavar": "YYYY-MM-DD"},
        "status": {"type": click.Choice(["confirmed", "reported", "disputed"])},
        "evidence": {"metavar": "JSON|@FILE", "multiple": True},
        "reason": {"metavar": "TEXT"},
        "command_id": {"metavar": "TEXT"},
        "correlation_id": {"metavar": "TEXT"},
    }
    return [
        *(
            click.Option(
                [f"--{name.replace('_', '-')}", name], help=COMMON[name], **settings
            )
            for name, settings in common.items()
        ),
        click.Option(
            ["--dry-run"], is_flag=True, help="show what it would record; write nothing"
        ),
        format_option(),
    ]


def request_from(command: Command, given: Mapping[str, Any]) -> Request:
    """What the options ask for, checked as far as it goes without the ledger.

    InvalidValue names every option that does not fit.
    """
    line: dict[str, Any] = {
        "command": command.name,
        "deal": given["deal"],
        "actor": session().acting(),
    }
    for name in COMMON:
        if name not in line and given.get(name):
            line[name] = given[name]
    if "evidence" in line:
        line["evidence"] = _flat(read_json("--evidence", t) for t in line["evidence"])
    for parameter in command.parameters:
        value = given[parameter.name]
        left_out = value is False and not parameter.required
        if value is None or value == () or left_out:
            continue
        line[parameter.name] = _value(parameter, value)
    request = request_of(line)
    try:
        command.decode(request.parameters)
    except InvalidValue as error:
        raise InvalidValue(_as_options(str(error), command)) from None
    return request


def _value(parameter: Parameter, value: Any) -> Any:
    option = f"--{parameter.name.replace('_', '-')}"
    if _is_json(parameter):
        if parameter.repeated:
            return _flat(read_json(option, text) for text in value)
        return read_json(option, value)
    return list(value) if parameter.repeated else value


def _flat(values: Any) -> list[Any]:
    """One list, whether the user gave objects one by one or in an array."""
    found: list[Any] = []
    for value in values:
        found.extend(value if isinstance(value, list) else [value])
    return found


def _as_options(sentence: str, command: Command) -> str:
    """The sentence with parameters named as the options that they are here."""
    for parameter in command.parameters:
        if not parameter.positional:
            option = f"--{parameter.name.replace('_', '-')}"
            sentence = sentence.replace(f"'{parameter.name}'", option)
    return sentence


def _run(command: Command, given: dict[str, Any]) -> None:
    request = request_from(command, given)
    with session().ledger() as ledger:
        carry_out(ledger, request, given)


def carry_out(ledger: Ledger, request: Request, given: Mapping[str, Any]) -> None:
    """Carry a command out, or show what it would record, and print the outcome."""
    if not given["dry_run"]:
        print_receipts([ledger.execute(request)], given["form"])
        return
    try:
        events = ledger.dry_run([(1, request)])
    except BatchRefused as refused:
        # A single command has no lines to name.
        raise refused.problems[0][1] from None
    print_proposed(ledger, events, given["form"])
