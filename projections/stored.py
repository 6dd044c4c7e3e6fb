"""Rows as the views' tables hold them, and how far each view has followed the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
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
    """The version and position of each view that has followed the record so far."""
    return {
        row.name: (row.version, row.position)
        for row in connection.execute(sa.select(tracking))
    }


def track(
    connection: Connection, view: View, known: tuple[int, int] | None, position: int
) -> bool:
    """Note how far a view follows the record now; False where it is not as `known`.

    One conditional write: of two who fold the same events, the second waits for the
    first, and then finds nothing to change.
    """
    if known is None:
        values = {"name": view.name, "version": view.version, "position": position}
        found = connection.execute(_begin(connection.dialect.name).values(values))
    else:
        version, before = known
        found = connection.execute(
            sa.update(tracking)
            .where(
                tracking.c.name == view.name,
                tracking.c.version == version,
                tracking.c.position == before,
            )
            .values(version=view.version, position=position)
        )
    return found.rowcount == 1


def _begin(dialect: str) -> Any:
    """An insert that leaves alone what is there."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(tracking).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)


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
    """Drop all rows of a view."""
    connection.execute(sa.delete(table_of(view.name)))


def begin_anew(connection: Connection, view: View) -> None:
    """Drop all rows of a view, and how far it had come."""
    connection.execute(sa.delete(tracking).where(tracking.c.name == view.name))
    forget(connection, view)


def forget_deal(connection: Connection, view: View, deal: str) -> None:
    """Drop a deal's rows of a view."""
    table = table_of(view.name)
    connection.execute(sa.delete(table).where(table.c.deal == deal))
