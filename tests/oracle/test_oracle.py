"""The product beside the oracle, over random histories.

`ACCORD_HISTORIES=10000 make soak` runs that many; without it a small sample does.
"""

from __future__ import annotations

import ast
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from places import places
from soak import Tally, run, soak

SAMPLE = 40
ON_A_SERVER = 20
WANTED = int(os.environ.get("ACCORD_HISTORIES", "0"))
EACH = 25
"""Histories that one process takes at a time."""


def told(tally: Tally) -> str:
    """The differences of a run as lines, one for each kind first."""
    lines = [*tally.lines(), "", *(", ".join(d.told()) for d in tally.differences)]
    return "\n".join(lines[:200])


@pytest.mark.sqlite
@pytest.mark.skipif(bool(WANTED), reason="the soak runs these too")
def test_product_and_oracle_agree():
    """Rules, views and as-of answers say what the oracle says, on a file."""
    tally = soak(range(SAMPLE))

    assert not tally.differences, told(tally)


@pytest.mark.postgresql
@pytest.mark.skipif(bool(WANTED), reason="the soak is about files")
def test_product_and_oracle_agree_on_a_server(tmp_path):
    """The same, on PostgreSQL."""
    tally = Tally()
    for seed in range(SAMPLE, SAMPLE + ON_A_SERVER):
        path = tmp_path / f"{seed}.db"
        run(seed, places.address(path, made=True), tally)
        places.drop(path)

    assert not tally.differences, told(tally)


@pytest.mark.pure
@pytest.mark.skipif(not WANTED, reason="ACCORD_HISTORIES says how many")
def test_soak():
    """As many histories as were asked for; what they reached is printed."""
    spans = [range(n, min(n + EACH, WANTED)) for n in range(0, WANTED, EACH)]
    whole = Tally()
    spawn = get_context("spawn")
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=spawn) as pool:
        for part in pool.map(soak, spans):
            whole.merge(part)
            for one in part.differences:
                sys.stderr.write(f"\n{', '.join(one.told())}")
            sys.stderr.write(f"\r{whole.histories} of {WANTED}")
    sys.stderr.write("\n" + "\n".join(whole.lines()) + "\n")

    assert not whole.differences, told(whole)


@pytest.mark.pure
def test_only_the_adapter_knows_the_product():
    """The model imports nothing of what it judges."""
    here = Path(__file__).parent
    rooms = {"accord", "ledger", "projections", "cli"}
    found = set()
    for file in here.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            if any(name.split(".")[0] in rooms for name in names):
                found.add(file.name)

    assert found <= {"product.py", "histories.py"}
