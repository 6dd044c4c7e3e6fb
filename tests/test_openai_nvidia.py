"""The packaged deal `openai-nvidia` is the public record, and nothing beside it."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from places import address

from cli.main import root
from ledger.domain.aggregate import stream_of
from ledger.domain.agreement import Agreement, Superseded
from ledger.domain.milestone import Milestone
from ledger.domain.transcoding import decode
from ledger.record.store import open_store

FILE = Path(__file__).parent.parent / "cli" / "demo" / "openai-nvidia.jsonl"
LINES = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
DEAL, EQUITY = "openai-nvidia", "openai-nvidia-equity-2026"
ANNOUNCED = date(2025, 9, 22)
LAST = date(2026, 7, 1)
FUNDING = ["announced", "committed", "unlocked", "requested", "approved", "disbursed"]
MONEY = FUNDING[1:]


class Record:
    """The packaged deal in a ledger of its own, asked through the command line."""

    def __init__(self, url):
        self.url = url

    def run(self, *words):
        """What the command line says, exit code 0 asserted."""
        done = CliRunner().invoke(root, [*words, "--db", self.url])
        assert done.exit_code == 0, done.output
        return done

    def standing(self, deal=DEAL, **options):
        """A deal's standing as JSON; options as `as_of="2025-10-01"`."""
        asked = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        return json.loads(self.run("show", deal, *asked, "--format", "json").stdout)

    def events(self):
        """Every event, in order."""
        store = open_store(self.url)
        found = store.select_notifications(1, 1000)
        store.close()
        return [decode(item.state, position=item.id) for item in found]

    def get(self, kind, *ids):
        """An aggregate folded from the record."""
        stream = stream_of(kind, *ids)
        aggregate = kind.at(stream)
        for event in self.events():
            if event.stream == stream:
                aggregate.fold(event)
        return aggregate


@pytest.fixture(scope="module")
def record(database, tmp_path_factory):
    """A ledger that holds the packaged deal and no other."""
    folder = tmp_path_factory.mktemp("deal")
    record = Record(address(folder / "accord.db"))
    record.run("demo", DEAL)
    return record


def rungs(standing, ladder):
    """A ladder as rung → (quantity, unit)."""
    return {
        row["rung"]: (row["quantity"], row["unit"])
        for row in standing["rows"]
        if row["ladder"] == ladder
    }


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["command_id"])
def test_every_entry_names_its_source_and_grade(line):
    """An entry is confirmed exactly where a primary text is cited for it."""
    grades = {item["grade"] for item in line["evidence"]}

    assert line["status"] == ("confirmed" if "P" in grades else "reported")
    for item in line["evidence"]:
        assert item["title"]
        assert item["publisher"]
        assert item.get("address", "https://").startswith("https://")
        assert "…" not in item.get("address", "")


def test_entries_are_told_in_order():
    """Effective dates go forward through each deal, and ids are numbered."""
    for deal in (DEAL, EQUITY):
        mine = [line for line in LINES if line["deal"] == deal]
        days = [line["effective_on"] for line in mine]
        ids = [line["command_id"] for line in mine]
        assert days == sorted(days)
        assert ids == [f"{deal}-{number:03}" for number in range(1, len(mine) + 1)]


def test_nine_days_after_the_announcement(record):
    """As of 2025-10-01: a cap and a floor announced, and nothing committed."""
    standing = record.standing(as_of="2025-10-01")

    funding, capacity = rungs(standing, "funding"), rungs(standing, "capacity")
    assert list(funding) == FUNDING
    assert funding["announced"] == ("100000000000.00", "USD")
    assert funding["committed"] == ("0.00", "USD")
    assert capacity["announced"] == ("10000000000", "W")
    assert capacity["committed"] == ("0", "W")
    assert standing["about"]["state"] == "loi_signed"
    assert standing["about"]["status"] == "confirmed"
    assert not standing["about"]["fictional"]


def test_after_the_reports_of_february(record):
    """As of 2026-03-15 the state is what was signed, disputed, the other deal linked."""
    about = record.standing(as_of="2026-03-15")["about"]

    assert about["state"] == "loi_signed"
    assert about["status"] == "disputed"
    assert EQUITY in json.dumps(about["links"])


def test_nothing_is_committed_on_any_day(record):
    """From the announcement to July 2026 no money is committed, let alone moved."""
    day = ANNOUNCED
    while day <= LAST:
        funding = rungs(record.standing(as_of=day.isoformat()), "funding")
        assert {funding[rung] for rung in MONEY} == {("0.00", "USD")}, day
        day += timedelta(days=1)


def test_the_equity_deal_commits_nothing_here_either(record):
    """The later deal is reported alone, so nothing of it is committed on this record."""
    funding = rungs(record.standing(EQUITY), "funding")

    assert {funding[rung] for rung in MONEY} == {("0.00", "USD")}


def test_a_supersession_that_is_only_reported_moves_nothing(record):
    """The report stands beside the state as a claim; the letter of intent stays."""
    agreement = record.get(Agreement, DEAL)
    claim = next(e for e in record.events() if isinstance(e.data, Superseded))

    assert agreement.state == "loi_signed"
    assert agreement.status == "disputed"
    assert claim.ref in {one.ref for one in agreement.claims}
    assert (agreement.successor, agreement.told.successor) == (None, EQUITY)
    assert f"superseded_by/{EQUITY}" in agreement.told.links


def test_conflicting_reports_stand_side_by_side():
    """Both reports of February are there; the later names the one it contradicts."""
    said = {line["statement"]: line for line in LINES if "statement" in line}

    assert "thirty-instead" in said
    assert said["further-rounds-open"]["contradicts"] == "thirty-instead"


def test_a_claimed_ceiling_is_no_pass_mark_and_stays_when_cancelled(record):
    """The "up to" figure keeps its bound; the milestone is cancelled, not deleted."""
    known = record.get(Milestone, DEAL, "rubin-cpx-inference")
    milestone = known.told

    assert known.state == "none", "it is known from reports alone"
    assert milestone.state == "cancelled"
    assert milestone.metric.bound == "up_to"
    assert str(milestone.metric.target) == "7.5"
    assert milestone.metric.baseline == "GB300 NVL72"
    assert milestone.first_target_on == date(2026, 12, 31)


def test_loading_it_again_writes_nothing(record):
    """Every entry has a command id, so a second load finds them all known."""
    before = record.events()

    record.run("demo", DEAL)

    assert record.events() == before


def test_the_record_verifies(record):
    """The record of the packaged deal is whole."""
    record.run("verify", "--views")


def test_known_at_before_it_was_recorded(record):
    """What the ledger had not learnt yet is not on the record."""
    asked = ["show", DEAL, "--known-at", "2025-12-31", "--db", record.url]
    done = CliRunner().invoke(root, asked)

    assert done.exit_code == 1
    assert "not on the record" in done.output
