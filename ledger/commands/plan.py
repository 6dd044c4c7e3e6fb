"""Commands on the capacity plan of a deal: baseline and forecast, by month."""

from __future__ import annotations

from typing import Annotated

from ledger.commands.decision import Decision
from ledger.domain.agreement import Agreement, PlanBaselined, PlanForecast, PlanPoint

Points = Annotated[
    tuple[PlanPoint, ...], "capacity accepted in total by the end of a month"
]


def baseline(decision: Decision, *, points: Points) -> None:
    """Fix the baseline of capacity by month; the first one is kept for ever.

    accord plan baseline acme-orion --points '{"month": "2027-03", "capacity": "250 MW"}' --points '{"month": "2027-09", "capacity": "1 GW"}'
    """
    decision.record(Agreement, decision.deal, data=PlanBaselined(points=points))


def forecast(decision: Decision, *, points: Points) -> None:
    """Bring the forecast of capacity by month up to date.

    accord plan forecast acme-orion --points '{"month": "2027-06", "capacity": "250 MW"}'
    """
    decision.record(Agreement, decision.deal, data=PlanForecast(points=points))
