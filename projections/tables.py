"""Where views are kept: a table each for its rows, and one that tracks them all."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
tracking = sa.Table(
    "view_tracking",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
)


def table_of(name: str, meta: sa.MetaData = metadata) -> sa.Table:
    """The table that keeps the rows of a view."""
    return sa.Table(
        f"view_{name.replace('-', '_')}",
        meta,
        sa.Column("deal", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        extend_existing=True,
    )
