"""Keys on disk: made once, readable by their owner alone, never in a ledger.

Beside a private key stands what it signed last of each record, so that it never signs
two records that part ways.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from cli.hints import told as hinted
from ledger.errors import AccordError, IntegrityFailure, InvalidValue

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ledger.proof.checkpoint import Checkpoint
    from ledger.tlog.note import Note, SignerKey, VerifierKey

OWNER_ONLY: Final = 0o600
OTHERS: Final = 0o077


def write_key(key: SignerKey, file: str) -> None:
    """Keep a new private key in a file, and its public half beside it."""
    from ledger.tlog.note import PRIVATE

    assert str(key).startswith(PRIVATE)
    _create(file, f"{key}\n")
    _create(f"{file}.pub", f"{key.verifier}\n", mode=0o644)


def _create(file: str, text: str, mode: int = OWNER_ONLY) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise AccordError(
            f"{file} is there already, and a key is never overwritten. "
            "Choose another file with --out."
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)


def read_signer(file: str) -> SignerKey:
    """The private key in a file; AccordError where others may read it, too."""
    from ledger.tlog.note import PRIVATE, SignerKey

    with open(file, encoding="utf-8", errors="replace") as text:  # noqa: PTH123 - no pathlib at start-up
        mode = os.fstat(text.fileno()).st_mode
        found = text.read()
        if found.startswith(PRIVATE) and mode & OTHERS:
            raise AccordError(
                f"{file} is a private key, and others may read it "
                f"(mode {mode & 0o777:04o}). Make it yours alone: chmod 600 {file}"
            )
    try:
        return SignerKey.parse(found)
    except InvalidValue as error:
        raise InvalidValue(f"{file}: {hinted(error)}") from None


def read_verifier(text: str) -> VerifierKey:
    """A public key: itself as text, or the file that holds it."""
    from ledger.tlog.note import PRIVATE, VerifierKey

    if os.path.exists(text):  # noqa: PTH110 - no pathlib at start-up
        with open(text, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the same
            found = file.read()
        if found.startswith(PRIVATE):
            raise InvalidValue(
                f"{text} is a private key; give the public one, {text}.pub."
            )
        try:
            return VerifierKey.parse(found)
        except InvalidValue as error:
            raise InvalidValue(f"{text}: {hinted(error)}") from None
    return VerifierKey.parse(text)


def key_option(*, required: bool = True) -> click.Option:
    """Which private key signs."""
    return click.Option(
        ["--key", "key_file"],
        envvar="ACCORD_KEY",
        metavar="FILE",
        required=required,
        help="The private key that signs; else ACCORD_KEY.",
    )


def sign(connection: Connection, note: Note, file: str) -> Note:
    """A checkpoint of this ledger with the signature of the key in a file added.

    IntegrityFailure where this ledger does not continue what the key signed last.
    """
    from ledger.proof.logproof import own_checkpoint

    signer = read_signer(file)
    told = own_checkpoint(connection, note)
    with _memory(file) as known:
        _check_last(connection, signer.name, told, known.get(told.origin))
        signed = signer.sign(note)
        last = known.get(told.origin)
        if last is None or told.size > _size(last):
            known[told.origin] = told.text
    return signed


def _size(text: str) -> int:
    from ledger.proof.checkpoint import Checkpoint

    return Checkpoint.parse(text).size


def _check_last(
    connection: Connection, name: str, told: Checkpoint, last: str | None
) -> None:
    """IntegrityFailure where this ledger parts from what a key signed last."""
    from ledger.proof.logproof import own_checkpoint
    from ledger.tlog.note import Note

    if last is None:
        return
    try:
        own_checkpoint(connection, Note(last, ()))
    except IntegrityFailure as error:
        raise IntegrityFailure(
            f"{name} last signed this record at {_size(last):,} events, and this "
            f"ledger does not continue that; the checkpoint of {told.size:,} events "
            f"is not signed. {error}"
        ) from error


@contextmanager
def _memory(file: str) -> Iterator[dict[str, Any]]:
    """What a key signed last, by origin; kept if all goes well, one user at a time."""
    import fcntl

    place = f"{file}.signed"
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as memory:
        fcntl.flock(memory, fcntl.LOCK_EX)
        text = memory.read()
        try:
            known = json.loads(text) if text else {}
        except ValueError:
            raise AccordError(
                f"{place} is damaged: it should say what this key signed last. "
                "Restore it; without it, a fork could be signed unseen."
            ) from None
        before = dict(known)
        yield known
        if known != before:
            memory.seek(0)
            memory.truncate()
            json.dump(known, memory, indent=1)
            memory.flush()
            os.fsync(memory.fileno())
