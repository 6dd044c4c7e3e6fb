"""How the tests use the command line: as a user would, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from places import address

from cli.main import root

OPEN = (
    "agreement", "open", "acme-orion", "--title", "Acme and Orion",
    "--capital", "acme", "--capacity", "orion",
)  # fmt: skip
LOI = (
    "agreement", "sign-loi", "acme-orion", "--signatories", "acme",
    "--signatories", "orion",
    "--terms", '{"capacity_floor": "10 GW", "funding_cap": "100bn USD"}',
)  # fmt: skip


def accord(*words: str, stdin: str | bytes | None = None) -> Result:
    """Run the command line within this process."""
    return CliRunner().invoke(root, words, input=stdin)


def done(*words: str, stdin: str | bytes | None = None) -> Result:
    """The same, and it was done."""
    result = accord(*words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def fails(code: int, *words: str, stdin: str | bytes | None = None) -> str:
    """It fails with that exit code and one error message; what stderr says."""
    result = accord(*words, stdin=stdin)
    assert result.exit_code == code, (result.exit_code, result.output)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.count("error: ") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def answer(*words: str) -> Any:
    """What a command says in JSON."""
    return json.loads(done(*words, "--format", "json").stdout)


@contextmanager
def at_home(folder: Path) -> Iterator[None]:
    """Keep the ledger in a folder, for as long as that is the current one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ACCORD_DB", address("accord.db"))
        yield


def size() -> int:
    """How many events the ledger in this folder has."""
    from ledger.record.store import open_store

    store = open_store(address("accord.db"))
    try:
        return store.head().size
    finally:
        store.close()


def batch(*lines: Any, name: str = "batch.jsonl") -> str:
    """A batch file of these lines: objects, or text as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    Path(name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return name


def line(command: str, deal: str = "acme-orion", **keys: Any) -> dict[str, Any]:
    """A line of a batch."""
    return {"command": command, "deal": deal, **keys}


def opening(deal: str = "acme-orion", **keys: Any) -> dict[str, Any]:
    """The batch line that opens a deal."""
    return line(
        "agreement open",
        deal,
        title=f"The deal {deal}",
        capital=["acme"],
        capacity=["orion"],
        **keys,
    )


def process(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a process of its own, whose lines nobody counts.

    A signal that meets the counting in its own lock would leave it locked for ever.
    """
    env = {name: v for name, v in os.environ.items() if name[:9] != "COVERAGE_"}
    settings: dict[str, Any] = {"stdin": -1, "stdout": -1, "stderr": -1, "env": env}
    settings |= more
    return subprocess.Popen([sys.executable, "-m", "cli", *words], **settings)
