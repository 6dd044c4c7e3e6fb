"""One history from its seed to its differences; many of them, counted."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from along import broken
from compare import Difference, compare
from history import History, play, reached
from laws import look_back, watch
from product import memory, small_segments, url_of


@dataclass
class Tally:
    """What a number of histories came to."""

    histories: int = 0
    events: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, history: History, differences: Iterable[Difference]) -> None:
        """Count one history."""
        self.histories += 1
        self.events += history.desk.size
        self.reached.update(reached(history))
        self.accepted.update(history.accepted)
        self.refused.update(history.refused)
        self.differences += differences

    def merge(self, other: Tally) -> None:
        """Count what another process counted."""
        self.histories += other.histories
        self.events += other.events
        self.reached.update(other.reached)
        self.accepted.update(other.accepted)
        self.refused.update(other.refused)
        self.differences += other.differences

    def lines(self) -> list[str]:
        """What was reached, and the differences by kind, an example of each."""
        told = [f"{self.histories} histories, {self.events} events"]
        told += [f"{n:>7} reached {name}" for name, n in self.reached.most_common()]
        kinds: dict[str, list[Difference]] = {}
        for one in self.differences:
            kinds.setdefault(one.kind, []).append(one)
        for kind, found in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
            seeds = len({one.seed for one in found})
            told.append(f"{seeds:>7} histories differ in {kind}, as in")
            told.append(f"          {', '.join(found[0].told())}")
        return told


def run(seed: int, url: str, tally: Tally) -> list[Difference]:
    """Tell a history, and hold what the product says of it against the oracle."""
    seen: list[Difference] = []
    with small_segments():
        history = play(seed, url, lambda one: seen.extend(watch(one)))
        try:
            moments = history.moments()
            seen += compare(history, moments)
            found = [*seen, *look_back(history, moments), *_broken(history)]
            tally.add(history, found)
        finally:
            history.desk.close()
    return found


def _broken(history: History) -> list[Difference]:
    return [
        Difference(history.seed, label, "along", subject, law, product, expected)
        for label, subject, law, product, expected in broken(history)
    ]


def soak(seeds: Iterable[int]) -> Tally:
    """Run many histories on SQLite, in memory where the system has a place for it."""
    tally = Tally()
    for seed in seeds:
        folder = Path(tempfile.mkdtemp(dir=memory()))
        try:
            run(seed, url_of(folder / "history.db"), tally)
        finally:
            shutil.rmtree(folder)
    return tally
