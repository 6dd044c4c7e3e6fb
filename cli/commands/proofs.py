"""What a stranger can check: keys, checkpoints, proofs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from cli.input.files import replacing
from cli.input.keys import key_option, read_signer, sign, write_key
from cli.input.options import NearestGroup, parse_position, read_bytes
from cli.session import session, where_and_who
from ledger.errors import InvalidValue
from ledger.proof.checkpoint import Checkpoint, checkpoint_at
from ledger.proof.logproof import prove_event, prove_growth
from ledger.tlog.note import Note, SignerKey

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ledger.proof.logproof import Consistency, Inclusion
    from ledger.tlog.note import Note

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
    """Make a key, and print its public half.

    NAME tells whose key it is, like a web address without its scheme. The private half
    goes into FILE, which only you can read, and never into a ledger; the public half
    goes into FILE.pub: give it to those who are to check your signatures.

    \b
    Example:
      accord key new acme.example/treasury --out treasury.key
    """
    made = SignerKey.new(name)
    write_key(made, out)
    click.echo(str(made.verifier))
    click.echo(f"Kept the private key in {out}, the public one in {out}.pub.", err=True)


@key.command(name="show")
@click.argument("file")
def show_key(file: str) -> None:
    """Print the public half of a key.

    \b
    Example:
      accord key show treasury.key
    """
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

    return sign(connection, checkpoint_at(connection, size).note, key_file)


def _where() -> list[click.Option]:

    return where_and_who()


def _out_option() -> click.Option:
    return click.Option(
        ["--out"], metavar="FILE|-", default="-", help="Where to; - is standard output."
    )


def _put(out: str, data: bytes) -> None:

    if out == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(out) as file:
        file.write(data)


checkpoint = _checkpoint()
prove = _prove()
