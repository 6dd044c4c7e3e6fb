"""What the benchmarks make of their figures; how fast anything is, no test says."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.pairs import Row, chart, figure, table

pytestmark = pytest.mark.pure

FAST = Row("append", "raw <sqlite3>", "/s", [30.0, 50.0, 40.0], [10.0, 10.0, 10.0], 3)
SLOW = Row("commit", "raw", "ms", [0.004, 0.009], [0.002, 0.003], 2, more=False)
MEMORY = Row("memory", "–", "MB", [150.0], target=200, more=False, note="at most.")
TOLD = Row("journal", "beancount", "ms", [1.5], [3.0])


def test_ratios_are_of_pairs_and_their_median_counts():
    """Each round is a pair of its own; the spread is told beside the median."""
    assert FAST.ratios == [3.0, 5.0, 4.0]
    assert (FAST.ratio, FAST.reached) == (4.0, True)
    assert FAST.cells()[4:] == ("4.00 × (3.00 to 5.00)", "≥ 3 × ✓")
    assert (SLOW.ratio, SLOW.reached) == (2.5, False)
    assert SLOW.cells()[5] == "≤ 2 × ✗"
    assert (MEMORY.ratio, MEMORY.reached) == (150.0, True)
    assert MEMORY.cells()[2:] == ("150 MB", "–", "–", "≤ 200 MB ✓")
    assert TOLD.reached is None
    assert Row("hledger is not installed here", "–", "ms", ()).cells()[2] == "–"


def test_figures_have_their_units():
    """Seconds are told in thousandths where they are few."""
    assert figure(0.0041, "ms") == "4.1 ms"
    assert figure(12.5, "ms") == "12.50 s"
    assert figure(1234567.8, "/s") == "1,234,568/s"


def test_the_table_and_the_chart_tell_every_row():
    """A line each in Markdown, with its note; a bar for each row with a target, in SVG."""
    rows = [FAST, SLOW, MEMORY, TOLD]
    said = table(rows)
    assert len([line for line in said.splitlines() if line.startswith("|")]) == 6
    assert "- memory: at most." in said
    drawn = ET.fromstring(chart(rows))  # noqa: S314 - our own
    bars = [one for one in drawn.iter() if one.tag.endswith("rect")]
    assert len(bars) == 1 + 3
    assert {one.get("fill") for one in bars[1:]} == {"#2f7d4f", "#b4472e"}
    assert "raw <sqlite3>" in "".join(drawn.itertext())
