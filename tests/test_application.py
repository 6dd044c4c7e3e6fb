"""From command to record: repeats, conflicts, batches, and who acts when."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from typing import Any

import pytest
from conftest import Desk
from eventsourcing.persistence import IntegrityError, StoredEvent
from vandal import SIGNED, TERMS, small_ledger

from ledger.application import TRIES, Ledger
from ledger.audit.integrity import verify
from ledger.commands.decision import Decision
from ledger.domain.aggregate import Told
from ledger.domain.agreement import Agreement, Suspended
from ledger.domain.funding import Funding
from ledger.domain.milestone import Milestone
from ledger.domain.system import System
from ledger.errors import BatchRefused, InvalidValue, NotFound, Refused
from ledger.record.store import open_store

OPEN: dict[str, Any] = {"title": "T", "capital": ["acme"], "capacity": ["orion"]}


def said(number: int, **keys: Any) -> dict[str, Any]:
    return {"statement": f"s{number}", "speaker": "Acme", "text": "On track.", **keys}


def batch(desk: Desk, *lines: tuple[str, dict[str, Any]]) -> list[Any]:
    return [
        (number, desk.request(command, **keys))
        for number, (command, keys) in enumerate(lines, start=1)
    ]


def test_the_same_command_twice_is_written_once(desk: Desk) -> None:
    """REC-05: a repeat gives the first answer, and writes nothing."""
    request = desk.request("agreement open", **OPEN, command_id="once")
    first = desk.ledger.execute(request)
    head = desk.store.head()
    desk.clock.advance(days=3)
    again = desk.ledger.execute(request)
    assert not first.repeated
    assert again.repeated
    assert again.events == first.events
    assert again.positions == first.positions == (1,)
    assert desk.store.head() == head


def test_a_repeat_is_answered_even_where_it_would_now_be_refused(desk: Desk) -> None:
    """The first answer stands, whatever has happened since."""
    small_ledger(desk, ("one",))
    request = desk.request(
        "agreement suspend", deal="one", scopes=["draw"], ground="x", command_id="c"
    )
    first = desk.ledger.execute(request)
    desk.refuses("AGR-14", "agreement suspend", deal="one", scopes=["draw"], ground="x")
    assert desk.ledger.execute(request).events == first.events


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Another"},
        {"actor": "bo@orion"},
        {"deal": "another-deal"},
        {"on": "2026-01-14"},
        {"reason": "another"},
        {"status": "disputed"},
        {"evidence": [{"title": "E"}]},
        {"fictional": True},
    ],
)
def test_an_id_used_for_something_else_is_refused(
    desk: Desk, other: dict[str, Any]
) -> None:
    """REC-05: command, deal, actor and every parameter as given make up the content."""
    desk.do("agreement open", **OPEN, command_id="once")
    text = desk.refuses(
        "REC-05", "agreement open", **(OPEN | {"command_id": "once"} | other)
    )
    assert "'once' was used before, for something else" in text


def test_a_refused_command_is_not_remembered(desk: Desk) -> None:
    """What was refused may be tried again under the same id once it fits."""
    wrong = OPEN | {"capacity": ["acme"]}
    desk.refuses("AGR-14", "agreement open", **wrong, command_id="c")
    assert desk.do("agreement open", **OPEN, command_id="c")


def test_one_id_at_once_from_many(desk: Desk) -> None:
    """Repeated at the same moment, a command is written once and answered alike."""
    desk.do("agreement open", **OPEN)
    request = desk.request("agreement record-statement", **said(1), command_id="c")
    barrier = threading.Barrier(6)
    receipts: list[Any] = []

    def submit() -> None:
        ledger = Ledger(open_store(desk.url, desk.clock))
        barrier.wait()
        receipts.append(ledger.execute(request))
        ledger.close()

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [receipt.positions for receipt in receipts] == [(2,)] * 6
    assert sorted(receipt.repeated for receipt in receipts) == [False] + 5 * [True]
    assert verify(desk.store).events == 2


def test_writers_at_once_lose_nothing(desk: Desk) -> None:
    """Commands on one stream are decided again on a conflict, until each is in."""
    desk.do("agreement open", **OPEN)
    barrier = threading.Barrier(2)
    refused: list[Refused] = []

    def write(start: int) -> None:
        ledger = Ledger(open_store(desk.url, desk.clock))
        barrier.wait()
        for number in range(start, start + 25):
            request = desk.request("agreement record-statement", **said(number))
            try:
                ledger.execute(request)
            except Refused as error:
                refused.append(error)
        ledger.close()

    threads = [threading.Thread(target=write, args=(start,)) for start in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {error.code for error in refused} <= {"REC-06"}
    assert verify(desk.store).events == 1 + 50 - len(refused)
    agreement = desk.get(Agreement, desk.deal)
    assert len(agreement.statements) == 50 - len(refused)


class Meddler(Ledger):
    """A ledger in which somebody else is always quicker."""

    def __init__(self, desk: Desk, times: int) -> None:
        super().__init__(open_store(desk.url, desk.clock))
        self.desk = desk
        self.times = times
        self.tried = 0

    def record(self, *objects: Any, **kwargs: Any) -> Any:
        self.tried += 1
        if self.tried <= self.times:
            self.desk.do("agreement record-statement", **said(self.tried))
        return super().record(*objects, **kwargs)


def test_a_conflict_is_decided_again(desk: Desk) -> None:
    """REC-06: on a conflict the whole command is decided anew, on what is there now."""
    desk.do("agreement open", **OPEN)
    ledger = Meddler(desk, TRIES - 1)
    receipt = ledger.execute(desk.request("agreement record-statement", **said(0)))
    assert ledger.tried == TRIES
    assert receipt.events[0].ref == f"agreement/{desk.deal}@{TRIES + 1}"
    ledger.close()


class Overtaken(Ledger):
    """A ledger in which somebody records the same just after the ids were looked up."""

    def __init__(self, desk: Desk, request: Any) -> None:
        super().__init__(open_store(desk.url, desk.clock))
        self.desk = desk
        self.request: Any = request

    def load(self, kind: Any, stream: str) -> Any:
        request, self.request = self.request, None
        if request:
            self.desk.ledger.execute(request)
        return super().load(kind, stream)


def test_a_command_is_not_refused_by_its_own_effect(desk: Desk) -> None:
    """What a decision reads is of one moment; the repeat is answered, at the next try."""
    desk.do("agreement open", **OPEN)
    request = desk.request("agreement record-statement", **said(1), command_id="c")
    ledger = Overtaken(desk, request)
    receipt = ledger.execute(request)
    assert (receipt.repeated, receipt.positions) == (True, (2,))
    ledger.close()


def test_endless_conflicts_end_in_a_refusal(desk: Desk) -> None:
    """REC-06: after some tries the command is refused, and has written nothing."""
    desk.do("agreement open", **OPEN)
    ledger = Meddler(desk, TRIES)
    with pytest.raises(Refused) as refused:
        ledger.execute(desk.request("agreement record-statement", **said(0)))
    assert refused.value.code == "REC-06"
    assert "5 tries were made and nothing was written" in str(refused.value)
    assert "s0" not in desk.get(Agreement, desk.deal).statements
    ledger.close()


def test_what_a_command_read_must_still_be_so(desk: Desk) -> None:
    """A stream that was read, and not written, conflicts as well: absence included."""
    decision = Decision(desk.ledger, desk.clock)
    agreement = decision.get(Agreement, "later")
    assert not agreement.exists
    assert decision.expects == {"agreement/later": 0}
    with pytest.raises(NotFound, match="Deal 'later' is not on the record"):
        decision.need(Agreement, "later")


def test_one_more_of_a_kind_is_a_conflict_too(desk: Desk) -> None:
    """Whoever read all of a kind is told when there is one more by now."""
    small_ledger(desk, ("one",))
    keys: dict[str, Any] = {
        "deal": "one",
        "title": "M",
        "track": "hardware",
        "owner": "acme",
        "target_on": "2027-01-01",
    }
    (first,) = desk.do("milestone propose", milestone="a", **keys)
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(first.provenance)
    assert len(decision.all(Milestone, "one")) == 1
    assert decision.counts == {("milestone", "one"): 1}
    desk.do("milestone propose", milestone="b", **keys)
    assert len(decision.all(Milestone, "one")) == 2
    with pytest.raises(IntegrityError, match="one had 1 of milestone and has 2 now"):
        desk.store.insert_events(
            [StoredEvent("a/b", 1, "t", b"")], counts=decision.counts
        )


def test_a_batch_is_all_or_nothing(desk: Desk) -> None:
    """Every problem is reported with its line, and then nothing is written."""
    head = desk.store.head()
    lines = batch(
        desk,
        ("agreement open", OPEN),
        ("agreement open", OPEN),
        ("agreement bring-into-effect", {}),
        ("agreement record-statement", said(1)),
        ("agreement opne", OPEN),
        ("agreement open", {"deal": "x", "title": 5}),
        ("agreement sign-loi", {"deal": "none", "signatories": [], "terms": {}}),
    )
    with pytest.raises(BatchRefused) as refused:
        desk.ledger.execute_batch(lines)
    assert [line for line, _ in refused.value.problems] == [2, 3, 5, 6, 7]
    text = str(refused.value)
    assert text.startswith("Nothing was written: 5 problems.\nline 2: AGR-14: Deal")
    assert "Did you mean 'agreement open'" in text
    assert "'title': Expected `str`, got `int`; 'capital' is missing" in text
    assert desk.store.head() == head
    assert desk.store.commands(["x"]) == {}


def test_a_batch_sees_what_it_recorded_itself(desk: Desk) -> None:
    """Later lines build on earlier ones; all have the batch's id, each its own command."""
    lines = batch(
        desk,
        ("agreement open", OPEN),
        ("agreement sign-loi", {"signatories": ["acme", "orion"], "terms": TERMS}),
        (
            "agreement sign-definitive",
            {"signatories": ["acme", "orion"], "terms": TERMS, "evidence": SIGNED},
        ),
        ("agreement bring-into-effect", {"command_id": "mine"}),
    )
    receipts = desk.ledger.execute_batch(lines)
    assert [receipt.positions for receipt in receipts] == [(1,), (2,), (3,), (4,)]
    assert receipts[3].command_id == "mine"
    batches = {event.identity.batch for r in receipts for event in r.events}
    assert len(batches) == 1
    assert None not in batches
    (single,) = desk.do("agreement suspend", scopes=["draw"], ground="x")
    assert single.identity.batch is None
    assert single.data == Suspended(scopes=("draw",), ground="x")


def test_a_batch_again_is_a_repeat(desk: Desk) -> None:
    """With ids of their own, the commands of a batch are answered; new ones are added."""
    lines = [
        ("agreement open", OPEN | {"command_id": "c0"}),
        ("agreement record-statement", said(1, command_id="c1")),
    ]
    desk.ledger.execute_batch(batch(desk, *lines))
    head = desk.store.head()
    receipts = desk.ledger.execute_batch(batch(desk, *lines))
    assert [receipt.repeated for receipt in receipts] == [True, True]
    assert desk.store.head() == head
    lines.insert(1, ("agreement record-statement", said(2, command_id="c2")))
    receipts = desk.ledger.execute_batch(batch(desk, *lines))
    assert [(r.repeated, r.positions) for r in receipts] == [
        (True, (1,)),
        (False, (3,)),
        (True, (2,)),
    ]


def test_an_id_twice_in_one_batch_is_refused(desk: Desk) -> None:
    """REC-05: even for the same content, since one of the two is a mistake."""
    lines = batch(desk, *[("agreement open", OPEN | {"command_id": "c"})] * 2)
    with pytest.raises(BatchRefused, match=r"line 2: REC-05: .* stands twice"):
        desk.ledger.execute_batch(lines)


def test_a_batch_of_nothing(desk: Desk) -> None:
    """No lines: no receipts, and no transaction."""
    assert desk.ledger.execute_batch([]) == []
    assert desk.store.head().size == 0


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    """It gives the events that the batch would record, or the same problems."""
    lines = batch(
        desk, ("agreement open", OPEN), ("agreement record-statement", said(1))
    )
    events = desk.ledger.dry_run(lines)
    assert [event.ref for event in events] == [
        f"agreement/{desk.deal}@{n}" for n in (1, 2)
    ]
    assert [event.position for event in events] == [0, 0]
    assert desk.store.head().size == 0
    with pytest.raises(BatchRefused, match="line 1"):
        desk.ledger.dry_run(batch(desk, ("agreement record-statement", said(1))))


def test_somebody_acts(desk: Desk) -> None:
    """Without an actor nothing is written; one may stand in for a whole batch."""
    request = desk.request("agreement open", **OPEN, actor=None)
    with pytest.raises(InvalidValue, match="Nobody acts"):
        desk.ledger.execute(request)
    (event,) = desk.ledger.execute(request, actor="  cy   young@orion ").events
    assert (event.provenance.actor, event.provenance.party) == ("cy young", "orion")


@pytest.mark.parametrize("actor", ["ann", "@acme", "ann@", "ann@Acme", " @acme"])
def test_an_actor_is_a_name_and_a_party(desk: Desk, actor: str) -> None:
    """NAME@PARTY, both given, the party a slug."""
    with pytest.raises(InvalidValue, match=r"is not an actor|is not a slug"):
        desk.do("agreement open", **OPEN, actor=actor)


def test_an_entry_is_of_today_unless_said_otherwise(desk: Desk) -> None:
    """The effective day is the ledger's own, in UTC; the batch's id links its commands."""
    desk.clock.now = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    (event,) = desk.do("agreement open", **OPEN)
    assert event.on == date(2026, 1, 15)
    (event,) = desk.do("agreement record-statement", **said(1), correlation_id="case-7")
    assert event.provenance.correlation_id == "case-7"


def test_a_day_that_has_begun_nowhere_is_refused(desk: Desk) -> None:
    """REC-11: an effective day may be that of UTC+14, and no later."""
    desk.clock.now = datetime(2026, 1, 15, 9, 59, tzinfo=UTC)
    assert "2026-01-16 is in the future; the latest day is 2026-01-15" in desk.refuses(
        "REC-11", "agreement open", **OPEN, on="2026-01-16"
    )
    desk.clock.now = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
    desk.do("agreement open", **OPEN, on="2026-01-16")


@pytest.mark.parametrize(
    "key", ["title", "reason", "command_id", "correlation_id", "actor"]
)
def test_text_that_cannot_be_written_is_refused(desk: Desk, key: str) -> None:
    """Half a character, as a wrongly encoded argument gives, is one clear sentence."""
    keys = OPEN | {key: "\udcff@x"}
    with pytest.raises(InvalidValue, match="cannot be written as UTF-8"):
        desk.do("agreement open", **keys)
    assert desk.store.head().size == 0


def test_a_decision_sees_all_of_a_kind(desk: Desk) -> None:
    """All of a deal, in order, with what the decision itself recorded; no other deal's."""
    small_ledger(desk)
    keys: dict[str, Any] = {
        "title": "M",
        "track": "hardware",
        "owner": "acme",
        "target_on": "2027-01-01",
    }
    for deal, name in (("one", "b"), ("two", "c")):
        desk.do("milestone propose", deal=deal, milestone=name, **keys)
    (before,) = desk.do("milestone propose", deal="one", milestone="d", **keys)
    decision = Decision(desk.ledger, desk.clock)
    decision.begin(before.provenance)
    assert (decision.deal, decision.party) == ("one", "acme")
    assert decision.on == before.on
    new = decision.record(Milestone, "one", "a", data=before.data, causation=before.ref)
    assert new.provenance.causation == before.ref
    found = decision.all(Milestone, "one")
    assert [milestone.name for milestone in found] == ["a", "b", "d"]
    assert set(decision.expects) == {
        "agreement/one",
        "books/one",
        *(f"milestone/one/{name}" for name in "abd"),
    }


def test_what_is_asked_for_by_name_only(desk: Desk) -> None:
    """A decision knows the world by name; what is not there says what it is."""
    small_ledger(desk, ("one",))
    for command, keys, text in (
        (
            "milestone sign-off",
            {"milestone": "m"},
            "Milestone 'm' of deal 'one' is not",
        ),
        ("system receive", {"system": "a/b", "site": "s"}, "System 'a/b' is not on"),
    ):
        with pytest.raises(NotFound, match=text):
            desk.do(command, deal="one", **keys)


def test_many_aggregates_are_read_as_one_is(desk: Desk) -> None:
    """`several` gives what `load` gives, for what stands on snapshots and what does not."""
    small_ledger(desk, ("one", "two"))
    for kind in (Agreement, Funding, System):
        streams = [f"{kind.kind}/one", f"{kind.kind}/two"]
        many = list(desk.ledger.several(kind, streams))
        one_by_one = [desk.ledger.load(kind, stream) for stream in streams]
        assert [(a.id, a.version) for a in many] == [
            (a.id, a.version) for a in one_by_one
        ]


def test_what_is_only_reported_is_judged_in_a_world_of_reports(desk: Desk) -> None:
    """That world looks at the same record: the same entries, and each one's reports."""
    small_ledger(desk, ("one",))
    world = Decision(desk.ledger, desk.clock)
    told = Told(world)
    told.ahead(Agreement, [("one",)])
    assert told.all(Agreement, "one") == [world.get(Agreement, "one").told]
    assert told.entry(1) == world.entry(1)
    assert list(told.entries("one")) == list(world.entries("one"))
