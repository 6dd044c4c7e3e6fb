"""Rules that hold for the record itself: REC-07, REC-11, REC-13, REC-15."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import agreement, certificate, funding, system
from ledger.domain.aggregate import World
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event, EventData
from ledger.domain.transcoding import body
from ledger.errors import InvalidValue, Refused
from ledger.rules.registry import rule

EVIDENCE: Final[dict[type[EventData], str]] = {
    agreement.DefinitiveSigned: "signed_agreement",
    certificate.Issued: "engineer_certificate",
    funding.DisbursementSettled: "bank_confirmation",
}


# It is held against what is to be recorded, not again against what was.
@rule("REC-15")
def written(event: Event[Any]) -> bytes:
    """An entry is read back from its bytes as it was, and has at most 1 MiB of them."""
    try:
        return body(event)
    except InvalidValue as error:
        raise Refused(str(error)) from error


# Physical events are kept out of the future by UNT-05.
@rule("REC-11", *(event for event in EVENTS if event not in system.PHYSICAL))
def not_in_the_future(world: World, event: Event[Any]) -> None:
    """An event is a fact: its day has begun somewhere on earth."""
    if event.on > world.latest_day:
        raise Refused(
            f"{event.on} is in the future; the latest day is {world.latest_day}.",
            todo="An event is a fact: record it when it has happened.",
        )


@rule("REC-13", *EVENTS)
def confirmed_by_a_primary_text(_: World, event: Event[Any]) -> None:
    """What rests on secondary texts or reports alone is not confirmed."""
    evidence = event.provenance.evidence
    if event.confirmed and evidence and all(item.grade != "P" for item in evidence):
        grades = ", ".join(f"{item.title!r} ({item.grade})" for item in evidence)
        raise Refused(
            f"It is called confirmed, and rests on no primary text: {grades}.",
            todo="Cite a text of grade P too, or leave 'status' out: it is reported.",
        )


@rule("REC-07", *EVIDENCE)
def document_is_attached(_: World, event: Event[Any]) -> None:
    """A confirmed signature, certificate or settlement names its document."""
    needed = EVIDENCE[type(event.data)]
    attached = [item for item in event.provenance.evidence if item.grade == "P"]
    if event.confirmed and all(item.kind != needed for item in attached):
        raise Refused(
            f"{event.data.tag()} needs evidence of the kind {needed!r}, grade P; "
            f"attached: {', '.join(str(item.kind) for item in attached) or 'none'}.",
            todo="Attach it.",
        ).hinting("evidence", kind=needed)
