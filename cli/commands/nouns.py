"""`accord NOUN VERB DEAL …`, made from the functions in `ledger/commands`.

Nothing about a command is written here: its options, their types and its help come
from the registry, which is loaded only when a noun is really asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from cli.input.options import NearestGroup

NOUNS: Final[Mapping[str, str]] = {
    "agreement": "A deal from its first entry to its close: terms, conditions, rights.",
    "plan": "Capacity planned by month: baseline and forecast.",
    "milestone": "Roadmap milestones: agreed, evidenced, signed off, achieved.",
    "sku": "What kinds of system there are, by version.",
    "order": "Orders of systems, and the serials allocated to them.",
    "system": "Systems by manufacturer and serial, from shipment to acceptance.",
    "certificate": "Capacity certificates: what was accepted, in watts.",
    "funding": "Facilities, tranches, drawdowns, equity.",
    "observation": "Prices, corporate events, attestations, defaults; with sources.",
    "calendar": "Business days: weekends and holidays, by calendar.",
    "period": "Accounting periods: opened, closed.",
    "reverse": "Corrections in the open: a reversal asked for, approved or rejected.",
}


class NounGroup(NearestGroup):
    """The verbs of one noun."""

    def __init__(self, noun: str) -> None:
        super().__init__(name=noun, help=NOUNS[noun])

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The verbs, in the order of a deal's life as the module tells it."""
        from ledger.commands.registry import COMMANDS

        mine = [command for command in COMMANDS.values() if command.noun == self.name]
        mine.sort(key=lambda command: command.run.__code__.co_firstlineno)
        verbs = [command.verb for command in mine]
        return [*verbs, "import"] if self.name == "system" else verbs

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if (self.name, cmd_name) == ("system", "import"):
            from cli.commands.importing import import_command

            return import_command()
        from ledger.commands.registry import COMMANDS

        command = COMMANDS.get(f"{self.name} {cmd_name}")
        if command is None:
            return None
        if self.name == "reverse":
            from cli.commands.reverse import reverse_command

            return reverse_command(command)
        from cli.commands.verbs import noun_command

        return noun_command(command)
