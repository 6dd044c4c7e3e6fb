"""The tables of the record, the same on every database.

`data` holds an event's exact bytes, `leaf` their hash; the other columns of `events`
repeat what the bytes say, for finding. Every row but the tree head's is written once.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

SCHEMA: Final = 1
"""The version of these tables; a ledger of another one is not touched."""

metadata = sa.MetaData()
_Position = sa.BigInteger().with_variant(sa.Integer, "sqlite")

meta = sa.Table(
    "accord_meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("position", _Position, primary_key=True, autoincrement=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("deal", sa.Text),
    sa.Column("effective_on", sa.Text),
    sa.Column("recorded_at", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("stream", "version"),
    sa.Index("events_by_deal", "deal", "position"),
)
# One entry a stream, by the deal that began it: a deal's systems are found without
# reading a deal's every event.
sa.Index(
    "streams_by_deal",
    events.c.deal,
    events.c.stream,
    sqlite_where=events.c.version == 1,
    postgresql_where=events.c.version == 1,
)
commands = sa.Table(
    "commands",
    metadata,
    sa.Column("first", _Position, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("command_id", sa.Text, nullable=False, unique=True),
    sa.Column("digest", sa.Text, nullable=False),
)
head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", sa.Text, nullable=False),
)
nodes = sa.Table(
    "tree_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
tracking = sa.Table(
    "tracking",
    metadata,
    sa.Column("application_name", sa.Text, primary_key=True),
    sa.Column("notification_id", sa.BigInteger, nullable=False),
)

WRITTEN_ONCE: Final = (events, nodes, commands)
"""Tables whose rows are never changed and never deleted (REC-01)."""
