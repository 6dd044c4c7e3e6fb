"""Trigger trees and unlock formulas: what must be true, and how much it unlocks.

Both are data on the tranche. Evaluation is pure and leaves a trace of inputs that is
recorded with the unlock, so that anyone can recompute it.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from math import ceil

from ledger.domain.agreement import Basis
from ledger.domain.struct import Frozen
from ledger.domain.values import Amount, Id, Power, Price, Slug


class _Node(Frozen, tag_field="when"):
    """A node of a trigger tree."""


class All(_Node, tag="all"):
    """Every one of these."""

    of: tuple[Trigger, ...]


class AnyOf(_Node, tag="any"):
    """At least one of these."""

    of: tuple[Trigger, ...]


class CapacityCertified(_Node, tag="capacity_certified"):
    """So much capacity stands in effective certificates, on the agreement's basis."""

    at_least: Power
    basis: Basis | None = None


class CapacityPurchased(_Node, tag="capacity_purchased"):
    """So much capacity (rated) was ordered by parties entitled to earn the trigger."""

    at_least: Power
    earning_parties: tuple[Slug, ...] = ()


class MilestoneAchieved(_Node, tag="milestone_achieved"):
    """A roadmap milestone is achieved and not disputed."""

    milestone: Id


class ConditionMet(_Node, tag="condition_met"):
    """A condition is satisfied or waived."""

    condition: Id


class AgreementInEffect(_Node, tag="agreement_in_effect"):
    """The agreement is in effect."""


class DateReached(_Node, tag="date_reached"):
    """A day has come."""

    on: date


class PriceAtLeast(_Node, tag="price_at_least"):
    """A price was observed at or above a level, by a method over a window of days."""

    instrument: str
    price: Price
    method: str = "close"
    days: int = 1


class CorporateEvent(_Node, tag="corporate_event"):
    """A corporate event of a kind was observed."""

    kind: Id


class AttestedTrue(_Node, tag="attested"):
    """Somebody entitled to it attested a condition whose text may be redacted."""

    label: Id
    redacted: bool = False


Leaf = (
    CapacityCertified
    | CapacityPurchased
    | MilestoneAchieved
    | ConditionMet
    | AgreementInEffect
    | DateReached
    | PriceAtLeast
    | CorporateEvent
    | AttestedTrue
)
Trigger = All | AnyOf | Leaf


class _Formula(Frozen, tag_field="rule"):
    """How much a tranche unlocks; `unlocked` gives the cumulative amount."""


class Step(_Formula, tag="step"):
    """So much for each whole block of certified capacity."""

    block: Power
    amount: Amount


class Linear(_Formula, tag="linear"):
    """So much for so many watts, in proportion, rounded down to the last decimal."""

    per: Power
    amount: Amount


class Fixed(_Formula, tag="fixed"):
    """So much, at once."""

    amount: Amount


Formula = Step | Linear | Fixed


class Input(Frozen):
    """One thing that an evaluation looked at.

    `leaf` is the trigger's kind, `subject` what it asks for, `met` the answer,
    `found` the value found as text, `refs` the events it rests on (`stream@version`).
    The inputs of an unlock are its trigger tree written out, each branch before what
    hangs on it: the `subject` of `all` or `any` is how many follow as its own, `found`
    how many of them are met. After the tree, `formula` names the capacity paid for.
    """

    leaf: str
    subject: str
    met: bool
    found: str
    refs: tuple[str, ...] = ()


def unlocked(formula: Formula, certified: Power, size: Amount) -> Amount:
    """The cumulative amount that a formula unlocks, clamped to the tranche's size."""
    match formula:
        case Step(block=block, amount=amount):
            total = amount.times(certified.watts // block.watts)
        case Linear(per=per, amount=amount):
            total = amount.times(certified.watts, per.watts)
        case _:
            total = formula.amount
    return min(total, size)


def most(formula: Formula, size: Amount) -> Amount:
    """The most that a formula can ever unlock of a tranche's size."""
    return min(formula.amount, size) if isinstance(formula, Fixed) else size


def measures(formula: Formula) -> bool:
    """Whether a formula pays by the capacity that is certified."""
    return not isinstance(formula, Fixed)


def paid_for(formula: Formula, unlocked: Amount) -> int:
    """The certified watts that an unlocked amount was paid for, rounded up.

    They pay for nothing of the kind again in their facility (FND-05); a fixed amount
    uses up none.
    """
    match formula:
        case Step(block=block, amount=amount):
            return block.watts * ceil(Fraction(unlocked.value) / Fraction(amount.value))
        case Linear(per=per, amount=amount):
            return ceil(per.watts * Fraction(unlocked.value) / Fraction(amount.value))
    return 0


def pays_more_at(formula: Formula, paid: Amount, size: Amount) -> int | None:
    """The certified watts from which a formula unlocks more than it has unlocked.

    None where it never does, or does not go by capacity.
    """
    if paid >= most(formula, size):
        return None
    match formula:
        case Step(block=block, amount=amount):
            blocks = int(paid.value // amount.value)
            return block.watts * (blocks + 1)
        case Linear(per=per, amount=amount):
            # One more of the last decimal than was paid, in proportion, rounded up.
            smallest = Fraction(10) ** int(paid.value.as_tuple().exponent)
            share = (Fraction(paid.value) + smallest) / Fraction(amount.value)
            return ceil(per.watts * share)
    return None


def conditions_of(trigger: Trigger) -> set[str]:
    """The names of the conditions that a trigger asks for."""
    match trigger:
        case All(of=children) | AnyOf(of=children):
            return set().union(*map(conditions_of, children))
        case ConditionMet(condition=name):
            return {name}
    return set()
