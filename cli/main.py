"""`accord`: the root of all commands, and the one place where errors become messages.

Exit codes: 0 done; 2 what can be judged without opening the ledger; 1 what the ledger
or the world refuses; 3 bytes, hashes and heads; 130 interrupted. Data goes to stdout,
everything else to stderr.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, NoReturn

import click

from cli.commands.nouns import NOUNS, NounGroup
from cli.hints import hint_of, told
from cli.input.options import NearestGroup
from cli.session import Session, where_and_who
from ledger.errors import AccordError, IntegrityFailure, InvalidValue, Refused
from ledger.version import __version__

DONE: Final = 0
REFUSED: Final = 1
MISUSED: Final = 2
BROKEN: Final = 3
INTERRUPTED: Final = 130
LONGEST: Final = 4_000
"""Characters of a line of an error."""
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


class Place(NamedTuple):
    """Where a command is defined, in `cli/commands`, and its line in the help."""

    where: str
    told: str


SECTIONS: Final[Mapping[str, Mapping[str, Place]]] = {
    "The record": {
        "init": Place("place:init", "Create the ledger and print where it is."),
        "demo": Place(
            "demo:demo", "Load a packaged deal, creating the ledger if need be."
        ),
        "append": Place("record:append", "Record a batch of commands, all or nothing."),
        "migrate": Place(
            "place:migrate",
            "Bring the ledger's tables up to date with this version of accord.",
        ),
        "doctor": Place(
            "place:doctor",
            "Examine the place where the ledger is kept, and say what to mend.",
        ),
        "verify": Place(
            "integrity:verify",
            "Recompute the whole record and compare it with its tree head.",
        ),
        "recheck": Place(
            "integrity:recheck",
            "Judge the whole history again by today's rules, and compute its figures again.",
        ),
        "export": Place(
            "carry:export", "Write every event, a line each, exactly as it is stored."
        ),
        "import": Place(
            "carry:import_",
            "Restore an export, or continue a record that it begins with.",
        ),
        "copy": Place(
            "place:copy",
            "Copy a ledger to another place, bytes and recorded times unchanged.",
        ),
        "views": Place(
            "stored_views:views",
            "Look after the stored views: their state, and building them anew.",
        ),
    },
    "What it says": {
        "list": Place("reads:list_", "List all deals, a line each."),
        "show": Place(
            "reads:show",
            "Show a deal's standing: its two ladders, state, conditions, disputes, links.",
        ),
        "view": Place(
            "reads:view",
            "Show a view, of one deal or of all; without a name, list the views.",
        ),
        "systems": Place(
            "systems:systems",
            "List the systems of a deal: where each is, in which state, with how much power.",
        ),
        "history": Place(
            "history:history",
            "List the events, newest last: what happened, who recorded it, on what evidence.",
        ),
        "replay": Place(
            "replay:replay",
            "Play a deal's history back, showing under each event what it changed.",
        ),
        "diff": Place(
            "compare:diff",
            "Show what changed in a deal between two days, recorded times or positions.",
        ),
        "changes": Place(
            "compare:changes",
            "Show what changed in all deals since a meeting, by what was recorded since.",
        ),
        "blame": Place(
            "compare:blame",
            "Show each figure of a view with the event that set it last.",
        ),
        "why": Place(
            "why:why",
            "Show why a figure is what it is: the events behind it, and their evidence.",
        ),
    },
    "What a stranger can check": {
        "key": Place(
            "proofs:key",
            "Make the keys with which checkpoints, proofs and receipts are signed.",
        ),
        "checkpoint": Place(
            "proofs:checkpoint",
            "Sign the tree head, so that others can hold the record to it",
        ),
        "prove": Place(
            "proofs:prove", "Prove to a stranger that an event is on the record"
        ),
        "check-proof": Place(
            "checking:check_proof", "Check a proof, with no ledger at hand."
        ),
        "check-receipt": Place(
            "checking:check_receipt",
            "Compute again what a receipt says of a view, and say same or what differs.",
        ),
        "check-bundle": Place(
            "check_bundle:check_bundle",
            "Verify a bundle, packed or unpacked, as the verifier within it does.",
        ),
    },
    "Commands, by noun": {noun: Place("", told) for noun, told in NOUNS.items()},
    "Reference": {
        "commands": Place(
            "reference:commands",
            "List every command of every noun, with its parameters.",
        ),
        "events": Place(
            "reference:events",
            "List every type of event, what it says happened, and its fields.",
        ),
        "rules": Place(
            "reference:rules", "List every rule that can refuse a command, by its code."
        ),
        "schema": Place(
            "reference:schema",
            "Print the JSON Schema of an event, as it is stored and exported.",
        ),
        "completion": Place(
            "completion:completion",
            "Print the script that completes accord's commands in a shell.",
        ),
    },
}
"""Every command by section. Only one that is asked for is loaded: hence the lines here,
which a test holds against what the commands say of themselves."""
PLACES: Final = {
    name: place for some in SECTIONS.values() for name, place in some.items()
}


class Root(NearestGroup):
    """The root group: commands by section, loaded when they are asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command and noun, in the order of the help."""
        return list(PLACES)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, or the group of a noun."""
        if cmd_name in NOUNS:
            return NounGroup(cmd_name)
        if cmd_name not in PLACES:
            return None
        module, _, name = PLACES[cmd_name].where.partition(":")
        found = getattr(import_module(f"cli.commands.{module}"), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(
        self, _ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands by section, a line each."""
        for title, places in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, one.told) for name, one in places.items()])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The commands whose names begin so, and the root's own options."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=place.told)
            for name, place in PLACES.items()
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)

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
            if hint := hint_of(error):
                click.echo(hint, err=True)
            return REFUSED
        case IntegrityFailure():
            _say(told(error))
            return BROKEN
        case InvalidValue() if not opened:
            _say(told(error))
            return MISUSED
        case OSError():
            _say(_of_file(error))
            return REFUSED
        case AccordError():
            _say(told(error))
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
    # Whatever it repeats of what was given, it stays a sentence.
    lines = (
        line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
        for line in sentence.split("\n")
    )
    click.echo("error: " + "\n".join(lines), err=True)


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
