"""The cap under random commands, and under two writers at once: FND-01."""

from __future__ import annotations

import threading

import msgspec
import pytest
from conftest import Desk
from deals import (
    ANN,
    BANK,
    BO,
    IAN,
    PAPER,
    SUE,
    certificate,
    certify,
    funded,
    in_effect,
    step,
    tranche,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from money import (
    ZERO,
    get,
    revoke,
)

from ledger.commands.decision import Decision
from ledger.commands.registry import find
from ledger.domain.certificate import Certificate
from ledger.domain.evaluation import recomputed
from ledger.domain.funding import Funding, TrancheUnlocked
from ledger.errors import Refused


def test_unlock_beside_revoke_is_decided_again(tmp_path):
    """Of two ledgers on one file, the one that loses decides again, and is refused."""
    desk = Desk(tmp_path / "accord.db")
    systems = funded(desk)
    tranche(desk)
    for number, system in enumerate(systems):
        certify(desk, f"C-{number}", [system], on="2025-05-01")
        beside(desk, number)
    desk.ledger.close()


def beside(desk, number):
    """Unlock and revoke at once; afterwards nothing is unlocked that is not carried."""
    from ledger.application import Ledger
    from ledger.record.store import open_store

    answers = {}
    start = threading.Barrier(2)

    def act(command, **keys):
        ledger = Ledger(open_store(desk.url, desk.clock))
        request = desk.request(command, **keys)
        start.wait()
        try:
            answers[command] = ledger.execute(request).events
        except Refused as refusal:
            answers[command] = refusal.code
        ledger.close()

    revoke = {"certificate": f"C-{number}", "ground": "x", "on": "2025-07-01"}
    unlock = {"tranche": "T1", "on": "2025-07-01"}
    threads = [
        threading.Thread(target=act, args=("certificate revoke",), kwargs=revoke),
        threading.Thread(target=act, args=("funding unlock",), kwargs=unlock),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = answers["funding unlock"]
    assert first == "FND-03" or isinstance(first[0].data, TrancheUnlocked)
    assert not get(desk).unlocked("main")
    assert not isinstance(answers["certificate revoke"], str)
    assert desk.get(Certificate, desk.deal, f"C-{number}").state == "revoked"


def test_an_unlock_that_was_overtaken_is_refused(desk, monkeypatch):
    """The loser's first decision is dropped; its second sees the revocation."""
    systems = funded(desk)
    tranche(desk)
    certify(desk, "C-1", systems[:1])
    decide, tries = desk.ledger._decide, []

    def overtaken(*given, **more):
        found = decide(*given, **more)
        tries.append(found)
        if len(tries) == 1:
            other = Desk(desk.path)
            revoke(other)
            other.ledger.close()
        return found

    monkeypatch.setattr(desk.ledger, "_decide", overtaken)
    with pytest.raises(Refused, match="FND-03: Certified 0 W of 100000 W"):
        desk.do("funding unlock", tranche="T1", on="2025-07-02")
    assert len(tries) == 1
    assert not get(desk).unlocked("main")


COMMANDS = st.one_of(
    st.tuples(st.just("unlock"), st.sampled_from(["T1", "T2", "T3"])),
    st.tuples(
        st.just("request"), st.sampled_from(["T1", "T2", "T3"]), st.integers(1, 30)
    ),
    st.tuples(
        st.sampled_from(
            ["approve", "approve", "pay", "settle", "settle", "fail", "drop"]
        ),
        st.integers(0, 9),
    ),
    st.tuples(st.just("return"), st.integers(0, 9), st.integers(1, 30)),
    st.tuples(st.sampled_from(["certify", "revoke"]), st.integers(0, 3)),
    st.tuples(st.just("waive"), st.integers(1, 30)),
    st.tuples(st.just("claw"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["to_provider", "to_recipient"]), st.integers(1, 30)),
)


def from_json(evidence):
    from ledger.domain.provenance import Evidence
    from ledger.domain.transcoding import from_builtins

    return from_builtins(evidence, tuple[Evidence, ...])


class Life:
    """One deal's money, taken through random commands, each refused or whole."""

    def __init__(self, desk):
        self.desk = desk
        self.decision = Decision(desk.ledger, desk.clock)
        self.count = 0
        self.certificates = {}
        text = {"statement": "s", "speaker": "s", "text": "s"}
        probe = desk.request("agreement record-statement", **text)
        self.template = desk.ledger.dry_run([(1, probe)])[0].provenance
        self.paper = from_json(BANK)
        self.engineers = from_json(PAPER)

    def do(self, command, **keys):
        """Carry a command out in memory; whether it was accepted."""
        actor, _, party = keys.pop("actor", ANN).partition("@")
        on = self.desk.clock().date()
        probe = self.template
        decision = self.decision
        decision.begin(
            msgspec.structs.replace(
                probe,
                actor=actor,
                party=party,
                command=command,
                effective_on=on,
                evidence=keys.pop("evidence", ()),
            )
        )
        before = len(decision.events)
        found = find(command)
        try:
            found.run(decision, **found.decode(keys))
        except Refused:
            assert len(decision.events) == before, "a refusal leaves no trace"
            return False
        return True

    def act(self, what, *given):
        """One random command, as its users would give it."""
        self.count += 1
        number = self.count
        draws = sorted(self.funding.drawdowns)
        name = draws[given[0] % len(draws)] if draws and given[0] in range(10) else "D0"
        money = {"amount": f"{given[-1]}m USD"}
        common = {"facility": "main", "bank_ref": f"B{number}"}
        match what:
            case "unlock":
                self.do("funding unlock", tranche=given[0])
            case "request":
                parts = [{"tranche": given[0], **money}]
                keys = {"allocations": parts, "value_on": "2026-02-01", "actor": BO}
                keys |= {"drawdown": f"D{number}", "facility": "main"}
                self.do("funding request-drawdown", **keys)
            case "approve":
                self.do("funding approve-drawdown", drawdown=name)
            case "pay":
                self.do("funding instruct", drawdown=name, actor=IAN)
            case "settle" if name in draws:
                self.do("funding instruct", drawdown=name, actor=IAN)
                keys = {"amount": str(self.funding.drawdowns[name].amount)}
                keys |= {"bank_ref": f"B{number}", "value_on": "2026-01-15"}
                keys |= {"evidence": self.paper, "actor": SUE}
                self.do("funding settle", drawdown=name, **keys)
            case "fail":
                self.do("funding fail", drawdown=name, ground="x")
            case "drop":
                self.do("funding withdraw-drawdown", drawdown=name, actor=BO)
            case "return":
                self.do("funding return", drawdown=name, **money, bank_ref=f"B{number}")
            case "certify":
                self.certify(given[0])
            case "revoke" if given[0] in self.certificates:
                keys = {"certificate": self.certificates.pop(given[0]), "ground": "x"}
                assert self.do("certificate revoke", **keys)
            case "waive":
                self.do("funding waive-overfunding", facility="main", **money)
            case "claw":
                keys = {"clawback": f"K{number}", **money}
                if self.do("funding demand-clawback", facility="main", **keys):
                    self.do("funding receive-clawback", **keys, bank_ref=f"B{number}")
            case "to_provider" | "to_recipient":
                keys = {"true_up": f"U{number}", "direction": what, "text": "x"}
                self.do("funding post-true-up", **keys, **money, **common)

    def certify(self, rack):
        """Certify a rack that no certificate counts, on its way in one go."""
        if rack in self.certificates:
            return
        name = f"C{self.count}"
        lines = certificate(name, [f"maker/R{rack}"])
        for line in lines:
            keys = {k: v for k, v in line.items() if k not in {"command", "on"}}
            if "evidence" in keys:
                keys["evidence"] = self.engineers
            assert self.do(line["command"], **keys)
        self.certificates[rack] = name

    @property
    def funding(self):
        return self.decision.get(Funding, "acme-orion")

    def check(self):
        """FND-01, but where flagged; and what holds of every state of the money."""
        funding = self.funding
        main = funding.facilities["main"]
        unlocked, paid = funding.unlocked("main"), funding.paid("main")
        used = funding.used("main")
        assert paid >= ZERO
        assert unlocked <= main.commitment
        flagged = main.overfunded_since is not None
        assert flagged == bool(funding.excess("main"))
        assert main.waived <= max(ZERO, paid - unlocked)
        assert paid - main.waived <= unlocked or flagged
        if used > unlocked:
            assert self.revoked, "only a revocation may leave it broken"
        drawn = [funding.drawn(name) for name in funding.tranches]
        assert sum(drawn, start=ZERO) == used
        for one in funding.tranches.values():
            assert ZERO <= one.unlocked <= one.size

    @property
    def revoked(self):
        return any(
            event.data.tag() == "certificate.revoked" for event in self.decision.events
        )


def new_life(desk):
    """A deal in memory: three tranches of 30 million, by a step, a share, at once."""
    life = Life(desk)
    gate = {"when": "capacity_certified", "at_least": "100 kW"}
    formulas = (
        step("100 kW", "10m USD"),
        {"rule": "linear", "per": "400 kW", "amount": "30m USD"},
        {"rule": "fixed", "amount": "30m USD"},
    )
    facility_keys = {"provider": "acme", "recipient": "orion", "instrument": "equity"}
    assert life.do(
        "funding define-facility",
        facility="main",
        commitment="90m USD",
        **facility_keys,
    )
    for number, formula in enumerate(formulas, start=1):
        keys = {"tranche": f"T{number}", "facility": "main", "number": number}
        assert life.do(
            "funding define-tranche",
            size="30m USD",
            trigger=gate,
            formula=formula,
            **keys,
        )
    return life


@pytest.fixture(scope="module")
def ground(database, tmp_path_factory):
    """A deal in effect with four racks, on which each random life begins."""
    from deals import racks

    desk = Desk(tmp_path_factory.mktemp("money") / "accord.db")
    in_effect(desk)
    racks(desk, *(f"R{n}" for n in range(4)))
    yield desk
    desk.ledger.close()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(commands=st.lists(COMMANDS, min_size=10, max_size=60))
def test_no_order_of_commands_breaks_the_cap(ground, commands):
    """FND-01 holds after every command, but where a revocation is flagged."""
    life = new_life(ground)
    life.act("certify", 0)
    life.act("unlock", "T3")
    for command in commands:
        life.act(*command)
        life.check()
    for event in life.decision.events:
        if event.data.tag() in {"funding.tranche_unlocked", "funding.tranche_relocked"}:
            assert recomputed(event.data) == event.data.cumulative
