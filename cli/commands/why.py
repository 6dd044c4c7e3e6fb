"""`accord why`: from a figure back through events to evidence, as a tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from cli.input.options import DealId, bitemporal
from cli.screen.answers import noted, projections, sheet_of
from cli.screen.output import (
    MARKS,
    STYLES,
    clean,
    heading,
    screen,
    shown,
    write,
    write_footer,
    write_heading,
)
from cli.session import Session
from ledger.domain.transcoding import to_builtins
from ledger.errors import AccordError
from ledger.record.store import open_store
from projections.explain.why import subjects
from projections.explain.why import why as tree_behind
from projections.projector import Projections

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from cli.screen.output import Sheet

COLUMNS: Final = (
    "number",
    "parent",
    "depth",
    "what",
    "figure",
    "unit",
    "state",
    "note",
    "position",
    "effective_on",
    "recorded_at",
    "actor",
    "status",
    "reason",
    "cause",
    "evidence",
    "see",
)
MOST: Final = 10
"""Branches of one kind that are shown of many, unless all are asked for."""
MOST_SYSTEMS: Final = 1
"""Of systems, which are alike, below the first branches."""


class Subject(click.ParamType[str]):
    """What can be asked about in a deal; completes from its record."""

    name = "SUBJECT"

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The subjects whose full or own name begins so, under the name that does."""
        from click.shell_completion import CompletionItem

        # A shell that is completing a line is no place for an error message.
        with suppress(AccordError, OSError):
            store = open_store(ctx.ensure_object(Session).db)
            try:
                with Projections(store).reading() as reading:
                    known = subjects(reading, ctx.params.get("deal") or "")
            finally:
                store.close()
            own = Counter(name.partition("/")[2] for name in known)
            told = [*known, *(name for name in own if own[name] == 1)]
            return [
                CompletionItem(name) for name in told if name.startswith(incomplete)
            ]
        return []


@click.command()
@click.argument("deal", type=DealId())
@click.argument("subject", type=Subject())
@click.option(
    "--all", "whole", is_flag=True, help="Show every branch of many alike, up to 2,000."
)
@bitemporal
def why(
    deal: str,
    subject: str,
    *,
    whole: bool,
    as_of: date | None,
    known_at: datetime | int | None,
    form: str,
) -> None:
    """Show why a figure is what it is: the events behind it, and their evidence.

    SUBJECT is a rung of the standing (disbursed, funding/committed), or the name of a
    tranche, drawdown, facility, certificate, system, order, milestone, condition,
    amendment or term; where a name stands for several things, write KIND/NAME.

    \b
    Example:
      accord why milestone-machine disbursed
      accord why milestone-machine certificate/C-1
      accord why openai-nvidia funding/announced --as-of 2025-10-01
    """
    with projections() as views, views.reading(as_of, known_at) as reading:
        reading.check_known(deal)
        tree = tree_behind(reading, deal, subject, whole=whole)
        answer = noted(
            reading.told(
                "why",
                list(_rows(tree)),
                COLUMNS,
                deal=deal,
                fictional=reading.fictional(deal),
                asked={"subject": tree.what},
            )
        )
    sheet = sheet_of(answer)
    if form == "table":
        _write_tree(sheet, tree, whole=whole)
    else:
        if form == "json":
            sheet.whole["tree"] = to_builtins(tree)
            del sheet.whole["rows"]
        write(sheet, form)


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    """The branches one after another, each with its number and its parent's."""
    waiting: list[tuple[Any, int | None, int]] = [(tree, None, 0)]
    number = 0
    while waiting:
        branch, parent, depth = waiting.pop()
        number += 1
        plain = to_builtins(branch)
        del plain["because"]
        yield {"number": number, "parent": parent, "depth": depth, **plain}
        waiting += [(one, number, depth + 1) for one in reversed(branch.because)]


def _write_tree(sheet: Sheet, tree: Any, *, whole: bool) -> None:
    from rich.tree import Tree

    console = screen()
    write_heading(console, sheet)
    drawn = Tree(_label(tree), guide_style="dim")
    _grow(drawn, tree.because, {} if whole else {"": MOST})
    console.print(drawn)
    console.print()
    write_footer(sheet)


def _grow(tree: Tree, branches: Sequence[Any], most: Mapping[str, int]) -> None:
    """Add branches; of many things of one kind only the first, if `most` says how many."""
    total = Counter(map(_kind, branches))
    shown: Counter[str] = Counter()
    below = {**most, "system": MOST_SYSTEMS} if most else most
    for branch in branches:
        kind = _kind(branch)
        limit = most.get(kind, most.get("", total[kind]))
        if kind and shown[kind] == limit and total[kind] > limit + 1:
            left = total[kind] - limit
            tree.add(f"… and {left} more {kind}s; --all shows them", style="dim")
        shown[kind] += 1
        if not kind or shown[kind] <= limit or total[kind] == limit + 1:
            _grow(tree.add(_label(branch)), branch.because, below)


def _kind(branch: Any) -> str:
    return "" if branch.position is not None else branch.what.partition("/")[0]


def _label(branch: Any) -> Text:
    return _of_event(branch) if branch.position is not None else _of_thing(branch)


def _of_thing(branch: Any) -> Text:
    from rich.text import Text

    kind, _, name = branch.what.partition("/")
    if name == "…":
        figure = f"  {shown(f'{branch.figure} {branch.unit}')}" if branch.figure else ""
        return Text(f"… and {branch.note}{figure}", style="dim")
    label = Text(f"{heading(kind)} {clean(name)}", style="bold")
    if branch.figure is not None:
        unit = f" {branch.unit}" if branch.unit else ""
        label.append(f"  {shown(branch.figure + unit)}", style="bold cyan")
    if branch.state:
        label.append(f"  {heading(branch.state)}", style="not bold")
    if branch.see:
        label.append("  told above", style="not bold dim")
    if branch.note:
        label.append(f"\n{shown(branch.note)}", style="not bold dim")
    return label


def _of_event(branch: Any) -> Text:
    from rich.text import Text

    label = Text(f"#{branch.position} {branch.effective_on}  {branch.what}")
    if branch.figure is not None:
        label.append(f"  {shown(f'{branch.figure} {branch.unit}')}", style="cyan")
    label.append(f"  {clean(branch.actor)}", style="dim")
    if branch.cause:
        label.append(f"  ←#{branch.cause}", style="dim")
    if branch.status in MARKS:
        label.append(f"  {MARKS[branch.status]}", style=STYLES[branch.status])
    if branch.reason:
        label.append(f"\nreason: {clean(branch.reason)}", style="dim")
    for one in branch.evidence:
        paper = f", sha256 {one.sha256[:12]}…" if one.sha256 else ""
        where = f" <{clean(one.address)}>" if one.address else ""
        label.append(f"\n{one.grade}: {clean(one.title)}{where}{paper}", style="dim")
    return label
