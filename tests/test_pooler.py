"""Behind a pooler in transaction mode all works: the store leaves nothing in a session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from cli_desk import OPEN, accord, batch, done, line, opening
from places import places
from pooler import SESSIONS, Pooler, pooler

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.commands.registry import request_of
from ledger.record.store import Store, open_store

pytestmark = pytest.mark.postgresql

LEFT_BEHIND = """
SELECT 'prepared: ' || statement FROM pg_prepared_statements
UNION ALL SELECT 'cursor: ' || statement FROM pg_cursors WHERE is_holdable
UNION ALL SELECT 'lock: ' || locktype FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'advisory'
UNION ALL SELECT 'table: ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'setting: ' || name FROM pg_settings
  WHERE source = 'session' AND name <> 'application_name'
UNION ALL SELECT 'role: ' || current_user WHERE current_user <> session_user
"""


@pytest.fixture(name="pooler")
def _pooler() -> Iterator[Pooler]:
    """A pooler before the server of the tests."""
    with pooler(places.server.folder) as made:
        yield made


@pytest.fixture
def direct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new ledger, as it is reached with no pooler between; for Ann of Acme."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    return places.address("accord.db", made=True)


@pytest.fixture
def pooled(pooler: Pooler, direct: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same ledger behind the pooler."""
    url = pooler.url(str(sa.make_url(direct).database))
    monkeypatch.setenv("ACCORD_DB", url)
    return url


def said(name: str, deal: str = "acme-orion") -> dict[str, Any]:
    """A statement, as a batch line."""
    words = {"statement": name, "speaker": "Acme", "text": "On track"}
    return line("agreement record-statement", deal, **words)


def statement(name: str, deal: str = "acme-orion") -> Any:
    return request_of({**said(name, deal), "actor": "ann@acme"})


def client(pooler: Pooler, url: str) -> psycopg.Connection[Any]:
    """A client of the pooler, with no accord between."""
    words = {"host": str(pooler.folder), "user": "postgres"}
    database = str(sa.make_url(url).database)
    return psycopg.connect(
        **words, dbname=database, autocommit=True, prepare_threshold=None
    )


def test_no_two_transactions_share_a_session(pooler: Pooler, pooled: str) -> None:
    """The pooler is as unkind as it says: the next transaction is somewhere else."""
    query = "SELECT pg_backend_pid()"

    with client(pooler, pooled) as connection:
        pids = [connection.execute(query).fetchone() for _ in range(4)]
        with connection.transaction():
            held = {connection.execute(query).fetchone() for _ in range(4)}

    assert all(one != after for one, after in pairwise(pids))
    assert len(held) == 1


def test_everyday_commands_work(pooler: Pooler, pooled: str, tmp_path: Path) -> None:
    """A ledger is made, filled, shown, exported, restored and verified."""
    done(*OPEN)
    done("append", batch(*(said(f"s-{number}") for number in range(50))))
    done("show", "acme-orion")
    done("views", "rebuild")
    assert "51 events" in done("verify", "--views").stdout
    exported = done("export").stdout

    restored = "restored.db"
    places.address(restored)
    url = pooler.url(places._name(restored))
    done("init", "--db", url)
    done("import", "-", "--db", url, stdin=exported)
    assert done("export", "--db", url).stdout == exported
    assert any(len(set(one.had)) > 1 for one in pooler.clients)


def test_two_writers_at_once_work(pooled: str) -> None:
    """Two who write at once both have all that they wrote recorded, in one order."""
    deals = ["deal-1", "deal-2"]
    done("append", batch(*map(opening, deals)))

    def write(deal: str) -> list[int]:
        with closing(Ledger(open_store(pooled))) as ledger:
            requests = [statement(f"s-{number}", deal) for number in range(20)]
            return [ledger.execute(one).positions[0] for one in requests]

    with ThreadPoolExecutor(2) as pool:
        told = [position for found in pool.map(write, deals) for position in found]

    assert sorted(told) == list(range(3, 43))
    with closing(open_store(pooled)) as store:
        assert verify(store).events == 42


def test_follower_sees_what_comes(pooled: str, direct: str) -> None:
    """Behind a pooler nobody hears a notification: the follower looks for itself."""
    done(*OPEN)
    seen: list[int] = []
    with closing(open_store(pooled)) as followed, closing(open_store(direct)) as store:
        subscription = followed.subscribe(gt=0)

        def follow() -> None:
            with subscription:
                for notification in subscription:
                    seen.append(notification.id)
                    if notification.id == 3:
                        subscription.stop()

        follower = threading.Thread(target=follow)
        follower.start()
        ledger = Ledger(store)
        ledger.execute(statement("s-1"))
        ledger.execute(statement("s-2"))
        follower.join(15)
        assert not follower.is_alive()

    assert seen == [1, 2, 3]


def test_nothing_is_left_in_a_session(
    pooler: Pooler, pooled: str, tmp_path: Path
) -> None:
    """Commands, refusals, reads and a verification leave every session as it was."""
    done(*OPEN)
    accord(*OPEN)
    done("append", batch(*(said(f"s-{number}") for number in range(9))))
    done("views", "rebuild")
    done("verify")
    with closing(open_store(pooled)) as store:
        look_through(store)

    with client(pooler, pooled) as connection:
        for _ in range(2 * SESSIONS):
            assert connection.execute(LEFT_BEHIND).fetchall() == []


def look_through(store: Store) -> None:
    """Read as much as can be read, a part of it to no end."""
    with store.snapshot():
        next(iter(store.entries()))
        store.head()
    list(store.entries())
