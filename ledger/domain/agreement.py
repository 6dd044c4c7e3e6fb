"""Agreement: letter of intent → definitive → in effect → …, with all that hangs on it.

Only confirmed facts move the state beyond a letter of intent: a reported or disputed
one stays on the record as a claim beside the state, and marks the agreement disputed.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Plain
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import Status, weakest
from ledger.domain.struct import Frozen
from ledger.domain.values import Amount, Id, Month, Power, Ratio, Slug

Basis = Literal["rated", "critical_it", "facility", "unspecified"]
UnlockBasis = Literal["high_water", "current"]
Scope = Literal["draw", "delivery", "milestone"]
ConditionScope = Literal["agreement", "tranche", "draw"]
Relation = Literal[
    "complements", "supersedes", "superseded_by", "depends_on", "guarantees"
]
RightKind = Literal[
    "preferred_partner",
    "exclusivity",
    "first_refusal",
    "most_favoured_terms",
    "information",
]
State = Literal[
    "none",
    "draft",
    "loi_signed",
    "definitive_signed",
    "in_effect",
    "suspended",
    "terminating",
    "terminated",
    "lapsed",
    "superseded",
    "closed",
]

ENDED: Final = frozenset({"terminated", "lapsed", "superseded", "closed"})
BINDING: Final = frozenset({"in_effect", "suspended", "terminating"})


class Clause(Frozen):
    """A term that the ledger keeps as text and does not compute with."""

    name: str
    text: str


class Terms(Frozen):
    """The terms of an agreement; in a letter of intent they are indicative.

    `capacity_floor` is a floor ("at least"), `funding_cap` a cap ("up to").
    `capacity_basis` says what a watt is measured on: rated (sum of rack ratings),
    critical_it (rated × overhead_ratio), facility (critical_it × pue).
    `platforms` restricts the SKUs that count; empty means any.
    `acceptance_suite` and `soak_hours` are what a system's test must meet;
    `measured_tolerance` is the deviation from rated power that needs no reason.
    `notice_business_days` lie between a request for money and its value date, counted
    in the `calendar` of that name; without one, in days from Monday to Friday.
    """

    capacity_floor: Power | None = None
    capacity_basis: Basis = "unspecified"
    overhead_ratio: Ratio | None = None
    pue: Ratio | None = None
    unlock_basis: UnlockBasis = "high_water"
    funding_cap: Amount | None = None
    notice_business_days: int = 0
    first_phase: str | None = None
    platforms: tuple[Id, ...] = ()
    accepting_party: Slug | None = None
    acceptance_suite: str | None = None
    soak_hours: int = 0
    measured_tolerance: Ratio | None = None
    parties_may_certify: bool = False
    other: tuple[Clause, ...] = ()
    calendar: Id | None = None


class PlanPoint(Frozen):
    """Capacity planned to be accepted, in total, by the end of a month."""

    month: Month
    capacity: Power


class Change(Frozen):
    """One change of an amendment, old and new as text.

    `path` is a field of the terms (`funding_cap`), a condition's long-stop date
    (`condition.ID.long_stop_on`) or a facility's commitment
    (`facility.ID.commitment`).
    """

    path: str
    new: str | None
    old: str | None = None


class Opened(EventData, tag="agreement.opened"):
    """The deal was put on the record, with its parties."""

    title: str
    capital: tuple[Slug, ...]
    capacity: tuple[Slug, ...]
    fictional: bool = False

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.state = "draft"
        agreement.opened_on = event.on
        agreement.title = self.title
        agreement.fictional = self.fictional
        agreement.capital = self.capital
        agreement.capacity = self.capacity


class LoiSigned(EventData, tag="agreement.loi_signed"):
    """The parties signed a letter of intent, which binds only in the clauses named."""

    signatories: tuple[Slug, ...]
    terms: Terms
    binding_clauses: tuple[str, ...] = ()
    expires_on: date | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.state = "loi_signed"
        agreement.status = weakest(agreement.status, event.provenance.status)
        agreement.indicative_terms = self.terms
        agreement.loi_expires_on = self.expires_on
        agreement.signed_on = event.on


class DefinitiveSigned(EventData, tag="agreement.definitive_signed"):
    """The parties signed the definitive agreement."""

    signatories: tuple[Slug, ...]
    terms: Terms

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        agreement.state = "definitive_signed"
        agreement.terms = self.terms
        agreement.terms_version = 1
        agreement.signed_on = event.on


class ConditionDefined(EventData, tag="agreement.condition_defined"):
    """A condition precedent was laid down."""

    condition: Id
    text: str
    scope: ConditionScope = "agreement"
    owner: Slug | None = None
    waivable_by: Slug | None = None
    long_stop_on: date | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.conditions[self.condition] = Condition(
            self.scope, self.waivable_by, self.long_stop_on, event.on
        )


class ConditionSatisfied(EventData, tag="agreement.condition_satisfied"):
    """A condition precedent was met."""

    condition: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.settle_condition(self.condition, "satisfied", event)


class ConditionWaived(EventData, tag="agreement.condition_waived"):
    """The party entitled to it waived a condition precedent."""

    condition: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.settle_condition(self.condition, "waived", event)


class ConditionFailed(EventData, tag="agreement.condition_failed"):
    """A condition precedent failed."""

    condition: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.settle_condition(self.condition, "failed", event)


class BecameEffective(EventData, tag="agreement.became_effective"):
    """The agreement came into effect: from here on it commits money."""

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        agreement.state = "in_effect"
        agreement.effective_from = event.on


class AmendmentProposed(EventData, tag="agreement.amendment_proposed"):
    """A party proposed to change the terms."""

    amendment: Id
    changes: tuple[Change, ...]
    written_for_version: int
    takes_effect_on: date | None = None
    relock: bool = False

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.amendments[self.amendment] = Amendment(
            self.changes, self.written_for_version, self.takes_effect_on, self.relock
        )


class AmendmentSigned(EventData, tag="agreement.amendment_signed"):
    """A party signed an amendment."""

    amendment: Id
    party: Slug

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        amendment = agreement.amendments.get(self.amendment)
        if amendment and event.confirmed:
            amendment.signed[self.party] = event.on


class AmendmentTookEffect(EventData, tag="agreement.amendment_took_effect"):
    """An amendment signed by every party changed the terms."""

    amendment: Id
    terms_version: int
    terms: Terms
    changes: tuple[Change, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        agreement.terms = self.terms
        agreement.terms_version = self.terms_version
        amendment = agreement.amendments.get(self.amendment)
        if amendment:
            amendment.state = "in_effect"
        for name, day in long_stops(self.changes).items():
            condition = agreement.conditions.get(name)
            if condition:
                condition.long_stop_on = day


class AmendmentWithdrawn(EventData, tag="agreement.amendment_withdrawn"):
    """An amendment was withdrawn before it took effect."""

    amendment: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        amendment = agreement.amendments.get(self.amendment)
        if amendment:
            amendment.state = "withdrawn"


class Suspended(EventData, tag="agreement.suspended"):
    """Draws, deliveries or milestones were suspended on a stated ground."""

    scopes: tuple[Scope, ...]
    ground: str

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        for scope in self.scopes:
            agreement.suspensions.setdefault(scope, (event.on, self.ground))


class Resumed(EventData, tag="agreement.resumed"):
    """What was suspended was resumed."""

    scopes: tuple[Scope, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        for scope in self.scopes:
            agreement.suspensions.pop(scope, None)


class TerminationNoticeGiven(EventData, tag="agreement.termination_notice_given"):
    """A party gave notice to end the agreement on a stated day."""

    by: Slug
    ground: str
    terminates_on: date

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        if agreement.claimed(event):
            return
        agreement.state = "terminating"
        agreement.terminates_on = self.terminates_on


class Terminated(EventData, tag="agreement.terminated"):
    """The agreement ended; only winding down remains."""

    ground: str

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("terminated", event)


class Lapsed(EventData, tag="agreement.lapsed"):
    """The agreement lapsed without having come into effect."""

    ground: str

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("lapsed", event)


class Superseded(EventData, tag="agreement.superseded"):
    """Another agreement took this one's place; no funds carry over by themselves."""

    successor: Slug

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.successor = self.successor
        agreement.end("superseded", event)


class Closed(EventData, tag="agreement.closed"):
    """The agreement was wound down and its record closed."""

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("closed", event)


class RightRecorded(EventData, tag="agreement.right_recorded"):
    """A party holds a right under the agreement."""

    right: Id
    kind: RightKind
    holder: Slug
    text: str
    runs_from: date | None = None
    runs_to: date | None = None
    binding: bool = False

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.rights[self.right] = True


class RightReleased(EventData, tag="agreement.right_released"):
    """The holder gave up a right, or it was taken away."""

    right: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.rights[self.right] = False


class Linked(EventData, tag="agreement.linked"):
    """This deal was linked to another, which need not be on this record."""

    relation: Relation
    other: Slug
    note: str | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.links.add((self.relation, self.other))


class StatementRecorded(EventData, tag="agreement.statement_recorded"):
    """Somebody said something about the deal in public."""

    statement: Id
    speaker: str
    text: str
    contradicts: str | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.statements.add(self.statement)


class PlanBaselined(EventData, tag="plan.baselined"):
    """The parties fixed a baseline of capacity by month; earlier ones are kept."""

    points: tuple[PlanPoint, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.plan_baselines += 1


class PlanForecast(EventData, tag="plan.forecast"):
    """The forecast of capacity by month was brought up to date."""

    points: tuple[PlanPoint, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.plan_forecasts += 1


def long_stops(changes: tuple[Change, ...]) -> dict[str, date | None]:
    """The long-stop dates that an amendment sets, by condition."""
    return {
        change.path.split(".")[1]: date.fromisoformat(change.new)
        if change.new
        else None
        for change in changes
        if change.path.startswith("condition.")
    }


class Condition:
    """A condition precedent as it stands."""

    def __init__(
        self,
        scope: ConditionScope,
        waivable_by: str | None,
        long_stop_on: date | None,
        on: date,
    ) -> None:
        self.scope = scope
        self.waivable_by = waivable_by
        self.long_stop_on = long_stop_on
        self.on = on
        self.state: Literal["open", "satisfied", "waived", "failed"] = "open"
        self.status: Status = "confirmed"
        self.ref = ""

    @property
    def met(self) -> bool:
        """Whether it is satisfied or waived, as a confirmed fact."""
        return self.state in {"satisfied", "waived"}


class Amendment:
    """An amendment on its way."""

    def __init__(
        self,
        changes: tuple[Change, ...],
        written_for_version: int,
        takes_effect_on: date | None,
        relock: bool,
    ) -> None:
        self.changes = changes
        self.written_for_version = written_for_version
        self.takes_effect_on = takes_effect_on
        self.relock = relock
        self.signed: dict[str, date] = {}
        self.state: Literal["proposed", "in_effect", "withdrawn"] = "proposed"


class Agreement(Plain):
    """One deal's agreement. Stream `agreement/DEAL`."""

    kind = "agreement"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.title = ""
        self.fictional = False
        self.capital: tuple[str, ...] = ()
        self.capacity: tuple[str, ...] = ()
        self._state: State = "none"
        self.status: Status = "confirmed"
        self.claims: list[str] = []
        self.indicative_terms: Terms | None = None
        self.terms: Terms | None = None
        self.terms_version = 0
        self.loi_expires_on: date | None = None
        self.opened_on: date | None = None
        self.signed_on: date | None = None
        self.effective_from: date | None = None
        self.terminates_on: date | None = None
        self.ended_on: date | None = None
        self.successor: str | None = None
        self.conditions: dict[str, Condition] = {}
        self.amendments: dict[str, Amendment] = {}
        self.suspensions: dict[Scope, tuple[date, str]] = {}
        self.rights: dict[str, bool] = {}
        self.links: set[tuple[str, str]] = set()
        self.statements: set[str] = set()
        self.plan_baselines = 0
        self.plan_forecasts = 0

    @property
    def state(self) -> State:
        """Where the agreement stands; `suspended` while any scope is."""
        if self._state == "in_effect" and self.suspensions:
            return "suspended"
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    @property
    def parties(self) -> tuple[str, ...]:
        """Every party, capital side first."""
        return self.capital + tuple(p for p in self.capacity if p not in self.capital)

    @property
    def binding(self) -> bool:
        """Whether the agreement has come into effect and has not ended."""
        return self.state in BINDING

    @property
    def ended(self) -> bool:
        """Whether nothing new can happen under it."""
        return self.state in ENDED

    def claimed(self, event: Event[Any]) -> bool:
        """Keep an unconfirmed fact as a claim beside the state; say whether it was."""
        if event.confirmed:
            return False
        self.claims.append(event.ref)
        self.status = "disputed"
        return True

    def settle_condition(
        self,
        name: str,
        state: Literal["satisfied", "waived", "failed"],
        event: Event[Any],
    ) -> None:
        """Move a condition, where the fact is confirmed."""
        condition = self.conditions.get(name)
        if condition and event.confirmed:
            condition.state = state
            condition.on = event.on
            condition.ref = event.ref

    def end(
        self,
        state: Literal["terminated", "lapsed", "superseded", "closed"],
        event: Event[Any],
    ) -> None:
        """End the agreement, where the fact is confirmed."""
        if self.claimed(event):
            return
        self.state = state
        self.ended_on = self.ended_on or event.on
        self.suspensions.clear()


EVENTS: Final = (
    Opened,
    LoiSigned,
    DefinitiveSigned,
    ConditionDefined,
    ConditionSatisfied,
    ConditionWaived,
    ConditionFailed,
    BecameEffective,
    AmendmentProposed,
    AmendmentSigned,
    AmendmentTookEffect,
    AmendmentWithdrawn,
    Suspended,
    Resumed,
    TerminationNoticeGiven,
    Terminated,
    Lapsed,
    Superseded,
    Closed,
    RightRecorded,
    RightReleased,
    Linked,
    StatementRecorded,
    PlanBaselined,
    PlanForecast,
)
