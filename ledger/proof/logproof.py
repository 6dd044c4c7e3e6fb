"""Proofs as files: that an event is in a signed record, or that a record continues one.

Inclusion is written as c2sp.org/tlog-proof lays down, with the event's own bytes as
extra data, so that a stranger needs nothing else. For consistency that format has no
form; it is written as c2sp.org/tlog-witness submits a checkpoint: the old size, the
hashes, the checkpoint.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy.engine import Connection

from ledger.database.tables import events
from ledger.domain.event import Event
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import decode
from ledger.errors import IntegrityFailure, NotFound
from ledger.proof.checkpoint import Checkpoint, checkpoint_at
from ledger.record.tiles import Tiles
from ledger.tlog.base64text import base64_of, unbase64
from ledger.tlog.merkle import HASH_BYTES, leaf_hash
from ledger.tlog.note import Note
from ledger.tlog.proofs import (
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)

HEADING: Final = "c2sp.org/tlog-proof@v1"
MOST_HASHES: Final = 63
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")


class Inclusion(Frozen):
    """That an event is in the record whose signed checkpoint stands under the proof."""

    index: int
    event: bytes
    hashes: tuple[bytes, ...]
    checkpoint: Note

    def __bytes__(self) -> bytes:
        head = (HEADING, f"extra {base64_of(self.event)}", f"index {self.index}")
        return _lines(*head, *map(base64_of, self.hashes)) + bytes(self.checkpoint)

    def verify(self) -> Event[Any]:
        """The event; IntegrityFailure unless the checkpoint's tree has it there."""
        told = Checkpoint.of(self.checkpoint)
        leaf = leaf_hash(self.event)
        verify_inclusion(leaf, self.index, told.size, self.hashes, told.root)
        event = decode(self.event, position=self.index + 1)
        if event.position != self.index + 1:
            raise IntegrityFailure(
                f"The event says that it is at position {event.position:,}, "
                f"and the proof puts it at {self.index + 1:,}."
            )
        return event


class Consistency(Frozen):
    """That the record of a signed checkpoint begins with what it was at an older size."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: Note

    def __bytes__(self) -> bytes:
        head = (f"old {self.old}", *map(base64_of, self.hashes))
        return _lines(*head) + bytes(self.checkpoint)

    def verify(self, earlier: Checkpoint) -> None:
        """IntegrityFailure unless the record continues that of an earlier checkpoint."""
        told = Checkpoint.of(self.checkpoint)
        check_origin(told, earlier.origin)
        if earlier.size != self.old:
            raise IntegrityFailure(
                f"The proof begins at size {self.old:,}, "
                f"and the earlier checkpoint has {earlier.size:,}."
            )
        verify_consistency(self.old, earlier.root, told.size, told.root, self.hashes)


def parse_proof(data: bytes) -> Inclusion | Consistency:
    """Read a proof; IntegrityFailure where it is none, or was cut off."""
    head, blank, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        lines = []
    if not blank or not lines:
        raise _no_proof("an empty line and a checkpoint are missing; it may be cut off")
    if lines[0] == HEADING:
        extra, index, *hashes = lines[1:] if len(lines) > 2 else ("", "")  # noqa: PLR2004 - three lines before the hashes
        event = unbase64(extra.removeprefix("extra "))
        if not extra.startswith("extra ") or event is None:
            raise _no_proof("its second line is not the event")
        return Inclusion(
            index=_number("index", index),
            event=event,
            hashes=_hashes(hashes),
            checkpoint=Note.parse(note),
        )
    return Consistency(
        old=_number("old", lines[0]),
        hashes=_hashes(lines[1:]),
        checkpoint=Note.parse(note),
    )


def prove_event(connection: Connection, position: int, checkpoint: Note) -> Inclusion:
    """The proof that the event at a position is in the record that a note is of."""
    told = own_checkpoint(connection, checkpoint)
    if position > told.size:
        raise NotFound(
            f"There is no position {position:,}: the record has {told.size:,} events."
        )
    query = events.select().where(events.c.position == position)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise IntegrityFailure(f"Event {position} is missing.", position=position)
    return Inclusion(
        index=position - 1,
        event=row.data,
        hashes=tuple(prove_inclusion(position - 1, told.size, Tiles(connection))),
        checkpoint=checkpoint,
    )


def prove_growth(connection: Connection, old: int, checkpoint: Note) -> Consistency:
    """The proof that the record of a note begins with its first `old` events."""
    told = own_checkpoint(connection, checkpoint)
    if old > told.size:
        raise NotFound(
            f"The record of {told.size:,} events does not begin with {old:,}."
        )
    hashes = prove_consistency(old, told.size, Tiles(connection))
    return Consistency(old=old, hashes=tuple(hashes), checkpoint=checkpoint)


def own_checkpoint(connection: Connection, note: Note) -> Checkpoint:
    """A note's checkpoint; IntegrityFailure unless this ledger agrees with it."""
    told = Checkpoint.of(note)
    head = checkpoint_at(connection)
    check_origin(told, head.origin)
    if told.size > head.size:
        raise IntegrityFailure(
            f"The checkpoint is of {told.size:,} events, and this ledger has only "
            f"{head.size:,}: something was cut off, or this copy is older."
        )
    here = checkpoint_at(connection, told.size)
    if here.root != told.root:
        raise IntegrityFailure(
            f"This ledger is a fork: of its first {told.size:,} events the root is "
            f"{here.root.hex()}, and the checkpoint says {told.root.hex()}."
        )
    return told


def check_origin(told: Checkpoint, origin: str) -> None:
    """IntegrityFailure where a checkpoint is of another record."""
    if told.origin != origin:
        raise IntegrityFailure(
            f"This is of another record: {told.origin}, not {origin}."
        )


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in (*lines, "")).encode()


def _number(name: str, line: str) -> int:
    word, _, number = line.partition(" ")
    if word != name or not _NUMBER.fullmatch(number):
        raise _no_proof(f"a line {name!r} with a number was expected, not {line!r}")
    return int(number)


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    hashes = [unbase64(line) for line in lines]
    found = tuple(h for h in hashes if h is not None and len(h) == HASH_BYTES)
    if len(found) != len(lines) or len(found) > MOST_HASHES:
        raise _no_proof("a line of it is not a hash")
    return found


def _no_proof(why: str) -> IntegrityFailure:
    return IntegrityFailure(f"This is no proof: {why}.")
