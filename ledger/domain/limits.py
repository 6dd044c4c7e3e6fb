"""How much a command may bring: the limits of texts, whole numbers and nesting.

They bind what a command gives, never what is read from the record: an entry of an
older release is read whatever it holds. Amounts, power, ratios and prices have theirs
in `values`; how long an entry may be stands in `transcoding`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ledger.errors import QUOTED, InvalidValue

MOST_NAME: Final = 500
"""Characters of a name, a title, a reference; the index of a database takes no more."""
MOST_TEXT: Final = 65_536
"""Characters of a text that somebody reads."""
MOST_DEPTH: Final = 32
"""Levels of a trigger tree; nothing else that a command takes comes near."""
TEXTS: Final = frozenset(
    {
        "address",
        "binding_clauses",
        "cause",
        "contradicts",
        "failure",
        "ground",
        "new",
        "note",
        "outcome",
        "reason",
        "summary",
        "text",
    }
)
"""The fields that hold text; every other one holds a name."""
_MOST_COUNT: Final = 10**6
WHOLE: Final[Mapping[str, tuple[int | None, int]]] = {
    "notice_business_days": (0, 10_000),
    "terms.soak_hours": (0, 100_000),
    "soak_hours": (None, 100_000),
    "days": (None, 10_000),
    "quantity": (None, _MOST_COUNT),
    "new": (None, _MOST_COUNT),
    "line": (None, _MOST_COUNT),
    "number": (None, _MOST_COUNT),
    "sku_version": (None, _MOST_COUNT),
    "gpu_packages": (None, _MOST_COUNT),
    "gpu_dies": (None, _MOST_COUNT),
}
"""The least and the most of a whole number, by its field.

Where a rule knows the least, that has a code of its own, and speaks for itself.
"""
FURTHEST: Final = 10**18
"""How far any whole number may be from zero: a database keeps no larger ones."""
SHORT: Final = 64
"""Characters below which there is nothing to find in a text."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def check(name: str, value: Any) -> None:
    """Refuse with InvalidValue a plain value that goes beyond a limit somewhere."""
    if isinstance(value, dict | list | tuple):
        depth = _depth(value)
        if depth > MOST_DEPTH:
            raise InvalidValue(
                f"{name!r} is {depth:,} levels deep; the most are {MOST_DEPTH}."
            )
    _check(name, value, "")


def _check(name: str, value: Any, within: str) -> None:
    match value:
        case str():
            _check_text(name, value)
        case bool():
            pass
        case int():
            _check_whole(name, value, within)
        case dict():
            for key, item in value.items():
                _check_text("the name of a field", key)
                _check(key, item, name)
        case list() | tuple():
            for item in value:
                _check(name, item, within)


def _check_whole(name: str, value: int, within: str) -> None:
    known = WHOLE.get(f"{within}.{name}") or WHOLE.get(name)
    least, most = known or (None, FURTHEST)
    if least is None:
        least = -FURTHEST
    if least <= value <= most:
        return
    shown = f"{value:,}"
    if len(shown) > QUOTED:
        shown = f"a number of {len(str(abs(value)))} digits"
    limit = f"least is {least:,}" if value < least else f"most is {most:,}"
    raise InvalidValue(f"{name!r} is {shown}; the {limit}.")


def _check_text(name: str, text: str) -> None:
    if len(text) < SHORT:
        return
    most = MOST_TEXT if name in TEXTS else MOST_NAME
    if len(text) > most:
        raise InvalidValue(
            f"{name!r} is {len(text):,} characters long; the most are {most:,}."
        )
    # The pattern of the type lets a line's end through: entries of 0.4.0 have some.
    if name == "sha256" and text.endswith("\n") and _DIGEST.fullmatch(text[:-1]):
        raise InvalidValue(
            f"{name!r} is {text!r}, with the end of a line; it must be 64 "
            "hexadecimal digits alone."
        )


def _depth(value: Any) -> int:
    """How many objects, or how many lists, stand within each other."""
    deepest = 0
    waiting = [(value, 0, 0)]
    while waiting:
        item, objects, lists = waiting.pop()
        if isinstance(item, dict):
            objects += 1
            waiting.extend((one, objects, lists) for one in item.values())
        elif isinstance(item, list | tuple):
            lists += 1
            waiting.extend((one, objects, lists) for one in item)
        deepest = max(deepest, objects, lists)
    return deepest
