"""What may happen next: proposals that fit the deal as the model sees it, mostly.

Some are wrong on purpose: what the rules refuse is part of a history too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import oracle
from agreement import BINDING
from funding import drawn
from prefix import (
    AMY,
    ANN,
    BANK,
    BO,
    EVE,
    IAN,
    MILLION,
    PAPER,
    SUE,
    life,
)
from prefix import facility as a_facility
from prefix import tranche as a_tranche
from record import Entry
from sums import shown

Line = dict[str, Any]
Lines = list[Line]
T = TypeVar("T")

REASON = "As the books were found to say"


@dataclass
class Proposal:
    """What a move may look at."""

    chance: random.Random
    deal: oracle.Deal
    today: str
    entries: list[Entry]

    def one_of(self, found: Sequence[T]) -> T | None:
        """One of these, if there are any."""
        return self.chance.choice(found) if found else None

    def likely(self, share: float) -> bool:
        """Yes in such a share of cases."""
        return self.chance.random() < share

    def on(self) -> dict[str, Any]:
        """The effective day: today in most cases, else some way back, with a reason."""
        if self.likely(0.7):
            return {"effective_on": self.today}
        back = self.chance.choice((1, 2, 5, 20, 60, 120))
        day = date.fromisoformat(self.today) - timedelta(days=back)
        return {"effective_on": day.isoformat(), "reason": REASON}

    def name(self, stem: str) -> str:
        """A name that this deal does not have yet."""
        return f"{stem}{len(self.entries)}"

    def part(self, whole: int) -> int:
        """Some of an amount, often all."""
        share = self.chance.choice((1, 1, 2, 3))
        return max(1, whole // share)

    def line(self, command: str, actor: str = ANN, **keys: Any) -> Line:
        """A line of this deal."""
        return {"command": command, "actor": actor, **self.on(), **keys}


Move = Callable[[Proposal], Lines]

# Money


def unlock(p: Proposal) -> Lines:
    """Unlock a tranche; one that the model says is ready, if there is any."""
    names = list(p.deal.funding.tranches)
    ready = [name for name in names if isinstance(oracle.unlock(p.deal, name), int)]
    name = p.one_of(ready if ready and p.likely(0.85) else names)
    if name is None:
        return []
    return [p.line("funding unlock", p.chance.choice((ANN, BO)), tranche=name)]


def request(p: Proposal) -> Lines:
    """Request money of a facility, in most cases within what is left."""
    funding = p.deal.funding
    facility = p.one_of(list(funding.facilities))
    if facility is None:
        return []
    left = {
        name: one.unlocked - drawn(funding, name)
        for name, one in funding.tranches_of(facility).items()
    }
    left = {name: most for name, most in left.items() if most > 0}
    if not left:
        return []
    unit = funding.facilities[facility].unit
    names = p.chance.sample(sorted(left), p.chance.randint(1, len(left)))
    parts = [
        {"tranche": name, "amount": f"{shown(p.part(left[name]), unit)} {unit}"}
        for name in names
    ]
    on = p.on()
    value_on = oracle.first_value_on(p.deal.agreement, on["effective_on"])
    keys = {"facility": facility, "allocations": parts, "value_on": value_on}
    ask = {"command": "funding request-drawdown", "actor": BO, **on}
    lines = [{**ask, **keys, "drawdown": p.name("D")}]
    if p.likely(0.6):
        lines += _carry(p, lines[0]["drawdown"], p.chance.randint(1, 3), parts, unit)
    return lines


def _carry(p: Proposal, name: str, steps: int, parts: Lines, unit: str) -> Lines:
    """The steps after a request, each by another person, today."""
    from sums import minor_of

    amount = sum(minor_of(part["amount"]) for part in parts)
    return [
        _draw_step(p, verb, name, f"{shown(amount, unit)} {unit}")
        for verb in ("approve-drawdown", "instruct", "settle")[:steps]
    ]


def _draw_step(p: Proposal, verb: str, name: str, amount: str) -> Line:
    actor = {"approve-drawdown": ANN, "instruct": IAN, "settle": SUE}[verb]
    keys: Line = {"drawdown": name, "effective_on": p.today}
    if verb == "settle":
        keys |= {"amount": amount, "value_on": p.today, "bank_ref": f"FB-{name}"}
        keys["evidence"] = BANK
    return {"command": f"funding {verb}", "actor": actor, **keys}


NEXT = {"requested": "approve-drawdown", "approved": "instruct", "instructed": "settle"}


def draw_on(p: Proposal) -> Lines:
    """Take a drawdown one step on, or back."""
    going = [(n, d) for n, d in p.deal.funding.drawdowns.items() if d.step in NEXT]
    found = p.one_of(going)
    if found is None:
        return []
    name, one = found
    unit = p.deal.funding.facilities[one.facility].unit
    amount = f"{shown(one.amount, unit)} {unit}"
    if p.likely(0.75):
        return [{**_draw_step(p, NEXT[one.step], name, amount), **p.on()}]
    verb, actor = p.chance.choice(
        (("reject-drawdown", ANN), ("withdraw-drawdown", BO), ("fail", SUE))
    )
    ground = {} if verb == "withdraw-drawdown" else {"ground": "No"}
    return [p.line(f"funding {verb}", actor, drawdown=name, **ground)]


def money_back(p: Proposal) -> Lines:
    """Return some of a payment."""
    settled = [
        (n, d)
        for n, d in p.deal.funding.drawdowns.items()
        if d.step == "settled" and d.returned < d.amount
    ]
    found = p.one_of(settled)
    if found is None:
        return []
    name, one = found
    unit = p.deal.funding.facilities[one.facility].unit
    amount = shown(p.part(one.amount - one.returned), unit)
    keys = {"drawdown": name, "amount": f"{amount} {unit}", "bank_ref": p.name("RB")}
    return [p.line("funding return", ANN, evidence=BANK, **keys)]


def cure(p: Proposal) -> Lines:
    """Cure an overfunding: waive, demand and receive, or true up."""
    funding = p.deal.funding
    over = [name for name in funding.facilities if funding.excess(name)]
    name = p.one_of(over) or (
        p.one_of(list(funding.facilities)) if p.likely(0.1) else None
    )
    if name is None:
        return []
    unit = funding.facilities[name].unit
    amount = f"{shown(p.part(funding.excess(name) or 100), unit)} {unit}"
    keys = {"amount": amount}
    if funding.demands and p.likely(0.25):  # Late: it may have lapsed.
        claw = {"clawback": p.one_of(sorted(funding.demands)), **keys}
        bank = {"bank_ref": p.name("CB"), "evidence": BANK}
        return [p.line("funding receive-clawback", ANN, **claw, **bank)]
    if p.likely(0.8):
        keys["effective_on"] = p.today
    match p.chance.choice(("waive", "waive", "claw", "claw", "true-up", "true-back")):
        case "waive":
            return [p.line("funding waive-overfunding", facility=name, **keys)]
        case "claw":
            claw = {"clawback": p.name("CB"), **keys}
            demand = p.line("funding demand-clawback", facility=name, **claw)
            bank = {"bank_ref": p.name("CB"), "evidence": BANK}
            got = {"command": "funding receive-clawback", "actor": ANN, **claw, **bank}
            return [demand, {**got, "effective_on": p.today}][
                : p.chance.choice((1, 2, 2))
            ]
        case way:
            direction = "to_provider" if way == "true-up" else "to_recipient"
            bank = {"bank_ref": p.name("TB"), "evidence": BANK, "text": "Difference"}
            keys |= {"true_up": p.name("TU"), "direction": direction, **bank}
            return [p.line("funding post-true-up", facility=name, **keys)]


def equity(p: Proposal) -> Lines:
    """Issue equity for a payment, or cancel some."""
    standing = [n for n, one in p.deal.funding.equity.items() if not one.cancelled]
    if standing and p.likely(0.3):
        keys = {"certificate_no": p.one_of(standing), "ground": "Returned"}
        return [p.line("funding cancel-equity", BO, **keys)]
    funding = p.deal.funding
    paid = [
        (n, d)
        for n, d in funding.drawdowns.items()
        if d.step == "settled"
        and funding.facilities[d.facility].instrument == "equity"
        and not any(
            s.drawdown == n and not s.cancelled for s in funding.equity.values()
        )
    ]
    found = p.one_of(paid)
    if found is None:
        return []
    name, one = found
    unit = funding.facilities[one.facility].unit
    paid_net = shown(one.amount - one.returned, unit)
    quantity = paid_net.split(".")[0]
    keys = {
        "certificate_no": p.name("EQ"),
        "drawdown": name,
        "share_class": "A",
        "quantity": f"{quantity} shares",
        "price": f"1.00 {unit}",
        "consideration": f"{paid_net} {unit}",
    }
    return [p.line("funding issue-equity", BO, **keys)]


def end_tranche(p: Proposal) -> Lines:
    """Expire a tranche that lapsed, or cancel one."""
    open_ = {n: t for n, t in p.deal.funding.tranches.items() if not t.ended}
    lapsed = [name for name, one in open_.items() if one.lapsed(p.today)]
    if lapsed:
        return [p.line("funding expire-tranche", tranche=p.one_of(lapsed))]
    if open_ and p.likely(0.2):
        return [p.line("funding cancel-tranche", tranche=p.one_of(list(open_)))]
    return []


def structure(p: Proposal) -> Lines:
    """Lay down a facility or a tranche, change a commitment, close a facility."""
    facilities = p.deal.funding.facilities
    if not facilities or p.likely(0.25):
        unit = p.chance.choice(("USD", "EUR", "JPY"))
        return [a_facility(p.chance, p.name("F"), unit, p.today) | {"actor": ANN}]
    name = p.chance.choice(sorted(facilities))
    unit = facilities[name].unit
    if p.likely(0.6) and unit in MILLION:
        numbers = [one.number for one in p.deal.funding.tranches_of(name).values()]
        number = max(numbers, default=0) + 1
        made = a_tranche(p.chance, p.name("X"), name, number, unit, p.today)
        return [{key: value for key, value in made.items() if key != "deal"}]
    if p.likely(0.3):
        return [p.line("funding close-facility", facility=name)]
    causes = [*p.deal.agreement.amendments, *p.deal.agreement.conditions]
    new = f"{p.chance.choice((80, 90, 100, 150))}{MILLION.get(unit, ' shares')}"
    keys = {"facility": name, "new": new, "cause": p.one_of(causes) or "none"}
    return [p.line("funding change-commitment", **keys)]


# Capacity


def build(p: Proposal) -> Lines:
    """Take a rack on: its next step or two, or an order's next serial."""
    capacity = p.deal.capacity
    going = [n for n, s in capacity.systems.items() if s.step < 5 and not s.aside]
    name = p.one_of(going)
    if name is None or p.likely(0.15):
        return _order(p)
    at = capacity.systems[name].step
    rated = p.chance.choice((None, None, "105 kW", "95 kW"))
    left = life(name, rated)[min(at, 4) if at < 4 else 4 :]
    some = left[: p.chance.randint(1, 3)]
    return [
        {
            key: value
            for key, value in one.items()
            if key not in {"deal", "effective_on"}
        }
        | {"effective_on": p.today}
        for one in some
    ]


def _order(p: Proposal) -> Lines:
    orders = p.deal.capacity.orders
    name = p.one_of(list(orders))
    if name is None or p.likely(0.25):
        asked = {"line": 1, "sku": "rack", "sku_version": 1, "quantity": 2}
        keys = {"buyer": p.chance.choice(("orion", "orion", "acme")), "seller": "maker"}
        return [p.line("order place", BO, order=p.name("PO"), lines=[asked], **keys)]
    line = orders[name].lines[1]
    match p.chance.choice(("allocate", "allocate", "change", "cancel", "acknowledge")):
        case "allocate":
            serials = [f"maker/{p.name('S')}"]
            keys = {"line": 1, "systems": serials}
            return [p.line("order allocate", BO, order=name, **keys)]
        case "change":
            new = max(1, line.quantity + p.chance.choice((-1, 1, 2)))
            return [p.line("order change-line", BO, order=name, line=1, new=new)]
        case "cancel":
            return [p.line("order cancel", BO, order=name)] if p.likely(0.4) else []
    return [p.line("order acknowledge", BO, order=name)]


def trouble(p: Proposal) -> Lines:
    """Something goes wrong with a rack, or it comes back."""
    systems = p.deal.capacity.systems
    aside = [n for n, s in systems.items() if s.aside in {"quarantined", "in_rma"}]
    if aside and p.likely(0.6):
        return [p.line("system return-to-service", AMY, system=p.one_of(aside))]
    name = p.one_of([n for n, s in systems.items() if s.aside is None])
    if name is None:
        return []
    verb, keys = p.chance.choice(
        (
            ("quarantine", {"ground": "Alarm"}),
            ("quarantine", {"ground": "Alarm"}),
            ("send-to-rma", {"rma": "R-1", "ground": "Leak"}),
            ("send-to-rma", {"rma": "R-1", "ground": "Leak"}),
            ("derate", {"new": p.chance.choice(("95 kW", "90 kW", "80 kW"))}),
            ("derate", {"new": p.chance.choice(("95 kW", "90 kW", "80 kW"))}),
            ("reject", {"ground": "Errors"}),
            ("return", {"ground": "Beyond repair"}),
            ("decommission", {"ground": "Old"}),
            ("replace", {"by": f"maker/{p.name('N')}"}),
            (
                "replace-component",
                {"component": "tray", "old_serial": "A", "new_serial": "B"},
            ),
        )
    )
    return [p.line(f"system {verb}", AMY, system=name, **keys)]


def certify(p: Proposal) -> Lines:
    """Take a certificate on, or draft one over accepted racks that none counts."""
    going = [
        (name, one)
        for name, one in p.deal.capacity.certificates.items()
        if one.state in {"drafted", "issued"}
    ]
    found = p.one_of(going)
    if found is None:
        return _draft(p)
    name, one = found
    keys = {"certificate": name, "effective_on": p.today}
    steps: Lines = []
    if one.state == "drafted":
        issue = {"command": "certificate issue", "actor": EVE, "evidence": PAPER}
        steps.append({**issue, **keys})
    for actor, party in ((ANN, "acme"), (BO, "orion")):
        if party not in one.countersigned:
            sign = {"command": "certificate countersign", "actor": actor}
            steps.append({**sign, **keys})
    steps.append({"command": "certificate bring-into-effect", "actor": ANN, **keys})
    return steps[: p.chance.choice((1, 2, 4, 4, 4))]


def _draft(p: Proposal) -> Lines:
    counted = {
        system
        for one in p.deal.capacity.certificates.values()
        if one.state != "revoked"
        for system in one.systems
    }
    systems = p.deal.capacity.systems
    free = [n for n, s in systems.items() if s.serves and n not in counted]
    if not free:
        return []
    some = p.chance.sample(free, p.chance.randint(1, len(free)))
    on = p.on()
    keys = {"systems": some, "accepted_by": on["effective_on"]}
    draft = {"command": "certificate draft", "actor": BO, **on}
    return [{**draft, "certificate": p.name("C"), **keys}]


def revoke(p: Proposal) -> Lines:
    """Revoke a certificate."""
    found = p.deal.capacity.certificates
    name = p.one_of([n for n, one in found.items() if one.state != "revoked"])
    if name is None:
        return []
    return [p.line("certificate revoke", EVE, certificate=name, ground="Copied")]


# Paper


def agreement(p: Proposal) -> Lines:
    """Move the agreement: suspend, resume, give notice, end, close; or begin it."""
    found = p.deal.agreement
    if found.state == "definitive_signed":
        return [p.line("agreement bring-into-effect")]
    if found.scopes and p.likely(0.9):
        return [p.line("agreement resume", scopes=sorted(found.scopes))]
    if found.state == "terminating":
        return [p.line("agreement terminate", ground="Notice ran out")]
    if found.state == "terminated":
        return [p.line("agreement close")]
    if found.state in BINDING and p.likely(0.6):
        scopes = p.chance.sample(
            ("draw", "delivery", "milestone"), p.chance.randint(1, 2)
        )
        return [p.line("agreement suspend", scopes=scopes, ground="Default")]
    if p.likely(0.5):
        soon = date.fromisoformat(p.today) + timedelta(days=p.chance.choice((0, 20)))
        keys = {"terminates_on": soon.isoformat(), "ground": "Clause 14"}
        return [p.line("agreement give-notice", **keys)]
    return []


def condition(p: Proposal) -> Lines:
    """Define a condition, or say what became of one."""
    conditions = p.deal.agreement.conditions
    open_ = [name for name, one in conditions.items() if one.state == "open"]
    if open_ and p.likely(0.8):
        verb = p.chance.choice(("satisfy", "satisfy", "waive", "fail"))
        return [p.line(f"agreement {verb}-condition", condition=p.one_of(open_))]
    keys = {
        "condition": p.name("cp"),
        "text": "Something else",
        "scope": p.chance.choice(("draw", "draw", "tranche", "agreement")),
        "waivable_by": "acme",
    }
    return [p.line("agreement define-condition", **keys)]


def milestone(p: Proposal) -> Lines:
    """Take a milestone on, back or aside."""
    milestones = p.deal.agreement.milestones
    name = p.one_of(list(milestones))
    if name is None:
        keys = {"title": "T", "track": "model", "owner": "orion"}
        day = {"target_on": "2025-07-01"}
        return [p.line("milestone propose", milestone="m1", **keys, **day)]
    keys = {"milestone": name}
    match milestones[name].state:
        case "proposed":
            lines = [("agree", {}, ANN), ("agree", {}, BO)]
        case "agreed" | "missed":
            lines = [("submit-evidence", {"summary": "Run", "result": "5.2"}, BO)]
        case "evidenced":
            lines = [("sign-off", {}, ANN), ("sign-off", {}, BO), ("achieve", {}, ANN)]
        case "disputed":
            upheld = p.likely(0.4)
            lines = [("settle-dispute", {"upheld": upheld, "outcome": "So"}, ANN)]
        case _:
            lines = [("dispute", {"ground": "Other batch"}, ANN)]
    if p.likely(0.3):
        lines = [
            p.chance.choice(
                (
                    ("dispute", {"ground": "Other batch"}, BO),
                    ("reschedule", {"new": "2025-09-30"}, ANN),
                    ("rebaseline", {"platform": "next"}, ANN),
                    ("miss", {}, ANN),
                    ("waive", {}, ANN),
                    ("cancel", {}, ANN),
                )
            )
        ]
    return [
        p.line(f"milestone {verb}", who, **keys, **more) for verb, more, who in lines
    ]


def observe(p: Proposal) -> Lines:
    """See a price, an event, an attestation, a default or its cure."""
    open_ = [name for name, one in p.deal.agreement.defaults.items() if one]
    if open_ and p.likely(0.7):
        return [p.line("observation cure-default", default=p.one_of(open_))]
    verb, keys = p.chance.choice(
        (
            (
                "price",
                {
                    "instrument": "ACME",
                    "price": p.chance.choice(("19.99 USD", "20 USD", "31.5 USD")),
                    "days": p.chance.choice((1, 5)),
                },
            ),
            ("corporate-event", {"kind": p.chance.choice(("listing", "merger"))}),
            ("attest", {"label": "panel", "by": "Panel"}),
            (
                "declare-default",
                {"default": p.name("DF"), "party": "orion", "ground": "Unpaid"},
            ),
        )
    )
    return [p.line(f"observation {verb}", **keys)]


def amend(p: Proposal) -> Lines:
    """Propose an amendment, and often carry it through."""
    changes = [
        p.chance.choice(
            (
                {"path": "overhead_ratio", "new": "1.30"},
                {"path": "pue", "new": "1.21"},
                {"path": "capacity_floor", "new": "2000000 W"},
                {"path": "notice_business_days", "new": "3"},
                {"path": "funding_cap", "new": "700000000.00 USD"},
                {"path": "unlock_basis", "new": "current"},
                {"path": "unlock_basis", "new": "high_water"},
                {"path": "facility.main.commitment", "new": "150000000.00 USD"},
                {"path": "condition.permit.long_stop_on", "new": "2025-12-01"},
            )
        )
    ]
    name = {"amendment": p.name("A")}
    keys = {"effective_on": p.today, **name}
    relock = {"relock": True} if p.likely(0.5) else {}
    propose = p.line("agreement propose-amendment", changes=changes, **name, **relock)
    rest = [
        {"command": "agreement sign-amendment", "actor": ANN, **keys},
        {"command": "agreement sign-amendment", "actor": BO, **keys},
        {"command": "agreement effect-amendment", "actor": ANN, **keys},
    ]
    return [propose, *rest[: p.chance.choice((0, 1, 3, 3, 3))]]


# The record itself


def reverse(p: Proposal) -> Lines:
    """Ask for an entry's reversal with what relied on it, and have it approved."""
    gone = {
        mark.data["position"] for mark in p.entries if mark.kind == "record.reversed"
    }
    standing = [
        entry.position
        for entry in p.entries
        if entry.deal == p.deal.name
        and entry.position not in gone
        and not entry.kind.startswith(("record.", "reversal."))
    ]
    early = len(standing) // 4 if p.likely(0.3) else len(standing) * 3 // 4
    found = p.one_of(standing[early:])
    if found is None:
        return []
    asked = {e.stream for e in p.entries if e.kind == "reversal.requested"}
    mine = [stream for stream in asked if stream.split("/")[1] == p.deal.name]
    name = f"R-{len(mine) + 1}"
    ask = {"positions": [found], "with_reliant": True}
    lines = [p.line("reverse request", ANN, **{"reason": "Wrong", **ask})]
    approve = {"command": "reverse approve", "reversal": name, "reason": REASON}
    if p.likely(0.85):
        lines.append({**approve, "actor": BO, "effective_on": p.today})
    return lines


def books(p: Proposal) -> Lines:
    """Open or close an accounting period."""
    periods = p.deal.agreement.periods
    open_ = [n for n, one in periods.items() if not one["closed_on"]]
    if open_:
        return [p.line("period close", period=p.one_of(open_))]
    span = {"begins_on": "2025-04-01", "ends_on": "2025-06-10"}
    if not periods:
        span["begins_on"] = "2025-01-01"
    return [p.line("period open", period=p.name("P"), **span)]


def pressing(p: Proposal) -> list[Move]:
    """What the deal's state asks for: to resume, to draw, to pay, to cure."""
    funding = p.deal.funding
    names = list(funding.facilities)
    steps = {one.step for one in funding.drawdowns.values()}
    wanted: list[Move] = []
    if p.deal.agreement.scopes or any(p.deal.agreement.defaults.values()):
        wanted += [agreement, observe]
    if any(funding.excess(name) for name in names):
        wanted += [cure, cure, unlock]
    if any(oracle.available(p.deal, name) for name in names):
        wanted.append(request)
    if steps & set(NEXT):
        wanted.append(draw_on)
    if "settled" in steps and p.deal.agreement.binding:
        wanted += [revoke, revoke, equity]
    return wanted


MOVES: dict[Move, int] = {
    unlock: 14,
    request: 12,
    draw_on: 10,
    money_back: 3,
    cure: 5,
    equity: 3,
    end_tranche: 2,
    structure: 4,
    build: 8,
    trouble: 5,
    certify: 8,
    revoke: 4,
    agreement: 3,
    condition: 2,
    milestone: 5,
    observe: 3,
    amend: 3,
    reverse: 4,
    books: 2,
}
