"""`accord`: the root of all commands, and the one place where errors become messages.

Exit codes: 0 done; 2 what can be judged without opening the ledger; 1 what the ledger
or the world refuses; 3 bytes, hashes and heads; 130 interrupted. Data goes to stdout,
everything else to stderr.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from cli.commands.checking import CHECKING
from cli.commands.nouns import NOUNS, NounGroup
from cli.commands.proofs import PROOF
from cli.commands.reads import READS
from cli.commands.record import RECORD
from cli.commands.reference import REFERENCE
from cli.input.options import NearestGroup
from cli.session import Session, where_and_who
from ledger.errors import AccordError, IntegrityFailure, InvalidValue, Refused
from ledger.version import __version__

DONE: Final = 0
REFUSED: Final = 1
MISUSED: Final = 2
BROKEN: Final = 3
INTERRUPTED: Final = 130
YOUNG: Final = 100_000
"""New objects after which the collector of garbage looks at them."""

HELP: Final = """Keep the record of a staged partnership: what was announced, what
binds, what was built, what was paid.

\b
  accord demo
  accord show openai-nvidia
  accord show openai-nvidia --as-of 2025-10-01
  accord verify

A deal of your own:

\b
  accord init
  accord agreement open acme-orion --title "Acme and Orion" \\
      --capital acme --capacity orion --actor ann@acme
"""


class Root(NearestGroup):
    """The root group: commands by section, nouns loaded when they are asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command and noun, in the order of the help."""
        return [name for _, names in self._sections() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, or the group of a noun."""
        if cmd_name in NOUNS:
            return NounGroup(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands by section, a line each."""
        for title, names in self._sections():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(limit=100)))
            with formatter.section(title):
                formatter.write_dl(rows)

    @staticmethod
    def _sections() -> list[tuple[str, list[str]]]:
        return [
            ("The record", [str(command.name) for command in RECORD]),
            ("What it says", [str(command.name) for command in READS]),
            (
                "What a stranger can check",
                [str(command.name) for command in (*PROOF, *CHECKING)],
            ),
            ("Commands, by noun", list(NOUNS)),
            ("Reference", [str(command.name) for command in REFERENCE]),
        ]

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        """Run; turn whatever goes wrong into one message and an exit code."""
        session = Session()
        for stream in (sys.stdout, sys.stderr):
            # A name that the terminal cannot show is no reason to fail.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        extra.update(standalone_mode=False, obj=session)
        try:
            code = super().main(args, prog_name or "accord", **extra)
            sys.stdout.flush()
        except click.Abort as stopped:
            _say("Interrupted. What was not finished was not written.")
            _tell_notes(stopped.__cause__)
            sys.exit(INTERRUPTED)
        except (click.ClickException, AccordError, OSError) as error:
            code = explain(error, opened=session.opened)
            _tell_notes(error)
            sys.exit(code)
        sys.exit(code if isinstance(code, int) else DONE)


def explain(error: Exception, *, opened: bool) -> int:
    """Say what went wrong, on stderr; the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return MISUSED
        case click.ClickException():
            _say(error.format_message())
            context = getattr(error, "ctx", None)
            if context is not None:
                click.echo(f"See '{context.command_path} --help'.", err=True)
            return MISUSED
        case Refused():
            _say(f"{error.code}: {error.sentence}")
            if error.todo:
                click.echo(error.todo, err=True)
            return REFUSED
        case IntegrityFailure():
            _say(str(error))
            return BROKEN
        case InvalidValue() if not opened:
            _say(str(error))
            return MISUSED
        case OSError():
            _say(_of_file(error))
            return REFUSED
        case _:
            _say(str(error))
            return REFUSED


def _of_file(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}." if error.filename else f"{what}."


def _tell_notes(error: BaseException | None) -> None:
    for note in getattr(error, "__notes__", ()):
        click.echo(f"note: {note}", err=True)


def _say(sentence: str) -> None:
    click.echo(f"error: {sentence}", err=True)


root = Root(
    name="accord",
    help=HELP,
    params=[
        *where_and_who(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _, given: _version(context) if given else None,
            help="Print the version.",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in (*RECORD, *READS, *PROOF, *CHECKING, *REFERENCE):
    root.add_command(_command)


def _version(context: click.Context) -> NoReturn:
    click.echo(f"accord {__version__}")
    context.exit()


def main() -> None:
    """Run the command line."""
    # Modules and events are no garbage: looking for some among them takes a tenth of
    # the time of a short command.
    gc.set_threshold(YOUNG)
    try:
        root.main()
    finally:
        # Nor is what is left at the end, which would be looked through twice more.
        gc.freeze()
