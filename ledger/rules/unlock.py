"""Rules of unlocking: FND-03 to FND-06, FND-13, FND-15, and FND-01 against the cap.

An unlock is arithmetic on the record, so anybody may record it: the evaluation is
done again here, on confirmed facts alone, and its figures are held against it.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement
from ledger.domain.evaluation import evaluate_tranche, recomputed
from ledger.domain.event import Event
from ledger.domain.funding import Funding, Tranche, TrancheRelocked, TrancheUnlocked
from ledger.domain.order import Order
from ledger.domain.triggers import Input, Step, conditions_of
from ledger.domain.values import Amount
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.lookup import facility_of, tranche_of
from ledger.rules.registry import rule


@rule("FND-13", TrancheUnlocked)
def tranche_is_live(world: World, event: Event[Any]) -> None:
    """A tranche that expired, lapsed or was cancelled cannot unlock."""
    funding, tranche = _tranche(world, event)
    name, lapsed = event.data.tranche, tranche.defined.expires_on
    closed_on = facility_of(funding, tranche.defined.facility).closed_on
    how = ""
    if tranche.ended is not None:
        how = f"{tranche.ended} on {tranche.ended_on}"
    elif lapsed is not None and event.on > lapsed:
        how = f"lapsed on {lapsed}"
    elif closed_on is not None:
        how = f"ended with its facility, closed on {closed_on}"
    if how:
        raise Refused(f"Tranche {name} {how}.")
    not_before(event, tranche.defined_on, "the definition of the tranche")
    not_before(event, tranche.moved_on, "its last unlock or re-lock")


@rule("FND-15", TrancheUnlocked)
def only_confirmed_facts_unlock(world: World, event: Event[Any]) -> None:
    """Neither a reported unlock nor a reported structure unlocks anything."""
    funding, tranche = _tranche(world, event)
    facility = facility_of(funding, tranche.defined.facility)
    for what, status in (
        ("This unlock", event.provenance.status),
        (f"Tranche {event.data.tranche}", tranche.status),
        (f"Facility {tranche.defined.facility}", facility.status),
    ):
        if status != "confirmed":
            raise Refused(
                f"{what} is marked {status}.",
                todo="Only what is confirmed unlocks; define what was agreed, "
                "under another name.",
            )


@rule("FND-06", TrancheUnlocked)
def in_sequence(world: World, event: Event[Any]) -> None:
    """Where the terms say so, a tranche waits for those before it.

    One that expired, lapsed or was cancelled is waited for no more.
    """
    funding, tranche = _tranche(world, event)
    defined = tranche.defined
    if not facility_of(funding, defined.facility).defined.in_sequence:
        return
    before = (
        tranche
        for tranche in funding.tranches_of(defined.facility)
        if tranche.defined.number < defined.number
    )
    for earlier in before:
        if earlier.confirmed and not earlier.over(event.on) and not earlier.full:
            raise Refused(
                f"Tranche {earlier.defined.tranche} is still locked: "
                f"{earlier.unlocked} of {earlier.size} is unlocked.",
                todo="Unlock that one first; they go in sequence.",
            )
        not_before(event, earlier.unlocked_on, f"{earlier.defined.tranche}'s unlock")


@rule("FND-03", TrancheUnlocked)
def trigger_is_met_now(world: World, event: Event[Any]) -> None:
    """A tranche unlocks only from an evaluation that is true now, on recorded inputs."""
    tranche = _tranche(world, event)[1]
    defined, unlock = tranche.defined, event.data
    now = evaluate_tranche(world, event.deal, tranche, event.on)
    if not now.met:
        later = evaluate_tranche(world, event.deal, tranche)
        if later.met:
            not_before(event, later.since, "what its trigger asks for")
        raise Refused(
            f"{'. '.join(now.missing)}.",
            todo=f"{unlock.tranche} unlocks once its trigger is met.",
        )
    version = world.need(Agreement, event.deal).terms_version
    found = (now.payable, defined.formula, defined.facility, version)
    given = (unlock.certified, unlock.formula, unlock.facility, unlock.terms_version)
    same = unlock.inputs == now.inputs or (
        _as_named_today(world, event.deal, unlock.inputs) == now.inputs
    )
    if given != found or not same:
        raise Refused(
            f"The inputs given ({unlock.certified}, terms {unlock.terms_version}) are "
            f"not those found ({now.payable}, terms {version}).",
        )


def _as_named_today(
    world: World, deal: str, inputs: tuple[Input, ...]
) -> tuple[Input, ...]:
    """Inputs with their entries named as today.

    Up to 0.4.0 an agreement and an order were named by the last entry of their stream,
    whatever that was of.
    """
    agreement = world.get(Agreement, deal)
    names = {f"{agreement.id}@{agreement.version}": agreement.effective_ref}
    names |= {f"{one.id}@{one.version}": one.ref for one in world.all(Order, deal)}
    return tuple(
        replace(one, refs=tuple(names.get(ref, ref) for ref in one.refs))
        if one.leaf in {"agreement_in_effect", "capacity_purchased"}
        else one
        for one in inputs
    )


@rule("FND-17", TrancheUnlocked)
def tranche_conditions_hold(world: World, event: Event[Any]) -> None:
    """A condition of scope `tranche` guards the tranches that name it, else every one."""
    funding, tranche = _tranche(world, event)
    named = {
        name: conditions_of(one.defined.trigger)
        for name, one in funding.tranches.items()
    }
    everywhere = set().union(*named.values())
    agreement = world.need(Agreement, event.deal)
    for name, condition in sorted(agreement.conditions.items()):
        guards = name in named[tranche.name] or name not in everywhere
        if condition.scope != "tranche" or not guards:
            continue
        if not condition.met:
            raise Refused(
                f"Condition {name} is {condition.state}; "
                f"{event.data.tranche} unlocks once it is met.",
                todo="Satisfy or waive it first.",
            )
        not_before(event, condition.on, f"condition {name}")


@rule("FND-05", TrancheUnlocked)
def unlocks_something_new(world: World, event: Event[Any]) -> None:
    """A block, or a share of capacity, unlocks once."""
    tranche = _tranche(world, event)[1]
    unlock = event.data
    if not tranche.unlocked or unlock.cumulative > tranche.unlocked:
        return
    day, formula = tranche.unlocked_on, tranche.defined.formula
    if isinstance(formula, Step) and not tranche.full:
        block = tranche.unlocked_certified.watts // formula.block.watts
        said = f"Block {block} was unlocked on {day}"
    else:
        said = f"{tranche.unlocked} of {unlock.tranche} was unlocked on {day}"
    raise Refused(
        f"{said}; {unlock.certified} certified unlocks nothing more.",
        todo="" if tranche.full else "Certify more capacity first.",
    )


@rule("FND-04", TrancheUnlocked, TrancheRelocked)
def amount_is_the_formulas(world: World, event: Event[Any]) -> None:
    """What is recorded is what the formula gives: whole blocks, within the size."""
    tranche = _tranche(world, event)[1]
    moved = event.data
    zero = Amount.zero(moved.size.unit)
    if isinstance(moved, TrancheUnlocked):
        amount, size = moved.cumulative - tranche.unlocked, tranche.size
    else:
        amount, size = tranche.unlocked - moved.cumulative, moved.size
    if moved.cumulative == zero and isinstance(moved, TrancheUnlocked):
        raise Refused(
            f"{moved.certified} certified pays for nothing of {moved.tranche}: "
            "there is no whole block.",
            todo="Certify more capacity first.",
        )
    given = (moved.amount, moved.cumulative, moved.size)
    if given != (amount, recomputed(moved), size) or amount <= zero:
        raise Refused(
            f"{moved.amount} to {moved.cumulative} is not what the formula gives: "
            f"{amount} to {recomputed(moved)}.",
        )


@rule("FND-01", TrancheUnlocked)
def unlocked_is_within_the_commitment(world: World, event: Event[Any]) -> None:
    """What is unlocked of a facility stays within its commitment."""
    funding, tranche = _tranche(world, event)
    name = tranche.defined.facility
    total = funding.unlocked(name) + event.data.amount
    commitment = funding.facilities[name].commitment
    if total > commitment:
        raise Refused(
            f"{event.data.amount} would make {total} unlocked; "
            f"commitment is {commitment}.",
        )


def _tranche(world: World, event: Event[Any]) -> tuple[Funding, Tranche]:
    funding = world.get(Funding, event.deal)
    return funding, tranche_of(funding, event.data.tranche)
