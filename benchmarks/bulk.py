"""Many systems at once: manifests of every step, and a certificate over all of them.

The same ten thousand racks come to a small record and to a large one, on copies.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.commands import ACCORD, MOST_MB, run
from benchmarks.pairs import Row
from benchmarks.reading import DEAL
from cli.demo.invented import AMY, ANN, BO, CAPACITY, EVE, IVA, MAKER, PAPER, STEPS, TOM

SYSTEMS: Final = 10_000
DAY: Final = "2026-06-01"
CELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "ship": {"shipment": "SH-B"},
    "receive": {"site": "site-b"},
    "install": {"hall": "hall-b", "place": "P{:05d}"},
    "energise": {"feed": "F1", "measured": "195 kW"},
    "test": {
        "suite": "burn-in",
        "suite_version": "1",
        "soak_hours": "72",
        "passed": "yes",
    },
    "accept": {},
}
WHO: Final = {"install": IVA, "test": TOM, "accept": AMY}


def rows(ledgers: Sequence[tuple[int, Path]], folder: Path) -> list[Row]:
    """What each step takes on records of the first and the last size, and the memory."""
    (least, small), (most, large) = ledgers[0], ledgers[-1]
    took: dict[str, dict[int, float]] = {}
    memory: dict[str, float] = {}
    for size, ledger in ((least, small), (most, large)):
        copy = folder / f"bulk-{size}.db"
        shutil.copy(ledger, copy)
        for name, words in _commands(folder):
            spent, used = run((*ACCORD, *words), copy)
            took.setdefault(name, {})[size] = spent
            memory[name] = max(memory.get(name, 0), used)
        copy.unlink()
    named = f"{SYSTEMS:,} systems"
    return [
        Row(f"{name}, {named}, {most:,} events", f"the same, {least:,} events", "ms",
            [spent[most]], [spent[least]], 1.5, more=False)
        for name, spent in took.items()
    ] + [
        Row(f"memory of '{name}', {named}", "–", "MB", [used], target=MOST_MB, more=False)
        for name, used in memory.items()
    ]  # fmt: skip


def _commands(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each command by its name; what a later one needs, an earlier one recorded."""
    systems = [f"{MAKER}/B-{number:05d}" for number in range(SYSTEMS)]
    line = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": SYSTEMS}
    order: list[dict[str, Any]] = [
        {"command": "order place", "buyer": CAPACITY, "seller": MAKER, "lines": [line]},
        {"command": "order allocate", "line": 1, "systems": systems},
    ]
    certificate: list[dict[str, Any]] = [
        {"command": "certificate draft", "systems": systems, "accepted_by": DAY},
        {"command": "certificate issue", "actor": EVE, "evidence": PAPER},
        {"command": "certificate countersign", "actor": ANN},
        {"command": "certificate countersign"},
        {"command": "certificate bring-into-effect"},
    ]
    yield "an order", _batch(folder / "order.jsonl", order, order="PO-B")
    for step, _, _ in STEPS:
        table = folder / f"{step}.csv"
        table.write_text("\n".join(_table(step, systems)) + "\n")
        who = ("--actor", WHO.get(step, BO), "--effective-on", DAY)
        yield f"import of '{step}'", ("system", "import", str(table), DEAL, "--step", step, *who)  # fmt: skip
    batch = _batch(folder / "certificate.jsonl", certificate, certificate="C-B")
    yield "a certificate, its five steps", batch


def _batch(file: Path, lines: list[dict[str, Any]], **keys: str) -> tuple[str, ...]:
    common = {"deal": DEAL, "actor": BO, "effective_on": DAY, **keys}
    file.write_text("".join(json.dumps({**common, **one}) + "\n" for one in lines))
    return ("append", str(file))


def _table(step: str, systems: Sequence[str]) -> Iterator[str]:
    cells = CELLS[step]
    yield ",".join(("system", *cells))
    for number, system in enumerate(systems):
        yield ",".join((system, *(cell.format(number) for cell in cells.values())))
