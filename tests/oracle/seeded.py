"""Seeded faults: does the oracle find what is put into the product wrong?

    python tests/oracle/seeded.py listed [--histories 60]
    python tests/oracle/seeded.py drawn [FILE …] [--seed 7] [--count 30]

A fault is a text in a file and what stands there instead. Each is put into a copy of
the source tree, and histories are told to that copy until the oracle finds a kind of
difference that the tree as it is does not show: *found*. Where there is none the fault
*survived*, and somebody has to argue why, or make the histories reach it.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger", "projections", "cli", "tests/oracle")
LISTED = Path(__file__).with_name("faults.jsonl")
NOUNS = ("funding", "certificate", "system", "order", "milestone", "agreement")
DRAWN_FROM = [
    *(
        f"ledger/domain/{one}.py"
        for one in (*NOUNS, "evaluation", "ladder", "triggers")
    ),
    *(f"ledger/rules/{one}.py" for one in ("unlock", "drawdown", "overfunding")),
    "ledger/rules/funding.py",
]
"""Folds and rules that the oracle is about."""
HISTORIES = 60
PATIENCE_S = 300


class Fault(NamedTuple):
    """A text in a file, which of its occurrences, and what stands there instead."""

    file: str
    old: str
    new: str
    at: int = 0

    def put_into(self, tree: Path) -> None:
        """Change the file in a copy of the tree."""
        path = tree / self.file
        parts = path.read_text().split(self.old)
        if len(parts) < self.at + 2:
            sys.exit(
                f"{self.file}: {self.old!r} does not stand there {self.at + 1} times."
            )
        before = self.old.join(parts[: self.at + 1])
        after = self.old.join(parts[self.at + 1 :])
        path.write_text(before + self.new + after)


def listed(file: Path = LISTED) -> list[Fault]:
    """The faults that somebody thought of, a JSON object in a line."""
    return [Fault(**json.loads(line)) for line in file.read_text().splitlines() if line]


# Running a fault


def copied() -> Path:
    """A copy of the source tree, to be changed."""
    tree = Path(tempfile.mkdtemp())
    for room in ROOMS:
        if (ROOT / room).is_dir():
            shutil.copytree(ROOT / room, tree / room)
    return tree


def kinds(tree: Path, histories: int, known: set[str] | None) -> set[str]:
    """The kinds of difference that the histories of a tree show.

    With `known` it stops at the first other kind; a history that breaks off is one.
    """
    program = tree / "tests" / "oracle" / "histories.py"
    command = [sys.executable, str(program), str(histories)]
    found: set[str] = set()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        late = threading.Timer(PATIENCE_S, run.kill)
        late.start()
        for line in run.stdout:
            found |= set(json.loads(line))
            if known is not None and found - known:
                run.kill()
        run.wait()
        late.cancel()
    return found if not run.returncode or found - (known or set()) else {"broken off"}


def tried(fault: Fault, histories: int, known: set[str]) -> set[str]:
    """The kinds of difference that a fault brings beside those that are known."""
    tree = copied()
    try:
        fault.put_into(tree)
        return kinds(tree, histories, known) - known
    finally:
        shutil.rmtree(tree)


# Drawing faults


COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def drawn(files: list[str], seed: int, count: int) -> list[Fault]:
    """Faults at places drawn from a seed: operators, signs, `not`, numbers, and/or."""
    found = [fault for file in sorted(files) for fault in mutants(file)]
    chance = random.Random(seed)  # noqa: S311 - no secret
    return chance.sample(found, min(count, len(found)))


def mutants(file: str) -> Iterator[Fault]:
    """Every fault that the drawer knows of a file."""
    text = (ROOT / file).read_text()
    for node in _code(ast.parse(text)):
        old = ast.get_source_segment(text, node)
        for new in _changed(node):
            if old and old != new:
                at = text[: _offset(text, node)].count(old)
                yield Fault(file, old, new, at)


def _code(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that are run: no annotation, no docstring, no declaration."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for statement in node.body:
                yield from _code(ast.Module([statement], []))
        elif isinstance(node, ast.AnnAssign):
            yield from (
                _code(ast.Module([ast.Expr(node.value)], [])) if node.value else ()
            )
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            if isinstance(node, ast.expr):
                yield node
            yield from _code(node)


def _offset(text: str, node: ast.expr) -> int:
    lines = text.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()[: node.col_offset].decode()
    return sum(map(len, lines[: node.lineno - 1])) + len(line)


def _changed(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in COMPARED:
            other = COMPARED[type(op)]()
            yield ast.unparse(ast.Compare(left, [other], [right]))
        case ast.BinOp(left, ast.Add(), right):
            yield f"({ast.unparse(ast.BinOp(left, ast.Sub(), right))})"
        case ast.BinOp(left, ast.Sub(), right):
            yield f"({ast.unparse(ast.BinOp(left, ast.Add(), right))})"
        case ast.UnaryOp(ast.Not(), operand):
            yield f"({ast.unparse(operand)})"
        case ast.BoolOp(ast.And(), values):
            yield f"({ast.unparse(ast.BoolOp(ast.Or(), values))})"
        case ast.BoolOp(ast.Or(), values):
            yield f"({ast.unparse(ast.BoolOp(ast.And(), values))})"
        case ast.Constant(bool() as value):
            yield str(not value)
        case ast.Constant(int() as value):
            yield str(value + 1)


def main() -> None:
    """Try the faults, and say of each whether it was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("listed", "drawn"))
    parser.add_argument("files", nargs="*")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--histories", type=int, default=HISTORIES)
    asked = parser.parse_args()
    drawing = asked.how == "drawn"
    faults = (
        drawn(asked.files or DRAWN_FROM, asked.seed, asked.count)
        if drawing
        else listed()
    )
    out = sys.stdout.write
    out(f"seed {asked.seed}\n" if drawing else "")
    tree = copied()
    known = kinds(tree, asked.histories, None)
    shutil.rmtree(tree)
    out(f"known: {sorted(known)}\n")
    survived = 0
    for fault in faults:
        found = tried(fault, asked.histories, known)
        survived += not found
        by = f" by {sorted(found)}" if found else ""
        said = f"found{by}" if found else "SURVIVED"
        out(f"{said}: {json.dumps(fault._asdict())}\n")
        sys.stdout.flush()
    out(f"{len(faults) - survived} of {len(faults)} found\n")


if __name__ == "__main__":
    main()
