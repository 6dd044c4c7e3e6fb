"""Events as bytes: lossless both ways, strict on the way in, one envelope for all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from conftest import Desk
from eventsourcing.persistence import Notification, StoredEvent
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import inspect as mi

from ledger.clock import stamp_time
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import Event, EventData
from ledger.domain.provenance import Evidence, Provenance
from ledger.domain.transcoding import (
    decode,
    decode_value,
    encode_value,
    envelope,
    from_builtins,
    proposed,
    to_builtins,
    to_json,
)
from ledger.domain.triggers import Trigger
from ledger.domain.values import (
    EXPONENTS,
    MOST_DECIMALS,
    MOST_MINOR,
    MOST_WATTS,
    Amount,
    Id,
    Month,
    Power,
    Price,
    Ratio,
    Slug,
    SystemId,
)
from ledger.errors import InvalidValue, UnknownEvent
from ledger.record.mapper import EventMapper, EventToStore

pytestmark = pytest.mark.pure

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
dates = st.dates(date(1970, 1, 1), date(2200, 1, 1))
numbers = st.integers(0, 10**15)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    # Up to the largest value, whose text is longer than 30 characters in some units.
    Amount: st.builds(
        lambda minor, unit: Amount.of(
            Decimal(minor).scaleb(-EXPONENTS.get(unit, 0)), unit
        ),
        st.integers(0, MOST_MINOR),
        st.sampled_from(["USD", "JPY", "KWD", "shares"]),
    ),
    # A sum of power may be more than a command can give.
    Power: st.integers(0, MOST_WATTS * 10**9).map(Power),
    Ratio: numbers.map(lambda n: Ratio(Decimal(n).scaleb(-MOST_DECIMALS))),
    Price: numbers.map(lambda n: Price(Decimal(n).scaleb(-MOST_DECIMALS), "USD")),
    Id: st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z").map(Id),
    Slug: st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,9}\Z").map(Slug),
    SystemId: st.just(SystemId("nvidia/VR-1")),
    Month: st.just(Month("2026-07")),
}


def of(kind: mi.Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a type, as msgspec sees it."""
    match kind:
        case mi.StructType(cls=cls, fields=fields):
            inner = {
                f.name: of(f.type, depth + 1) for f in fields if depth < 4 or f.required
            }
            return st.builds(cls, **inner)
        case mi.UnionType(types=arms):
            if depth >= 4:
                arms = tuple(a for a in arms if not _nests(a)) or arms
            return st.one_of([of(arm, depth + 1) for arm in arms])
        case mi.VarTupleType(item_type=item):
            return st.lists(of(item, depth + 1), max_size=2).map(tuple)
        case mi.LiteralType(values=values):
            return st.sampled_from(values)
        case mi.CustomType(cls=cls):
            return VALUES[cls]
        case mi.IntType():
            return st.integers(-(2**63), 2**63 - 1)
        case mi.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case mi.StrType():
            return texts
        case mi.BoolType():
            return st.booleans()
        case mi.DateType():
            return dates
        case mi.NoneType():
            return st.none()
    raise AssertionError(kind)


def _nests(kind: mi.Type) -> bool:
    return isinstance(kind, mi.StructType) and any(
        isinstance(field.type, mi.VarTupleType) for field in kind.fields
    )


data = st.sampled_from(EVENTS).flatmap(lambda kind: of(mi.type_info(kind)))
provenances = of(mi.type_info(Provenance))


def stamped(event: Event[Any], **changed: Any) -> bytes:
    """The bytes as the store would write them."""
    stored = EventMapper().to_stored_event(event)
    keys: dict[str, Any] = {
        "position": 7,
        "stream": event.stream,
        "version": event.version,
        "recorded_at": "2026-01-15T09:00:00.000000Z",
        "submitted_by": "ann",
        "batch": None,
    }
    return envelope(stored.state, **(keys | changed))


@given(data, provenances, texts)
def test_every_event_comes_back_as_it_was(
    data: EventData, provenance: Provenance, batch: str
) -> None:
    """Whatever its type and its values, an event is read back equal, with its stamps."""
    event = proposed("kind/deal", 3, provenance, data)
    written = stamped(event, batch=batch or None)
    read = decode(written, position=7)
    assert read.data == data
    assert read.provenance == provenance
    assert (read.position, read.stream, read.version) == (7, "kind/deal", 3)
    assert read.identity.recorded_at == datetime(2026, 1, 15, 9, tzinfo=UTC)
    assert read.identity.submitted_by == "ann"
    assert read.identity.batch == (batch or None)
    assert read.identity.schema == 1
    assert b"\n" not in written
    assert msgspec.json.decode(written)["data"]["type"] == data.tag()


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.tag())
def test_each_type_of_event_comes_back(kind: type[EventData]) -> None:
    """None of them is left to chance: each is written and read with values of its own."""

    @settings(max_examples=3, phases=[Phase.generate])
    @given(of(mi.type_info(kind)), provenances)
    def holds(data: EventData, provenance: Provenance) -> None:
        event = proposed("kind/deal", 1, provenance, data)
        read = decode(stamped(event))
        assert (read.data, read.provenance) == (data, provenance)
        assert type(read.data) is kind
        assert stamped(read) == stamped(event)

    holds()


@given(data)
def test_plain_data_and_back(data: EventData) -> None:
    """The same through dictionaries and lists, and through JSON alone."""
    assert from_builtins(to_builtins(data), type(data)) == data
    assert from_builtins(msgspec.json.decode(to_json(data)), type(data)) == data


def example() -> Event[Any]:
    """An event to take apart."""
    provenance = Provenance(
        deal="one",
        actor="ann",
        party="acme",
        effective_on=date(2025, 9, 22),
        command="agreement open",
        command_id="c",
        command_digest="d",
        correlation_id="e",
        software="0",
        evidence=(Evidence(title="T"),),
    )
    kind = next(kind for kind in EVENTS if kind.tag() == "agreement.opened")
    opened = kind(title="T", capital=(Slug("a"),), capacity=(Slug("b"),))  # type: ignore[call-arg]
    return proposed("agreement/one", 1, provenance, opened)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda e: e["identity"].update(schema=2),
            "it has schema 2, and this version knows 1",
        ),
        (
            lambda e: e["data"].update(type="agreement.born"),
            "Invalid value 'agreement.born'",
        ),
        (lambda e: e["data"].update(more=1), "unknown field `more`"),
        (lambda e: e["data"].pop("title"), "missing required field `title`"),
        (lambda e: e["data"].update(title=5), "Expected `str`, got `int`"),
        (lambda e: e["data"].update(capital=["A B"]), "'A B' is not a slug"),
        (lambda e: e["data"].update(capital=[5]), "Expected text, got 5"),
        (lambda e: e["provenance"].update(status="sure"), "Invalid enum value 'sure'"),
        (
            lambda e: e["provenance"].update(effective_on="2025-02-30"),
            "Invalid RFC3339",
        ),
        (
            lambda e: e["identity"].update(recorded_at=True),
            "Expected `datetime | null`",
        ),
        (lambda e: e.pop("provenance"), "missing required field `provenance`"),
        (lambda e: e.update(identity=5), "Expected `object`, got `int`"),
        (
            lambda e: (e["identity"].update(schema=9), e["data"].update(type="x.y")),
            "it has schema 9, and this version knows 1",
        ),
    ],
)
def test_what_does_not_fit_stops_the_reading(change: Any, said: str) -> None:
    """REC-10: an unknown type, field, value or schema is never skipped."""
    whole = msgspec.json.decode(stamped(example()))
    change(whole)
    with pytest.raises(UnknownEvent) as refused:
        decode(msgspec.json.encode(whole), position=7)
    assert refused.value.position == 7
    assert str(refused.value).startswith("REC-10: Event 7 cannot be read by this")
    assert said in str(refused.value)
    assert ".." not in str(refused.value)


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_what_is_no_json_stops_the_reading(garbage: bytes) -> None:
    """REC-10: nor are bytes that are no event at all."""
    with pytest.raises(UnknownEvent, match=r"^REC-10: An event cannot be read"):
        decode(garbage)


def test_only_our_values_have_a_place_in_an_event() -> None:
    """A float, a set or a stray class is a programming error, not silently text."""
    for stray in (object(), 1j):
        with pytest.raises(NotImplementedError, match="has no place in an event"):
            encode_value(stray)
    with pytest.raises(NotImplementedError, match="has no place in an event"):
        decode_value(complex, "1")
    with pytest.raises(InvalidValue, match="Expected text, got 5"):
        decode_value(Amount, 5)


def test_plain_data_that_does_not_fit_is_refused() -> None:
    """The message says where, and ends with one full stop."""
    with pytest.raises(InvalidValue) as refused:
        from_builtins({"title": "T", "grade": "X"}, Evidence)
    assert str(refused.value) == "Invalid enum value 'X' - at `$.grade`."
    assert from_builtins("5", int, strict=False) == 5


def test_the_mapper_hands_over_what_the_columns_need(desk: Desk) -> None:
    """Type, deal and day beside the bytes; and it reads the library's own shapes."""
    event = example()
    stored = EventMapper().to_stored_event(event)
    assert isinstance(stored, EventToStore)
    assert (stored.originator_id, stored.originator_version) == ("agreement/one", 1)
    assert (stored.topic, stored.deal) == ("agreement.opened", "one")
    assert stored.effective_on == "2025-09-22"
    whole = stamped(event)
    mapper = EventMapper()
    plain = StoredEvent("agreement/one", 1, "agreement.opened", whole)
    assert mapper.to_domain_event(plain).data == event.data
    broken = Notification("agreement/one", 1, "agreement.opened", b"{", id=5)
    with pytest.raises(UnknownEvent, match="Event 5 cannot be read"):
        mapper.to_domain_event(broken)


def test_time_is_written_in_one_way() -> None:
    """UTC, microseconds, `Z`: so that text sorts as time does."""
    assert stamp_time(datetime.fromisoformat("2026-01-15T11:00:00+02:00")) == (
        "2026-01-15T09:00:00.000000Z"
    )


def test_a_condition_nested_beyond_what_can_be_read_is_refused_in_a_sentence():
    """Thousands of conditions inside one another are no condition, and no traceback."""
    deep = {"when": "date_reached", "on": "2025-01-02"}
    for _ in range(20_000):
        deep = {"when": "all", "of": [deep]}
    with pytest.raises(InvalidValue, match="nested too deep"):
        from_builtins(deep, Trigger)
