"""Checkpoints and proofs of a real record: of this one alone, and in few small reads."""

from __future__ import annotations

import base64

import deals
import pytest
from conftest import Desk
from hypothesis import given
from hypothesis import strategies as st
from vandal import raw

from ledger.errors import IntegrityFailure, NotFound
from ledger.proof.checkpoint import Checkpoint, checkpoint_at, origin_of
from ledger.proof.logproof import (
    MOST_HASHES,
    Consistency,
    Inclusion,
    own_checkpoint,
    parse_proof,
    prove_event,
    prove_growth,
)
from ledger.record.tiles import Tiles
from ledger.tlog.merkle import leaf_hash, root_of
from ledger.tlog.note import SignerKey
from ledger.tlog.proofs import prove_consistency, prove_inclusion

KEY = SignerKey.new("acme.example/treasury")
ROOT = base64.b64encode(bytes(32)).decode()


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    """A record of some hundred events, more than one tile of them."""
    desk = Desk(tmp_path_factory.mktemp("checkpoint") / "accord.db")
    deals.in_effect(desk)
    deals.racks(desk, *(f"R{n}" for n in range(40)))
    assert desk.store.head().size > 300
    yield desk.store
    desk.ledger.close()


def leaves(store):
    """The hash of every event's bytes, from the first."""
    return [leaf_hash(data) for _, data in store.entries()]


def signed(connection, size=None):
    """The checkpoint of a size, signed."""
    return KEY.sign(checkpoint_at(connection, size).note)


def test_the_stored_tree_gives_every_root(store):
    """At every size the root from stored tiles is that of the leaves; later sizes too."""
    known = leaves(store)
    with store.reading() as connection:
        for size in range(1, len(known) + 1):
            assert checkpoint_at(connection, size).root == root_of(known[:size])


def test_every_event_is_proved_and_read_back(store):
    """Each event's proof, written and read again, verifies and gives the event."""
    with store.reading() as connection:
        for size in (1, 255, 256, 257, store.head().size):
            note = signed(connection, size)
            for position in {1, size // 2 or 1, max(1, size - 1), size}:
                proof = prove_event(connection, position, note)
                again = parse_proof(bytes(proof))
                assert again == proof
                assert isinstance(again, Inclusion)
                assert again.verify().position == position


def test_a_record_is_proved_to_continue_what_it_was(store):
    """A consistency proof, written and read again, joins two signed checkpoints."""
    with store.reading() as connection:
        size = store.head().size
        for old in (1, 2, 100, 255, 256, 257, size):
            earlier = checkpoint_at(connection, old)
            proof = prove_growth(connection, old, signed(connection))
            again = parse_proof(bytes(proof))
            assert isinstance(again, Consistency)
            assert again == proof
            again.verify(earlier)
            other = Checkpoint(origin=earlier.origin, size=old, root=bytes(32))
            with pytest.raises(IntegrityFailure, match=r"does not continue|leads to"):
                again.verify(other)
            foreign = Checkpoint(origin="accord/x", size=old, root=earlier.root)
            with pytest.raises(IntegrityFailure, match="another record"):
                again.verify(foreign)
            if old > 1:
                with pytest.raises(IntegrityFailure, match="proof begins at size"):
                    again.verify(checkpoint_at(connection, 1))


def test_a_proof_reads_a_few_tiles_whatever_the_records_length(tmp_path):
    """The hashes read for a proof grow with the tree's depth: one tile in each level."""
    desk = Desk(tmp_path / "accord.db")
    deals.in_effect(desk)
    read = {}
    for count, order in ((30, "PO-1"), (400, "PO-2")):
        names = [f"R{count}-{n}" for n in range(count)]
        deals.racks(desk, *names, to="install", order=order)
        size = desk.store.head().size
        with desk.store.reading() as connection:
            rows = Rows(connection)
            for prove in (prove_inclusion, prove_consistency):
                rows.read = 0
                prove(size // 3, size, rows)
                read[size] = max(rows.read, read.get(size, 0))
    for size, hashes in read.items():
        levels = -(-size.bit_length() // 8)
        assert hashes < 256 * levels
    assert max(read) > 10 * min(read)
    desk.ledger.close()


class Rows(Tiles):
    """Tiles that count the hashes that they read."""

    read = 0

    def __call__(self, level, index):
        self.read += 1 << (level % 8)
        return super().__call__(level, index)


def test_a_damaged_tree_says_so(store, tmp_path):
    """A node that is gone is named with the events that it stands for."""
    with (
        store.reading() as connection,
        pytest.raises(IntegrityFailure, match="damaged"),
    ):
        Tiles(connection)(8, 1000)


def test_an_empty_record_has_nothing_to_prove(desk):
    """Before the first event there is no origin, and beyond the last no position."""
    with desk.store.reading() as connection, pytest.raises(NotFound, match="empty"):
        origin_of(connection)
    deals.in_effect(desk)
    with desk.store.reading() as connection:
        size = desk.store.head().size
        with pytest.raises(NotFound, match=f"no position 99: the record has {size}"):
            checkpoint_at(connection, 99)
        note = signed(connection)
        with pytest.raises(NotFound, match="no position 99"):
            prove_event(connection, 99, note)
        with pytest.raises(NotFound, match="does not begin with 99"):
            prove_growth(connection, 99, note)


def test_a_checkpoint_is_held_against_the_ledger(store, desk):
    """One of another record, a longer one, or a fork is refused."""
    with store.reading() as connection:
        note = signed(connection)
        origin = origin_of(connection)
        size = store.head().size
        longer = Checkpoint(origin=origin, size=size + 1, root=bytes(32))
        fork = Checkpoint(origin=origin, size=size - 1, root=bytes(32))
        with pytest.raises(IntegrityFailure, match="this ledger has only"):
            own_checkpoint(connection, longer.note)
        with pytest.raises(IntegrityFailure, match="This ledger is a fork"):
            own_checkpoint(connection, fork.note)
    deals.in_effect(desk)
    with (
        desk.store.reading() as connection,
        pytest.raises(IntegrityFailure, match="another record"),
    ):
        own_checkpoint(connection, note)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1),
    st.integers(0, 10**17),
    st.binary(min_size=32, max_size=32),
)
def test_a_checkpoint_reads_back(origin, size, root):
    """A checkpoint's text is read back as it was."""
    checkpoint = Checkpoint(origin=origin, size=size, root=root)
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert Checkpoint.of(checkpoint.note) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        f"\n1\n{ROOT}\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n1\n{ROOT[:-2]}\n",
        f"origin\n1\n{ROOT[:-1]}!\n",
        f"origin\n1\n{ROOT}\nextension\n",
        f"origin\n1\n{ROOT}",
        "origin\n1\nAAAA\n",
    ],
)
def test_what_is_no_checkpoint_says_so(text):
    """Three lines, a plain size and a whole hash, or it is none."""
    with pytest.raises(IntegrityFailure, match="This is no checkpoint"):
        Checkpoint.parse(text)


def test_any_altered_line_of_a_proof_is_caught(store):
    """No byte of a proof can be changed without it failing to verify under the key."""
    with store.reading() as connection:
        whole = bytes(prove_event(connection, 7, signed(connection)))
    for place in range(0, len(whole), 3):
        wrong = bytearray(whole)
        wrong[place] ^= 1
        with pytest.raises(IntegrityFailure):
            check(bytes(wrong))


def check(data):
    """Check a proof of an event, as a stranger does."""
    proof = parse_proof(data)
    proof.checkpoint.require(KEY.verifier)
    assert isinstance(proof, Inclusion)
    return proof.verify()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: b"", "empty line"),
        (lambda data: data[:40], "empty line"),
        (lambda data: data.replace(b"extra ", b"other "), "second line"),
        (lambda data: data.replace(b"extra e", b"extra !"), "second line"),
        (lambda data: data.replace(b"index 6", b"index 06"), "a line 'index'"),
        (lambda data: data.replace(b"index 6", b"place 6"), "a line 'index'"),
        (lambda data: data.replace(b"@v1", b"@v2"), "a line 'old'"),
        (lambda data: b"c2sp.org/tlog-proof@v1\n\n" + data, "second line"),
        (lambda data: b"\xff\n\n" + data, "empty line"),
        (
            lambda data: data.replace(
                b"index 6\n", b"index 6\n" + (ROOT.encode() + b"\n") * MOST_HASHES
            ),
            "not a hash",
        ),
        (lambda data: data.replace(b"index 6\n", b"index 6\nAAAA\n"), "not a hash"),
    ],
)
def test_what_is_no_proof_says_so(store, change, why):
    """A proof that was cut off, or is of another form, says what was expected."""
    with store.reading() as connection:
        whole = bytes(prove_event(connection, 7, signed(connection)))
    with pytest.raises(IntegrityFailure, match=f"This is no proof: .*{why}"):
        parse_proof(change(whole))


def test_an_event_is_proved_only_where_it_says_it_is(store):
    """A tree in which an event lies at another place than its own is refused."""
    data = [bytes(data) for _, data in store.entries()][:2]
    swapped = [leaf_hash(data[1]), leaf_hash(data[0])]
    note = KEY.sign(Checkpoint(origin="accord/x", size=2, root=root_of(swapped)).note)
    proof = Inclusion(index=0, event=data[1], hashes=(swapped[1],), checkpoint=note)
    with pytest.raises(IntegrityFailure, match="says that it is at position 2"):
        proof.verify()


def test_an_event_that_is_gone_is_named(tmp_path):
    """A row that was deleted behind the front door is missing, not an empty proof."""
    desk = Desk(tmp_path / "accord.db")
    deals.in_effect(desk)
    with desk.store.reading() as connection:
        note = signed(connection)
    with raw(desk.path) as connection:
        connection.execute("DELETE FROM events WHERE position = 2")
    with (
        desk.store.reading() as connection,
        pytest.raises(IntegrityFailure, match="Event 2 is missing"),
    ):
        prove_event(connection, 2, note)
    desk.ledger.close()
