"""Time on the command line: positions, history, replay, diff, changes, blame, recheck."""

from __future__ import annotations

import csv
import io
import json
import os
import select
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from cli_desk import LOI, OPEN, accord, answer, at_home, done, fails, process, size
from places import address

MACHINE = "milestone-machine"


@pytest.fixture(scope="module")
def home(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that holds both packaged deals and one of Ann's."""
    folder = tmp_path_factory.mktemp("home")
    with at_home(folder):
        done("demo", MACHINE)
        done("demo", "openai-nvidia")
        signed = ("--effective-on", "2025-09-22", "--actor", "ann@acme")
        done(*OPEN, *signed)
        done(*LOI, *signed)
    return folder


@pytest.fixture(autouse=True)
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads happen in that folder."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("COLUMNS", "80")


def lines(*words: str) -> list[Any]:
    """What a command writes as JSON Lines."""
    out = done(*words, "--format", "jsonl").stdout
    return [json.loads(text) for text in out.splitlines()]


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("show", MACHINE),
        ("view", "fleet", MACHINE),
        ("history", MACHINE),
        ("replay", MACHINE),
        ("diff", MACHINE, "2024-01-01", "2024-02-01"),
        ("changes", "--since", "#1"),
        ("blame", MACHINE, "commitment"),
    ],
)
def test_every_read_takes_a_position(words):
    """`--known-at '#n'` is taken by every read, and the answer says which it used."""
    option = "--as-of" if words[0] == "diff" else "--known-at"
    if words[0] == "diff":
        words = ("diff", MACHINE, "#100", "#200")
        found = answer(*words, option, "2024-02-01")
        assert found["params"]["as_of"] == "2024-02-01"
        assert found["position"] == 200
        return
    found = answer(*words, option, "#200")
    assert found["params"]["known_at"] == "#200"
    assert found["position"] == 200
    both = answer(*words, option, "#200", "--as-of", "2024-02-01")
    assert both["params"]["as_of"] == "2024-02-01"


def test_a_position_that_there_is_not_is_refused():
    """Beyond the end exits 1 and says how many there are; what is no position exits 2."""
    said = fails(1, "show", MACHINE, "--known-at", "#9,999")
    assert f"There is no position 9,999: the record has {size()} events." in said
    for option in ("--from", "--to"):
        assert "no position 9,999" in fails(1, "replay", MACHINE, option, "#9999")
    for text in ("#0", "#", "#-1", "#1.5", "#x", "#" + "9" * 5000):
        assert "is not a position" in fails(2, "show", MACHINE, "--known-at", text)
    assert "not a day in the calendar" in fails(
        2, "diff", MACHINE, "2026-02-30", "2026-03-01"
    )


def test_the_history_filters():
    """By type or noun, stream, person, party, status, days, lag: all at once or one."""
    whole = lines("history", MACHINE)
    of_money = lines("history", MACHINE, "--type", "funding")
    assert {row["type"].partition(".")[0] for row in of_money} == {"funding"}
    one = lines("history", MACHINE, "--type", "funding.drawdown_requested")
    assert {row["type"] for row in one} == {"funding.drawdown_requested"}
    silva = lines("history", MACHINE, "--by", "M.Silva")
    assert {row["actor"] for row in silva} == {"m.silva@tern-compute"}
    assert silva == lines("history", MACHINE, "--by", "m.silva@tern-compute")
    assert lines("history", MACHINE, "--by", "m.silva@elsewhere") == []
    mine = lines("history", MACHINE, "--party", "tern-compute", "--type", "funding")
    assert {row["actor"].rpartition("@")[2] for row in mine} == {"tern-compute"}
    in_march = lines("history", MACHINE, "--from", "2024-03-01", "--to", "2024-03-31")
    assert in_march
    assert all(row["effective_on"].startswith("2024-03") for row in in_march)
    stream = "certificate/milestone-machine/C-1"
    mine = lines("history", MACHINE, "--stream", stream)
    assert {row["stream"] for row in mine} == {stream}
    assert lines("history", MACHINE, "--late") == whole
    assert {row["status"] for row in lines("history", "--status", "reported")} == {
        "reported"
    }
    found = answer("history", MACHINE, "--type", "funding")
    assert found["params"]["type"] == "funding"
    assert found["totals"]["rows"] == len(of_money)
    assert found["digest"] != answer("history", MACHINE)["digest"]
    said = fails(2, "history", "--type", "fundin")
    assert "Did you mean 'funding'" in said


def test_history_follows_until_interrupted():
    """New events are written as they are recorded; Ctrl-C ends it with 130."""
    for words in (
        ("--format", "json"),
        ("--known-at", "#3"),
        ("--as-of", "2026-01-01"),
    ):
        assert "--follow takes" in fails(2, "history", "--follow", *words)
    form = ("--format", "jsonl", "--type", "agreement")
    follower = process(
        "history", "acme-orion", "--follow", *form, stdin=None, bufsize=0
    )
    assert follower.stdout is not None
    assert json.loads(line_of(follower))["type"] == "agreement.opened"
    assert json.loads(line_of(follower))["type"] == "agreement.loi_signed"
    time.sleep(0.3)
    done("agreement", "lapse", "acme-orion", "--ground", "It expired")
    row = json.loads(line_of(follower))
    assert row["type"] == "agreement.lapsed"
    assert row["position"] == size()
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 130
    assert follower.stderr is not None
    assert b"Traceback" not in follower.stderr.read()
    follower.stdout.close()
    follower.stderr.close()


def line_of(follower: Any) -> bytes:
    """The next line that it writes, within ten seconds."""
    assert select.select([follower.stdout], [], [], 10)[0]
    found: bytes = follower.stdout.readline()
    return found


def test_replay_tells_what_each_event_changed():
    """Each event with its changes, old to new; between two points of either axis."""
    steps = lines("replay", MACHINE)
    assert [step["position"] for step in steps] == sorted(s["position"] for s in steps)
    assert len(steps) == len(lines("history", MACHINE))
    settled = [s for s in steps if s["type"] == "funding.disbursement_settled"]
    first = {(c["view"], c["row"], c["figure"]): c for c in settled[0]["changes"]}
    change = first["standing", "funding/main/disbursed", "quantity"]
    assert (change["old"], change["new"], change["unit"]) == (
        "0.00",
        "40000000.00",
        "USD",
    )
    part = lines("replay", MACHINE, "--from", "#10", "--to", "#12")
    assert part == steps[9:12]
    march = lines("replay", MACHINE, "--from", "2024-03-01", "--to", "2024-03-31")
    assert {step["effective_on"][:7] for step in march} == {"2024-03"}
    assert lines("replay", MACHINE, "--to", "2020-01-01T00:00Z") == []
    table = done("replay", MACHINE, "--from", "#120", "--to", "#130").stdout
    assert table.startswith("FICTION")
    assert "0.00 USD → 40,000,000.00 USD" in table
    rows = list(csv.DictReader(io.StringIO(
        done("replay", MACHINE, "--from", "#10", "--to", "#12", "--format", "csv").stdout
    )))  # fmt: skip
    assert len(rows) == sum(len(step["changes"]) for step in part)
    assert rows[0]["position"] == "10"


def test_the_changes_of_a_replay_make_the_current_views():
    """Applied in order, every change of a replay gives each view as it stands."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for step in lines("replay", MACHINE):
        for change in step["changes"]:
            of_view = rows.setdefault(change["view"], {})
            row = of_view.setdefault(change["row"], dict(change["key"]))
            assert row.get(change["figure"]) == change["old"]
            row[change["figure"]] = change["new"]
            if all(row[name] is None for name in row if name not in change["key"]):
                del of_view[change["row"]]
    for view in answer("view")["views"]:
        name = view["view"]
        if name in {"timeline", "reversals", "refused"}:
            continue  # Of the record itself: the lines of the replay, and what has none.
        found = answer("view", name, MACHINE)
        expected = found["rows"] + [found[key] for key in ("about",) if key in found]
        told = list(rows.get(name, {}).values())
        assert sorted(map(said, told)) == sorted(map(said, expected)), name


def said(row: dict[str, Any]) -> str:
    """A row as text, without what it leaves unsaid."""
    return json.dumps({k: v for k, v in row.items() if v is not None}, sort_keys=True)


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_a_replay_that_nobody_reads_on_ends_in_silence(form: str):
    """A pipe that closes early leaves nothing open that could not be closed."""
    read, write = os.pipe()
    os.close(read)
    running = process("replay", MACHINE, "--format", form, stdout=write)
    os.close(write)
    _, stderr = running.communicate(timeout=60)
    assert b"Error" not in stderr
    assert running.returncode == 1


def test_stepping_needs_a_terminal():
    """`--step` waits for keys, so off a terminal it is refused."""
    assert "--step needs a terminal" in fails(2, "replay", MACHINE, "--step")


def test_stepping_waits_for_a_key():
    """On a terminal an event is shown, a key shows the next, and q stops."""
    import pty

    main, other = pty.openpty()
    words = ("replay", MACHINE, "--step", "--from", "#10")
    player = process(*words, stdin=other, stdout=other, stderr=other)
    seen = b""

    def press(key: bytes, text: bytes) -> None:
        # A key that comes before it waits for one is thrown away: press it again.
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen and time.monotonic() < end:
            if select.select([main], [], [], 0.5)[0]:
                seen += os.read(main, 65536)
            elif key:
                os.write(main, key)
        assert text in seen, seen.decode()

    try:
        press(b"", b"any key")
        assert b"10  2023" in seen
        assert b"11  2023" not in seen
        press(b" ", b"11  2023")
        press(b"q", b"tree head")
        assert player.wait(10) == 0
    finally:
        player.kill()
        player.wait()
        os.close(main)
        os.close(other)


def test_diff_between_days_and_between_positions():
    """Days compare what was so, positions and times what was known; not both kinds."""
    found = answer("diff", "openai-nvidia", "2025-10-01", "2026-03-15")
    assert found["params"]["from"] == "2025-10-01"
    status = [row for row in found["rows"] if row["figure"] == "status"]
    assert {"standing", "deals"} <= {row["view"] for row in status}
    deal = next(row for row in status if row["view"] == "standing")
    assert (deal["old"], deal["new"]) == ("confirmed", "disputed")
    early = answer("diff", MACHINE, "#1", "#25")
    assert early["position"] == 25
    assert "both days" in fails(2, "diff", MACHINE, "2025-10-01", "#4")
    assert "stand in the place of --as-of" in fails(
        2, "diff", MACHINE, "2025-10-01", "2025-10-02", "--as-of", "2025-10-02"
    )
    assert "not on the record as of" in fails(
        1, "diff", MACHINE, "2020-01-01", "2020-01-02"
    )
    from_nothing = answer("diff", MACHINE, "2020-01-01", "2024-01-02")
    assert all(row["old"] is None for row in from_nothing["rows"])
    table = done("diff", "openai-nvidia", "2025-10-01", "2026-03-15").stdout
    assert "confirmed → ! disputed" in table


def test_diff_tells_by_its_exit_code():
    """`--exit-code` exits 1 where anything differs, 0 where nothing does."""
    same = ("diff", "openai-nvidia", "2025-10-01", "2025-10-01", "--exit-code")
    assert "(nothing changed)" in done(*same).stdout
    result = accord("diff", MACHINE, "#10", "#200", "--exit-code")
    assert result.exit_code == 1
    assert "error" not in result.stderr


def test_changes_since_a_meeting():
    """What was recorded since, of every deal, old to new."""
    found = answer("changes", "--since", f"#{size() - 1}")
    assert {row["deal"] for row in found["rows"]} == {"acme-orion"}
    assert found["fictional"] is False
    whole = answer("changes", "--since", "2020-01-01")
    assert {row["deal"] for row in whole["rows"]} == {
        "acme-orion",
        MACHINE,
        "openai-nvidia",
        "openai-nvidia-equity-2026",
    }
    assert "error: Missing option '--since'" in fails(2, "changes")
    table = done("changes", "--since", f"#{size() - 1}").stdout
    assert "acme-orion\n" in table


def test_blame_names_the_event_behind_each_figure():
    """Each figure of a view with position, day, type and actor of what set it."""
    found = answer("blame", MACHINE, "commitment")
    kinds = {row["figure"]: row["type"] for row in found["rows"]}
    assert kinds["provider"] == "funding.facility_defined"
    assert kinds["cap"] == "funding.commitment_changed"
    table = done("blame", MACHINE, "commitment").stdout
    assert "← #25 2023-07-03 funding.facility_defined" in table
    assert "There is no view" in fails(2, "blame", MACHINE, "weather")


def test_recheck_says_what_it_judged():
    """A clean record says how much was judged again, and exits 0."""
    found = answer("recheck")
    assert found["ok"] is True
    assert found["events"] == size()
    assert done("recheck").stdout.startswith(f"ok: {size()} events judged again")


def test_a_reversal_from_request_to_history(tmp_path, monkeypatch):
    """Asked for, approved by another, gone from the views, and marked in the history."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done(*OPEN[:0], "init")
    done(*OPEN)
    done(*LOI)
    said = fails(1, "reverse", "request", "1", "--reason", "Wrong deal")
    assert "REC-02: #1 has later entries that rely on it" in said
    before = answer("show", "acme-orion")
    result = done("reverse", "request", "2", "--reason", "Signed by the wrong party")
    assert result.stdout == "acme-orion/R-1\n"
    assert "accord reverse approve acme-orion/R-1" in result.stderr
    assert answer("show", "acme-orion")["rows"] == before["rows"]
    assert "Another approver" in fails(1, "reverse", "approve", "acme-orion/R-1")
    done("reverse", "approve", "acme-orion/R-1", "--actor", "bo@orion")
    assert answer("show", "acme-orion")["about"]["state"] == "draft"
    then = answer("show", "acme-orion", "--known-at", "#3")
    assert then["rows"] == before["rows"]
    table = done("history", "acme-orion").stdout
    assert "agreement.loi_signed  acme-orion  ✗ reversed by R-1 (#5)" in table
    (row,) = answer("view", "reversals", "acme-orion")["rows"]
    assert (row["state"], row["positions"]) == ("approved", "2")
    assert done("verify", "--views").stdout.startswith("ok")
    assert answer("recheck")["ok"] is True


def test_a_reversal_may_be_rejected_and_asked_for_as_data(tmp_path, monkeypatch):
    """Rejection keeps the entry; JSON gives the events; a slip is told plainly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    done("init")
    done(*OPEN)
    found = answer("reverse", "request", "1", "--reason", "R", "--command-id", "x1")
    assert found["events"][0]["type"] == "reversal.requested"
    again = answer("reverse", "request", "1", "--reason", "R", "--command-id", "x1")
    assert again["repeated"] is True
    done("reverse", "reject", "acme-orion/R-1", "--ground", "It was right")
    assert "is rejected" in fails(
        1, "reverse", "approve", "acme-orion/R-1", "--actor", "bo@orion"
    )
    assert "Write DEAL/ID" in fails(2, "reverse", "approve", "R-1")
    assert "no position 99" in fails(1, "reverse", "request", "99", "--reason", "R")
    assert "not in the range" in fails(2, "reverse", "request", "0", "--reason", "R")
    assert "--reason" in fails(1, "reverse", "request", "1")
    monkeypatch.delenv("ACCORD_ACTOR")
    assert "Nobody acts" in fails(2, "reverse", "approve", "acme-orion/R-1")
