"""The tables of the record, the same on every database.

`data` holds an event's exact bytes, `leaf` their hash; the other columns of `events`
repeat what the bytes say, for finding. Each table says in `info` what a writer may do
to its rows, beside reading them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

SCHEMA: Final = 4
"""The version of all tables, the views' too; a ledger of another one is not touched.

Whatever changes a table, or adds one, raises this and adds a step to `migrations`.
"""

metadata = sa.MetaData()
Name: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is ordered and compared by its characters' codes, whatever the locale."""
_Position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_READ: Final = {"writer": ""}
_ONCE: Final = {"writer": "INSERT"}
CACHE: Final = {"writer": "INSERT, UPDATE, DELETE"}
"""Of what can be made anew from the record: whoever may write, may do so."""

meta = sa.Table(
    "accord_meta",
    metadata,
    sa.Column("key", Name, primary_key=True),
    sa.Column("value", Name, nullable=False),
    info=_READ,
)
revision = sa.Table(
    # Kept by Alembic, which names it; `accord_meta` says the same to every release.
    "alembic_version",
    metadata,
    sa.Column("version_num", sa.String(32), primary_key=True),
    info=_READ,
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("position", _Position, primary_key=True, autoincrement=False),
    sa.Column("stream", Name, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("type", Name, nullable=False),
    sa.Column("deal", Name),
    sa.Column("effective_on", Name),
    sa.Column("recorded_at", Name, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("stream", "version"),
    sa.Index("events_by_deal", "deal", "position"),
    info=_ONCE,
)
for _index in (
    # One entry a stream, by the deal that began it: a deal's systems are found without
    # reading a deal's every event.
    "CREATE INDEX streams_by_deal ON events (deal, stream) WHERE version = 1",
    # Few are, and every answer must know which.
    "CREATE INDEX reversals ON events (position) WHERE type = 'record.reversed'",
):
    # In words that both databases take: SQLAlchemy's own way loads both dialects.
    sa.event.listen(events, "after_create", sa.DDL(_index))  # type: ignore[no-untyped-call]
commands = sa.Table(
    "commands",
    metadata,
    sa.Column("first", _Position, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("command_id", Name, nullable=False, unique=True),
    sa.Column("digest", Name, nullable=False),
    info=_ONCE,
)
head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", Name, nullable=False),
    info={"writer": "UPDATE"},
)
nodes = sa.Table(
    "tree_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    info=_ONCE,
)
tracking = sa.Table(
    "tracking",
    metadata,
    sa.Column("application_name", Name, primary_key=True),
    sa.Column("notification_id", sa.BigInteger, nullable=False),
    info={"writer": "INSERT, UPDATE"},
)
snapshots = sa.Table(
    # Beside the record: which version of a stream its snapshot is of, and who took it.
    "snapshots",
    metadata,
    sa.Column("stream", Name, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("software", Name, nullable=False),
    info=CACHE,
)
snapshot_parts = sa.Table(
    # What a stream's events give, a row for each part, so that they need not be read.
    "snapshot_parts",
    metadata,
    sa.Column("stream", Name, primary_key=True),
    sa.Column("key", Name, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    info=CACHE,
    sqlite_with_rowid=False,
)
refused = sa.Table(
    # Beside the record: no hash covers it.
    "refused",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("at", Name, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("deal", Name, nullable=False),
    sa.Column("actor", Name, nullable=False),
    sa.Column("command", Name, nullable=False),
    sa.Column("effective_on", Name, nullable=False),
    sa.Column("code", Name, nullable=False),
    sa.Column("message", Name, nullable=False),
    info=_ONCE,
)

WRITTEN_ONCE: Final = tuple(
    table for table in metadata.sorted_tables if table.info == _ONCE
)
"""Tables whose rows are never changed and never deleted (REC-01)."""
