"""All views in one tuple, each with the question that it answers."""

from __future__ import annotations

from typing import Final

from ledger.errors import InvalidValue
from projections.books import BOOKS
from projections.certificates import CERTIFICATES
from projections.commitment import COMMITMENT
from projections.conditions import CONDITIONS
from projections.deals import DEALS
from projections.distance import DISTANCE
from projections.drawdowns import DRAWDOWNS
from projections.fleet import FLEET
from projections.late_entries import LATE_ENTRIES
from projections.links import LINKS
from projections.milestones import MILESTONES
from projections.obligations import OBLIGATIONS
from projections.observations import OBSERVATIONS
from projections.plan import PLAN
from projections.refused import REFUSED
from projections.reversals import REVERSALS
from projections.standing import STANDING
from projections.statements import STATEMENTS
from projections.terms import TERMS
from projections.timeline import TIMELINE
from projections.view import View

VIEWS: Final[tuple[View, ...]] = (
    DEALS,
    STANDING,
    TERMS,
    CONDITIONS,
    MILESTONES,
    FLEET,
    PLAN,
    CERTIFICATES,
    COMMITMENT,
    DRAWDOWNS,
    DISTANCE,
    LINKS,
    OBLIGATIONS,
    STATEMENTS,
    OBSERVATIONS,
    BOOKS,
    LATE_ENTRIES,
    REVERSALS,
)
ANSWERED: Final[tuple[View, ...]] = (*VIEWS, TIMELINE, REFUSED)
"""Every view that can be asked: those folded from events, the record, and refusals."""
BY_NAME: Final[dict[str, View]] = {view.name: view for view in ANSWERED}


def view_named(name: str) -> View:
    """The view of a name; InvalidValue with all the names where there is none."""
    try:
        return BY_NAME[name]
    except KeyError:
        known = ", ".join(BY_NAME)
        raise InvalidValue(f"There is no view {name!r}; there are {known}.") from None
