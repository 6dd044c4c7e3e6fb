"""Refused commands: noted beside the record, so that somebody can ask who tried what.

A refusal is no fact of a deal. It is not hashed, not exported, and no proof covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.clock import stamp_time
from ledger.database.tables import refused
from ledger.domain.struct import Frozen
from ledger.record.log import read_head
from ledger.record.store import Store


class Refusal(Frozen):
    """A command that a rule refused."""

    deal: str
    actor: str
    command: str
    effective_on: date
    code: str
    message: str


def note(store: Store, refusals: Sequence[Refusal]) -> None:
    """Keep refusals, beside the record; LedgerUnavailable where that cannot be done."""
    at = stamp_time(store.clock())
    with store.writing() as connection:
        position = read_head(connection).size
        connection.execute(
            sa.insert(refused),
            [
                {
                    "at": at,
                    "position": position,
                    "deal": one.deal,
                    "actor": one.actor,
                    "command": one.command,
                    "effective_on": one.effective_on.isoformat(),
                    "code": one.code,
                    "message": one.message,
                }
                for one in refusals
            ],
        )


def refusals(
    connection: Connection, *, deal: str | None, upto: int | str, as_of: date | None
) -> list[dict[str, Any]]:
    """What was refused by a time, or while the record had so many events.

    Those that say the same are one, with how many there were, the first and the last.
    """
    same = [refused.c[n] for n in ("deal", "actor", "command", "code", "message")]
    limit = refused.c.at if isinstance(upto, str) else refused.c.position
    query = (
        sa.select(
            *same,
            sa.func.count().label("times"),
            sa.func.min(refused.c.at).label("first_at"),
            sa.func.max(refused.c.at).label("last_at"),
        )
        .where(limit <= upto)
        .group_by(*same)
        .order_by(sa.func.min(refused.c.id))
    )
    if deal is not None:
        query = query.where(refused.c.deal == deal)
    if as_of is not None:
        query = query.where(refused.c.effective_on <= as_of.isoformat())
    return [dict(row) for row in connection.execute(query).mappings()]
