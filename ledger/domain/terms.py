"""Changing terms by amendment: paths, old values, and the terms that result."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger.domain.agreement import Agreement, Change, Terms
from ledger.domain.funding import Funding
from ledger.domain.transcoding import from_builtins, from_command, to_builtins
from ledger.domain.values import Amount, parse_date
from ledger.errors import InvalidValue, NotFound, quoted

FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Terms))


def old_value(agreement: Agreement, funding: Funding, path: str) -> str | None:
    """What a path stands at now, as text; InvalidValue or NotFound for a wrong path."""
    match path.split("."):
        case [field] if field in FIELDS:
            return _text(to_builtins(agreement.terms).get(field))
        case ["condition", name, "long_stop_on"]:
            condition = agreement.conditions.get(name)
            if condition is None:
                raise NotFound(f"Condition {name!r} is not on the record.")
            day = condition.long_stop_on
            return day.isoformat() if day else None
        case ["facility", name, "commitment"]:
            facility = funding.facilities.get(name)
            if facility is None:
                raise NotFound(f"Facility {name!r} is not on the record.")
            return str(facility.commitment)
    raise InvalidValue(
        f"{path!r} cannot be changed. Use a field of the terms "
        f"({', '.join(FIELDS)}), condition.ID.long_stop_on or facility.ID.commitment."
    )


def amended(terms: Terms, changes: tuple[Change, ...]) -> Terms:
    """The terms with an amendment's changes made; InvalidValue where one cannot be."""
    plain, asked = to_builtins(terms), dict[str, object]()
    for change in changes:
        match change.path.split("."):
            case [field]:
                if change.new is None:
                    plain.pop(field, None)
                else:
                    plain[field] = asked[field] = _plain(field, change.new)
            case ["condition", *_]:
                if change.new is not None:
                    parse_date(change.new)
            case _:
                Amount.parse(change.new or "")
    # What stays as it was is not asked anew, whatever today's limits are.
    from_command("terms", asked, Terms)
    found: Terms = from_builtins(plain, Terms)
    return found


def commitments(changes: tuple[Change, ...]) -> dict[str, Amount]:
    """The commitments that an amendment sets, by facility."""
    return {
        change.path.split(".")[1]: Amount.read(change.new or "")
        for change in changes
        if change.path.startswith("facility.")
    }


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _plain(field: str, text: str) -> object:
    kind = next(f.type for f in msgspec.structs.fields(Terms) if f.name == field)
    if kind in (int, bool) or getattr(kind, "__origin__", None) is tuple:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise InvalidValue(f"{field!r}: {quoted(text)} is not JSON.") from None
    return text
