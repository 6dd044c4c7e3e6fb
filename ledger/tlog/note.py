"""Signed notes: text with Ed25519 signatures under it, as c2sp.org/signed-note lays down.

Checkpoints, bundles and receipts are such notes. A note's text means nothing until a
signature over it by a key that the reader trusts has been verified.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.errors import IntegrityFailure, InvalidValue
from ledger.tlog.base64text import base64_of, unbase64

ED25519: Final = b"\x01"
"""The type of signature, in front of every encoded key."""
PRIVATE: Final = "PRIVATE+KEY+"
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
_LINE: Final = re.compile(r"— (\S+) ([A-Za-z0-9+/]+=*)")
_MOST_SIGNATURES: Final = 64


@dataclass(frozen=True)
class Signature:
    """A signature line: who signed, under which key id, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64_of(self.key_id + self.signature)}"


@dataclass(frozen=True)
class Note:
    """A text, which ends in a newline, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note; IntegrityFailure where it is none."""
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise IntegrityFailure("This is no signed note: not UTF-8.") from error
        text, blank, under = whole.rpartition("\n\n")
        lines = under.split("\n")
        if not blank or not text or lines.pop() or len(lines) > _MOST_SIGNATURES:
            raise IntegrityFailure(
                "This is no signed note: a text, an empty line and signatures are "
                "expected; it may have been cut off."
            )
        if any(ord(sign) < ord(" ") for sign in whole if sign != "\n"):
            raise IntegrityFailure("This is no signed note: it has control characters.")
        return cls(f"{text}\n", tuple(map(_signature, lines)))

    def __bytes__(self) -> bytes:
        lines = [self.text, *self.signatures]
        return "".join(f"{line}\n" for line in lines).encode()

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether the key signed this; IntegrityFailure where its signature is false."""
        mine = [
            given
            for given in self.signatures
            if (given.name, given.key_id) == (key.name, key.key_id)
        ]
        for given in mine:
            key.verify(self.text, given)
        return bool(mine)

    def require(self, key: VerifierKey) -> None:
        """IntegrityFailure unless the key signed this."""
        if not self.signed_by(key):
            names = ", ".join(str(given.name) for given in self.signatures)
            raise IntegrityFailure(
                f"{key.name} ({key.key_id.hex()}) has not signed this; "
                f"it is signed by {names or 'nobody'}."
            )


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a key: what a stranger needs to verify a signature."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `NAME+KEYID+BASE64`; InvalidValue where it is no such key."""
        name, key_id, encoded = _parts(text.strip())
        key = cls(name, _unpacked(encoded))
        if key.key_id.hex() != key_id:
            raise InvalidValue(
                f"The key of {name} has the id {key.key_id.hex()}, "
                f"and the text says {key_id}: a letter of it was changed."
            )
        return key

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell this key from others of the same name."""
        named = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(named).digest()[:4]

    def verify(self, text: str, given: Signature) -> None:
        """IntegrityFailure where a signature of this key is not over that text."""
        try:
            public = Ed25519PublicKey.from_public_bytes(self.public)
            public.verify(given.signature, text.encode())
        except (InvalidSignature, ValueError) as error:
            raise IntegrityFailure(
                f"The signature of {self.name} ({self.key_id.hex()}) is not over this "
                "text: one of the two was altered."
            ) from error

    def __str__(self) -> str:
        encoded = base64_of(ED25519 + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True)
class SignerKey:
    """The private half of a key; it never goes into a ledger."""

    name: str
    seed: bytes

    @classmethod
    def new(cls, name: str) -> SignerKey:
        """Make a key; InvalidValue for a name that signed notes do not take."""
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f"{name!r} cannot name a key: use a text without spaces and '+', "
                "such as 'acme.example/treasury'."
            )
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Read what `str` wrote; InvalidValue where it is no such key."""
        if not text.startswith(PRIVATE):
            raise InvalidValue("This is no private key: it does not begin as one.")
        name, key_id, encoded = _parts(text.strip().removeprefix(PRIVATE))
        key = cls(name, _unpacked(encoded))
        if key.verifier.key_id.hex() != key_id:
            raise InvalidValue(f"The private key of {name} is damaged.")
        return key

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifierKey(self.name, private.public_key().public_bytes_raw())

    def sign(self, note: Note) -> Note:
        """The note with this key's signature added, or as it is where it has one."""
        if note.signed_by(self.verifier):
            return note
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        made = Signature(
            self.name, self.verifier.key_id, private.sign(note.text.encode())
        )
        return Note(note.text, (*note.signatures, made))

    def __str__(self) -> str:
        encoded = base64_of(ED25519 + self.seed)
        return f"{PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def __repr__(self) -> str:
        return f"SignerKey({self.name!r}, …)"


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    packed = unbase64(found[2]) if found else None
    if found is None or packed is None or len(packed) <= 4 or "+" in found[1]:  # noqa: PLR2004 - a key id's bytes
        raise IntegrityFailure(f"This is no signature line: {line!r}.")
    return Signature(found[1], packed[:4], packed[4:])


def _parts(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if not _NAME.fullmatch(name) or not encoded:
        raise InvalidValue(f"{text!r} is not a key. Write NAME+KEYID+KEY.").hinting(
            "key"
        )
    return name, key_id, encoded


def _unpacked(encoded: str) -> bytes:
    packed = unbase64(encoded)
    if packed is None or packed[:1] != ED25519 or len(packed) != 33:  # noqa: PLR2004 - a type and 32 bytes
        raise InvalidValue("This is no Ed25519 key: its letters do not decode to one.")
    return packed[1:]
