"""Checkpoints: a tree head as a note that people can sign, as c2sp.org/tlog-checkpoint.

Three lines: the record's origin, how many events it has, the root over them. A record
is told from others by the hash of its first event, which no other record has; a copy
that was made by import is the same record.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.engine import Connection

from ledger.domain.struct import Frozen
from ledger.errors import IntegrityFailure, NotFound
from ledger.record.log import read_head
from ledger.record.tiles import Tiles
from ledger.tlog.base64text import base64_of, unbase64
from ledger.tlog.merkle import HASH_BYTES
from ledger.tlog.note import Note
from ledger.tlog.proofs import root_at

ORIGIN: Final = "accord/"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}")


class Checkpoint(Frozen):
    """The head of a record when it had `size` events; `root` is a SHA-256 hash."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note; IntegrityFailure where it is no checkpoint."""
        lines = text.split("\n")
        root = unbase64(lines[2]) if len(lines) == 4 else None  # noqa: PLR2004 - three lines and the end of the last
        if (
            root is None
            or len(root) != HASH_BYTES
            or not lines[0]
            or lines[3]
            or not _SIZE.fullmatch(lines[1])
        ):
            raise IntegrityFailure(
                "This is no checkpoint: an origin, a size and a root are expected."
            )
        return cls(origin=lines[0], size=int(lines[1]), root=root)

    @classmethod
    def of(cls, note: Note) -> Checkpoint:
        """The checkpoint that a note holds."""
        return cls.parse(note.text)

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64_of(self.root)}\n"

    @property
    def note(self) -> Note:
        """The note, not signed yet."""
        return Note(self.text, ())


def checkpoint_at(connection: Connection, size: int | None = None) -> Checkpoint:
    """The record's head now, or when it had `size` events; NotFound beyond its end."""
    head = read_head(connection)
    size = head.size if size is None else size
    if size > head.size:
        raise NotFound(
            f"There is no position {size:,}: the record has {head.size:,} events."
        )
    root = head.root if size == head.size else root_at(size, Tiles(connection))
    return Checkpoint(origin=origin_of(connection), size=size, root=root)


def origin_of(connection: Connection) -> str:
    """What a record is told from others by; NotFound while it is empty."""
    if not read_head(connection).size:
        raise NotFound("The record is empty: there is nothing to sign or to prove yet.")
    return f"{ORIGIN}{Tiles(connection)(0, 0).hex()[:HASH_BYTES]}"
