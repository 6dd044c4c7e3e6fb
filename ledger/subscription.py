"""Following the record as it grows, by polling: the one way that never misses a wake-up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Event
from typing import Final

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    Subscription,
)

POLL_S: Final = 0.05
"""Seconds between two looks at a record that has not grown."""
PAGE: Final = 500


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Notifications after a position, then those recorded later, until stopped."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._page: deque[Notification] = deque()
        self._stopped = Event()

    def stop(self) -> None:
        """Stop; whoever waits for the next notification is woken at once."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if self._page:
                return self._page.popleft()
            if not self._pull():
                self._stopped.wait(POLL_S)
        raise StopIteration

    def _pull(self) -> bool:
        last = self._recorder.max_notification_id() or 0
        after = self._last_notification_id or 0
        if last <= after:
            return False
        self._page.extend(
            self._recorder.select_notifications(
                after,
                PAGE,
                stop=last,
                topics=self._topics,
                inclusive_of_start=False,
            )
        )
        # Short of a full page there is nothing more up to `last`, of these topics.
        full = len(self._page) == PAGE
        self._last_notification_id = self._page[-1].id if full else last
        return True
