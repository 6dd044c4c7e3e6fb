"""Evaluation: is a trigger true now, on what inputs, and what is missing.

Pure, over a `World`. Only confirmed facts count, and only those effective by the day
asked for. What is recorded with an unlock (its inputs, the capacity certified, the
formula, the size) is enough to compute the unlock again, without the record.

Capacity is the sum of the rated watts of the certificates that count, converted once,
on the total, under the terms in force. On the basis `high_water` those are the watts
frozen in the certificates: a later loss (RMA, derating) is forgiven, a revocation is
not. On the basis `current` only systems in service now count, at their rating now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple, assert_never

from ledger.domain.aggregate import World
from ledger.domain.agreement import Agreement, Basis, Terms
from ledger.domain.certificate import Certificate, on_basis, unmeasured
from ledger.domain.funding import (
    Funding,
    Tranche,
    TrancheRelocked,
    TrancheUnlocked,
)
from ledger.domain.milestone import Milestone
from ledger.domain.observation import Observations
from ledger.domain.order import Order
from ledger.domain.system import System
from ledger.domain.triggers import (
    AgreementInEffect,
    All,
    AnyOf,
    AttestedTrue,
    CapacityCertified,
    CapacityPurchased,
    ConditionMet,
    CorporateEvent,
    DateReached,
    Formula,
    Input,
    Leaf,
    MilestoneAchieved,
    PriceAtLeast,
    Trigger,
    measures,
    unlocked,
)
from ledger.domain.values import Amount, Power


@dataclass(frozen=True)
class Evaluation:
    """The answer to a trigger: met or not, since when, on what, and what is missing.

    `certified` is all certified capacity; `payable` is what of it the formula may pay
    for: less what its facility paid others by a formula of the kind (FND-05).
    `asked_w` is the certified capacity that the trigger asks for, on the basis of the
    terms; of alternatives the nearest. None where it asks for none. `by_whom` are the
    parties whose act is missing, as far as that can be told.
    """

    met: bool
    since: date | None
    certified: Power
    payable: Power
    inputs: tuple[Input, ...]
    missing: tuple[str, ...]
    asked_w: int | None = None
    by_whom: tuple[str, ...] = ()

    def cumulative(self, formula: Formula, size: Amount) -> Amount:
        """What a tranche has unlocked in all while this is the answer."""
        if not self.met:
            return Amount.zero(size.unit)
        return unlocked(formula, self.payable, size)


def evaluate(
    world: World,
    deal: str,
    trigger: Trigger,
    formula: Formula,
    on: date | None = None,
    spent_w: int = 0,
) -> Evaluation:
    """Evaluate a trigger and the capacity that its formula pays for.

    With `on`, facts effective after that day are left out of account; `spent_w` is the
    certified capacity that has been paid for elsewhere.
    """
    return _evaluate(_Facts(world, deal, on), trigger, formula, iter(()), spent_w)


def evaluate_tranche(
    world: World, deal: str, tranche: Tranche, on: date | None = None
) -> Evaluation:
    """Evaluate the trigger of a tranche, beside the others of its facility."""
    defined = tranche.defined
    spent_w = world.get(Funding, deal).spent_w(tranche)
    return evaluate(world, deal, defined.trigger, defined.formula, on, spent_w)


def certified(world: World, deal: str, on: date | None = None) -> Power:
    """The certified capacity that triggers count, on the basis of the terms."""
    return _Facts(world, deal, on).certified


def counted(world: World, deal: str, on: date | None = None) -> dict[str, int]:
    """The rated watts that each certificate counts for, by its name."""
    return dict(_Facts(world, deal, on).by_certificate)


def after_loss(world: World, deal: str, tranche: Tranche) -> Evaluation:
    """Evaluate an unlocked tranche anew after a certificate was revoked.

    Only certified capacity can fall away by that. What else the trigger asks for
    stays as it was met when the tranche was unlocked, even where it has passed since:
    an agreement that has ended does not lock again what certificates still carry.
    """
    defined = tranche.defined
    return _evaluate(
        _Facts(world, deal),
        defined.trigger,
        defined.formula,
        iter(tranche.inputs),
        world.get(Funding, deal).spent_w(tranche),
    )


def recomputed(event: TrancheUnlocked | TrancheRelocked) -> Amount:
    """The cumulative amount, computed from what the event itself records."""
    if event.inputs and not _holds(iter(event.inputs)):
        return Amount.zero(event.size.unit)
    return unlocked(event.formula, event.certified, event.size)


def _holds(inputs: Iterator[Input]) -> bool:
    """Whether the next node of a written-out tree is met, from its leaves alone."""
    node = next(inputs)
    if node.leaf in {"all", "any"}:
        # Each is read to its end, whatever it says: the next one begins there.
        answers = [_holds(inputs) for _ in range(int(node.subject))]
        return all(answers) if node.leaf == "all" else any(answers)
    if node.leaf in {"capacity_certified", "capacity_purchased"}:
        return Power.read(node.found) >= Power.read(node.subject)
    return node.met


class _Answer(NamedTuple):
    """What one node of a tree says; `since` is the day from which it is met."""

    since: date | None
    inputs: tuple[Input, ...]
    missing: tuple[str, ...] = ()
    asked_w: int | None = None
    by_whom: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        return self.since is not None


class _Step(NamedTuple):
    """So many rated watts from a day on, by an event."""

    on: date
    rated_w: int
    ref: str


def _evaluate(
    facts: _Facts,
    trigger: Trigger,
    formula: Formula,
    before: Iterator[Input],
    spent_w: int = 0,
) -> Evaluation:
    answer = _ask(facts, trigger, before)
    inputs, missing = answer.inputs, answer.missing
    payable = Power(max(0, facts.certified.watts - spent_w))
    if measures(formula):
        gap = facts.gap(None)
        if gap:
            missing = tuple(dict.fromkeys((*missing, gap)))
        inputs += (_pays(facts, formula, payable),)
    since = None if missing else answer.since
    return Evaluation(
        since is not None,
        since,
        facts.certified,
        payable,
        inputs,
        missing,
        answer.asked_w,
        () if answer.met else tuple(sorted(set(answer.by_whom))),
    )


def _pays(facts: _Facts, formula: Formula, payable: Power) -> Input:
    tag = formula.__struct_config__.tag
    assert isinstance(tag, str)
    return Input(
        leaf="formula",
        subject=tag,
        met=bool(payable),
        found=str(payable),
        refs=facts.refs,
    )


def _ask(facts: _Facts, node: Trigger, before: Iterator[Input]) -> _Answer:
    was = next(before, None)
    if isinstance(node, All | AnyOf):
        return _branch(node, [_ask(facts, child, before) for child in node.of])
    answer = _leaf(facts, node)
    if was is None or answer.met or isinstance(node, CapacityCertified):
        return answer
    return _Answer(date.min, (was,)) if was.met else answer


def _branch(node: All | AnyOf, answers: list[_Answer]) -> _Answer:
    days = [answer.since for answer in answers if answer.since is not None]
    every = isinstance(node, All)
    met = len(days) == len(answers) if every else bool(days)
    since = None if not met else max(days) if every else min(days)
    missing: tuple[str, ...] = ()
    if not met:
        missing = tuple(text for answer in answers for text in answer.missing)
        if not every:
            parts = (" and ".join(answer.missing) for answer in answers)
            missing = (f"One of these is needed: {', or '.join(parts)}",)
    root = Input(
        leaf="all" if every else "any",
        subject=str(len(answers)),
        met=met,
        found=str(len(days)),
    )
    inputs = (root, *(given for answer in answers for given in answer.inputs))
    asked = [answer.asked_w for answer in answers if answer.asked_w is not None]
    nearest = (max if every else min)(asked, default=None)
    lacking = (
        party for answer in answers if not answer.met for party in answer.by_whom
    )
    return _Answer(since, inputs, missing, nearest, tuple(lacking))


class _Facts:
    """The confirmed facts of a deal, as far as they are effective by a day."""

    def __init__(self, world: World, deal: str, on: date | None = None) -> None:
        self.world = world
        self.deal = deal
        self.on = on
        self.agreement = world.get(Agreement, deal)
        self.terms = self.agreement.terms or Terms()

    def reached(self, day: date | None) -> bool:
        """Whether a fact of that day is to be taken into account."""
        return day is not None and (self.on is None or day <= self.on)

    def gap(self, basis: Basis | None) -> str:
        """Why capacity on a basis cannot be told under the terms; empty if it can."""
        lacking = unmeasured(self.terms)
        if lacking:
            return (
                "The terms do not say how a gigawatt is measured: "
                f"{', '.join(lacking)} missing"
            )
        if basis not in {None, self.terms.capacity_basis}:
            return (
                f"The trigger asks for capacity on the basis {basis}; "
                f"the terms in force count it as {self.terms.capacity_basis}"
            )
        return ""

    @cached_property
    def _counting(self) -> list[tuple[Certificate, _Step]]:
        found = []
        for certificate in self.world.all(Certificate, self.deal):
            day = certificate.effective_from
            if certificate.counts and day is not None and self.reached(day):
                watts = self._watts(certificate)
                step = _Step(day, watts, certificate.effective_ref)
                found.append((certificate, step))
        return found

    @cached_property
    def certificates(self) -> tuple[_Step, ...]:
        """The certificates that count, by the day of their effect."""
        return tuple(sorted(step for _, step in self._counting))

    @property
    def by_certificate(self) -> Iterator[tuple[str, int]]:
        """The rated watts of each certificate that counts."""
        return ((one.name, step.rated_w) for one, step in self._counting)

    def _watts(self, certificate: Certificate) -> int:
        if self.terms.unlock_basis == "high_water":
            return certificate.rated.watts
        total = 0
        self.world.ahead(System, ((one.system,) for one in certificate.systems))
        for counted in certificate.systems:
            system = self.world.get(System, counted.system)
            mine = (system.certificate, system.deal) == (certificate.name, self.deal)
            if mine and system.in_service:
                total += system.rated.watts
        return total

    @property
    def refs(self) -> tuple[str, ...]:
        """The events by which the certificates that count took effect."""
        return tuple(step.ref for step in self.certificates)

    @cached_property
    def certified(self) -> Power:
        """All certified capacity on the basis of the terms; none on no basis."""
        if unmeasured(self.terms):
            return Power(0)
        return on_basis(sum(step.rated_w for step in self.certificates), self.terms)

    def purchased(self, node: CapacityPurchased) -> list[_Step]:
        """The rated watts ordered by those who may earn the trigger, by day."""
        found = []
        for order in self.world.all(Order, self.deal):
            day, parties = order.placed_on, node.earning_parties
            earns = not parties or order.earning_party in parties
            if order.confirmed and earns and day is not None and self.reached(day):
                found.append(_Step(day, order.watts, order.ref))
        return sorted(found)


def _since(
    steps: Iterable[_Step], least: Power, convert: Callable[[int], Power]
) -> date | None:
    """The first day on which the watts add up to so much; None if they do not."""
    total = 0
    for step in steps:
        total += step.rated_w
        if convert(total) >= least:
            return step.on
    return None


def _leaf(facts: _Facts, node: Leaf) -> _Answer:
    match node:
        case CapacityCertified():
            return _certified(facts, node)
        case CapacityPurchased(at_least=least):
            steps = facts.purchased(node)
            found = Power(sum(step.rated_w for step in steps))
            refs = tuple(step.ref for step in steps)
            since = _since(steps, least, Power)
            short = _short("Purchased", found, least)
            who = node.earning_parties or facts.agreement.parties
            return _answer(node, str(least), since, str(found), refs, short, who)
        case MilestoneAchieved(milestone=name):
            return _milestone(facts, node, name)
        case ConditionMet(condition=name):
            return _condition(facts, node, name)
        case AgreementInEffect():
            return _in_effect(facts, node)
        case DateReached(on=day):
            came = day <= (facts.on or facts.world.latest_day)
            said = "reached" if came else "not yet"
            since = day if came else None
            return _answer(node, str(day), since, said, (), f"It is not {day} yet")
        case PriceAtLeast():
            return _price(facts, node)
        case CorporateEvent(kind=kind):
            seen = facts.world.get(Observations, facts.deal).corporate_events.get(kind)
            return _observed(facts, node, kind, seen, f"No {kind} is confirmed")
        case AttestedTrue(label=label):
            seen = facts.world.get(Observations, facts.deal).attestations.get(label)
            return _observed(facts, node, label, seen, f"{label} is not attested")
        case _:
            assert_never(node)


def _answer(
    node: Leaf,
    subject: str,
    since: date | None,
    found: str,
    refs: tuple[str, ...],
    missing: str,
    by_whom: tuple[str, ...] = (),
) -> _Answer:
    tag = node.__struct_config__.tag
    assert isinstance(tag, str)
    met = since is not None
    given = Input(leaf=tag, subject=subject, met=met, found=found, refs=refs)
    return _Answer(since, (given,), () if met else (missing,), by_whom=by_whom)


def _certified(facts: _Facts, node: CapacityCertified) -> _Answer:
    subject, least = str(node.at_least), node.at_least
    gap = facts.gap(node.basis)
    if gap:
        return _answer(node, subject, None, "0 W", (), gap)
    since = _since(
        facts.certificates, least, lambda watts: on_basis(watts, facts.terms)
    )
    found = facts.certified
    short = _short("Certified", found, least)
    answer = _answer(node, subject, since, str(found), facts.refs, short)
    return answer._replace(asked_w=least.watts)


def _short(what: str, found: Power, least: Power) -> str:
    missing = Power(max(0, least.watts - found.watts))
    return f"{what} {found} of {least}; {missing} missing"


def _in_words(state: str) -> str:
    return state.replace("_", " ")


def _milestone(facts: _Facts, node: MilestoneAchieved, name: str) -> _Answer:
    milestone = facts.world.get(Milestone, facts.deal, name)
    day = milestone.achieved_on if milestone.unlocks else None
    if not milestone.exists:
        missing = f"Milestone {name} is not on the record"
    elif milestone.state == "none":
        missing = f"Milestone {name} is known only from a report"
    elif day is not None:
        missing = f"Milestone {name} is achieved only from {day}"
    else:
        state = _in_words(milestone.state)
        missing = f"Milestone {name} is {state} ({milestone.status})"
    since = day if facts.reached(day) else None
    refs = (milestone.achieved_ref,) if since else ()
    return _answer(node, name, since, milestone.state, refs, missing)


def _condition(facts: _Facts, node: ConditionMet, name: str) -> _Answer:
    condition = facts.agreement.conditions.get(name)
    if condition is None:
        missing = f"Condition {name} is not on the record"
        return _answer(node, name, None, "none", (), missing)
    met = condition.met and facts.reached(condition.on)
    since = condition.on if met else None
    missing = f"Condition {name} is {_in_words(condition.state)} since {condition.on}"
    refs = (condition.ref,) if met else ()
    return _answer(node, name, since, condition.state, refs, missing)


def _in_effect(facts: _Facts, node: AgreementInEffect) -> _Answer:
    agreement = facts.agreement
    day = agreement.effective_from if agreement.binding else None
    since = day if facts.reached(day) else None
    missing = f"The agreement is {_in_words(agreement.state)}, not in effect"
    if day is not None:
        missing = f"The agreement is in effect only from {day}"
    refs = (agreement.effective_ref,) if since else ()
    return _answer(node, facts.deal, since, agreement.state, refs, missing)


def _price(facts: _Facts, node: PriceAtLeast) -> _Answer:
    how = f"{node.instrument} at {node.price} ({node.method}, days: {node.days})"
    prices = facts.world.get(Observations, facts.deal).prices(node.instrument)
    seen = sorted(
        (one.on, one.ref, str(one.price))
        for one in prices
        if (one.method, one.days) == (node.method, node.days)
        if one.price.currency == node.price.currency
        if one.price.value >= node.price.value and facts.reached(one.on)
    )
    if not seen:
        return _answer(node, how, None, "none", (), f"No price was seen of {how}")
    day, ref, price = seen[0]
    return _answer(node, how, day, price, (ref,), "")


def _observed(
    facts: _Facts,
    node: Leaf,
    subject: str,
    seen: tuple[date, str] | None,
    missing: str,
) -> _Answer:
    if seen is None or not facts.reached(seen[0]):
        return _answer(node, subject, None, "none", (), missing)
    return _answer(node, subject, seen[0], "observed", (seen[1],), "")
