"""Reversals: a correction in the open, asked for by one and approved by another.

What is reversed stays on the record. Each stream that it stood in carries a
`record.reversed`, so that whoever read that stream meanwhile has to decide again.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from ledger.domain.aggregate import Plain
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


class Rejected(EventData, tag="reversal.rejected"):
    """A reversal was not approved, or taken back; its entries stand."""

    ground: str

    def apply(self, reversal: Reversal, event: Event[Any]) -> None:
        reversal.state = "rejected"


class Reversal(Plain):
    """One request to reverse entries. Stream `reversal/DEAL/ID`."""

    kind = "reversal"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.state: Literal["none", "requested", "approved", "rejected"] = "none"
        self.targets: tuple[Target, ...] = ()
        self.requested_by = ""
        self.requested_on: date | None = None


EVENTS: Final = (Requested, Approved, Rejected)
