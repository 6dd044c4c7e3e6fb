"""Bundles written: what is in them, that they verify, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from bundling import (
    ACME,
    MALLORY,
    ORION,
    PAPERS,
    SIZE,
    packed,
    put,
    recorded,
    stranger,
    unpacked,
    verdict,
)
from cli_desk import OPEN, done, fails
from conftest import Desk
from places import address
from vandal import many_events, raw

from cli.commands.demo import _demos
from ledger.custody.transfer import export
from ledger.domain.catalogue import EVENTS
from ledger.errors import IntegrityFailure, NotFound
from ledger.proof.bundle import write_bundle
from ledger.tlog import verifier
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Note


def checkpoint(desk: Desk) -> str:
    """The text of a checkpoint of a ledger as it stands."""
    return Note.parse(unpacked(packed(desk))["checkpoint"]).text


def test_a_bundle_holds_the_record(desk: Desk):
    """The events as they are exported, their hashes, and all that goes with them."""
    recorded(desk)
    files = unpacked(packed(desk))

    exported = io.BytesIO()
    head = export(desk.store, exported)
    lines = exported.getvalue().splitlines()
    assert files["events.jsonl"] == exported.getvalue()
    assert files["leaves"] == b"".join(map(leaf_hash, lines))
    assert files["key"].decode() == f"{ACME.verifier}\n"
    note = Note.parse(files["checkpoint"])
    note.require(ACME.verifier)
    origin, size, _ = note.text.splitlines()
    assert origin == f"accord/{leaf_hash(lines[0]).hex()[:32]}"
    assert int(size) == head.size == SIZE
    Note.parse(files["manifest"]).require(ACME.verifier)
    assert files["verify.py"] == Path(verifier.__file__).read_bytes()
    assert list(files) == [*sorted(set(files) - {"manifest"}), "manifest"]


def test_the_same_record_makes_the_same_bundle(desk: Desk, tmp_path: Path):
    """Bytes depend on record and key alone: not on when, nor on where it is written."""
    recorded(desk)
    first = packed(desk)
    desk.clock.advance(days=1)
    assert packed(desk) == first
    with (tmp_path / "record.zip").open("wb") as out:
        record = write_bundle(desk.store, out, ACME, lambda *_: None)
    assert (tmp_path / "record.zip").read_bytes() == first
    assert (record.size, record.root) == (SIZE, desk.store.head().root)
    assert packed(desk, ORION) != first


def test_the_evidence_is_listed(desk: Desk):
    """Every paper that an event cites has a row, whatever is written in it."""
    recorded(desk)
    text = unpacked(packed(desk))["evidence.csv"].decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["position"] for row in rows] == ["5", "6", "13", "13"]
    assert {**PAPERS[0], "position": "13"} == rows[2]
    assert (rows[3]["title"], rows[3]["grade"], rows[3]["sha256"]) == (
        "Bücher",
        "P",
        "",
    )


def test_the_schema_describes_every_event(desk: Desk):
    """Each type of event is in it, with its fields, and every reference leads somewhere."""
    recorded(desk)
    schema = json.loads(unpacked(packed(desk))["schemas/event.json"])
    parts = schema["$defs"]
    types = [
        part["$ref"].removeprefix("#/$defs/")
        for part in schema["properties"]["data"]["anyOf"]
    ]
    tags = [parts[name]["properties"]["type"]["enum"] for name in types]
    assert tags == [[kind.tag()] for kind in EVENTS]
    text = json.dumps(schema)
    used = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert used <= set(parts)


@pytest.mark.parametrize("fictional", [True, False])
def test_fiction_is_called_so(desk: Desk, fictional: bool):
    """A bundle of nothing but fiction says it first; one true deal is enough not to."""
    keys = {"title": "T", "capital": ["a"], "capacity": ["b"]}
    desk.do("agreement open", deal="one", fictional=True, **keys)
    note = unpacked(packed(desk))["checkpoint"]
    desk.do("agreement open", deal="two", fictional=fictional, **keys)
    readme = unpacked(packed(desk))["README.txt"].decode()
    assert ("Every deal in it is fiction." in readme) is fictional
    assert "python3 verify.py" in readme
    assert "events      2\n" in readme
    readme = unpacked(packed(desk, ACME, note))["README.txt"].decode()
    assert "Every deal in it is fiction." in readme


@pytest.mark.parametrize("name", sorted(_demos()))
def test_packaged_deals_make_good_bundles(desk: Desk, tmp_path: Path, name: str):
    """A real record, and a long fictional one, verify at a stranger's."""
    from cli.input.batch import write_batch

    desk.clock.advance(days=365)
    write_batch(desk.ledger, _demos()[name].read_bytes(), None, lambda *_: None)
    files = unpacked(packed(desk))
    code, said = stranger(put(tmp_path / "bundle", files))
    assert (code, said[:4]) == (0, "ok: ")
    assert f"ok: {desk.store.head().size} events of accord/" in said
    assert ("fiction" in files["README.txt"].decode()) is (name == "milestone-machine")


def test_a_bundle_ends_with_an_earlier_checkpoint(desk: Desk, tmp_path: Path):
    """A checkpoint that both parties signed stands as it is, over its events alone."""
    recorded(desk)
    note = bytes(ACME.sign(ORION.sign(Note(checkpoint(desk), ()))))
    before = packed(desk)
    many_events(desk, 5)
    data = packed(desk, ACME, note)
    files = unpacked(data)
    assert files["checkpoint"] == note
    assert files["events.jsonl"] == unpacked(before)["events.jsonl"]
    assert "signed by   orion.example, acme" in files["README.txt"].decode()
    place = tmp_path / "record.zip"
    place.write_bytes(data)
    assert verdict(place, ACME, ORION).startswith(f"ok: {SIZE} events")
    assert verdict(place, ACME, MALLORY).startswith("NOT WHOLE: ")


def test_a_checkpoint_that_does_not_fit_is_refused(desk: Desk, tmp_path: Path):
    """Of another record, of a later state, of a fork, of another key, or none at all."""
    recorded(desk)
    text = checkpoint(desk)
    root = text.splitlines()[2]

    def refused(text: str, signer=ACME) -> str:
        with pytest.raises(IntegrityFailure) as failure:
            packed(desk, ACME, bytes(signer.sign(Note(text, ()))))
        return str(failure.value)

    said = refused(text.replace("accord/", "accord/f"))
    assert "This is of another record: accord/f" in said
    assert "of 14 events" in refused(text.replace("\n13\n", "\n14\n"))
    said = refused(text.replace(root, "A" * 43 + "="))
    assert "This ledger is a fork: of its first 13 events" in said
    said = refused(text, ORION)
    assert "signed by orion.example, and not by acme.example/treasury" in said
    assert "This is no checkpoint" in refused("Hello\n")
    with pytest.raises(IntegrityFailure, match="This is no signed note"):
        packed(desk, ACME, b"Hello\n")


def test_an_empty_record_makes_no_bundle(desk: Desk):
    """Where nothing is recorded there is nothing to sign."""
    with pytest.raises(NotFound, match="The record is empty"):
        packed(desk)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM events WHERE position = 13", "Event 13 is missing"),
        ("DELETE FROM events WHERE position = 4", "Event 4 is missing"),
        ("DELETE FROM events WHERE position = 1", "damaged or missing"),
        pytest.param(
            "UPDATE events SET data = 'text' WHERE position = 4",
            "Event 4 is not stored",
            marks=pytest.mark.sqlite,
        ),
        ("UPDATE events SET data = x'7b' WHERE position = 4", "event 4 was altered"),
        ("UPDATE tree_head SET root = zeroblob(32)", "its tree says 0000"),
    ],
)
def test_a_damaged_record_makes_no_bundle(desk: Desk, damage: str, words: str):
    """What would not verify is not written, and says at which event."""
    recorded(desk)
    with raw(desk.path) as connection:
        connection.execute(damage)
    with pytest.raises(IntegrityFailure, match=words):
        packed(desk)


def test_a_bundle_is_of_one_moment(desk: Desk, tmp_path: Path):
    """What is recorded while it is written does not disturb it."""
    many_events(desk, 1500)
    out = io.BytesIO()

    def write(_done: int, _total: int | None) -> None:
        if desk.store.head().size == 1500:
            desk.do(
                "agreement open", deal="b", title="T", capital=["a"], capacity=["b"]
            )

    assert write_bundle(desk.store, out, ACME, write).size == 1500
    assert desk.store.head().size == 1501
    place = tmp_path / "record.zip"
    place.write_bytes(out.getvalue())
    assert verdict(place).startswith("ok: 1500 events")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger of one event, a key, and its public half."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("init")
    done(*OPEN)
    key = os.open("acme.key", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(key, f"{ACME}\n".encode())
    os.close(key)
    Path("acme.key.pub").write_text(f"{ACME.verifier}\n", encoding="utf-8")
    return tmp_path


BUNDLE = ("export", "--bundle", "record.zip", "--key", "acme.key")


def test_export_writes_a_bundle_and_it_is_checked(folder: Path):
    """`export --bundle` and `check-bundle`, packed and unpacked, with a key and without."""
    said = done(*BUNDLE)
    assert said.stdout == ""
    assert "Bundled 1 event.\ntree head  " in said.stderr
    shown = done("check-bundle", "record.zip").stdout
    assert shown.startswith("ok: 1 event of accord/")
    assert "the key in the bundle: compare it" in shown
    with ZipFile("record.zip") as zipped:
        zipped.extractall("unpacked")
    for key in ("acme.key.pub", str(ACME.verifier)):
        for place in ("record.zip", "unpacked"):
            shown = done("check-bundle", place, "--key", key).stdout
            assert shown.startswith("ok: 1 event of accord/")
            assert "compare" not in shown
    assert sorted(path.name for path in folder.glob("record*")) == ["record.zip"]


def test_check_bundle_says_what_is_wrong(folder: Path):
    """What is not whole exits 3, a place that is not there 1, a bad key 2."""
    done(*BUNDLE)
    with ZipFile("record.zip") as zipped:
        zipped.extractall("unpacked")
    (folder / "unpacked" / "key").unlink()
    said = fails(3, "check-bundle", "unpacked", "--key", "acme.key.pub")
    assert said == "error: NOT WHOLE: key is missing.\n"
    said = fails(3, "check-bundle", "record.zip", "--key", str(ORION.verifier))
    assert "the manifest is signed by acme.example/treasury, and not by orion" in said
    assert "No such file" in fails(1, "check-bundle", "nothing")
    said = fails(2, "check-bundle", "record.zip", "--key", "nothing")
    assert "'nothing' is no public key" in said
    assert "there is no file of that name" in said
    Path("record.zip").write_bytes(b"PK")
    assert "cannot be read" in fails(3, "check-bundle", "record.zip")


def test_export_of_a_bundle_needs_a_key(folder: Path):
    """Options that do not belong together are a misuse; nothing is written."""
    for words in (
        ("export", "--bundle", "record.zip"),
        ("export", "record.jsonl", "--bundle", "record.zip", "--key", "acme.key"),
    ):
        assert "a bundle needs the key that signs it" in fails(2, *words)
    assert "go with --bundle" in fails(2, "export", "--key", "acme.key")
    assert "go with --bundle" in fails(2, "export", "--checkpoint", "note")
    words = ("export", "--bundle", "record.zip", "--key")
    assert "no private key" in fails(2, *words, "acme.key.pub")
    assert "No such file" in fails(1, *words, "nothing")
    assert not list(folder.glob("record*"))


def test_export_with_a_checkpoint(folder: Path):
    """`--checkpoint` ends the bundle; one that does not fit leaves no file behind."""
    done(*BUNDLE)
    note = unpacked(Path("record.zip").read_bytes())["checkpoint"]
    Path("note").write_bytes(note)
    done("agreement", "link", "acme-orion", "--relation", "complements", "--other", "x")
    done("export", "--bundle", "two.zip", "--key", "acme.key", "--checkpoint", "note")
    assert Path("two.zip").read_bytes() == Path("record.zip").read_bytes()
    done("init", "--db", address("other.db"))
    done(*OPEN, "--db", address("other.db"))
    said = fails(3, *BUNDLE, "--checkpoint", "note", "--db", address("other.db"))
    assert "of another record" in said
    assert Path("two.zip").read_bytes() == Path("record.zip").read_bytes()
    assert not list(folder.glob("*.part"))


def test_a_bundle_can_be_piped(folder: Path):
    """Into a pipe, where nothing can be written again, it is whole as well."""
    script = "from cli.main import main; main()"
    words = ("export", "--bundle", "/dev/stdout", "--key", "acme.key")
    root = Path(__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=True,
    )
    Path("piped.zip").write_bytes(found.stdout)
    assert done("check-bundle", "piped.zip").stdout.startswith("ok: 1 event")


def test_the_verifier_is_no_slow_start(folder: Path):
    """Help on bundles loads neither the database nor the verifier."""
    script = (
        "import sys; from cli.main import root\n"
        "try: root(['check-bundle', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'sqlalchemy', 'ledger.tlog.verifier', 'cryptography'} & {*sys.modules}))"
    )
    root = Path(__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "[]"
