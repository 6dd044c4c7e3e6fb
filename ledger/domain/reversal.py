"""Reversals: a correction in the open, asked for by one and approved by another.

What is reversed stays on the record. Each stream that it stood in carries a
`record.reversed`, so that whoever read that stream meanwhile has to decide again.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Single
from ledger.domain.event import Event, EventData
from ledger.domain.struct import Frozen


class Target(Frozen):
    """An entry that is to be reversed: where it stands, and its type."""

    position: int
    stream: str
    version: int
    entry: str


class Requested(EventData, tag="reversal.requested"):
    """Somebody asked for entries to be reversed; nothing changes until it is approved."""

    targets: tuple[Target, ...]

    def apply(self, reversal: Reversal, event: Event[Any]) -> None:
        reversal.state = "requested"
        reversal.targets = self.targets
        reversal.requested_by = event.provenance.actor
        reversal.requested_on = event.on


class Approved(EventData, tag="reversal.approved"):
    """Somebody else approved a reversal, and all of its entries are reversed."""

    def apply(self, reversal: Reversal, event: Event[Any]) -> None:
        reversal.state = "approved"
        reversal.decided_on = event.on


class Rejected(EventData, tag="reversal.rejected"):
    """A reversal was not approved, or taken back; its entries stand."""

    about = ()

    ground: str

    def apply(self, reversal: Reversal, event: Event[Any]) -> None:
        reversal.state = "rejected"
        reversal.decided_on = event.on
        reversal.ground = self.ground


class Reversal(Single, tag="reversal"):
    """One request to reverse entries. Stream `reversal/DEAL/ID`."""

    kind = "reversal"

    state: Literal["none", "requested", "approved", "rejected"] = "none"
    targets: tuple[Target, ...] = ()
    requested_by: str = ""
    requested_on: date | None = None
    decided_on: date | None = None
    ground: str | None = None


EVENTS: Final = (Requested, Approved, Rejected)
