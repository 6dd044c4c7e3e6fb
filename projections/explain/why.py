"""Why is a figure what it is: from the figure back through events to evidence.

A rung is the sum of its parts: the figures of the tree's first branches add up to it,
for capacity before they are converted on the agreement's basis. Below that, each thing
stands with its own events, newest first, and with what it relied on.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from ledger.clock import stamp_time
from ledger.domain import agreement as agreed
from ledger.domain.catalogue import BY_KIND
from ledger.domain.event import Event
from ledger.domain.funding import Facility, Funding, TrueUp
from ledger.domain.provenance import Evidence
from ledger.domain.struct import Frozen
from ledger.domain.transcoding import to_builtins
from ledger.domain.values import Amount
from ledger.errors import InvalidValue, NotFound, quoted
from projections.engine.reading import Reading
from projections.explain.lineage import MIXED, NAMED, Lineage
from projections.explain.things import moved, stand
from projections.views.certificates import certified_watts, counted_watts
from projections.views.commitment import plain, rungs_of
from projections.views.deals import agreement_of
from projections.views.distance import next_trigger
from projections.views.fleet import order_of, systems_at, totals_of
from projections.views.standing import CAPACITY, FUNDING, STANDING, Rung
from projections.views.terms import TERMS

LADDERS: Final = (FUNDING, CAPACITY)
TERM: Final = "term"
MANY: Final = 10
"""Things of one kind that are told one by one."""
MOST: Final = 2000
"""Things that one tree tells at most, also where all are asked for."""
LISTED: Final = 1000
"""Things of one kind among which a name is looked for that is not quite right."""
_REACHED: Final = {"requested": 1, "approved": 2, "disbursed": 3}
_CANCELLED: Final = "cancelled with the end: it was neither paid nor approved"


class Reason(Frozen, omit_defaults=False):
    """A branch of the tree: a figure, a thing, or an event, and what stands behind it.

    An event has a `position`, a thing a `state`; `figure` is in `unit`: what a thing
    stands at, by how much an event moved it. `cause` is the position of the event that
    brought it about. `see` tells that what stands behind it was told further up. `note`
    is how a figure came about, or what is missing.
    """

    what: str
    figure: str | None = None
    unit: str | None = None
    state: str | None = None
    note: str | None = None
    position: int | None = None
    effective_on: date | None = None
    recorded_at: str | None = None
    actor: str | None = None
    status: str | None = None
    reason: str | None = None
    cause: int | None = None
    evidence: tuple[Evidence, ...] = ()
    see: bool = False
    because: tuple[Reason, ...] = ()


def why(reading: Reading, deal: str, subject: str, *, whole: bool = False) -> Reason:
    """The tree behind a subject; NotFound names what there is instead.

    Of many alike only the first are told, and how many more there are, if not `whole`.
    InvalidValue where the whole would be more than `MOST` things.
    """
    teller = _Teller(reading, deal, whole=whole)
    return teller.tell(_resolve(teller, deal, subject))


def subjects(reading: Reading, deal: str) -> list[str]:
    """What of a deal can be asked about; of its systems and the like the first."""
    return list(_Teller(reading, deal).known())


def _resolve(teller: _Teller, deal: str, subject: str) -> str:
    """The full name of a subject, `tranche/T1`, from the name that was given."""
    if teller.knows(subject):
        return subject
    known = list(teller.known())
    found = dict.fromkeys(
        [
            *(name for name in known if name.partition("/")[2] == subject),
            *(f"{kind}/{subject}" for kind in BY_KIND),
        ]
    )
    found = dict.fromkeys(filter(teller.knows, found))
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise NotFound(
            f"{quoted(subject)} is the name of several things of {deal}: "
            f"say which, {' or '.join(found)}."
        )
    names = [*known, *(name.partition("/")[2] for name in known)]
    # Short names are alike where half of them is.
    near = difflib.get_close_matches(subject, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    kinds = ", ".join(dict.fromkeys(name.partition("/")[0] for name in known))
    raise NotFound(
        f"{deal} has nothing by the name of {quoted(subject)}.{hint} "
        f"Its kinds are {kinds}; write KIND/NAME."
    )


class _Teller:
    """Tells the tree; what was told once is referred to afterwards."""

    def __init__(self, reading: Reading, deal: str, *, whole: bool = False) -> None:
        self._reading = reading
        self._book = book = reading.book(deal, STANDING, TERMS)
        self._lineage = Lineage(deal, reading)
        self._whole = whole
        self._funding = book.get(Funding)
        self._rungs = _rungs(STANDING.draw(book).rows)
        self._clauses = dict(self._values())
        self._told: set[str] = set()

    def known(self) -> Iterator[str]:
        """Subjects: rungs, threads, and the terms; of each kind of stream the first."""
        yield from self._rungs
        yield from self._lineage.named
        for kind in BY_KIND:
            if kind not in MIXED:
                for stream in self._reading.streams(self._book.deal, kind, LISTED):
                    name = stream.rpartition("/")[2]
                    yield f"{kind}/{name}" if kind in NAMED else stream
        yield from (f"{TERM}/{clause}" for clause in self._clauses)

    def knows(self, name: str) -> bool:
        """Whether there is a rung, a term or a thread of that name."""
        kind, _, rest = name.partition("/")
        if kind == TERM:
            return rest in self._clauses
        return name in self._rungs or bool(self._lineage.events(name))

    def tell(self, name: str) -> Reason:
        """A rung, a term, or a thread."""
        kind, _, rest = name.partition("/")
        if kind in LADDERS:
            return self._rung(name)
        if kind == TERM:
            return self._term(name, rest)
        return self._thread(name, asked=True)

    def _thread(self, name: str, *, asked: bool = False) -> Reason:
        """A thing: its events, newest first, and what it relied on."""
        events = self._lineage.events(name)
        there = stand(self._book, name)
        told = Reason(
            what=name,
            figure=there.figure,
            unit=there.unit,
            state=there.state,
            note=there.note,
        )
        if name in self._told:
            return replace(told, note=None, see=True)
        self._told.add(name)
        self._check_size(len(self._told))
        others = self._lineage.relied_on(name, flags=asked)
        because = (
            *(self._event(event, told=there.told) for event in reversed(events)),
            *self._some(others, MANY if asked else 1),
        )
        return replace(told, because=because)

    def _check_size(self, things: int) -> None:
        if things > MOST:
            raise InvalidValue(
                f"More than {MOST:,} things stand behind it, too many for one tree. "
                "Without --all the first of them are told and the rest added up; "
                f"'accord systems {self._book.deal}' lists every system."
            )

    def _some(self, names: Iterator[str], systems: int) -> Iterator[Reason]:
        """Things that others relied on; of many alike the first."""
        told: Counter[str] = Counter()
        for name in names:
            kind = name.partition("/")[0]
            most = systems if kind == "system" else MANY
            if not self._whole and told[kind] >= most:
                told[kind] += 1
            elif self._lineage.events(name):
                told[kind] += 1
                yield self._thread(name)
        for kind, many in told.items():
            left = many - (systems if kind == "system" else MANY)
            if left > 0 and not self._whole:
                yield _more(kind, left)

    def _event(self, event: Event[Any], *, told: bool = False) -> Reason:
        """An event as a leaf: what happened, when, by whom, on what evidence."""
        recorded = event.identity.recorded_at
        provenance = event.provenance
        figure, unit = moved(event, told=told)
        return Reason(
            what=event.data.tag(),
            figure=figure,
            unit=unit,
            position=event.position,
            effective_on=event.on,
            recorded_at=stamp_time(recorded) if recorded else None,
            actor=f"{provenance.actor}@{provenance.party}",
            status=provenance.status,
            reason=provenance.reason,
            cause=self._lineage.position_of(provenance.causation),
            evidence=provenance.evidence,
        )

    # The rungs of the standing.
    def _rung(self, name: str) -> Reason:
        """A rung: of one facility, or of all, which are told apart by their units."""
        told = self._rungs[name]
        ladder, _, rest = name.partition("/")
        undertaking, _, rung = rest.rpartition("/")
        if ladder == CAPACITY:
            parts, note = self._capacity(rung)
        else:
            parts = [
                part
                for one in told
                for part in self._money(undertaking or one.undertaking, rung, one.unit)
            ]
            note = None
        units = {one.unit for one in told}
        unit = units.pop() if len(units) == 1 else None
        if not parts:
            note = self._lacking(ladder, rung, told[0].unit)
        return Reason(
            what=name,
            figure=_added(told) if unit else None,
            unit=unit,
            note=note or (None if unit else "in several units, which never add up"),
            because=tuple(parts),
        )

    def _lacking(self, ladder: str, rung: str, unit: str) -> str:
        """Why a rung is empty, where that is simple to say."""
        said = "nothing has come this far"
        if rung == "committed":
            state = agreement_of(self._book).state.replace("_", " ")
            return f"{said}: the agreement is {state}"
        waits = next_trigger(self._book, unit)
        if ladder == CAPACITY or rung == "announced" or waits is None:
            return said
        return f"{said}; next is {waits}"

    def _money(self, name: str, rung: str, unit: str) -> Iterator[Reason]:
        """The parts of a facility's rung, which add up to it."""
        if rung == "announced":
            yield from self._announced("funding_cap", unit)
            return
        facility = self._funding.find(Facility, name)
        if facility is None:
            if rung == "committed":
                yield from self._bound("funding_cap", unit)
            return
        amounts = rungs_of(self._book, facility)
        if rung == "committed" and amounts.committed:
            yield self._part(f"facility/{name}", amounts.committed)
        elif rung == "unlocked":
            yield from self._unlocked(name, amounts.unlocked)
        elif rung in _REACHED:
            yield from self._drawn(name, rung, getattr(amounts, rung))

    def _unlocked(self, facility: str, total: Amount) -> Iterator[Reason]:
        """Tranches with what they unlocked, less what was cancelled with the rest."""
        sum_of = Amount.zero(total.unit)
        for tranche in self._funding.tranches_of(facility):
            if tranche.unlocked:
                sum_of = sum_of + tranche.unlocked
                yield self._part(f"tranche/{tranche.name}", tranche.unlocked)
        yield from _rest(f"facility/{facility}", total - sum_of, _CANCELLED)

    def _drawn(self, facility: str, rung: str, total: Amount) -> Iterator[Reason]:
        """Drawdowns that reached a rung, less what went back, and what was added."""
        sum_of = Amount.zero(total.unit)
        for name, row in sorted(self._funding.drawdowns.items()):
            if row.asked.facility == facility and row.rung >= _REACHED[rung]:
                left = row.amount - row.returned
                sum_of = sum_of + left
                yield self._part(f"drawdown/{name}", left)
        for thread, amount in self._cash(facility, total.unit):
            sum_of = sum_of + amount
            yield self._part(thread, amount)
        yield from _rest(f"facility/{facility}", total - sum_of, _CANCELLED)

    def _cash(self, facility: str, unit: str) -> Iterator[tuple[str, Amount]]:
        """What moved without a drawdown's name, by its thread."""
        nothing = Amount.zero(unit)
        for name, clawback in sorted(self._funding.clawbacks.items()):
            if clawback.facility == facility and clawback.received:
                yield f"clawback/{name}", nothing - clawback.received
        for name, true_up in sorted(self._funding.every(TrueUp).items()):
            if true_up.facility == facility:
                more = true_up.direction == "to_recipient"
                yield (
                    f"true_up/{name}",
                    true_up.amount if more else nothing - true_up.amount,
                )

    def _part(self, thread: str, amount: Amount) -> Reason:
        return _with(self._thread(thread), plain(amount), amount.unit)

    def _announced(self, field: str, unit: str) -> Iterator[Reason]:
        """The event that announced a figure: the letter of intent, else the agreement."""
        intended = agreement_of(self._book).indicative_terms is not None
        yield from self._from_terms(field, unit, intended=intended)

    def _bound(self, field: str, unit: str) -> Iterator[Reason]:
        """The event whose terms bind a figure, where a rung counts that figure."""
        told = "funding/committed" if field == "funding_cap" else "capacity/committed"
        if any(one.quantity.strip("0.") for one in self._rungs[told]):
            yield from self._from_terms(field, unit, intended=False)

    def _from_terms(self, field: str, unit: str, *, intended: bool) -> Iterator[Reason]:
        """The last event that set the terms, with the figure that it gave a field."""
        events = [
            event
            for event in self._terms_set()
            if isinstance(event.data, agreed.LoiSigned) == intended
        ]
        for event in events[-1:]:
            value = getattr(event.data.terms, field)
            text = "" if value is None else str(value)
            if text.endswith(f" {unit}"):
                yield _with(self._event(event), text.removesuffix(f" {unit}"), unit)

    def _terms_set(self) -> list[Event[Any]]:
        """The events that set terms, from the letter of intent on."""
        versions = sorted(agreement_of(self._book).versions.items())
        found = (self._lineage.by_ref(one.ref) for _, one in versions)
        return [event for event in found if event is not None]

    # Capacity.
    def _capacity(self, rung: str) -> tuple[list[Reason], str | None]:
        """The parts of a rung of capacity in rated watts, and how they are converted."""
        if rung == "announced":
            return list(self._announced("capacity_floor", "W")), None
        if rung == "committed":
            return list(self._bound("capacity_floor", "W")), None
        if rung == "certified":
            counted = list(counted_watts(self._book).items())
            most = len(counted) if self._whole else MANY
            parts = [
                _with(self._thread(f"certificate/{name}"), str(watts), "W")
                for name, watts in counted[:most]
            ]
            if counted[most:]:
                left = sum(watts for _, watts in counted[most:])
                parts.append(_more("certificate", len(counted[most:]), str(left)))
            total = certified_watts(self._book)
        else:
            parts = list(self._delivered(rung))
            total = int(self._rungs[f"capacity/{rung}"][0].quantity)
        return parts, self._converted(parts, total)

    def _delivered(self, rung: str) -> Iterator[Reason]:
        """Orders, or systems; of many systems those that are alike, added up."""
        if rung == "ordered":
            yield from self._ordered()
            return
        groups = [
            group
            for group in totals_of(self._book).groups.values()
            if group.counts_at(rung)
        ]
        many = sum(group.systems for group in groups)
        if self._whole:
            self._check_size(many)
        elif many > MANY:
            for group in groups:
                alike = f"{group.site} {group.sku} v{group.sku_version}"
                yield Reason(
                    what=f"systems/{alike.strip()}",
                    figure=str(group.watts),
                    unit="W",
                    state=group.shown_state,
                    note=f"{group.systems:,} systems; --all shows them",
                )
            return
        for system in systems_at(self._book, rung):
            yield _with(self._thread(system.id), str(system.rated_w), "W")

    def _ordered(self) -> Iterator[Reason]:
        names = self._reading.streams(self._book.deal, "order", LISTED)
        orders = [name.rpartition("/")[2] for name in names]
        most = len(orders) if self._whole else MANY
        told = 0
        for name in orders[:most]:
            order = order_of(self._book, name)
            if order is not None:
                told += order.ordered
                yield self._thread(f"order/{name}")
        left = totals_of(self._book).ordered - told
        if orders[most:]:
            yield _more("order", len(orders[most:]), str(left))

    def _converted(self, parts: Sequence[Reason], total: int) -> str | None:
        rated = sum(int(part.figure or 0) for part in parts)
        terms = agreement_of(self._book).known_terms
        if not parts or terms.capacity_basis in {"rated", "unspecified"}:
            return None
        ratios = [f"× {terms.overhead_ratio} overhead"] if terms.overhead_ratio else []
        if terms.capacity_basis == "facility" and terms.pue:
            ratios.append(f"× {terms.pue} PUE")
        basis = terms.capacity_basis.replace("_", " ")
        return f"{rated} W rated {' '.join(ratios)} = {total} W on the basis {basis}"

    # Terms.
    def _values(self) -> Iterator[tuple[str, tuple[str, Event[Any]]]]:
        """Each clause with its value in force and the event that set it."""
        found: dict[str, tuple[str, Event[Any]]] = {}
        for event in self._terms_set():
            plain_terms = to_builtins(event.data.terms)
            others = {one["name"]: one["text"] for one in plain_terms.pop("other", ())}
            now = {
                name: value if isinstance(value, str) else _text(value)
                for name, value in {**plain_terms, **others}.items()
            }
            # A definitive agreement sets every term anew, even to what was intended.
            kept = {} if isinstance(event.data, agreed.DefinitiveSigned) else found
            found = {
                name: kept[name]
                if name in kept and kept[name][0] == value
                else (value, event)
                for name, value in now.items()
            }
        yield from found.items()

    def _term(self, name: str, clause: str) -> Reason:
        value, event = self._clauses[clause]
        number, _, unit = value.partition(" ")
        figures = clause in {"funding_cap", "capacity_floor"}
        thread = self._lineage.thread_at(event.position)
        return Reason(
            what=name,
            figure=number if figures else value,
            unit=unit if figures else None,
            because=(
                self._thread(thread)
                if thread.startswith("amendment/")
                else self._event(event),
            ),
        )


def _more(kind: str, many: int, watts: str | None = None) -> Reason:
    """In place of what is not told one by one."""
    return Reason(
        what=f"{kind}/…",
        figure=watts,
        unit=watts and "W",
        note=f"{many:,} more {kind}s; --all shows them",
    )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with(told: Reason, figure: str, unit: str) -> Reason:
    """A branch with the part of its figure that counts here."""
    return replace(told, figure=figure, unit=unit)


def _rungs(rows: Sequence[Rung]) -> dict[str, list[Rung]]:
    """The rungs by name: each ladder's, and of money each facility's too."""
    found: dict[str, list[Rung]] = {}
    for row in rows:
        found.setdefault(f"{row.ladder}/{row.rung}", []).append(row)
        if row.undertaking:
            found[f"{row.ladder}/{row.undertaking}/{row.rung}"] = [row]
    return found


def _added(rungs: Sequence[Rung]) -> str:
    """What rungs of one unit add up to."""
    return f"{sum((Decimal(one.quantity) for one in rungs), Decimal(0)):f}"


def _rest(what: str, amount: Amount, note: str) -> Iterator[Reason]:
    """What makes the parts add up to their rung, where something was cancelled."""
    if amount:
        yield Reason(what=what, figure=plain(amount), unit=amount.unit, note=note)
