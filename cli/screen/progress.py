"""A progress bar on stderr for what takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S: Final = 1.0


class Bar:
    """Told how far a task is; draws nothing before the user would begin to wonder."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown: tuple[Progress, TaskID] | None = None
        self._on_terminal = sys.stderr.isatty()
        self._due = time.monotonic() + PATIENCE_S

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how many are done, and of how many where that is known."""
        if not self._on_terminal:
            return
        if self._shown is None:
            if time.monotonic() < self._due:
                return
            self._shown = self._draw()
        bar, task = self._shown
        bar.update(task, completed=done, total=total)

    def _draw(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Rate(ProgressColumn):
            """How many a second."""

            def render(self, task: Task) -> Text:
                return Text(f"{task.speed or 0:,.0f}/s")

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        bar.start()
        return bar, bar.add_task(self._label, total=None)

    def close(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown[0].stop()


@contextmanager
def progress(label: str) -> Iterator[Bar]:
    """A bar for one task."""
    bar = Bar(label)
    try:
        yield bar
    finally:
        bar.close()
