"""`python -m benchmarks SIZE…`: every speed that the design asks for, beside its peers.

Writes build/bench/table.md and chart.svg; with `--write DOC` the table goes into a page
as well, between its markers, and the chart beside it. `--growth` runs whole commands
alone, on records of the last two sizes, and has markers of its own.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sqlite3
import sys
import tempfile
from pathlib import Path

import sqlalchemy

from benchmarks import append, bulk, commands, journal, reading
from benchmarks.pairs import Row, chart, table
from benchmarks.server import server
from cli.main import YOUNG
from ledger.version import __version__

PER_RACK = 9
MARKERS = ("<!-- measured -->", "<!-- end -->")
GROWTH = ("<!-- ten million -->", "<!-- end of ten million -->")


def main() -> None:
    """Measure, and write it down."""
    asked = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    asked.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000])
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--write", type=Path)
    asked.add_argument("--growth", action="store_true")
    given = asked.parse_args()
    # For all alike, and as the command line has it.
    gc.set_threshold(YOUNG)
    kept = Path("build/bench")
    kept.mkdir(parents=True, exist_ok=True)
    markers = GROWTH if given.growth else MARKERS
    # Not the system's temporary folder, which is often memory and no disk.
    with tempfile.TemporaryDirectory(dir="build") as name:
        if given.growth:
            ledgers = [(size, made(size, kept)) for size in given.sizes]
            rows = commands.growth(ledgers, given.rounds)
        else:
            with server() as running:
                rows = measured(given.sizes, given.rounds, kept, Path(name), running)
    said = f"{machine()}\n\n{table(rows)}"
    (kept / "table.md").write_text(said)
    (kept / "chart.svg").write_text(chart(rows))
    if given.write:
        page = given.write.read_text()
        before, _, rest = page.partition(markers[0])
        after = rest.partition(markers[1])[2]
        given.write.write_text(f"{before}{markers[0]}\n{said}{markers[1]}{after}")
        if not given.growth:
            given.write.with_suffix(".svg").write_text(chart(rows))
    print(said)


def measured(
    sizes: list[int], rounds: int, kept: Path, folder: Path, running: str | None
) -> list[Row]:
    """All rows, for records of some sizes."""
    note("appending")
    rows = append.rows(10_000, rounds, folder, running)
    note("starting")
    rows += commands.cold(folder / "demo.db", rounds)
    ledgers = [(size, made(size, kept)) for size in sizes]
    for size, ledger in ledgers:
        note(f"reading {size:,} events")
        here = folder / str(size)
        here.mkdir()
        rows += reading.rows(ledger, rounds, here)
    note("other ledgers")
    rows += journal.rows(ledgers[0][1], rounds, folder)
    if len(ledgers) > 1:
        note("many systems at once")
        rows += bulk.rows(ledgers, folder)
        note("growing")
        rows += commands.growth(ledgers, rounds)
    return rows


def made(size: int, kept: Path) -> Path:
    """A ledger of so many events, its views up to date; made where there is none yet."""
    ledger = kept / f"{size}.db"
    if not ledger.exists():
        note(f"making {size:,} events")
        racks = ("--racks", str(max(1, size // PER_RACK)))
        part = kept / f"{size}.part"
        commands.run((*commands.ACCORD, "demo", reading.DEAL, *racks), part)
        commands.run((*commands.ACCORD, "list"), part)
        part.rename(ledger)
    return ledger


def note(what: str) -> None:
    """Say on stderr how far it is."""
    print(f"{what} …", file=sys.stderr)


def machine() -> str:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"accord {__version__}, Python {platform.python_version()}, SQLite "
        f"{sqlite3.sqlite_version}, SQLAlchemy {sqlalchemy.__version__}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores "
        f"({_processor()}), {memory:.0f} GB, {_disk()}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _disk() -> str:
    here = Path("build").resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    fits = [one for one in mounts if here.is_relative_to(one[1])]
    return f"files on {max(fits, key=lambda one: len(one[1]))[2]}"


if __name__ == "__main__":
    main()
