"""What a stranger can check, on the command line: keys, checkpoints, proofs, receipts."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cli_desk import LOI, OPEN, answer, done, fails, size
from places import address

ANN, BO = "acme.example/ann", "orion.example/bo"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a ledger of two events, and the keys of two people."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    monkeypatch.delenv("ACCORD_KEY", raising=False)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("COLUMNS", "80")
    done("init")
    done(*OPEN)
    done(*LOI)
    done("key", "new", ANN, "--out", "ann.key")
    done("key", "new", BO, "--out", "bo.key")


def other_ledger(name: str = "other.db") -> str:
    """The address of another record, of as many events."""
    url = f"sqlite:///{name}"
    done("init", "--db", url)
    done(*OPEN, "--db", url)
    done(*LOI, "--db", url)
    return url


def fork() -> str:
    """A copy of the ledger that parts from it after its first event."""
    lines = done("export").stdout.splitlines(keepends=True)
    Path("first.jsonl").write_text(lines[0])
    url = address("fork.db")
    done("import", "first.jsonl", "--db", url)
    done(*LOI, "--db", url, "--reason", "Signed otherwise")
    return url


def test_a_key_is_its_owners_alone(monkeypatch):
    """A private key is readable by its owner, never overwritten, and shown as public."""
    assert Path("ann.key").stat().st_mode & 0o777 == 0o600
    public = Path("ann.key.pub").read_text()
    assert public.startswith(f"{ANN}+")
    assert done("key", "show", "ann.key").stdout == public
    assert "never overwritten" in fails(1, "key", "new", ANN, "--out", "ann.key")
    assert "cannot name a key" in fails(2, "key", "new", "a b")
    Path("ann.key").chmod(0o640)
    said = fails(1, "checkpoint", "--key", "ann.key")
    assert said == (
        "error: ann.key is a private key, and others may read it (mode 0640). "
        "Make it yours alone: chmod 600 ann.key\n"
    )
    Path("ann.key").chmod(0o600)
    monkeypatch.setenv("ACCORD_KEY", "ann.key")
    assert done("checkpoint").stdout.splitlines()[1] == "2"
    assert "no private key" in fails(1, "checkpoint", "--key", "ann.key.pub")
    assert "is a private key; give the public one" in fails(
        2, "check-proof", "x", "--key", "ann.key"
    )
    assert "No such file" in fails(1, "checkpoint", "--key", "none.key")
    assert "is not a key" in fails(2, "check-proof", "x", "--key", "none.key.pub")
    Path("bad.pub").write_text(public[:-4])
    assert "bad.pub: " in fails(2, "check-proof", "x", "--key", "bad.pub")


def test_a_checkpoint_is_signed_by_both_sides():
    """One side signs the head, the other adds its signature where its copy agrees."""
    assert "Make a key" in fails(2, "checkpoint")
    done("checkpoint", "--key", "ann.key", "--out", "now.checkpoint")
    Path("copy.jsonl").write_text(done("export").stdout)
    done("import", "copy.jsonl", "--db", address("copy.db"))
    done("checkpoint", "cosign", "now.checkpoint", "--key", "bo.key",
         "--db", address("copy.db"))  # fmt: skip
    lines = Path("now.checkpoint").read_text().splitlines()
    assert [line.split()[1] for line in lines[4:]] == [ANN, BO]
    again = done("checkpoint", "cosign", "now.checkpoint", "--key", "bo.key",
                 "--out", "-")  # fmt: skip
    assert again.stdout == Path("now.checkpoint").read_text()


def test_a_checkpoint_of_a_fork_or_of_another_record_is_not_signed():
    """What this ledger does not agree with, nobody signs on its word."""
    done("checkpoint", "--key", "ann.key", "--out", "now.checkpoint")
    cosign = ("checkpoint", "cosign", "now.checkpoint", "--key", "bo.key", "--db")
    assert "is of another record" in fails(3, *cosign, other_ledger())
    assert "This ledger is a fork" in fails(3, *cosign, fork())
    Path("short.jsonl").write_text(done("export").stdout.splitlines()[0] + "\n")
    done("import", "short.jsonl", "--db", address("short.db"))
    assert "this ledger has only 1" in fails(3, *cosign, address("short.db"))
    assert not Path("bo.key.signed").exists() or not Path("bo.key.signed").read_text()


@pytest.mark.sqlite
def test_a_key_never_signs_two_records_that_part():
    """After signing one history, a key refuses a rewritten or a shorter one."""
    done("checkpoint", "--key", "ann.key")
    assert Path("ann.key.signed").stat().st_mode & 0o777 == 0o600
    said = fails(3, "checkpoint", "--key", "ann.key", "--db", fork())
    assert f"{ANN} last signed this record at 2 events" in said
    assert "does not continue that" in said
    shutil.copy("accord.db", "before.db")
    done("agreement", "lapse", "acme-orion", "--ground", "It expired")
    done("checkpoint", "--key", "ann.key")
    said = fails(3, "checkpoint", "--key", "ann.key", "--db", address("before.db"))
    assert "last signed this record at 3 events" in said
    # An earlier size of the same history may be proved and signed, too.
    done("prove", "1", "--to", "2", "--key", "ann.key")
    memory = json.loads(Path("ann.key.signed").read_text())
    assert [text.splitlines()[1] for text in memory.values()] == ["3"]
    # Another record is another matter.
    done("checkpoint", "--key", "ann.key", "--db", other_ledger("second.db"))
    assert len(json.loads(Path("ann.key.signed").read_text())) == 2
    Path("ann.key.signed").write_text("{")
    assert "is damaged" in fails(1, "checkpoint", "--key", "ann.key")


def test_a_proof_needs_no_ledger(tmp_path, monkeypatch):
    """A proof and a public key are all that a stranger needs to check an event."""
    done("prove", "2", "--key", "ann.key", "--out", "2.tlog-proof")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("2.tlog-proof", "ann.key.pub", "bo.key.pub"):
        shutil.copy(name, elsewhere)
    monkeypatch.chdir(elsewhere)
    key = ("--key", "ann.key.pub")
    said = done("check-proof", "2.tlog-proof", *key).stdout
    assert said.startswith("ok: event 2, agreement.loi_signed on ")
    assert f"signed by {ANN}" in said
    found = answer("check-proof", "2.tlog-proof", *key)
    assert found["event"]["data"]["type"] == "agreement.loi_signed"
    said = fails(3, "check-proof", "2.tlog-proof", *key, "--key", "bo.key.pub")
    assert f"{BO}" in said
    assert "has not signed this" in said
    whole = Path("2.tlog-proof").read_bytes()
    assert done("check-proof", "-", *key, stdin=whole).stdout.startswith("ok")
    assert "cut off" in fails(3, "check-proof", "-", *key, stdin=whole[:300])
    assert "missing" in fails(3, "check-proof", "-", *key, stdin=whole[:30])
    wrong = whole.replace(b"index 1", b"index 0")
    assert "error: " in fails(3, "check-proof", "-", *key, stdin=wrong)


def test_a_proof_of_another_record_is_told(monkeypatch):
    """Held against a checkpoint of ours, a proof from another record is refused."""
    done("checkpoint", "--key", "ann.key", "--out", "ours.checkpoint")
    url = other_ledger()
    done("prove", "1", "--key", "bo.key", "--out", "theirs", "--db", url)
    keys = ("--key", "ann.key.pub", "--key", "bo.key.pub")
    done("check-proof", "theirs", "--key", "bo.key.pub")
    said = fails(3, "check-proof", "theirs", "--key", "bo.key.pub",
                 "--checkpoint", "ours.checkpoint")  # fmt: skip
    assert "signed by none of the keys given" in said
    done("checkpoint", "--key", "bo.key", "--out", "bos.checkpoint")
    said = fails(3, "check-proof", "theirs", "--key", "bo.key.pub",
                 "--checkpoint", "bos.checkpoint")  # fmt: skip
    assert "of another record" in said
    assert "has not signed" in fails(3, "check-proof", "theirs", *keys)
    said = fails(3, "prove", "1", "--checkpoint", "ours.checkpoint", "--db", url)
    assert "of another record" in said


def test_a_record_is_proved_to_continue_an_earlier_checkpoint():
    """With the checkpoint kept then, a stranger checks that the record only grew."""
    done("checkpoint", "--key", "ann.key", "--out", "then.checkpoint")
    done("agreement", "lapse", "acme-orion", "--ground", "It expired")
    done("prove", "--from", "2", "--key", "ann.key", "--out", "grown")
    key = ("--key", "ann.key.pub")
    then = ("--checkpoint", "then.checkpoint")
    said = done("check-proof", "grown", *key, *then).stdout
    assert "of 3 events" in said
    assert "continues that of 2" in said
    assert answer("check-proof", "grown", *key, *then)["continues"] == 2
    assert "give that with --checkpoint" in fails(2, "check-proof", "grown", *key)
    done("prove", "1", "--key", "ann.key", "--out", "one")
    assert done("check-proof", "one", *key, *then).stdout.startswith("ok: event 1")
    done("prove", "--from", "1", "--to", "2", "--key", "ann.key", "--out", "early")
    said = fails(3, "check-proof", "early", *key, *then)
    assert "begins at size 1, and the earlier checkpoint has 2" in said


def test_what_cannot_be_proved_is_told():
    """Beyond the end, position 0, both or neither; nothing on the record yet."""
    key = ("--key", "ann.key")
    assert "no position 9: the record has 2 events" in fails(1, "prove", "9", *key)
    assert "no position 9: the record has 2 events" in fails(
        1, "prove", "1", "--to", "9", *key
    )
    assert "does not begin with 9" in fails(1, "prove", "--from", "9", *key)
    assert "not a position" in fails(2, "prove", "0", *key)
    assert "not a position" in fails(2, "prove", "x", *key)
    assert "Give a POSITION" in fails(2, "prove", *key)
    assert "Give a POSITION" in fails(2, "prove", "1", "--from", "1", *key)
    assert "Give --key" in fails(2, "prove", "1")
    done("checkpoint", *key, "--out", "now.checkpoint")
    assert done("prove", "#1", "--checkpoint", "now.checkpoint", "--to", "2").stdout
    said = fails(1, "prove", "1", "--checkpoint", "now.checkpoint", "--to", "1")
    assert "is of 2 events, and --to says 1" in said
    done("init", "--db", address("empty.db"))
    assert "is empty" in fails(1, "checkpoint", *key, "--db", address("empty.db"))


def receipt(*more: str) -> None:
    """Write a signed receipt of the standing."""
    done("view", "standing", "acme-orion", "--receipt", "r", "--key", "ann.key", *more)


CHECK = ("check-receipt", "r", "--key", "ann.key.pub")


def test_a_receipt_says_the_same_a_year_later():
    """What a view said is computed again from the record, whatever came since."""
    receipt()
    assert "Wrote" not in done(*CHECK).stdout
    done("agreement", "lapse", "acme-orion", "--ground", "It expired")
    said = done(*CHECK).stdout
    assert said.startswith("same: standing v3 of acme-orion at position 2, 15 rows")
    assert answer(*CHECK)["ok"] is True
    done("view", "deals", "--receipt", "r", "--key", "ann.key")
    assert "same: deals v2 at position 3" in done(*CHECK).stdout


def test_a_receipt_that_does_not_agree_says_what_differs():
    """Another record, a fork, an altered note, another key: exit 3, and why."""
    receipt()
    url = other_ledger()
    assert "of another record" in fails(3, *CHECK, "--db", url)
    assert "fork" in fails(3, *CHECK, "--db", fork())
    said = fails(3, "check-receipt", "r", "--key", "bo.key.pub")
    assert "has not signed" in said
    text = Path("r").read_text()
    Path("r").write_text(text.replace("rows 15", "rows 14"))
    assert "is not over this text" in fails(3, *CHECK)
    done("checkpoint", "--key", "ann.key", "--out", "r")
    assert "no receipt of a view" in fails(3, *CHECK)
    assert "give --key" in fails(2, "view", "standing", "acme-orion", "--receipt", "x")


def resigned(**changed: object) -> None:
    """A receipt with some of what it says changed, and signed again."""
    from msgspec.structs import replace

    from cli.input.keys import read_signer
    from ledger.tlog.note import Note
    from projections.receipts import Receipt

    told = Receipt.of(Note.parse(Path("r").read_bytes()))
    note = read_signer("ann.key").sign(replace(told, **changed).note)
    Path("r").write_bytes(bytes(note))


def test_a_receipt_of_another_version_of_a_view_says_so():
    """An older, newer or unknown view cannot be drawn again: told in a sentence."""
    receipt()
    resigned(version=0)
    said = fails(1, *CHECK)
    assert "is of standing v0, an older version" in said
    resigned(version=9)
    assert "v9, a newer version" in fails(1, *CHECK)
    resigned(view="weather", version=1)
    assert "a view that is no more" in fails(1, *CHECK)


def test_a_receipt_with_other_figures_says_what_differs():
    """A digest or a count that the record does not give is named with both values."""
    receipt()
    resigned(digest="0" * 64, rows=3)
    said = fails(3, *CHECK)
    assert f"rows 3, now 15; digest {'0' * 64}, now " in said
    resigned(position=9)
    assert "has only 2" in fails(3, *CHECK)


@pytest.mark.parametrize(
    ("old", "new"),
    [("rows 15", "rows x"), ("digest ", "digest z"), ("day 2", "day x"), ("as_of -", "as_of")],
)  # fmt: skip
def test_what_is_no_receipt_says_so(old, new):
    """A receipt whose lines cannot be read is none, even where it is signed."""
    from cli.input.keys import read_signer
    from ledger.tlog.note import Note

    receipt()
    text = Note.parse(Path("r").read_bytes()).text
    assert old in text
    note = read_signer("ann.key").sign(Note(text.replace(old, new), ()))
    Path("r").write_bytes(bytes(note))
    assert "no receipt of a view" in fails(3, *CHECK)


@pytest.mark.sqlite
def test_a_checkpoint_outlives_a_rewritten_ledger():
    """Rewritten from its first event with a new tree, a ledger fails its checkpoint."""
    done("checkpoint", "--key", "ann.key", "--out", "now.checkpoint")
    os.rename("accord.db", "honest.db")  # noqa: PTH104
    done("init")
    done(*OPEN)
    done(*LOI)
    assert done("verify").stdout.startswith("ok")
    said = fails(3, "prove", "1", "--checkpoint", "now.checkpoint")
    assert "of another record" in said
    assert size() == 2
