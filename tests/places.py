"""Where tests keep their ledgers: files, or databases of a real PostgreSQL server.

A test names a ledger by a path and asks for its `address`. Which of the two it gets is
the kind that the test runs on: most run on both, see `conftest.py`.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import psycopg

from ledger.database.tables import WRITTEN_ONCE, head, metadata
from ledger.record.store import create_store
from ledger.tlog.merkle import EMPTY_ROOT
from projections.projector import view_tables

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
_TEMPLATE: Final = "accord_template"
_SHAPE: Final = """
SELECT md5(string_agg(one, ' ' ORDER BY one)) FROM (
  SELECT concat(relname, relkind, relacl) AS one
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat(tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT concat(proname, prosrc) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'
  UNION ALL SELECT rulename FROM pg_rules WHERE schemaname = 'public'
  UNION ALL SELECT concat(attname, atttypid) FROM pg_attribute JOIN pg_class c
    ON c.oid = attrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT setconfig::text FROM pg_db_role_setting JOIN pg_database d
    ON d.oid = setdatabase WHERE d.datname = current_database()
  UNION ALL SELECT concat(key, value) FROM accord_meta
  UNION ALL SELECT version_num FROM alembic_version) AS everything
"""
"""What a test may have changed of a ledger's tables, functions, rights and settings."""
_NOT: Final = ("removed", "shortened")
_KEPT: Final = {"accord_meta", "alembic_version", "tree_head"}


class Places:
    """The ledgers of this process's tests."""

    def __init__(self) -> None:
        self.kind = SQLITE
        self.databases: list[str] = []
        self._names: dict[str, str] = {}
        self._ready: set[str] = set()
        self._spare: list[str] = []
        self._shape: Any = None
        self._empty = ""
        self._count = 0
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
            ((self._shape,),) = self._server.sql(_SHAPE, _TEMPLATE)
            self._empty = _emptied()
        return self._server

    def address(self, path: Path | str, *, made: bool = False) -> str:
        """The URL of the ledger that a path names; `made` where a new one is at hand."""
        if self.kind == SQLITE:
            return f"sqlite:///{path}"
        if str(Path(path).absolute()) not in self._names:
            name = self._taken(path)
            if made and self._spare:
                self._names[str(Path(path).absolute())] = name = self._spare.pop()
            else:
                template = f" TEMPLATE {_TEMPLATE}" if made else ""
                self.server.sql(f"CREATE DATABASE {name}{template}")
            if made:
                self._ready.add(name)
            self.databases.append(name)
        return str(self.server.url(self._name(path)))

    def knows(self, path: Path | str) -> bool:
        """Whether there is a database for a path."""
        return str(Path(path).absolute()) in self._names

    def dsn(self, path: Path | str) -> str:
        """Where psycopg finds the database that a path names."""
        return str(self.server.dsn(self._name(path)))

    def copy(self, origin: Path | str, path: Path | str) -> str:
        """Copy a ledger that nobody uses just now, as it is; the copy's URL."""
        if self.kind == SQLITE:
            shutil.copy(origin, path)
            return f"sqlite:///{path}"
        self.drop(path)
        source, name = self._name(origin), self._taken(path)
        self._alone(source)
        self.server.sql(f"CREATE DATABASE {name} TEMPLATE {source}")
        self.databases.append(name)
        return str(self.server.url(name))

    def drop(self, path: Path | str) -> None:
        """Take a ledger away."""
        if self.kind == SQLITE:
            Path(path).unlink(missing_ok=True)
        elif str(Path(path).absolute()) in self._names:
            self._drop(self._name(path))

    def drop_after(self, count: int) -> None:
        """Take away the databases that were made after the first so many."""
        for name in self.databases[count:]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self.databases.remove(name)
        path = next(path for path, known in self._names.items() if known == name)
        del self._names[path]
        if name in self._ready and self._as_new(name):
            self._spare.append(name)
        else:
            self._ready.discard(name)
            self.server.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _as_new(self, name: str) -> bool:
        """Empty a ledger for the next test, where only its rows were changed."""
        self._alone(name)
        with psycopg.connect(self.server.dsn(name), autocommit=True) as connection:
            (shape,) = connection.execute(_SHAPE).fetchone()
            if shape == self._shape:
                connection.execute(self._empty)
            return bool(shape == self._shape)

    def _alone(self, name: str) -> None:
        self.server.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = '{name}'"
        )

    def _taken(self, path: Path | str) -> str:
        """A name for the database of a path that has none yet."""
        self._count += 1
        name = f"test{self._count}"
        self._names[str(Path(path).absolute())] = name
        return name

    def _name(self, path: Path | str) -> str:
        return self._names[str(Path(path).absolute())]

    def close(self) -> None:
        """Stop the server, if there is one."""
        with suppress(OSError):
            self._held.close()


def _emptied() -> str:
    """What empties every table of a ledger, triggers or not, and sets the head back."""
    tables = [*metadata.sorted_tables, *view_tables().sorted_tables]
    guarded = [table.name for table in (*WRITTEN_ONCE, head)]
    rest = [f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in guarded]
    gone = [f"DELETE FROM {t.name}" for t in tables if t.name not in _KEPT]
    back = (
        "UPDATE tree_head SET size = 0, root = '\\x%s', frontier = '', recorded_at = ''"
    )
    triggers = [(table.name, f"{table.name}_not_changed") for table in WRITTEN_ONCE]
    triggers += [(head.name, f"{head.name}_not_{what}") for what in _NOT]
    duty = [f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}" for on, name in triggers]
    return "; ".join(["BEGIN", *rest, *gone, back % EMPTY_ROOT.hex(), *duty, "COMMIT"])


places: Final = Places()
"""Those of this process."""


def address(path: Path | str) -> str:
    """The URL of the ledger that a path names, on the kind that the test runs on."""
    return places.address(path)
