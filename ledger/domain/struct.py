"""The one base of all that is written to the record: frozen, exact about its fields.

And the one way of having msgspec look at types. It notes on each type what it found
there, and a type in the middle of that is no type to decode: two threads that came
upon one together ended the interpreter. So they come one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, dataclass_transform

import msgspec

Hook = Callable[[type[Any], Any], Any]
_LOOKING: Final = threading.RLock()
_SEEN: Final[set[Any]] = set()


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Frozen(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A frozen struct whose fields are named; unknown fields are refused."""


def decoder_of(kind: Any, hook: Hook) -> msgspec.json.Decoder[Any]:
    """A decoder of JSON to a type, whose own values `hook` reads."""
    with _LOOKING:
        return msgspec.json.Decoder(kind, dec_hook=hook)


def convert(value: Any, kind: Any, hook: Hook, *, strict: bool = True) -> Any:
    """Plain data as a type, whose own values `hook` reads; msgspec's ValidationError."""
    if kind not in _SEEN:
        decoder_of(kind, hook)
        _SEEN.add(kind)
    return msgspec.convert(value, kind, dec_hook=hook, strict=strict)
