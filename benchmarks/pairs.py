"""What a measurement says: the ratios of its pairs, their median and spread, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, beside what, and what was to be reached.

    `ours` and `theirs` are the figures of each round, in pairs, both in `unit`; where
    `theirs` is empty, `ours` is held against the target itself. `more` tells whether
    more is better. A row without a target only tells.
    """

    what: str
    beside: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    target: float | None = None
    more: bool = True
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, pair by pair; ours alone where there is nothing beside it."""
        if not self.theirs:
            return list(self.ours)
        return [
            mine / other for mine, other in zip(self.ours, self.theirs, strict=True)
        ]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.more else self.ratio <= self.target

    def cells(self) -> tuple[str, ...]:
        """The line as text: what, beside what, ours, theirs, the ratio, the target."""
        theirs = figure(median(self.theirs), self.unit) if self.theirs else "–"
        ratio, target = "–", "–"
        if self.theirs:
            low, high = min(self.ratios), max(self.ratios)
            ratio = f"{self.ratio:.2f} × ({low:.2f} to {high:.2f})"
        if self.target is not None:
            sign = "≥" if self.more else "≤"
            bound = figure(self.target, self.unit) if not self.theirs else ""
            target = f"{sign} {bound or f'{self.target:g} ×'}"
            target += " ✓" if self.reached else " ✗"
        ours = figure(median(self.ours), self.unit) if self.ours else "–"
        return self.what, self.beside, ours, theirs, ratio, target


def figure(value: float, unit: str) -> str:
    """A figure with its unit, in as many digits as it bears."""
    match unit:
        case "ms":
            return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"
        case "/s":
            return f"{value:,.0f}/s"
    return f"{value:,.0f} {unit}"


HEAD = ("measured", "beside", "accord", "peer", "ratio of pairs", "target")


TITLE = "Share of the target reached: the line is the target, longer is better"


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [HEAD, ("---", "---", "---:", "---:", "---:", "---:")]
    cells = [*lines, *(row.cells() for row in rows)]
    said = "\n".join(f"| {' | '.join(one)} |" for one in cells)
    notes = list(dict.fromkeys(f"- {row.what}: {row.note}" for row in rows if row.note))
    return said + ("\n\n" + "\n".join(notes) if notes else "") + "\n"


def chart(rows: Sequence[Row]) -> str:
    """The rows that have a target as bars in SVG: how much of it each reaches."""
    told = [row for row in rows if row.target is not None]
    height = 34 * len(told) + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}">',
        "<style>text { font: 13px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22">{TITLE}</text>',
    ]
    for number, row in enumerate(told):
        target = row.target or 1
        share = row.ratio / target if row.more else target / row.ratio
        y, width = 38 + 34 * number, 180 * min(share, 2.4)
        colour = "#2f7d4f" if row.reached else "#b4472e"
        text = f"{row.what} beside {row.beside}" if row.theirs else row.what
        parts += [
            f'<text x="12" y="{y + 17}">{_escaped(text)}</text>',
            f'<rect x="440" y="{y}" width="{width:.0f}" height="24" fill="{colour}"/>',
            f'<text x="{446 + width:.0f}" y="{y + 17}">{share:.2f}</text>',
        ]
    parts.append(f'<line x1="620" x2="620" y1="34" y2="{height - 8}" stroke="black"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
