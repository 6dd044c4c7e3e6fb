"""How an event becomes bytes and back: the only place where that is decided.

The bytes are one JSON envelope: `{"identity":{…},"provenance":{…},"data":{…}}`. The
mapper writes the last two parts; the store puts the first in front of them, under its
lock, since only there are position and recorded time known. Those bytes are hashed.
"""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from typing import Any

import msgspec

from ledger.domain.catalogue import EVENTS
from ledger.domain.event import SCHEMA, Event, Identity
from ledger.domain.provenance import Provenance
from ledger.domain.values import VALUES, decode_value, encode_value
from ledger.errors import InvalidValue, UnknownEvent

AnyEvent: Any = reduce(or_, EVENTS)


_encoder = msgspec.json.Encoder(enc_hook=encode_value)


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    # Made where an event is read: it looks at every type of event.
    return msgspec.json.Decoder(Event[AnyEvent], dec_hook=decode_value)


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
    try:
        return msgspec.convert(value, kind, dec_hook=decode_value, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{str(error).rstrip('.')}.") from error


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
    identity: dict[str, Any] = {
        "schema": SCHEMA,
        "position": position,
        "stream": stream,
        "version": version,
        "recorded_at": recorded_at,
        "submitted_by": submitted_by,
    }
    if batch:
        identity["batch"] = batch
    return b'{"identity":%b,%b' % (_encoder.encode(identity), body)


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
        schema = msgspec.json.decode(data, type=_Head).identity.schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return str(error).rstrip(".")
    return _newer(schema) if schema > SCHEMA else str(error).rstrip(".")


def _newer(schema: int) -> str:
    return f"it has schema {schema}, and this version knows {SCHEMA}"


def body(event: Event[Any]) -> bytes:
    """An event's envelope without its identity; see `envelope`."""
    return b'"provenance":%b,"data":%b}' % (
        _encoder.encode(event.provenance),
        _encoder.encode(event.data),
    )


def proposed(
    stream: str, version: int, provenance: Provenance, data: Any
) -> Event[Any]:
    """An event that is not recorded yet."""
    return Event(Identity(stream=stream, version=version), provenance, data)
