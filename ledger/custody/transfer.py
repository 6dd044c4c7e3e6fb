"""The record as a file and back: one line per event, its stored bytes unchanged.

A copy made by import has the same bytes, recorded times and tree head as the original.
Whatever is neither a restore nor a continuation is refused whole: one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, Final, NoReturn, Protocol

import sqlalchemy as sa
from eventsourcing.persistence import IntegrityError
from sqlalchemy.engine import Connection

from ledger.clock import stamp_time
from ledger.database.tables import events
from ledger.domain.event import Event
from ledger.domain.transcoding import decode
from ledger.errors import ImportRejected, IntegrityFailure, UnknownEvent
from ledger.record.log import Head, Row, Submission, append, locked_head, read_head
from ledger.record.store import Store

CHUNK: Final = 1000
"""Events read or written at once: enough to be fast, few enough to stay small."""

Progress = Callable[[int, int | None], None]
"""Told how many events are done, and of how many where that is known."""


class Writable(Protocol):
    """A file, or anything else that takes bytes."""

    def write(self, data: bytes, /) -> Any:
        """Take bytes."""


@dataclass(frozen=True)
class Imported:
    """What an import did: events that stood already, events added, the tree head."""

    known: int
    added: int
    head: Head


def _silent(_done: int, _total: int | None) -> None:
    """Report nothing."""


def export(store: Store, out: Writable, progress: Progress = _silent) -> Head:
    """Write every event's bytes, a line each, from one snapshot; the head of that.

    IntegrityFailure where stored bytes cannot be a line.
    """
    with store.reading() as connection:
        head = read_head(connection)
        for data in stored_lines(connection, head.size, progress):
            out.write(data + b"\n")
    return head


def stored_lines(
    connection: Connection, size: int, progress: Progress
) -> Iterator[bytes]:
    """The bytes of the first events, in order; IntegrityFailure where they are no line."""
    expected = 1
    for position, data in _stored(connection, size):
        if position != expected:
            break
        if not isinstance(data, bytes) or b"\n" in data:
            raise IntegrityFailure(
                f"Event {position} is not stored as the bytes of one line.",
                position=position,
            ).hinting("verify")
        yield data
        if position % CHUNK == 0:
            progress(position, size)
        expected += 1
    if expected <= size:
        raise IntegrityFailure(
            f"Event {expected} is missing.", position=expected
        ).hinting("verify")
    progress(size, size)


def import_(
    store: Store, lines: Iterable[bytes], progress: Progress = _silent
) -> Imported:
    """Restore an export into an empty ledger, or continue one whose record it begins with.

    Bytes and recorded times stay as they are. ImportRejected for anything else, and
    then nothing is written.
    """
    with store.writing() as connection:
        before = locked_head(connection).head
        numbered = enumerate(lines, start=1)
        last = _skip_known(connection, numbered, before.size)
        now = stamp_time(store.clock())
        versions = _Versions(connection) if before.size else Counter[str]()
        checks = Checks(before, last, versions, now, _reject)
        after = before
        for rows, submissions in chunks(_checked(numbered, checks)):
            try:
                after = append(connection, after, rows, submissions)
            except IntegrityError as error:
                raise ImportRejected(
                    f"A command id in lines {after.size + 1} to "
                    f"{after.size + len(rows)} stands on the record twice ({error}). "
                    "Nothing was imported."
                ) from error
            progress(after.size, None)
    return Imported(before.size, after.size - before.size, after)


def _stored(connection: Connection, size: int) -> Iterator[tuple[int, bytes]]:
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.position <= size)
        .order_by(events.c.position)
    )
    paged = {"yield_per": CHUNK}
    with connection.execute(query, execution_options=paged) as found:
        yield from found


def _skip_known(
    connection: Connection, numbered: Iterator[tuple[int, bytes]], size: int
) -> str | None:
    """Hold the lines against the events that stand already; the last command of those."""
    last = None
    for position, data in _stored(connection, size):
        found = next(numbered, None)
        if found is None:
            raise ImportRejected(
                f"The file ends after event {position - 1}, and this ledger has "
                f"{size}: it is no continuation. Nothing was imported."
            )
        if not found[1].startswith(b"{"):
            raise ImportRejected(
                f"Line {found[0]} is no event: this is no export of a ledger. Nothing "
                "was imported."
            ).hinting("manifest")
        if _line(*found) != data:
            raise ImportRejected(
                f"Line {position} differs from event {position} of this ledger: the "
                "two records part there. Nothing was imported."
            ).hinting("restore")
        last = data
    return decode(last, position=size).provenance.command_id if last else None


def _line(number: int, raw: bytes) -> bytes:
    """A line without its end; nothing else about it may differ from the export."""
    line = raw.removesuffix(b"\n")
    if not line:
        raise ImportRejected(f"Line {number} is empty. Nothing was imported.")
    if line != line.strip():
        raise ImportRejected(
            f"Line {number} is not as it was exported: it begins or ends with white "
            "space. Nothing was imported."
        )
    return line


class Checks:
    """What the next event must be, given those before it.

    `versions` knows each stream's last; `reject` is told which event cannot follow, and
    why.
    """

    def __init__(
        self,
        before: Head,
        last_command: str | None,
        versions: MutableMapping[str, int],
        now: str,
        reject: Callable[[int, str], NoReturn],
    ) -> None:
        self._last_command = last_command
        self._versions = versions
        self._stored = before.size
        self._position = before.size
        self._recorded_at = before.recorded_at
        self._now = now
        self._reject = reject

    def take(self, number: int, data: bytes, event: Event[Any]) -> Row:
        """The row of an event and its bytes; rejected where it cannot follow."""
        identity = event.identity
        if identity.position != self._position + 1:
            self._reject(
                number,
                f"is event {identity.position}; event {self._position + 1} must follow",
            )
        version = self._versions[identity.stream] + 1
        if identity.version != version:
            self._reject(
                number,
                f"is version {identity.version} of {identity.stream!r}; "
                f"version {version} must follow",
            )
        recorded_at = self._check_time(number, event)
        if event.position == self._stored + 1 and self._stored:
            self._check_whole(number, event)
        self._position += 1
        self._versions[identity.stream] = version
        self._recorded_at = recorded_at
        return Row(
            stream=identity.stream,
            version=version,
            type=event.data.tag(),
            deal=event.deal,
            effective_on=event.on.isoformat(),
            recorded_at=recorded_at,
            data=data,
        )

    def _check_time(self, number: int, event: Event[Any]) -> str:
        moment = event.identity.recorded_at
        if moment is None or moment.tzinfo is None:
            self._reject(number, "has no recorded time in UTC")
        recorded_at = stamp_time(moment)
        if recorded_at < self._recorded_at:
            self._reject(
                number,
                f"was recorded at {recorded_at}, before the one it follows "
                f"({self._recorded_at})",
            )
        if recorded_at > self._now:
            self._reject(
                number, f"was recorded at {recorded_at}, and now is {self._now}"
            )
        if event.on > (moment.astimezone(UTC) + timedelta(hours=14)).date():
            self._reject(
                number,
                f"is effective on {event.on}, after it was recorded ({recorded_at})",
            )
        return recorded_at

    def _check_whole(self, number: int, event: Event[Any]) -> None:
        if event.provenance.command_id == self._last_command:
            raise ImportRejected(
                f"Event {number} belongs to the command {self._last_command!r}, of "
                "which this ledger holds only a part. Nothing was imported; begin again "
                "with an empty ledger."
            )


class _Versions(dict[str, int]):
    """The streams' last versions, asked of the ledger where they are first needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __missing__(self, stream: str) -> int:
        query = sa.select(sa.func.max(events.c.version))
        found = self._connection.scalar(query.where(events.c.stream == stream))
        return found or 0


def _reject(number: int, what: str) -> NoReturn:
    raise ImportRejected(f"Line {number} {what}. Nothing was imported.")


def _checked(
    numbered: Iterator[tuple[int, bytes]], checks: Checks
) -> Iterator[tuple[Event[Any], Row]]:
    """Events and rows of lines, each checked against the one before."""
    for number, raw in numbered:
        data = _line(number, raw)
        try:
            event = decode(data, position=number)
        except UnknownEvent as error:
            cut = "" if data.endswith(b"}") else " The file looks cut off there."
            raise ImportRejected(
                f"Line {number} is no event: {error}{cut} Nothing was imported."
            ) from error
        yield event, checks.take(number, data, event)


def chunks(
    found: Iterator[tuple[Event[Any], Row]],
) -> Iterator[tuple[list[Row], list[Submission]]]:
    """Rows in chunks that never part a command, with the commands they make up."""
    rows: list[Row] = []
    submissions: list[Submission] = []
    for event, row in found:
        command_id = event.provenance.command_id
        digest = event.provenance.command_digest
        if submissions and submissions[-1][:2] == (command_id, digest):
            many = submissions[-1].events + 1
            submissions[-1] = Submission(command_id, digest, many)
        else:
            if len(rows) >= CHUNK:
                yield rows, submissions
                rows, submissions = [], []
            submissions.append(Submission(command_id, digest, 1))
        rows.append(row)
    if rows:
        yield rows, submissions
