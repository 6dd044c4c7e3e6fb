"""The model of a deal: every figure and state for any as-of and known-at.

Written from the domain's pages alone; README.md lists what they leave open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import agreement as signed
import capacity as built
import funding as funds
from agreement import Agreement
from capacity import Capacity
from funding import Funding, Tranche
from record import Entry, cut
from sums import minor_of, unit_of, watts_of
from triggers import World, cumulative, evaluate, measures, most

RUNGS = ("committed", "unlocked", "requested", "approved", "disbursed")
# What the pages leave open, as switches; README.md says why each stands as it does.
TRANCHE_CONDITIONS_GUARD = True
CAPACITY_IS_PAID_ONCE = True


@dataclass
class Deal:
    """A deal as of a day, as known at a moment."""

    name: str
    day: str
    agreement: Agreement = field(default_factory=Agreement)
    capacity: Capacity = field(default_factory=Capacity)
    funding: Funding = field(default_factory=Funding)

    @property
    def world(self) -> World:
        """What triggers look at."""
        return World(self.agreement, self.capacity, self.day)

    @property
    def known(self) -> bool:
        """Whether the deal was opened by then."""
        return self.agreement.step != "none"


def deal_at(
    entries: list[Entry], name: str, as_of: str, known_at: int | str | None = None
) -> Deal:
    """A deal as of a day, as known at a position or a recorded time."""
    deal = Deal(name, as_of)
    for entry in cut(entries, name, as_of, known_at):
        if entry.status != "confirmed":
            continue  # Claims come later.
        signed.take(deal.agreement, entry)
        built.take(deal.capacity, entry)
        funds.take(deal.funding, entry)
    return deal


# Money


def position(deal: Deal, name: str) -> dict[str, int]:
    """A facility's position: every rung, what may be drawn, what is in excess.

    Where the facility is closed or the agreement has ended, only what is paid or
    approved stays on every rung: the rest is cancelled.
    """
    funding, facility = deal.funding, deal.funding.facilities[name]
    paid, promised = funding.paid(name), funding.promised(name)
    requested = funding.asked(name) + promised + paid
    unlocked, committed = funding.unlocked(name), facility.commitment
    if facility.closed or deal.agreement.ended:
        committed = requested = promised + paid
        unlocked = min(unlocked, committed)
    elif not deal.agreement.binding:
        committed = 0
    return {
        "cap": facility.commitment,
        "committed": committed,
        "unlocked": unlocked,
        "requested": requested,
        "approved": promised + paid,
        "disbursed": paid,
        "clawed_back": facility.clawed_back,
        "available": available(deal, name),
        "locked": facility.commitment - unlocked,
        "overfunded": funding.excess(name),
    }


def available(deal: Deal, name: str) -> int:
    """What could be drawn of a facility on the day."""
    if barred(deal, name):
        return 0
    funding = deal.funding
    left = funding.unlocked(name) - funding.paid(name) - funding.promised(name)
    tranches = funding.tranches_of(name)
    parts = (one.unlocked - funds.drawn(funding, n) for n, one in tranches.items())
    room = any(part > 0 for part in parts)
    return max(0, left) if room else 0


def barred(deal: Deal, name: str) -> str | None:
    """Why nothing can be drawn of a facility on the day, if so."""
    agreement, facility = deal.agreement, deal.funding.facilities[name]
    draws = [one for one in agreement.conditions.values() if one.scope == "draw"]
    first = first_value_on(agreement, deal.day)
    reasons = {
        "state": not agreement.binding,
        "suspended": "draw" in agreement.scopes,
        "default": any(agreement.defaults.values()),
        "condition": not all(one.met for one in draws),
        "closed": facility.closed,
        "shares": facility.unit == "shares",
        "availability": facility.available_to is not None
        and max(first, facility.available_from or first) > facility.available_to,
        "overfunded": deal.funding.excess(name) > 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def first_value_on(agreement: Agreement, day: str) -> str:
    """The earliest value date of a request made on a day: a business day, with notice.

    A request made on a day without business counts from the next business day.
    """
    at = date.fromisoformat(first_business_day(agreement, day))
    for _ in range(agreement.terms.get("notice_business_days", 0)):
        at += timedelta(days=1)
        while not business(agreement, at):
            at += timedelta(days=1)
    return at.isoformat()


def first_business_day(agreement: Agreement, day: str) -> str:
    """The first business day from a day on."""
    at = date.fromisoformat(day)
    while not business(agreement, at):
        at += timedelta(days=1)
    return at.isoformat()


def business(agreement: Agreement, day: date) -> bool:
    """Whether a day is a business day of the calendar that the terms name."""
    calendar = agreement.terms.get("calendar") or ""
    weekend = agreement.weekend.get(calendar, {5, 6})
    holidays = agreement.holidays.get(calendar, set())
    return day.weekday() not in weekend and day.isoformat() not in holidays


def ladder(deal: Deal) -> dict[tuple[str, str, str, str], int]:
    """Both ladders, by ladder, facility, rung and unit."""
    found: dict[tuple[str, str, str, str], int] = {}
    cap = deal.agreement.announced("funding_cap")
    if cap:
        key = ("funding", "", "announced", unit_of(cap))
        found[key] = minor_of(cap)
    for name, facility in deal.funding.facilities.items():
        rungs = position(deal, name)
        for rung in RUNGS:
            found["funding", name, rung, facility.unit] = rungs[rung]
    if cap and not deal.funding.facilities:
        found |= {("funding", "", rung, unit_of(cap)): 0 for rung in RUNGS}
        found["funding", "", "committed", unit_of(cap)] = _cap(deal)
    for rung, watts in built.ladder(deal.capacity, deal.agreement).items():
        found["capacity", "", rung, "W"] = watts
    return found


def totals(deal: Deal) -> dict[str, dict[str, int]]:
    """What a list of deals tells of the money, in each unit: none is added to another."""
    cap, facilities = deal.agreement.announced("funding_cap"), deal.funding.facilities
    units = [one.unit for _, one in sorted(facilities.items())]
    money = [unit for unit in units if unit != "shares"]
    first = unit_of(cap) if cap else next(iter(money), "USD")
    found = {
        unit: {"announced": 0, "committed": 0, "disbursed": 0}
        for unit in (first, *units)
    }
    found[first]["announced"] = minor_of(cap) if cap else 0
    for name, facility in facilities.items():
        rungs = position(deal, name)
        for rung in ("committed", "disbursed"):
            found[facility.unit][rung] += rungs[rung]
    if not facilities:
        found[first]["committed"] = _cap(deal)
    return found


def _cap(deal: Deal) -> int:
    """What the terms in force commit while no facility is defined yet."""
    cap = deal.agreement.terms.get("funding_cap")
    return minor_of(cap) if cap and deal.agreement.binding else 0


def flags(deal: Deal) -> set[str]:
    """Why a rung may exceed the one below it."""
    found = set()
    for name, facility in deal.funding.facilities.items():
        rungs = position(deal, name)
        if rungs["overfunded"]:
            found.add("overfunded")
        if facility.waived:
            found.add("overfunding_waived")
        if rungs["requested"] > max(rungs["unlocked"], rungs["disbursed"]):
            found.add("requests_exceed_unlocked")
    watts = built.ladder(deal.capacity, deal.agreement)
    systems = deal.capacity.systems.values()
    lost = any(one.aside not in {None, "replaced"} for one in systems)
    if lost or watts["certified"] > watts["accepted"]:
        found.add("systems_out_of_service")
    return found


# Unlocking


def unlock(deal: Deal, name: str) -> int | str:
    """What would be unlocked of a tranche on the day, or the kind of reason why not."""
    tranche = deal.funding.tranches[name]
    facility = deal.funding.facilities[tranche.facility]
    waiting = _guarding(deal, name) if TRANCHE_CONDITIONS_GUARD else []
    reasons = {
        "state": not deal.agreement.binding,
        "closed": facility.closed,
        "ended": tranche.ended is not None,
        "lapsed": tranche.lapsed(deal.day),
        "sequence": facility.in_sequence and _waits(deal, tranche),
        "condition": bool(waiting),
        "basis": measures(tranche.formula) and deal.agreement.basis == "unspecified",
        "trigger": not evaluate(tranche.trigger, deal.world).met,
    }
    for reason, holds in reasons.items():
        if holds:
            return reason
    more = cumulative(tranche.formula, tranche.size, measured_w(deal, name))
    more -= tranche.unlocked
    if more <= 0:
        return "paid"
    over = deal.funding.unlocked(tranche.facility) + more > facility.commitment
    return "commitment" if over else more


def _guarding(deal: Deal, name: str) -> list[str]:
    """Conditions of scope tranche, not met, that guard a tranche.

    One guards the tranches whose triggers name it; every one where none does.
    """
    named = {n: set(_named(one.trigger)) for n, one in deal.funding.tranches.items()}
    anywhere = set().union(*named.values())
    return [
        condition
        for condition, found in deal.agreement.conditions.items()
        if found.scope == "tranche"
        and not found.met
        and (condition in named[name] or condition not in anywhere)
    ]


def _named(trigger: dict[str, Any]) -> list[str]:
    """The conditions that a trigger names."""
    below = [name for one in trigger.get("of", []) for name in _named(one)]
    return [*below, trigger["condition"]] if "condition" in trigger else below


def _waits(deal: Deal, tranche: Tranche) -> bool:
    """Whether one before it in the facility can still unlock more."""
    before = deal.funding.tranches_of(tranche.facility).values()
    return any(
        one.number < tranche.number
        and one.ended is None
        and not one.lapsed(deal.day)
        and one.unlocked < most(one.formula, one.size)
        for one in before
    )


def measured_w(deal: Deal, name: str) -> int:
    """The capacity that a tranche may be paid for: not what another was paid for."""
    return max(0, certified_w(deal) - _spent_w(deal, name))


def certified_w(deal: Deal) -> int:
    """What stands certified, on the agreement's basis."""
    return built.certified_w(deal.capacity, deal.agreement)


def _spent_w(deal: Deal, name: str) -> int:
    """The capacity that other tranches of its facility, by its rule, were paid for."""
    if not CAPACITY_IS_PAID_ONCE:
        return 0
    mine = deal.funding.tranches[name]
    others = deal.funding.tranches_of(mine.facility)
    return sum(
        _paid_for_w(one)
        for n, one in others.items()
        if n != name and one.formula["rule"] == mine.formula["rule"]
    )


def _paid_for_w(tranche: Tranche) -> int:
    """The capacity that stands behind what is unlocked of a tranche."""
    formula, amount = tranche.formula, tranche.unlocked
    if not measures(formula) or not amount:
        return 0
    step = watts_of(formula.get("block") or formula.get("per"))
    each = minor_of(formula["amount"])
    if formula["rule"] == "step":
        return -(-amount // each) * step
    return -(-amount * step // each)


def told(deal: Deal, name: str) -> dict[str, Any]:
    """What an evaluation tells of a tranche: met, missing, gap, and the outcome."""
    tranche = deal.funding.tranches[name]
    found = evaluate(tranche.trigger, deal.world)
    return {
        "met": found.met,
        "missing": found.missing,
        "gap_w": max(found.gap_w or 0, _formula_gap_w(deal, name)),
        "unlock": unlock(deal, name),
        "certified_w": certified_w(deal),
    }


def _formula_gap_w(deal: Deal, name: str) -> int:
    """Watts to go before the formula gives more than is unlocked.

    A step formula asks for its next block, a linear one for the least unit of money.
    """
    tranche = deal.funding.tranches[name]
    formula = tranche.formula
    each = minor_of(formula["amount"])
    match formula["rule"]:
        case "step":
            asked_w = (tranche.unlocked // each + 1) * watts_of(formula["block"])
        case "linear":
            asked_w = -(-(tranche.unlocked + 1) * watts_of(formula["per"]) // each)
        case _:
            return 0
    return max(0, asked_w + _spent_w(deal, name) - certified_w(deal))
