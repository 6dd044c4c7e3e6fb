"""How an event becomes bytes and back: the only place where that is decided.

What would not come back as it was is never written: `body` reads each event again
before it hands its bytes out.

The bytes are one JSON envelope: `{"identity":{…},"provenance":{…},"data":{…}}`. The
mapper writes the last two parts; the store puts the first in front of them, under its
lock, since only there are position and recorded time known. Those bytes are hashed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Any, Final

import msgspec

from ledger.domain import limits
from ledger.domain.catalogue import EVENTS
from ledger.domain.event import SCHEMA, Event, Identity
from ledger.domain.provenance import Provenance
from ledger.domain.struct import Hook, convert, decoder_of
from ledger.domain.values import (
    VALUES,
    decode_value,
    encode_value,
    parse_value,
    read_back,
)
from ledger.errors import InvalidValue, UnknownEvent

AnyEvent: Any = reduce(or_, EVENTS)
MOST_BYTES: Final = 1 << 20
"""The bytes of an event that a command may write; what is read may have any number."""
IDENTITY_BYTES: Final = 1 << 10
"""What of these is kept for the identity, which the store puts in front."""

_encoder = msgspec.json.Encoder(enc_hook=encode_value)


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    # Made where an event is read: it looks at every type of event.
    return decoder_of(Event[AnyEvent], decode_value)


_READERS: dict[type[Any], Callable[[bytes], Any]] = {}


def _reader(kind: type[Any]) -> Callable[[bytes], Any]:
    """What reads one kind of struct; made where it is first needed."""
    known = _READERS.get(kind)
    if known is None:
        known = _READERS[kind] = decoder_of(kind, read_back).decode
    return known


class _Schema(msgspec.Struct):
    schema: int = 0


class _Head(msgspec.Struct):
    """As much of an envelope as tells why the rest cannot be read."""

    identity: _Schema


def to_json(value: Any) -> bytes:
    """Any of our structs as JSON, with our values as text."""
    return _encoder.encode(value)


def to_builtins(value: Any) -> Any:
    """Any of our structs as plain dictionaries, lists and text."""
    return msgspec.to_builtins(value, enc_hook=encode_value)


def from_builtins(value: Any, kind: Any, *, strict: bool = True) -> Any:
    """Plain data as one of our types; InvalidValue where it does not fit."""
    return _converted(value, kind, decode_value, strict=strict)


def from_command(name: str, value: Any, kind: Any) -> Any:
    """What a command gives under a name, as one of our types and within the limits."""
    limits.check(name, value)
    return _converted(value, kind, parse_value)


def _converted(value: Any, kind: Any, hook: Hook, *, strict: bool = True) -> Any:
    try:
        return convert(value, kind, hook, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{str(error).rstrip('.')}.") from error
    except RecursionError:
        raise InvalidValue("It is nested too deep to be read.") from None


def json_schema() -> bytes:
    """The JSON Schema of the event's envelope, over every type of event."""
    (reference,), parts = msgspec.json.schema_components(
        [Event[AnyEvent]], schema_hook=_value_schema, ref_template="#/$defs/{name}"
    )
    # The envelope's own name lists every type of event; it stands at the top instead.
    whole = parts.pop(reference["$ref"].removeprefix("#/$defs/"))
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "An event on the record",
        "$defs": dict(sorted(parts.items())),
    }
    return msgspec.json.format(to_json(found), indent=2)


def _value_schema(kind: type[Any]) -> dict[str, str]:
    assert kind in VALUES, kind
    first = (kind.__doc__ or "").split("\n")[0]
    return {"type": "string", "title": kind.__name__, "description": first}


def envelope(
    body: bytes,
    *,
    position: int,
    stream: str,
    version: int,
    recorded_at: str,
    submitted_by: str,
    batch: str | None,
) -> bytes:
    """Put the identity in front of an event's provenance and data."""
    return b'{"identity":{"schema":%d,"position":%d,"stream":%b,"version":%d,%b,%b' % (
        SCHEMA,
        position,
        _encoder.encode(stream),
        version,
        _stamps(recorded_at, submitted_by, batch),
        body,
    )


@lru_cache(maxsize=8)
def _stamps(recorded_at: str, submitted_by: str, batch: str | None) -> bytes:
    """The end of an identity, which all events of a transaction have in common."""
    stamps = {"recorded_at": recorded_at, "submitted_by": submitted_by}
    return _encoder.encode(stamps | ({"batch": batch} if batch else {}))[1:]


def decode(data: bytes, *, position: int | None = None) -> Event[Any]:
    """An event from its stored bytes; UnknownEvent where it is newer than we are."""
    try:
        event: Event[Any] = _decoder().decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnknownEvent(position, _why(data, error)) from error
    if event.identity.schema > SCHEMA:
        raise UnknownEvent(position, _newer(event.identity.schema))
    return event


def _why(data: bytes, error: Exception) -> str:
    try:
        schema = _reader(_Head)(data).identity.schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return str(error).rstrip(".")
    return _newer(schema) if schema > SCHEMA else str(error).rstrip(".")


def _newer(schema: int) -> str:
    return f"it has schema {schema}, and this version knows {SCHEMA}"


def body(event: Event[Any]) -> bytes:
    """An event's envelope without its identity, which comes back as it was.

    InvalidValue where it would not, or is longer than an event may be; see `envelope`.
    """
    global _last  # noqa: PLW0603 - whole at any moment, and right whichever it is
    provenance, as_written = _last
    if provenance is not event.provenance:
        # The events of a command have one in common.
        provenance = event.provenance
        as_written = _comes_back(provenance)
        _last = (provenance, as_written)
    data = event.data
    written = b'"provenance":%b,"data":%b}' % (as_written, _comes_back(data))
    if len(written) > MOST_BYTES - IDENTITY_BYTES:
        raise InvalidValue(
            f"{data.tag()!r} would take {len(written):,} bytes; with what the ledger "
            f"adds, an entry has at most {MOST_BYTES:,}."
        )
    return written


_last: tuple[Any, bytes] = (None, b"")


def _comes_back(value: Any) -> bytes:
    """The bytes of a struct, read again and found to be the same; else InvalidValue."""
    kind = type(value)
    try:
        written = _encoder.encode(value)
        again = (_READERS.get(kind) or _reader(kind))(written)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidValue(
            f"{kind.__name__} could not be read back: {str(error).rstrip('.')}."
        ) from error
    if again != value:
        raise InvalidValue(
            f"{kind.__name__} would be read back as another: {again}, not {value}."
        )
    return written


def proposed(
    stream: str, version: int, provenance: Provenance, data: Any
) -> Event[Any]:
    """An event that is not recorded yet."""
    return Event(Identity(stream=stream, version=version), provenance, data)
