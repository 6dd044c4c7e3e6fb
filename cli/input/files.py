"""Files read and written whole: what is interrupted leaves the old file as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def replacing(name: str) -> Iterator[BinaryIO]:
    """Write a file beside the one named, and put it in that one's place when done."""
    if os.path.exists(name) and not os.path.isfile(name):  # noqa: PTH110, PTH113
        # A pipe or a device is written to as it is.
        with open(name, "wb") as out:  # noqa: PTH123
            yield out
        return
    part = f"{name}.{os.getpid()}.part"
    try:
        with open(part, "xb"):  # noqa: PTH123
            pass
    except OSError as error:
        # What the user named is what cannot be written.
        raise OSError(error.errno, error.strerror, name) from error
    try:
        with open(part, "wb") as out:  # noqa: PTH123
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, name)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise


@contextmanager
def reading_lines(name: str) -> Iterator[BinaryIO]:
    """The lines of a file, or for `-` of standard input."""
    if name == "-":
        yield sys.stdin.buffer
        return
    with open(name, "rb") as file:  # noqa: PTH123
        yield file
