"""What the product says beside what the oracle says: the differences, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

import capacity as built
import oracle
from agreement import Condition
from capacity import System
from history import History, Moment


class Difference(NamedTuple):
    """One figure or state that two sides tell differently."""

    seed: int
    moment: str
    view: str
    key: str
    column: str
    product: str
    oracle: str

    @property
    def kind(self) -> str:
        """What the difference is about, whatever the seed."""
        return f"{self.view}.{self.column}"

    def told(self) -> tuple[str, ...]:
        """The difference as parts of a line."""
        return (
            f"seed {self.seed}",
            self.moment,
            self.view,
            self.key,
            self.column,
            f"product {self.product}",
            f"oracle {self.oracle}",
        )


def compare(history: History, moments: list[Moment]) -> list[Difference]:
    """Hold every view of every deal against the oracle at some moments."""
    found: list[Difference] = []
    for stored in (False, True):
        if stored:
            history.desk.follow()
        for moment in moments:
            for name in history.deals:
                found += _at(history, name, moment, "stored" if stored else "folded")
    return found


def _at(history: History, name: str, moment: Moment, how: str) -> Iterator[Difference]:
    told = history.desk.ask(name, moment.as_of, moment.known_at, moment.today)
    deal = oracle.deal_at(history.desk.entries(), name, moment.day, moment.known_at)
    history.ready |= any(
        isinstance(oracle.unlock(deal, tranche), int)
        for tranche in deal.funding.tranches
    )
    label = f"{name} as of {moment.as_of or 'today'} known at {moment.known_at or 'now'} {how}"
    if told is None or not deal.known:
        if (told is None) != (not deal.known):
            yield Difference(
                history.seed,
                label,
                "deals",
                name,
                "known",
                str(told is not None),
                str(deal.known),
            )
        return
    for view, key, column, here, there in differences(told, deal):
        yield Difference(
            history.seed, label, view, str(key), column, str(here), str(there)
        )


def differences(
    told: dict[str, Any], deal: oracle.Deal
) -> Iterator[tuple[str, Any, str, Any, Any]]:
    """View, key, column, product and oracle of all that differs."""
    for view, expect in EXPECTED.items():
        expected = expect(deal)
        found = told[view]
        for key in sorted({*expected, *found}, key=str):
            if key not in found or key not in expected:
                yield view, key, "row", key in found, key in expected
                continue
            for column, value in expected[key].items():
                if found[key].get(column) != value:
                    yield view, key, column, found[key].get(column), value
    yield from _standing(told["standing"], deal)
    yield from _distance(told, deal)
    yield from _climbing(told)


def _climbing(told: dict[str, Any]) -> Iterator[tuple[str, Any, str, Any, Any]]:
    """No rung exceeds the one below it, unless a flag of the page says why."""
    flags = told["standing"]["flags"]
    for name, row in told["commitment"].items():
        for low, high in pairwise(oracle.RUNGS):
            if row[high] > row[low] and not flags & MONEY_FLAGS[high]:
                yield "ladder", name, f"{high} over {low}", row[high], row[low]
    rungs = told["standing"]["rungs"]
    watts = {key[2]: found for key, found in rungs.items() if key[0] == "capacity"}
    for low, high in pairwise((*built.RUNGS, "certified")):
        if watts[high] > watts[low] and "systems_out_of_service" not in flags:
            yield "ladder", "capacity", f"{high} over {low}", watts[high], watts[low]


OVERFUNDED = {"overfunded", "overfunding_waived"}
MONEY_FLAGS = {
    "unlocked": set(),
    "requested": {*OVERFUNDED, "requests_exceed_unlocked"},
    "approved": set(),
    "disbursed": set(),
}
"""Which flags say why a rung of money exceeds the one below it."""


def _standing(
    told: dict[str, Any], deal: oracle.Deal
) -> Iterator[tuple[str, Any, str, Any, Any]]:
    if told["state"] != deal.agreement.state:
        yield "standing", "", "state", told["state"], deal.agreement.state
    flags = oracle.flags(deal)
    if told["flags"] != flags:
        yield "standing", "", "flags", sorted(told["flags"]), sorted(flags)
    expected = oracle.ladder(deal)
    for key, value in expected.items():
        ladder, facility, rung, unit = key
        found = _rung(told["rungs"], deal, key)
        if found != value:
            yield (
                "standing",
                f"{facility} {unit}".strip(),
                f"{ladder}/{rung}",
                found,
                value,
            )


def _rung(
    rungs: dict[Any, int | None], deal: oracle.Deal, key: tuple[str, str, str, str]
) -> int | str | None:
    """A rung as the standing tells it, by undertaking where it names any."""
    ladder, facility, rung, unit = key
    by_facility = any(one[1] for one in rungs)
    if not by_facility and facility and len(deal.funding.facilities) > 1:
        return "one row for all facilities"
    where = facility or None if by_facility else None
    for undertaking in (where, where or ""):
        if (ladder, undertaking, rung, unit) in rungs:
            return rungs[ladder, undertaking, rung, unit]
    return "no row"


def _distance(
    told: dict[str, Any], deal: oracle.Deal
) -> Iterator[tuple[str, Any, str, Any, Any]]:
    rows = told["distance"]
    ready = {name for name, row in rows.items() if row["ready"]}
    for name, tranche in deal.funding.tranches.items():
        outcome = oracle.unlock(deal, name)
        if (name in ready) != isinstance(outcome, int):
            yield "distance", name, "ready", name in ready, outcome
        row, says = rows.get(name), oracle.told(deal, name)
        if row is None:
            continue
        if row["unlocked"] != tranche.unlocked:
            yield "distance", name, "unlocked", row["unlocked"], tranche.unlocked
        if row["certified_w"] != says["certified_w"]:
            yield (
                "distance",
                name,
                "certified_w",
                row["certified_w"],
                says["certified_w"],
            )
        measured = not says["met"] and "basis" not in says["missing"]
        if measured and (row["gap_w"] or 0) != says["gap_w"]:
            yield "distance", name, "gap_w", row["gap_w"], says["gap_w"]
    first = told["standing"]["first_ready"]
    if first and not isinstance(oracle.unlock(deal, first), int):
        yield "standing", first, "next_trigger", "ready", oracle.unlock(deal, first)


# What the oracle expects of a view, row by row


def _deals(deal: oracle.Deal) -> dict[str, Any]:
    rungs = built.ladder(deal.capacity, deal.agreement)
    return {
        f"{deal.name} {unit}": {
            "title": deal.agreement.title,
            "state": deal.agreement.state,
            **money,
            "capacity_announced": rungs["announced"],
            "capacity_accepted": rungs["accepted"],
        }
        for unit, money in oracle.totals(deal).items()
    }


def _conditions(deal: oracle.Deal) -> dict[str, Any]:
    return {
        name: {
            "scope": one.scope,
            "state": one.state,
            "long_stop_on": one.long_stop_on,
            "owner": one.owner,
            "waivable_by": one.waivable_by,
            "on": one.on,
            "days_left": _left(one, deal.day),
        }
        for name, one in deal.agreement.conditions.items()
    }


def _left(condition: Condition, day: str) -> int | None:
    if condition.state != "open" or condition.long_stop_on is None:
        return None
    end = date.fromisoformat(condition.long_stop_on)
    return (end - date.fromisoformat(day)).days


def _milestones(deal: oracle.Deal) -> dict[str, Any]:
    return {
        name: {
            "state": one.state,
            "target_on": one.target_on,
            "first_target_on": one.first_target_on,
            "achieved_on": one.achieved_on,
            "result": one.result,
            "agreed_by": tuple(sorted(one.agreed)),
            "signed_off_by": tuple(sorted(one.signed)),
        }
        for name, one in deal.agreement.milestones.items()
    }


def _fleet(deal: oracle.Deal) -> dict[str, Any]:
    groups: dict[Any, list[System]] = {}
    for one in deal.capacity.systems.values():
        key = (one.site or "-", one.sku, one.sku_version, one.state)
        groups.setdefault(key, []).append(one)
    return {
        key: {
            "systems": len(group),
            "gpu_packages": sum(one.packages for one in group),
            "gpu_dies": sum(one.dies for one in group),
            "watts": sum(one.watts for one in group),
        }
        for key, group in groups.items()
    }


def _certificates(deal: oracle.Deal) -> dict[str, Any]:
    return {
        name: {
            "state": one.state,
            "systems": len(one.systems),
            "certified_w": one.certified_w,
            "issuer": one.issuer,
            "countersigned": tuple(sorted(one.countersigned)),
            **({"since": one.since} if one.state != "issued" else {}),
        }
        for name, one in deal.capacity.certificates.items()
    }


def _commitment(deal: oracle.Deal) -> dict[str, Any]:
    return {
        name: {
            "provider": one.provider,
            "recipient": one.recipient,
            "instrument": one.instrument,
            "unit": one.unit,
            "expires_on": one.available_to,
            **oracle.position(deal, name),
        }
        for name, one in deal.funding.facilities.items()
    }


def _drawdowns(deal: oracle.Deal) -> dict[str, Any]:
    funding = deal.funding
    return {
        name: {
            "facility": one.facility,
            "tranches": tuple(sorted({tranche for tranche, _ in one.parts})),
            "amount": one.amount,
            "unit": funding.facilities[one.facility].unit,
            "state": one.state,
            "value_on": one.value_on,
            "bank_ref": one.bank_ref,
            "returned": one.returned,
            "equity": tuple(
                sorted(
                    number
                    for number, share in funding.equity.items()
                    if share.drawdown == name and not share.cancelled
                )
            ),
        }
        for name, one in funding.drawdowns.items()
    }


EXPECTED = {
    "deals": _deals,
    "conditions": _conditions,
    "milestones": _milestones,
    "fleet": _fleet,
    "certificates": _certificates,
    "commitment": _commitment,
    "drawdowns": _drawdowns,
}
