"""Manifests: one step of many systems from a file, whatever the file is like."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cli_desk import answer, done, fails, process
from conftest import Desk
from fleet import SKU, opened

import cli.commands.importing
from cli.input.manifests import STEPS, read_manifest
from ledger.audit.integrity import verify
from ledger.errors import InvalidValue
from ledger.record.store import open_store
from projections.engine.tables import table_of
from projections.projector import STORED, Projections

KEEPING = [view for view in STORED if view.keeps_rows]
DEAL = "acme-orion"
SHIP = ("--step", "ship", "--effective-on", "2025-04-01")


def ordered(desk: Desk, many: int) -> None:
    """A deal in which so many systems are allocated, and can be shipped."""
    opened(desk)
    desk.do("sku define", on="2025-02-01", **SKU)
    line = {"line": 1, "sku": "vr-nvl72", "sku_version": 1, "quantity": many}
    parties = {"buyer": "orion", "seller": "nvidia"}
    desk.do("order place", order="PO-1", lines=[line], **parties, on="2025-03-01")
    for start in range(0, many, 2000):
        some = [serial(n) for n in range(start, min(many, start + 2000))]
        keys = {"order": "PO-1", "line": 1, "systems": some}
        desk.do("order allocate", **keys, on="2025-03-01")


def serial(number: int) -> str:
    return f"nvidia/VR-{number:05d}"


@pytest.fixture
def home(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ann of Acme's folder, with a ledger in which ten systems can be shipped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_DB", desk.url)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    ordered(desk, 10)
    return tmp_path


def manifest(text: str | bytes, name: str = "m.csv") -> str:
    data = text.encode() if isinstance(text, str) else text
    Path(name).write_bytes(data)
    return name


def size() -> int:
    store = open_store(os.environ["ACCORD_DB"])
    try:
        return store.head().size
    finally:
        store.close()


def states(name: str = DEAL) -> dict[str, int]:
    rows = answer("view", "fleet", name)["rows"]
    return {row["state"]: row["systems"] for row in rows}


def table(*rows: str) -> str:
    return "\n".join(rows) + "\n"


@pytest.mark.usefixtures("home")
def test_every_step_from_a_file():
    """Columns by name, two that name the system, a day of each row's own, JSON lines."""
    shipped = table("Manufacturer,Serial,shipment,on", "nvidia,VR-00001,S1,2025-04-02")
    assert (
        "1 row recorded"
        in done("system", "import", manifest(shipped), DEAL, *SHIP).stdout
    )
    day = ("--effective-on", "2025-04-05")
    received = "\ufeff" + "system;site\r\nnvidia/VR-00001;abilene\r\n"
    done("system", "import", manifest(received), DEAL, "--step", "receive", *day)
    halls = table("rack,Place no,notes", "nvidia/VR-00001,P01,left door")
    mapped = ("--map", "rack=system", "--map", "Place no=place", "--map", "notes=")
    done("system", "import", manifest(halls), DEAL, "--step", "install", *mapped,
         "--set", "hall=h1", *day, "--actor", "iva@orion")  # fmt: skip
    power = table("system\tfeed\tmeasured", "nvidia/VR-00001\tF1\t188 kW")
    done("system", "import", manifest(power), DEAL, "--step", "energise", *day)
    tests = table(
        "system,suite,suite version,soak-hours,passed,actor",
        "nvidia/VR-00001,burn-in,2,72,Yes,tom@orion",
    )
    done("system", "import", manifest(tests), DEAL, "--step", "test", *day)
    accepted = json.dumps({"system": "nvidia/VR-00001", "reason": "All fine"}) + "\n"
    done("system", "import", manifest(accepted, "a.jsonl"), DEAL, "--step", "accept",
         *day, "--actor", "amy@orion")  # fmt: skip
    assert states() == {"accepted": 1, "allocated": 9}
    last = answer("history", DEAL, "--limit", "1")["rows"][0]
    assert (last["actor"], last["reason"]) == ("amy@orion", "All fine")
    first = answer("history", DEAL, "--type", "system.shipped")["rows"][0]
    assert first["effective_on"] == "2025-04-02"
    assert STEPS == cli.commands.importing.STEPS


@pytest.mark.usefixtures("home")
def test_a_dry_run_reports_every_bad_row_with_its_line_and_rule():
    """Lines are counted as an editor does, also behind a cell with a line break."""
    bad = manifest(
        "system,shipment,reason\n"
        'nvidia/VR-00000,S1,"in two\nlines"\r\n'
        "\n"
        "nvidia/VR-99999,S1,\n"
        "nvidia/VR-00001,S1\r"
        "not a system,S1,\n"
        "nvidia/VR-00000,S1,again\n"
        "nvidia/VR-00002,,\n"
    )
    before = size()
    said = fails(1, "system", "import", bad, DEAL, *SHIP, "--dry-run")
    assert "Nothing was written: 5 problems." in said
    assert "line 5: System 'nvidia/VR-99999' is not on the record" in said
    assert "line 6: It has 2 cells; the header has 3." in said
    assert "line 7: 'system': 'not a system' is not a system" in said
    assert "line 8: nvidia/VR-00000 stands in line 2 already." in said
    assert "line 9: It says no 'shipment'" in said
    assert fails(1, "system", "import", bad, DEAL, *SHIP).count("line ") == 6
    assert size() == before
    good = manifest(table("system,shipment", "nvidia/VR-00000,S1"))
    shown = done("system", "import", good, DEAL, *SHIP, "--dry-run").stdout
    assert shown == "1 row can be recorded as 'ship'; nothing was written.\n"
    done("system", "import", good, DEAL, *SHIP)
    later = manifest(
        table("system,shipment", "nvidia/VR-00001,S1", "nvidia/VR-00000,S2"),
        "later.csv",
    )
    assert "line 3: UNT-02: " in fails(1, "system", "import", later, DEAL, *SHIP)
    counts = answer("system", "import", good, DEAL, *SHIP)
    assert counts == {"rows": 1, "recorded": 0, "already": 1, "rejected": 0}


@pytest.mark.usefixtures("home")
def test_what_is_rejected_can_be_corrected_and_imported_again():
    """The good rows are recorded; the others stand in a file, each with its problem."""
    first = manifest(
        table(
            "system,shipment",
            "nvidia/VR-1,S1",
            "nvidia/VR-00001,S1",
            "nvidia/VR-00002,S 2",
        )
    )
    said = fails_only(1, "system", "import", first, DEAL, *SHIP, "--continue")
    assert "The rejected rows are in m.rejects.csv." in said
    rejects = Path("m.rejects.csv").read_text()
    assert rejects.splitlines()[0] == "system,shipment,problem"
    assert "nvidia/VR-1,S1,System 'nvidia/VR-1' is not on the record." in rejects
    assert states() == {"shipped": 1, "allocated": 9}
    assert "is there already" in fails(
        2, "system", "import", first, DEAL, *SHIP, "--continue"
    )
    mended = rejects.replace("VR-1,", "VR-00003,").replace("S 2", "S2")
    Path("m.rejects.csv").write_text(mended)
    done("system", "import", "m.rejects.csv", DEAL, *SHIP)
    assert states() == {"shipped": 3, "allocated": 7}
    lines = '{"system": "nvidia/VR-7", "shipment": "S1"}\n{"system": 7}\nnonsense\n[]\n'
    fails_only(
        1, "system", "import", manifest(lines, "j.jsonl"), DEAL, *SHIP, "--continue"
    )
    *kept, third, fourth = Path("j.rejects.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in kept]
    assert [row["system"] for row in rows] == ["nvidia/VR-7", 7]
    assert all(row["problem"] for row in rows)
    assert (third, fourth) == ("nonsense", "[]")


@pytest.mark.usefixtures("home")
def test_lines_that_are_no_rows_are_among_the_rejected():
    """They stay wrong until somebody mends them, however often they are imported."""
    first = manifest(
        table("system,shipment,reason", "nvidia/VR-00001,S1", "nvidia/VR-00002,S1,a,b")
    )
    fails_only(1, "system", "import", first, DEAL, *SHIP, "--continue")
    rejects = Path("m.rejects.csv").read_text()
    assert rejects == table(
        "system,shipment,reason,problem",
        "nvidia/VR-00001,S1,It has 2 cells; the header has 3.",
        '"nvidia/VR-00002",S1,a,b,It has 4 cells; the header has 3.'.replace('"', ""),
    )
    fails_only(1, "system", "import", "m.rejects.csv", DEAL, *SHIP, "--continue")
    again = Path("m.rejects.rejects.csv").read_text()
    assert again == rejects.replace("2 cells; the header has 3", "3 cells; the header has 4").replace(
        "4 cells; the header has 3", "5 cells; the header has 4"
    )  # fmt: skip
    mended = again.replace("VR-00001,S1,", "VR-00001,S1,,").replace("a,b,", "a,")
    Path("mended.csv").write_text(mended)
    done("system", "import", "mended.csv", DEAL, *SHIP)
    assert states() == {"shipped": 2, "allocated": 8}


@pytest.mark.usefixtures("home")
def test_rejected_lines_keep_every_cell_whatever_the_file_is_like():
    """JSON lines under any name, rows of unlike keys, a problem column anywhere."""
    lines = (
        '{"system": "nvidia/VR-7", "shipment": "S1", "carrier": "x"}\n'
        '{"system": "nvidia/VR-8"}\nnonsense\n'
        '{"system": "nvidia/VR-9", "shipment": "S1", "carrier": "a\u2028b"}\r\n'
    )
    words = (DEAL, *SHIP, "--continue")
    fails_only(1, "system", "import", manifest(lines, "racks.json"), *words)
    kept = Path("racks.rejects.json").read_text(encoding="utf-8").split("\n")
    assert json.loads(kept[0])["carrier"] == "x"
    assert json.loads(kept[1])["system"] == "nvidia/VR-8"
    assert kept[2] == "nonsense"
    assert json.loads(kept[3])["carrier"] == "a\u2028b"
    assert kept[4] == ""
    rows = table("system,problem,carrier,shipment", "nvidia/VR-00001,,c", "n,a,b,c,d")
    fails_only(1, "system", "import", manifest(rows, "p.csv"), *words)
    assert Path("p.rejects.csv").read_text() == table(
        "system,carrier,shipment,problem",
        "nvidia/VR-00001,,c,It has 3 cells; the header has 4.",
        "n,a,b,c,d,It has 5 cells; the header has 4.",
    )
    rows = table("system,shipment,problem", "nvidia/VR-00001,S1")
    fails_only(1, "system", "import", manifest(rows, "q.csv"), *words)
    assert "nvidia/VR-00001,S1,It has 2" in Path("q.rejects.csv").read_text()
    done("system", "import", "q.rejects.csv", DEAL, *SHIP)


@pytest.mark.usefixtures("home")
def test_a_dry_run_sees_what_an_earlier_chunk_would_record(
    monkeypatch: pytest.MonkeyPatch,
):
    """Two racks for one place, far apart in the file."""
    monkeypatch.setattr(cli.commands.importing, "CHUNK", 4)
    day = ("--effective-on", "2025-04-05")
    names = [serial(n) for n in range(10)]
    done("system", "import", manifest(table("system,shipment", *(f"{n},S1" for n in names))), DEAL, *SHIP)  # fmt: skip
    done("system", "import", manifest(table("system,site", *(f"{n},abilene" for n in names))), DEAL, "--step", "receive", *day)  # fmt: skip
    places = [f"{name},h1,P{number % 9}" for number, name in enumerate(names)]
    halls = manifest(table("system,hall,place", *places))
    before = size()
    for more in (("--dry-run",), ()):
        said = fails(
            1, "system", "import", halls, DEAL, "--step", "install", *day, *more
        )
        assert "Nothing was written: 1 problem." in said
        assert "line 11: UNT-12: " in said
    assert size() == before


def fails_only(code: int, *words: str) -> str:
    """It ends with that exit code, having done a part; what stderr says."""
    from cli_desk import accord

    result = accord(*words)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.stderr
    return result.stderr


BROKEN: dict[str, tuple[str | bytes, tuple[str, ...], str]] = {
    "utf-16": ("system,shipment\n".encode("utf-16"), (), "looks like UTF-16"),
    "latin-1": (b"system,shipment\nnvidia/VR-1,S\xe9\n", (), "not UTF-8 text: .* in line 2"),
    "empty": (b"", (), "holds no rows"),
    "a header alone": ("system,shipment\n", (), "holds no rows"),
    "a column twice": ("system,system\nx,y\n", (), "has the column 'system' twice"),
    "a column missing": ("system\nnvidia/VR-1\n", (), "No column says 'shipment', the shipment"),
    "an unknown column": ("system,shipmnt\nx,y\n", (), "--map 'shipmnt=shipment'"),
    "a column that is not there": (
        "system,shipment\nx,y\n", ("--map", "rack=system"), "no column 'rack'",
    ),
    "mapped to nothing known": (
        "system,shipment\nx,y\n", ("--map", "system=rack"), "--map: there is no 'rack'",
    ),
    "two columns for one": (
        "system,a,shipment\nx,y,z\n", ("--map", "a=system"), "Two columns say 'system'",
    ),
    "nothing known set": ("system\nx\n", ("--set", "sites=a"), "--set: there is no 'sites'"),
    "a pair that is none": ("system\nx\n", ("--set", "site"), "--set takes NAME=VALUE"),
    "a quote left open": ('system,shipment\n"nvidia/VR-1,S1\n', (), "cannot be read from line 2"),
    "both at once": ("system\nx\n", ("--dry-run", "--continue"), "leave out --continue"),
}  # fmt: skip


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_told_plainly(name: str):
    """Before the ledger is opened, with what to do."""
    import re

    data, more, expected = BROKEN[name]
    said = fails(2, "system", "import", manifest(data), DEAL, *SHIP, *more)
    assert re.search(expected, said), said


@pytest.mark.usefixtures("home")
def test_cells_that_do_not_fit_are_told_with_their_line():
    """A number with a comma, a unit left out, neither true nor false, no whole number."""
    rows = table(
        "system,feed,measured",
        'nvidia/VR-00000,F1,"188,5 kW"',
        "nvidia/VR-00001,F1,188",
    )
    said = fails(1, "system", "import", manifest(rows), DEAL, "--step", "energise")
    assert "line 2: 'measured': '188,5 kW' is not power" in said
    assert "Write it without separators" in said
    assert "line 3: 'measured': '188' is not power" in said
    rows = table(
        "system,suite,suite_version,soak_hours,passed",
        "nvidia/VR-00000,b,1,72.5,yes",
        "nvidia/VR-00001,b,1,72,maybe",
    )
    said = fails(1, "system", "import", manifest(rows), DEAL, "--step", "test")
    assert "line 2: 'soak_hours': '72.5' is not a whole number." in said
    assert "line 3: 'passed': 'maybe' is neither true nor false." in said


@pytest.mark.pure
def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Half a manifest is no manifest."""
    path = tmp_path / "m.csv"
    path.write_text("system,shipment\nnvidia/VR-1,S1\n")
    asked = os.fstat

    def grows(file: int) -> Any:
        found = asked(file)
        with path.open("a") as more:
            more.write("nvidia/VR-2,S1\n")
        return found

    monkeypatch.setattr(os, "fstat", grows)
    with pytest.raises(InvalidValue, match="changed while it was read"):
        read_manifest(str(path))


@pytest.mark.usefixtures("home")
def test_a_deal_that_is_not_there_is_told_once():
    """Not for each of its rows; nor is there a file of rejected ones."""
    rows = table("system,shipment", "nvidia/VR-00001,S1", "nvidia/VR-00002,S1")
    said = fails(
        1, "system", "import", manifest(rows), "acme-orin", *SHIP, "--continue"
    )
    assert said.count("not on the record") == 1
    assert not Path("m.rejects.csv").exists()


@pytest.mark.usefixtures("home")
def test_two_imports_of_one_file_at_once_record_it_once(
    monkeypatch: pytest.MonkeyPatch,
):
    """Whoever comes second finds the rows on the record."""
    rows = [f"{serial(n)},S1" for n in range(10)]
    name = manifest(table("system,shipment", *rows))
    before = size()
    words = ("system", "import", name, DEAL, *SHIP, "--format", "json")
    both = [process(*words, stdout=subprocess.PIPE) for _ in range(2)]
    counts = [json.loads(one.communicate(timeout=60)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted(one["recorded"] for one in counts) == [0, 10]
    assert size() == before + 10


@pytest.mark.usefixtures("home")
def test_ctrl_c_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch):
    """What a chunk did not finish is not written; the same command goes on."""
    monkeypatch.setattr(cli.commands.importing, "CHUNK", 4)
    name = manifest(table("system,shipment", *(f"{serial(n)},S1" for n in range(10))))
    record = cli.commands.importing._record_chunk
    calls = []

    def interrupted(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return record(*args)

    monkeypatch.setattr(cli.commands.importing, "_record_chunk", interrupted)
    said = fails(130, "system", "import", name, DEAL, *SHIP)
    assert "8 rows are recorded, up to line 9. The same command goes on" in said
    counts = answer("system", "import", name, DEAL, *SHIP)
    assert (counts["already"], counts["recorded"]) == (8, 2)


SYSTEMS = {"sqlite": 20_000, "postgresql": 3_000}
"""Systems that are taken through every step while the import is killed."""
KILLS = 10


def columns(step: str, number: int) -> str:
    match step:
        case "ship":
            return "S1"
        case "receive":
            return "abilene"
        case "install":
            return f"h{number // 500},P{number % 500}"
        case "energise":
            return "F1,188 kW"
        case "test":
            return "burn-in,2,72,true"
    return "All fine"


HEADS = {
    "ship": "shipment",
    "receive": "site",
    "install": "hall,place",
    "energise": "feed,measured",
    "test": "suite,suite_version,soak_hours,passed",
    "accept": "reason",
}
ACTORS = {"install": "iva@orion", "test": "tom@orion", "accept": "amy@orion"}


def killed_on_the_way(
    url: str, words: tuple[str, ...], many: int, chance: random.Random
) -> bool:
    """Start an import, and kill it once it has recorded some more, or a moment later."""
    store = open_store(url)
    running = process(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    enough = store.head().size + chance.randint(0, many // 6)
    while running.poll() is None and store.head().size <= enough:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.05))
    running.kill()
    running.communicate(timeout=120)
    store.close()
    return running.returncode == -signal.SIGKILL


def words_of(step: str, day: int) -> tuple[str, ...]:
    actor = ACTORS.get(step, "ann@acme")
    on = f"2025-04-{day:02d}"
    file = f"{step}.csv"
    return ("system", "import", file, DEAL, "--step", step,
            "--effective-on", on, "--actor", actor)  # fmt: skip


def test_an_import_that_is_killed_ends_as_one_that_is_not(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ten times SIGKILL on the way: the same rows in every view, and a clean record.

    With `--continue`, so that each row is decided once.
    """
    many = SYSTEMS[database]
    monkeypatch.chdir(tmp_path)
    for step in STEPS:
        rows = (f"{serial(n)},{columns(step, n)}" for n in range(many))
        Path(f"{step}.csv").write_text(table(f"system,{HEADS[step]}", *rows))
    views = {}
    kills = 0
    for name in ("killed", "whole"):
        desk = Desk(tmp_path / f"{name}.db")
        ordered(desk, many)
        desk.ledger.close()
        monkeypatch.setenv("ACCORD_DB", desk.url)
        chance = random.Random(5)  # noqa: S311 - when to kill, no secret
        for day, step in enumerate(STEPS, start=1):
            words = (*words_of(step, day), "--continue")
            planned = KILLS * day // len(STEPS) if name == "killed" else 0
            while kills < planned:
                if not killed_on_the_way(desk.url, words, many, chance):
                    break  # It was quicker than its end.
                kills += 1
            last = process(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            said = last.communicate(timeout=120)
            assert last.returncode == 0, said
        store = open_store(desk.url)
        assert (
            verify(store).events == 4 + many // 2000 + (many % 2000 > 0) - 1 + 8 * many
        )
        Projections(store).keep_up()
        Projections(store).verify()
        with store.reading() as connection:
            views[name] = {
                view.name: connection.execute(
                    sa.select(table_of(view.name)).order_by(
                        *table_of(view.name).primary_key
                    )
                ).all()
                for view in KEEPING
            }
        store.close()
    assert kills == KILLS
    for view in KEEPING:
        assert views["killed"][view.name] == views["whole"][view.name], view.name
