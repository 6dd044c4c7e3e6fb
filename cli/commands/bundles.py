"""Bundles: the record carried out for a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.input.files import replacing
from cli.input.keys import read_signer, sign
from cli.input.options import read_bytes
from cli.screen.progress import progress
from cli.screen.receipts import announce, plural
from cli.session import session
from ledger.proof.bundle import write_bundle
from ledger.proof.checkpoint import checkpoint_at

if TYPE_CHECKING:
    from ledger.record.store import Store


def export_bundle(file: str, key: str, checkpoint: str | None) -> None:
    """Write a bundle, signed with the key in a file, and say what it holds."""
    signer = read_signer(key)
    with (
        session().store() as store,
        progress("Bundling") as bar,
        replacing(file) as out,
    ):
        note = read_bytes(checkpoint) if checkpoint else _signed_now(store, key)
        record = write_bundle(store, out, signer, bar, note)
    announce(f"Bundled {plural(record.size, 'event')}", record)


def _signed_now(store: Store, key: str) -> bytes:
    """A checkpoint of the record as it stands, which continues what the key signed."""
    with store.reading() as connection:
        return bytes(sign(connection, checkpoint_at(connection).note, key))
