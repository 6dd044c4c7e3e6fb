"""What a view says, with what it takes to ask the same again and compare."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ledger.domain.transcoding import to_json
from projections.engine.view import View

LABEL: Final = ("deal", "fictional")
"""What stands before each row of an answer about all deals."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a view says, with its control footer."""

    view: str
    version: int
    params: dict[str, str | None]
    position: int
    rows: list[Any]
    totals: dict[str, Any]
    about: Any
    columns: tuple[str, ...]
    digest: str
    tree_head: str
    fictional: bool
    note: str | None = None


def columns_of(view: View, deal: str | None) -> tuple[str, ...]:
    """The columns of an answer; of all deals at once, each row names its deal."""
    columns = view.row.__struct_encode_fields__
    return columns if deal is not None or names_deals(view) else (*LABEL, *columns)


def names_deals(view: View) -> bool:
    """Whether a row of the view says by itself which deal it is about."""
    return "deal" in view.row.__struct_encode_fields__


def digest_of(rows: Sequence[Any], about: Any = None) -> str:
    """The SHA-256 over the rows' JSONL, in hexadecimal; `about` is the first line."""
    lines = [about, *rows] if about is not None else rows
    return hashlib.sha256(b"".join(to_json(row) + b"\n" for row in lines)).hexdigest()
