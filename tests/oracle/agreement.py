"""The agreement: its state, terms, conditions, rights to act; defaults; the roadmap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from record import Entry

STEPS = {
    "agreement.opened": "draft",
    "agreement.loi_signed": "loi_signed",
    "agreement.definitive_signed": "definitive_signed",
    "agreement.became_effective": "in_effect",
    "agreement.termination_notice_given": "terminating",
    "agreement.terminated": "terminated",
    "agreement.lapsed": "lapsed",
    "agreement.superseded": "superseded",
    "agreement.closed": "closed",
}
BINDING = {"in_effect", "suspended", "terminating"}
"""The states in which the agreement commits money: it began, and has not ended."""


@dataclass
class Condition:
    """A condition precedent."""

    scope: str
    owner: str | None
    waivable_by: str | None
    long_stop_on: str | None
    state: str = "open"
    on: str | None = None

    @property
    def met(self) -> bool:
        """Whether it is satisfied or waived."""
        return self.state in {"satisfied", "waived"}


@dataclass
class Milestone:
    """A roadmap milestone."""

    owner: str
    track: str
    target_on: str
    first_target_on: str
    state: str = "proposed"
    before: str = ""
    agreed: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    result: str | None = None
    achieved_on: str | None = None


@dataclass
class Agreement:
    """All that the agreement's own entries say."""

    title: str = ""
    parties: tuple[str, ...] = ()
    step: str = "none"
    began: bool = False
    scopes: set[str] = field(default_factory=set)
    terms: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    letter: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Condition] = field(default_factory=dict)
    milestones: dict[str, Milestone] = field(default_factory=dict)
    amendments: dict[str, str] = field(default_factory=dict)
    signatures: dict[str, list[str]] = field(default_factory=dict)
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    terminates_on: str | None = None
    defaults: dict[str, bool] = field(default_factory=dict)
    seen: list[Entry] = field(default_factory=list)
    weekend: dict[str, set[int]] = field(default_factory=dict)
    holidays: dict[str, set[str]] = field(default_factory=dict)
    periods: dict[str, dict[str, str | None]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state; suspended while any scope is, unless it is ending."""
        if self.step == "in_effect" and self.scopes:
            return "suspended"
        return self.step

    @property
    def binding(self) -> bool:
        """Whether money can be unlocked and drawn under it."""
        return self.began and self.state in BINDING

    @property
    def ended(self) -> bool:
        """Whether it was in effect and is so no more."""
        return self.began and not self.binding

    def announced(self, figure: str) -> str | None:
        """The floor or cap that was announced: the letter's, else that of the terms."""
        return self.letter.get(figure) or self.terms.get(figure)

    @property
    def basis(self) -> str:
        """What a watt is measured on."""
        return self.terms.get("capacity_basis", "unspecified")


def take(state: Agreement, entry: Entry) -> None:
    """Take one entry of the agreement, the roadmap, the observations or the books in."""
    noun, _, verb = entry.kind.partition(".")
    match noun:
        case "agreement":
            _agreement(state, entry, verb)
        case "milestone":
            _milestone(state, entry, verb)
        case "observation":
            _observation(state, entry, verb)
        case "calendar" | "period":
            _books(state, entry, verb)


def _agreement(state: Agreement, entry: Entry, verb: str) -> None:
    data = entry.data
    if entry.kind in STEPS:
        state.step = STEPS[entry.kind]
    match verb:
        case "opened":
            state.title = data["title"]
            state.parties = (*data["capital"], *data["capacity"])
        case "loi_signed":
            state.terms = state.letter = data["terms"]
        case "definitive_signed":
            state.terms, state.version = data["terms"], 1
        case "became_effective":
            state.began = True
        case "suspended":
            state.scopes |= set(data["scopes"])
        case "resumed":
            state.scopes -= set(data["scopes"])
        case "termination_notice_given":
            state.terminates_on = data["terminates_on"]
        case _ if verb.startswith("condition_"):
            _condition(state, entry, verb.removeprefix("condition_"))
        case _ if verb.startswith("amendment_"):
            _amendment(state, data, verb.removeprefix("amendment_"))


def _condition(state: Agreement, entry: Entry, verb: str) -> None:
    data = entry.data
    if verb == "defined":
        state.conditions[data["condition"]] = Condition(
            scope=data.get("scope", "agreement"),
            owner=data.get("owner"),
            waivable_by=data.get("waivable_by"),
            long_stop_on=data.get("long_stop_on"),
        )
        return
    found = state.conditions.get(data["condition"])
    if found:
        found.state, found.on = verb, entry.on


def _amendment(state: Agreement, data: dict[str, Any], verb: str) -> None:
    name = data["amendment"]
    match verb:
        case "proposed":
            state.amendments[name] = "proposed"
            state.signatures[name] = []
            state.changes[name] = data["changes"]
        case "signed":
            state.signatures.setdefault(name, []).append(data["party"])
        case "withdrawn":
            state.amendments[name] = "withdrawn"
        case "took_effect":
            state.amendments[name] = "in_effect"
            state.terms, state.version = data["terms"], data["terms_version"]
            for change in data["changes"]:
                _change(state, change)


def _change(state: Agreement, change: dict[str, Any]) -> None:
    """A condition's long-stop date moves with an amendment; commitments tell themselves."""
    noun, _, rest = change["path"].partition(".")
    name, _, path = rest.rpartition(".")
    if noun == "condition" and path == "long_stop_on" and name in state.conditions:
        state.conditions[name].long_stop_on = change["new"]


def _milestone(state: Agreement, entry: Entry, verb: str) -> None:
    name, data = entry.stream.split("/")[2], entry.data
    if verb == "proposed":
        state.milestones[name] = Milestone(
            owner=data["owner"],
            track=data["track"],
            target_on=data["target_on"],
            first_target_on=data["target_on"],
        )
        return
    found = state.milestones.get(name)
    if found:
        _advance(found, entry, verb, set(state.parties))


def _advance(found: Milestone, entry: Entry, verb: str, parties: set[str]) -> None:
    data = entry.data
    match verb:
        case "agreed":
            found.agreed.append(data["party"])
            if found.state == "proposed" and parties <= set(found.agreed):
                found.state = "agreed"
        case "rescheduled":
            found.target_on = data["new"]
        case "rebaselined":
            found.target_on = data.get("target_on") or found.target_on
            found.state, found.agreed, found.signed = "proposed", [], []
            found.result = None
        case "evidence_submitted":
            found.state, found.signed = "evidenced", []
            found.result = data.get("result")
        case "signed_off":
            found.signed.append(data["party"])
        case "achieved":
            found.state, found.achieved_on = "achieved", entry.on
        case "disputed":
            found.before, found.state = found.state, "disputed"
        case "dispute_settled":
            _settle(found, upheld=data["upheld"])
        case "missed" | "waived" | "cancelled":
            found.state = verb


def _settle(found: Milestone, *, upheld: bool) -> None:
    """Upheld: the evidence is to be given anew; else the milestone is where it was."""
    found.state = found.before
    if upheld and found.before in {"evidenced", "achieved"}:
        found.state, found.signed, found.result = "agreed", [], None
        found.achieved_on = None


def _observation(state: Agreement, entry: Entry, verb: str) -> None:
    match verb:
        case "default_declared":
            state.defaults[entry.data["default"]] = True
        case "default_cured":
            state.defaults[entry.data["default"]] = False
        case _:
            state.seen.append(entry)


DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _books(state: Agreement, entry: Entry, verb: str) -> None:
    data = entry.data
    if verb == "holidays_recorded":
        name = data["calendar"]
        state.holidays.setdefault(name, set()).update(data["days"])
        weekend = data.get("weekend", ["saturday", "sunday"])
        state.weekend[name] = {DAYS.index(day) for day in weekend}
        return
    if verb == "opened":
        state.periods[data["period"]] = {
            "begins_on": data["begins_on"],
            "ends_on": data["ends_on"],
            "closed_on": None,
        }
    elif data["period"] in state.periods:
        state.periods[data["period"]]["closed_on"] = entry.on
