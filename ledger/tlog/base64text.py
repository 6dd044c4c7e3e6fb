"""Base 64 as notes, checkpoints and proofs have it: one way to write, and to read, each."""

from __future__ import annotations

import base64
import binascii


def base64_of(data: bytes) -> str:
    """Bytes as text (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def unbase64(text: str) -> bytes | None:
    """The bytes of a text; None where it is not exactly how they are written."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The unused bits of the last letter could otherwise be changed unseen.
    return data if base64_of(data) == text else None
