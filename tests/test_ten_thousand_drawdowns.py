"""A facility of very many drawdowns: an entry costs what its own parts cost.

Rows read and parts looked at are counted, and time is not. With `ACCORD_DRAWDOWNS` the
larger of the two deals has as many as it says: ten thousand take some minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Desk
from deals import (
    BO,
    batch,
    certificate,
    certify,
    draw,
    facility,
    funded,
    tranche_line,
)

from ledger.domain.funding import Funding
from ledger.domain.parts import Parts
from ledger.record.snapshot import Rows, check_snapshots
from projections.engine.nouns import parts_of
from projections.engine.stored import Stored
from projections.projector import Projections

pytestmark = pytest.mark.sqlite

FEW = 200
MANY = int(os.environ.get("ACCORD_DRAWDOWNS", "2000"))
TRANCHES = ("T1", "T2", "T3")
SLACK = 150
"""How many events lie after the snapshot differs, and each looks at a few parts."""
SETTLED = {"on": "2025-06-04"}


def grown(desk: Desk, many: int) -> None:
    """A deal with so many drawdowns of 100 USD, and all that may befall them."""
    systems = funded(desk, funding_cap="200m USD")
    facility(desk, "side", commitment="0.5m USD")
    lines = [
        tranche_line(name, number, size="20m USD")
        for number, name in enumerate(TRANCHES, start=1)
    ]
    later = {**tranche_line("T4", 4, size="10m USD"), "trigger": _at_least("200 kW")}
    lines += [later, tranche_line("T5", 5, size="5m USD")]
    lines += certificate("C-1", systems[:1])
    lines += [
        {"command": "funding unlock", "tranche": name, "on": "2025-05-02"}
        for name in TRANCHES
    ]
    batch(desk, *lines)
    for begin in range(0, many, 100):
        some = range(begin, min(begin + 100, many))
        batch(desk, *(line for number in some for line in drawn(number)))
    certify(desk, "C-2", systems[1:2], on="2025-06-05")
    Projections(desk.store).catch_up()


def _at_least(capacity: str) -> dict[str, str]:
    return {"when": "capacity_certified", "at_least": capacity}


def drawn(number: int) -> Iterator[dict[str, Any]]:
    """One drawdown's life; some are rejected, fail, come back, or give equity."""
    name, tranche = f"D{number}", TRANCHES[number % 3]
    if number % 11 == 5:
        yield from draw(name, "100 USD", to="approve-drawdown", tranche=tranche)
        yield _of("reject-drawdown", drawdown=name, ground="Late")
        return
    yield from draw(name, "100 USD", tranche=tranche)
    if number % 10 == 3:
        back = {"drawdown": name, "amount": "40 USD", "bank_ref": f"RB-{number}"}
        yield _of("return", **back)
    if number % 10 == 4:
        yield equity(f"EQ-{number}", name)
    if number % 20 == 7:
        yield _of("demand-clawback", clawback=f"CB-{number}", **_main("30 USD"))
        got = {"clawback": f"CB-{number}", "amount": "20 USD"}
        yield _of("receive-clawback", **got, bank_ref=f"CR-{number}")
    if number % 20 == 9:
        yield true_up(f"TU-{number}", "to_provider", "5 USD")
        yield true_up(f"TV-{number}", "to_recipient", "5 USD")


def _of(verb: str, **keys: Any) -> dict[str, Any]:
    return {"command": f"funding {verb}", **SETTLED, **keys}


def _main(amount: str) -> dict[str, Any]:
    return {"facility": "main", "amount": amount}


def equity(name: str, drawdown: str) -> dict[str, Any]:
    """Equity issued for a whole drawdown."""
    return _of(
        "issue-equity",
        certificate_no=name,
        drawdown=drawdown,
        share_class="A",
        quantity="10 shares",
        price="10.00 USD",
        consideration="100 USD",
        actor=BO,
    )


def true_up(name: str, direction: str, amount: str) -> dict[str, Any]:
    """A difference that is settled."""
    keys = {"true_up": name, "direction": direction, "bank_ref": f"TB-{name}"}
    return _of("post-true-up", text="Interest", **keys, **_main(amount))


def scenes() -> Iterator[tuple[str, dict[str, Any]]]:
    """What is done in the deal, one command after another, each a transaction."""
    yield "unlock", {"command": "funding unlock", "tranche": "T4", "on": "2025-06-06"}
    for line in draw("X1", "100 USD"):
        yield line["command"], {**line, "on": "2025-06-06", **_value_on(line)}
    for line in draw("X2", "100 USD", to="approve-drawdown"):
        yield f"again {line['command']}", {**line, "on": "2025-06-06"}
    later = {"on": "2025-06-07"}
    yield (
        "withdraw",
        {
            **_of("withdraw-drawdown", drawdown="X2", actor=BO),
            **later,
        },
    )
    yield "equity", {**equity("EX-1", "X1"), **later}
    gone = {"certificate_no": "EX-1", "ground": "Returned", "actor": BO}
    yield "cancel", {**_of("cancel-equity", **gone), **later}
    back = {"drawdown": "X1", "amount": "40 USD", "bank_ref": "RX-1"}
    yield "return", {**_of("return", **back), **later}
    rest = {"drawdown": "X1", "amount": "60 USD", "bank_ref": "RX-2"}
    yield "rest", {**_of("return", **rest), **later}
    asked = {"clawback": "CX", **_main("30 USD")}
    yield "demand", {**_of("demand-clawback", **asked), **later}
    got = {"clawback": "CX", "amount": "30 USD", "bank_ref": "CX-1"}
    yield "receive", {**_of("receive-clawback", **got), **later}
    for direction in ("to_provider", "to_recipient"):
        yield direction, {**true_up(direction, direction, "5 USD"), **later}
    yield "tranche", tranche_line("T6", 6, size="1m USD")
    yield "cancel tranche", {**_of("cancel-tranche", tranche="T6"), **later}
    yield "close a facility", {**_of("close-facility", facility="side"), **later}
    for name in ("C-2", "C-1"):
        revoke = {"command": "certificate revoke", "certificate": name}
        yield f"revoke {name}", {**revoke, "ground": "Copied", "on": "2025-07-01"}
    waived = _of("waive-overfunding", **_main("1 USD"))
    yield "waive", {**waived, "on": "2025-07-02"}


def _value_on(line: dict[str, Any]) -> dict[str, str]:
    return {"value_on": "2025-06-06"} if "settle" in line["command"] else {}


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The rows that are read of snapshots and of the views' parts; the parts looked at."""
    counts: Counter[str] = Counter()

    def rows(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(self: Any, *asked: Any) -> Iterator[Any]:
            mine = getattr(self, "_view", FUNDING) is FUNDING
            for row in real(self, *asked):
                counts[what] += mine
                yield row

        return counted

    def counted_get(self: Any, key: str) -> Any:
        counts["looked at"] += 1
        return get(self, key)

    def counted_under(self: Any, kind: str) -> Mapping[str, Any]:
        found = under(self, kind)
        counts["looked at"] += len(found)
        return found

    get, under = Parts.get, Parts.under
    with monkeypatch.context() as patch:
        for what, kind in (("snapshot rows", Rows), ("view rows", Stored)):
            for name in ("many", "under", "all"):
                real = getattr(kind, name)
                patch.setattr(kind, name, rows(what, real))
        patch.setattr(Parts, "get", counted_get)
        patch.setattr(Parts, "under", counted_under)
        yield counts


FUNDING = parts_of(Funding)


def costs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """What each command costs, and what it costs to bring its view up to date."""
    commands: dict[str, Counter[str]] = {}
    views: dict[str, Counter[str]] = {}
    projections = Projections(desk.store)
    for name, line in scenes():
        with counting(monkeypatch) as counts:
            desk.do(**line)
        commands[name] = counts
        with counting(monkeypatch) as counts:
            list(projections._windows([FUNDING], None))
        views[name] = counts
    desk.do("agreement supersede", successor="orion-two", on="2025-07-03")
    with counting(monkeypatch) as counts:
        said = desk.refuses("AGR-13", "agreement close", on="2025-07-03")
    assert "1 item is still open: facility main is overfunded" in said
    commands["close the deal"] = counts
    return commands, views


def test_an_entry_costs_what_its_own_parts_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times as many drawdowns, and no command or fold looks at a part more."""
    found = []
    for many in (FEW, MANY):
        desk = Desk(tmp_path / f"{many}.db")
        grown(desk, many)
        assert len(desk.get(Funding, desk.deal).drawdowns) == many
        found.append(costs(desk, monkeypatch))
        assert check_snapshots(desk.store) >= 1
        desk.ledger.close()
    few, many_ = found
    for less, more in zip(few, many_, strict=True):
        for name, counts in more.items():
            for what, count in counts.items():
                assert count <= less[name][what] + SLACK, (name, what, counts)
    most = max(counts["snapshot rows"] for counts in many_[0].values())
    assert most <= 40
