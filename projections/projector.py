"""Events into rows, in order, exactly once; and the answers that are drawn from them.

A read is one snapshot: stored rows at their tracked position, and the events after it
folded in memory on top. So catching up is only a cache, and a ledger that may not be
written, or rows of another version, give the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger.errors import IntegrityFailure, LedgerUnavailable, NotFound
from ledger.event import Event
from ledger.log import read_head
from ledger.merkle import Frontier
from ledger.store import Store
from ledger.tables import events
from ledger.transcoding import decode, decode_value, stamp_time, to_builtins, to_json
from projections.deals import DEALS, agreement_of
from projections.registry import VIEWS, view_named
from projections.tables import metadata, table_of, tracking
from projections.view import Book, Rows, View

BATCH: Final = 500
Progress = Callable[[int, int | None], None]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a view says, with its control footer."""

    view: str
    version: int
    params: dict[str, str | None]
    position: int
    rows: list[Any]
    totals: dict[str, Any]
    about: Any
    digest: str
    tree_head: str
    fictional: bool
    note: str | None = None


class ViewStatus(msgspec.Struct, frozen=True):
    """How a stored view stands."""

    view: str
    version: int
    position: int
    lag: int
    rows: int


def create_views(store: Store) -> None:
    """Create the tables of all views, where they are not there yet."""
    for view in VIEWS:
        table_of(view.name)
    with store.writing() as connection:
        metadata.create_all(connection)


class _Stored:
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


class Projections:
    """The views of one ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def catch_up(self, progress: Progress | None = None) -> int:
        """Fold what was recorded since; how many events that were.

        A ledger that may not be written is left as it is: reads fold in memory.
        """
        done = 0
        try:
            for count in self._batches(VIEWS):
                done += count
                if progress:
                    progress(done, None)
        except LedgerUnavailable:
            return done
        return done

    def rebuild(
        self, names: Sequence[str] | None = None, progress: Progress | None = None
    ) -> int:
        """Fold views anew from the first event; how many events that were."""
        chosen = [view for view in VIEWS if names is None or view.name in names]
        with self.store.writing() as connection:
            for view in chosen:
                _forget(connection, view)
        done = 0
        for count in self._batches(chosen):
            done += count
            if progress:
                progress(done, None)
        return done

    def _batches(self, views: Sequence[View]) -> Iterator[int]:
        while True:
            with self.store.reading() as connection:
                tracked = _tracked(connection)
                size = read_head(connection).size
                behind = [v for v in views if _at(tracked, v) < size]
                if not behind:
                    return
                first = min(_at(tracked, view) for view in behind)
                group = [view for view in behind if _at(tracked, view) == first]
                batch = _events_after(connection, first, BATCH)
            if self._fold_batch(group, first, batch, tracked):
                yield len(batch)

    def _fold_batch(
        self,
        views: Sequence[View],
        first: int,
        batch: Sequence[Event[Any]],
        tracked: dict[str, tuple[int, int]],
    ) -> bool:
        """Fold one batch and move the tracking, in one transaction, if still due."""
        with self.store.writing() as connection:
            if any(
                _tracked(connection).get(v.name) != tracked.get(v.name) for v in views
            ):
                return False  # Somebody else folded it meanwhile.
            for view in views:
                if tracked.get(view.name, (view.version, 0))[0] != view.version:
                    _forget(connection, view)
                rows: dict[str, Rows[Any]] = {}
                for event in batch:
                    if type(event.data) in view.handlers:
                        if event.deal not in rows:
                            stored = _Stored(connection, view, event.deal)
                            rows[event.deal] = Rows(stored)
                        view.fold(rows[event.deal], event)
                _write(connection, view, rows)
                _track(connection, view, batch[-1].position if batch else first)
        return True

    def answer(
        self,
        name: str,
        deal: str | None,
        *,
        as_of: date | None = None,
        known_at: datetime | None = None,
    ) -> Answer:
        """What a view says of a deal, or of all; NotFound for a deal not known then."""
        view = view_named(name)
        with self.store.reading() as connection:
            return _Reading(connection, self.store, as_of, known_at).answer(view, deal)

    def status(self) -> list[ViewStatus]:
        """How each stored view stands."""
        with self.store.reading() as connection:
            tracked = _tracked(connection)
            size = read_head(connection).size
            found = []
            for view in VIEWS:
                version, position = tracked.get(view.name, (view.version, 0))
                many = connection.scalar(
                    sa.select(sa.func.count()).select_from(table_of(view.name))
                )
                found.append(
                    ViewStatus(view.name, version, position, size - position, many or 0)
                )
        return found

    def verify(self, progress: Progress | None = None) -> int:
        """Fold every view anew in memory and compare; IntegrityFailure names the first.

        Returns how many rows were compared.
        """
        compared = 0
        with self.store.reading() as connection:
            tracked = _tracked(connection)
            for number, view in enumerate(VIEWS, start=1):
                version, position = tracked.get(view.name, (view.version, 0))
                if version == view.version:
                    compared += _compare(connection, view, position)
                if progress:
                    progress(number, len(VIEWS))
        return compared


class _Reading:
    """One question, in one snapshot."""

    def __init__(
        self,
        connection: Connection,
        store: Store,
        as_of: date | None,
        known_at: datetime | None,
    ) -> None:
        self._connection = connection
        self._as_of = as_of
        self._known_at = stamp_time(known_at) if known_at else None
        self._given_known_at = known_at
        self._today = store.clock().astimezone(UTC).date()
        self._head = read_head(connection)
        self._tracked = _tracked(connection) if known_at is as_of is None else {}
        self._stale: set[str] = set()

    def answer(self, view: View, deal: str | None) -> Answer:
        """The answer, with its footer."""
        position, root = self._horizon()
        deals = self._deals() if deal is None else [deal]
        if deal is not None:
            self._check_known(deal)
        rows: list[Any] = []
        totals: dict[str, Any] = {}
        about, made_up = None, []
        for one in deals:
            drawn, fictional = self._draw(view, one)
            made_up.append(fictional)
            if deal is None and view.name != "deals":
                label = {"deal": one, "fictional": fictional}
                rows += [{**label, **to_builtins(row)} for row in drawn.rows]
            else:
                rows += drawn.rows
                totals, about = drawn.totals, drawn.about
        if deal is None and view.name == "timeline":
            # The history of all deals is told in the order of the record.
            rows.sort(key=lambda row: row["position"])
        lines = [about, *rows] if about is not None else rows
        digest = hashlib.sha256(b"".join(to_json(r) + b"\n" for r in lines))
        return Answer(
            view=view.name,
            version=view.version,
            params={
                "deal": deal,
                "as_of": self._as_of.isoformat() if self._as_of else None,
                # Asked again with this, the same answer comes back, whatever is
                # recorded in the meantime.
                "known_at": self._known_at or self._head.recorded_at or None,
            },
            position=position,
            rows=rows,
            totals={"rows": len(rows), **totals},
            about=about,
            digest=digest.hexdigest(),
            tree_head=root.hex(),
            fictional=bool(made_up) and all(made_up),
            note=self._note(),
        )

    def _note(self) -> str | None:
        if not self._stale:
            return None
        return "the stored views are not up to date; the answer was folded in memory."

    def _draw(self, view: View, deal: str) -> tuple[Any, bool]:
        needed = view.with_reads() | DEALS.with_reads()
        rows = {name: self._rows(one, deal) for name, one in needed.items()}
        book = Book(deal, rows, self._as_of or self._today)
        return view.draw(book), agreement_of(book).fictional

    def _rows(self, view: View, deal: str) -> Rows[Any]:
        version, position = self._tracked.get(view.name, (0, 0))
        current = version == view.version
        rows: Rows[Any] = Rows(
            _Stored(self._connection, view, deal) if current else None
        )
        start = position if current else 0
        if self._known_at is None and self._as_of is None and start < self._head.size:
            self._stale.add(view.name)
        for event in self._history(deal, start):
            view.fold(rows, event)
        return rows

    def _history(self, deal: str, after: int) -> Iterable[Event[Any]]:
        key = (deal, after)
        cache = self.__dict__.setdefault("_cache", {})
        if key not in cache:
            query = (
                sa.select(events.c.position, events.c.data)
                .where(events.c.deal == deal, events.c.position > after)
                .order_by(events.c.position)
            )
            if self._known_at is not None:
                query = query.where(events.c.recorded_at <= self._known_at)
            if self._as_of is not None:
                query = query.where(events.c.effective_on <= self._as_of.isoformat())
            cache[key] = [
                decode(data, position=at)
                for at, data in self._connection.execute(query)
            ]
        found: list[Event[Any]] = cache[key]
        return found

    def _deals(self) -> list[str]:
        query = sa.select(events.c.deal).distinct().order_by(events.c.deal)
        query = query.where(events.c.deal.is_not(None))
        if self._known_at is not None:
            query = query.where(events.c.recorded_at <= self._known_at)
        if self._as_of is not None:
            query = query.where(events.c.effective_on <= self._as_of.isoformat())
        return list(self._connection.scalars(query))

    def _check_known(self, deal: str) -> None:
        query = sa.select(
            sa.func.min(events.c.effective_on), sa.func.min(events.c.recorded_at)
        ).where(events.c.deal == deal)
        effective, recorded = self._connection.execute(query).one()
        if effective is None:
            raise NotFound(
                f"Deal {deal!r} is not on the record; 'accord list' shows those that are."
            )
        if not self._known(deal):
            asked = []
            if self._as_of:
                asked.append(f"as of {self._as_of}")
            if self._known_at:
                asked.append(f"known at {self._known_at}")
            raise NotFound(
                f"Deal {deal!r} is not on the record {', '.join(asked)}; "
                f"it is from {effective}, recorded at {recorded}."
            )

    def _known(self, deal: str) -> bool:
        return any(True for _ in self._history(deal, 0)) if self._limited else True

    @property
    def _limited(self) -> bool:
        return self._known_at is not None or self._as_of is not None

    def _horizon(self) -> tuple[int, bytes]:
        """The last position recorded by known-at, and the root over all up to it."""
        if self._known_at is None:
            return self._head.size, self._head.root
        size = self._connection.scalar(
            sa.select(sa.func.max(events.c.position)).where(
                events.c.recorded_at <= self._known_at
            )
        )
        if size == self._head.size:
            return size, self._head.root
        tree, made = Frontier(), list[tuple[int, int, bytes]]()
        leaves = sa.select(events.c.leaf).where(events.c.position <= (size or 0))
        for leaf in self._connection.scalars(leaves.order_by(events.c.position)):
            tree.append(leaf, made)
            made.clear()
        return size or 0, tree.root


def _at(tracked: dict[str, tuple[int, int]], view: View) -> int:
    version, position = tracked.get(view.name, (view.version, 0))
    return position if version == view.version else 0


def _tracked(connection: Connection) -> dict[str, tuple[int, int]]:
    if not sa.inspect(connection).has_table(tracking.name):
        return {}
    return {
        row.name: (row.version, row.position)
        for row in connection.execute(sa.select(tracking))
    }


def _events_after(
    connection: Connection, position: int, limit: int
) -> list[Event[Any]]:
    query = (
        sa.select(events.c.position, events.c.data)
        .where(events.c.position > position)
        .order_by(events.c.position)
        .limit(limit)
    )
    return [decode(data, position=at) for at, data in connection.execute(query)]


def _write(connection: Connection, view: View, rows: dict[str, Rows[Any]]) -> None:
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


def _track(connection: Connection, view: View, position: int) -> None:
    values = {"version": view.version, "position": position}
    moved = connection.execute(
        sa.update(tracking).where(tracking.c.name == view.name).values(values)
    )
    if not moved.rowcount:
        connection.execute(sa.insert(tracking).values(name=view.name, **values))


def _forget(connection: Connection, view: View) -> None:
    connection.execute(sa.delete(table_of(view.name)))
    connection.execute(sa.delete(tracking).where(tracking.c.name == view.name))


def _compare(connection: Connection, view: View, position: int) -> int:
    fresh: dict[str, Rows[Any]] = {}
    at = 0
    while at < position:
        batch = _events_after(connection, at, min(BATCH, position - at))
        for event in batch:
            view.fold(fresh.setdefault(event.deal, Rows()), event)
        at = batch[-1].position
    expected = {
        (deal, row.key): to_json(row) for deal, rows in fresh.items() for row in rows
    }
    table = table_of(view.name)
    stored = {
        (row.deal, row.key): row.body for row in connection.execute(sa.select(table))
    }
    for key in sorted(expected.keys() | stored.keys()):
        if expected.get(key) != stored.get(key):
            raise IntegrityFailure(
                f"View {view.name}, deal {key[0]}, row {key[1]}: the stored row is "
                "not what the events give. 'accord views rebuild' makes it anew."
            )
    return len(expected)
