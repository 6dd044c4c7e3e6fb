"""All views in one tuple, each with the question that it answers."""

from __future__ import annotations

from typing import Final

from ledger.errors import InvalidValue, quoted
from projections.engine.view import View
from projections.views.books import BOOKS
from projections.views.certificates import CERTIFICATES
from projections.views.commitment import COMMITMENT
from projections.views.conditions import CONDITIONS
from projections.views.deals import DEALS
from projections.views.distance import DISTANCE
from projections.views.drawdowns import DRAWDOWNS
from projections.views.equity import EQUITY
from projections.views.fleet import FLEET
from projections.views.late_entries import LATE_ENTRIES
from projections.views.links import LINKS
from projections.views.milestones import MILESTONES
from projections.views.obligations import OBLIGATIONS
from projections.views.observations import OBSERVATIONS
from projections.views.plan import PLAN
from projections.views.refused import REFUSED
from projections.views.reversals import REVERSALS
from projections.views.standing import STANDING
from projections.views.statements import STATEMENTS
from projections.views.terms import TERMS
from projections.views.timeline import TIMELINE

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
    EQUITY,
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
        raise InvalidValue(
            f"There is no view {quoted(name)}; there are {known}."
        ) from None
