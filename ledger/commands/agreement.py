"""Commands on an agreement: from the first entry of a deal to its close."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from ledger.agreement import (
    Agreement,
    LoiSigned,
    Opened,
    Terms,
)
from ledger.decision import Decision
from ledger.values import Slug


def open_(
    decision: Decision,
    *,
    title: Annotated[str, "what the deal is called"],
    capital: Annotated[tuple[Slug, ...], "a party that brings capital"],
    capacity: Annotated[tuple[Slug, ...], "a party that deploys capacity"],
    fictional: Annotated[bool, "the deal is made up; every view says so"] = False,
) -> None:
    """Put a deal on the record, with its parties.

    accord agreement open acme-orion --title "Acme and Orion" --capital acme --capacity orion
    """
    decision.record(
        Agreement,
        decision.deal,
        data=Opened(
            title=title, capital=capital, capacity=capacity, fictional=fictional
        ),
    )


def sign_loi(
    decision: Decision,
    *,
    signatories: Annotated[tuple[Slug, ...], "a party that signed"],
    terms: Annotated[Terms, "the indicative terms"],
    binding_clauses: Annotated[
        tuple[str, ...], "a clause that binds all the same"
    ] = (),
    expires_on: Annotated[date | None, "the day on which the letter expires"] = None,
) -> None:
    """Record a signed letter of intent, with its indicative terms.

    accord agreement sign-loi acme-orion --signatories acme --signatories orion --terms @terms.json
    """
    decision.record(
        Agreement,
        decision.deal,
        data=LoiSigned(
            signatories=signatories,
            terms=terms,
            binding_clauses=binding_clauses,
            expires_on=expires_on,
        ),
    )
