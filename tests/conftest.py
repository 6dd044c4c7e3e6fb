"""The desk at which tests keep a ledger: the real store, with a clock that is set.

Every test runs on SQLite and on PostgreSQL, unless its module or itself is marked:
`sqlite` and `postgresql` for what holds for one alone, `pure` for what needs neither.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from places import POSTGRESQL, SQLITE, places

from cli.hints import told
from ledger.application import Ledger
from ledger.commands.registry import request_of
from ledger.domain.aggregate import A
from ledger.domain.event import Event
from ledger.errors import Refused
from ledger.record.store import _OPEN, create_store
from projections.projector import view_tables


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **spans: float) -> None:
        """Go on by a span, as `timedelta` takes it."""
        self.now += timedelta(**spans)


class Desk:
    """Given, when, then: `do` carries a command out, `refuses` shows that it cannot."""

    def __init__(self, path: Path, url: str | None = None) -> None:
        self.clock = Clock()
        self.path = path
        self.kind = places.kind
        self.url = url or places.address(path, made=True)
        self.store, _ = create_store(self.url, self.clock, beside=view_tables())
        self.ledger = Ledger(self.store)
        self.deal = "acme-orion"
        self.actor = "ann@acme"

    def request(self, command: str, **keys: Any) -> Any:
        """A request as a batch line would make it; `on` is the effective date."""
        line = {"deal": self.deal, "actor": self.actor, "command": command, **keys}
        if "on" in line:
            line["effective_on"] = line.pop("on")
        return request_of(line)

    def do(self, command: str, **keys: Any) -> tuple[Event[Any], ...]:
        """Carry a command out; the events that it recorded."""
        return self.ledger.execute(self.request(command, **keys)).events

    def data(self, command: str, **keys: Any) -> list[Any]:
        """Carry a command out; only what happened, without identity and provenance."""
        return [event.data for event in self.do(command, **keys)]

    def refuses(self, code: str, command: str, **keys: Any) -> str:
        """It is refused under that rule, and nothing is recorded; what a user is told."""
        before = self.store.head()
        with pytest.raises(Refused) as refusal:
            self.do(command, **keys)
        assert refusal.value.code == code, str(refusal.value)
        assert self.store.head() == before
        return told(refusal.value)

    def get(self, kind: type[A], *ids: str) -> A:
        """An aggregate as it stands, folded from the store."""
        from ledger.domain.aggregate import stream_of

        return self.ledger.load(kind, stream_of(kind, *ids))


def pytest_configure() -> None:
    """Take Ctrl-C, and let what we start take it: in the background it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every kind of database that it is about."""
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "pure" not in marks:
        both = (SQLITE, POSTGRESQL)
        kinds = [kind for kind in both if kind in marks] or both
        metafunc.parametrize("database", kinds, indirect=True, scope="module")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out a test's cases that are marked for another kind of database."""

    def fits(item: pytest.Item) -> bool:
        kind = getattr(item, "callspec", None) and item.callspec.params.get("database")
        marked = {m.name for m in item.iter_markers()} & {SQLITE, POSTGRESQL}
        return not kind or not marked or kind in marked

    items[:] = [item for item in items if fits(item)]


@pytest.fixture(scope="module", autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that the test runs on."""
    before, places.kind = places.kind, getattr(request, "param", SQLITE)
    count = len(places.databases)
    yield places.kind
    places.drop_after(count)
    places.kind = before


@pytest.fixture(autouse=True)
def tidy(database: str) -> Iterator[None]:
    """The databases that a test makes are gone when it ends."""
    count = len(places.databases)
    yield
    gone = set(places.databases[count:])
    for store in list(_OPEN):
        if store.engine.url.database in gone:
            store.close()
    places.drop_after(count)


@pytest.fixture(scope="session", autouse=True)
def stop_servers() -> Iterator[None]:
    """Servers end with the tests."""
    yield
    places.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A new ledger, in a place of its own."""
    desk = Desk(tmp_path / "accord.db")
    yield desk
    desk.ledger.close()


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that everybody can read, and we too can only read once we are nobody."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def read_only(folder: Path) -> None:
    """From here on the folder and what is in it may only be read, by root too."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
