"""Which commands were refused: who tried what, how often, and under which rule?

This view folds no events: refusals are kept beside the record, and no tree head
covers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ledger.clock import stamp_time
from ledger.domain.struct import Frozen
from projections.engine.answer import LABEL, Answer
from projections.engine.view import View

if TYPE_CHECKING:
    from projections.engine.reading import Reading


class RefusedLine(Frozen, omit_defaults=False):
    """Refusals that say the same: how many there were, the first and the last."""

    deal: str
    actor: str
    command: str
    code: str
    message: str
    times: int
    first_at: str
    last_at: str


REFUSED: Final = View(
    "refused", 1, "Who tried what, and under which rule was it refused?", RefusedLine
)


@REFUSED.told(RefusedLine, key=("deal", "actor", "command", "code", "message"))
def _refused(reading: Reading, deal: str | None) -> Answer:
    """What was refused by then: beside the record, so no position covers it."""
    known_at = reading.known_at
    upto = (
        known_at if isinstance(known_at, int) else stamp_time(known_at or reading.now)
    )
    found = reading.refusals(deal, upto)
    if deal is not None and not found:
        reading.check_known(deal)
    of_deals = {row["deal"] for row in found} if deal is None else {deal}
    fictional = {one: reading.fictional(one) for one in of_deals}
    rows: list[Any] = [RefusedLine(**row) for row in found]
    columns = RefusedLine.__struct_encode_fields__
    if deal is None:
        rows = [
            {"deal": row["deal"], "fictional": fictional[row["deal"]], **row}
            for row in found
        ]
        columns = (*LABEL, *columns[1:])
    answer = reading.told(
        REFUSED.name,
        rows,
        columns,
        deal=deal,
        fictional=bool(fictional) and all(fictional.values()),
        totals={"refusals": sum(row["times"] for row in found)},
        # The last event's time would leave out what was refused since.
        asked=None if isinstance(upto, int) else {"known_at": upto},
    )
    beside = "refusals stand beside the record: no tree head covers them."
    return msgspec.structs.replace(answer, note=beside)
