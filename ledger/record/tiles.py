"""The Merkle tree as it is stored: any complete subtree's root in a few small reads.

Leaves stand beside their events, and inner nodes at every eighth level. What lies
between is computed from one tile of at most 256 hashes, so that a proof costs the
depth of the tree, however long the record is.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.tables import events, nodes
from ledger.errors import IntegrityFailure
from ledger.record.log import TILE_LEVELS
from ledger.tlog.merkle import HASH_BYTES, complete_root


class Tiles:
    """The nodes of a record's tree, in one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, level: int, index: int) -> bytes:
        """The root of the complete subtree of that level and index."""
        above = level % TILE_LEVELS
        first, count = index << above, 1 << above
        base = level - above
        found = (
            self._leaves(first, count) if base == 0 else self._nodes(base, first, count)
        )
        if len(found) != count or any(len(node) != HASH_BYTES for node in found):
            start, many = (first << base) + 1, count << base
            raise IntegrityFailure(
                f"The tree's nodes over events {start} to {start + many - 1} are "
                "damaged or missing.",
                position=start,
            ).hinting("verify")
        return complete_root(found)

    def _leaves(self, first: int, count: int) -> list[bytes]:
        query = (
            sa.select(events.c.leaf)
            .where(events.c.position.between(first + 1, first + count))
            .order_by(events.c.position)
        )
        return list(self._connection.scalars(query))

    def _nodes(self, level: int, first: int, count: int) -> list[bytes]:
        query = (
            sa.select(nodes.c.hash)
            .where(
                nodes.c.level == level,
                nodes.c.index.between(first, first + count - 1),
            )
            .order_by(nodes.c.index)
        )
        return list(self._connection.scalars(query))
