"""Bundles: the record carried out for a stranger, and what a stranger's copy is worth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.input.files import replacing
from cli.input.keys import read_signer, sign
from cli.input.options import as_text, read_bytes
from cli.screen.progress import progress
from cli.screen.receipts import announce, plural
from cli.session import session
from ledger.errors import IntegrityFailure, InvalidValue
from ledger.proof.bundle import write_bundle
from ledger.proof.checkpoint import checkpoint_at
from ledger.tlog import verifier
from ledger.tlog.verifier import Key

if TYPE_CHECKING:
    from ledger.record.store import Store
    from ledger.tlog.verifier import Key


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


def check(place: str, keys: tuple[str, ...]) -> None:
    """Verify a bundle as its own verifier would, and say what it found whole."""
    trusted = [_verifier_key(key) for key in keys]
    try:
        click.echo(verifier.check(place, trusted))
    except verifier.NotWhole as fault:
        raise IntegrityFailure(f"NOT WHOLE: {fault}.") from fault


def _verifier_key(text: str) -> Key:
    """A public key as it is given, or that in a file."""
    if os.path.isfile(text):  # noqa: PTH113 - no pathlib at start-up
        text = as_text(text, read_bytes(text)).strip()
    try:
        return Key.parse(text)
    except ValueError as error:
        raise InvalidValue(
            f"--key: {error}, and there is no file of that name."
        ) from error
