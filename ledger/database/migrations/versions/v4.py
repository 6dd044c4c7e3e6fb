"""Schema 4: snapshots as a row for each part; every view's tables are made anew.

The snapshots of before are dropped: they are of another release, and the next are taken
as the record grows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the tables of snapshots, empty."""
    on_server = op.get_bind().dialect.name == "postgresql"
    name = sa.Text(collation="C") if on_server else sa.Text()
    op.drop_table("snapshots")
    op.create_table(
        "snapshots",
        sa.Column("stream", name, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("software", name, nullable=False),
    )
    op.create_table(
        "snapshot_parts",
        sa.Column("stream", name, primary_key=True),
        sa.Column("key", name, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    if on_server:
        for table in ("snapshots", "snapshot_parts"):
            op.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO accord_writer"
            )
            op.execute(f"GRANT SELECT ON {table} TO accord_reader")
