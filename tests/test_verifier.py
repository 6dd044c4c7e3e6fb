"""The stranger's verifier: whatever is done to a bundle, it says so, and where."""

from __future__ import annotations

import ast
import runpy
import shutil
import string
import sys
from pathlib import Path

import pytest
from bundling import (
    ACME,
    MALLORY,
    ORION,
    SIZE,
    Files,
    every_flip,
    flipped,
    packed,
    put,
    recorded,
    sample,
    sealed,
    signed_again,
    stranger,
    unpacked,
    verdict,
    with_lines,
    zipped,
)
from conftest import Desk
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import verifier
from ledger.tlog.note import Note
from ledger.tlog.verifier import ed25519_verifies

pytestmark = pytest.mark.sqlite

SOURCE = Path(verifier.__file__)
OK = f"ok: {SIZE} events of accord/"
STREAMED = ("events.jsonl", "leaves", "evidence.csv")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bundle of a small ledger, as a zip."""
    desk = Desk(tmp_path_factory.mktemp("ledger") / "accord.db")
    recorded(desk)
    data = packed(desk)
    desk.ledger.close()
    return data


@pytest.fixture(scope="module")
def files(archive: bytes) -> Files:
    """The same, unpacked."""
    return unpacked(archive)


@pytest.fixture
def lines(files: Files) -> list[bytes]:
    """Its events."""
    return files["events.jsonl"].splitlines()


# RFC 8032, 7.1: TEST 1, TEST 2, TEST 3 and TEST SHA(abc).
PUBLISHED = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), PUBLISHED)
def test_published_signatures_verify(public, message, signature):
    """RFC 8032's own examples verify, and no longer once a bit of them is another."""
    parts = [bytes.fromhex(text) for text in (public, message, signature)]
    assert ed25519_verifies(*parts)
    for which in range(3):
        for place in {0, len(parts[which]) // 2, len(parts[which]) - 1}:
            if parts[which]:
                altered = [*parts]
                altered[which] = flipped(parts[which], place)
                assert not ed25519_verifies(*altered)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=99), st.data())
def test_it_agrees_with_the_library(seed, message, data):
    """What `cryptography` signs is verified, and nothing else."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert ed25519_verifies(public, message, signature)
    place = data.draw(st.integers(0, 63))
    altered = flipped(signature, place, data.draw(st.sampled_from([1, 16, 128])))
    assert not ed25519_verifies(public, message, altered)
    assert not ed25519_verifies(public, message + b"!", signature)


def test_signatures_that_only_look_right_are_refused():
    """No scalar beyond the order, no point badly encoded, no key of a small order."""
    public, message, signature = (bytes.fromhex(text) for text in PUBLISHED[1])
    scalar = int.from_bytes(signature[32:], "little") + verifier.L
    beyond = signature[:32] + scalar.to_bytes(32, "little")
    assert not ed25519_verifies(public, message, beyond)
    assert not ed25519_verifies(public, message, signature[:-1])
    assert not ed25519_verifies(public, message, signature + b"\0")

    def number(value: int) -> bytes:
        return value.to_bytes(32, "little")

    neutral, minus_one = 1, verifier.P - 1
    for encoded in (neutral, minus_one, neutral + verifier.P, neutral | 1 << 255, 2, 0):
        # The equation holds for a key of a small order, whatever the message is.
        for point in (number(neutral), number(encoded)):
            assert not ed25519_verifies(number(encoded), message, point + bytes(32))
    for y in range(19):
        assert verifier._point(number(verifier.P + y)) is None
    assert verifier._point(number(1)) == (0, 1, 1, 0)
    assert verifier._point(number(1 | 1 << 255)) is None


def test_it_needs_nothing_but_an_older_python():
    """One file below 400 lines, in the Python of 2020, importing only what comes with it."""
    text = SOURCE.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name for node in imported for alias in node.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names
    assert len(text.splitlines()) < 400


def test_a_stranger_verifies_an_unpacked_bundle(tmp_path: Path, files: Files):
    """The bundle's own verifier says ok, and that its key is to be compared."""
    put(tmp_path, files)
    code, said = stranger(tmp_path)
    assert code == 0
    assert said.startswith(OK)
    key = str(ACME.verifier)
    assert (
        f"signed by acme.example/treasury (id {ACME.verifier.key_id.hex()}), the key in "
        "the bundle: compare it with the one that acme.example/treasury gave you, "
        f"{key}\n"
    ) in said
    assert stranger(tmp_path, "--key", key) == (
        0,
        said.partition(", the key in")[0] + "\n",
    )
    assert not [path for path in tmp_path.rglob("*") if path.name == "__pycache__"]


def test_a_stranger_verifies_a_packed_bundle(tmp_path: Path, archive: bytes):
    """The same verifier reads the zip as it came."""
    (tmp_path / "record.zip").write_bytes(archive)
    shutil.copy(SOURCE, tmp_path / "other.py")
    code, said = stranger(tmp_path, "record.zip", program="other.py")
    assert (code, said.startswith(OK)) == (0, True)


def test_a_stranger_is_told_what_is_wrong(tmp_path: Path, files: Files, lines):
    """Faults of every kind: exit code 3, and one line that says which and where."""
    cut = {**files, "events.jsonl": files["events.jsonl"][:-1]}
    cases: list[tuple[Files, str]] = [
        ({**files, "events.jsonl": flipped(files["events.jsonl"], 40)}, "event 1 "),
        (with_lines(files, lines[:4] + lines[5:], leaves=True), "line 5 holds event 6"),
        (cut, "truncated: 12 of 13 events; event 13 is cut off"),
        ({**files, "README.txt": b"Trust me.\n"}, "README.txt was altered"),
        ({**files, "extra": b""}, "extra is there, and the manifest does not list it"),
        ({k: v for k, v in files.items() if k != "leaves"}, "leaves is missing"),
    ]
    for altered, words in cases:
        code, said = stranger(put(tmp_path, altered))
        assert (code, said[:11]) == (3, "NOT WHOLE: ")
        assert words in said
    shutil.copy(SOURCE, put(tmp_path, {}) / "verify.py")
    (tmp_path / "empty").mkdir()
    assert "key is missing: empty is no whole bundle" in stranger(tmp_path, "empty")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["--key", "no key"],
        ["--key", str(ACME.verifier).replace("+aa", "+ab")],
        ["--what"],
        [".", "."],
    ],
)
def test_misuse_is_no_verdict(tmp_path: Path, files: Files, words: list[str]):
    """A place that is not there, or a key that is none: exit code 2, and how to use it."""
    code, said = stranger(put(tmp_path, files), *words)
    assert code == 2
    assert said.startswith("usage: verify.py [--key VKEY]... [FOLDER|ZIP]\n")


@pytest.mark.parametrize(
    "name", ["checkpoint", "evidence.csv", "key", "leaves", "manifest"]
)
def test_every_byte_of_a_small_file_counts(tmp_path: Path, files: Files, name: str):
    """No byte can be another without a verdict, which names the file or the position."""
    put(tmp_path, files)
    for place, altered in every_flip(files, name):
        (tmp_path / name).write_bytes(altered[name])
        said = verdict(tmp_path)
        assert said.startswith("NOT WHOLE: "), place
        if name == "leaves":
            at = f"event {place // 32 + 1}: its hash in leaves was altered"
            assert at in said


def test_any_byte_counts(tmp_path: Path, files: Files):
    """Bytes from anywhere in the bundle: each is missed, and an event is named."""
    put(tmp_path, files)
    places = [(name, n) for name, data in files.items() for n in range(len(data))]
    for name, place in sample(13, places, 200):
        data = flipped(files[name], place, 4)
        (tmp_path / name).write_bytes(data)
        said = verdict(tmp_path)
        assert said.startswith("NOT WHOLE: "), (name, place)
        assert name in said or name in {"events.jsonl", "key"}
        (tmp_path / name).write_bytes(files[name])
    assert verdict(tmp_path).startswith(OK)


def test_an_altered_event_is_named(tmp_path: Path, files: Files, lines):
    """Whichever byte of an event is another, the event's position is told."""
    put(tmp_path, files)
    start = 0
    for number, line in enumerate(lines, start=1):
        for place in sample(number, range(len(line)), 12):
            data = flipped(files["events.jsonl"], start + place, 2)
            (tmp_path / "events.jsonl").write_bytes(data)
            said = verdict(tmp_path)
            assert (
                f"event {number} " in said
                or f"event {number}:" in said
                or (f"line {number} holds event " in said)
            ), said
        start += len(line) + 1


@pytest.mark.parametrize("leaves", [False, True])
def test_events_dropped_added_doubled_swapped(
    tmp_path: Path, files: Files, lines, leaves: bool
):
    """What is out of place is named, with the hashes made to match or not."""

    def said(changed: list[bytes]) -> str:
        return verdict(put(tmp_path, with_lines(files, changed, leaves=leaves)))

    last = lines[-1].replace(b'"position":13', b'"position":14')
    assert said(lines[:4] + lines[5:]).endswith(": line 5 holds event 6")
    assert said(lines[:-1]).endswith(": truncated: 12 of 13 events")
    assert said([]).endswith(": truncated: 0 of 13 events")
    assert said([*lines[:5], lines[4], *lines[5:]]).endswith(": line 6 holds event 5")
    swapped = [*lines[:4], lines[5], lines[4], *lines[6:]]
    assert said(swapped).endswith(": line 5 holds event 6")
    assert said([*lines, last]).endswith(
        ": events.jsonl goes on after event 13, the last one signed"
    )


def test_an_event_altered_with_its_hash_is_found(tmp_path: Path, files: Files, lines):
    """Events and leaves that agree with each other do not agree with the root."""
    lines[6] = lines[6].replace(b'"actor":"ann"', b'"actor":"eve"')
    altered = with_lines(files, lines, leaves=True)
    assert "with them: the root is another" in verdict(put(tmp_path, altered))
    first = [lines[0].replace(b'"actor":"ann"', b'"actor":"eve"'), *lines[1:]]
    altered = with_lines(files, first, leaves=True)
    assert "event 1 is not that of accord/" in verdict(put(tmp_path, altered))


def test_a_truncated_file_of_any_kind_is_found(tmp_path: Path, files: Files):
    """Each file but verify.py, cut at its end, in its middle, and to nothing."""
    for name, data in files.items():
        for size in (len(data) - 1, len(data) // 2, 0):
            said = verdict(put(tmp_path, {**files, name: data[:size]}))
            assert said.startswith("NOT WHOLE: ")
            assert (
                name in said
                or (name == "events.jsonl" and "truncated: " in said)
                or (name == "key" and "public key" in said)
            ), said
    said = verdict(put(tmp_path, {**files, "key": b""}))
    assert "not by any key" in said


def test_a_damaged_zip_is_found(tmp_path: Path, archive: bytes):
    """A zip that was cut off or altered says so, or still holds the very same."""
    place = tmp_path / "record.zip"
    place.write_bytes(archive)
    whole = verdict(place)
    assert whole.startswith(OK)
    for size in sample(1, range(len(archive)), 60):
        place.write_bytes(archive[:size])
        assert "record.zip cannot be read, it may be cut off: " in verdict(place)
    directory, end = (range(len(archive) - size, len(archive)) for size in (1000, 22))
    inside = sample(2, range(len(archive)), 80)
    for at in [*inside, *sample(3, directory, 130), *end]:
        place.write_bytes(flipped(archive, at, (1, 128, 255)[at % 3]))
        said = verdict(place)
        assert said == whole or said.startswith("NOT WHOLE: "), at


def test_a_zip_with_two_files_of_a_name_is_refused(tmp_path: Path, files: Files):
    """What one program unpacks is not what another does."""
    place = tmp_path / "record.zip"
    place.write_bytes(zipped({**files, "LEAVES": b""}).replace(b"LEAVES", b"leaves"))
    assert "the zip has a name twice" in verdict(place)


def test_only_the_files_listed_are_there(tmp_path: Path, files: Files):
    """A file missing, one too many, in a folder or behind a link: each is told."""
    for name in files:
        rest = {other: data for other, data in files.items() if other != name}
        assert f"{name} is missing" in verdict(put(tmp_path, rest))
    for name in ("a", "schemas/more.json", "Leaves"):
        said = verdict(put(tmp_path, {**files, name: b""}))
        assert f"{name} is there, and the manifest does not list it" in said
    put(tmp_path, files)
    (tmp_path / "nothing").mkdir()
    assert verdict(tmp_path).startswith(OK)
    (tmp_path / "link").symlink_to(tmp_path / "schemas")
    assert "link is there" in verdict(tmp_path)


def test_another_key_is_told(tmp_path: Path, files: Files):
    """A checkpoint or a manifest of another key, even one of the same name."""
    for signer in (ORION, MALLORY):
        by = f"signed by {signer.name}, and not by acme.example/treasury (id "
        altered = signed_again(files, signer)
        assert f"the checkpoint is {by}" in verdict(put(tmp_path, sealed(altered)))
        altered = sealed(files, signer)
        assert f"the manifest is {by}" in verdict(put(tmp_path, altered))
        assert f"the manifest is {by}" in verdict(put(tmp_path, altered), ACME)
        # All is the other's, his key too: that is why keys have to be compared.
        key = f"{signer.verifier}\n".encode()
        altered = sealed(signed_again({**files, "key": key}, signer), signer)
        assert str(signer.verifier) in verdict(put(tmp_path, altered))
        assert f"the manifest is {by}" in verdict(put(tmp_path, altered), ACME)


def test_a_key_given_must_have_signed(tmp_path: Path, files: Files):
    """Each of the keys has signed the checkpoint, and one of them the manifest."""
    put(tmp_path, sealed(signed_again(files, ORION, ACME)))
    assert verdict(tmp_path).startswith(OK)
    said = verdict(tmp_path, ACME, ORION)
    assert "signed by acme.example/treasury (id " in said
    assert said.endswith(f" and orion.example (id {ORION.verifier.key_id.hex()})")
    assert "the manifest is signed by acme" in verdict(tmp_path, ORION)
    assert "the manifest is signed by acme" in verdict(tmp_path, MALLORY)
    said = verdict(tmp_path, ACME, MALLORY)
    assert "the checkpoint is signed by orion.example and acme" in said


def test_a_signature_of_another_text_is_told(tmp_path: Path, files: Files):
    """A true signature, moved under another text, is a forgery."""
    note = Note.parse(files["checkpoint"])
    text = note.text.replace("\n13\n", "\n12\n")
    forged = {**files, "checkpoint": bytes(Note(text, note.signatures))}
    said = verdict(put(tmp_path, forged))
    assert "the checkpoint was altered: acme.example/treasury signed another" in said
    for data in (b"", b"\n", b"text\n\nnothing\n", b"\xff\xff", note.text.encode()):
        said = verdict(put(tmp_path, {**files, "checkpoint": data}))
        assert "the checkpoint was altered or cut off: it is no signed note" in said
    said = verdict(put(tmp_path, {**files, "checkpoint": note.text.encode() + b"\n"}))
    assert "the checkpoint is signed by nobody, and not by acme" in said
    # The last letter of a signature has two bits that mean nothing.
    at = files["manifest"].rindex(b"=") - 1
    letters = f"{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}+/"
    letter = letters[letters.index(chr(files["manifest"][at])) + 1].encode()
    odd = files["manifest"][:at] + letter + files["manifest"][at + 1 :]
    assert "it is no signed note" in verdict(put(tmp_path, {**files, "manifest": odd}))
    for more in (b"more\n", "— x".encode()):
        said = verdict(put(tmp_path, {**files, "manifest": files["manifest"] + more}))
        assert "the manifest was altered or cut off: it is no signed note" in said


def test_a_checkpoint_of_another_record_is_told(tmp_path: Path, files: Files):
    """One of the same key, but of another origin or another size."""
    text = Note.parse(files["checkpoint"]).text
    other = text.replace("accord/", "accord/f")
    said = verdict(put(tmp_path, signed_again(files, ACME, text=other)))
    assert "the checkpoint is of another record: of 13 events of accord/f" in said
    shorter = text.replace("\n13\n", "\n12\n")
    said = verdict(put(tmp_path, signed_again(files, ACME, text=shorter)))
    assert "the checkpoint is of another record: of 12 events" in said
    for bad in (f"{text}more\n", text.replace("\n13\n", "\n013\n")):
        said = verdict(put(tmp_path, signed_again(files, ACME, text=bad)))
        assert "the checkpoint does not read as one" in said


def test_even_the_signer_cannot_sign_what_is_not_whole(tmp_path, files: Files, lines):
    """Under a manifest that is signed anew, the events must still make sense."""

    def said(altered: Files, **changed) -> str:
        return verdict(put(tmp_path, sealed(altered, **changed)))

    def event(number: int, old: bytes, new: bytes) -> str:
        assert old in lines[number - 1]
        changed = [*lines]
        changed[number - 1] = changed[number - 1].replace(old, new)
        return said(with_lines(files, changed, leaves=True))

    assert said(files).startswith(OK)
    assert "the root is another" in event(7, b'"actor":"ann"', b'"actor":"eve"')
    assert "event 3 is version 3 of 'agreement/one', not 2" in event(
        3, b'"version":2', b'"version":3'
    )
    assert "event 5 was recorded at 2025" in event(5, b'"2026-01', b'"2025-01')
    assert "line 5 holds event 50" in event(5, b'"position":5', b'"position":50')
    for broken in (b"{", b'{"a":1}', b"[]", b'"\xff"', b"[" * 9000, b'"\\ud800"'):
        assert "event 2 was altered: it is no event" in said(
            with_lines(files, [lines[0], broken, *lines[2:]], leaves=True)
        )
    assert "no event" in event(5, b'"stream":"agreement/one"', b'"stream":[]')
    assert "no event" in event(5, b'"evidence":[', b'"evidence":[1,')
    rows = files["evidence.csv"]
    assert "evidence.csv is not what event 13 cites" in said(
        {**files, "evidence.csv": rows.replace(b"Gazette", b"Herald!")}
    )
    assert "evidence.csv is not what event 1 cites" in said(
        {**files, "evidence.csv": rows.replace(b"grade", b"class")}
    )
    for name in STREAMED:
        longer = {**files, name: files[name] + b"more\n"}
        assert f"{name} goes on after event 13" in said(longer)
        digests = [
            f"{'1' if line[0] == '0' else '0'}{line[1:]}"
            if line.endswith(name)
            else line
            for line in Note.parse(files["manifest"]).text.split("\n")[3:-1]
        ]
        assert f": {name}: its SHA-256 is not" in said(files, digests=digests)
    shorter = {**files, "leaves": files["leaves"][:-8]}
    assert "event 13: it was altered or cut off" in said(shorter)


def test_a_manifest_that_is_none_is_told(tmp_path: Path, files: Files):
    """Another title, size or order, a file twice, or none at all."""
    listed = Note.parse(files["manifest"]).text.split("\n")[3:-1]
    for changed in (
        {"title": "accord bundle v2"},
        {"size": "013"},
        {"digests": []},
        {"digests": [*listed, "no digest"]},
    ):
        said = verdict(put(tmp_path, sealed(files, **changed)))
        assert "the manifest does not read as one" in said
    for digests in (listed[::-1], [*listed, listed[-1]]):
        said = verdict(put(tmp_path, sealed(files, digests=digests)))
        assert "the manifest does not list its files in order, each once" in said
    said = verdict(put(tmp_path, sealed(files, digests=listed[1:])))
    assert "README.txt is there, and the manifest does not list it" in said
    for name in ("../out", "/etc/passwd", "gone"):
        digests = sorted([*listed, f"{'0' * 64}  {name}"], key=lambda line: line[66:])
        said = verdict(put(tmp_path, sealed(files, digests=digests)))
        assert f"{name} is missing" in said


def test_nothing_exhausts_the_memory(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
):
    """A file that is never long, or a line, is read up to a limit and no further."""
    long = {**files, "checkpoint": files["checkpoint"] + b"\n" * verifier.SMALL_BYTES}
    said = verdict(put(tmp_path, long))
    assert "checkpoint was altered: it is too long" in said
    monkeypatch.setattr(verifier, "LINE_BYTES", 100)
    said = verdict(put(tmp_path, files))
    assert "truncated: 0 of 13 events; event 1 is cut off or too long" in said


def test_no_name_commands_the_terminal(tmp_path: Path, files: Files):
    """What a hostile bundle is called or holds is printed harmlessly, on one line."""
    place = tmp_path / "record.zip"
    place.write_bytes(zipped({**files, "\x1b[2J\n\u202eok": b""}))
    said = verdict(place)
    assert "\\x1b[2J\\n\\u202eok is there" in said


def test_a_zip_packed_in_an_odd_way_is_refused(tmp_path: Path, archive: bytes):
    """Only what every Python unpacks is taken."""
    place = tmp_path / "record.zip"
    at = archive.index(b"PK\x01\x02") + 10
    place.write_bytes(archive[:at] + b"\x0e" + archive[at + 1 :])
    assert "is packed as no bundle is" in verdict(place)


def test_it_is_a_program(
    tmp_path: Path, files: Files, archive: bytes, monkeypatch, capsys
):
    """Run as a program it exits with the verdict; called, it returns it."""
    put(tmp_path, files)
    monkeypatch.setattr(sys, "argv", ["verify.py", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SOURCE), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(OK)
    (tmp_path / "extra").touch()
    assert verifier.main([str(tmp_path)]) == 3
    assert capsys.readouterr().out.startswith("NOT WHOLE: extra is there")
    for words in (["nothing"], [str(tmp_path), "--key", "none"]):
        with pytest.raises(SystemExit) as ended:
            verifier.main(words)
        assert ended.value.code == 2
