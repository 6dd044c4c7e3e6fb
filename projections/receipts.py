"""Receipts: what a view said, at which position of which record, as a note to sign.

Whoever has the record can ask the same again and hold it against the receipt: the same
rows by their digest, or what differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ledger.domain.struct import Frozen
from ledger.errors import AccordError, IntegrityFailure, InvalidValue
from ledger.proof.checkpoint import Checkpoint, checkpoint_at, origin_of
from ledger.proof.logproof import check_origin, own_checkpoint
from ledger.tlog.note import Note
from projections.engine.answer import Answer
from projections.projector import Projections
from projections.registry import view_named

HEADING: Final = "accord receipt v1"
_LINES: Final = (
    "origin",
    "position",
    "tree_head",
    "view",
    "version",
    "deal",
    "as_of",
    "day",
    "rows",
    "digest",
)
_NONE: Final = "-"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")


class Receipt(Frozen):
    """What a view said: `day` is the day that it was about, `digest` that of its rows."""

    origin: str
    position: int
    tree_head: str
    view: str
    version: int
    deal: str | None
    as_of: date | None
    day: date
    rows: int
    digest: str

    @property
    def note(self) -> Note:
        """The receipt as a note, not signed yet."""
        lines = [HEADING]
        for name in _LINES:
            value = getattr(self, name)
            lines.append(f"{name} {_NONE if value is None else value}")
        return Note("".join(f"{line}\n" for line in lines), ())

    @classmethod
    def of(cls, note: Note) -> Receipt:
        """The receipt that a note holds; IntegrityFailure where it holds none."""
        heading, *lines = note.text.removesuffix("\n").split("\n")
        found = dict(line.split(" ", 1) for line in lines if " " in line)
        if heading != HEADING or tuple(found) != _LINES or len(lines) != len(_LINES):
            raise IntegrityFailure("This is no receipt of a view.")
        try:
            return cls(
                origin=found["origin"],
                position=_number(found["position"]),
                tree_head=_hash(found["tree_head"]),
                view=found["view"],
                version=_number(found["version"]),
                deal=None if found["deal"] == _NONE else found["deal"],
                as_of=None if found["as_of"] == _NONE else _day(found["as_of"]),
                day=_day(found["day"]),
                rows=_number(found["rows"]),
                digest=_hash(found["digest"]),
            )
        except ValueError as error:
            raise IntegrityFailure(f"This is no receipt of a view: {error}.") from error


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError(f"{text!r} is not a hash")
    return text


def _day(text: str) -> date:
    return date.fromisoformat(text)


def receipt_of(views: Projections, answer: Answer, day: date) -> Receipt:
    """The receipt of an answer, about a day, that this record just gave."""
    with views.store.reading() as connection:
        origin = origin_of(connection)
    as_of = answer.params["as_of"]
    return Receipt(
        origin=origin,
        position=answer.position,
        tree_head=answer.tree_head,
        view=answer.view,
        version=answer.version,
        deal=answer.params["deal"],
        as_of=date.fromisoformat(as_of) if as_of else None,
        day=day,
        rows=answer.totals["rows"],
        digest=answer.digest,
    )


def recompute(views: Projections, receipt: Receipt) -> Mapping[str, tuple[Any, Any]]:
    """What differs between a receipt and what this record says now: told and found.

    IntegrityFailure where the receipt is not of this record as it stood; AccordError
    where this version of accord draws that view otherwise.
    """
    with views.store.reading() as connection:
        head = checkpoint_at(connection)
        root = bytes.fromhex(receipt.tree_head)
        told = Checkpoint(origin=receipt.origin, size=receipt.position, root=root)
        check_origin(told, head.origin)
        own_checkpoint(connection, told.note)
    try:
        version = view_named(receipt.view).version
    except InvalidValue as error:
        raise AccordError(
            f"The receipt is of a view that is no more. {error}"
        ) from error
    if version != receipt.version:
        older = "an older" if receipt.version < version else "a newer"
        raise AccordError(
            f"The receipt is of {receipt.view} v{receipt.version}, {older} version: "
            f"this accord draws v{version}, and cannot tell what the other said. "
            "Check it with the version of accord that wrote it."
        )
    answer = views.answer(
        receipt.view,
        receipt.deal,
        as_of=receipt.as_of,
        known_at=receipt.position,
        today=receipt.day,
    )
    found = {"rows": answer.totals["rows"], "digest": answer.digest}
    return {
        name: (getattr(receipt, name), now)
        for name, now in found.items()
        if getattr(receipt, name) != now
    }
