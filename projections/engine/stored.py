"""Rows as the views' tables hold them, now and at the end of earlier segments.

A segment is `SEGMENT` positions of the record. A row is written with the segment in
which it changed, and what it was before is kept in `view_past`: so a fold can start at
the end of any segment, and only the events after it are folded.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.database.dialect import database_of
from ledger.domain.transcoding import to_json
from ledger.record.log import IN_CHUNK
from projections.engine.tables import past, table_of, tracking
from projections.engine.view import Rows, View

SEGMENT: Final = 1024
"""Positions of the record between two ends at which a fold can start."""


AT_ONCE: Final = 20_000
"""Rows that are dropped before a writer may have its turn."""
NO_VERSION: Final = 0
"""No view has this version."""


def segment_of(position: int) -> int:
    """The number of the segment that holds a position, from 1."""
    return -(-position // SEGMENT)


def whole_segments(position: int) -> int:
    """How many segments end at a position, or before it."""
    return position // SEGMENT


_BEGIN: Final = sa.text(
    "INSERT INTO view_tracking (name, version, position) "
    "VALUES (:name, :version, :position) ON CONFLICT DO NOTHING"
)
"""Leaves alone what is there."""


_VIEW: Final = sa.bindparam("view", type_=sa.Text)
_DEAL: Final = sa.bindparam("deal", type_=sa.Text)
_SEGMENT: Final = sa.bindparam("upto", type_=sa.BigInteger)
_KEYS: Final = sa.bindparam("keys", type_=sa.Text, expanding=True)
_BEFORE: Final = (
    sa.select(past.c.key, past.c.segment, past.c.body)
    .where(past.c.view == _VIEW, past.c.deal == _DEAL, past.c.segment <= _SEGMENT)
    .order_by(past.c.key, past.c.segment)
)
_BEFORE_SOME: Final = _BEFORE.where(past.c.key.in_(_KEYS))
_LOW: Final = sa.bindparam("low", type_=sa.Text)
_HIGH: Final = sa.bindparam("high", type_=sa.Text)
_BEFORE_UNDER: Final = _BEFORE.where(past.c.key >= _LOW, past.c.key < _HIGH)


class _Statements(NamedTuple):
    """What reads the rows of a deal from a view's table, all of them and some.

    Built once: building a statement takes longer than carrying it out. `then` are those
    that have not changed since the end of a segment.
    """

    now: sa.Select[Any]
    now_some: sa.Select[Any]
    now_under: sa.Select[Any]
    then: sa.Select[Any]
    then_some: sa.Select[Any]
    then_under: sa.Select[Any]


@lru_cache
def _of(view: str) -> _Statements:
    table = table_of(view)
    now = sa.select(table.c.key, table.c.segment, table.c.body).where(
        table.c.deal == _DEAL
    )
    then = now.where(table.c.segment <= _SEGMENT)
    some = table.c.key.in_(_KEYS)
    under = (table.c.key >= _LOW, table.c.key < _HIGH)
    return _Statements(
        now,
        now.where(some),
        now.where(*under),
        then,
        then.where(some),
        then.where(*under),
    )


def _between(kind: str) -> dict[str, str]:
    """The keys that begin with a kind and a slash: '0' comes right after the slash."""
    return {"low": f"{kind}/", "high": f"{kind}0"}


class Version(NamedTuple):
    """What a row was at the end of a segment; without a body it was not there."""

    segment: int
    body: bytes | None


class Stored:
    """Rows of one view and deal as the table holds them, read when they are asked for.

    With `noting`, what was read is remembered: see `Folding`.
    """

    def __init__(
        self,
        connection: Connection,
        view: View,
        deal: str,
        noting: dict[str, Version] | None = None,
    ) -> None:
        self._connection = connection
        self._view = view
        self._deal = deal
        self._noting = noting

    def one(self, key: str) -> Any:
        """The row of a key."""
        return next(iter(self.many([key])), None)

    def many(self, keys: Sequence[str]) -> Iterator[Any]:
        """The rows of some keys."""
        for start in range(0, len(keys), IN_CHUNK):
            some = keys[start : start + IN_CHUNK]
            yield from self._found(_of(self._view.name).now_some, keys=some)

    def under(self, kind: str) -> Iterator[Any]:
        """The rows whose keys begin with a kind."""
        return self._found(_of(self._view.name).now_under, **_between(kind))

    def all(self) -> Iterator[Any]:
        """Every row."""
        return self._found(_of(self._view.name).now)

    def versions(self) -> Iterator[tuple[str, Version]]:
        """Every row as it is stored, by its key."""
        asked, paged = {"deal": self._deal}, {"yield_per": IN_CHUNK}
        now = _of(self._view.name).now
        with self._connection.execute(now, asked, execution_options=paged) as found:
            for key, segment, body in found:
                yield key, Version(segment, body)

    def _found(self, query: sa.Select[Any], **given: Any) -> Iterator[Any]:
        asked = {"deal": self._deal, **given}
        for key, segment, body in self._connection.execute(query, asked):
            if self._noting is not None:
                # What was read before may have changed since: that is not forgotten.
                self._noting.setdefault(key, Version(segment, body))
            yield decode_row(self._view, body)


class Past:
    """Rows of one view and deal as they were at the end of a segment."""

    def __init__(
        self, connection: Connection, view: View, deal: str, segment: int
    ) -> None:
        self._connection = connection
        self._view = view
        self._asked = {"view": view.name, "deal": deal, "upto": segment}

    def one(self, key: str) -> Any:
        """The row of a key."""
        return next(iter(self.many([key])), None)

    def many(self, keys: Sequence[str]) -> Iterator[Any]:
        """The rows of some keys."""
        for body in self.bodies(keys).values():
            if body is not None:
                yield decode_row(self._view, body)

    def under(self, kind: str) -> Iterator[Any]:
        """The rows whose keys begin with a kind."""
        then, keys = _of(self._view.name).then_under, _between(kind)
        return self._decoded(self._found(_BEFORE_UNDER, then, **keys))

    def all(self) -> Iterator[Any]:
        """Every row."""
        return self._decoded(self._found(_BEFORE, _of(self._view.name).then))

    def _decoded(self, found: dict[str, bytes | None]) -> Iterator[Any]:
        for body in found.values():
            if body is not None:
                yield decode_row(self._view, body)

    def bodies(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """The bytes of some rows."""
        found: dict[str, bytes | None] = {}
        for start in range(0, len(keys), IN_CHUNK):
            some = keys[start : start + IN_CHUNK]
            then = _of(self._view.name).then_some
            found |= self._found(_BEFORE_SOME, then, keys=some)
        return found

    def _found(self, *queries: sa.Select[Any], **given: Any) -> dict[str, bytes | None]:
        # The last version of a key counts.
        return {
            key: body
            for query in queries
            for key, _, body in self._connection.execute(query, self._asked | given)
        }


class Folding:
    """The rows of one view and deal while events are folded into them.

    `seal` ends a segment: what changed in it becomes a version, and the one before it,
    if that is of an earlier segment, is to be kept as past.
    """

    def __init__(self, view: View, deal: str, connection: Connection | None) -> None:
        self.view = view
        self.deal = deal
        self.versions: dict[str, Version] = {}
        self._source = connection and Stored(connection, view, deal, self.versions)
        self.rows: Rows[Any] = Rows(self._source or None)
        self.past: list[tuple[str, str, str, int, bytes | None]] = []
        self.changed: set[str] = set()

    def seal(self, segment: int) -> None:
        """End a segment."""
        self._see_unseen()
        for key in self.rows.touched:
            row = self.rows.get(key)
            self._put(key, Version(segment, None if row is None else to_json(row)))
        self.rows.touched.clear()

    def _see_unseen(self) -> None:
        """Read what rows were that something was put in place of, unread."""
        unseen = self.rows.unseen
        if unseen and self._source:
            for _ in self._source.many([k for k in unseen if k not in self.versions]):
                pass
        unseen.clear()

    def become(self, fresh: Rows[Any], segment: int) -> None:
        """Take the place of all rows by fresh ones, as of the end of a segment.

        Only those that differ are held as they are stored, beside the fresh ones.
        """
        rows = {row.key: row for row in fresh}
        for key, before in self._source.versions() if self._source else ():
            row = rows.pop(key, None)
            body = None if row is None else to_json(row)
            if body != before.body:
                self.versions[key] = before
                self._put(key, Version(segment, body))
        for key, row in rows.items():
            self._put(key, Version(segment, to_json(row)))

    def _put(self, key: str, new: Version) -> None:
        old = self.versions.get(key)
        if old is None:
            if new.body is None:
                return
        elif new.body == old.body:
            return
        elif old.segment < new.segment and old.body is not None:
            self.past.append((self.view.name, self.deal, key, *old))
        if new.body is None:
            self.past.append((self.view.name, self.deal, key, *new))
        self.versions[key] = new
        self.changed.add(key)

    def write(self, connection: Connection) -> None:
        """Write what changed."""
        database, table = database_of(connection.engine), table_of(self.view.name)
        kept, gone = [], []
        for key in sorted(self.changed):
            segment, body = self.versions[key]
            if body is None:
                gone.append((self.deal, key))
            else:
                kept.append((self.deal, key, segment, body))
        database.remove(connection, table, gone)
        database.upsert(connection, table, kept)
        # Of several versions within one segment only the last was ever seen.
        last = {row[:4]: row for row in self.past}
        database.upsert(connection, past, list(last.values()))


def page_of(
    connection: Connection,
    view: View,
    deal: str,
    where: Mapping[tuple[str, ...], str | None],
    after: str,
    before: str,
    limit: int | None,
    without: Collection[str] = (),
) -> Generator[Any]:
    """Rows whose keys lie between two others, filtered and cut off by the database.

    `where` says what the first of some fields that is there must be; None where any
    will do. Rows `without` are left out.
    """
    table = table_of(view.name)
    query = sa.select(table.c.body).where(
        table.c.deal == deal, table.c.key > after, table.c.key < before
    )
    for fields, value in where.items():
        found = sa.func.coalesce(*(_field(connection, name) for name in fields), "")
        query = query.where(found != "" if value is None else found == value)
    if without:
        query = query.where(table.c.key.not_in(without))
    query = query.order_by(table.c.key).limit(limit)
    paged = {"yield_per": IN_CHUNK}
    with connection.execute(query, execution_options=paged) as rows:
        for body in rows.scalars():
            yield decode_row(view, body)


def _field(connection: Connection, name: str) -> sa.ColumnElement[str]:
    if connection.dialect.name == "postgresql":
        return sa.literal_column(f"(convert_from(body, 'UTF8')::jsonb ->> '{name}')")
    return sa.literal_column(f"json_extract(CAST(body AS TEXT), '$.{name}')")


def decode_row(view: View, body: bytes) -> Any:
    """A stored row of a view."""
    return view.decoder.decode(body)


def tracked(connection: Connection) -> dict[str, tuple[int, int]]:
    """The version and position of each view that has followed the record so far."""
    return {
        row.name: (row.version, row.position)
        for row in connection.execute(sa.select(tracking))
    }


def rows_of(connection: Connection, view: View) -> int:
    """How many rows a view keeps."""
    if not view.keeps_rows:
        return 0
    rows = sa.select(sa.func.count()).select_from(table_of(view.name))
    return connection.scalar(rows) or 0


def track(
    connection: Connection, view: View, known: tuple[int, int] | None, position: int
) -> bool:
    """Note how far a view follows the record now; False where it is not as `known`.

    One conditional write: of two who fold the same events, the second waits for the
    first, and then finds nothing to change.
    """
    if known is None:
        values = {"name": view.name, "version": view.version, "position": position}
        found = connection.execute(_BEGIN, values)
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


def forget(connection: Connection, view: View) -> None:
    """Drop all rows of a view, and what they were."""
    while forget_some(connection, view):
        pass


def forget_some(connection: Connection, view: View) -> bool:
    """Drop some rows of a view, or of what they were; whether there were any."""
    if not view.keeps_rows:
        return False
    for table, of_view in (
        (table_of(view.name), sa.true()),
        (past, past.c.view == view.name),
    ):
        key = sa.tuple_(*table.primary_key)
        some = sa.select(*table.primary_key).where(of_view).limit(AT_ONCE)
        if connection.execute(sa.delete(table).where(key.in_(some))).rowcount:
            return True
    return False


def disown(
    connection: Connection, view: View, known: tuple[int, int] | None = None
) -> None:
    """Note that a view's rows are of no version: whoever folds it drops them first.

    If `known` is given, only where they are still of that version, at that position.
    """
    change = sa.update(tracking).where(tracking.c.name == view.name)
    if known is not None:
        version, position = known
        change = change.where(
            tracking.c.version == version, tracking.c.position == position
        )
    connection.execute(change.values(version=NO_VERSION, position=0))


def empty_some(connection: Connection, view: View) -> bool:
    """Drop some rows of a view that is disowned; whether there were any.

    Writing what stands there already keeps others from folding it meanwhile; where one
    has, the rows are no longer ours to drop.
    """
    held = connection.execute(
        sa.update(tracking)
        .where(tracking.c.name == view.name, tracking.c.version == NO_VERSION)
        .values(position=0)
    )
    return bool(held.rowcount) and forget_some(connection, view)
