"""Rules of reversal: REC-02. What is wrong is reversed in the open, by two people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.domain.aggregate import World
from ledger.domain.event import Event, Reversed
from ledger.domain.provenance import same_person
from ledger.domain.reversal import (
    EVENTS,
    Approved,
    Rejected,
    Requested,
    Reversal,
    Target,
)
from ledger.errors import Refused
from ledger.rules.dates import not_before
from ledger.rules.registry import check, rule
from ledger.rules.reliance import reliant, reversed_among

MOST_NAMED = 8
"""Entries that a refusal names one by one; of more it tells how many."""
REVERSALS = (*(event.tag() for event in EVENTS), Reversed.tag())


@rule("REC-02", Requested)
def request_is_sound(world: World, event: Event[Any]) -> None:
    """A reversal names entries of its deal, each once, and the reason."""
    if world.get(Reversal, event.deal, event.stream.rpartition("/")[2]).exists:
        raise Refused(f"{event.stream} is on the record already.")
    if not (event.provenance.reason or "").strip():
        raise Refused(
            "A reversal without a reason explains nothing.",
            todo="Say why in 'reason'.",
        )
    positions = [target.position for target in event.data.targets]
    if len(set(positions)) < max(1, len(positions)):
        raise Refused("Name the entries to reverse, each once.")
    for target in event.data.targets:
        _check_target(world, event, target)


def _check_target(world: World, event: Event[Any], target: Target) -> None:
    entry = world.entry(target.position)
    if entry is None or entry.deal != event.deal:
        where = "not on the record" if entry is None else f"of {entry.deal}"
        raise Refused(
            f"Entry {target.position} is {where}, not of {event.deal}.",
            todo="The history shows the entries of each deal.",
            code="REC-02",
        ).hinting("entries")
    if (entry.stream, entry.version, entry.data.tag()) != (
        target.stream,
        target.version,
        target.entry,
    ):
        raise Refused(
            f"Entry {target.position} is {entry.data.tag()} ({entry.ref}), "
            f"not {target.entry} ({target.stream}@{target.version}).",
            code="REC-02",
        )
    if target.entry in REVERSALS:
        raise Refused(
            f"Entry {target.position} is itself part of a reversal, "
            "which cannot be reversed.",
            todo="Record anew what was reversed by mistake.",
            code="REC-02",
        )


@rule("REC-02", Approved, Rejected)
def answers_an_open_request(world: World, event: Event[Any]) -> None:
    """A reversal is approved or rejected once, after it was requested."""
    reversal = _reversal(world, event)
    if reversal.state != "requested":
        raise Refused(f"Reversal {_name(event)} is {reversal.state}.")
    not_before(event, reversal.requested_on, "the request")


@rule("REC-02", Approved)
def approved_by_another(world: World, event: Event[Any]) -> None:
    """Who asked for a reversal does not approve it."""
    by = _reversal(world, event).requested_by
    if same_person(by, event.provenance.actor):
        raise Refused(
            "You made this request. Another approver is needed.",
            todo=f"Somebody other than {by} approves it.",
        )


@rule("REC-02", Requested, Approved, Reversed)
def reversal_is_confirmed(_: World, event: Event[Any]) -> None:
    """A reversal is the ledger's own act: a report of one reverses nothing."""
    if not event.confirmed:
        raise Refused(f"This reversal is marked {event.provenance.status}.")


@rule("REC-02", Requested, Approved)
def reversed_once_with_all_that_relies_on_it(world: World, event: Event[Any]) -> None:
    """An entry is reversed once, after or together with all that relied on it."""
    taken = frozenset(target.position for target in _targets(world, event))
    before = reversed_among(world.entries(event.deal)) & taken
    if before:
        raise Refused(
            f"Entry {min(before)} was reversed before; an entry is reversed once.",
        )
    found = reliant(world, event.deal, taken, check)
    if not found:
        return
    named = [
        f"#{one.event.position} {one.event.data.tag()} ({one.why.rstrip('.')})"
        for one in found[:MOST_NAMED]
    ]
    if len(found) > MOST_NAMED:
        named.append(f"and {len(found) - MOST_NAMED} more")
    which = ", ".join(f"#{position}" for position in sorted(taken))
    have = "has" if len(taken) == 1 else "have"
    raise Refused(
        f"{which} {have} later entries that rely on it: {'; '.join(named)}.",
        todo="Reverse them first, or together: request the reversal "
        "with 'with_reliant'.",
    )


@rule("REC-02", Requested, Approved)
def reversed_with_what_brought_it_about(world: World, event: Event[Any]) -> None:
    """What another entry brought about is reversed with that one, not alone.

    But where it fell away by itself without the other entries that are to be reversed.
    """
    targets = _targets(world, event)
    refs = {f"{target.stream}@{target.version}" for target in targets}
    alone = _brought_about(world, event.deal, targets, refs)
    if not alone:
        return
    taken = {target.position for target in targets} - alone.keys()
    falls = reliant(world, event.deal, taken, check) if taken else ()
    for position in alone.keys() - {one.event.position for one in falls}:
        cause = alone[position]
        raise Refused(
            f"Entry {position} was brought about by #{cause.position} "
            f"{cause.data.tag()} ({cause.ref}), which would stand without it.",
            todo=f"Reverse #{cause.position} with all that relied on it.",
        )


def _brought_about(
    world: World, deal: str, targets: Iterable[Target], refs: set[str]
) -> dict[int, Event[Any]]:
    """Those targets whose cause stands, and is not among `refs`; each with its cause."""
    causes: dict[str, list[int]] = {}
    for target in targets:
        entry = world.entry(target.position)
        cause = entry.provenance.causation if entry else None
        if cause is not None and cause not in refs:
            causes.setdefault(cause, []).append(target.position)
    if not causes:
        return {}
    gone = reversed_among(world.entries(deal))
    return {
        position: entry
        for entry in world.entries(deal)
        if entry.position not in gone
        for position in causes.get(entry.ref, ())
    }


@rule("REC-02", Reversed)
def reversed_as_approved(world: World, event: Event[Any]) -> None:
    """Only what an approved reversal names is reversed."""
    reversal = world.get(Reversal, event.deal, event.data.reversal)
    mark = event.data
    target = Target(
        position=mark.position,
        stream=event.stream,
        version=mark.version,
        entry=mark.entry,
    )
    if reversal.state != "approved" or target not in reversal.targets:
        raise Refused(
            f"Reversal {mark.reversal} is {reversal.state} and does not reverse "
            f"entry {mark.position}.",
        )


def _targets(world: World, event: Event[Any]) -> tuple[Target, ...]:
    """What a request, or the request that is approved, is to reverse."""
    if isinstance(event.data, Requested):
        return event.data.targets
    return _reversal(world, event).targets


def _reversal(world: World, event: Event[Any]) -> Reversal:
    return world.need(Reversal, event.deal, _name(event))


def _name(event: Event[Any]) -> str:
    return event.stream.rpartition("/")[2]
