"""Faults of the world: each gets one clear sentence, and leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Desk
from vandal import many_events, raw, small_ledger

from ledger.application import Ledger
from ledger.audit.integrity import verify
from ledger.commands.registry import Request
from ledger.database import sqlite
from ledger.errors import LedgerUnavailable
from ledger.record.store import create_store, open_store

pytestmark = pytest.mark.sqlite

OPENED = {"title": "T", "capital": ["a"], "capacity": ["b"]}


def python(code: str, *arguments: str, **keys: object) -> subprocess.Popen[str]:
    """Our own code in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        **keys,  # type: ignore[call-overload]
    )


def refusal(opening: Callable[[str], object], url: str) -> str:
    """The one sentence that opening gives."""
    with pytest.raises(LedgerUnavailable) as refused:
        opening(url)
    text = str(refused.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def make(place: Path, kind: str) -> None:
    """Something that is no ledger."""
    match kind:
        case "folder":
            place.mkdir()
        case "text":
            place.write_bytes(b"Dear diary, today I bought ten gigawatts.\n" * 200)
        case "pipe":
            os.mkfifo(place)
        case "empty":
            place.touch()
        case "other":
            with sqlite3.connect(place) as connection:
                connection.execute("CREATE TABLE songs (title)")
            connection.close()
        case "alike":
            with sqlite3.connect(place) as connection:
                connection.execute("CREATE TABLE accord_meta (key, value)")
            connection.close()


@pytest.mark.parametrize(
    ("kind", "opened", "created"),
    [
        ("folder", "is a folder, not a ledger", "is a folder, not a ledger"),
        ("text", "is not a ledger: file is not a database", "is not a ledger"),
        ("pipe", "is not a file, so not a ledger", "is not a file, so not a ledger"),
        ("other", "is a database, but not a ledger", "is a database with other tables"),
        ("alike", "is a database, but not a ledger", "is a database, but not a ledger"),
        ("empty", "is a database, but not a ledger", ""),
        ("nothing", "There is no ledger at", ""),
    ],
)
def test_what_is_no_ledger(
    tmp_path: Path, kind: str, opened: str, created: str
) -> None:
    """It is named for what it is, and left exactly as it was found."""
    place = tmp_path / "accord.db"
    make(place, kind)
    before = place.read_bytes() if place.is_file() else None
    assert opened in refusal(open_store, f"sqlite:///{place}")
    if created:
        assert created in refusal(create_store, f"sqlite:///{place}")
        assert (place.read_bytes() if place.is_file() else None) == before
        assert [p.name for p in tmp_path.iterdir()] == ["accord.db"]
    else:
        store, made = create_store(f"sqlite:///{place}")
        assert made
        store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "A ledger is kept in a file"),
        ("sqlite:///:memory:", "A ledger is kept in a file"),
        ("sqlite:///x.db?mode=ro", "takes no options after '?'"),
        ("mysql://me:secret@host/db", "kept in SQLite files and in PostgreSQL"),
        ("accord.db", "is not a database URL"),
        ("", "is not a database URL"),
        ("sqlite:////nowhere/at/all/x.db", "The folder /nowhere/at/all does not exist"),
        ("sqlite:////etc/hostname/x.db", "does not exist"),
        (f"sqlite:////{'x' * 300}.db", "cannot be reached: File name too long"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    """A URL that names no file is refused before anything is touched."""
    text = refusal(create_store, url)
    assert said in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("5", "has schema 5, which is newer than the 4 that this version"),
        ("1", "has schema 1, which is older than the 4 that this version"),
        ("x", "is a database, but not a ledger"),
    ],
)
def test_another_schema(desk: Desk, schema: str, said: str) -> None:
    """A ledger of another schema is not touched."""
    desk.ledger.close()
    with raw(desk.path) as connection:
        connection.execute("UPDATE accord_meta SET value = ?", (schema,))
    assert said in refusal(open_store, desk.url)
    assert said in refusal(create_store, desk.url)


def test_a_ledger_that_lost_its_head_is_no_ledger(tmp_path: Path) -> None:
    """A file cut off in the middle is called damaged."""
    desk = Desk(tmp_path / "accord.db")
    many_events(desk, 300)
    desk.ledger.close()
    whole = desk.path.read_bytes()
    desk.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LedgerUnavailable, match="is damaged: database disk image"):
        Ledger(open_store(desk.url)).store.select_notifications(1, 1000)


def test_a_full_disk(desk: Desk) -> None:
    """The batch that does not fit is refused whole; what was there stays whole."""
    small_ledger(desk)
    before = desk.store.head()
    with desk.store.reading() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {used + 2}")
    with pytest.raises(LedgerUnavailable) as refused:
        many_events(desk, 500)
    assert str(refused.value) == (
        f"The disk that holds {desk.path} is full; nothing was written."
    )
    assert desk.store.head() == before
    assert verify(desk.store).events == 12


def test_a_file_that_may_not_grow(desk: Desk) -> None:
    """A limit of the system in the middle of a commit: a sentence, and a whole record."""
    small_ledger(desk)
    desk.ledger.close()
    child = python(
        """
        import resource, signal, sys
        from ledger.application import Ledger
        from ledger.commands.registry import Request
        from ledger.errors import LedgerUnavailable
        from ledger.record.store import open_store
        ledger = Ledger(open_store(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
        try:
            for number in range(1000):
                ledger.execute(Request(
                    command="agreement open", deal=f"d{number}", actor="ann@acme",
                    command_id=f"c{number}",
                    parameters={"title": "T" * 500, "capital": ["a"], "capacity": ["b"]},
                ))
                print(f"c{number}", flush=True)
        except LedgerUnavailable as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        """,
        desk.url,
    )
    *done, said = child.communicate()[0].splitlines()
    assert child.returncode == 0
    assert said == (
        f"The disk that holds {desk.path} failed (disk I/O error); nothing was written."
    )
    store = open_store(desk.url)
    assert verify(store).events == 12 + len(done)
    assert len(store.commands(done)) == len(done) > 0
    store.close()


def test_a_locked_ledger(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer that does not let go: reading goes on, writing gives up in time."""
    small_ledger(desk)
    before = desk.store.head()
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    store = open_store(desk.url, desk.clock)
    with raw(desk.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable) as refused:
            Ledger(store).execute(
                Request(
                    command="agreement open", deal="x", actor="a@b", parameters=OPENED
                )
            )
        assert store.head() == before
        assert verify(store).events == 12
    assert str(refused.value) == (
        f"{desk.path} is locked by another program; nothing was written. Try again."
    )
    store.close()


def test_a_ledger_that_another_holds_for_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that keeps even readers out is waited for, then named."""
    desk.ledger.close()
    monkeypatch.setattr(sqlite, "BUSY_S", 0.1)
    with raw(desk.path) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE tracking SET notification_id = 1")
        other.execute("COMMIT")
        assert "is locked by another program" in refusal(open_store, desk.url)


def test_a_killed_process(desk: Desk) -> None:
    """Killed while it writes: the ledger opens, verifies, and holds every batch whole.

    What was acknowledged is there; of what was not, a batch is there wholly or not.
    """
    desk.ledger.close()
    for rounds in range(3):
        child = python(
            """
            import sys
            from ledger.application import Ledger
            from ledger.commands.registry import Request
            from ledger.record.store import open_store
            ledger, start = Ledger(open_store(sys.argv[1])), sys.argv[2]
            for number in range(100_000):
                ledger.execute_batch([
                    (line, Request(
                        command="agreement open", deal=f"d{start}-{number}-{line}",
                        actor="ann@acme", command_id=f"c{start}-{number}-{line}",
                        parameters={"title": "T", "capital": ["a"], "capacity": ["b"]},
                    ))
                    for line in range(5)
                ])
                print(number, flush=True)
            """,
            desk.url,
            str(rounds),
        )
        assert child.stdout
        acknowledged = []
        while len(acknowledged) < 20 + 7 * rounds:
            acknowledged.append(int(child.stdout.readline()))
        child.send_signal(signal.SIGKILL)
        acknowledged += map(int, child.stdout.read().split())
        child.wait()
        child.stdout.close()
        store = open_store(desk.url)
        report = verify(store)
        last = acknowledged[-1]
        assert acknowledged == list(range(last + 1))
        for number in range(last + 3):
            ids = [f"c{rounds}-{number}-{line}" for line in range(5)]
            held = len(store.commands(ids))
            assert held == 5 if number <= last else held in {0, 5}
        assert report.events == report.commands
        store.close()


def test_an_interrupted_command_leaves_nothing(desk: Desk) -> None:
    """Ctrl-C inside the transaction takes everything back."""
    small_ledger(desk)
    before = desk.store.head()

    def interrupted() -> None:
        with desk.store.writing() as connection:
            connection.exec_driver_sql("INSERT INTO tracking VALUES ('x', 1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert desk.store.max_tracking_id("x") is None
    assert desk.store.head() == before
    assert desk.do("agreement open", deal="after", **OPENED)


@pytest.fixture
def shown() -> Iterator[Path]:
    """A folder that every user of the system can get to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


AS_NOBODY = """
    import os, sys
    import ledger.database.sqlite
    from ledger.application import Ledger
    from ledger.commands.registry import Request
    from ledger.errors import LedgerUnavailable
    from ledger.audit.integrity import verify
    from ledger.record.store import create_store, open_store
    root = os.geteuid() == 0
    if root:
        os.setegid(65534)
        os.seteuid(65534)
    try:
        store = open_store(sys.argv[1])
        print(verify(store).events)
        print(len(store.select_events("agreement/one")))
        Ledger(store).execute(Request(
            command="agreement open", deal="new", actor="ann@acme",
            parameters={"title": "T", "capital": ["a"], "capacity": ["b"]},
        ))
    except LedgerUnavailable as error:
        print(error)
    if root:
        os.seteuid(0)
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode"), [(0o555, 0o444), (0o555, 0o666), (0o777, 0o444)]
)
@pytest.mark.parametrize("in_use", [False, True])
def test_a_ledger_that_may_only_be_read(
    shown: Path, folder_mode: int, file_mode: int, *, in_use: bool
) -> None:
    """File or folder read-only: reading and verifying work, writing says why not."""
    desk = Desk(shown / "accord.db")
    small_ledger(desk)
    if not in_use:
        desk.ledger.close()
    for file in shown.iterdir():
        file.chmod(file_mode)
    shown.chmod(folder_mode)
    child = python(AS_NOBODY, desk.url)
    lines = child.communicate()[0].splitlines()
    desk.ledger.close()
    assert child.returncode == 0
    assert lines[:2] == ["12", "6"], lines
    if not (in_use and file_mode == 0o666):
        # A running owner's lock files let another user of an open file write too.
        assert lines[2:] == [
            f"{desk.path} may not be written by this user; nothing was written."
        ]


def test_unmerged_writes_that_cannot_be_read_are_not_passed_over(shown: Path) -> None:
    """A log left by a crash, in a folder that may not be written: better no answer."""
    desk = Desk(shown / "accord.db")
    small_ledger(desk)
    copies = shown / "copies"
    copies.mkdir()
    for name in ("accord.db", "accord.db-wal"):
        shutil.copy(shown / name, copies / name)
    desk.ledger.close()
    copies.chmod(0o555)
    child = python(AS_NOBODY, f"sqlite:///{copies}/accord.db")
    (said,) = child.communicate()[0].splitlines()
    copies.chmod(0o755)
    assert "accord.db may not be" in said


def test_a_ledger_that_may_not_even_be_read(shown: Path) -> None:
    """No right to the file, or to its folder: one sentence."""
    desk = Desk(shown / "accord.db")
    desk.ledger.close()
    desk.path.chmod(0)
    child = python(AS_NOBODY, desk.url)
    (said,) = child.communicate()[0].splitlines()
    assert said == (
        f"{desk.path} may not be opened by this user (unable to open database file)."
    )
    shown.chmod(0)
    child = python(AS_NOBODY, desk.url)
    (said,) = child.communicate()[0].splitlines()
    assert said == f"{desk.path} cannot be reached: Permission denied."
