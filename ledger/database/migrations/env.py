"""How Alembic runs the steps: in the transaction that `ledger/custody/migration.py` opened."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context


def _note(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001 - Alembic calls it so
    """Say the schema where every release of accord looks for it."""
    (version,) = step.up_revision_ids
    ctx.connection.execute(
        sa.text("UPDATE accord_meta SET value = :version WHERE key = 'schema'"),
        {"version": version},
    )


context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    on_version_apply=_note,
)
with context.begin_transaction():
    context.run_migrations()
