"""Schema 2: every table is there from the beginning, and a head that cannot shrink.

Until now the table of refused commands and those of newer views were made when they
were first needed, which a role that may only write cannot do. Schema 1 was kept in
SQLite files alone.
"""

from __future__ import annotations

from alembic import op

revision = "2"
down_revision = None

_VIEWS = (
    "books",
    "capacity",
    "certificates",
    "commitment",
    "conditions",
    "deals",
    "distance",
    "drawdowns",
    "fleet",
    "late_entries",
    "links",
    "milestones",
    "obligations",
    "observations",
    "reversals",
    "standing",
    "statements",
    "terms",
    "timeline",
)
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'REC-01: entries cannot be edited'); END"


def upgrade() -> None:
    """Make what is missing; what is there stays as it is."""
    op.execute(
        "CREATE TABLE IF NOT EXISTS refused (id INTEGER NOT NULL, at TEXT NOT NULL, "
        "position BIGINT NOT NULL, deal TEXT NOT NULL, actor TEXT NOT NULL, "
        "command TEXT NOT NULL, effective_on TEXT NOT NULL, code TEXT NOT NULL, "
        "message TEXT NOT NULL, PRIMARY KEY (id))"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS view_tracking (name TEXT NOT NULL, "
        "version INTEGER NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (name))"
    )
    for view in _VIEWS:
        op.execute(
            f"CREATE TABLE IF NOT EXISTS view_{view} (deal TEXT NOT NULL, "
            'key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (deal, "key"))'
        )
    op.execute(
        "CREATE INDEX reversals ON events (position) WHERE type = 'record.reversed'"
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER refused_no_{verb.lower()} BEFORE {verb} ON refused {_REFUSE}"
        )
    op.execute(
        f"CREATE TRIGGER tree_head_no_delete BEFORE DELETE ON tree_head {_REFUSE}"
    )
    op.execute(
        "CREATE TRIGGER tree_head_no_less BEFORE UPDATE ON tree_head "
        f"WHEN NEW.size < OLD.size OR NEW.id <> OLD.id {_REFUSE}"
    )
