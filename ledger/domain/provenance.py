"""What every event carries beside its data: who, when, on what evidence, and why.

The recorded time and the position are not here: the store alone stamps them.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from ledger.domain.struct import Frozen
from ledger.domain.values import Slug
from ledger.errors import InvalidValue, quoted

Status = Literal["confirmed", "reported", "disputed"]
Grade = Literal["P", "S", "R"]
# In Python `$` also matches before a line's end. Entries of 0.4.0 may hold one, and are
# read; `limits` refuses it from a command.
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]

WEAKNESS: dict[Status, int] = {"confirmed": 0, "reported": 1, "disputed": 2}


class Evidence(Frozen):
    """A document or page that a fact rests on.

    `grade` is P for a primary text, S for a secondary one, R for a report that the
    parties did not confirm; `kind` names the type of document, as rule REC-07 asks
    for it; `sha256` is the digest of the file, in hexadecimal.
    """

    title: str
    publisher: str | None = None
    issued_on: date | None = None
    address: str | None = None
    sha256: Sha256 | None = None
    kind: str | None = None
    grade: Grade = "P"


class Actor(Frozen):
    """Who acts, and for which party. Declared by the user, not authenticated."""

    name: str
    party: str

    @classmethod
    def parse(cls, text: str) -> Actor:
        """Read `NAME@PARTY`; else InvalidValue."""
        name, at, party = text.strip().rpartition("@")
        name = " ".join(name.split())
        if not at or not name:
            raise InvalidValue(
                f"{quoted(text)} is not an actor. Write NAME@PARTY, as in 'r.meyer@openai'."
            )
        return cls(name=name, party=Slug.parse(party))

    def __str__(self) -> str:
        return f"{self.name}@{self.party}"


class Provenance(Frozen):
    """The second part of an event's envelope.

    `causation` names the event that brought this one about, as `stream@version`;
    `correlation_id` is shared by all that one business case wrote.
    `command_digest` is the SHA-256 of the command's content as given.
    """

    deal: str
    actor: str
    party: str
    effective_on: date
    command: str
    command_id: str
    command_digest: str
    correlation_id: str
    software: str
    status: Status = "confirmed"
    evidence: tuple[Evidence, ...] = ()
    reason: str | None = None
    causation: str | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the fact is confirmed, and so may bind or move money."""
        return self.status == "confirmed"


def same_person(one: str, other: str) -> bool:
    """Whether two declared actor names are one, by case-folded, trimmed text."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def status_of(evidence: tuple[Evidence, ...], given: Status | None) -> Status:
    """The status of a fact from its evidence, where the user named none.

    A primary text, or the actor's own word, makes it confirmed; secondary texts
    and reports alone leave it reported.
    """
    if given is not None:
        return given
    if evidence and all(item.grade != "P" for item in evidence):
        return "reported"
    return "confirmed"
