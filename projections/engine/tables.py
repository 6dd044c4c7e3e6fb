"""Where views are kept: a table each for its rows, and what as-of answers start from.

A row stands with the segment of the record in which it last changed. What it was at the
end of earlier segments is kept in `past`; a row of `past` without a body tells that
there was none.
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from ledger.database.tables import CACHE, Name

metadata = sa.MetaData()
tracking = sa.Table(
    "view_tracking",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    info=CACHE,
)
past = sa.Table(
    "view_past",
    metadata,
    sa.Column("view", Name, primary_key=True),
    sa.Column("deal", Name, primary_key=True),
    sa.Column("key", Name, primary_key=True),
    sa.Column("segment", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary),
    info=CACHE,
    sqlite_with_rowid=False,
)
horizons = sa.Table(
    # The latest effective day of a deal's events up to the end of a segment.
    "view_horizons",
    metadata,
    sa.Column("deal", Name, primary_key=True),
    sa.Column("segment", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("horizon", Name, nullable=False),
    info=CACHE,
    sqlite_with_rowid=False,
)
late = sa.Table(
    # Events whose day is before that of an earlier one of their deal.
    "view_late",
    metadata,
    sa.Column("deal", Name, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("effective_on", Name, nullable=False),
    info=CACHE,
    sqlite_with_rowid=False,
)


@cache
def table_of(name: str) -> sa.Table:
    """The table that keeps the rows of a view."""
    return sa.Table(
        f"view_{name.replace('-', '_')}",
        metadata,
        sa.Column("deal", Name, primary_key=True),
        sa.Column("key", Name, primary_key=True),
        sa.Column("segment", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        info=CACHE,
        sqlite_with_rowid=False,
    )
