"""Laws between the product's pages and its rules, asked by dry runs on the way.

"Ready" is said of a tranche if and only if somebody could unlock it on this very day;
`available` is what could be drawn: just that much is accepted, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import oracle
from compare import Difference
from funding import drawn
from history import History, Moment
from prefix import BANK
from product import Desk
from sums import shown

PEOPLE = ("ann@acme", "bo@orion")
REASON = "Whether it could be"


def watch(history: History) -> list[Difference]:
    """Try what the pages say is possible, on the ledger as it stands."""
    now = Moment(None, None, history.desk.clock.today)
    tried = []
    for name in history.deals:
        told = history.desk.ask(name, None, None, now.today)
        if told is not None:
            deal = history.deal(name)
            found = _tried(history.desk, deal, told)
            tried += [_difference(history, deal, now, *one) for one in found]
    return tried


def look_back(history: History, moments: list[Moment]) -> list[Difference]:
    """Try what past pages said is ready, on a ledger that knows as much as they did.

    Nobody can ask a ledger to forget what is effective after a day; so this is about
    the moments at which nothing of that kind was known.
    """
    tried = []
    for at in moments:
        position = at.known_at or history.desk.size
        known = history.desk.entries()[:position]
        if any(entry.on > at.day for entry in known):
            continue
        history.looked_back += 1
        with history.desk.as_known_at(position) as desk:
            for name in history.deals:
                told = history.desk.ask(name, at.as_of, at.known_at, at.today)
                if told is not None:
                    deal = oracle.deal_at(known, name, at.day)
                    found = _ready(desk, deal, told)
                    tried += [_difference(history, deal, at, *one) for one in found]
    return tried


def _difference(
    history: History, deal: oracle.Deal, at: Moment, *found: str
) -> Difference:
    known_at = at.known_at or history.desk.size
    label = f"{deal.name} as of {at.day} known at {known_at}"
    return Difference(history.seed, label, *found)


def _tried(
    desk: Desk, deal: oracle.Deal, told: dict[str, Any]
) -> Iterator[tuple[str, str, str, str, str]]:
    yield from _ready(desk, deal, told)
    yield from _returned(desk, deal)
    for name in deal.funding.facilities:
        says = told["commitment"][name]["available"]
        thinks = oracle.available(deal, name)
        for amount in sorted({says, says + 1, thinks, thinks + 1} - {0}):
            code = _draw(desk, deal, name, amount)
            yield from _compared(name, amount, code, says, thinks)


def _ready(
    desk: Desk, deal: oracle.Deal, told: dict[str, Any]
) -> Iterator[tuple[str, str, str, str, str]]:
    rows = told["distance"]
    for name in deal.funding.tranches:
        code = _unlock(desk, deal, name)
        page = name in rows and rows[name]["ready"]
        model = oracle.unlock(deal, name)
        if page != (code is None):
            yield "law", name, "page says ready, rule says", str(page), code or "yes"
        if isinstance(model, int) != (code is None):
            yield "law", name, "rule on unlock beside oracle", code or "yes", str(model)
    first = told["standing"]["first_ready"]
    if first and _unlock(desk, deal, first):
        yield "law", first, "next trigger says ready", "yes", "no"


def _returned(
    desk: Desk, deal: oracle.Deal
) -> Iterator[tuple[str, str, str, str, str]]:
    """All that is left of a payment may come back, and no more."""
    funding = deal.funding
    settled = (one for one in funding.drawdowns.items() if one[1].step == "settled")
    for name, one in settled:
        unit = funding.facilities[one.facility].unit
        left = min(one.amount - one.returned, funding.paid(one.facility))
        back = {"command": "funding return", "deal": deal.name, "actor": "ann@acme"}
        back |= {"effective_on": deal.day, "drawdown": name, "bank_ref": "TRIED"}
        back |= {"evidence": BANK, "reason": REASON}
        for amount in {left, left + 1} - {0}:
            code = desk.tries({**back, "amount": f"{shown(amount, unit)} {unit}"})
            if (amount <= left) != (code is None):
                outcome = f"{amount}: {code or 'accepted'}"
                yield "law", name, "rule on return beside oracle", outcome, str(left)


def _compared(
    name: str, amount: int, code: str | None, says: int, thinks: int
) -> Iterator[tuple[str, str, str, str, str]]:
    outcome = f"{amount}: {code or 'accepted'}"
    if (amount <= says) != (code is None):
        yield "law", name, "page says available, rule says", str(says), outcome
    if (amount <= thinks) != (code is None):
        yield "law", name, "rule on request beside oracle", outcome, str(thinks)


def _unlock(desk: Desk, deal: oracle.Deal, tranche: str) -> str | None:
    codes = [
        desk.tries(
            {
                "command": "funding unlock",
                "deal": deal.name,
                "actor": person,
                "effective_on": deal.day,
                "reason": REASON,
                "tranche": tranche,
            }
        )
        for person in PEOPLE
    ]
    return None if None in codes else codes[0]


def _draw(desk: Desk, deal: oracle.Deal, facility: str, amount: int) -> str | None:
    """Ask for so much of a facility, wherever it is left."""
    funding = deal.funding
    unit, parts, left = funding.facilities[facility].unit, [], amount
    for name, one in funding.tranches_of(facility).items():
        share = min(left, max(0, one.unlocked - drawn(funding, name)))
        if share:
            parts.append([name, share])
        left -= share
    if left and not parts:
        names = list(funding.tranches_of(facility))
        if not names:
            return "no tranche"
        parts.append([names[0], 0])
    parts[-1][1] += left
    first = oracle.first_value_on(deal.agreement, deal.day)
    opens = funding.facilities[facility].available_from or first
    return desk.tries(
        {
            "command": "funding request-drawdown",
            "deal": deal.name,
            "actor": "bo@orion",
            "effective_on": deal.day,
            "reason": REASON,
            "drawdown": "TRIED",
            "facility": facility,
            "value_on": oracle.first_business_day(deal.agreement, max(first, opens)),
            "allocations": [
                {"tranche": name, "amount": f"{shown(share, unit)} {unit}"}
                for name, share in parts
            ],
        }
    )
