"""What is stored can be read: each event comes back as it was, or is never appended.

Limits are on values, and bind commands alone. What an older release recorded beyond
them is read as it stands.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import deals
import msgspec
import pytest
from cli_desk import at_home, batch, done, fails, line, size
from conftest import Desk
from msgspec.structs import replace

from ledger.commands.registry import Request
from ledger.domain.agreement import Agreement, Change, LoiSigned, Opened, Terms
from ledger.domain.event import Event
from ledger.domain.funding import Allocation, DrawdownRequested, TrancheDefined
from ledger.domain.limits import FURTHEST, MOST_DEPTH, MOST_NAME, MOST_TEXT
from ledger.domain.provenance import Evidence, Provenance
from ledger.domain.terms import amended
from ledger.domain.transcoding import MOST_BYTES, body, decode, envelope, proposed
from ledger.domain.triggers import AgreementInEffect, All, Fixed
from ledger.domain.values import Amount, Id, Power, Ratio, Slug
from ledger.errors import BatchRefused, InvalidValue, Refused
from ledger.record.store import Submission
from ledger.rules.record import written

ROOT = Path(__file__).parent.parent
CASES = Path(__file__).parent / "cases"
NOWHERE = ("--db", "sqlite:///nowhere/accord.db")
PARTIES = ("--signatories", "acme", "--signatories", "orion")
DIGEST = "0123456789abcdef" * 4
GROWN = "1000000000000000000000000000.00 USD"
"""What release 0.4.0 took as 10^27 USD, recorded, and could not read any more."""
PROVENANCE = Provenance(
    deal="acme-orion",
    actor="ann",
    party="acme",
    effective_on=date(2025, 1, 2),
    command="agreement open",
    command_id="c",
    command_digest="d",
    correlation_id="e",
    software="0",
)
OPENED = Opened(title="T", capital=(Slug("acme"),), capacity=(Slug("orion"),))
USD = Amount.parse("1 USD")


def first(data: Any, **changed: Any) -> Event[Any]:
    """An event that nobody checked, as the first of a deal."""
    return proposed("agreement/acme-orion", 1, replace(PROVENANCE, **changed), data)


def stamped(event: Event[Any]) -> bytes:
    """The bytes as the store would write them."""
    return envelope(
        body(event),
        position=1,
        stream=event.stream,
        version=event.version,
        recorded_at="2026-01-15T09:00:00.000000Z",
        submitted_by="ann",
        batch=None,
    )


def tree(depth: int) -> str:
    """A trigger tree so many levels deep, as a user writes it."""
    above = depth - 1
    return (
        '{"when":"all","of":[' * above + '{"when":"agreement_in_effect"}' + "]}" * above
    )


# Encode, decode, compare, then append.

LOST = [
    (replace(OPENED, title=5), {}, "Opened could not be read back: Expected `str`"),
    (replace(OPENED, title="\ud800"), {}, "surrogates not allowed"),
    (replace(OPENED, capital=(Slug("A B"),)), {}, "'A B' is not a slug"),
    (replace(OPENED, capital=[Slug("acme")]), {}, "would be read back as another"),
    (replace(OPENED, fictional="yes"), {}, "Expected `bool`, got `str`"),
    (
        LoiSigned(signatories=(), terms=Terms(funding_cap=USD - USD - USD)),
        {},
        "is negative",
    ),
    (
        LoiSigned(signatories=(), terms=Terms(capacity_floor=Power(10**41))),
        {},
        "the most are 40 digits",
    ),
    (
        LoiSigned(signatories=(), terms=Terms(pue=Ratio(Decimal("Infinity")))),
        {},
        "'Infinity' is not a number",
    ),
    (OPENED, {"actor": None}, "Provenance could not be read back"),
    (OPENED, {"evidence": [Evidence(title="T")]}, "Provenance would be read back"),
    (OPENED, {"evidence": (Evidence(title="T", sha256="x"),)}, "matching regex"),
]


@pytest.mark.parametrize(("data", "changed", "said"), LOST)
def test_what_would_not_come_back_is_not_appended(
    desk: Desk, data: Any, changed: Any, said: str
) -> None:
    """Whatever made the event: it is read again first, and the record stays whole."""
    event = first(data, **changed)
    desk.ledger.record(first(OPENED, command_id="good", deal="other"))
    before = desk.store.head()
    with pytest.raises(InvalidValue) as refusal:
        desk.ledger.record(event)
    assert said in str(refusal.value)
    assert desk.store.head() == before
    with pytest.raises(Refused, match=r"^REC-15: ") as refused:
        written(event)
    assert refused.value.sentence == str(refusal.value)


@pytest.mark.pure
def test_one_provenance_after_another() -> None:
    """What is known of the provenance before says nothing of the next one."""
    good = first(OPENED)
    for _ in range(2):
        assert decode(stamped(good)).provenance == good.provenance
        with pytest.raises(InvalidValue, match="Provenance could not be read back"):
            body(first(OPENED, reason=7))
    assert decode(stamped(first(OPENED, actor="bo"))).provenance.actor == "bo"


@pytest.mark.pure
def test_an_event_is_at_most_a_mebibyte_long() -> None:
    """The last byte counts, with the identity that the store puts in front."""
    empty = len(body(first(replace(OPENED, title=""))))
    room = MOST_BYTES - 1024 - empty
    whole = first(replace(OPENED, title="x" * room))
    assert len(stamped(whole)) <= MOST_BYTES
    with pytest.raises(InvalidValue) as refusal:
        body(first(replace(OPENED, title="x" * (room + 1))))
    assert str(refusal.value) == (
        f"'agreement.opened' would take {MOST_BYTES - 1023:,} bytes; with what the "
        "ledger adds, an entry has at most 1,048,576."
    )


def test_an_entry_that_is_too_long_has_a_code(desk: Desk) -> None:
    """REC-15 stands at its line; nothing of the batch is written."""
    deals.signed(desk)
    clause = json.dumps([{"name": "c", "text": "x" * 60_000}])
    asked = {"amendment": "A1", "changes": [{"path": "other", "new": clause}] * 20}
    said = desk.refuses("REC-15", "agreement propose-amendment", **asked)
    assert "bytes; with what the ledger adds, an entry has at most 1,048,576." in said
    request = desk.request("agreement propose-amendment", **asked)
    opening = desk.request(
        "agreement open", deal="other", title="T", capital=["a"], capacity=["b"]
    )
    before = desk.store.head()
    with pytest.raises(BatchRefused, match="line 2: REC-15: "):
        desk.ledger.execute_batch([(1, opening), (2, request)])
    assert desk.store.head() == before


# What was recorded before there were limits is read as it stands.

OLD = [
    Terms(funding_cap=Amount.read(GROWN)),
    Terms(capacity_floor=Power(10**39)),
    Terms(pue=Ratio.read("0")),
    Terms(pue=Ratio.read("1." + "9" * 28)),
    Terms(notice_business_days=-1),
    Terms(notice_business_days=10**23),
]


@pytest.mark.parametrize("terms", OLD)
def test_an_old_entry_beyond_the_limits_is_read(desk: Desk, terms: Terms) -> None:
    """A ledger of 0.4.0 that holds one can be read, checked, and written to."""
    data = LoiSigned(signatories=(Slug("acme"), Slug("orion")), terms=terms)
    parties = {"capital": ["acme"], "capacity": ["orion"]}
    desk.do("agreement open", title="T", on="2025-01-01", **parties)
    event = proposed("agreement/acme-orion", 2, PROVENANCE, data)
    command = Submission(PROVENANCE.command_id, PROVENANCE.command_digest, 1)
    desk.ledger.record(event, commands=[command])
    assert desk.ledger.entry(2).data == data  # type: ignore[union-attr]
    assert desk.get(Agreement, "acme-orion").state == "loi_signed"
    done("verify", "--db", desk.url)
    done("recheck", "--db", desk.url)
    done("show", "acme-orion", "--db", desk.url)
    desk.do("agreement record-statement", statement="S1", speaker="A", text="x")


@pytest.mark.pure
def test_old_digests_trees_and_sizes_are_read() -> None:
    """So are a digest with the end of a line, a tree 200 deep, two mebibytes of text."""
    trigger: Any = AgreementInEffect()
    for _ in range(200):
        trigger = All(of=(trigger,))
    tranche = TrancheDefined(
        facility=Id("main"),
        tranche=Id("T1"),
        number=10**23,
        size=USD,
        trigger=trigger,
        formula=Fixed(amount=USD),
    )
    digest = Evidence(title="T", sha256=f"{DIGEST}\n")
    event = first(tranche, evidence=(digest,))
    assert decode(stamped(event)).data == tranche
    assert decode(stamped(event)).provenance.evidence == (digest,)
    plain = msgspec.json.decode(stamped(first(OPENED)))
    plain["data"]["title"] = "x" * (2 << 20)
    assert len(decode(msgspec.json.encode(plain)).data.title) == 2 << 20


def test_what_an_amendment_leaves_alone_is_not_asked_anew(desk: Desk) -> None:
    """Terms of before stay as they are while another of them is changed."""
    deals.in_effect(desk)
    agreement = desk.get(Agreement, "acme-orion")
    grown = replace(
        agreement.terms, funding_cap=Amount.read(GROWN), pue=Ratio.read("0")
    )
    change = Change(path="acceptance_suite", new="burn-in")
    assert amended(grown, (change,)) == replace(grown, acceptance_suite="burn-in")


# Limits: the most is taken, one more is refused, and the limit is told.


def loi(**terms: Any) -> tuple[str, ...]:
    """A letter of intent with these terms."""
    return (
        "agreement", "sign-loi", "acme-orion", *PARTIES, "--terms", json.dumps(terms),
    )  # fmt: skip


def tranche(trigger: str = tree(1), number: int = 1) -> tuple[str, ...]:
    """A tranche with this trigger, or of this number."""
    return (
        "funding", "define-tranche", "acme-orion", "T1", "--facility", "main",
        "--number", str(number), "--size", "1m USD",
        "--trigger", trigger,
        "--formula", '{"rule": "fixed", "amount": "1m USD"}',
    )  # fmt: skip


def placed(**lines: Any) -> tuple[str, ...]:
    """An order of one line."""
    asked = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 1, **lines}
    return (
        "order", "place", "acme-orion", "PO-1", "--buyer", "orion",
        "--seller", "maker", "--lines", json.dumps(asked),
    )  # fmt: skip


def soaked(hours: int) -> tuple[str, ...]:
    """A test that took so long."""
    return (
        "system", "test", "acme-orion", "maker/R1", "--suite", "burn-in",
        "--suite-version", "1", "--soak-hours", str(hours), "--passed",
    )  # fmt: skip


def seen(days: int, instrument: str = "ACME") -> tuple[str, ...]:
    """A price over so many days."""
    return (
        "observation", "price", "acme-orion", "--instrument", instrument,
        "--price", "1 USD", "--days", str(days),
    )  # fmt: skip


def said(*more: str, text: str = "On track.") -> tuple[str, ...]:
    """A statement."""
    return (
        "agreement", "record-statement", "acme-orion", "S1", "--speaker", "Acme",
        "--text", text, *more,
    )  # fmt: skip


BEYOND = [
    (
        loi(funding_cap="10000000000000000000000 USD"),
        loi(funding_cap="10000000000000000000000.01 USD"),
        "an amount is at most 10000000000000000000000.00 USD",
    ),
    (
        loi(funding_cap="1000000000000000000000000 JPY"),
        loi(funding_cap="1000000000000000000000001 JPY"),
        "an amount is at most 1000000000000000000000000 JPY",
    ),
    (
        loi(capacity_floor="1000000 GW"),
        loi(capacity_floor="1000000000000001 W"),
        "power is at most 1000000 GW",
    ),
    (
        loi(pue="1000000000000000"),
        loi(pue="1000000000000000.1"),
        "a ratio is at most 1000000000000000",
    ),
    (
        loi(pue="1." + "1" * 18),
        loi(pue="1." + "1" * 19),
        "has 19 decimals; a ratio has at most 18",
    ),
    (
        loi(notice_business_days=0),
        loi(notice_business_days=-1),
        "'notice_business_days' is -1; the least is 0",
    ),
    (
        loi(notice_business_days=10_000),
        loi(notice_business_days=10**23),
        "is 100,000,000,000,000,000,000,000; the most is 10,000",
    ),
    (
        loi(soak_hours=0),
        loi(soak_hours=-1),
        "'soak_hours' is -1; the least is 0",
    ),
    (
        soaked(100_000),
        soaked(100_001),
        "--soak-hours is 100,001; the most is 100,000",
    ),
    (seen(10_000), seen(10_001), "--days is 10,001; the most is 10,000"),
    (
        placed(quantity=10**6),
        placed(quantity=10**23),
        "'quantity' is 100,000,000,000,000,000,000,000; the most is 1,000,000",
    ),
    (
        placed(unit_price="1000000000000000 USD"),
        placed(unit_price="1000000000000001 USD"),
        "a price is at most 1000000000000000",
    ),
    (
        placed(sku_version=10**6),
        placed(sku_version=10**6 + 1),
        "'sku_version' is 1,000,001; the most is 1,000,000",
    ),
    (
        tranche(number=10**6),
        tranche(number=10**6 + 1),
        "--number is 1,000,001; the most is 1,000,000",
    ),
    (
        tranche(tree(MOST_DEPTH)),
        tranche(tree(MOST_DEPTH + 1)),
        "--trigger is 33 levels deep; the most are 32",
    ),
    (tranche(tree(2)), tranche(tree(490)), "; the most are 32"),
    (
        said(text="x" * MOST_TEXT),
        said(text="x" * (MOST_TEXT + 1)),
        "--text is 65,537 characters long; the most are 65,536",
    ),
    (
        said("--reason", "x" * MOST_TEXT),
        said("--reason", "x" * (MOST_TEXT + 1)),
        "'reason' is 65,537 characters long; the most are 65,536",
    ),
    (
        seen(1, "x" * MOST_NAME),
        seen(1, "x" * (MOST_NAME + 1)),
        "--instrument is 501 characters long; the most are 500",
    ),
    (
        said("--command-id", "x" * MOST_NAME),
        said("--command-id", "x" * (MOST_NAME + 1)),
        "'command_id' is 501 characters long; the most are 500",
    ),
    (
        said("--evidence", json.dumps({"title": "T", "sha256": DIGEST})),
        said("--evidence", json.dumps({"title": "T", "sha256": f"{DIGEST}\n"})),
        "with the end of a line; it must be 64 hexadecimal digits alone",
    ),
    (
        said("--evidence", json.dumps({"title": "T"})),
        said("--evidence", json.dumps({"title": "T", "x" * 501: 1})),
        "'the name of a field' is 501 characters long; the most are 500",
    ),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with a ledger that holds one deal."""
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    with at_home(tmp_path):
        done("init")
        done(
            "agreement", "open", "acme-orion", "--title", "T", "--capital", "acme",
            "--capacity", "orion", "--effective-on", "2025-01-01",
        )  # fmt: skip
        yield tmp_path


@pytest.mark.pure
@pytest.mark.parametrize(("most", "beyond", "told"), BEYOND)
def test_a_limit_needs_no_ledger(
    monkeypatch: pytest.MonkeyPatch, most: Any, beyond: Any, told: str
) -> None:
    """What is just beyond is misuse, exit 2; the most goes on, to where no ledger is."""
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    assert told in fails(2, *beyond, *NOWHERE)
    assert "nowhere" in fails(1, *most, *NOWHERE)


@pytest.mark.sqlite
def test_a_limit_in_a_batch_stands_at_its_line(home: Path) -> None:
    """There it is exit 1, beside whatever else is wrong; nothing is written."""
    statement = {"statement": "S1", "speaker": "A", "actor": "ann@acme"}
    file = batch(
        line("agreement record-statement", text="x", **statement),
        line("agreement record-statement", text="x" * (68 << 20), **statement),
        line("agreement record-statement", text="x", reason=["x"] * 9, **statement),
        line("x" * (68 << 20)),
        line("agreement record-statement", "x" * (68 << 20), **statement),
        line("agreement record-statement", **{"x" * (1 << 20): 1}, **statement),
        line("agreement record-statement", effective_on="x" * (1 << 20), **statement),
        line("agreement sign-loi", terms={"other": "[" * MOST_TEXT}),
    )
    begun = time.monotonic()
    told = fails(1, "append", file)
    assert time.monotonic() - begun < 30
    assert "line 2: 'text' is 71,303,168 characters long; the most are 65,536" in told
    assert all(f"\nline {number}: " in told for number in range(2, 9)), told
    assert len(told) < 4000
    assert size() == 1


@pytest.mark.sqlite
def test_a_request_of_a_program_is_bound_too(desk: Desk) -> None:
    """The library's own door knows the limits as the command line does."""
    given: dict[str, Any] = {
        "command": "agreement open",
        "deal": "acme-orion",
        "actor": "ann@acme",
        "parameters": {"title": "T", "capital": ["acme"], "capacity": ["orion"]},
    }
    long = "x" * (MOST_TEXT + 1)
    for more in (
        {"reason": long},
        {"actor": f"{long}@acme"},
        {"command_id": long},
        {"correlation_id": long},
        {"evidence": (Evidence(title=long),)},
        {"evidence": (Evidence(title="T", sha256=f"{DIGEST}\n"),)},
    ):
        with pytest.raises(InvalidValue, match=r"the most are|64 hexadecimal"):
            desk.ledger.execute(Request(**{**given, **more}))
    assert desk.store.head().size == 0


@pytest.mark.pure
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (loi(funding_cap="1e400 USD"), "'1e400' is not a number"),
        (loi(funding_cap="1e999999999999 USD"), "is not a number"),
        (loi(funding_cap="9" * 400 + " USD"), "the most are 40 digits"),
        (
            loi(funding_cap=10**400),
            "'funding_cap' is a number of 401 digits; the most is",
        ),
        ((*loi()[:-1], '{"funding_cap": 1e400}'), "Expected text, got inf"),
        ((*loi()[:-1], '{"notice_business_days": 1e23}'), "Expected `int`"),
        ((*loi(), "--expires-on", "10000-01-01"), "Write it as YYYY-MM-DD"),
        ((*loi(), "--effective-on", "10000-01-01"), "Write it as YYYY-MM-DD"),
        (tranche('{"when": "date_reached", "on": "10000-01-01"}'), "--trigger"),
        (tranche("[" * 100_000), "the most are 32 levels"),
        ((*loi()[:-1], "[" * 490 + "]" * 490), "; the most are 32"),
        (("reverse", "request", str(10**26), "--reason", "x"), f"1<=x<={FURTHEST}"),
        (("history", "--limit", str(10**26)), f"1<=x<={FURTHEST}"),
        (("history", "--before", str(10**26)), f"1<=x<={FURTHEST}"),
        (("systems", "acme-orion", "--limit", str(10**26)), f"1<=x<={FURTHEST}"),
    ],
)
def test_odd_input_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, words: Any, told: str
) -> None:
    """Exponents, years, depths and numbers without end: told at once, never a crash."""
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    begun = time.monotonic()
    assert told in fails(2, *words, *NOWHERE)
    assert time.monotonic() - begun < 5


@pytest.mark.sqlite
def test_a_user_whose_name_is_no_text(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment may call the user anything; each event has to hold it."""
    for number, name in enumerate(("\udcff", "x" * 5000)):
        monkeypatch.setenv("LOGNAME", name)
        file = batch(
            line(
                "agreement record-statement",
                statement=f"S{number}",
                speaker="A",
                text="x",
                actor="ann@acme",
            )
        )
        done("append", file)
    done("verify")


# PUE and overhead: what cannot be is not agreed.


@pytest.mark.parametrize(
    ("ratios", "told"),
    [
        ({"pue": "0"}, "'pue' is 0, and must be at least 1"),
        ({"pue": "0.999"}, "'pue' is 0.999, and must be at least 1"),
        ({"pue": "10.1"}, "'pue' is 10.1, and must be at most 10"),
        ({"overhead_ratio": "0.00"}, "'overhead_ratio' is 0.00, and must be above 0"),
        ({"overhead_ratio": "11"}, "'overhead_ratio' is 11, and must be at most 10"),
    ],
)
def test_ratios_that_cannot_be_are_not_agreed(
    desk: Desk, ratios: dict[str, str], told: str
) -> None:
    """AGR-12, signed at once or by an amendment; a letter of intent may say anything."""
    desk.do("agreement open", title="T", capital=["acme"], capacity=["orion"])
    terms: dict[str, Any] = {"signatories": ["acme", "orion"], "terms": ratios}
    desk.do("agreement sign-loi", **terms)
    signed = {"command": "agreement sign-definitive", "evidence": deals.SIGNED}
    assert told in desk.refuses("AGR-12", **signed, **terms)
    sound = {**terms, "terms": {"pue": "1", "overhead_ratio": "0.01"}}
    desk.do(**signed, **sound)
    ((path, new),) = ratios.items()
    change = {"amendment": "A1", "changes": [{"path": path, "new": new}]}
    assert told in desk.refuses("AGR-12", "agreement propose-amendment", **change)


@pytest.mark.parametrize(
    ("path", "new", "told"),
    [
        ("notice_business_days", "-3", "the least is 0"),
        ("soak_hours", "100001", "the most is 100,000"),
        ("funding_cap", GROWN, "an amount is at most"),
        ("facility.main.commitment", GROWN, "an amount is at most"),
        ("platforms", "[" * 60_000, "is not JSON"),
        ("capacity_floor", "1" * 41 + " W", "the most are 40 digits"),
    ],
)
def test_an_amendment_is_bound_by_the_same_limits(
    desk: Desk, path: str, new: str, told: str
) -> None:
    """A term that comes as text is held against the limit of what it is."""
    deals.in_effect(desk)
    deals.facility(desk)
    before = desk.store.head()
    with pytest.raises(InvalidValue) as refusal:
        desk.do(
            "agreement propose-amendment",
            amendment="A1",
            changes=[{"path": path, "new": new}],
        )
    assert told in str(refusal.value)
    assert desk.store.head() == before


# The two poison lines that were found.


@pytest.mark.sqlite
def test_a_figure_of_28_digits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was recorded, and not one deal of the ledger could be read after it."""
    monkeypatch.setenv("ACCORD_ACTOR", "ann@cap-co")
    with at_home(tmp_path):
        done("init")
        done("append", str(CASES / "01-poison-figure.jsonl"))
        poison = (
            "agreement", "sign-loi", "deal-x", "--signatories", "cap-co",
            "--signatories", "run-co", "--effective-on", "2024-01-02",
            "--terms", '{"funding_cap": "1000000000000000000000000000 USD"}',
        )  # fmt: skip
        for words in (poison, (*poison, "--dry-run")):
            told = fails(2, *words)
            assert "'1000000000000000000000000000 USD' is too much: " in told
            assert "at most 10000000000000000000000.00 USD" in told
        assert size() == 2
        for words in ("list", "show healthy", "verify", "recheck", "views rebuild"):
            done(*words.split())


@pytest.mark.sqlite
def test_a_power_of_31_digits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is what a meter cannot have shown, at its line of the file."""
    monkeypatch.setenv("ACCORD_ACTOR", "ann@cap-co")
    with at_home(tmp_path):
        done("init")
        done("append", str(CASES / "01b-poison-csv.jsonl"))
        table = "system,feed,measured,on\nmaker/S001,F1,{} GW,2024-02-04\n"
        for name, measured in (("bad", 10**21), ("good", "0.0001")):
            (tmp_path / f"{name}.csv").write_text(table.format(measured))
        step = ("deal-x", "--step", "energise", "--actor", "tom@run-co")
        told = fails(1, "system", "import", "bad.csv", *step)
        assert "line 2: 'measured': '1000000000000000000000 GW' is too much" in told
        assert "power is at most 1000000 GW" in told
        assert size() == 12
        done("list")
        done("system", "import", "good.csv", *step, "--map", "on=effective_on")
        done("verify", "--views")


# Threads, patterns, and the one place where types are looked at.

TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-6)
from ledger.domain.transcoding import decode, from_builtins
from ledger.domain.triggers import Trigger
from projections.registry import VIEWS
line = sys.stdin.buffer.read()
begin, done = threading.Barrier(6), []
def run(look):
    begin.wait()
    look()
    done.append(look)
def views():
    for view in VIEWS:
        if view.kept is not None:
            view.decoder
looks = [lambda: decode(line)] * 3 + [views] + [
    lambda: from_builtins({"when": "all", "of": [{"when": "agreement_in_effect"}]}, Trigger)
] * 2
threads = [threading.Thread(target=run, args=(look,)) for look in looks]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""


@pytest.mark.pure
def test_threads_decode_their_first_event_together() -> None:
    """In 0.4.0 the interpreter ended in five of six such processes."""
    allocation = Allocation(tranche=Id("T1"), amount=USD)
    requested = DrawdownRequested(
        facility=Id("main"),
        drawdown=Id("D1"),
        amount=USD,
        value_on=date(2025, 1, 1),
        allocations=(allocation,),
    )
    for _ in range(3):
        told = subprocess.run(
            [sys.executable, "-c", TOGETHER],
            input=stamped(first(requested)),
            capture_output=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        assert (told.returncode, told.stdout) == (0, b"6\n"), told.stderr.decode()


def _sources() -> list[tuple[str, ast.Call]]:
    """Every call in the code, with the module that it stands in."""
    return [
        (path.relative_to(ROOT).as_posix(), node)
        for folder in ("ledger", "projections", "cli")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


@pytest.mark.pure
def test_types_are_looked_at_in_one_place() -> None:
    """A decoder that is made anywhere else would be made beside that of a thread."""
    makers = {"msgspec.json.Decoder", "msgspec.convert", "msgspec.msgpack.Decoder"}
    found = {
        (where, ast.unparse(call.func))
        for where, call in _sources()
        if ast.unparse(call.func) in makers
        or (
            ast.unparse(call.func) == "msgspec.json.decode"
            and any(keyword.arg == "type" for keyword in call.keywords)
        )
    }
    assert found == {
        ("ledger/domain/struct.py", "msgspec.json.Decoder"),
        ("ledger/domain/struct.py", "msgspec.convert"),
    }


@pytest.mark.pure
def test_no_pattern_lets_the_end_of_a_line_through() -> None:
    """`$` also matches before a line's end, and `match` looks at a beginning alone."""
    found = []
    for where, call in _sources():
        name = ast.unparse(call.func)
        if name.startswith("re.") or "pattern" in {k.arg for k in call.keywords}:
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            texts = [one.value for one in given if isinstance(one, ast.Constant)]
            ends = any(isinstance(text, str) and text.endswith("$") for text in texts)
            if name == "re.match" or (ends and name != "re.sub"):
                found.append((where, name))
        elif name.endswith(".match") and "click" not in name:
            found.append((where, name))
    # What is read of an old entry; `limits` refuses it from a command.
    assert found == [("ledger/domain/provenance.py", "msgspec.Meta")]
