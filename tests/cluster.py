"""Two real PostgreSQL servers: a primary, and a standby that takes over when it dies.

Nothing is acknowledged before both have it on disk, and the disk is synced in earnest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil
from servers import ADMIN, DURABLE, Server

SETTINGS: Final = {
    **DURABLE,
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # In the data folder, so that a server that is killed leaves nothing elsewhere.
    "dynamic_shared_memory_type": "mmap",
}
STANDBY: Final = "standby"


class Node(Server):
    """A server of a cluster: one that can die, and one that can be made of another."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)

    def copy(self, primary: Server) -> None:
        """Make the data folder from a primary that runs, to follow it from here on."""
        origin = f"host={primary.folder} user={ADMIN} application_name={STANDBY}"
        self.run("pg_basebackup", "-D", self.data, "-d", origin, "-R", "-C", "-S",
                 STANDBY, "--checkpoint=fast", "--no-sync")  # fmt: skip

    def kill(self) -> None:
        """End the server and all of its processes at once, without a word.

        Each of them is the head of a group of its own: to end the first one's group
        would leave the others time to notice, and to finish what they are about.
        """
        assert self._process is not None
        first = self._process.pid
        # It makes no more of them from here on, and mourns none.
        os.kill(first, signal.SIGSTOP)
        for one in (*children(first), first):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._forget_memory()

    def _forget_memory(self) -> None:
        # By this segment a server knows that another runs on its data: PostgreSQL
        # removes it when it stops, and could not. Its id is the second number of line 7.
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        segment = lines[6].split()[1]
        subprocess.run(["ipcrm", "-m", segment], check=True)


def children(parent: int) -> list[int]:
    """The processes that a process has begun."""
    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


class Cluster:
    """A primary and its standby; `url(database)` is where accord finds whoever leads."""

    def __init__(self) -> None:
        self.primary, self.standby = Node(), Node()

    def start(self, *, synchronous: bool = True) -> None:
        """Start both; `synchronous` where a commit waits until the standby has it."""
        self.primary.make()
        self.primary.start()
        self.standby.copy(self.primary)
        self.standby.start()
        if synchronous:
            # Said after the copy was made: once it leads it has nobody to wait for.
            names = f"FIRST 1 ({STANDBY})"
            self.primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            self.primary.sql("SELECT pg_reload_conf()")
        self._wait_until_followed("sync" if synchronous else "async")

    def _wait_until_followed(self, how: str) -> None:
        deadline = time.monotonic() + 30
        query = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        while self.primary.sql(query) != [(how,)]:
            assert time.monotonic() < deadline, self.standby.log()
            time.sleep(0.02)

    def url(self, database: str) -> str:
        """Where accord finds the database, whichever of the two takes entries."""
        hosts = f"{self.primary.folder},{self.standby.folder}"
        return (
            f"postgresql+psycopg://{ADMIN}@/{database}?host={hosts}&port=5432,5432"
            "&target_session_attrs=read-write"
        )

    def mute(self) -> None:
        """From here on the primary sends its standby nothing, and notices it not."""
        os.kill(self._sender(), signal.SIGSTOP)

    def speak(self) -> None:
        """Send what was held back, and go on."""
        os.kill(self._sender(), signal.SIGCONT)

    def _sender(self) -> int:
        ((pid,),) = self.primary.sql("SELECT pid FROM pg_stat_replication")
        return int(pid)

    def take_over(self) -> None:
        """Let the standby lead; the primary should be dead by then."""
        assert self.standby.sql("SELECT pg_promote()") == [(True,)]

    def remove(self) -> None:
        """Take both away."""
        self.standby.remove()
        self.primary.remove()


@contextmanager
def cluster(*, synchronous: bool = True) -> Iterator[Cluster]:
    """Two servers that run, until they are no longer needed."""
    made = Cluster()
    try:
        made.start(synchronous=synchronous)
        yield made
    finally:
        made.remove()
