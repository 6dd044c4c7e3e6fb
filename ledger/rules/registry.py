"""What a rule is: a pure function of the world as it stands and the event proposed.

`@rule("AGR-03", BecameEffective)` binds a function to the events that it guards.
Commands, dry runs and rechecks call the same functions through `check`. A rule never
changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from ledger.domain.aggregate import World
from ledger.domain.event import Event, EventData
from ledger.errors import Refused

Rule = Callable[[World, Event[Any]], None]
R = TypeVar("R", bound=Callable[..., Any])

RULES: Final[dict[type[EventData], list[tuple[str, Rule]]]] = {}
CODES: Final[dict[str, list[str]]] = {}


def rule(code: str, *events: type[EventData]) -> Callable[[R], R]:
    """Bind a rule to the types of event that it guards; its docstring is its sentence.

    Whatever it raises without a code bears the rule's.
    """

    def bind(function: R) -> R:
        assert function.__doc__, function
        CODES.setdefault(code, []).append(function.__doc__.strip().split("\n")[0])

        @wraps(function)
        def guard(*asked: Any) -> Any:
            try:
                return function(*asked)
            except Refused as refusal:
                refusal.code = refusal.code or code
                raise

        for event in events:
            RULES.setdefault(event, []).append((code, guard))
        return cast("R", guard)

    return bind


def check(world: World, event: Event[Any]) -> None:
    """Refuse the event if any rule that guards it says no."""
    for _, guard in RULES.get(type(event.data), ()):
        guard(world, event)
