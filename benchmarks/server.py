"""Appending on PostgreSQL: the ledger beside the library's own recorder, on one server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.append import Measured, foreign, measured_ledger

SMALL: Final = 100
"""Events in a batch of theirs: in larger ones their pipeline of statements stands still."""


@contextmanager
def server() -> Iterator[str | None]:
    """A server of our own, from the package that the tests use; None where it is not."""
    sys.path.insert(0, str(Path("tests").absolute()))
    try:
        from servers import server as started
    except ImportError:
        yield None
        return
    with started() as made:
        made.sql("CREATE DATABASE bench")
        yield made.url("{}")


def measured(
    where: str, number: int, size: int, ledger: Path
) -> tuple[Measured, Measured]:
    """Ours and theirs, each in a database of its own; theirs gets a ledger's events."""
    import psycopg
    from sqlalchemy import make_url

    names = [f"ours_{number}", f"theirs_{number}"]
    url = make_url(where.replace("{}", "bench"))
    host, user = str(url.query["host"]), url.username or "postgres"
    login = {"host": host, "user": user, "dbname": "bench", "autocommit": True}
    with psycopg.connect(**login) as connection:  # type: ignore[arg-type]
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    ours = measured_ledger(where.replace("{}", names[0]), size)
    return ours, foreign(ledger, f"{host} {names[1]} {user}", SMALL)
