"""`accord check-bundle`: what a stranger's copy is worth, said by the stranger's verifier.

The verifier is a program of its own: this module loads it only in order to run it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.input.options import as_text, read_bytes
from ledger.errors import IntegrityFailure, InvalidValue

if TYPE_CHECKING:
    from ledger.tlog.verifier import Key


@click.command(name="check-bundle")
@click.argument("place", metavar="FILE|FOLDER")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY|FILE.pub",
    help="A public key that must have signed; may be repeated.",
)
def check_bundle(place: str, keys: tuple[str, ...]) -> None:
    """Verify a bundle, packed or unpacked, as the verifier within it does.

    Opens no ledger. Without --key, the key in the bundle is believed, and shown. Exits
    3, naming the first bad position, where anything is not as it was signed.

    \b
    Example:
      accord check-bundle record.zip --key accord.key.pub
      accord check-bundle unpacked/
    """
    from ledger.tlog import verifier

    trusted = [_verifier_key(key) for key in keys]
    try:
        click.echo(verifier.check(place, trusted))
    except verifier.NotWhole as fault:
        raise IntegrityFailure(f"NOT WHOLE: {fault}.") from fault


def _verifier_key(text: str) -> Key:
    """A public key as it is given, or that in a file."""
    from ledger.tlog.verifier import Key

    if os.path.isfile(text):  # noqa: PTH113 - no pathlib at start-up
        text = as_text(text, read_bytes(text)).strip()
    try:
        return Key.parse(text)
    except ValueError as error:
        raise InvalidValue(
            f"--key: {error}, and there is no file of that name."
        ) from error
