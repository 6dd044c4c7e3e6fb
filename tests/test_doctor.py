"""`accord doctor` on a file: what is right, and each thing that may be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_desk import accord, done
from conftest import Desk
from test_releases import RELEASES
from vandal import raw, small_ledger

from ledger.database import sqlite


def examined(url: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what was found, by name."""
    result = accord("doctor", "--db", url, "--format", "json")
    found = json.loads(result.stdout)
    assert found["ok"] == (result.exit_code == 0)
    return result.exit_code, {row["what"]: row for row in found["found"]}


@pytest.mark.sqlite
def test_a_sound_file(desk: Desk) -> None:
    """Nothing is wrong, and it says so; how far the views are behind is no fault."""
    small_ledger(desk)
    code, found = examined(desk.url)
    assert code == 0
    assert found["views"]["found"] == "12 events behind"
    assert found["triggers"]["found"] == "10 of 10 on duty"
    assert found["synchronous"]["found"] == "full"
    assert found["tree head"]["found"] == desk.store.head().root.hex()
    done("views", "rebuild", "--db", desk.url)
    assert "ok: nothing is wrong." in done("doctor", "--db", desk.url).stdout


@pytest.mark.sqlite
def test_a_file_in_bad_hands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open to all, marked by another, without triggers, on a full disk: all are named."""
    small_ledger(desk)
    with raw(desk.path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("UPDATE alembic_version SET version_num = '9'")
    desk.path.chmod(0o666)
    monkeypatch.setattr(sqlite, "LEAST_FREE", 10**18)
    code, found = examined(desk.url)
    assert code == 1
    wrong = {name: row["wrong"] for name, row in found.items() if row["wrong"]}
    assert wrong["triggers"].startswith("commands_no_delete, commands_no_update, ")
    assert "the migrations say 9" in wrong["schema"]
    assert "chmod o-w" in wrong["file"]
    assert wrong["application_id"] == "another program marked this file"
    assert wrong["free space"] == "the disk is nearly full"
    assert "wrong: 5" in accord("doctor", "--db", desk.url).stdout


@pytest.mark.sqlite
def test_an_older_ledger_is_examined_too(tmp_path: Path) -> None:
    """What it lacks is told, and it is left as it is."""
    path = tmp_path / "old.db"
    shutil.copy(RELEASES / "ledger-0.1.0.db", path)
    before = path.read_bytes()
    code, found = examined(f"sqlite:///{path}")
    assert code == 1
    assert found["schema"]["wrong"] == "older than 4; run 'accord migrate'"
    assert "refused_no_delete" in found["triggers"]["wrong"]
    assert path.read_bytes() == before
