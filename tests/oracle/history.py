"""Random histories: seeded, of one or two deals, told to a real ledger.

A history is a prefix that differs by seed (an agreement in effect, racks on their way,
facilities in one or two currencies, a certificate) and some forty proposals after it.
What is refused is counted and left; what is accepted is the history.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import oracle
from moves import MOVES, Line, Proposal, pressing
from prefix import prefix
from product import Desk
from record import Entry, transactions
from sums import unit_of

BEGIN = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
FIRST_DAY = "2025-01-01"
A_DAY = re.compile(r"\b2025-\d\d-\d\d\b")
MOST = 40
"""Events in the random part, at most; those of a reversal may bring a few more."""


@dataclass
class Moment:
    """A question's two dates, and the day on which it is asked."""

    as_of: str | None
    known_at: int | None
    today: str

    @property
    def day(self) -> str:
        """The day that the answer is about."""
        return self.as_of or self.today


@dataclass
class History:
    """A history as it was told, and what was seen on the way."""

    seed: int
    desk: Desk
    deals: list[str]
    chance: random.Random
    begun: int = 0
    ready: bool = False
    looked_back: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)

    def deal(self, name: str) -> oracle.Deal:
        """A deal as it stands now."""
        return oracle.deal_at(self.desk.entries(), name, self.desk.clock.today)

    def moments(self) -> list[Moment]:
        """Now, three random pairs, and an early day on which nothing is complete."""
        today = self.desk.clock.today
        found = [Moment(None, None, today)]
        ends = transactions(self.desk.entries())
        for _ in range(3):
            as_of = self._day(today) if self.chance.random() < 0.8 else None
            known_at = self.chance.choice(ends)
            limited = self.chance.random() < 0.7
            found.append(Moment(as_of, known_at if limited else None, today))
        days = sorted({entry.on for entry in self.desk.entries()})
        found.append(Moment(self.chance.choice(days[:8]), None, today))
        return found

    @property
    def _named(self) -> list[str]:
        """The last days, first days and targets that entries name."""
        said = " ".join(str(entry.data) for entry in self.desk.entries())
        return sorted(set(A_DAY.findall(said)))

    def _day(self, today: str) -> str:
        """A day near something that happened, one that an entry names, or any."""
        named = [day for day in self._named if FIRST_DAY <= day <= today]
        if named and self.chance.random() < 0.15:
            return self.chance.choice(named)
        if self.chance.random() < 0.7:
            on = date.fromisoformat(self.chance.choice(self.desk.entries()).on)
            day = on + timedelta(days=self.chance.choice((-1, 0, 0, 1)))
            return min(day.isoformat(), today)
        begin, end = date.fromisoformat(FIRST_DAY), date.fromisoformat(today)
        span = (end - begin).days
        return (begin + timedelta(days=self.chance.randint(0, span))).isoformat()


def play(
    seed: int, url: str, watch: Callable[[History], None] | None = None
) -> History:
    """Tell the history of a seed to a new ledger; `watch` sees it now and then."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    desk = Desk(url, BEGIN)
    history = History(seed, desk, ["acme-orion"], chance)
    for lines in prefix(chance):
        if desk.do(*lines) is not None:
            for line in lines:  # What of it the rules take.
                history.refused[f"prefix {desk.do(line) or 'accepted'}"] += 1
        desk.clock.advance(minutes=1)
    history.deals = sorted({entry.deal for entry in desk.entries()})
    history.begun = desk.size
    for _ in range(3 * MOST):
        if desk.size >= history.begun + MOST:
            break
        step(history)
        looks = chance.random() < 0.12
        if watch and looks:
            watch(history)
    return history


def step(history: History) -> None:
    """Let time go on, and propose something."""
    chance, clock = history.chance, history.desk.clock
    clock.advance(days=chance.choice((0, 0, 0, 0, 1, 1, 2, 3, 10)), minutes=1)
    name = history.deals[0] if chance.random() < 0.85 else chance.choice(history.deals)
    proposal = Proposal(chance, history.deal(name), clock.today, history.desk.entries())
    move = chance.choices(list(MOVES), weights=list(MOVES.values()))[0]
    wanted = pressing(proposal)
    if wanted and chance.random() < 0.4:
        move = chance.choice(wanted)
    for line in _told(proposal, move(proposal)):
        verb = line["command"]
        code = history.desk.do({"deal": name, **line})
        if code is None:
            history.accepted[verb] += 1
        else:
            history.refused[f"{verb} {code}"] += 1
            break
        clock.advance(minutes=1)


SOURCE = [{"title": "A newspaper", "kind": "news", "publisher": "The Paper"}]


def _told(proposal: Proposal, lines: list[Line]) -> list[Line]:
    """The lines; now and then the first alone, as something that is only reported."""
    reported = proposal.likely(0.08)
    if not (reported and lines) or lines[0]["command"].startswith("reverse"):
        return lines
    status = proposal.chance.choice(("reported", "reported", "disputed"))
    return [{**lines[0], "status": status, "evidence": SOURCE}]


def reached(history: History) -> set[str]:
    """What a history got to: the kinds that a soak counts."""
    entries = history.desk.entries()
    kinds = {entry.kind for entry in entries}
    found = {
        name
        for name, kind in {
            "payment": "funding.disbursement_settled",
            "re-lock": "funding.tranche_relocked",
            "overfunding": "funding.overfunding_declared",
            "cure": "funding.overfunding_cured",
            "return": "funding.disbursement_returned",
            "clawback": "funding.clawback_received",
            "waiver": "funding.overfunding_waived",
            "true-up": "funding.true_up_posted",
            "equity": "funding.equity_issued",
            "equity cancelled": "funding.equity_cancelled",
            "reversal": "record.reversed",
            "amendment": "agreement.amendment_took_effect",
            "suspension": "agreement.suspended",
            "termination": "agreement.terminated",
            "derating": "system.derated",
            "repair": "system.sent_to_rma",
            "milestone achieved": "milestone.achieved",
            "commitment changed": "funding.commitment_changed",
            "facility closed": "funding.facility_closed",
            "tranche expired": "funding.tranche_expired",
        }.items()
        if kind in kinds
    }
    unlocked = [one.data for one in entries if one.kind == "funding.tranche_unlocked"]
    if len({unit_of(data["amount"]) for data in unlocked}) > 1:
        found.add("second currency")
    if any(one.status != "confirmed" for one in entries):
        found.add("claim")
    if any(one.on < one.recorded_at[:10] for one in entries[history.begun :]):
        found.add("dated back")
    if _restated(entries):
        found.add("restatement")
    if history.ready:
        found.add("ready")
    return found


def _restated(entries: list[Entry]) -> bool:
    """Whether an entry of a closed period was reversed."""
    at = {entry.position: entry for entry in entries}
    spans: dict[tuple[str, str], tuple[str, str]] = {}
    closed: list[tuple[str, str, str]] = []
    for entry in entries:
        name = (entry.deal, entry.data.get("period", ""))
        if entry.kind == "period.opened":
            spans[name] = (entry.data["begins_on"], entry.data["ends_on"])
        elif entry.kind == "period.closed":
            closed.append((entry.deal, *spans[name]))
        elif entry.kind == "record.reversed":
            target = at[entry.data["position"]]
            if any(
                target.deal == deal and begins <= target.on <= ends
                for deal, begins, ends in closed
            ):
                return True
    return False
