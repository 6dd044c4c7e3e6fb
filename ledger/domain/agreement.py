"""Agreement: letter of intent → definitive → in effect → …, with all that hangs on it.

Opening a deal is the record's own act: it always has its effect, and the deal's status
is its own. A step that is only reported stands beside the state as a claim, and marks
the agreement disputed. Told on top of the state, claims move it forward only: a report
of a letter of intent takes nothing back from a definitive agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, Literal, Self

from ledger.domain.aggregate import Parted
from ledger.domain.event import Event, EventData
from ledger.domain.parts import Part, Parts
from ledger.domain.provenance import Status
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

End = Literal["terminated", "lapsed", "superseded", "closed"]

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
    always = True
    about = ()

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        main = agreement.advance("draft")
        main.status = event.provenance.status
        main.opened_on = event.on
        main.title = self.title
        main.fictional = self.fictional
        main.capital = self.capital
        main.capacity = self.capacity


class LoiSigned(EventData, tag="agreement.loi_signed"):
    """The parties signed a letter of intent, which binds only in the clauses named."""

    signatories: tuple[Slug, ...]
    terms: Terms
    binding_clauses: tuple[str, ...] = ()
    expires_on: date | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        main = agreement.advance("loi_signed")
        main.loi_expires_on = self.expires_on
        main.signed_on = event.on
        agreement.parts.put(
            TermsVersion(
                key=_version_key(0),
                source="letter of intent",
                since=event.on,
                ref=event.ref,
                status=event.provenance.status,
                terms=self.terms,
                binding_clauses=self.binding_clauses,
            )
        )


class DefinitiveSigned(EventData, tag="agreement.definitive_signed"):
    """The parties signed the definitive agreement."""

    signatories: tuple[Slug, ...]
    terms: Terms

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.advance("definitive_signed").signed_on = event.on
        agreement.set_terms(1, self.terms, "definitive agreement", event)


class ConditionDefined(EventData, tag="agreement.condition_defined"):
    """A condition precedent was laid down."""

    condition: Id
    text: str
    scope: ConditionScope = "agreement"
    owner: Slug | None = None
    waivable_by: Slug | None = None
    long_stop_on: date | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.parts.put(
            Condition(
                key=f"condition/{self.condition}",
                text=self.text,
                scope=self.scope,
                owner=self.owner,
                waivable_by=self.waivable_by,
                long_stop_on=self.long_stop_on,
                on=event.on,
                status=event.provenance.status,
            )
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
        main = agreement.advance("in_effect")
        main.effective_from = event.on
        main.effective_ref = event.ref


class AmendmentProposed(EventData, tag="agreement.amendment_proposed"):
    """A party proposed to change the terms."""

    amendment: Id
    changes: tuple[Change, ...]
    written_for_version: int
    takes_effect_on: date | None = None
    relock: bool = False

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.parts.put(
            Amendment(
                key=f"amendment/{self.amendment}",
                changes=self.changes,
                written_for_version=self.written_for_version,
                takes_effect_on=self.takes_effect_on,
                relock=self.relock,
                proposed_on=event.on,
                status=event.provenance.status,
            )
        )


class AmendmentSigned(EventData, tag="agreement.amendment_signed"):
    """A party signed an amendment."""

    amendment: Id
    party: Slug
    about = ("amendment", "party")

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        amendment = agreement.amendment_to_change(self.amendment)
        if amendment:
            signature = Signature(party=self.party, on=event.on)
            amendment.signed = (*amendment.signed, signature)


class AmendmentTookEffect(EventData, tag="agreement.amendment_took_effect"):
    """An amendment signed by every party changed the terms."""

    amendment: Id
    terms_version: int
    terms: Terms
    changes: tuple[Change, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        source = f"amendment {self.amendment}"
        agreement.set_terms(self.terms_version, self.terms, source, event)
        amendment = agreement.amendment_to_change(self.amendment)
        if amendment:
            amendment.state = "in_effect"
        for name, day in long_stops(self.changes).items():
            condition = agreement.condition_to_change(name)
            if condition:
                condition.long_stop_on = day


class AmendmentWithdrawn(EventData, tag="agreement.amendment_withdrawn"):
    """An amendment was withdrawn before it took effect."""

    amendment: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        amendment = agreement.amendment_to_change(self.amendment)
        if amendment:
            amendment.state = "withdrawn"


class Suspended(EventData, tag="agreement.suspended"):
    """Draws, deliveries or milestones were suspended on a stated ground."""

    scopes: tuple[Scope, ...]
    ground: str
    about = ("scopes",)

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        main = agreement.main_to_change()
        held = {one.scope for one in main.suspensions}
        main.suspensions += tuple(
            Suspension(scope=scope, on=event.on, ground=self.ground)
            for scope in dict.fromkeys(self.scopes)
            if scope not in held
        )


class Resumed(EventData, tag="agreement.resumed"):
    """What was suspended was resumed."""

    scopes: tuple[Scope, ...]
    about = ("scopes",)

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        main = agreement.main_to_change()
        main.suspensions = tuple(
            one for one in main.suspensions if one.scope not in self.scopes
        )


class TerminationNoticeGiven(EventData, tag="agreement.termination_notice_given"):
    """A party gave notice to end the agreement on a stated day."""

    by: Slug
    ground: str
    terminates_on: date

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.advance("terminating").terminates_on = self.terminates_on


class Terminated(EventData, tag="agreement.terminated"):
    """The agreement ended; only winding down remains."""

    ground: str
    about = ()

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("terminated", event)


class Lapsed(EventData, tag="agreement.lapsed"):
    """The agreement lapsed without having come into effect."""

    ground: str
    about = ()

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("lapsed", event)


class Superseded(EventData, tag="agreement.superseded"):
    """Another agreement took this one's place; no funds carry over by themselves."""

    successor: Slug

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.end("superseded", event).successor = self.successor
        if f"superseded_by/{self.successor}" not in agreement.links:
            agreement.parts.put(
                Link.of("superseded_by", self.successor, event, implied=True)
            )


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
        agreement.parts.put(
            Right(
                key=f"right/{self.right}",
                recorded=self,
                since=self.runs_from or event.on,
                status=event.provenance.status,
            )
        )


class RightReleased(EventData, tag="agreement.right_released"):
    """The holder gave up a right, or it was taken away."""

    right: Id

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        right: Right | None = agreement.parts.change(f"right/{self.right}")
        if right:
            right.released_on = event.on


class Linked(EventData, tag="agreement.linked"):
    """This deal was linked to another, which need not be on this record."""

    relation: Relation
    other: Slug
    note: str | None = None
    about = ("relation", "other")

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.parts.put(Link.of(self.relation, self.other, event, note=self.note))


class StatementRecorded(EventData, tag="agreement.statement_recorded"):
    """Somebody said something about the deal in public."""

    statement: Id
    speaker: str
    text: str
    contradicts: str | None = None

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        agreement.parts.put(
            Statement(
                key=f"statement/{self.statement}",
                said=self,
                on=event.on,
                ref=event.ref,
                status=event.provenance.status,
            )
        )


class PlanBaselined(EventData, tag="plan.baselined"):
    """The parties fixed a baseline of capacity by month; earlier ones are kept."""

    points: tuple[PlanPoint, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        key = f"baseline/{len(agreement.baselines) + 1:06d}"
        agreement.parts.put(Baseline(key=key, points=self.points, on=event.on))


class PlanForecast(EventData, tag="plan.forecast"):
    """The forecast of capacity by month was brought up to date."""

    points: tuple[PlanPoint, ...]

    def apply(self, agreement: Agreement, event: Event[Any]) -> None:
        key = f"forecast/{len(agreement.forecasts) + 1:06d}"
        agreement.parts.put(Forecast(key=key, points=self.points, on=event.on))


STEPS: Final = (
    LoiSigned,
    DefinitiveSigned,
    BecameEffective,
    AmendmentTookEffect,
    Suspended,
    Resumed,
    TerminationNoticeGiven,
    Terminated,
    Lapsed,
    Superseded,
    Closed,
)
"""What moves the agreement itself; one that is only told makes it disputed."""
_STEP_TAGS: Final = frozenset(step.tag() for step in STEPS)
_PLACES: Final[dict[State, int]] = {
    "none": 0,
    "draft": 1,
    "loi_signed": 2,
    "definitive_signed": 3,
    "in_effect": 4,
    "terminating": 5,
    "terminated": 6,
    "lapsed": 6,
    "superseded": 6,
    "closed": 7,
}
"""How far along its life each state is."""


def long_stops(changes: tuple[Change, ...]) -> dict[str, date | None]:
    """The long-stop dates that an amendment sets, by condition."""
    return {
        change.path.split(".")[1]: date.fromisoformat(change.new)
        if change.new
        else None
        for change in changes
        if change.path.startswith("condition.")
    }


_MAIN: Final = "main/agreement"


def _version_key(version: int) -> str:
    return f"terms/{version:04d}"


class Suspension(Frozen):
    """One scope that stands still."""

    scope: Scope
    on: date
    ground: str


class Main(Part, tag="main"):
    """The agreement itself: where it stands, between whom, and since when.

    `stage` is its state without regard to suspensions.
    """

    key: str = _MAIN
    stage: State = "none"
    status: Status = "confirmed"
    title: str = ""
    fictional: bool = False
    capital: tuple[Slug, ...] = ()
    capacity: tuple[Slug, ...] = ()
    terms_version: int = 0
    opened_on: date | None = None
    signed_on: date | None = None
    loi_expires_on: date | None = None
    effective_from: date | None = None
    effective_ref: str = ""
    suspensions: tuple[Suspension, ...] = ()
    terminates_on: date | None = None
    ended_on: date | None = None
    successor: str | None = None


_NOTHING: Final = Main()
"""Of an agreement that is not on the record; nobody changes it."""


class TermsVersion(Part, tag="terms"):
    """A version of the terms; version 0 is the letter of intent's.

    `ref` is the entry that set it.
    """

    source: str
    since: date
    ref: str
    status: Status
    terms: Terms
    binding_clauses: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Its number."""
        return int(self.name)


class Condition(Part, tag="condition"):
    """A condition precedent as it stands: `on` is the day since which it does.

    `ref` is the entry by which it was met, or failed.
    """

    text: str
    scope: ConditionScope
    owner: Slug | None
    waivable_by: Slug | None
    long_stop_on: date | None
    on: date
    status: Status
    state: Literal["open", "satisfied", "waived", "failed"] = "open"
    ref: str = ""

    @property
    def met(self) -> bool:
        """Whether it is satisfied or waived."""
        return self.state in {"satisfied", "waived"}


class Signature(Frozen):
    """A party's signature."""

    party: Slug
    on: date


class Amendment(Part, tag="amendment"):
    """An amendment on its way."""

    changes: tuple[Change, ...]
    written_for_version: int
    takes_effect_on: date | None
    relock: bool
    proposed_on: date
    status: Status
    signed: tuple[Signature, ...] = ()
    state: Literal["proposed", "in_effect", "withdrawn"] = "proposed"

    def signed_on(self, party: str) -> date | None:
        """The day on which a party signed; None while it has not."""
        return next((one.on for one in self.signed if one.party == party), None)

    def waits_for(self, parties: Iterable[str]) -> list[str]:
        """Which of some parties have not signed."""
        return [party for party in parties if self.signed_on(party) is None]


class Right(Part, tag="right"):
    """A right that a party holds, or held."""

    recorded: RightRecorded
    since: date
    status: Status
    released_on: date | None = None

    @property
    def held(self) -> bool:
        """Whether it was not released."""
        return self.released_on is None


class Link(Part, tag="link"):
    """A link to another deal; one `implied` came with the supersession itself."""

    relation: Relation
    other: Slug
    since: date
    status: Status
    note: str | None = None
    implied: bool = False

    @classmethod
    def of(
        cls,
        relation: Relation,
        other: Slug,
        event: Event[Any],
        *,
        note: str | None = None,
        implied: bool = False,
    ) -> Link:
        """A link by an event."""
        return cls(
            key=f"link/{relation}/{other}",
            relation=relation,
            other=other,
            since=event.on,
            status=event.provenance.status,
            note=note,
            implied=implied,
        )


class Statement(Part, tag="statement"):
    """Something that was said in public."""

    said: StatementRecorded
    on: date
    ref: str
    status: Status


class Baseline(Part, tag="baseline"):
    """A baseline of the plan; the first one is kept as the later ones are."""

    points: tuple[PlanPoint, ...]
    on: date


class Forecast(Part, tag="forecast"):
    """A forecast of the plan."""

    points: tuple[PlanPoint, ...]
    on: date


class Agreement(Parted):
    """One deal's agreement. Stream `agreement/DEAL`."""

    __slots__ = ("base",)
    kind = "agreement"

    def __init__(self, stream: str, parts: Parts[Any] | None = None) -> None:
        super().__init__(stream, parts)
        self.base: Self | None = None

    @property
    def confirmed(self) -> Self:
        """The same without what is only told."""
        return self if self.base is None else self.base

    def _copy(self) -> Self:
        over = super()._copy()
        over.base = self.confirmed
        return over

    @property
    def main(self) -> Main:
        """The agreement itself, only to look at."""
        found: Main | None = self.parts.get(_MAIN)
        return _NOTHING if found is None else found

    @property
    def state(self) -> State:
        """Where the agreement stands; `suspended` while any scope is."""
        main = self.main
        if main.stage == "in_effect" and main.suspensions:
            return "suspended"
        return main.stage

    @property
    def status(self) -> Status:
        """What the state rests on; `disputed` while another is told."""
        told = (claim.subject.partition(":")[0] for claim in self.claims)
        return self.main.status if _STEP_TAGS.isdisjoint(told) else "disputed"

    @property
    def title(self) -> str:
        """What the deal is called."""
        return self.main.title

    @property
    def fictional(self) -> bool:
        """Whether the deal is made up."""
        return self.main.fictional

    @property
    def capacity(self) -> tuple[Slug, ...]:
        """The parties that deploy capacity."""
        return self.main.capacity

    @property
    def parties(self) -> tuple[Slug, ...]:
        """Every party, capital side first."""
        main = self.main
        return tuple(dict.fromkeys((*main.capital, *main.capacity)))

    @property
    def binding(self) -> bool:
        """Whether the agreement has come into effect and has not ended."""
        # Notice can be given of an agreement that never came into effect.
        return self.effective_from is not None and self.main.stage in BINDING

    @property
    def ended(self) -> bool:
        """Whether nothing new can happen under it."""
        return self.main.stage in ENDED

    @property
    def opened_on(self) -> date | None:
        """The day on which the deal was opened."""
        return self.main.opened_on

    @property
    def signed_on(self) -> date | None:
        """The day of the last signature: of the letter, or of the agreement."""
        return self.main.signed_on

    @property
    def loi_expires_on(self) -> date | None:
        """The day on which the letter of intent expires."""
        return self.main.loi_expires_on

    @property
    def effective_from(self) -> date | None:
        """The day since which it is in effect."""
        return self.main.effective_from

    @property
    def effective_ref(self) -> str:
        """The entry by which it came into effect."""
        return self.main.effective_ref

    @property
    def terminates_on(self) -> date | None:
        """The day on which the notice runs out."""
        return self.main.terminates_on

    @property
    def ended_on(self) -> date | None:
        """The day on which it ended."""
        return self.main.ended_on

    @property
    def successor(self) -> str | None:
        """The deal that took its place."""
        return self.main.successor

    @property
    def suspensions(self) -> Mapping[Scope, Suspension]:
        """What stands still, by scope."""
        return {one.scope: one for one in self.main.suspensions}

    @property
    def versions(self) -> Mapping[str, TermsVersion]:
        """Every version of the terms, the letter of intent's too."""
        return self.parts.under("terms")

    @property
    def indicative_terms(self) -> Terms | None:
        """The terms of the letter of intent, if there is one."""
        return self._terms(0)

    @property
    def terms(self) -> Terms | None:
        """The terms agreed, in their latest version, if there are any."""
        version = self.terms_version
        return self._terms(version) if version else None

    @property
    def known_terms(self) -> Terms:
        """The terms agreed, or the indicative ones, or none at all."""
        return self.terms or self.indicative_terms or Terms()

    @property
    def terms_version(self) -> int:
        """The number of the terms agreed; 0 while there are none."""
        return self.main.terms_version

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """The conditions precedent by name."""
        return self.parts.under("condition")

    @property
    def amendments(self) -> Mapping[str, Amendment]:
        """The amendments by name."""
        return self.parts.under("amendment")

    @property
    def rights(self) -> Mapping[str, Right]:
        """The rights by name, the released ones too."""
        return self.parts.under("right")

    @property
    def links(self) -> Mapping[str, Link]:
        """The links to other deals, by RELATION/DEAL."""
        return self.parts.under("link")

    @property
    def statements(self) -> Mapping[str, Statement]:
        """What was said in public, by name."""
        return self.parts.under("statement")

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """Every baseline of the plan, the first one first."""
        return tuple(one for _, one in sorted(self.parts.under("baseline").items()))

    @property
    def forecasts(self) -> tuple[Forecast, ...]:
        """Every forecast of the plan, the latest one last."""
        return tuple(one for _, one in sorted(self.parts.under("forecast").items()))

    def _terms(self, version: int) -> Terms | None:
        found: TermsVersion | None = self.parts.get(_version_key(version))
        return None if found is None else found.terms

    # What events do.
    def main_to_change(self) -> Main:
        """The agreement itself, to be changed."""
        main: Main | None = self.parts.change(_MAIN)
        if main is None:
            main = Main()
            self.parts.put(main)
        return main

    def condition_to_change(self, name: str) -> Condition | None:
        """A condition, to be changed."""
        found: Condition | None = self.parts.change(f"condition/{name}")
        return found

    def amendment_to_change(self, name: str) -> Amendment | None:
        """An amendment, to be changed."""
        found: Amendment | None = self.parts.change(f"amendment/{name}")
        return found

    def advance(self, state: State) -> Main:
        """Move it to a state, unless it is further along already."""
        main = self.main_to_change()
        if _PLACES[state] >= _PLACES[main.stage]:
            main.stage = state
        return main

    def set_terms(
        self, version: int, terms: Terms, source: str, event: Event[Any]
    ) -> None:
        """Let a version of the terms hold, and keep those before it."""
        main = self.main_to_change()
        main.terms_version = max(main.terms_version, version)
        self.parts.put(
            TermsVersion(
                key=_version_key(version),
                source=source,
                since=event.on,
                ref=event.ref,
                status=event.provenance.status,
                terms=terms,
            )
        )

    def settle_condition(
        self,
        name: str,
        state: Literal["satisfied", "waived", "failed"],
        event: Event[Any],
    ) -> None:
        """Give a condition its outcome."""
        condition = self.condition_to_change(name)
        if condition:
            condition.state = state
            condition.on = event.on
            condition.ref = event.ref

    def end(self, state: End, event: Event[Any]) -> Main:
        """End the agreement, and with it what was suspended."""
        main = self.advance(state)
        main.ended_on = main.ended_on or event.on
        main.suspensions = ()
        return main


PARTS: Final = (
    Main,
    TermsVersion,
    Condition,
    Amendment,
    Right,
    Link,
    Statement,
    Baseline,
    Forecast,
)
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
