"""Rows as the views' tables hold them, and how far each view has followed the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.transcoding import decode_value, to_json
from projections.tables import table_of, tracking
from projections.view import Rows, View


class Stored:
    """Rows of one view and deal as the table holds them, read when they are asked for."""

    def __init__(self, connection: Connection, view: View, deal: str) -> None:
        self._connection = connection
        self._view = view
        self._deal = deal
        self._table = table_of(view.name)

    def one(self, key: str) -> Any:
        """The row of a key."""
        body = self._connection.scalar(
            sa.select(self._table.c.body).where(
                self._table.c.deal == self._deal, self._table.c.key == key
            )
        )
        return None if body is None else self._decode(body)

    def all(self) -> Iterator[Any]:
        """Every row."""
        query = sa.select(self._table.c.body).where(self._table.c.deal == self._deal)
        return map(self._decode, self._connection.scalars(query))

    def _decode(self, body: bytes) -> Any:
        return decode_row(self._view, body)


def decode_row(view: View, body: bytes) -> Any:
    """A stored row of a view."""
    return msgspec.json.decode(body, type=view.kept, dec_hook=decode_value)


def tracked(connection: Connection) -> dict[str, tuple[int, int]]:
    """The version and position of each view that has tables."""
    if not sa.inspect(connection).has_table(tracking.name):
        return {}
    return {
        row.name: (row.version, row.position)
        for row in connection.execute(sa.select(tracking))
    }


def track(connection: Connection, view: View, position: int) -> None:
    """Note how far a view has followed the record."""
    values = {"version": view.version, "position": position}
    moved = connection.execute(
        sa.update(tracking).where(tracking.c.name == view.name).values(values)
    )
    if not moved.rowcount:
        connection.execute(sa.insert(tracking).values(name=view.name, **values))


def write(connection: Connection, view: View, rows: dict[str, Rows[Any]]) -> None:
    """Write what changed of a view's rows, by deal."""
    table = table_of(view.name)
    keys, values = [], []
    for deal, mine in rows.items():
        for key in sorted(mine.touched):
            row = mine.get(key)
            keys.append({"at_deal": deal, "at_key": key})
            if row is not None:
                values.append({"deal": deal, "key": key, "body": to_json(row)})
    if keys:
        gone = sa.delete(table).where(
            table.c.deal == sa.bindparam("at_deal"),
            table.c.key == sa.bindparam("at_key"),
        )
        connection.execute(gone, keys)
    if values:
        connection.execute(sa.insert(table), values)


def forget(connection: Connection, view: View) -> None:
    """Drop all rows of a view, and how far it had come."""
    connection.execute(sa.delete(table_of(view.name)))
    connection.execute(sa.delete(tracking).where(tracking.c.name == view.name))


def forget_deal(connection: Connection, view: View, deal: str) -> None:
    """Drop a deal's rows of a view."""
    table = table_of(view.name)
    connection.execute(sa.delete(table).where(table.c.deal == deal))
