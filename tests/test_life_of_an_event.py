"""START HERE: one event's life, from the command to the screen to the proof.

Read this first to see how the rooms of the house fit together: the command line calls
a command, the command decides on aggregates under the rules, the store stamps, hashes
and appends, the views fold, and `verify` recomputes everything from the bytes.
"""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from places import address

from cli.main import root

LEDGER = "accord.db"
TERMS = {"capacity_floor": "10 GW", "funding_cap": "100bn USD"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which Ann of Acme keeps the ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    return tmp_path


def accord(*words: str) -> Result:
    """Run the command line as a user would."""
    return CliRunner().invoke(root, words)


def rungs(*more: str) -> dict[str, str]:
    """The standing's rungs, by ladder and name."""
    shown = accord("show", "acme-orion", "--format", "json", *more)
    assert shown.exit_code == 0, shown.stderr
    rows = json.loads(shown.stdout)["rows"]
    return {f"{row['ladder']} {row['rung']}": row["quantity"] for row in rows}


@pytest.mark.sqlite
def test_the_life_of_an_event(folder: Path):
    """A letter of intent is signed: it is announced, it commits nothing, it is proven."""
    # A command, refused before anything is there, says what to do.
    lost = accord("show", "acme-orion")
    assert lost.exit_code == 1
    assert "accord init" in lost.stderr

    # 1. The command is decided under the rules, and becomes an event.
    assert accord("init").exit_code == 0
    sides = ["--capital", "acme", "--capacity", "orion"]
    accord("agreement", "open", "acme-orion", "--title", "Acme and Orion", *sides)
    signed = ["--signatories", "acme", "--signatories", "orion"]
    sign = ["agreement", "sign-loi", "acme-orion", "--terms", json.dumps(TERMS)]
    refused = accord(*sign, "--signatories", "acme")
    assert refused.exit_code == 1
    assert "AGR-02: Signature of orion is missing." in refused.stderr
    done = accord(*sign, *signed)
    assert done.exit_code == 0, done.stderr

    # 2. The store stamped position and time into the bytes, under its lock.
    database = sqlite3.connect(folder / LEDGER)
    (first, second) = database.execute(
        "SELECT data, leaf FROM events ORDER BY position"
    ).fetchall()
    event = json.loads(second[0])
    assert event["identity"]["position"] == 2
    assert event["identity"]["stream"] == "agreement/acme-orion"
    assert event["provenance"]["actor"] == "ann"
    assert event["data"]["type"] == "agreement.loi_signed"
    assert event["data"]["terms"]["funding_cap"] == "100000000000.00 USD"

    # 3. Those very bytes are a Merkle leaf, and the tree head moved with them.
    for data, leaf in (first, second):
        assert sha256(b"\x00" + data).digest() == leaf
    (root_hash,) = database.execute("SELECT root FROM tree_head").fetchone()
    assert sha256(b"\x01" + first[1] + second[1]).digest() == root_hash

    # 4. The views show what was announced, and that nothing is committed.
    standing = rungs()
    assert standing["funding announced"] == "100000000000.00"
    assert standing["funding committed"] == "0.00"
    assert standing["capacity announced"] == "10000000000"
    assert standing["capacity committed"] == "0"

    # 5. Anyone can have the whole recomputed; one changed byte is found.
    assert accord("verify", "--views").exit_code == 0
    database.execute("DROP TRIGGER events_no_update")
    database.execute(
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), '100000000000.00',"
        " '900000000000.00') AS BLOB) WHERE position = 2"
    )
    database.commit()
    found = accord("verify")
    assert found.exit_code == 3
    assert "2" in found.stderr
