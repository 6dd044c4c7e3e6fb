"""Verify a bundle of an accord record: is it whole, and if not, what is wrong first.

    python verify.py [--key VKEY]... [FOLDER|ZIP]

This one file needs Python 3.9 or later and nothing else. It trusts nothing that it
reads, writes nothing, and is meant to be read from top to bottom. It checks:

1. `manifest`, a signed note: its signature, and that it lists the very files there are;
2. `checkpoint`, a signed note: its signatures, and that it is of the same record;
3. every other file but the next three: its SHA-256 is the one in the manifest;
4. `events.jsonl`, line by line: each event follows those before it and hashes to its
   entry in `leaves`; `evidence.csv` is what the events cite; all hashes together make
   the root in the checkpoint; and then the SHA-256 of these three.

It exits 0 and prints a line that begins with `ok`; 3 with `NOT WHOLE`; 2 when misused.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import re
import sys
import zlib
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

FORMS = {
    # The record's origin, its size, and the digest and name of every file.
    "manifest": r"accord bundle v1\n(\S+)\n([1-9]\d{0,17})\n((?:[0-9a-f]{64}  [\w./-]+\n)+)",
    # The record's origin, its size, and its root (C2SP tlog-checkpoint).
    "checkpoint": r"(\S+)\n([1-9]\d{0,17})\n(\S+)\n",
}
STREAMED = ("events.jsonl", "leaves", "evidence.csv")
IDENTITY = ("position", "stream", "version", "recorded_at")
EVIDENCE = ("title", "kind", "grade", "publisher", "issued_on", "address", "sha256")
# Nothing longer is read at once, so that no file can exhaust the memory.
SMALL_BYTES = 1 << 20
LINE_BYTES = 1 << 26
UNREADABLE = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


class NotWhole(Exception):
    """What is wrong with a bundle."""

    def __str__(self) -> str:
        return printable(str(self.args[0]))


def main(arguments: list[str] | None = None) -> int:
    """Verify a bundle, print one line about it, return the exit code."""
    parser = argparse.ArgumentParser(usage="verify.py [--key VKEY]... [FOLDER|ZIP]")
    parser.add_argument("bundle", nargs="?", default=str(Path(__file__).parent))
    parser.add_argument("--key", action="append", default=[])
    given = parser.parse_args(arguments)
    try:
        code, line = 0, check(given.bundle, [Key.parse(text) for text in given.key])
    except NotWhole as fault:
        code, line = 3, f"NOT WHOLE: {fault}"
    except (OSError, ValueError) as error:
        parser.error(str(error))
    encoding = sys.stdout.encoding
    print(line.encode(encoding, "backslashreplace").decode(encoding))
    return code


def check(place: str, keys: list[Key]) -> str:
    """What a bundle holds, and who signed it, in a line; NotWhole where it is not so.

    Each of the keys must have signed the checkpoint, and one of them the manifest.
    Where none is given, that goes for those in the bundle.
    """
    Path(place).stat()
    try:
        with Files(Path(place)) as files:
            own = [] if keys else files.small("key").decode().splitlines()
            signers = keys or [Key.parse(line) for line in own]
            record = _check_files(files, signers)
    except UNREADABLE as error:
        raise NotWhole(f"{place} cannot be read, it may be cut off: {error}") from None
    many = "1 event" if record.size == 1 else f"{record.size} events"
    line = (
        f"ok: {many} of {record.origin}, the last recorded at "
        f"{record.recorded_at}, root {record.root.hex()}, signed by {_named(signers)}"
    )
    if not keys:
        # The id alone would prove nothing: other keys that have it can be found.
        line += ", the key in the bundle: compare it with the one that " + " and ".join(
            f"{key.name} gave you, {key.text}" for key in signers
        )
    return printable(line)


def printable(text: str) -> str:
    """The text without what a hostile bundle could tell the terminal to do."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _named(keys: list[Key]) -> str:
    return " and ".join(f"{key.name} (id {key.id.hex()})" for key in keys) or "any key"


def _check_files(files: Files, keys: list[Key]) -> Record:
    origin, size, listed = _signed(files, "manifest", keys)
    lines = listed.splitlines()
    digests = {line[66:]: line[:64] for line in lines}
    if sorted(digests) != [line[66:] for line in lines]:
        raise NotWhole("the manifest does not list its files in order, each once")
    for name in sorted({*digests, *STREAMED, "checkpoint"} - files.names):
        raise NotWhole(f"{name} is missing")
    for name in sorted(files.names - {*digests, "manifest"}):
        raise NotWhole(f"{name} is there, and the manifest does not list it")
    checkpoint = _signed(files, "checkpoint", keys)
    if checkpoint[:2] != [origin, size]:
        raise NotWhole(
            f"the checkpoint is of another record: of {checkpoint[1]} events of "
            f"{checkpoint[0]}, and the manifest of {size} of {origin}"
        )
    altered = [name for name in digests if files.digest(name) != digests[name]]
    for name in altered:
        # Where these are altered, the position is told below.
        if name not in STREAMED:
            raise NotWhole(f"{name} was altered: its SHA-256 is not the one signed")
    record = _check_events(files, int(size), altered)
    if record.origin != origin:
        raise NotWhole(f"event 1 is not that of {origin}, but of {record.origin}")
    if base64.b64encode(record.root).decode() != checkpoint[2]:
        raise NotWhole("events were altered, and leaves with them: the root is another")
    for name in altered:
        raise NotWhole(f"{name}: its SHA-256 is not the one signed")
    return record


def _check_events(files: Files, size: int, altered: list[str]) -> Record:
    record, rows = Record(), csv_row("position", *EVIDENCE)
    events, leaves, evidence = map(files.open, STREAMED)
    for number in range(1, size + 1):
        line = events.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            cut = f"; event {number} is cut off or too long" if line else ""
            raise NotWhole(f"truncated: {number - 1} of {size} events{cut}")
        rows += record.take(line[:-1])
        if leaves.read(32) != record.leaf:
            which = "its hash in leaves" if altered == ["leaves"] else "it"
            raise NotWhole(f"event {number}: {which} was altered or cut off")
        if evidence.read(len(rows)) != rows:
            raise NotWhole(f"evidence.csv is not what event {number} cites")
        rows = b""
    for name, file in zip(STREAMED, (events, leaves, evidence)):
        if file.read(1):
            raise NotWhole(f"{name} goes on after event {size}, the last one signed")
    return record


class Record:
    """What the events so far add up to; each is held against those before it."""

    def __init__(self) -> None:
        self.size = 0
        self.leaf = b""
        self.origin = ""
        self.recorded_at = ""
        self._moment: datetime | None = None
        self._versions: dict[str, int] = {}
        self._peaks: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        """Take in the next event's bytes; the rows of evidence.csv for it."""
        number = self.size + 1
        try:
            event = json.loads(data.decode())
            identity = [event["identity"][name] for name in IDENTITY]
            position, stream, version, recorded_at = identity
            follows = self._versions.get(stream, 0) + 1
            # Before Python 3.11, `Z` was not understood.
            moment = datetime.fromisoformat(recorded_at.replace("Z", "+00:00"))
            back = self._moment is not None and moment < self._moment
            # The grade P, a primary text, is what an event that names none means.
            cited = event["provenance"].get("evidence", ())
            cited = [{"grade": "P", **item} for item in cited]
            rows = [csv_row(number, *map(item.get, EVIDENCE)) for item in cited]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise NotWhole(f"event {number} was altered: it is no event") from None
        if position != number:
            raise NotWhole(f"line {number} holds event {position!r:.40}")
        if version != follows:
            raise NotWhole(
                f"event {number} is version {version!r:.20} of {stream!r:.99}, not {follows}"
            )
        if back:
            raise NotWhole(
                f"event {number} was recorded at {recorded_at}, before that which it follows"
            )
        self.size, self.recorded_at, self._moment = number, recorded_at, moment
        self._versions[stream] = version
        self.leaf = hashlib.sha256(b"\x00" + data).digest()
        self.origin = self.origin or f"accord/{self.leaf.hex()[:32]}"
        # The roots of complete subtrees, the largest first: one for each bit of the size.
        node, left = self.leaf, number - 1
        while left & 1:
            node, left = _node_hash(self._peaks.pop(), node), left >> 1
        self._peaks.append(node)
        return b"".join(rows)

    @property
    def root(self) -> bytes:
        """The root of the Merkle tree over the events so far (RFC 6962, 2.1)."""
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = _node_hash(peak, node)
        return node


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def csv_row(*values: Any) -> bytes:
    """A line of CSV, each value quoted and nothing for None, in UTF-8."""
    texts = ["" if value is None else str(value) for value in values]
    return ('"' + '","'.join(t.replace('"', '""') for t in texts) + '"\n').encode()


def _signed(files: Files, name: str, keys: list[Key]) -> list[str]:
    """The parts of a note's text, its signatures verified (C2SP signed-note)."""
    data = files.small(name)
    text, _, under = data.decode(errors="replace").rpartition("\n\n")
    lines = re.findall(r"— (\S+) (\S+)\n", under)
    again = f"{text}\n\n" + "".join(f"— {signer} {code}\n" for signer, code in lines)
    signatures = [(signer, _unbase64(code)) for signer, code in lines]
    if again.encode() != data or not all(packed for _, packed in signatures):
        raise NotWhole(f"the {name} was altered or cut off: it is no signed note")
    signed = [key for key in keys if key.signed(name, f"{text}\n", signatures)]
    if not signed or (name == "checkpoint" and signed != keys):
        names = " and ".join(signer for signer, _ in signatures) or "nobody"
        raise NotWhole(f"the {name} is signed by {names}, and not by {_named(keys)}")
    if not (found := re.fullmatch(FORMS[name], f"{text}\n", re.ASCII)):
        raise NotWhole(f"the {name} does not read as one")
    return list(found.groups())


class Key(NamedTuple):
    """A public key with the name of its owner."""

    name: str
    id: bytes
    public: bytes
    text: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read `NAME+ID+KEY`; ValueError where it is no such key."""
        found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text)
        packed = _unbase64(found[3]) if found else b""
        # A byte for the type, which is Ed25519, stands in front of the key.
        if not found or packed[:1] != b"\x01" or len(packed) != 1 + 32:
            raise ValueError(f"{text!r:.300} is no public key, NAME+ID+KEY")
        named = found[1].encode() + b"\n" + packed
        key_id = hashlib.sha256(named).digest()[:4]
        if key_id.hex() != found[2]:
            raise ValueError(f"{text!r:.300} was altered: its id is {key_id.hex()}")
        return cls(found[1], key_id, packed[1:], text)

    def signed(self, what: str, text: str, signatures: list[tuple[str, bytes]]) -> bool:
        """Whether this key signed the text; NotWhole where what says so is false."""
        mine = [s for name, s in signatures if name == self.name and s[:4] == self.id]
        if not all(ed25519_verifies(self.public, text.encode(), s[4:]) for s in mine):
            raise NotWhole(f"the {what} was altered: {self.name} signed another text")
        return bool(mine)


def _unbase64(text: str) -> bytes:
    """The bytes of a text; none where it is not exactly how they are written."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return data if base64.b64encode(data).decode() == text else b""


class Files(ExitStack):
    """The files of a bundle, in a folder or in a zip; all are closed at the end."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._folder = place
        self._zip = None if place.is_dir() else self.enter_context(ZipFile(place))

    @cached_property
    def names(self) -> set[str]:
        """What there is."""
        if self._zip is None:
            found = self._folder.rglob("*")
            files = [path for path in found if path.is_symlink() or not path.is_dir()]
            return {path.relative_to(self._folder).as_posix() for path in files}
        listed = [info for info in self._zip.infolist() if not info.is_dir()]
        names = {info.filename for info in listed}
        ways = {info.compress_type for info in listed}
        if len(names) < len(listed) or not ways <= {ZIP_STORED, ZIP_DEFLATED}:
            raise NotWhole("the zip has a name twice, or is packed as no bundle is")
        return names

    def open(self, name: str) -> BinaryIO:
        """Open one of the files for reading."""
        if name not in self.names:
            raise NotWhole(f"{name} is missing: {self._folder} is no whole bundle")
        if self._zip is None:
            return self.enter_context((self._folder / name).open("rb"))
        packed = self.enter_context(self._zip.open(name))
        return io.BufferedReader(packed)  # type: ignore[type-var]

    def small(self, name: str) -> bytes:
        """All that is in a file which is never large."""
        data = self.open(name).read(SMALL_BYTES + 1)
        if len(data) > SMALL_BYTES:
            raise NotWhole(f"{name} was altered: it is too long")
        return data

    def digest(self, name: str) -> str:
        """The SHA-256 of a file, in hexadecimal."""
        found, file = hashlib.sha256(), self.open(name)
        while data := file.read(SMALL_BYTES):
            found.update(data)
        return found.hexdigest()


# Ed25519 (RFC 8032, 5.1): the prime of the field, the order of the group, the curve.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]
"""A point as X, Y, Z and T, where x = X/Z, y = Y/Z and xy = T/Z."""
NEUTRAL: Point = (0, 1, 1, 0)


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature over a message is of that key."""
    key = _point(public)
    scalar = int.from_bytes(signature[32:], "little")
    # With a key of a small order, one signature would be good for many messages.
    if key is None or _encoded(_times(8, key)) == _encoded(NEUTRAL):
        return False
    if len(signature) != 32 + 32 or scalar >= L:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    x, y, z, t = _times(int.from_bytes(hashed, "little") % L, key)
    difference = _sum(_times(scalar, BASE), (-x, y, z, -t))
    # Comparing the encoding refuses a point that is not encoded as it should be.
    return _encoded(difference) == signature[:32]


def _sum(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(many: int, point: Point) -> Point:
    total = NEUTRAL
    for bit in f"{many:b}":
        total = _sum(total, total)
        if bit == "1":
            total = _sum(total, point)
    return total


def _encoded(point: Point) -> bytes:
    x, y = (number * pow(point[2], P - 2, P) % P for number in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _point(data: bytes) -> Point | None:
    """The point that 32 bytes encode; None where they do not, or not properly."""
    odd, y = divmod(int.from_bytes(data, "little"), 1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and odd):
        return None
    x = x if x & 1 == odd else P - x
    return x, y, 1, x * y % P


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


if __name__ == "__main__":
    sys.exit(main())
