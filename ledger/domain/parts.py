"""Parts: what the state of an aggregate is made of, one struct for each thing in it.

A facility, a tranche, a drawdown, a condition is one part each; so is a total. Whoever
reads or changes them need not know where they are kept: in a dictionary while a
decision is made, in the rows of a view, or in the rows of a snapshot. Parts hold
scalars, tuples and frozen structs alone, so that a copy of one is a state of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Generic, Protocol, TypeVar, dataclass_transform

import msgspec


@dataclass_transform(kw_only_default=True)
class Part(
    msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="part", gc=False
):
    """One thing of a state; its key is KIND/NAME, and the kind is its type's tag."""

    key: str

    @property
    def name(self) -> str:
        """The key without its kind."""
        return self.key.partition("/")[2]


R = TypeVar("R")


class Backing(Protocol):
    """Where parts are that are not in memory yet."""

    def many(self, keys: Sequence[str]) -> Iterable[Any]:
        """The parts of some keys, without those that are not there."""

    def under(self, kind: str) -> Iterable[Any]:
        """Every part whose key begins with `kind` and a slash."""

    def all(self) -> Iterable[Any]:
        """Every part."""


class Parts(Generic[R]):
    """A keyed set of parts; what changed is noted in `touched`.

    What was put in place of something unread is noted in `unseen`. `lenses` are the
    aggregates that read these parts, each made once.
    """

    __slots__ = (
        "_absent",
        "_backing",
        "_groups",
        "_kinds",
        "_parts",
        "_whole",
        "lenses",
        "touched",
        "unseen",
    )

    def __init__(self, backing: Backing | None = None) -> None:
        self._backing = backing
        self._parts: dict[str, R] = {}
        # Of the kinds that were asked for whole: their parts by name.
        self._kinds: dict[str, dict[str, R]] = {}
        # Of the kinds of which a prefix was asked for: by what stands before the name's
        # first slash, and then by what comes after it.
        self._groups: dict[str, dict[str, dict[str, R]]] = {}
        self._whole: set[str] = set()
        self._absent: set[str] = set()
        self.touched: set[str] = set()
        self.unseen: set[str] = set()
        self.lenses: dict[str, Any] = {}

    def get(self, key: str) -> R | None:
        """The part of a key, only to look at; None where there is none."""
        part = self._parts.get(key)
        if part is None and self._unread(key):
            assert self._backing is not None
            self._absent.add(key)
            for part in self._backing.many((key,)):
                self._take(part)
        return part

    def change(self, key: str) -> R | None:
        """The part of a key, to be changed in place; None where there is none."""
        part = self._parts.get(key)
        if part is None:
            part = self.get(key)
            if part is None:
                return None
        self.touched.add(key)
        return part

    def put(self, part: R) -> None:
        """Add a part, or put it in place of the one of its key."""
        key = _key(part)
        if self._backing is not None and key not in self._parts and self._unread(key):
            self.unseen.add(key)
        self._take(part)
        self.touched.add(key)

    def drop(self, key: str) -> None:
        """Take a part away, if it is there."""
        if self.get(key) is not None:
            del self._parts[key]
            kind, _, name = key.partition("/")
            if kind in self._kinds:
                del self._kinds[kind][name]
            if kind in self._groups:
                first, _, rest = name.partition("/")
                self._groups[kind].get(first, {}).pop(rest, None)
            self._absent.add(key)
            self.touched.add(key)

    def under(self, kind: str) -> Mapping[str, R]:
        """Every part of a kind by its name, only to look at.

        `counted/C-1` are those of the kind `counted` whose names begin with `C-1/`.
        """
        kind, _, prefix = kind.partition("/")
        self._read_under(kind, prefix)
        if not prefix:
            return self._index(kind)
        first, _, more = prefix.partition("/")
        found = self._grouped(kind).get(first, {})
        if not more:
            return found
        begin = f"{more}/"
        return {
            rest.removeprefix(begin): part
            for rest, part in found.items()
            if rest.startswith(begin)
        }

    def ahead(self, keys: Iterable[str]) -> None:
        """Read parts that are looked at next, in few queries."""
        if self._backing is None:
            return
        unknown = [
            key
            for key in dict.fromkeys(keys)
            if key not in self._parts and self._unread(key)
        ]
        self._absent.update(unknown)
        for part in self._backing.many(unknown) if unknown else ():
            self._take(part)

    def __iter__(self) -> Iterator[R]:
        """Every part, in order of the keys."""
        if self._backing is not None:
            for part in self._backing.all():
                if part.key not in self._absent and part.key not in self._parts:
                    self._take(part)
            self._backing = None
        return iter([self._parts[key] for key in sorted(self._parts)])

    def fork(self) -> Parts[R]:
        """A set of its own over this one, which never sees what is changed there."""
        return Parts(_Forked(self))

    def _take(self, part: Any) -> None:
        self._parts[part.key] = part
        if self._kinds or self._groups:
            kind, _, name = part.key.partition("/")
            if kind in self._kinds:
                self._kinds[kind][name] = part
            if kind in self._groups:
                _group(self._groups[kind], name, part)
        if self._absent:
            self._absent.discard(part.key)

    def _index(self, kind: str) -> dict[str, R]:
        found = self._kinds.get(kind)
        if found is None:
            begin = f"{kind}/"
            found = self._kinds[kind] = {
                key.removeprefix(begin): part
                for key, part in self._parts.items()
                if key.startswith(begin)
            }
        return found

    def _grouped(self, kind: str) -> dict[str, dict[str, R]]:
        found = self._groups.get(kind)
        if found is None:
            found = self._groups[kind] = {}
            begin = f"{kind}/"
            for key, part in self._parts.items():
                if key.startswith(begin):
                    _group(found, key.removeprefix(begin), part)
        return found

    def _unread(self, key: str) -> bool:
        """Whether the backing may have a part that is not in memory."""
        return (
            self._backing is not None
            and key not in self._absent
            and key.partition("/")[0] not in self._whole
        )

    def _read_under(self, kind: str, prefix: str) -> None:
        asked = f"{kind}/{prefix}" if prefix else kind
        if self._backing is None or not self._whole.isdisjoint((kind, asked)):
            return
        self._whole.add(asked)
        for part in self._backing.under(asked):
            if part.key not in self._absent and part.key not in self._parts:
                self._take(part)


class _Forked:
    """The parts of another set, copied when they are first looked at."""

    def __init__(self, parent: Parts[Any]) -> None:
        self._parent = parent

    def many(self, keys: Sequence[str]) -> Iterator[Any]:
        """The parts of some keys."""
        self._parent.ahead(keys)
        found = map(self._parent.get, keys)
        return (copy(part) for part in found if part is not None)

    def under(self, kind: str) -> Iterator[Any]:
        """The parts of a kind."""
        return map(copy, self._parent.under(kind).values())

    def all(self) -> Iterator[Any]:
        """Every part."""
        return map(copy, self._parent)


def _group(groups: dict[str, dict[str, R]], name: str, part: R) -> None:
    first, slash, rest = name.partition("/")
    if slash:
        groups.setdefault(first, {})[rest] = part


def _key(part: Any) -> str:
    return part.key  # type: ignore[no-any-return]
