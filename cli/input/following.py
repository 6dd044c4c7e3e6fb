"""Following the record: through a server's restart, until a signal says to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from cli.hints import told
from cli.session import session
from ledger.errors import TryAgain

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from ledger.record.store import Store

RETRY_S: Final = 0.5
"""Seconds between two looks for a server that is gone."""
INTERRUPTED: Final = 130

Begin = Callable[["Store"], int]
"""What is done when the ledger is reached, each time; the position to go on after."""
Take = Callable[["Store", "Notification"], None]
"""What is done with each event that is recorded since."""


def follow(begin: Begin, take: Take, *, reached: bool = False) -> None:
    """Take events as they are recorded, until interrupted (exit 130) or ended (exit 0).

    A server that goes away is waited for, once it was `reached`: then `begin` says
    where to go on.
    """
    following = _Following(begin, take, reached=reached)
    with following.until_told():
        following.run()
    if following.stopped == signal.SIGINT:
        click.get_current_context().exit(INTERRUPTED)


class _Following:
    def __init__(self, begin: Begin, take: Take, *, reached: bool) -> None:
        self._begin = begin
        self._take = take
        self._wake: Callable[[], None] | None = None
        self._reached = reached
        self._lost = False
        self.stopped: int | None = None

    @contextmanager
    def until_told(self) -> Iterator[None]:
        """Stop between two events when a signal asks for it."""
        told = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self._stop) for number in told]
        try:
            yield
        finally:
            for number, handler in zip(told, before, strict=True):
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: Any) -> None:
        self.stopped = number
        if self._wake is not None:
            self._wake()

    def run(self) -> None:
        """Follow; begin anew after each time that the ledger was out of reach."""
        while self.stopped is None:
            try:
                with session().store() as store:
                    self._follow(store)
            except TryAgain as error:
                if not self._reached:
                    raise
                click.echo(
                    f"note: {told(error)} Trying again until it is there.", err=True
                )
                self._lost = True
                self._wait_for_it()

    def _follow(self, store: Store) -> None:
        after = self._begin(store)
        self._reached = True
        if self._lost:
            click.echo(f"note: it is there again, at position {after:,}.", err=True)
            self._lost = False
        with store.subscribe(gt=after) as subscription:
            self._wake = subscription.stop
            if self.stopped is None:
                for notification in subscription:
                    self._take(store, notification)

    def _wait_for_it(self) -> None:
        from ledger.database.dialect import Waker

        waker = Waker(RETRY_S)
        self._wake = waker.wake
        try:
            while self.stopped is None:
                waker.wait()
                try:
                    with session().store():
                        return
                except TryAgain:
                    continue
        finally:
            waker.close()
