"""Bundles for tests: a small one, unpacked as a dictionary, and ways to alter it."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from conftest import Desk
from vandal import small_ledger

from ledger.proof.bundle import write_bundle
from ledger.tlog import verifier
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Note, SignerKey

ACME = SignerKey("acme.example/treasury", bytes(range(32)))
ORION = SignerKey("orion.example", bytes(range(1, 33)))
MALLORY = SignerKey("acme.example/treasury", bytes(range(2, 34)))
PAPERS = [
    {
        "title": 'A "quoted" report,\nof two lines',
        "kind": "press_report",
        "grade": "R",
        "publisher": "The Gazette",
        "issued_on": "2026-01-02",
        "address": "https://gazette.example/1",
        "sha256": "ab" * 32,
    },
    {"title": "Bücher"},
]
SIZE = 13
Files = dict[str, bytes]


def recorded(desk: Desk) -> None:
    """Two deals, 13 events, and papers of every kind."""
    small_ledger(desk)
    desk.do(
        "agreement record-statement",
        deal="one",
        statement="s1",
        speaker="Acme",
        text="On track.",
        evidence=PAPERS,
    )


def packed(desk: Desk, signer: SignerKey = ACME, note: bytes | None = None) -> bytes:
    """The bundle of a ledger as the bytes of its zip."""
    out = io.BytesIO()
    write_bundle(desk.store, out, signer, lambda *_: None, note)
    return out.getvalue()


def unpacked(data: bytes) -> Files:
    """What is in a zip."""
    with ZipFile(io.BytesIO(data)) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def zipped(files: Files) -> bytes:
    """A zip of these files."""
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def put(folder: Path, files: Files) -> Path:
    """A folder that holds these files and no others."""
    for old in folder.rglob("*"):
        if old.is_file() and old.relative_to(folder).as_posix() not in files:
            old.unlink()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def verdict(place: Path, *keys: SignerKey) -> str:
    """What the verifier says of a folder or a zip, called in this process."""
    trusted = [verifier.Key.parse(str(key.verifier)) for key in keys]
    try:
        return verifier.check(str(place), trusted)
    except verifier.NotWhole as fault:
        return f"NOT WHOLE: {fault}"


def stranger(folder: Path, *words: str, program: str = "verify.py") -> tuple[int, str]:
    """Run the bundle's own verifier as a stranger would; its exit code, what it said."""
    found = subprocess.run(
        [sys.executable, "-I", "-S", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in found.stderr
    assert found.stdout.count("\n") == (found.returncode != 2)
    return found.returncode, found.stdout or found.stderr


def sealed(files: Files, signer: SignerKey = ACME, **changed: Any) -> Files:
    """The files under a manifest made anew: what the holder of the key could do."""
    note = Note.parse(files["manifest"])
    _, origin, size, *_ = note.text.split("\n")
    rest = sorted((name, data) for name, data in files.items() if name != "manifest")
    digests = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in rest]
    digests = changed.get("digests", digests)
    head = [changed.get("title", "accord bundle v1"), changed.get("origin", origin)]
    text = "\n".join([*head, str(changed.get("size", size)), *digests, ""])
    return {**files, "manifest": bytes(signer.sign(Note(text, ())))}


def signed_again(files: Files, *signers: SignerKey, text: str | None = None) -> Files:
    """The files with a checkpoint that these have signed, and no others."""
    note = Note(text or Note.parse(files["checkpoint"]).text, ())
    for signer in signers:
        note = signer.sign(note)
    return {**files, "checkpoint": bytes(note)}


def with_lines(files: Files, lines: Sequence[bytes], *, leaves: bool) -> Files:
    """Other events; if asked, with their hashes in `leaves`."""
    changed = {**files, "events.jsonl": b"".join(line + b"\n" for line in lines)}
    if leaves:
        changed["leaves"] = b"".join(map(leaf_hash, lines))
    return changed


def sample(seed: int, places: Sequence[Any], many: int) -> list[Any]:
    """Some of the places, the same ones every time."""
    return random.Random(seed).sample(places, many)  # noqa: S311 - no secret


def flipped(data: bytes, place: int, bits: int = 1) -> bytes:
    """Bytes of which one is another."""
    altered = bytearray(data)
    altered[place] ^= bits
    return bytes(altered)


def every_flip(files: Files, name: str) -> Iterator[tuple[int, Files]]:
    """The files with each byte of one of them altered, one after another."""
    for place in range(len(files[name])):
        yield place, {**files, name: flipped(files[name], place)}
