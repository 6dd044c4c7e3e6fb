"""What can go wrong, as a tree; an error takes facts and builds its own sentence.

    AccordError
    ├── Refused              a rule said no; carries the rule's code
    ├── NotFound             the thing asked for is not on the record
    ├── InvalidValue         a quantity, date or name that cannot be read (ValueError)
    ├── LedgerUnavailable    no ledger there, not a ledger, locked, disk full, other schema
    │   ├── TryAgain         locked by another, or the server is gone for now
    │   └── OutcomeUnknown   the server went away while it was told to commit
    ├── UnknownEvent         an event type or schema newer than this software (REC-10)
    ├── IntegrityFailure     bytes, hashes or heads do not agree
    └── ImportRejected       an import that is no continuation of this record

The command line maps them to exit codes in one place, `cli/main.py`, and says in
its own words, `cli/hints.py`, what can be done about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

QUOTED: Final = 200
"""Characters of a text that an error repeats."""


def quoted(text: str) -> str:
    """A text as an error repeats it: whole, or its beginning and how long it is."""
    if len(text) <= QUOTED:
        return repr(text)
    return f"{text[:QUOTED]!r}… ({len(text):,} characters)"


class Hint(NamedTuple):
    """What can be done about an error: a name, and the facts that belong to it.

    Whoever shows the error says it in the words of the place where it is shown.
    """

    name: str
    facts: Mapping[str, str]


class AccordError(Exception):
    """Whatever accord tells its user instead of a traceback."""

    hint: Hint | None = None

    def hinting(self, name: str, **facts: str) -> Self:
        """The same, with what can be done about it."""
        self.hint = Hint(name, facts)
        return self


class Refused(AccordError):
    """A rule said no: its sentence with the numbers, and what to do.

    `code` is the rule's; `@rule` gives it to whatever a rule raises without one.
    """

    def __init__(self, sentence: str, *, todo: str = "", code: str = "") -> None:
        self.code = code
        self.sentence = sentence
        self.todo = todo
        super().__init__(sentence)

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.code}: {self.sentence}", self.todo)))


class NotFound(AccordError):
    """The thing asked for is not on the record."""


class InvalidValue(AccordError, ValueError):
    """A text that cannot be read as the value it should be."""


class LedgerUnavailable(AccordError):
    """The ledger cannot be opened, read or written now, and why."""


class TryAgain(LedgerUnavailable):
    """A lock that another holds, or a server that is gone: in a moment it may work."""


class OutcomeUnknown(LedgerUnavailable):
    """A server did not confirm a commit: it was done, or it was not."""

    def __init__(self, where: str, repeat: str = "") -> None:
        self.where = where
        super().__init__(
            f"{where} did not confirm that it has written this. Whether it is "
            f"recorded, and stays so, is not known. {repeat}".rstrip()
        )


class UnknownEvent(AccordError):
    """An event that this software does not know; reading stops, never skips."""

    def __init__(self, position: int | None, detail: str) -> None:
        self.position = position
        self.detail = detail
        where = "An event" if position is None else f"Event {position}"
        super().__init__(
            f"REC-10: {where} cannot be read by this version of accord: {detail}. "
            "Nothing was skipped; use the version that wrote it, or a newer one."
        )

    def __reduce__(self) -> tuple[type[UnknownEvent], tuple[int | None, str]]:
        """Go from one process to another as what it is made of."""
        return UnknownEvent, (self.position, self.detail)


class IntegrityFailure(AccordError):
    """Bytes, hashes, columns or heads do not agree."""

    def __init__(self, sentence: str, *, position: int | None = None) -> None:
        self.position = position
        super().__init__(sentence)


class ImportRejected(AccordError):
    """An import that is neither a restore nor a continuation of this record."""


class BatchRefused(AccordError):
    """A batch with at least one problem; nothing of it was written."""

    def __init__(self, problems: Sequence[tuple[int, AccordError]]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"line {line}: {error}" for line, error in self.problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"Nothing was written: {count} {noun}.\n{lines}")
