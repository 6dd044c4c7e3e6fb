"""One state: what parts may hold, and what may look at an event beside its `apply`."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from ledger.domain.event import EventData
from ledger.domain.parts import Part, Parts
from projections.engine.nouns import NOUNS
from projections.registry import VIEWS

pytestmark = pytest.mark.pure

BESIDE_THE_STATE = {
    "projections.engine.claims": "the place of a claim in the record",
    "projections.views.conditions": "who recorded an outcome, on what evidence",
    "projections.views.deals": "how an entry disputes the state: its place and source",
    "projections.views.drawdowns": "whose hands a drawdown went through",
    "projections.views.late_entries": "when an entry of a closed period was recorded",
    "projections.views.observations": "the wording of what was seen, and its source",
    "projections.views.reversals": "who asked, who decided, and why",
    "projections.views.statements": "on what source something was said",
}
"""The modules that fold events into rows, each with what no part can hold."""
TELL_OF_EVENTS = {
    "projections.engine.history": "which entries are reversed",
    "projections.engine.reading": "which entries are reversed; a deal without an opening",
    "projections.explain.changes": "what a reversal changed is told once for all",
    "projections.explain.lineage": "which thread an event belongs to, and its causes",
    "projections.explain.things": "by how much an event moved its thing",
    "projections.explain.why": "which entries set the terms, and equity, of a figure",
    "projections.views.fleet": "which systems another deal took over",
}
"""The modules that name types of events without folding them, each with what for."""


def of_kind(base: type) -> Iterator[type]:
    """Every class below another."""
    for one in base.__subclasses__():
        yield one
        yield from of_kind(one)


def changeable(kind: Any, seen: set[Any]) -> Iterator[Any]:
    """What of a type could be changed in place, however deep."""
    if get_origin(kind) in {list, dict, set} or kind in {list, dict, set}:
        yield kind
    for one in get_args(kind):
        yield from changeable(one, seen)
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        if not kind.__struct_config__.frozen:
            yield kind
        for one in get_type_hints(kind).values():
            yield from changeable(one, seen)


@pytest.mark.parametrize("part", list(of_kind(Part)), ids=lambda part: part.__name__)
def test_every_part_is_copied_by_a_shallow_copy(part):
    """A part holds scalars, tuples and frozen structs: no list, dict, set."""
    for name, kind in get_type_hints(part).items():
        assert list(changeable(kind, set())) == [], name


def test_a_part_that_could_be_changed_inside_is_found():
    """A list is found in a tuple, in a union, and in a frozen struct."""

    class Inner(msgspec.Struct, frozen=True):
        many: list[int]

    assert list(changeable(tuple[list[int], ...], set())) == [list[int]]
    assert list(changeable(dict[str, int] | None, set())) == [dict[str, int]]
    assert list(changeable(tuple[Inner, ...], set())) == [list[int]]


def test_facts_are_folded_in_one_place():
    """A view folds only what no part can hold, and the list says what that is."""
    found = {
        handler.__module__
        for view in VIEWS
        if view not in NOUNS
        for handler in view.handlers.values()
    }
    assert found == set(BESIDE_THE_STATE)


def test_no_other_module_of_the_views_names_a_type_of_event():
    """Whoever matches on events folds them again: each that may is listed, with why."""
    modules = [
        importlib.import_module(one.name)
        for one in pkgutil.walk_packages(projections.__path__, "projections.")
    ]
    found = {module.__name__ for module in modules if list(events_named(module))}
    assert found - set(BESIDE_THE_STATE) == set(TELL_OF_EVENTS)


def events_named(module: Any) -> Iterator[str]:
    """The types of events that the code of a module names."""
    known = vars(module)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Name(id=name):
                named = known.get(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                named = getattr(known.get(name), attribute, None)
            case _:
                continue
        if inspect.isclass(named) and EventData in named.__mro__[1:]:
            yield named.__name__


class Word(Part, tag="word"):
    """Something to keep."""

    text: str = ""


class Shelf:
    """Parts that are read one by one, and given away as copies."""

    def __init__(self, *keys: str) -> None:
        self.parts = {key: Word(key=key) for key in keys}

    def many(self, keys: Sequence[str]) -> Iterator[Word]:
        """Those of some keys."""
        return (copy(self.parts[key]) for key in keys if key in self.parts)

    def under(self, kind: str) -> Iterator[Word]:
        """Those of a kind."""
        return (copy(w) for key, w in self.parts.items() if key.startswith(f"{kind}/"))

    def all(self) -> Iterator[Word]:
        """All of them."""
        return map(copy, self.parts.values())


KEYS = ["word/a", "word/a/b", "word/a/b/c", "word/ab/c", "other/a/b"]
ASKED = ["word", "word/a", "word/a/b", "word/b"]
steps = st.lists(
    st.tuples(
        st.sampled_from(["get", "put", "drop", "change", "under", "under", "fork"]),
        st.sampled_from(KEYS),
        st.sampled_from(ASKED),
    ),
    min_size=10,
    max_size=30,
)


@given(shelved=st.sets(st.sampled_from(KEYS)), steps=steps)
def test_parts_are_a_dictionary_of_what_they_are_over(shelved, steps):
    """Whatever is asked in whatever order, and in copies of the set: the same parts."""
    shelf = Shelf(*shelved)
    parts: Parts[Word] = Parts(shelf)
    model = dict.fromkeys(shelved, "")
    for number, (step, key, asked) in enumerate(steps):
        match step:
            case "get":
                assert (parts.get(key) is None) is (key not in model)
            case "put":
                parts.put(Word(key=key, text=str(number)))
                model[key] = str(number)
            case "drop":
                parts.drop(key)
                model.pop(key, None)
            case "change":
                word = parts.change(key)
                assert (word is None) is (key not in model)
                if word is not None:
                    word.text = model[key] = f"{model[key]}+"
            case "under":
                found = {name: word.text for name, word in parts.under(asked).items()}
                begin = f"{asked}/"
                assert found == {
                    key.removeprefix(begin): text
                    for key, text in model.items()
                    if key.startswith(begin)
                }
            case _:
                parts = parts.fork()
    assert [(word.key, word.text) for word in parts] == sorted(model.items())
    assert all(word.text == "" for word in shelf.parts.values())


def test_what_is_put_in_place_of_something_unread_is_noted():
    """And nothing else: not what was read, looked for in vain, or put there before."""
    parts: Parts[Word] = Parts(Shelf("word/a", "word/b", "word/c"))
    parts.get("word/b")
    parts.get("word/d")
    parts.under("other")
    for key in ("word/a", "word/b", "word/d", "other/a", "word/e", "word/e"):
        parts.put(Word(key=key))
    assert parts.unseen == {"word/a", "word/e"}
    parts.put(Word(key="word/c"))
    parts.under("word")
    parts.put(Word(key="word/f"))
    assert parts.unseen == {"word/a", "word/c", "word/e"}
