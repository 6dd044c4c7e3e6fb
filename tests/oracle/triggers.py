"""Triggers and formulas: what is missing, how far it is, and how much would unlock."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import capacity as built
from agreement import Agreement
from capacity import Capacity
from sums import minor_of, watts_of


class Found(NamedTuple):
    """Whether it is met, what is missing, and certified watts to go where it asks."""

    met: bool
    missing: tuple[str, ...]
    gap_w: int | None


class World(NamedTuple):
    """What a trigger may look at."""

    agreement: Agreement
    capacity: Capacity
    day: str


def evaluate(trigger: dict[str, Any], world: World) -> Found:
    """Evaluate a tree: of `any` the least gap counts, of `all` the greatest."""
    if trigger["when"] not in {"all", "any"}:
        return _leaf(trigger, world)
    found = [evaluate(one, world) for one in trigger["of"]]
    open_ = [one for one in found if not one.met]
    met = not open_ if trigger["when"] == "all" else len(open_) < len(found)
    if met:
        return Found(met=True, missing=(), gap_w=0)
    missing = tuple(what for one in open_ for what in one.missing)
    gaps = [one.gap_w for one in open_ if one.gap_w is not None]
    choose = max if trigger["when"] == "all" else min
    return Found(met=False, missing=missing, gap_w=choose(gaps) if gaps else None)


def _leaf(leaf: dict[str, Any], world: World) -> Found:
    kind = leaf["when"]
    if kind in {"capacity_certified", "capacity_purchased"}:
        return _capacity(leaf, world)
    met = _met(leaf, world)
    return Found(met, () if met else (kind,), 0 if met else None)


def _capacity(leaf: dict[str, Any], world: World) -> Found:
    asked = watts_of(leaf["at_least"])
    if leaf["when"] == "capacity_purchased":
        earning = leaf.get("earning_parties", [])
        met = built.purchased_w(world.capacity, earning) >= asked
        return Found(met, () if met else (leaf["when"],), 0 if met else None)
    basis = world.agreement.basis
    if basis == "unspecified" or leaf.get("basis", basis) != basis:
        return Found(met=False, missing=("basis",), gap_w=None)
    gap = max(0, asked - built.certified_w(world.capacity, world.agreement))
    return Found(not gap, (leaf["when"],) if gap else (), gap)


def _met(leaf: dict[str, Any], world: World) -> bool:
    agreement = world.agreement
    match leaf["when"]:
        case "milestone_achieved":
            milestone = agreement.milestones.get(leaf["milestone"])
            return milestone is not None and milestone.state == "achieved"
        case "condition_met":
            condition = agreement.conditions.get(leaf["condition"])
            return condition is not None and condition.met
        case "agreement_in_effect":
            return agreement.binding
        case "date_reached":
            return world.day >= leaf["on"]
        case "price_at_least":
            return any(_price(leaf, seen.data) for seen in agreement.seen)
        case "corporate_event":
            return _seen(agreement, "observation.corporate_event", "kind", leaf["kind"])
        case "attested":
            return _seen(agreement, "observation.attested", "label", leaf["label"])
    raise AssertionError(leaf)


def _seen(agreement: Agreement, kind: str, key: str, value: str) -> bool:
    found = (one for one in agreement.seen if one.kind == kind)
    return any(one.data[key] == value for one in found)


def _price(leaf: dict[str, Any], seen: dict[str, Any]) -> bool:
    """A price of the same instrument, method, window and currency, high enough."""
    if seen["type"] != "observation.price_observed":
        return False
    same = seen["instrument"] == leaf["instrument"]
    same &= seen.get("method", "close") == leaf.get("method", "close")
    same &= seen.get("days", 1) == leaf.get("days", 1)
    value, unit = seen["price"].split(" ")
    asked, currency = leaf["price"].split(" ")
    return same and unit == currency and Fraction(value) >= Fraction(asked)


def measures(formula: dict[str, Any]) -> bool:
    """Whether a formula pays by certified capacity."""
    return formula["rule"] != "fixed"


def cumulative(formula: dict[str, Any], size: int, certified_w: int) -> int:
    """What a formula gives in all for so many watts, within the tranche's size."""
    amount = minor_of(formula["amount"])
    match formula["rule"]:
        case "step":
            amount *= certified_w // watts_of(formula["block"])
        case "linear":
            amount = amount * certified_w // watts_of(formula["per"])
    return min(amount, size)


def most(formula: dict[str, Any], size: int) -> int:
    """What a tranche of a size can ever unlock: a fixed amount may be less."""
    return size if measures(formula) else min(minor_of(formula["amount"]), size)
