"""What a stranger can check: keys, checkpoints, proofs."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from cli.keys import key_option
from cli.options import (
    NearestGroup,
    formatted,
    parse_position,
    placed,
    read_bytes,
)
from cli.session import session
from ledger.errors import IntegrityFailure, InvalidValue

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ledger.checkpoint import Checkpoint
    from ledger.logproof import Consistency, Inclusion
    from ledger.note import Note, VerifierKey

DEFAULT_KEY: Final = "accord.key"


class Size(click.ParamType[int]):
    """A position of the record, or how many events it had: a number, with or without #."""

    name = "POSITION"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> int:
        """Read a position; InvalidValue goes on to where messages are made."""
        if isinstance(value, int):
            return value
        found = parse_position(value if value.startswith("#") else f"#{value}")
        assert found is not None
        return found


@click.group(cls=NearestGroup)
def key() -> None:
    """Make the keys with which checkpoints, proofs and receipts are signed."""


@key.command()
@click.argument("name")
@click.option(
    "--out", metavar="FILE", default=DEFAULT_KEY, show_default=True, help="Where to."
)
def new(name: str, out: str) -> None:
    r"""Make a key, and print its public half.

    NAME tells whose key it is, like a web address without its scheme. The private half
    goes into FILE, which only you can read, and never into a ledger; the public half
    goes into FILE.pub: give it to those who are to check your signatures.

    \b
    Example:
      accord key new acme.example/treasury --out treasury.key
    """
    from cli.keys import write_key
    from ledger.note import SignerKey

    made = SignerKey.new(name)
    write_key(made, out)
    click.echo(str(made.verifier))
    click.echo(f"Kept the private key in {out}, the public one in {out}.pub.", err=True)


@key.command(name="show")
@click.argument("file")
def show_key(file: str) -> None:
    r"""Print the public half of a key.

    \b
    Example:
      accord key show treasury.key
    """
    from cli.keys import read_signer

    click.echo(str(read_signer(file).verifier))


def _checkpoint() -> click.Group:
    def run(out: str, key_file: str | None) -> None:
        if click.get_current_context().invoked_subcommand is not None:
            return
        if key_file is None:
            raise click.UsageError(
                "Missing option '--key'. Make a key with 'accord key new NAME'."
            )
        with session().store() as store, store.reading() as connection:
            _put(out, bytes(_signed_now(connection, key_file)))

    return NearestGroup(
        "checkpoint",
        callback=run,
        invoke_without_command=True,
        short_help="Sign the tree head, so that others can hold the record to it",
        help=(
            "Sign the tree head of the record as it stands.\n\n"
            "A checkpoint is a note of c2sp.org/tlog-checkpoint: origin, size, root, "
            "signatures. Give it to the other side; whoever keeps it can tell later "
            "whether the record still continues it. A key does not sign a record "
            "that does not continue what it signed last.\n\n"
            "\b\nExample:\n"
            "  accord checkpoint --key treasury.key --out today.checkpoint\n"
            "  accord checkpoint cosign today.checkpoint --key orion.key"
        ),
        params=[_out_option(), key_option(required=False), *_where()],
        commands=[_cosign()],
    )


def _cosign() -> click.Command:
    def run(file: str, key_file: str, out: str | None) -> None:
        from cli.keys import sign
        from ledger.note import Note

        note = Note.parse(read_bytes(file))
        with session().store() as store, store.reading() as connection:
            signed = sign(connection, note, key_file)
        _put(file if out is None else out, bytes(signed))
        names = ", ".join(given.name for given in signed.signatures)
        click.echo(f"{file} is signed by {names}.", err=True)

    return click.Command(
        "cosign",
        callback=run,
        short_help="Add a signature to a checkpoint of this ledger",
        help=(
            "Add your signature to a checkpoint, if this ledger agrees with it.\n\n"
            "Refused, with exit code 3: a checkpoint of another record, one whose root "
            "is not this ledger's at that size, and any where this ledger does not "
            "continue what your key signed last.\n\n"
            "\b\nExample:\n  accord checkpoint cosign today.checkpoint --key orion.key"
        ),
        params=[
            click.Argument(["file"]),
            key_option(),
            click.Option(
                ["--out"], metavar="FILE|-", help="Where to, if not into FILE itself."
            ),
            *_where(),
        ],
    )


def _prove() -> click.Command:
    def run(
        position: int | None,
        old: int | None,
        size: int | None,
        key_file: str | None,
        checkpoint_file: str | None,
        out: str,
    ) -> None:
        if (position is None) == (old is None):
            raise click.UsageError(
                "Give a POSITION, to prove that event, or --from SIZE, to prove that "
                "the record continues what it was then."
            )
        if key_file is None and checkpoint_file is None:
            raise click.UsageError(
                "Give --key, to sign the checkpoint that the proof leads to, or "
                "--checkpoint, for one that is signed already."
            )
        from ledger.logproof import prove_event, prove_growth

        with session().store() as store, store.reading() as connection:
            note = _note(connection, key_file, checkpoint_file, size)
            proof: Inclusion | Consistency
            if position is not None:
                proof = prove_event(connection, position, note)
            else:
                assert old is not None
                proof = prove_growth(connection, old, note)
        _put(out, bytes(proof))

    return click.Command(
        "prove",
        callback=run,
        short_help="Prove to a stranger that an event is on the record",
        help=(
            "Write a proof that an event is on the record, or, with --from, that the "
            "record continues what it was at an earlier size.\n\n"
            "A proof holds all that a stranger needs but your public key: the event "
            "itself, the hashes that lead to the root (c2sp.org/tlog-proof), and the "
            "signed checkpoint. 'accord check-proof' checks it with no ledger at "
            "hand.\n\n"
            "\b\nExample:\n"
            "  accord prove 41 --key treasury.key --out 41.tlog-proof\n"
            "  accord prove 41 --checkpoint today.checkpoint > 41.tlog-proof\n"
            "  accord prove --from 30 --key treasury.key > since-30.tlog-proof"
        ),
        params=[
            click.Argument(["position"], type=Size(), required=False),
            click.Option(
                ["--from", "old"],
                type=Size(),
                metavar="SIZE",
                help="Prove that the record continues its first SIZE events.",
            ),
            click.Option(
                ["--to", "size"],
                type=Size(),
                metavar="SIZE",
                help="The size that the proof leads to; all events if left out.",
            ),
            key_option(required=False),
            click.Option(
                ["--checkpoint", "checkpoint_file"],
                metavar="FILE",
                help="A signed checkpoint of this record.",
            ),
            _out_option(),
            *_where(),
        ],
    )


def _note(
    connection: Connection,
    key_file: str | None,
    checkpoint_file: str | None,
    size: int | None,
) -> Note:
    """The checkpoint that a proof leads to: given, or signed now."""
    from ledger.checkpoint import Checkpoint
    from ledger.note import Note

    if checkpoint_file is None:
        assert key_file is not None
        return _signed_now(connection, key_file, size)
    note = Note.parse(read_bytes(checkpoint_file))
    told = Checkpoint.of(note)
    if size not in {None, told.size}:
        raise InvalidValue(
            f"{checkpoint_file} is of {told.size:,} events, and --to says {size:,}."
        )
    return note


def _signed_now(connection: Connection, key_file: str, size: int | None = None) -> Note:
    from cli.keys import sign
    from ledger.checkpoint import checkpoint_at

    return sign(connection, checkpoint_at(connection, size).note, key_file)


@click.command(name="check-proof")
@click.argument("file", metavar="FILE|-")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="KEY|FILE",
    help="A public key that must have signed, repeatable.  [required]",
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
    r"""Check a proof, with no ledger at hand.

    Says which event is proved to be in whose record, or that a record continues an
    earlier checkpoint. Exits 3 where anything does not agree.

    \b
    Example:
      accord check-proof 41.tlog-proof --key treasury.key.pub
      accord check-proof since-30.tlog-proof --key treasury.key.pub \
          --checkpoint then.checkpoint
    """
    from cli.keys import read_verifier
    from ledger.logproof import Consistency, parse_proof

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
    help="A public key that must have signed, repeatable.  [required]",
)
@placed
@formatted
def check_receipt(file: str, keys: tuple[str, ...], form: str) -> None:
    r"""Compute again what a receipt says of a view, and say same or what differs.

    The ledger must be of the same record, and hold at least as many events. Exits 3
    where the receipt, its signature or the answer do not agree.

    \b
    Example:
      accord check-receipt q1.receipt --key treasury.key.pub
    """
    from cli.answers import projections
    from cli.keys import read_verifier
    from ledger.note import Note
    from projections.receipts import Receipt, recompute

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
    r"""Verify a bundle, packed or unpacked, as the verifier within it does.

    Opens no ledger. Without --key, the key in the bundle is believed, and shown. Exits
    3, naming the first bad position, where anything is not as it was signed.

    \b
    Example:
      accord check-bundle record.zip --key accord.key.pub
      accord check-bundle unpacked/
    """
    from cli.bundles import check

    check(place, keys)


def _earlier(file: str | None, known: list[VerifierKey]) -> Checkpoint | None:
    from ledger.checkpoint import Checkpoint
    from ledger.note import Note

    if file is None:
        return None
    note = Note.parse(read_bytes(file))
    if not any(note.signed_by(one) for one in known):
        raise IntegrityFailure(f"{file} is signed by none of the keys given.")
    return Checkpoint.of(note)


def _say_included(
    proof: Inclusion, earlier: Checkpoint | None, known: list[VerifierKey], form: str
) -> None:
    from ledger.checkpoint import Checkpoint
    from ledger.logproof import check_origin
    from ledger.transcoding import stamp_time, to_builtins

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
    from ledger.checkpoint import Checkpoint

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
    from cli.output import Sheet, write

    if form == "table":
        click.echo(said)
    else:
        write(Sheet([row], tuple(row), row), form)


def _where() -> list[click.Option]:
    from cli.session import where_and_who

    return where_and_who()


def _out_option() -> click.Option:
    return click.Option(
        ["--out"], metavar="FILE|-", default="-", help="Where to; - is standard output."
    )


def _put(out: str, data: bytes) -> None:
    from cli.files import replacing

    if out == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(out) as file:
        file.write(data)


PROOF: Final[tuple[click.Command, ...]] = (
    key,
    _checkpoint(),
    _prove(),
    check_proof,
    check_receipt,
    check_bundle,
)
