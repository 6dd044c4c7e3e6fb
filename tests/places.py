"""Where tests keep their ledgers: files, or databases of a real PostgreSQL server.

A test names a ledger by a path and asks for its `address`. Which of the two it gets is
the kind that the test runs on: most run on both, see `conftest.py`.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from ledger.store import create_store
from projections.projector import view_tables

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
_TEMPLATE: Final = "accord_template"


class Places:
    """The ledgers of this process's tests."""

    def __init__(self) -> None:
        self.kind = SQLITE
        self.databases: list[str] = []
        self._held = ExitStack()
        self._server: Any = None

    @property
    def server(self) -> Any:
        """A PostgreSQL server for all of this process's tests, started when needed."""
        if self._server is None:
            from servers import server

            self._server = self._held.enter_context(server())
            self._server.sql(f"CREATE DATABASE {_TEMPLATE}")
            store, _ = create_store(self._server.url(_TEMPLATE), beside=view_tables())
            store.close()
        return self._server

    def address(self, path: Path | str, *, made: bool = False) -> str:
        """The URL of the ledger that a path names; `made` where a new one is at hand."""
        if self.kind == SQLITE:
            return f"sqlite:///{path}"
        name = self._name(path)
        if name not in self.databases:
            template = f" TEMPLATE {_TEMPLATE}" if made else ""
            self.server.sql(f"CREATE DATABASE {name}{template}")
            self.databases.append(name)
        return str(self.server.url(name))

    def dsn(self, path: Path | str) -> str:
        """Where psycopg finds the database that a path names."""
        return str(self.server.dsn(self._name(path)))

    def copy(self, origin: Path | str, path: Path | str) -> str:
        """Copy a ledger that nobody uses just now, as it is; the copy's URL."""
        if self.kind == SQLITE:
            shutil.copy(origin, path)
            return f"sqlite:///{path}"
        source, name = self._name(origin), self._name(path)
        self.drop(path)
        self._alone(source)
        self.server.sql(f"CREATE DATABASE {name} TEMPLATE {source}")
        self.databases.append(name)
        return str(self.server.url(name))

    def drop(self, path: Path | str) -> None:
        """Take a ledger away."""
        if self.kind == SQLITE:
            Path(path).unlink(missing_ok=True)
        elif (name := self._name(path)) in self.databases:
            self._drop(name)

    def drop_after(self, count: int) -> None:
        """Take away the databases that were made after the first so many."""
        for name in self.databases[count:]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self.databases.remove(name)
        self.server.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _alone(self, name: str) -> None:
        self.server.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = '{name}'"
        )

    @staticmethod
    def _name(path: Path | str) -> str:
        return (
            "t" + hashlib.sha256(str(Path(path).absolute()).encode()).hexdigest()[:20]
        )

    def close(self) -> None:
        """Stop the server, if there is one."""
        with suppress(OSError):
            self._held.close()


places: Final = Places()
"""Those of this process."""


def address(path: Path | str) -> str:
    """The URL of the ledger that a path names, on the kind that the test runs on."""
    return places.address(path)
