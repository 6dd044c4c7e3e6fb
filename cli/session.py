"""What a command line run works with: where the ledger is, who acts; open and close.

This is the command line's composition root. Nothing here loads the database until a
command really opens the ledger, so that help and completion stay quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from ledger.errors import InvalidValue

if TYPE_CHECKING:
    from ledger.application import Ledger
    from ledger.record.store import Store

DEFAULT_DB: Final = "sqlite:///accord.db"


@dataclass
class Session:
    """One run. `opened` tells whether the ledger was reached: exit codes depend on it."""

    db: str = field(default_factory=lambda: os.environ.get("ACCORD_DB") or DEFAULT_DB)
    actor: str | None = field(
        default_factory=lambda: os.environ.get("ACCORD_ACTOR") or None
    )
    replica: str | None = field(
        default_factory=lambda: os.environ.get("ACCORD_REPLICA") or None
    )
    at_least: int = 0
    opened: bool = False

    def acting(self) -> str:
        """Who acts, checked; InvalidValue where nobody was named."""
        from ledger.domain.provenance import Actor

        if not self.actor:
            raise InvalidValue("Nobody acts.").hinting("actor")
        return str(Actor.parse(self.actor))

    @contextmanager
    def store(self, url: str | None = None) -> Iterator[Store]:
        """The store of a ledger that is there."""
        from ledger.record.store import open_store

        self.opened = True
        store = open_store(url or self.db)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The store that reads go to: the replica's, if there is one.

        It holds at least as much as was asked for, and says how far behind it is.
        """
        from cli.replicas import tell_lag, wait_for

        with self.store(self.replica) as store:
            if self.at_least:
                wait_for(store, self.at_least)
            tell_lag(store, self.db if self.replica else None)
            yield store

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The application on a ledger that is there."""
        from ledger.application import Ledger
        from ledger.record.store import open_store

        self.opened = True
        ledger = Ledger(open_store(self.db))
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def made(self) -> Iterator[tuple[Ledger, bool]]:
        """The application on a ledger that is made now if need be; whether it was."""
        from ledger.application import Ledger
        from ledger.record.store import create_store
        from projections.projector import view_tables

        self.opened = True
        store, made = create_store(self.db, beside=view_tables())
        ledger = Ledger(store)
        try:
            yield ledger, made
        finally:
            ledger.close()

    @property
    def place(self) -> str:
        """Where the ledger is, as a user would look for it."""
        prefix = "sqlite:///"
        if self.db.startswith(prefix):
            return os.path.abspath(self.db.removeprefix(prefix))  # noqa: PTH100 - no pathlib at start-up
        from ledger.database.dialect import parsed, shown

        url, _ = parsed(self.db)
        return shown(url)


def session() -> Session:
    """The session of the command that is running."""
    return click.get_current_context().ensure_object(Session)


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            setattr(context.ensure_object(Session), name, value)

    return keep


def where_to_read() -> list[click.Option]:
    """The options `--replica` and `--at-least`, for every read."""
    return [
        click.Option(
            ["--replica"],
            metavar="URL",
            expose_value=False,
            callback=_keep("replica"),
            help="Read from a replica of the ledger; else ACCORD_REPLICA, else --db.",
        ),
        click.Option(
            ["--at-least"],
            metavar="POSITION",
            type=click.IntRange(1),
            expose_value=False,
            callback=_keep("at_least"),
            help="Wait until this position is there to be read.",
        ),
    ]


def where_and_who() -> list[click.Option]:
    """The options `--db` and `--actor`, for the root and for every command."""
    return [
        click.Option(
            ["--db"],
            metavar="URL",
            expose_value=False,
            callback=_keep("db"),
            help="Where the ledger is; else ACCORD_DB, else sqlite:///accord.db.",
        ),
        click.Option(
            ["--actor"],
            metavar="NAME@PARTY",
            expose_value=False,
            callback=_keep("actor"),
            help="Who acts; else ACCORD_ACTOR.",
        ),
    ]
