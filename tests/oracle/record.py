"""The record as plain dictionaries, cut to what was so by a day and known by a moment.

An entry counts where it was recorded by known-at, was not reversed by then, and is
effective by as-of; entries are taken in the order in which they were recorded.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MARKS = ("record.reversed", "reversal.requested", "reversal.approved")
BESIDE = (*MARKS, "reversal.rejected")
"""Entries about entries: none of them is a fact of the deal."""


class Entry(NamedTuple):
    """One stored event, with the few parts of its envelope that the model asks for."""

    position: int
    stream: str
    version: int
    recorded_at: str
    deal: str
    party: str
    actor: str
    on: str
    status: str
    kind: str
    data: dict[str, Any]


def entry_of(line: bytes) -> Entry:
    """Read an entry from its stored bytes."""
    whole = json.loads(line)
    identity, said, data = whole["identity"], whole["provenance"], whole["data"]
    return Entry(
        position=identity["position"],
        stream=identity["stream"],
        version=identity["version"],
        recorded_at=identity["recorded_at"],
        deal=said["deal"],
        party=said["party"],
        actor=said["actor"],
        on=said["effective_on"],
        status=said.get("status", "confirmed"),
        kind=data["type"],
        data=data,
    )


def known(entries: list[Entry], known_at: int | str | None) -> list[Entry]:
    """Keep what was recorded by a position, or by a recorded time as it is written."""
    if known_at is None:
        return entries
    if isinstance(known_at, int):
        return [entry for entry in entries if entry.position <= known_at]
    return [entry for entry in entries if entry.recorded_at <= known_at]


def standing(entries: list[Entry]) -> list[Entry]:
    """Leave out what was reversed by the last of these entries, and the marks."""
    marks = (entry for entry in entries if entry.kind == "record.reversed")
    gone = {mark.data["position"] for mark in marks}
    return [
        entry
        for entry in entries
        if entry.position not in gone and entry.kind not in BESIDE
    ]


def cut(
    entries: list[Entry], deal: str, as_of: str, known_at: int | str | None
) -> list[Entry]:
    """The facts of a deal by a day, as they were known at a moment."""
    facts = standing(known(entries, known_at))
    return [fact for fact in facts if fact.deal == deal and fact.on <= as_of]


def transactions(entries: list[Entry]) -> list[int]:
    """The positions at which a transaction ended: between them nobody asks."""
    last = {entry.recorded_at: entry.position for entry in entries}
    return sorted(last.values())
