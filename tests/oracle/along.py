"""Laws along the record: what each entry says, judged by what stood before it.

An unlock is what the formula gives on its day; a drawdown is within what was available;
a revocation locks again what its certificate alone carried; an excess is declared in
the transaction that brings it about, and cured in the one that ends it.
Entries dated back are judged by their own day in another release (README.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import oracle
from history import History
from oracle import Deal
from record import Entry, standing, transactions
from sums import minor_of
from triggers import cumulative, evaluate


def broken(history: History) -> Iterator[tuple[str, str, str, str, str]]:
    """Deal and position, subject, law, what the record says, what it should."""
    entries = history.desk.entries()
    told = {entry.data.get("facility") for entry in entries}
    if "main" not in told:  # Every prefix defines it, and no rule has a ground.
        yield "prefix", "main", "facility defined", "refused", "accepted"
    for entry in entries:
        label = f"{entry.deal} #{entry.position}"
        if entry.status != "confirmed" or entry.on != entry.recorded_at[:10]:
            continue
        if entry.kind == "funding.tranche_unlocked":
            yield from _unlocked(entries, entry, label)
        elif entry.kind == "funding.drawdown_requested":
            yield from _requested(entries, entry, label)
        elif entry.kind == "funding.clawback_received":
            yield from _received(entries, entry, label)
    yield from ((at, name, "re-lock", *both) for at, name, *both in relocks(history))
    yield from _declared(entries)
    for name in history.deals:
        for at in history.deal(name).funding.dangling:
            yield f"{name} #{at}", entries[at - 1].kind, "dangling", "stands", "gone"


def _unlocked(
    entries: list[Entry], entry: Entry, label: str
) -> Iterator[tuple[str, str, str, str, str]]:
    name, data = entry.data["tranche"], entry.data
    before = oracle.deal_at(entries, entry.deal, entry.on, entry.position - 1)
    outcome = oracle.unlock(before, name)
    if outcome != minor_of(data["amount"]):
        law = "unlock amount" if isinstance(outcome, int) else "unlock at all"
        yield label, name, law, data["amount"], str(outcome)
        return
    cumulative_ = before.funding.tranches[name].unlocked + minor_of(data["amount"])
    if minor_of(data["cumulative"]) != cumulative_:
        yield label, name, "cumulative", data["cumulative"], str(cumulative_)


def _requested(
    entries: list[Entry], entry: Entry, label: str
) -> Iterator[tuple[str, str, str, str, str]]:
    data = entry.data
    before = oracle.deal_at(entries, entry.deal, entry.on, entry.position - 1)
    most = oracle.available(before, data["facility"])
    if minor_of(data["amount"]) > most:
        yield label, data["drawdown"], "request", data["amount"], f"at most {most}"


def _received(
    entries: list[Entry], entry: Entry, label: str
) -> Iterator[tuple[str, str, str, str, str]]:
    """A demand stands for its excess: once that is cured, nothing of it is owed."""
    before = oracle.deal_at(entries, entry.deal, entry.on, entry.position - 1)
    name, amount = entry.data["clawback"], entry.data["amount"]
    owed = before.funding.owed(name)
    if minor_of(amount) > owed:
        yield label, name, "clawback received", amount, f"at most {owed}"


def _declared(entries: list[Entry]) -> Iterator[tuple[str, str, str, str, str]]:
    """Overfunding is declared where it begins or grows, cured where it ends.

    A reversal takes declarations and cures back with what they rested on, and tells
    only what then does not stand yet. The flag stands just while there is an excess.
    """
    excess: dict[tuple[str, str], int] = {}
    for at in transactions(entries):
        entry = entries[at - 1]
        same = [one for one in entries if one.recorded_at == entry.recorded_at]
        if not any(one.kind.startswith(("funding.", "record.")) for one in same):
            continue
        deal = oracle.deal_at(entries, entry.deal, entry.recorded_at[:10], at)
        for name in deal.funding.facilities:
            key = (entry.deal, name)
            before, now = excess.get(key, 0), deal.funding.excess(name)
            excess[key] = now
            expected = _should_say(before, now)
            said = _said(same, name)
            flagged = deal.funding.facilities[name].flagged
            if flagged != bool(now):
                yield f"{entry.deal} #{at}", name, "flag", str(flagged), str(now)
            taken_back = any(one.kind == "record.reversed" for one in same)
            if expected != said and not taken_back:
                yield f"{entry.deal} #{at}", name, "overfunding", said, expected


def _should_say(before: int, now: int) -> str:
    if now > before:
        return f"declared {now}"
    return "cured" if before and not now else ""


def _said(same: list[Entry], facility: str) -> str:
    mine = [entry for entry in same if entry.data.get("facility") == facility]
    for entry in mine:
        if entry.kind == "funding.overfunding_declared":
            return f"declared {minor_of(entry.data['excess'])}"
        if entry.kind == "funding.overfunding_cured":
            return "cured"
    return ""


def relocks(history: History) -> Iterator[tuple[str, str, str, str]]:
    """Deal and position, tranche, what the record locked again, what it should have."""
    entries = history.desk.entries()
    for entry in entries:
        if entry.kind != "certificate.revoked" or entry.status != "confirmed":
            continue
        before = oracle.deal_at(entries, entry.deal, entry.on, entry.position - 1)
        name = entry.stream.split("/")[2]
        found = before.capacity.certificates.get(name)
        if found is None or found.state != "effective" or not _judged(before):
            continue
        now = oracle.deal_at(
            entries, entry.deal, entry.recorded_at[:10], entry.position - 1
        )
        if _effective(now) != _effective(before):
            # Dated back past another certificate: the pages do not say which day counts.
            continue
        recorded = _recorded(entries, entry)
        for tranche, amount in _expected(entries, entry, before).items():
            if recorded.get(tranche, 0) != amount:
                label = f"{entry.deal} #{entry.position}"
                yield label, tranche, str(recorded.get(tranche, 0)), str(amount)


def _effective(deal: Deal) -> set[str]:
    found = deal.capacity.certificates
    return {name for name, one in found.items() if one.state == "effective"}


def _judged(deal: Deal) -> bool:
    """High water, one version of the terms: beyond that the pages leave it open."""
    current = deal.agreement.terms.get("unlock_basis") == "current"
    return not current and deal.agreement.version <= 1


def _recorded(entries: list[Entry], revoked: Entry) -> dict[str, int]:
    return {
        entry.data["tranche"]: minor_of(entry.data["amount"])
        for entry in entries
        if entry.kind == "funding.tranche_relocked"
        and entry.recorded_at == revoked.recorded_at
        and entry.deal == revoked.deal
    }


def _expected(entries: list[Entry], revoked: Entry, before: Deal) -> dict[str, int]:
    """What each tranche that rests on the certificate loses without it.

    Of a facility the last tranche, by its number, falls first: what is left pays for
    the others.
    """
    certificate = before.capacity.certificates.pop(revoked.stream.split("/")[2])
    known = standing([one for one in entries if one.position < revoked.position])
    found = {}
    tranches = before.funding.tranches
    for name in sorted(tranches, key=lambda one: -tranches[one].number):
        tranche = tranches[name]
        last = _last_unlock(known, revoked.deal, name)
        if not tranche.unlocked or last is None or not _rests_on(last, revoked.stream):
            continue
        left_w = oracle.measured_w(before, name)
        met = _met_without(last, before, tranche.trigger)
        left = cumulative(tranche.formula, tranche.size, left_w) if met else 0
        found[name] = max(0, tranche.unlocked - left)
        tranche.unlocked -= found[name]
    before.capacity.certificates[revoked.stream.split("/")[2]] = certificate
    return found


def _last_unlock(known: list[Entry], deal: str, tranche: str) -> Entry | None:
    unlocks = [
        entry
        for entry in known
        if entry.kind == "funding.tranche_unlocked"
        and entry.deal == deal
        and entry.data["tranche"] == tranche
    ]
    return unlocks[-1] if unlocks else None


def _rests_on(unlocked: Entry, stream: str) -> bool:
    refs = (ref for one in unlocked.data["inputs"] for ref in one.get("refs", []))
    return any(ref.split("@")[0] == stream for ref in refs)


def _met_without(unlocked: Entry, deal: Deal, trigger: dict[str, Any]) -> bool:
    """Whether the tree still holds: leaves other than capacity as then, or as now."""
    held = iter(unlocked.data["inputs"])
    return _walk(trigger, held, deal)


def _walk(trigger: dict[str, Any], held: Iterator[dict[str, Any]], deal: Deal) -> bool:
    said = next(held)
    if trigger["when"] in {"all", "any"}:
        branches = [_walk(one, held, deal) for one in trigger["of"]]
        return all(branches) if trigger["when"] == "all" else any(branches)
    now = evaluate(trigger, deal.world).met
    return now if trigger["when"] == "capacity_certified" else now or said["met"]
