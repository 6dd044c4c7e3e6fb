"""Reads from a replica say how far behind it is, and wait for what must be there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_desk import LOI, OPEN, done, fails
from cluster import Cluster, cluster

from cli import replicas
from ledger.record.store import create_store, open_store
from projections.projector import view_tables

SHOW = ("show", "acme-orion", "--format", "json")


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A primary with a ledger, and a standby that follows it."""
    with cluster(synchronous=False) as made:
        made.primary.sql("CREATE DATABASE ledger")
        store, _ = create_store(made.primary.url("ledger"), beside=view_tables())
        store.close()
        yield made


@pytest.fixture
def urls(pair: Cluster, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The primary's address, which is the default, and the replica's."""
    primary, replica = pair.primary.url("ledger"), pair.standby.url("ledger")
    monkeypatch.setenv("ACCORD_DB", primary)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    return primary, replica


@pytest.mark.postgresql
def test_reads_from_a_replica(
    pair: Cluster,
    urls: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The same answers, with a note of how far behind; a position is waited for."""
    _, replica = urls
    done(*OPEN)
    here = done(*SHOW).stdout
    there = done(*SHOW, "--replica", replica, "--at-least", "1")
    assert json.loads(there.stdout) == json.loads(here)
    assert "note: the answer comes from a replica, which is up to date" in there.stderr
    pair.mute()
    try:
        done(*LOI)
        late = done(*SHOW, "--replica", replica)
        assert json.loads(late.stdout) == json.loads(here)
        assert "from a replica, 1 event behind; it last took something in at" in (
            late.stderr
        )
        monkeypatch.setattr(replicas, "WAIT_S", 0.3)
        said = fails(1, *SHOW, "--replica", replica, "--at-least", "2")
        assert "Position 2 is not there: the record that is read here has 1 ev" in said
    finally:
        monkeypatch.setattr(replicas, "WAIT_S", 20)
        threading.Timer(0.3, pair.speak).start()
    waited = done(*SHOW, "--replica", replica, "--at-least", "2")
    assert json.loads(waited.stdout)["about"]["state"] == "loi_signed"
    monkeypatch.setenv("ACCORD_REPLICA", replica)
    assert "up to date" in done("list").stderr
    said = done("list", "--db", f"sqlite:///{tmp_path}/no.db").stderr
    assert "the primary does not say how far that is behind" in said


@pytest.mark.postgresql
def test_a_standby_can_be_followed(pair: Cluster, urls: tuple[str, str]) -> None:
    """It takes no LISTEN; who follows it looks by himself."""
    _, replica = urls
    store = open_store(replica)
    size = store.head().size
    with store.subscribe(gt=size) as following:
        gamma = ["gamma" if word == "acme-orion" else word for word in OPEN]
        threading.Timer(0.2, done, gamma).start()
        assert next(following).id == size + 1
    store.close()


@pytest.mark.postgresql
def test_a_standby_takes_no_entries(pair: Cluster, urls: tuple[str, str]) -> None:
    """It is told in one sentence; reads, verify and doctor work there."""
    _, replica = urls
    beta = ["beta" if word == "acme-orion" else word for word in OPEN]
    assert "is a standby or read-only" in fails(1, *beta, "--db", replica)
    assert "is a standby or read-only" in fails(1, "views", "rebuild", "--db", replica)
    said = done("list", "--db", replica).stderr
    assert "from a replica; it last took something in at" in said
    assert done("verify", "--db", replica).stdout.startswith("ok")
    assert "standby, reads only" in done_or_wrong("doctor", "--db", replica)


def done_or_wrong(*words: str) -> str:
    """What it says; the administrator who asks is wrong for daily work."""
    from cli_desk import accord

    result = accord(*words)
    assert result.exit_code == 1, result.output
    return str(result.stdout)


def test_at_least_on_one_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a replica the position is waited for all the same."""
    monkeypatch.setenv("ACCORD_DB", f"sqlite:///{tmp_path}/one.db")
    monkeypatch.setattr(replicas, "WAIT_S", 0.1)
    done("init")
    done(*OPEN, "--actor", "ann@acme")
    assert "note" not in done("list", "--at-least", "1").stderr
    assert "Position 2 is not there" in fails(1, "list", "--at-least", "2")
    assert "0 is not in the range" in fails(2, "list", "--at-least", "0")
