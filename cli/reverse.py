"""`accord reverse`: correct the record in the open, by position.

The commands themselves are those of `ledger/commands/reverse.py`; here a position and
an id stand for the deal that they are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from cli.options import NearestGroup, format_option
from cli.session import session, where_and_who
from ledger.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from ledger.application import Ledger, Receipt


class ReversalName(click.ParamType[tuple[str, str]]):
    """A reversal as `accord reverse request` prints it: DEAL/ID."""

    name = "DEAL/ID"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> tuple[str, str]:
        """Read the deal and the reversal's own id."""
        from ledger.values import Slug

        deal, slash, name = str(value).rpartition("/")
        if not slash or not name:
            raise InvalidValue(
                f"{value!r} is not a reversal. Write DEAL/ID, as in 'acme-orion/R-1'."
            )
        return str(Slug.parse(deal)), name


def _common() -> list[click.Parameter]:
    from cli.options import Day

    return [
        click.Option(
            ["--effective-on"],
            type=Day(),
            metavar="YYYY-MM-DD",
            help="The day on which it was so; today where left out.",
        ),
        click.Option(["--command-id"], metavar="TEXT", help="Repeats write nothing."),
        format_option(),
        *where_and_who(),
    ]


def _request() -> click.Command:
    def run(positions: tuple[int, ...], *, with_reliant: bool, **given: Any) -> None:
        keys: dict[str, Any] = {"positions": list(positions)}
        if with_reliant:
            keys["with_reliant"] = True
        session().acting()
        with session().ledger() as ledger:
            deal = _deal_of(ledger, positions[0])
            receipt = _execute(ledger, "request", deal, keys, given)
        (asked,) = receipt.events
        name = f"{deal}/{asked.stream.rpartition('/')[2]}"
        if given["form"] != "table":
            _print(receipt, given["form"])
            return
        click.echo(name)
        places = ", ".join(f"#{t.position} {t.entry}" for t in asked.data.targets)
        click.echo(f"Asked to reverse {places}.", err=True)
        click.echo(
            f"Nothing has changed. Somebody else approves it with: "
            f"accord reverse approve {name}",
            err=True,
        )

    return click.Command(
        "request",
        callback=run,
        short_help="Ask for entries to be reversed; print the reversal's id",
        help=(
            "Ask for entries to be reversed, by their positions; print the reversal's "
            "id.\n\nNothing changes until somebody else approves it. What relied on "
            "them is named, and is to be reversed first, or together.\n\n"
            "\b\nExample:\n"
            '  accord reverse request 41 --reason "The wrong serial was tested"\n'
            '  accord reverse request 41 --with-reliant --reason "The wrong serial"'
        ),
        params=[
            click.Argument(
                ["positions"], type=click.IntRange(1), nargs=-1, required=True
            ),
            click.Option(
                ["--reason"], metavar="TEXT", required=True, help="Why.  [required]"
            ),
            click.Option(
                ["--with-reliant"],
                is_flag=True,
                help="Also whatever relied on them.",
            ),
            *_common(),
        ],
    )


def _decision(verb: str, short: str, text: str, *more: click.Option) -> click.Command:
    def run(reversal: tuple[str, str], **given: Any) -> None:
        deal, name = reversal
        keys = {"reversal": name}
        if "ground" in given:
            keys["ground"] = given.pop("ground")
        session().acting()
        with session().ledger() as ledger:
            receipt = _execute(ledger, verb, deal, keys, given)
        _print(receipt, given["form"])

    return click.Command(
        verb,
        callback=run,
        short_help=short,
        help=text,
        params=[
            click.Argument(["reversal"], type=ReversalName(), metavar="DEAL/ID"),
            *more,
            click.Option(["--reason"], metavar="TEXT", help="Why."),
            *_common(),
        ],
    )


def _deal_of(ledger: Ledger, position: int) -> str:
    entry = ledger.entry(position)
    if entry is None:
        size = ledger.store.head().size
        raise NotFound(
            f"There is no position {position:,}: the record has {size:,} events."
        )
    return entry.deal


def _execute(
    ledger: Ledger, verb: str, deal: str, keys: dict[str, Any], given: dict[str, Any]
) -> Receipt:
    from ledger.commands.registry import request_of

    common = {
        name: given[name]
        for name in ("reason", "effective_on", "command_id")
        if given[name]
    }
    line = {"command": f"reverse {verb}", "deal": deal, **keys, **common}
    return ledger.execute(request_of(line), actor=session().actor)


def _print(receipt: Receipt, form: str) -> None:
    from cli.receipts import print_receipts

    print_receipts([receipt], form)


REVERSE: Final = NearestGroup(
    "reverse",
    help="Correct the record in the open: ask for a reversal, approve it, reject it.",
    commands=[
        _request(),
        _decision(
            "approve",
            "Approve a reversal: all of its entries, or none",
            "Approve a reversal that somebody else asked for: all of its entries, or "
            "none.\n\nWhat was reversed stays on the record, and counts no more from "
            "here on. Where more was paid than is unlocked without it, the facility is "
            "flagged as overfunded.\n\n"
            "\b\nExample:\n  accord reverse approve acme-orion/R-1 --actor bo@orion",
        ),
        _decision(
            "reject",
            "Reject a reversal, or take it back",
            "Reject a reversal, or take it back; its entries stand.\n\n"
            "\b\nExample:\n"
            '  accord reverse reject acme-orion/R-1 --ground "The serial was right"',
            click.Option(
                ["--ground"],
                metavar="TEXT",
                required=True,
                help="On what ground.  [required]",
            ),
        ),
    ],
)
