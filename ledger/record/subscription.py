"""Following the record as it grows.

What a database says when there is more only wakes the follower: it looks for itself,
and again after a while, so that a wake-up that was lost is lost for a moment alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    Subscription,
)

from ledger.database.dialect import Waker

PAGE: Final = 500


class LiveSubscription(Subscription[ApplicationRecorder]):
    """Notifications after a position, then those recorded later, until stopped."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        waker: Waker,
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._page: deque[Notification] = deque()
        self._waker = waker

    def stop(self) -> None:
        """Stop; whoever waits for the next notification is woken at once."""
        super().stop()
        self._waker.wake()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        """Stop, and give back what it waited with."""
        super().__exit__(*args, **kwargs)
        self._waker.close()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._page:
                return self._page.popleft()
            if not self._pull():
                self._waker.wait()
        self._waker.close()
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
