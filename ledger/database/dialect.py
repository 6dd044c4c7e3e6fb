"""What differs between databases, and which module knows it: `sqlite` or `postgres`."""

from __future__ import annotations

import importlib
import re
import selectors
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol, cast
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerUnavailable

_PASSWORD: Final = re.compile(r"(?<=:)[^:@/]*(?=@)|(?<=password=)[^&]*")
_SECRET: Final = ("password", "sslpassword")
_HOSTS: Final = re.compile(
    r"postgres(?:ql)?(?P<driver>\+\w+)?://(?P<user>[^/@]*@)?"
    r"(?P<hosts>[^/?@]*,[^/?@]*)/(?P<database>[^?]*)(?:\?(?P<query>.*))?"
)
_HOST: Final = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>\d*))?")
_MODULES: Final = {
    "sqlite": "ledger.database.sqlite",
    "postgresql": "ledger.database.postgres",
}


class HeadRows(NamedTuple):
    """The tree head's rows, read under the writer lock; what the database says beside.

    `now` and `user` are None where the host's clock and user stand for the database's.
    """

    rows: Sequence[Any]
    now: datetime | None
    user: str | None


class Fact(NamedTuple):
    """One line of what is found; `wrong` says what to do where it is not right.

    Where that is a command, `hint` names it.
    """

    name: str
    value: str
    wrong: str = ""
    hint: str = ""


class Waker:
    """Waits until there may be new events: for a while, or until it is woken."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._ear, self._bell = socket.socketpair()

    def wait(self) -> None:
        """Wait, not for long: there may be new events, or none, when it returns."""
        self._hear()

    def _hear(self, *others: Any) -> list[Any]:
        """Wait for what can be read; which of the others can."""
        with selectors.DefaultSelector() as either:
            for one in (self._ear, *others):
                either.register(one, selectors.EVENT_READ)
            heard = [key.fileobj for key, _ in either.select(self._poll_s)]
        return [one for one in others if one in heard]

    def wake(self) -> None:
        """Let whoever waits go on at once; from any thread, or a signal's handler."""
        with suppress(OSError):  # Closed already: nobody waits.
            self._bell.send(b".")

    def close(self) -> None:
        """Give back what it held."""
        self._ear.close()
        self._bell.close()


class Database(Protocol):
    """What the store asks of a database."""

    def address(self, url: URL) -> URL:
        """The URL as the database's driver takes it; LedgerUnavailable where none can."""

    def engine(self, url: URL, *, create: bool) -> Engine:
        """An engine on an address; LedgerUnavailable where there can be no ledger."""

    def opened(self, engine: Engine) -> None:
        """Do what is due once a ledger is found there."""

    def prepare(self, connection: Connection) -> None:
        """Before a ledger's tables are made: what they need."""

    def protect(self, connection: Connection, tables: Sequence[sa.Table]) -> None:
        """Let nobody change or delete what is written once (REC-01)."""

    def lock(self, connection: Connection) -> HeadRows:
        """Take the writer lock of the append, which ends with the transaction."""

    def write(
        self,
        connection: Connection,
        rows: Sequence[tuple[sa.Table, Sequence[tuple[Any, ...]]]],
        head: Sequence[Any],
    ) -> None:
        """Insert rows, whole and in the order of the columns, and move the tree head."""

    def upsert(
        self, connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Put rows, whole and in the order of the columns, in place of those of their key."""

    def remove(
        self, connection: Connection, table: sa.Table, keys: Sequence[tuple[Any, ...]]
    ) -> None:
        """Delete the rows of primary keys."""

    def waker(self, engine: Engine) -> Waker:
        """A way to wait for new events."""

    def damaged(self, error: DBAPIError) -> bool:
        """Whether an error says that what is stored cannot be right."""

    def replayed(self, connection: Connection) -> str | None:
        """When a standby last took something in; None where it is no standby."""

    def passing(self, error: DBAPIError) -> bool:
        """Whether the same may work in a moment: a lock, or a server that is gone."""

    def unknown(self, error: DBAPIError | None, connection: Connection) -> bool:
        """Whether it is open if a transaction, just told to commit, did."""

    def sentence(self, url: URL, error: DBAPIError) -> str:
        """An error of the database, as one sentence for the user."""

    def health(self, connection: Connection) -> list[Fact]:
        """The database's version, settings and rights, with what is not right."""


@lru_cache
def database_named(name: str) -> Database:
    """The module of a database; loaded when it is first needed."""
    return cast("Database", importlib.import_module(_MODULES[name]))


def database_of(engine: Engine) -> Database:
    """What is known of the database behind an engine."""
    return database_named(engine.dialect.name)


def parsed(text: str) -> tuple[URL, Database]:
    """A URL as it was meant, and its database; LedgerUnavailable where it names none."""
    try:
        url = sa.make_url(_one_host(text))
    except (sa.exc.ArgumentError, ValueError):
        raise LedgerUnavailable(
            f"{_PASSWORD.sub('***', text)!r} is not a database URL. Write it as "
            "'sqlite:///accord.db' or 'postgresql+psycopg://user@host/database'."
        ) from None
    name = url.get_backend_name()
    if "@" in unquote(url.database or "") and name != "sqlite":
        raise LedgerUnavailable(
            "The database URL has an '@' behind its host. In a password, write '@' as "
            "%40, '/' as %2F and ':' as %3A."
        )
    if name not in _MODULES:
        raise LedgerUnavailable(
            f"{shown(url)}: ledgers are kept in SQLite files and in PostgreSQL; use "
            "'sqlite:///accord.db' or 'postgresql+psycopg://user@host/database'."
        )
    database = database_named(name)
    return database.address(url), database


def _one_host(text: str) -> str:
    """A URL that names several hosts, as the parser and the driver both take it."""
    found = _HOSTS.fullmatch(text)
    if found is None:
        return re.sub("^postgres(?=[+:])", "postgresql", text)
    places = [_HOST.fullmatch(one) for one in found["hosts"].split(",")]
    hosts = ",".join(place["host"].strip("[]") if place else "" for place in places)
    ports = ",".join((place["port"] or "") if place else "" for place in places)
    query = f"&{found['query']}" if found["query"] else ""
    begin = f"postgresql{found['driver'] or ''}://{found['user'] or ''}"
    return f"{begin}/{found['database']}?host={hosts}&port={ports}{query}"


def shown(url: URL) -> str:
    """Where a ledger is, as its user would look for it, without a password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    url = url.difference_update_query(_SECRET)
    return url.render_as_string(hide_password=True).replace("%2F", "/")
