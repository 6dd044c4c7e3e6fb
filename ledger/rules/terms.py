"""Rules of the terms themselves, wherever they are agreed: AGR-12."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ledger.domain.aggregate import World
from ledger.domain.agreement import (
    AmendmentProposed,
    AmendmentTookEffect,
    DefinitiveSigned,
)
from ledger.domain.event import Event
from ledger.domain.values import Ratio
from ledger.errors import Refused
from ledger.rules.registry import rule

LEAST_PUE: Final = 1
MOST_RATIO: Final = 10


@rule("AGR-12", DefinitiveSigned, AmendmentProposed, AmendmentTookEffect)
def ratios_can_be(_: World, event: Event[Any]) -> None:
    """A PUE is from 1 to 10; an overhead ratio is above 0 and at most 10."""
    for name, ratio in _agreed(event.data):
        if ratio.value > MOST_RATIO:
            wrong = f"at most {MOST_RATIO}"
        elif name == "pue" and ratio.value < LEAST_PUE:
            wrong = f"at least {LEAST_PUE}: a facility draws all that its systems draw"
        elif not ratio.value:
            wrong = "above 0"
        else:
            continue
        raise Refused(f"{name!r} is {ratio}, and must be {wrong}.")


def _agreed(data: Any) -> Iterator[tuple[str, Ratio]]:
    """The ratios that an entry agrees on; an amendment, those that it changes."""
    if isinstance(data, DefinitiveSigned):
        given = [
            (name, getattr(data.terms, name)) for name in ("pue", "overhead_ratio")
        ]
        yield from ((name, ratio) for name, ratio in given if ratio is not None)
        return
    for change in data.changes:
        if change.path in ("pue", "overhead_ratio") and change.new is not None:
            yield change.path, Ratio.read(change.new)
