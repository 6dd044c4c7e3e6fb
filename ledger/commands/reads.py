"""What a command looks at beside the systems that it names, so that many are read at once.

Nothing but speed depends on it: what is not named here is read when it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from ledger.domain.aggregate import Aggregate, World

Ids: TypeAlias = tuple[str, ...]
Reads: TypeAlias = Callable[..., Iterable[tuple[type[Aggregate], Ids]]]
C = TypeVar("C", bound=Callable[..., None])
_READS: dict[Callable[..., None], Reads] = {}


def reads(which: Reads) -> Callable[[C], C]:
    """Bind to a command what it reads: of the world, the deal and the arguments."""

    def bind(command: C) -> C:
        _READS[command] = which
        return command

    return bind


def read_by(
    command: Callable[..., None], world: World, deal: str, arguments: dict[str, Any]
) -> Iterable[tuple[type[Aggregate], Ids]]:
    """The aggregates that a command with these arguments reads."""
    which = _READS.get(command)
    return which(world, deal, **arguments) if which else ()
