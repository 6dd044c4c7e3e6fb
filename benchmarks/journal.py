"""Reading what a deal accepted and paid, and printing the balances: other ledgers too.

A journal of the acceptances (in watts) and the payments (in money) of the generated
deal is written for them; accord folds its whole record, of which those are a part.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from benchmarks.append import FOREIGN
from benchmarks.commands import ACCORD, run
from benchmarks.pairs import Row
from ledger.domain.funding import DisbursementSettled
from ledger.domain.system import Accepted
from ledger.domain.transcoding import decode

BALANCES: Final = (
    "import sys; from beancount import loader; from beancount.core import realization\n"
    "entries, errors, _ = loader.load_file(sys.argv[1]); assert not errors, errors[:3]\n"
    "for one in realization.iter_children(realization.realize(entries)):\n"
    "    print(one.account, realization.compute_balance(one))\n"
)


def rows(ledger: Path, rounds: int, folder: Path) -> list[Row]:
    """What each takes to read it all and print the balances."""
    entries = list(_entries(ledger))
    beans, hledger = folder / "money.beancount", folder / "money.journal"
    beans.write_text("\n".join(_beans(entries)))
    hledger.write_text("\n".join(_hledger(entries)))
    peers: dict[str, list[str]] = {}
    if FOREIGN.exists():
        peers["beancount"] = [str(FOREIGN), "-c", BALANCES, str(beans)]
    if shutil.which("hledger"):
        peers["hledger"] = ["hledger", "-f", str(hledger), "balance"]
    found = []
    for name, words in peers.items():
        ours, theirs = [], []
        for _ in range(rounds):
            start = perf_counter()
            subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
            theirs.append(perf_counter() - start)
            ours.append(run((*ACCORD, "views", "rebuild"), ledger)[0])
        found.append(
            Row(
                f"from the record to balances, {len(entries):,} acceptances and payments",
                name,
                "ms",
                ours,
                theirs,
                more=False,
                note=f"accord folds every event into every view; {name} reads a journal "
                "of the acceptances and payments alone.",
            )
        )
    found += [
        Row(f"{name} is not installed here", "–", "ms", ())
        for name in ("hledger", "beancount")
        if name not in peers
    ]
    return found


def _entries(ledger: Path) -> Iterator[tuple[str, str, str, str]]:
    """Day, account to, account from, and what was moved."""
    query = (
        "SELECT data FROM events WHERE type IN "
        "('system.accepted', 'funding.disbursement_settled') ORDER BY effective_on"
    )
    for (data,) in sqlite3.connect(ledger).execute(query):
        event: Any = decode(data)
        match event.data:
            case Accepted(rated=rated):
                yield str(event.on), "Accepted", "Energised", f"{rated.watts} WATT"
            case DisbursementSettled(amount=amount):
                yield str(event.on), "Paid", "Approved", str(amount)


def _beans(entries: list[tuple[str, str, str, str]]) -> Iterator[str]:
    for account in ("Accepted", "Energised", "Paid", "Approved"):
        yield f"2000-01-01 open Assets:{account}"
    for day, to, source, moved in entries:
        yield f'{day} * "moved"\n  Assets:{to}  {moved}\n  Assets:{source}\n'


def _hledger(entries: list[tuple[str, str, str, str]]) -> Iterator[str]:
    for day, to, source, moved in entries:
        number, unit = moved.split()
        yield f"{day} moved\n  assets:{to}  {number} {unit}\n  assets:{source}\n"
