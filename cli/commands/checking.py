"""What others signed, checked: proofs, receipts, bundles. All but a receipt's need no ledger."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.input.keys import read_verifier
from cli.input.options import formatted, placed, read_bytes
from cli.screen.answers import projections
from cli.screen.output import Sheet, write
from ledger.clock import stamp_time
from ledger.domain.transcoding import to_builtins
from ledger.errors import IntegrityFailure
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.logproof import Consistency, check_origin, parse_proof
from ledger.tlog.note import Note
from projections.receipts import Receipt, recompute

if TYPE_CHECKING:
    from ledger.proof.checkpoint import Checkpoint
    from ledger.proof.logproof import Consistency, Inclusion
    from ledger.tlog.note import VerifierKey


@click.command(name="check-proof")
@click.argument("file", metavar="FILE|-")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="KEY|FILE",
    help="A public key that must have signed, repeatable.",
)
@click.option(
    "--checkpoint",
    "earlier_file",
    metavar="FILE",
    help="The earlier checkpoint, which the record must continue.",
)
@formatted
def check_proof(
    file: str, keys: tuple[str, ...], earlier_file: str | None, form: str
) -> None:
    """Check a proof, with no ledger at hand.

    Says which event is proved to be in whose record, or that a record continues an
    earlier checkpoint. Exits 3 where anything does not agree.

    \b
    Example:
      accord check-proof 41.tlog-proof --key treasury.key.pub
      accord check-proof since-30.tlog-proof --key treasury.key.pub \\
          --checkpoint then.checkpoint
    """
    known = [read_verifier(text) for text in keys]
    proof = parse_proof(read_bytes(file))
    for one in known:
        proof.checkpoint.require(one)
    earlier = _earlier(earlier_file, known)
    if isinstance(proof, Consistency):
        _say_consistent(proof, earlier, known, form)
    else:
        _say_included(proof, earlier, known, form)


@click.command(name="check-receipt")
@click.argument("file", metavar="FILE|-")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="KEY|FILE",
    help="A public key that must have signed, repeatable.",
)
@placed
@formatted
def check_receipt(file: str, keys: tuple[str, ...], form: str) -> None:
    """Compute again what a receipt says of a view, and say same or what differs.

    The ledger must be of the same record, and hold at least as many events. Exits 3
    where the receipt, its signature or the answer do not agree.

    \b
    Example:
      accord check-receipt q1.receipt --key treasury.key.pub
    """
    known = [read_verifier(text) for text in keys]
    note = Note.parse(read_bytes(file))
    for one in known:
        note.require(one)
    receipt = Receipt.of(note)
    with projections() as views:
        differs = recompute(views, receipt)
    of = f" of {receipt.deal}" if receipt.deal else ""
    what = f"{receipt.view} v{receipt.version}{of} at position {receipt.position:,}"
    if differs:
        told = "; ".join(f"{n} {was}, now {now}" for n, (was, now) in differs.items())
        raise IntegrityFailure(f"{what} is not what the receipt says: {told}.")
    row = {
        "ok": True,
        "view": receipt.view,
        "version": receipt.version,
        "deal": receipt.deal,
        "position": receipt.position,
        "rows": receipt.rows,
        "digest": receipt.digest,
        "tree_head": receipt.tree_head,
        "signed_by": [one.name for one in known],
    }
    _say(f"same: {what}, {receipt.rows} rows, signed by {_names(known)}", row, form)


def _earlier(file: str | None, known: list[VerifierKey]) -> Checkpoint | None:

    if file is None:
        return None
    note = Note.parse(read_bytes(file))
    if not any(note.signed_by(one) for one in known):
        raise IntegrityFailure(f"{file} is signed by none of the keys given.")
    return Checkpoint.of(note)


def _say_included(
    proof: Inclusion, earlier: Checkpoint | None, known: list[VerifierKey], form: str
) -> None:

    event = proof.verify()
    told = Checkpoint.of(proof.checkpoint)
    if earlier is not None:
        check_origin(told, earlier.origin)
    moment = event.identity.recorded_at
    assert isinstance(moment, datetime)
    said = (
        f"ok: event {event.position:,}, {event.data.tag()} on {event.on}, recorded "
        f"{stamp_time(moment)}, is in the record {told.origin} of {told.size:,} "
        f"events, signed by {_names(known)}"
    )
    row = {"ok": True, **_told(told, known), "event": to_builtins(event)}
    _say(said, row, form)


def _say_consistent(
    proof: Consistency, earlier: Checkpoint | None, known: list[VerifierKey], form: str
) -> None:

    if earlier is None:
        raise click.UsageError(
            "This proves that a record continues an earlier checkpoint: "
            "give that with --checkpoint."
        )
    proof.verify(earlier)
    told = Checkpoint.of(proof.checkpoint)
    said = (
        f"ok: the record {told.origin} of {told.size:,} events, signed by "
        f"{_names(known)}, continues that of {proof.old:,}"
    )
    _say(said, {"ok": True, **_told(told, known), "continues": proof.old}, form)


def _told(told: Checkpoint, known: list[VerifierKey]) -> dict[str, Any]:
    return {
        "origin": told.origin,
        "size": told.size,
        "tree_head": told.root.hex(),
        "signed_by": [one.name for one in known],
    }


def _names(known: list[VerifierKey]) -> str:
    return " and ".join(f"{one.name} ({one.key_id.hex()})" for one in known)


def _say(said: str, row: dict[str, Any], form: str) -> None:

    if form == "table":
        click.echo(said)
    else:
        write(Sheet([row], tuple(row), row), form)
