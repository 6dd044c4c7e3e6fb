"""What a user can do about an error, in the words of the command line.

The ledger tells facts, knows no flag and no shell: an error names a hint and the facts
that go with it, and parameters as a batch does. The words are here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ledger.errors import AccordError, BatchRefused, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

HINTS: Final[Mapping[str, str]] = {
    "actor": "Give --actor NAME@PARTY, or set ACCORD_ACTOR.",
    "deals": "'accord list' shows those that are.",
    "drop-snapshots": "'accord views rebuild' drops it.",
    "entries": "'accord history' shows the entries of each deal.",
    "evidence": """Attach it: --evidence '[{{"title": "…", "kind": "{kind}"}}]'.""",
    "history": "'accord history {deal}' tells how it came there.",
    "key": "'accord key new' prints one.",
    "manifest": "A table of systems is for 'accord system import'.",
    "migrate": (
        "Bring it up to date with 'accord migrate'; what is recorded stays as it is."
    ),
    "no-ledger": "Make one with 'accord init', or name another with --db.",
    "rebuild": "'accord views rebuild' makes it anew.",
    "repeat": (
        "Repeat it with --command-id {command_id}: what was recorded is then "
        "answered, and not recorded again."
    ),
    "restore": "Restore the file into an empty ledger with --db to compare them.",
    "show": "'accord show {deal}' tells where it stands.",
    "verify": "Run 'accord verify'.",
    "verify-both": "Run 'accord verify' on both.",
    "verify-there": "Run 'accord verify' there.",
}
MENDS: Final[Mapping[str, str]] = {"migrate": "; run 'accord migrate'"}
"""The same, after what the doctor found wrong."""
PARAMETERS: Final = frozenset(
    {
        "certified",
        "effective_on",
        "reason",
        "relock",
        "status",
        "with_reliant",
    }
)
"""Parameters that what to do about a refusal speaks of, by their names in a batch."""
_NAMED: Final = re.compile("'([a-z_]+)'")


def hint_of(error: AccordError) -> str:
    """What can be done about an error; nothing where it says so by itself."""
    if error.hint is not None:
        return HINTS[error.hint.name].format_map(error.hint.facts)
    return _NAMED.sub(_as_option, error.todo) if isinstance(error, Refused) else ""


def _as_option(found: re.Match[str]) -> str:
    name = found[1]
    return f"--{name.replace('_', '-')}" if name in PARAMETERS else found[0]


def told(error: AccordError) -> str:
    """An error in one line, or a batch's in many, with what can be done about it."""
    match error:
        case BatchRefused():
            first, *_ = str(error).split("\n", 1)
            lines = (f"line {line}: {told(one)}" for line, one in error.problems)
            return "\n".join((first, *lines))
        case Refused():
            return f"{error.code}: {error.sentence} {hint_of(error)}".rstrip()
        case _:
            return f"{error} {hint_of(error)}".rstrip()
