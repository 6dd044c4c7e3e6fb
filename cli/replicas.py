"""Reading from a replica: how far behind it is, and waiting for a position."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from ledger.errors import AccordError, LedgerUnavailable

if TYPE_CHECKING:
    from ledger.record.store import Store

WAIT_S: Final = 30
"""Seconds to wait for a position before giving up."""
LOOK_S: Final = 0.05


def wait_for(store: Store, position: int) -> None:
    """Wait until a position is there; LedgerUnavailable where it does not come."""
    deadline = time.monotonic() + WAIT_S
    while (size := store.head().size) < position:
        if time.monotonic() > deadline:
            raise LedgerUnavailable(
                f"Position {position:,} is not there: the record that is read here has "
                f"{size:,} events, after {WAIT_S} seconds of waiting. Read from the "
                "primary, or ask again later."
            )
        time.sleep(LOOK_S)


def tell_lag(store: Store, primary: str | None) -> None:
    """Say on stderr how far behind a replica is; nothing where it is none."""
    from ledger.record.store import open_store

    since = store.replayed()
    if primary is None and since is None:
        return
    said = "the answer comes from a replica"
    if primary is not None:
        try:
            first = open_store(primary)
            try:
                behind = first.head().size - store.head().size
            finally:
                first.close()
        except AccordError:
            said += ", and the primary does not say how far that is behind"
        else:
            events = f"{behind:,} event{'' if behind == 1 else 's'}"
            said += f", {events} behind" if behind > 0 else ", which is up to date"
    if since is not None:
        said += f"; it last took something in at {since}"
    click.echo(f"note: {said}.", err=True)
