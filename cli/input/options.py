"""Options and arguments that many commands share, and how their values are read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cli.session import Session, where_and_who, where_to_read
from ledger.errors import AccordError, InvalidValue, quoted

if TYPE_CHECKING:
    from projections.engine.view import View

FORMATS: Final = ("table", "json", "jsonl", "csv")
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"
)
F = TypeVar("F", bound=Callable[..., Any])


class NearestGroup(click.Group):
    """A group that names the nearest commands where there is none of that name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument, or a usage error with suggestions."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None


def parse_moment(text: str) -> datetime:
    """Read a time, or a day, which means its end; without a zone it is UTC."""
    from ledger.domain.values import parse_date

    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return datetime.combine(parse_date(text), time.max, UTC)
    if not _MOMENT.fullmatch(text):
        raise InvalidValue(
            f"{quoted(text)} is not a time. Write YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ."
        )
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(f"{quoted(text)} is not a time in the calendar.") from None


def parse_position(text: str) -> int | None:
    """Read `#` and a position; None for what begins otherwise."""
    if not text.startswith("#"):
        return None
    digits = text[1:].replace(",", "")
    if not re.fullmatch(r"[1-9][0-9]{0,17}", digits):
        raise InvalidValue(
            f"{quoted(text)} is not a position. Write '#' and a number from 1, as in '#12'."
        )
    return int(digits)


class Day(click.ParamType[date]):
    """A day of the calendar."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> date:
        """Read a day; InvalidValue goes on to where errors become messages."""
        from ledger.domain.values import parse_date

        return value if isinstance(value, date) else parse_date(value)


class Moment(click.ParamType[datetime | int]):
    """A time, the end of a day, or `#` and a position of the record."""

    name = "DATETIME|#POSITION"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> datetime | int:
        """Read a time or position; InvalidValue goes on to where messages are made."""
        if isinstance(value, datetime | int):
            return value
        return parse_position(value) or parse_moment(value)


class Point(click.ParamType[date | datetime | int]):
    """A day, on which something was so; a time or `#` and a position, when it was known."""

    name = "DATE|TIME|#POSITION"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> date | datetime | int:
        """Read a point; InvalidValue goes on to where messages are made."""
        from ledger.domain.values import parse_date

        if isinstance(value, date | int):
            return value
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return parse_date(value)
        return parse_position(value) or parse_moment(value)


class DealId(click.ParamType[str]):
    """The id of a deal; completes from the ledger."""

    name = "DEAL"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> str:
        """Read a deal's id."""
        from ledger.domain.values import Slug

        return str(Slug.parse(value))

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The deals on the record that begin so; none where there is no ledger."""
        from click.shell_completion import CompletionItem

        from ledger.record.store import open_store

        # A shell that is completing a line is no place for an error message.
        with suppress(AccordError, OSError):
            store = open_store(ctx.ensure_object(Session).db)
            try:
                streams = store.openings("agreement")
            finally:
                store.close()
            deals = (stream.partition("/")[2] for stream in streams)
            return [CompletionItem(d) for d in deals if d.startswith(incomplete)]
        return []


class ViewName(click.ParamType[str]):
    """The name of a view; completes from the registry.

    Those that stand `beside` the record are folded from no events: they can be asked,
    and neither rebuilt nor traced to an event.
    """

    name = "NAME"

    def __init__(self, *, beside: bool = False) -> None:
        self._beside = beside

    def _views(self) -> Sequence[View]:
        from projections.registry import ANSWERED, VIEWS

        return ANSWERED if self._beside else VIEWS

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Read the name of a view that there is."""
        import difflib

        names = [view.name for view in self._views()]
        if value not in names:
            near = difflib.get_close_matches(value, names)
            hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
            said = f"There is no view {quoted(value)}. {hint or 'See them with: accord view'}"
            self.fail(said, param, ctx)
        return str(value)

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The views whose names begin so, with the question of each."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(view.name, help=view.question)
            for view in self._views()
            if view.name.startswith(incomplete)
        ]


def format_option() -> click.Option:
    """How the answer is written."""
    return click.Option(
        ["--format", "form"],
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to write the answer.",
    )


def _add(function: F, options: list[click.Option]) -> F:
    # Click gathers parameters from the innermost decorator outwards.
    known = getattr(function, "__click_params__", [])
    function.__click_params__ = [*reversed(options), *known]  # type: ignore[attr-defined]
    return function


def placed(function: F) -> F:
    """Give a command `--db` and `--actor`."""
    return _add(function, where_and_who())


def formatted(function: F) -> F:
    """Give a command `--format`."""
    return _add(function, [format_option()])


def bitemporal(function: F) -> F:
    """Give a read its two dates, its format, and `--db`."""
    return _add(
        function,
        [
            click.Option(
                ["--as-of"],
                type=Day(),
                metavar="YYYY-MM-DD",
                help="Only what was so by the end of that day.",
            ),
            click.Option(
                ["--known-at"],
                type=Moment(),
                metavar="DATETIME|#POSITION",
                help="Only what was on the record by then; a day means its end, UTC.",
            ),
            format_option(),
            *where_to_read(),
            *where_and_who(),
        ],
    )


def read_json(option: str, text: str) -> Any:
    """Inline JSON, or that of a file as `@file.json`, or of `@-`, standard input."""
    if text.startswith("@"):
        where = f"{option}: {text[1:]}"
        return parse_json(where, as_text(where, read_bytes(text[1:])))
    return parse_json(option, text)


def read_bytes(name: str) -> bytes:
    """All that is in a file, or for `-` in standard input."""
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:  # noqa: PTH123 - no pathlib at start-up
        return file.read()


def as_text(what: str, data: bytes) -> str:
    """Bytes as UTF-8 text, without a byte order mark; InvalidValue if they are not."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{what} is not UTF-8 text: {error.reason}.") from None


def parse_json(where: str, text: str) -> Any:
    """JSON, strictly: no key twice, no NaN; InvalidValue says where it breaks."""
    import json

    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise InvalidValue(
            f"{where} is not JSON: {error.msg}, at {line}column {error.colno}."
        ) from None
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None
    except ValueError:
        # A number of thousands of digits.
        raise InvalidValue(f"{where} is not JSON that can be read.") from None
    except RecursionError:
        from ledger.domain.limits import MOST_DEPTH

        raise InvalidValue(
            f"{where} is not JSON that can be read: it is nested too deep; the most "
            f"are {MOST_DEPTH} levels."
        ) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidValue(f"the key {quoted(key)} stands twice.")
        found[key] = value
    return found


def _constant(name: str) -> Any:
    raise InvalidValue(f"{name} is not a number.")
