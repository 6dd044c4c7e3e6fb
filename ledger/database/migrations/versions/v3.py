"""Schema 3: snapshots of long-lived aggregates; every view's tables are made anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Make the table of snapshots, empty: they are taken as the record grows."""
    on_server = op.get_bind().dialect.name == "postgresql"
    name = sa.Text(collation="C") if on_server else sa.Text()
    op.create_table(
        "snapshots",
        sa.Column("stream", name, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("software", name, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    if on_server:
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots TO accord_writer")
        op.execute("GRANT SELECT ON snapshots TO accord_reader")
