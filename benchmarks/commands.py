"""Whole commands, each in a process of its own: how long, and how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.pairs import Row
from benchmarks.reading import DEAL

LAUNCHER: Final = """
import os, sys
from time import perf_counter
start, words = perf_counter(), sys.argv[1:]
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawnp(words[0], words, os.environ, file_actions=silent)
_, status, used = os.wait4(child, 0)
print(perf_counter() - start, used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
ACCORD: Final = (sys.executable, "-m", "cli")
BARE: Final = (sys.executable, "-c", "import click, sqlalchemy, msgspec")
MOST_MB: Final = 200
SAID: Final = ("agreement", "record-statement", DEAL, "--speaker", "Bench", "--actor", "b@bench", "--text", "So it is.")  # fmt: skip
FLAT: Final[Mapping[str, tuple[str, ...]]] = {
    "show": ("show", DEAL),
    "show --as-of": ("show", DEAL, "--as-of", "2025-06-01"),
    "list": ("list",),
    "why disbursed": ("why", DEAL, "disbursed"),
    "why accepted": ("why", DEAL, "accepted"),
    "history, a page": ("history", DEAL, "--limit", "100"),
    "one command": SAID,
}
WHOLE: Final[Mapping[str, tuple[str, ...]]] = {
    "history, all of it": ("history", DEAL, "--format", "jsonl"),
    "views rebuild": ("views", "rebuild"),
    "verify": ("verify",),
    "verify --views": ("verify", "--views"),
    "recheck": ("recheck",),
    "export": ("export", "{}.jsonl"),
    "copy": ("copy", "sqlite:///{}", "sqlite:///{}.copy"),
}


def run(words: Sequence[str], ledger: Path | None = None) -> tuple[float, float]:
    """Seconds, and megabytes at most, of a process; it must end well.

    A small process starts it: a child counts the memory of its parent as its own until
    it becomes another program, and this one is large.
    """
    env = dict(os.environ)
    if ledger is not None:
        env["ACCORD_DB"] = f"sqlite:///{ledger}"
    done = subprocess.run(
        (sys.executable, "-S", "-E", "-c", LAUNCHER, *words),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    spent, used = done.stdout.split()
    return float(spent), float(used)


def cold(demo: Path, rounds: int) -> list[Row]:
    """`accord show` on the demo, started anew each time, beside bare imports."""
    run((*ACCORD, "demo"), demo)
    run((*ACCORD, "show", "openai-nvidia"), demo)
    ours, theirs = [], []
    for _ in range(max(rounds, 11)):
        theirs.append(run(BARE)[0])
        ours.append(run((*ACCORD, "show", "openai-nvidia"), demo)[0])
    what = "accord show on the demo, cold"
    return [Row(what, "importing click, sqlalchemy, msgspec", "ms", ours, theirs, 1.3, more=False)]  # fmt: skip


LARGE: Final = 10_000_000
IN_LARGE: Final = frozenset({"views rebuild", "verify", "export"})
"""Of the commands that read a whole record, those that are run on very many events."""
FEW: Final = 3
"""Rounds of those commands at most: a million events take some of them a minute."""


def growth(ledgers: Sequence[tuple[int, Path]], rounds: int) -> list[Row]:
    """The same questions to records of the last two sizes; memory of each command."""
    (least, small), (most, large) = ledgers[-2], ledgers[-1]
    memory: dict[str, list[float]] = {}
    took: dict[tuple[str, int], list[float]] = {}
    for number in range(max(rounds, 5)):
        for name, words in FLAT.items():
            for size, ledger in ((least, small), (most, large)):
                more = (f"b{os.getpid()}-{number}",) if words is SAID else ()
                spent, used = run((*ACCORD, *words, *more), ledger)
                took.setdefault((name, size), []).append(spent)
                memory.setdefault(name, []).append(used)
    rows = [
        Row(f"{name}, {most:,} events", f"the same, {least:,} events", "ms",
            took[name, most], took[name, least], 1.5, more=False)
        for name in FLAT
    ]  # fmt: skip
    now, as_of = took["show", most], took["show --as-of", most]
    rows.append(
        Row(f"show --as-of, {most:,} events", f"show, {most:,} events", "ms",
            as_of, now, 1.5, more=False)
    )  # fmt: skip
    times = most / least
    for name, words in WHOLE.items():
        if most >= LARGE and name not in IN_LARGE:
            continue
        for _ in range(min(rounds, FEW)):
            for size, ledger in ((least, small), (most, large)):
                given = [word.replace("{}", str(ledger)) for word in words]
                left = [Path(f"{ledger}{ending}") for ending in (".copy", ".jsonl")]
                spent, used = run((*ACCORD, *given), ledger)
                took.setdefault((name, size), []).append(spent)
                memory.setdefault(name, []).append(used)
                for one in left:
                    one.unlink(missing_ok=True)
        rows.append(
            Row(f"{name}, {most:,} events", f"the same, {least:,} events", "ms",
                took[name, most], took[name, least], times * 1.1, more=False)
        )  # fmt: skip
    rows += [
        Row(f"memory of '{name}', {most:,} events", "–", "MB", [max(used)],
            target=MOST_MB, more=False)
        for name, used in memory.items()
    ]  # fmt: skip
    return rows
