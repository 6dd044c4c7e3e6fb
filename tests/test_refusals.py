"""Refused commands beside the record: what is kept of them, and how they are asked for."""

from __future__ import annotations

import io
import json
import sqlite3
from datetime import UTC, datetime

import pytest
from cli_desk import OPEN, answer, done, fails
from deals import in_effect, signed
from places import address
from test_application import TRIES, Meddler
from vandal import raw

from ledger.audit.integrity import verify
from ledger.custody.transfer import export, import_
from ledger.errors import BatchRefused, InvalidValue, NotFound, Refused
from ledger.record.store import create_store
from projections.projector import Projections, view_tables

SAID = {"speaker": "x", "text": "x"}
TWICE = {"command": "agreement bring-into-effect", "on": "2025-01-20"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of its own, in which Ann of Acme opened a deal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("init")
    done(*OPEN)
    return tmp_path


def refused(desk, deal=None, **asked):
    """What the view says was refused."""
    return Projections(desk.store).answer("refused", deal, **asked)


def test_only_rules_refuse(desk):
    """What is not found or cannot be read, and what is only tried, is not kept."""
    in_effect(desk)
    with pytest.raises(NotFound):
        desk.do("agreement bring-into-effect", deal="nowhere")
    with pytest.raises(InvalidValue):
        desk.do("agreement bring-into-effect", surprise=1)
    with pytest.raises(BatchRefused):
        desk.ledger.dry_run([(1, desk.request(**TWICE))])
    lines = [{"command": "sku define"}, {**TWICE}, {**TWICE, "deal": "nowhere"}]
    requests = [(n, desk.request(**line)) for n, line in enumerate(lines, start=1)]
    with pytest.raises(BatchRefused) as error:
        desk.ledger.execute_batch(requests)
    assert len(error.value.problems) == 3
    (row,) = refused(desk, desk.deal).rows
    assert (row.command, row.times) == ("agreement bring-into-effect", 1)


def test_a_refusal_for_want_of_peace_is_kept(desk):
    """REC-06: who was refused because others kept writing, alone or in a batch."""
    signed(desk)
    ledger = Meddler(desk, 2 * TRIES)
    effect = desk.request("agreement bring-into-effect", on="2025-01-15")
    say = desk.request("agreement record-statement", statement="S", **SAID)
    with pytest.raises(Refused, match="REC-06"):
        ledger.execute(effect)
    with pytest.raises(Refused, match="REC-06"):
        ledger.execute_batch([(1, effect), (2, say)])
    ledger.close()
    rows = refused(desk, desk.deal).rows
    assert {row.code for row in rows} == {"REC-06"}
    assert sorted((row.command, row.times) for row in rows) == [
        ("agreement bring-into-effect", 1),
        ("agreement bring-into-effect", 1),
        ("agreement record-statement", 1),
    ]


def test_a_damaged_head_hides_no_refusal(desk):
    """A refusal that cannot be kept is still the answer, and says that it was not kept."""
    in_effect(desk)
    with raw(desk.path) as connection:
        connection.execute("UPDATE tree_head SET frontier = x'00'")
    with pytest.raises(Refused, match="AGR-14") as error:
        desk.do(**TWICE)
    assert "could not be noted: The tree head is damaged" in error.value.__notes__[0]


def test_they_are_no_part_of_the_record(desk, tmp_path):
    """Verify, export and import take no notice of refusals; a copy has none."""
    in_effect(desk)
    before, plain = verify(desk.store), io.BytesIO()
    export(desk.store, plain)
    desk.refuses("AGR-14", **TWICE)
    assert verify(desk.store) == before
    after = io.BytesIO()
    export(desk.store, after)
    assert after.getvalue() == plain.getvalue()
    copy, _ = create_store(
        address(tmp_path / "copy.db"), desk.clock, beside=view_tables()
    )
    import_(copy, io.BytesIO(after.getvalue()))
    assert copy.head() == desk.store.head()
    assert Projections(copy).answer("refused", None).rows == []
    copy.close()


def test_the_footer_asks_the_same_again(desk):
    """Asked again with the time in the footer, the answer is the same, whatever came since."""
    in_effect(desk)
    desk.clock.advance(hours=1)
    desk.refuses("AGR-14", **TWICE)
    first = refused(desk)
    known_at = datetime.fromisoformat(first.params["known_at"])
    assert known_at == desk.clock()
    desk.clock.advance(hours=1)
    desk.refuses("AGR-14", **TWICE)
    again = refused(desk, known_at=known_at)
    assert (again.rows, again.digest) == (first.rows, first.digest)
    assert again.params == first.params
    earlier = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    assert refused(desk, known_at=earlier).rows == []
    assert refused(desk, known_at=1).params["known_at"] == "#1"


def test_what_was_refused_of_fiction_is_fiction(desk):
    """Each refusal is labelled by its deal, asked of one deal or of all."""
    opening = {"title": "T", "capital": ["a"], "capacity": ["b"]}
    desk.do("agreement open", deal="made-up", **opening, fictional=True)
    assert refused(desk, "made-up").fictional
    desk.refuses("AGR-14", "agreement open", deal="made-up", **opening)
    assert refused(desk).fictional
    assert refused(desk, "made-up").fictional
    desk.do("agreement open", deal="real", **opening)
    desk.refuses("AGR-14", "agreement open", deal="real", **opening)
    assert not refused(desk, "real").fictional
    both = refused(desk)
    assert not both.fictional
    assert [(row["deal"], row["fictional"]) for row in both.rows] == [
        ("made-up", True),
        ("real", False),
    ]


def test_a_refusal_is_shown_without_its_tricks(folder):
    """What a user wrote into a command reaches the screen as harmless text."""
    actor = "a\x1b[31mnn@acme"
    fails(1, "agreement", "bring-into-effect", "acme-orion", "--actor", actor)
    assert answer("view", "refused", "acme-orion")["rows"][0]["actor"] == actor
    shown = done("view", "refused", "acme-orion").stdout
    assert "\x1b" not in shown
    assert "bring-into-effect" in shown


def test_what_is_not_folded_has_no_origins(folder):
    """A view beside the record can be asked; it is neither rebuilt nor traced."""
    fails(1, "agreement", "bring-into-effect", "acme-orion")
    assert len(answer("view", "refused")["rows"]) == 1
    assert "There is no view 'refused'" in fails(2, "blame", "acme-orion", "refused")
    assert "There is no view 'refused'" in fails(2, "views", "rebuild", "refused")


@pytest.mark.sqlite
def test_a_refusal_that_is_not_kept_says_so(folder, monkeypatch):
    """While another program holds the ledger, the refusal is told with a note."""
    raw_connection = sqlite3.connect("accord.db", isolation_level=None)
    raw_connection.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("ledger.database.sqlite.BUSY_S", 0.1)
    said = fails(1, "agreement", "bring-into-effect", "acme-orion")
    raw_connection.close()
    assert "error: AGR-14" in said
    assert "note: This refusal could not be noted" in said
    assert json.loads(done("view", "refused", "--format", "json").stdout)["rows"] == []
