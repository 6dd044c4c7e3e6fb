"""Which commands were refused: who tried what, how often, and under which rule?

This view folds no events: refusals are kept beside the record, and no tree head
covers them.
"""

from __future__ import annotations

from typing import Final

from ledger.domain.struct import Frozen
from projections.engine.view import View


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
REFUSED.row = RefusedLine
REFUSED.key = ("deal", "actor", "command", "code", "message")
