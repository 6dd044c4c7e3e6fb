"""Where views are kept: a table each for its rows, and one that tracks them all."""

from __future__ import annotations

import sqlalchemy as sa

from ledger.tables import CACHE, Name

metadata = sa.MetaData()
tracking = sa.Table(
    "view_tracking",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    info=CACHE,
)


def table_of(name: str, meta: sa.MetaData = metadata) -> sa.Table:
    """The table that keeps the rows of a view."""
    return sa.Table(
        f"view_{name.replace('-', '_')}",
        meta,
        sa.Column("deal", Name, primary_key=True),
        sa.Column("key", Name, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        info=CACHE,
        extend_existing=True,
    )
