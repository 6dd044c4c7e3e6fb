"""Signed notes: the published example, round trips, and what is no note or no key."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import IntegrityFailure, InvalidValue
from ledger.tlog.note import Note, SignerKey, VerifierKey

pytestmark = pytest.mark.pure

# The example in the documentation of Go's note package, whose format this is.
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNED = (
    f"{TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFY"
    "C2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNER = (
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
)


def test_the_published_example_verifies_and_is_made():
    """The published note verifies under its key, and its private key makes the same."""
    note = Note.parse(SIGNED.encode())
    assert note.signed_by(VerifierKey.parse(VERIFIER))
    signer = SignerKey.parse(SIGNER)
    assert bytes(signer.sign(Note(TEXT, ()))) == SIGNED.encode()
    assert str(signer.verifier) == VERIFIER
    assert str(signer) == SIGNER
    assert "AYEK" not in repr(signer)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_note_reads_back_as_it_was_written(line: str):
    """Two keys sign one text, in either order, and both are found again."""
    one, two = SignerKey.new("acme.example/a"), SignerKey.new("orion.example/b")
    note = two.sign(one.sign(Note(f"{line}\n", ())))
    again = Note.parse(bytes(note))
    assert again == note
    again.require(one.verifier)
    again.require(two.verifier)
    assert one.sign(again) == again
    assert VerifierKey.parse(str(one.verifier)) == one.verifier
    assert SignerKey.parse(str(one)) == one


def test_any_altered_byte_is_caught():
    """No byte of a note can be changed without the note or its signature failing."""
    key = VerifierKey.parse(VERIFIER)
    whole = SIGNED.encode()
    for place in range(len(whole)):
        for change in (1, 0x80):
            altered = bytearray(whole)
            altered[place] ^= change
            with suppress(IntegrityFailure):
                assert not Note.parse(bytes(altered)).signed_by(key), place


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no blank line\n",
        b"\n\n",
        b"text\n\nno newline at the end",
        b"text\n\nnot a signature\n",
        "text\n\n— name !!!!\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na+me AAAAAAAAAAAA\n".encode(),
        "te\txt\n\n— name AAAAAAAAAAAA\n".encode(),
        b"\xff\n\n",
        b"text\n\n" + "— name AAAAAAAAAAAA\n".encode() * 65,
    ],
)
def test_what_is_no_note_says_so(data):
    """A text without signatures, or cut off, or with control characters, is none."""
    with pytest.raises(IntegrityFailure, match="This is no sign"):
        Note.parse(data)


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000", VERIFIER[:-4], VERIFIER.replace("+c7", "+c8"),
     VERIFIER.replace("+AR", "+BR"), f"a b{VERIFIER}", f"{VERIFIER}!", VERIFIER[:-1] + "X"],
)  # fmt: skip
def test_what_is_no_key_says_so(text):
    """A key that lost or changed a letter is not taken."""
    with pytest.raises(InvalidValue):
        VerifierKey.parse(text)
    with pytest.raises(InvalidValue):
        SignerKey.parse(text)
    with pytest.raises(InvalidValue):
        SignerKey.parse(SIGNER.replace(VERIFIER[:20], text[:20]) + "x")


def test_a_damaged_private_key_is_not_used():
    """A private key whose id is not its own is damaged."""
    with pytest.raises(InvalidValue, match="private key of PeterNeumann is damaged"):
        SignerKey.parse(SIGNER.replace("+c74f20a3+", "+c74f20a4+"))


def test_another_keys_signature_does_not_count():
    """A note is signed by a key, or by others; a signature moved to another text fails."""
    one, two = SignerKey.new("a"), SignerKey.new("b")
    note = one.sign(Note("text\n", ()))
    assert not note.signed_by(two.verifier)
    with pytest.raises(
        IntegrityFailure, match="has not signed this; it is signed by a"
    ):
        note.require(two.verifier)
    with pytest.raises(IntegrityFailure, match="signed by nobody"):
        Note("text\n", ()).require(two.verifier)
    with pytest.raises(IntegrityFailure, match="is not over this text"):
        Note("other\n", note.signatures).signed_by(one.verifier)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "x" * 201])
def test_a_name_that_a_note_cannot_carry_is_refused(name):
    """A key's name has no spaces and no plus sign."""
    with pytest.raises(InvalidValue, match="cannot name a key"):
        SignerKey.new(name)
