"""`accord systems`: a deal's systems one by one, those that are asked for, page by page."""

from __future__ import annotations

import difflib
from contextlib import closing
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from cli.input.options import DealId, bitemporal
from cli.screen.answers import noted, projections, sheet_of, write_streamed
from cli.screen.output import screen, write
from ledger.domain.limits import FURTHEST
from ledger.domain.system import STATES
from ledger.domain.transcoding import to_builtins
from ledger.errors import InvalidValue, quoted
from projections.views.fleet import SystemLine
from projections.views.fleet import systems as of_deal

if TYPE_CHECKING:
    from cli.screen.output import Row
    from projections.engine.answer import Answer

PAGE: Final = 100
"""Systems in a table, where nobody says how many."""


@click.command()
@click.argument("deal", type=DealId())
@click.option("--state", metavar="STATE", help="Only those in that state.")
@click.option("--site", metavar="SITE", help="Only those at that site.")
@click.option("--order", metavar="ORDER", help="Only those of that order.")
@click.option("--after", metavar="MAKER/SERIAL", help="Only those that follow it.")
@click.option(
    "--limit", type=click.IntRange(1, FURTHEST), metavar="N", help="Only the first N."
)
@bitemporal
def systems(
    deal: str,
    state: str | None,
    site: str | None,
    order: str | None,
    after: str | None,
    limit: int | None,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """List the systems of a deal: where each is, in which state, with how much power.

    A table shows the first hundred, if not told otherwise; the other forms show all.

    \b
    Example:
      accord systems milestone-machine
      accord systems ten-gigawatts --state quarantined --site site-1 --format csv
      accord systems ten-gigawatts --after tesserine/D1-0000099
    """
    _check_state(state)
    page = PAGE if limit is None and form == "table" else limit
    asked = {"state": state, "site": site, "order": order}
    params = {**asked, "after": after, "limit": str(limit) if limit else None}
    with (
        projections() as views,
        views.reading(as_of, known_at) as reading,
        # One more tells whether there are others. Closed before what it reads from is.
        closing(of_deal(reading, deal, asked, after, page and page + 1)) as found,
    ):
        reading.check_known(deal)
        rows = map(to_builtins, islice(found, page and page + 1))

        def told(lines: list[Row], **more: Any) -> Answer:
            return reading.told(
                "systems",
                lines,
                SystemLine.__struct_encode_fields__,
                deal=deal,
                fictional=reading.fictional(deal),
                asked=params,
                **more,
            )

        if form != "table":
            noted(write_streamed(told, islice(rows, page), form))
            return
        lines = list(rows)
        shown = lines[:page]
        answer = noted(told(shown))
    write(sheet_of(answer), form)
    if len(lines) > len(shown):
        last = shown[-1]["system"]
        screen(stderr=True).print(f"… more of them: --after {last}")


def _check_state(state: str | None) -> None:

    if state is not None and state not in STATES:
        near = difflib.get_close_matches(state, STATES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidValue(
            f"There is no state {quoted(state)} of a system.{hint} "
            f"The states are {', '.join(STATES)}."
        )
