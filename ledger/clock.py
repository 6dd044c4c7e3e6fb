"""A moment as the record writes it."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp_time(moment: datetime) -> str:
    """A recorded time as it is written everywhere: UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
