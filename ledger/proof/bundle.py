"""A bundle: the record in one archive that a stranger can verify without accord.

It holds the events, a signed checkpoint over them, what is needed to read them, and
`verifier.py` as `verify.py`. The same record, checkpoint and key make the same bytes.
Each event passes through the verifier's own checks on its way in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from tempfile import SpooledTemporaryFile
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.custody.transfer import Progress, stored_lines
from ledger.database.tables import events
from ledger.domain.agreement import Opened
from ledger.domain.transcoding import decode, json_schema
from ledger.errors import IntegrityFailure
from ledger.proof.checkpoint import Checkpoint, checkpoint_at
from ledger.proof.logproof import own_checkpoint
from ledger.record.store import Store
from ledger.tlog.note import Note, SignerKey
from ledger.tlog.verifier import EVIDENCE, NotWhole, Record, csv_row

_IN_MEMORY_BYTES: Final = 1 << 23
_CHUNK_BYTES: Final = 1 << 20
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The date of every file: when it was packed is to make no difference."""
_UNIX: Final = 3

README: Final = """\
This is a record kept by accord, a ledger for staged partnerships: as a bundle, which
can be verified without accord and without trusting whoever passed it on.
{fiction}
record      {origin}
events      {size}
signed by   {signers}

How to verify it
    Unpack it, and run this in its folder (Python 3.9 or later, nothing else):

        python3 verify.py

    One line says `ok`, or `NOT WHOLE` and what is wrong first. Then compare the key in
    that line with the one that the signer gave you by another way; or let it be done:

        python3 verify.py --key NAME+ID+KEY

    Whoever does not trust this copy of verify.py reads it, or takes it from accord.

What is in it
    events.jsonl        the events, a line each, exactly as they were recorded
    leaves              the hash of each of these lines, 32 bytes each
    checkpoint          how many events there are and the root over them, signed
    key                 the public key of whoever made this bundle
    evidence.csv        the evidence that the events cite, with its digests
    schemas/event.json  JSON Schema of an event, as the accord that made this writes it
    manifest            the SHA-256 of every file but itself, signed
    verify.py           the verifier

What `ok` proves
    These are the events over which that key signed: none was changed, left out, added
    or moved since, and nothing is missing before the last of them.

What it does not prove
    That what the events say is true. Actors are named by whoever recorded the event.
    That a document is genuine or was kept: there is its digest, not the document.
    That the record ends here: it may have gone on after the checkpoint.
    That the signer shows everybody the same record: compare checkpoints with others.
"""
FICTION: Final = "\nEvery deal in it is fiction.\n"


def write_bundle(
    store: Store,
    out: IO[bytes],
    signer: SignerKey,
    progress: Progress,
    checkpoint: bytes | None = None,
) -> Record:
    """Write the record as a bundle, from one snapshot; what it holds.

    With a checkpoint that was signed earlier, the bundle ends where that one does.
    IntegrityFailure where that is not of this record, or the record is damaged.
    """
    with (
        store.reading() as connection,
        SpooledTemporaryFile(_IN_MEMORY_BYTES) as leaves,
        SpooledTemporaryFile(_IN_MEMORY_BYTES) as evidence,
        ZipFile(out, "w") as zipped,
    ):
        note, told = _checkpoint(connection, signer, checkpoint)
        origin, size = told.origin, told.size
        record, bundle = Record(), _Bundle(zipped)
        readme = README.format(
            fiction=FICTION if _fictional(connection, size) else "",
            origin=origin,
            size=size,
            signers=", ".join(signature.name for signature in note.signatures),
        )
        lines = stored_lines(connection, size, progress)
        bundle.add("README.txt", [readme.encode()])
        bundle.add("checkpoint", [bytes(note)])
        bundle.add("events.jsonl", _checked(lines, record, leaves, evidence))
        bundle.add("evidence.csv", _chunks(evidence))
        bundle.add("key", [f"{signer.verifier}\n".encode()])
        bundle.add("leaves", _chunks(leaves))
        bundle.add("schemas/event.json", [json_schema() + b"\n"])
        verifier = files("ledger.tlog").joinpath("verifier.py")
        bundle.add("verify.py", [verifier.read_bytes()])
        manifest = Note(f"accord bundle v1\n{origin}\n{size}\n{bundle.listed}", ())
        # It names the digests of all the others, and so comes last.
        bundle.add("manifest", [bytes(signer.sign(manifest))])
    if (record.origin, record.root) != (origin, told.root):
        raise IntegrityFailure(
            f"The first {size} events of this ledger have the root {record.root.hex()}, "
            f"and its tree says {told.root.hex()}: one of the two was altered."
        ).hinting("verify")
    return record


def _checkpoint(
    connection: Connection, signer: SignerKey, given: bytes | None
) -> tuple[Note, Checkpoint]:
    """The checkpoint with which the bundle ends, and what it says."""
    if given is None:
        told = checkpoint_at(connection)
        return signer.sign(told.note), told
    note = Note.parse(given)
    if not note.signed_by(signer.verifier):
        names = ", ".join(signature.name for signature in note.signatures)
        raise IntegrityFailure(
            f"The checkpoint is signed by {names}, and not by {signer.name}, whose key "
            "is to sign the bundle: add that signature, or use a key that signed."
        )
    return note, own_checkpoint(connection, note)


def _fictional(connection: Connection, size: int) -> bool:
    query = sa.select(events.c.data).where(
        events.c.type == Opened.tag(), events.c.position <= size
    )
    opened = {decode(data).data.fictional for data in connection.scalars(query)}
    return opened == {True}


def _checked(
    lines: Iterable[bytes], record: Record, leaves: IO[bytes], evidence: IO[bytes]
) -> Iterator[bytes]:
    """The lines as they stand; what follows from them is gathered on the way."""
    evidence.write(csv_row("position", *EVIDENCE))
    for data in lines:
        try:
            evidence.write(record.take(data))
        except NotWhole as fault:
            raise IntegrityFailure(
                f"The record is not whole: {fault}.", position=record.size + 1
            ).hinting("verify") from fault
        leaves.write(record.leaf)
        yield data + b"\n"


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while data := file.read(_CHUNK_BYTES):
        yield data


class _Bundle:
    """A zip whose bytes depend on its files alone, and the digests of these."""

    def __init__(self, zipped: ZipFile) -> None:
        self._zip = zipped
        self.listed = ""

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a file; names come in their order."""
        info = ZipInfo(name, _DATE)
        info.compress_type = ZIP_DEFLATED
        info.create_system = _UNIX
        info.external_attr = 0o644 << 16
        digest = hashlib.sha256()
        with self._zip.open(info, "w", force_zip64=True) as file:
            for data in chunks:
                digest.update(data)
                file.write(data)
        self.listed += f"{digest.hexdigest()}  {name}\n"
