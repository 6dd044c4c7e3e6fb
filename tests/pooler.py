"""A pooler in transaction mode, small and unkind: each transaction gets another session.

It does as PgBouncer does with `pool_mode = transaction`, without its memory of prepared
statements: whoever leaves anything in a session does not find it again.
"""

from __future__ import annotations

import selectors
import shutil
import socket
import struct
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

ADMIN: Final = "postgres"
SOCKET: Final = ".s.PGSQL.5432"
SESSIONS: Final = 6
"""Sessions with the server, at most, for each user and database."""
_ENCRYPTION: Final = {80877103, 80877104}
_ANSWERED: Final = b"QSF"
"""Messages that the server answers with ReadyForQuery: Query, Sync, FunctionCall."""


class Wire:
    """One end of a connection, read a whole message at a time."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._rest = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> list[bytes]:
        """The messages that have come whole; EOFError where the other end is gone."""
        came = self.socket.recv(1 << 16)
        if not came:
            raise EOFError
        came, messages = self._rest + came, []
        while len(came) >= 5 and len(came) > (size := _number(came[1:5])):
            messages.append(came[: size + 1])
            came = came[size + 1 :]
        self._rest = came
        return messages

    def startup(self) -> bytes:
        """What a client says first, as it came; it is refused encryption."""
        while True:
            head = self.socket.recv(8, socket.MSG_WAITALL)
            if len(head) < 8:
                raise EOFError
            if _number(head[4:]) not in _ENCRYPTION:
                return self.socket.recv(_number(head[:4]) - 8, socket.MSG_WAITALL)
            self.socket.sendall(b"N")

    def end(self) -> None:
        """Let whoever reads from it know that there is no more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def _number(four: bytes) -> int:
    return int(struct.unpack("!i", four)[0])


class Session(Wire):
    """A connection with the server; `greeting` is what that said of itself."""

    def __init__(self, folder: Path, startup: bytes) -> None:
        super().__init__(socket.socket(socket.AF_UNIX))
        self.socket.connect(str(folder / SOCKET))
        self.socket.sendall(struct.pack("!ii", len(startup) + 8, 3 << 16) + startup)
        self.greeting: list[bytes] = []
        while not self.greeting or self.greeting[-1][:1] not in {b"Z", b"E"}:
            self.greeting += self.read()

    def forget(self) -> None:
        """Throw away what the server said when nobody was there."""
        with selectors.DefaultSelector() as there:
            there.register(self, selectors.EVENT_READ)
            while there.select(0):
                self.read()


class Pool:
    """The sessions of one user with one database."""

    def __init__(self, folder: Path, startup: bytes) -> None:
        self._folder, self._startup = folder, startup
        self._idle: deque[Session] = deque()
        self._changed = threading.Condition()
        self.sessions: list[Session] = []

    def take(self, last: Session | None) -> Session:
        """A session that nobody has; another than the last whenever there can be one."""
        with self._changed:
            while True:
                # The one that has rested longest; the last one where it is alone.
                if last in self._idle:
                    self._idle.remove(last)
                    self._idle.append(last)
                if self._idle and (self._idle[0] is not last or self._full()):
                    session = self._idle.popleft()
                    session.forget()
                    return session
                if not self._full():
                    self.sessions.append(Session(self._folder, self._startup))
                    return self.sessions[-1]
                self._changed.wait()

    def _full(self) -> bool:
        return len(self.sessions) >= SESSIONS

    def give(self, session: Session, *, broken: bool = False) -> None:
        """Let others have a session, or nobody, where it is in the middle of something."""
        with self._changed:
            if broken:
                self.sessions.remove(session)
                session.socket.close()
            else:
                self._idle.append(session)
            self._changed.notify()


class Client:
    """A client, from its first word to its last; `had` are the sessions that it had."""

    def __init__(self, wire: Wire, pool: Pool) -> None:
        self.wire, self._pool = wire, pool
        self._session: Session | None = None
        self._owed = 0
        self._unfinished = False
        self.had: list[Session] = []

    def serve(self) -> None:
        """Carry messages both ways until either end is gone."""
        try:
            while self._step():
                pass
        finally:
            if self._session is not None:
                self._pool.give(self._session, broken=True)

    def _step(self) -> bool:
        with selectors.DefaultSelector() as ends:
            for end in filter(None, (self.wire, self._session)):
                ends.register(end, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in ends.select()]
        if self._session in ready:
            self._answer(self._session)
        return self.wire not in ready or all(map(self._ask, self.wire.read()))

    def _ask(self, said: bytes) -> bool:
        """Carry a client's message to its session; False where it was its last."""
        if said[:1] == b"X":
            return False
        if self._session is None:
            self._session = self._pool.take(self.had[-1] if self.had else None)
            self.had.append(self._session)
        self._unfinished = said[:1] not in _ANSWERED
        self._owed += not self._unfinished
        self._session.socket.sendall(said)
        return True

    def _answer(self, session: Session) -> None:
        """Carry the server's messages; the session is free where it owes none."""
        messages = session.read()
        ready = [said for said in messages if said[:1] == b"Z"]
        self._owed -= len(ready)
        # Before the client knows, so that its next word finds another.
        if ready and ready[-1][5:] == b"I" and not self._owed and not self._unfinished:
            self._session = None
            self._pool.give(session)
        self.wire.socket.sendall(b"".join(messages))


class Pooler:
    """Listens in a folder of its own, for clients of the server in another."""

    def __init__(self, server: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pooler"))
        self.clients: list[Client] = []
        self._server = server
        self._pools: dict[bytes, Pool] = {}
        self._wires: list[Wire] = []
        self._door = Wire(socket.socket(socket.AF_UNIX))
        self._door.socket.bind(str(self.folder / SOCKET))
        self._door.socket.listen()
        self._threads = [threading.Thread(target=self._receive)]
        self._threads[0].start()

    def url(self, database: str) -> str:
        """Where accord finds a database behind the pooler."""
        return f"postgresql+psycopg://{ADMIN}@/{database}?host={self.folder}"

    def _receive(self) -> None:
        with suppress(OSError):
            while True:
                self._wires.append(Wire(self._door.socket.accept()[0]))
                thread = threading.Thread(target=self._serve, args=self._wires[-1:])
                self._threads.append(thread)
                thread.start()

    def _serve(self, wire: Wire) -> None:
        with wire.socket, suppress(EOFError, OSError):
            words = wire.startup().split(b"\0")
            said = dict(zip(words[::2], words[1::2], strict=False))
            # What else a client asks for belongs to a session, and it has none.
            startup = b"user\0%b\0database\0%b\0\0" % (said[b"user"], said[b"database"])
            pool = self._pools.setdefault(startup, Pool(self._server, startup))
            session = pool.take(None)
            begun = session.greeting[-1][:1] == b"Z"
            pool.give(session, broken=not begun)
            wire.socket.sendall(b"".join(session.greeting))
            if begun:
                self.clients.append(Client(wire, pool))
                self.clients[-1].serve()

    def close(self) -> None:
        """Close the door, every client and every session."""
        self._door.end()
        self._threads[0].join()
        self._door.socket.close()
        for wire in self._wires:
            wire.end()
        for thread in self._threads[1:]:
            thread.join()
        for pool in self._pools.values():
            for session in pool.sessions:
                session.socket.close()
        shutil.rmtree(self.folder)


@contextmanager
def pooler(server: Path) -> Iterator[Pooler]:
    """A pooler before the server in a folder, until it is no longer needed."""
    made = Pooler(server)
    try:
        yield made
    finally:
        made.close()
