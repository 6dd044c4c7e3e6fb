"""Ledger: load, decide, save; decide again on a conflict; answer a repeat at once.

The one place where a command, alone or in a batch, becomes events on the record.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, Mapper

from ledger.commands.decision import Decision
from ledger.commands.registry import Command, Request, find, read_ahead
from ledger.domain import limits
from ledger.domain.aggregate import A, fold
from ledger.domain.event import Event
from ledger.domain.provenance import Actor, Provenance, status_of
from ledger.domain.system import System
from ledger.domain.transcoding import body, decode, to_builtins
from ledger.domain.values import Slug
from ledger.errors import (
    AccordError,
    BatchRefused,
    IntegrityFailure,
    InvalidValue,
    LedgerUnavailable,
    NotFound,
    OutcomeUnknown,
    Refused,
)
from ledger.record.mapper import EventMapper, EventToStore
from ledger.record.refusals import Refusal, note
from ledger.record.snapshot import KINDS, due
from ledger.record.snapshot import load as load_on_snapshot
from ledger.record.store import RecordedCommand, Store, Submission
from ledger.version import __version__

TRIES: Final = 5
PAUSE_S: Final = 0.01
"""Seconds to wait at most after the first conflict; longer after each other."""


Read: TypeAlias = Callable[[int, int], tuple[Event[Any], ...]]
"""The events between two positions, both included."""
Told: TypeAlias = Callable[[int, int], None]
"""Hears how many are done, and of how many."""


class Receipt:
    """What a command wrote: its id, its positions, and whether it was a repeat."""

    def __init__(
        self, command_id: str, positions: range, read: Read, *, repeated: bool = False
    ) -> None:
        self.command_id = command_id
        self.positions = tuple(positions)
        self._first, self._last = positions.start, positions.stop - 1
        self.repeated = repeated
        self._read = read

    @cached_property
    def events(self) -> tuple[Event[Any], ...]:
        """The events that it wrote, or wrote the first time; read when asked for."""
        try:
            return self._read(self._first, self._last)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(
                f"It is recorded, at positions {self._first} to {self._last}; "
                f"reading it back failed. {error}"
            ) from error


class Ledger(Application[str]):
    """The application. Made by `open_ledger`, around a store that is open."""

    name = "accord"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = store.clock
        super().__init__(env={"PERSISTENCE_MODULE": "eventsourcing.popo"})

    def construct_mapper(self) -> Mapper[str]:
        """Our own mapper: see transcoding."""
        return EventMapper()

    def construct_recorder(self) -> Store:
        """Our own recorder: see store."""
        return self.store

    def close(self) -> None:
        """Close the store."""
        self.store.close()
        super().close()

    # A decision's source.
    def load(self, kind: type[A], stream: str) -> A:
        """The aggregate of a stream, version 0 where it has no events."""
        return load_on_snapshot(self.store, kind, stream)

    def several(self, kind: type[A], streams: Sequence[str]) -> Iterator[A]:
        """The same of many streams, in few queries."""
        if issubclass(kind, KINDS):
            yield from (self.load(kind, stream) for stream in streams)
            return
        for stream, history in self.store.histories(streams):
            yield fold(
                kind, stream, (decode(data, position=at) for at, data in history)
            )

    def streams(self, kind: str, deal: str) -> Iterable[str]:
        """The streams of a kind that have events of a deal."""
        return self.store.streams(kind, deal)

    def history(self, stream: str) -> Iterable[Event[Any]]:
        """Every event of a stream."""
        return [decode(item.state) for item in self.store.select_events(stream)]

    def entry(self, position: int) -> Event[Any] | None:
        """The event at a position."""
        found = self._events(position, position)
        return found[0] if found else None

    def kin(self, deal: str) -> Mapping[str, int]:
        """The deal and those that share a stream with it, each with its last position."""
        return self.store.kin(deal)

    def entries(self, deals: Iterable[str]) -> Iterable[Event[Any]]:
        """Every event of some deals, in recorded order."""
        for position, data in self.store.entries(deals):
            yield decode(data, position=position)

    def record(
        self,
        *events: Event[Any],
        bodies: Sequence[bytes] | None = None,
        **kwargs: Any,
    ) -> Sequence[int]:
        """Record events, as their `bodies` where those are known; their positions.

        The library's `save` does the same, asks each of them for its protocol, and
        tells of each what it was before it was stamped.
        """
        written = map(body, events) if bodies is None else bodies
        return self.store.insert_events(
            [EventToStore.of(*pair) for pair in zip(events, written, strict=True)],
            **kwargs,
        )

    def execute(self, request: Request, *, actor: str | None = None) -> Receipt:
        """Carry out one command; `actor` stands in where the request names none."""
        try:
            return self._write([(1, request)], actor)[0]
        except Refused as refusal:
            self._note(refusal, [(request, refusal)], actor)
            raise

    def execute_batch(
        self,
        requests: Sequence[tuple[int, Request]],
        *,
        actor: str | None = None,
        command_id: str | None = None,
        told: Told = lambda _, __: None,
    ) -> list[Receipt]:
        """Carry out numbered commands, all or none; BatchRefused lists every problem.

        A command without an id of its own gets `command_id`, a slash and its number.
        `told` hears how many of how many are decided.
        """
        try:
            return self._write(
                requests, actor, batch=True, command_id=command_id, told=told
            )
        except BatchRefused as refused:
            of_line = dict(requests)
            found = [
                (of_line[line], problem)
                for line, problem in refused.problems
                if isinstance(problem, Refused)
            ]
            self._note(refused, found, actor)
            raise
        except Refused as refusal:
            every = [(request, refusal) for _, request in requests]
            self._note(refusal, every, actor)
            raise

    def dry_run(
        self, requests: Sequence[tuple[int, Request]], *, actor: str | None = None
    ) -> list[Event[Any]]:
        """The events that a batch would record now; BatchRefused as `execute_batch`."""
        names = _Names(uuid.uuid4().hex, None, batch=True)
        decision, _ = self._decide(requests, actor, names)
        return decision.events

    def rehearse(
        self,
        chunks: Iterable[Sequence[tuple[int, Request]]],
        *,
        actor: str | None = None,
    ) -> Iterator[Sequence[tuple[int, AccordError]]]:
        """What would be refused of each of some chunks, if those before it were recorded.

        Of what they leave, systems are forgotten from chunk to chunk: a manifest names
        each of them once, and there are very many.
        """
        decision = Decision(self, self.clock)
        for chunk in chunks:
            names = _Names(uuid.uuid4().hex, None, batch=True)
            try:
                self._decide(chunk, actor, names, decision=decision)
            except BatchRefused as refused:
                yield refused.problems
            else:
                yield ()
            decision.let_go(System)

    def _write(
        self,
        requests: Sequence[tuple[int, Request]],
        actor: str | None,
        batch: bool = False,
        command_id: str | None = None,
        told: Told = lambda _, __: None,
    ) -> list[Receipt]:
        names = _Names(uuid.uuid4().hex, command_id, batch=batch)
        for tries in range(1, TRIES + 1):
            decision, plan = self._decide(requests, actor, names, told)
            submissions = [s for s in plan if isinstance(s, Submission)]
            if not submissions:
                return [entry for entry in plan if isinstance(entry, Receipt)]
            try:
                positions = self.record(
                    *decision.events,
                    bodies=decision.bodies,
                    expects=decision.expects,
                    counts=decision.counts,
                    extents=decision.extents,
                    commands=submissions,
                    batch=names.batch_id if batch else None,
                    taken=due(decision.aggregates, decision.expects),
                )
            except IntegrityError as error:
                conflict = error
                # Two who keep meeting should not do so in step.
                time.sleep(random.uniform(0, PAUSE_S) * tries)  # noqa: S311 - no secret
                continue
            except OutcomeUnknown as error:
                raise names.unknown(error.where, requests) from error
            first = positions[0] if positions else 0
            return _receipts(plan, first, self._events)
        raise Refused(
            f"Someone else kept changing what this needs ({conflict}); "
            f"{TRIES} tries were made and nothing was written.",
            todo="Look at the deal again and repeat the command.",
            code="REC-06",
        )

    def _note(
        self,
        error: AccordError,
        found: Sequence[tuple[Request, Refused]],
        actor: str | None,
    ) -> None:
        """Keep refusals beside the record; where that fails, the error says so, too."""
        today = self.clock().astimezone(UTC).date()
        noted = [
            Refusal(
                deal=_utf8(request.deal),
                actor=_utf8(request.actor or actor or ""),
                command=request.command,
                effective_on=request.effective_on or today,
                code=refusal.code,
                message=_utf8(refusal.sentence),
            )
            for request, refusal in found
        ]
        if not noted:
            return
        try:
            note(self.store, noted)
        except (LedgerUnavailable, IntegrityFailure) as failure:
            error.add_note(f"This refusal could not be noted: {failure}")

    def _events(self, first: int, last: int) -> tuple[Event[Any], ...]:
        found = self.store.select_notifications(first, last - first + 1)
        return tuple(decode(item.state, position=item.id) for item in found)

    def _decide(
        self,
        requests: Sequence[tuple[int, Request]],
        actor: str | None,
        names: _Names,
        told: Told = lambda _, __: None,
        decision: Decision | None = None,
    ) -> tuple[Decision, list[Receipt | Submission]]:
        decision = decision or Decision(self, self.clock)
        plan: list[Receipt | Submission] = []
        problems: list[tuple[int, AccordError]] = []
        ids = [_utf8(one) for one in names.given(requests)]
        # One snapshot, so that a refusal is never about a state that never was, and a
        # command that another just recorded is answered, not refused by its own effect.
        with self.store.snapshot():
            known = _Known(self.store.commands(ids), self._events)
            orders = []
            for line, request in requests:
                with _noting(problems, line, names):
                    orders.append(_order(line, request))
            read_ahead(
                decision, ((one.command, one.deal, one.arguments) for one in orders)
            )
            for done, order in enumerate(orders, start=1):
                with _noting(problems, order.line, names):
                    plan.append(self._decide_one(decision, order, actor, names, known))
                told(done, len(orders))
        if problems:
            raise BatchRefused(sorted(problems, key=itemgetter(0)))
        return decision, plan

    def _decide_one(
        self,
        decision: Decision,
        order: _Order,
        actor: str | None,
        names: _Names,
        known: _Known,
    ) -> Receipt | Submission:
        command, request = order.command, order.request
        command_id = names.of(order.line, request)
        named = request.actor or actor
        if not named:
            raise InvalidValue("Nobody acts.").hinting("actor")
        who = Actor.parse(named)
        try:
            digest = _digest(request, who)
        except UnicodeEncodeError as error:
            raise InvalidValue(
                f"{error.object!r} cannot be written as UTF-8."
            ) from error
        repeated = known.answer(command_id, digest)
        if repeated:
            return repeated
        today = self.clock().astimezone(UTC).date()
        effective_on = request.effective_on or today
        before = len(decision.events)
        decision.begin(
            Provenance(
                deal=order.deal,
                actor=who.name,
                party=who.party,
                effective_on=effective_on,
                command=command.name,
                command_id=command_id,
                command_digest=digest,
                correlation_id=request.correlation_id or names.batch_id,
                software=__version__,
                status=status_of(request.evidence, request.status),
                evidence=request.evidence,
                reason=request.reason,
            )
        )
        command.run(decision, **order.arguments)
        return Submission(command_id, digest, len(decision.events) - before)


class _Order(NamedTuple):
    """A request as its command understands it."""

    line: int
    request: Request
    command: Command
    arguments: dict[str, Any]
    deal: Slug


def _order(line: int, request: Request) -> _Order:
    command = find(request.command)
    arguments = command.decode(request.parameters)
    return _Order(line, request, command, arguments, Slug.parse(request.deal))


@contextmanager
def _noting(
    problems: list[tuple[int, AccordError]], line: int, names: _Names
) -> Iterator[None]:
    """Note what is wrong with a line of a batch, and go on; what stands alone stops."""
    try:
        yield
    except (Refused, NotFound, InvalidValue) as error:
        if not names.batch:
            raise
        problems.append((line, error))


def _receipts(
    plan: Sequence[Receipt | Submission], first: int, read: Read
) -> list[Receipt]:
    receipts = []
    for entry in plan:
        if isinstance(entry, Submission):
            positions = range(first, first + entry.events)
            first += entry.events
            receipts.append(Receipt(entry.command_id, positions, read))
        else:
            receipts.append(entry)
    return receipts


class _Names:
    """What the commands of one submission are called, where they have no id yet."""

    def __init__(self, batch_id: str, command_id: str | None, *, batch: bool) -> None:
        self.batch_id = batch_id
        self.batch = batch
        self._known = command_id is not None
        self._stem = command_id or batch_id

    def of(self, line: int, request: Request) -> str:
        """The id of a command: the same however often it is decided."""
        return request.command_id or (
            f"{self._stem}/{line}" if self.batch else self._stem
        )

    def given(self, requests: Iterable[tuple[int, Request]]) -> Iterator[str]:
        """The ids that may be on the record already: not those made up just now."""
        for line, request in requests:
            if request.command_id or self._known:
                yield self.of(line, request)

    def unknown(
        self, where: str, requests: Iterable[tuple[int, Request]]
    ) -> OutcomeUnknown:
        """What to raise where nobody knows if it was recorded: how to repeat it."""
        if all(request.command_id for _, request in requests):
            once = "what was recorded is then answered, and not recorded again."
            return OutcomeUnknown(
                where, f"Repeat it as it is: its command id is its own, and {once}"
            )
        return OutcomeUnknown(where).hinting("repeat", command_id=self._stem)


class _Known:
    """The command ids that are taken: on the record, or earlier in the same batch."""

    def __init__(
        self,
        recorded: dict[str, RecordedCommand],
        read: Read,
    ) -> None:
        self._recorded = recorded
        self._read = read
        self._batch: set[str] = set()

    def answer(self, command_id: str, digest: str) -> Receipt | None:
        """The first answer to a repeat; Refused where the content is another."""
        recorded = self._recorded.get(command_id)
        if recorded is None:
            if command_id in self._batch:
                raise Refused(
                    f"The command id {command_id!r} stands twice in this batch.",
                    code="REC-05",
                )
            self._batch.add(command_id)
            return None
        if recorded.digest != digest:
            raise Refused(
                f"The command id {command_id!r} was used before, for something else.",
                todo="Use a new id for a new command.",
                code="REC-05",
            )
        first, last = recorded.first, recorded.last
        return Receipt(command_id, range(first, last + 1), self._read, repeated=True)


def _utf8(text: str) -> str:
    """A text that a database takes; only what is refused later on is changed."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def _digest(request: Request, who: Actor) -> str:
    """The digest of a command's content; its ids are no part of that."""
    for name in filter(None, (request.command_id, request.correlation_id)):
        name.encode()
        if "\0" in name:
            raise InvalidValue(f"{name!r} holds a NUL character, which no id may.")
        limits.check("command_id", name)
    content = {
        "command": request.command,
        "deal": request.deal,
        "actor": str(who),
        "effective_on": to_builtins(request.effective_on),
        "status": request.status,
        "evidence": to_builtins(request.evidence),
        "reason": request.reason,
        "parameters": to_builtins(request.parameters),
    }
    # Those of the parameters are checked where the command reads them.
    for name in ("actor", "evidence", "reason"):
        if content[name]:
            limits.check(name, content[name])
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
