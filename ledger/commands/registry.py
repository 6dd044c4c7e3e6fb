"""From a command's function to everything else: options, batch keys, reference.

A command is a public function of a noun's module whose first parameter is the
`Decision`. `sign_loi` in `agreement.py` is `accord agreement sign-loi DEAL`. The
parameters before `*` are positional after DEAL; the rest are options of the same name.
Each is annotated `Annotated[type, "what it is"]`; the docstring is the help text, and
a line of it that begins with `accord ` is an example.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from ledger.commands import (
    agreement,
    calendar,
    certificate,
    funding,
    milestone,
    observation,
    order,
    period,
    plan,
    reverse,
    sku,
    system,
)
from ledger.commands.reads import Ids, read_by
from ledger.domain.aggregate import Aggregate, World
from ledger.domain.limits import check as check_limits
from ledger.domain.provenance import Evidence, Status
from ledger.domain.system import System
from ledger.domain.transcoding import from_builtins, from_command
from ledger.domain.values import SystemId, parse_date
from ledger.errors import QUOTED, InvalidValue, quoted

MODULES: Final = (
    agreement,
    plan,
    milestone,
    sku,
    order,
    system,
    certificate,
    funding,
    observation,
    calendar,
    period,
    reverse,
)
COMMON: Final[Mapping[str, str]] = {
    "actor": "who acts, NAME@PARTY",
    "effective_on": "the day on which it was so; today where left out",
    "status": "confirmed, reported or disputed; from the evidence where left out",
    "evidence": "documents or pages that the fact rests on",
    "reason": "why, in the actor's words",
    "command_id": "repeats of the same id write nothing",
    "correlation_id": "the business case that this belongs to",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command: its type, its sentence, and whether it must be given."""

    name: str
    kind: Any
    text: str
    positional: bool
    required: bool
    default: Any

    @cached_property
    def optional_of(self) -> Any:
        """The type without `| None`."""
        if isinstance(self.kind, types.UnionType):
            rest = [arm for arm in get_args(self.kind) if arm is not types.NoneType]
            if len(rest) == 1:
                return rest[0]
        return self.kind

    @cached_property
    def repeated(self) -> bool:
        """Whether it is a list, given by repeating the option."""
        return get_origin(self.optional_of) is tuple

    @cached_property
    def item(self) -> Any:
        """The type of one value of it."""
        kind = self.optional_of
        return get_args(kind)[0] if self.repeated else kind


@dataclass(frozen=True)
class Command:
    """A command as its function defines it."""

    noun: str
    verb: str
    run: Callable[..., None]
    summary: str
    details: str
    examples: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """Noun and verb, `agreement sign-loi`."""
        return f"{self.noun} {self.verb}"

    @cached_property
    def _systems(self) -> tuple[Parameter, ...]:
        named = (one for one in self.parameters if one.item is SystemId)
        return tuple(one for one in named if one.required)

    def systems_of(self, arguments: Mapping[str, Any]) -> Iterator[SystemId]:
        """The systems that decoded arguments name."""
        for parameter in self._systems:
            value = arguments[parameter.name]
            yield from value if parameter.repeated else (value,)

    def decode(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Plain parameters, under their own names, as the function's arguments.

        Every unknown, missing or unreadable one is named in a single InvalidValue.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        wrong = [
            f"{quoted(name)} is not a parameter of '{self.name}'"
            for name in given
            if name not in known
        ]
        arguments = {}
        for name, parameter in known.items():
            if name not in given:
                if parameter.required:
                    wrong.append(f"'{name}' is missing: {parameter.text}")
                continue
            try:
                arguments[name] = _decode(name, given[name], parameter.kind)
            except InvalidValue as error:
                said = str(error).rstrip(".")
                named = said.startswith(f"'{name}' ")
                wrong.append(said if named else f"'{name}': {said}")
        if wrong:
            raise InvalidValue("; ".join(wrong) + ".")
        return arguments


def read_ahead(
    world: World, asked: Iterable[tuple[Command, str, dict[str, Any]]]
) -> None:
    """Read what commands will look at, in few queries: systems, then the rest."""
    commands = list(asked)
    named = (one for command, _, given in commands for one in command.systems_of(given))
    world.ahead(System, ((one,) for one in named))
    rest: dict[type[Aggregate], list[Ids]] = {}
    for command, deal, given in commands:
        for kind, ids in read_by(command.run, world, deal, given):
            rest.setdefault(kind, []).append(ids)
    for kind, many in rest.items():
        world.ahead(kind, many)


def _decode(name: str, value: Any, kind: Any) -> Any:
    texts = value if isinstance(value, list | tuple) else [value]
    if date in (kind, *get_args(kind)) and all(isinstance(t, str) for t in texts):
        # Our own sentence for what is no day, in place of the decoder's.
        days = [parse_date(text) for text in texts]
        value = days if texts is value else days[0]
    return from_command(name, value, kind)


def _parameters(function: Callable[..., None]) -> tuple[Parameter, ...]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        hint = hints[name]
        assert get_origin(hint) is Annotated, (function, name)
        kind, text = get_args(hint)[:2]
        required = parameter.default is inspect.Parameter.empty
        found.append(
            Parameter(
                name=name,
                kind=kind,
                text=text,
                positional=parameter.kind is parameter.POSITIONAL_OR_KEYWORD,
                required=required,
                default=None if required else parameter.default,
            )
        )
    return tuple(found)


def _command(noun: str, function: Callable[..., None]) -> Command:
    lines = inspect.cleandoc(function.__doc__ or "").split("\n")
    examples = tuple(line for line in lines[1:] if line.startswith("accord "))
    details = "\n".join(line for line in lines[1:] if line not in examples).strip()
    return Command(
        noun=noun,
        verb=function.__name__.rstrip("_").replace("_", "-"),
        run=function,
        summary=lines[0],
        details=details,
        examples=examples,
        parameters=_parameters(function),
    )


def _commands() -> dict[str, Command]:
    found = {}
    for module in MODULES:
        noun = module.__name__.rpartition(".")[2]
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                command = _command(noun, function)
                found[command.name] = command
    return found


COMMANDS: Final[dict[str, Command]] = _commands()


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command as it was asked for: the line of a batch, or what an option set says."""

    command: str
    deal: str
    parameters: dict[str, Any]
    actor: str | None = None
    effective_on: date | None = None
    status: Status | None = None
    evidence: tuple[Evidence, ...] = ()
    reason: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None


def find(name: str) -> Command:
    """The command of a name; InvalidValue with the nearest ones where there is none."""
    try:
        return COMMANDS[name]
    except KeyError:
        import difflib

        near = difflib.get_close_matches(name[:QUOTED], COMMANDS, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise InvalidValue(f"There is no command {quoted(name)}.{hint}") from None


def request_of(line: Mapping[str, Any]) -> Request:
    """A batch line as a request; InvalidValue says what does not fit.

    The keys are `command`, `deal`, the common ones, and the command's own parameters.
    """
    rest = dict(line)
    for key in ("command", "deal"):
        if not isinstance(rest.get(key), str):
            raise InvalidValue(f"The line has no {key!r}.")
    common: dict[str, Any] = {key: rest.pop(key) for key in COMMON if key in rest}
    if isinstance(common.get("evidence"), dict):
        common["evidence"] = [common["evidence"]]
    if isinstance(common.get("effective_on"), str):
        common["effective_on"] = parse_date(common["effective_on"])
    command = rest.pop("command")
    deal = rest.pop("deal")
    for name, value in common.items():
        check_limits(name, value)
    found: Request = from_builtins(
        {"command": command, "deal": deal, "parameters": rest, **common}, Request
    )
    return found
