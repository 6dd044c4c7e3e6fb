"""Amounts, power, ratios and names: exact, immutable, read from and written as text.

No binary float is ever involved. `parse` reads what a command gives, and refuses what
is beyond the limits; `read` reads what is on the record, where older releases had
others. `parse(str(x)) == x` holds for every value within the limits, however long its
text, and `read(str(x)) == x` for every value that an event can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final, Self

from ledger.errors import InvalidValue, quoted

# ISO 4217 active codes by the number of digits after the decimal point.
_CURRENCIES: Final = {
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN "
    "BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR "
    "KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD "
    "TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
EXPONENTS: Final[dict[str, int]] = {
    code: digits for digits, codes in _CURRENCIES.items() for code in codes.split()
}
SHARES: Final = "shares"

_NUMBER: Final = re.compile(r"(-?)([0-9]+(?:\.[0-9]+)?)")
_AMOUNT: Final = re.compile(r"\s*(\S+?)\s*(k|m|bn)?\s+([A-Za-z]+)\s*")
_POWER: Final = re.compile(r"\s*(\S+?)\s*([A-Za-z]+)\s*")
_PRICE: Final = re.compile(r"\s*(\S+)\s+([A-Za-z]+)\s*")
_MULTIPLES: Final = {"": 1, "k": 10**3, "m": 10**6, "bn": 10**9}
_WATTS: Final = {"W": 1, "kW": 10**3, "MW": 10**6, "GW": 10**9}
MOST_MINOR: Final = 10**24
"""The largest amount that a command may give, in its unit's last decimal."""
MOST_WATTS: Final = 10**15
MOST_RATIO: Final = 10**15
"""The largest ratio, and the largest price."""
MOST_DECIMALS: Final = 18
"""The most decimals of a ratio or a price, which keep the digits they were given."""
# What can be read at all. Release 0.4.0 took texts of 30 characters, times 10^9.
_MOST_WHOLE_DIGITS: Final = 40
_MOST_READ_DECIMALS: Final = 30
_LONGEST: Final = 1000
"""Characters of a text beyond which no value is looked for in it."""
# Wide enough that no sum, product or quotient of values that can be read is ever
# rounded by the context.
_EXACT: Final = Context(prec=200)
_ADD: Final = _EXACT.add
_SUBTRACT: Final = _EXACT.subtract


def _decimal(text: str, what: str, whole: str) -> Decimal:
    if not _matched(_NUMBER, text):
        hint = " Write it without separators." if re.search(r"[,_' ]", text) else ""
        raise InvalidValue(
            f"{quoted(whole)} is not {what}: {quoted(text)} is not a number.{hint}"
        )
    value = Decimal(text)
    if value.adjusted() >= _MOST_WHOLE_DIGITS or _decimals(value) > _MOST_READ_DECIMALS:
        raise InvalidValue(
            f"{quoted(whole)} is too long for {what}: the most are "
            f"{_MOST_WHOLE_DIGITS} digits and {_MOST_READ_DECIMALS} decimals."
        )
    return value or value.copy_abs()  # No minus before zero.


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    # Looking through a text that is far too long could take for ever.
    return pattern.fullmatch(text) if len(text) <= _LONGEST else None


def _decimals(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def _times(value: Decimal, whole: int) -> Decimal:
    """A product that no context rounds; the `*` of decimals keeps 28 digits alone."""
    return _EXACT.multiply(value, Decimal(whole))


class _Value:
    """An immutable value. Not a dataclass: msgspec would write that as an object."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *fields: Any) -> None:
        for name, field in zip(self.__slots__, fields, strict=True):
            object.__setattr__(self, name, field)

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._fields()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"


class Amount(_Value):
    """Money in an ISO 4217 currency, or whole shares: `10000000000.00 USD`.

    `value` always has exactly the currency's number of decimals; `unit` is the
    currency code, or `shares`. Amounts of different units never add or compare.
    """

    __slots__ = ("value", "unit")  # noqa: RUF023 - the order of the constructor
    value: Decimal
    unit: str

    def __init__(self, value: Decimal, unit: str) -> None:
        """Take both at once: totals make very many of these."""
        _set_value(self, value)
        _set_unit(self, unit)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10bn USD`, `12.50 EUR`, `160000000 shares`; else InvalidValue."""
        found = cls.read(text)
        step = Decimal(1).scaleb(-_decimals(found.value))
        most = _times(step, MOST_MINOR)
        if found.value > most:
            raise InvalidValue(
                f"{quoted(text)} is too much: an amount is at most {most:f} {found.unit}."
            )
        return found

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the same, however much it is."""
        match = _matched(_AMOUNT, text)
        if not match:
            raise InvalidValue(
                f"{quoted(text)} is not an amount. Write a number and a currency, "
                "as in '10000000000.00 USD', '10bn USD' or '160000000 shares'."
            )
        number, multiple, unit = match.groups()
        value = _decimal(number, "an amount", text)
        return cls.of(_times(value, _MULTIPLES[multiple or ""]), unit, text)

    @classmethod
    def of(cls, value: Decimal | int, unit: str, shown: str | None = None) -> Self:
        """Make an amount of a value that fits its unit exactly; else InvalidValue."""
        shown = quoted(shown or f"{value} {unit}")
        if unit == SHARES:
            digits = 0
        elif unit in EXPONENTS:
            digits = EXPONENTS[unit]
        else:
            hint = (
                f" Did you mean {unit.upper()}?"
                if unit.upper() in EXPONENTS
                else (" Use an ISO 4217 code such as USD, or 'shares'.")
            )
            raise InvalidValue(
                f"{shown}: {quoted(unit)} is not a known currency.{hint}"
            )
        exact = Decimal(value)
        fitted = exact.quantize(Decimal(1).scaleb(-digits), context=_EXACT)
        if fitted != exact:
            raise InvalidValue(f"{shown}: {unit} has {digits} decimals, not more.")
        if fitted < 0:
            raise InvalidValue(f"{shown} is negative; amounts are zero or more.")
        return cls(fitted, unit)

    @classmethod
    def zero(cls, unit: str) -> Self:
        """Nothing, in the given unit."""
        return cls.of(0, unit)

    @property
    def is_money(self) -> bool:
        """Whether this is money rather than shares."""
        return self.unit != SHARES

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit}"

    def _same(self, other: Amount) -> Decimal:
        if other.unit != self.unit:
            raise InvalidValue(f"{self} and {other} are of different units.")
        return other.value

    def __eq__(self, other: object) -> bool:
        # Compared for every event that is recorded: quicker than the general one.
        if type(other) is not Amount:
            return NotImplemented
        return self.value == other.value and self.unit == other.unit

    def __hash__(self) -> int:
        return hash((self.value, self.unit))

    def __add__(self, other: Amount) -> Amount:
        value = other.value if other.unit == self.unit else self._same(other)
        return Amount(_ADD(self.value, value), self.unit)

    def __sub__(self, other: Amount) -> Amount:
        """Subtract; the result may be negative and is then for showing only."""
        value = other.value if other.unit == self.unit else self._same(other)
        return Amount(_SUBTRACT(self.value, value), self.unit)

    def __lt__(self, other: Amount) -> bool:
        return self.value < self._same(other)

    def __le__(self, other: Amount) -> bool:
        return self.value <= self._same(other)

    def __gt__(self, other: Amount) -> bool:
        return self.value > self._same(other)

    def __ge__(self, other: Amount) -> bool:
        return self.value >= self._same(other)

    def __bool__(self) -> bool:
        return bool(self.value)

    def times(self, numerator: int, denominator: int = 1) -> Amount:
        """This amount × a fraction, rounded down to the unit's last decimal."""
        product = _times(self.value, numerator)
        step = Decimal(1).scaleb(self.value.as_tuple().exponent)  # type: ignore[arg-type]
        in_steps = _EXACT.divide(product, step)
        whole = int(in_steps) // denominator
        return Amount(_EXACT.multiply(Decimal(whole), step), self.unit)


_set_value = Amount.value.__set__  # type: ignore[attr-defined, misc]
_set_unit = Amount.unit.__set__  # type: ignore[attr-defined, misc]


class Power(_Value):
    """Power in whole watts: `10000000000 W`; read also as kW, MW, GW."""

    __slots__ = ("watts",)
    watts: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10 GW`, `132.5 kW`, `800 MW`, `150000 W`; else InvalidValue."""
        found = cls.read(text)
        if found.watts > MOST_WATTS:
            raise InvalidValue(
                f"{quoted(text)} is too much: power is at most "
                f"{MOST_WATTS // _WATTS['GW']} GW."
            )
        return found

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the same, however much it is."""
        match = _matched(_POWER, text)
        if not match or match[2] not in _WATTS:
            raise InvalidValue(
                f"{quoted(text)} is not power. Write a number and W, kW, MW or GW, "
                "as in '10 GW' (capitals matter: mW would be a milliwatt)."
            )
        value = _times(_decimal(match[1], "power", text), _WATTS[match[2]])
        if value < 0:
            raise InvalidValue(f"{quoted(text)} is negative; power is zero or more.")
        if value != int(value):
            raise InvalidValue(f"{quoted(text)} is not a whole number of watts.")
        return cls(int(value))

    def __str__(self) -> str:
        return f"{self.watts} W"

    def __add__(self, other: Power) -> Power:
        return Power(self.watts + other.watts)

    def __lt__(self, other: Power) -> bool:
        return self.watts < other.watts

    def __le__(self, other: Power) -> bool:
        return self.watts <= other.watts

    def __bool__(self) -> bool:
        return bool(self.watts)


class Ratio(_Value):
    """An exact decimal, such as a PUE of 1.20; keeps the digits it was given."""

    __slots__ = ("value",)
    value: Decimal

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a plain decimal of zero or more; else InvalidValue."""
        found = cls.read(text)
        _check_digits(found.value, "a ratio", text)
        return found

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the same, however large and exact it is."""
        value = _decimal(text.strip(), "a ratio", text)
        if value < 0:
            raise InvalidValue(f"{quoted(text)} is negative; a ratio is zero or more.")
        return cls(value)

    def __str__(self) -> str:
        return f"{self.value:f}"


class Price(_Value):
    """Money per share: `23.28 USD`; any number of decimals, exact."""

    __slots__ = ("value", "currency")  # noqa: RUF023 - the same
    value: Decimal
    currency: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `23.28 USD`; else InvalidValue."""
        found = cls.read(text)
        _check_digits(found.value, "a price", text)
        return found

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the same, however large and exact it is."""
        match = _matched(_PRICE, text)
        if not match:
            raise InvalidValue(
                f"{quoted(text)} is not a price. Write it as '23.28 USD'."
            )
        value = _decimal(match[1], "a price", text)
        if match[2] not in EXPONENTS:
            raise InvalidValue(
                f"{quoted(text)}: {quoted(match[2])} is not a known currency."
            )
        if value < 0:
            raise InvalidValue(f"{quoted(text)} is negative; a price is zero or more.")
        return cls(value, match[2])

    def __str__(self) -> str:
        return f"{self.value:f} {self.currency}"

    def times(self, shares: int) -> Decimal:
        """The exact money value of that many shares."""
        return _times(self.value, shares)


def _check_digits(value: Decimal, what: str, text: str) -> None:
    if value > MOST_RATIO:
        raise InvalidValue(
            f"{quoted(text)} is too much: {what} is at most {MOST_RATIO}."
        )
    if _decimals(value) > MOST_DECIMALS:
        raise InvalidValue(
            f"{quoted(text)} has {_decimals(value)} decimals; {what} has at most "
            f"{MOST_DECIMALS}."
        )


class Id(str):
    """A name within a deal: letters, digits, `.`, `_`, `-`; starts with a letter or digit."""

    __slots__ = ()
    _PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id as given; else InvalidValue."""
        if not cls._PATTERN.fullmatch(text):
            raise InvalidValue(
                f"{quoted(text)} is not an id: use letters, digits, '.', '_' and '-', "
                "at most 80, beginning with a letter or digit."
            )
        return cls(text)


class Slug(Id):
    """The id of a deal or a party: lower case, such as `openai-nvidia`."""

    __slots__ = ()
    _PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a slug as given; else InvalidValue."""
        if not cls._PATTERN.fullmatch(text):
            raise InvalidValue(
                f"{quoted(text)} is not a slug: use lower-case letters, digits and '-', "
                "at most 60, beginning with a letter or digit, as in 'openai-nvidia'."
            )
        return cls(text)


class SystemId(str):
    """A system anywhere: its manufacturer and serial, `nvidia/VR-000123`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `manufacturer/serial`; else InvalidValue."""
        manufacturer, slash, serial = text.partition("/")
        if not slash:
            raise InvalidValue(
                f"{quoted(text)} is not a system. Write manufacturer and serial, "
                "as in 'nvidia/VR-000123'."
            )
        return cls(f"{Slug.parse(manufacturer)}/{Id.parse(serial)}")


class Month(str):
    """A calendar month, `2026-07`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `YYYY-MM`; else InvalidValue."""
        if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
            raise InvalidValue(f"{quoted(text)} is not a month. Write it as '2026-07'.")
        return cls(text)


def parse_date(text: str) -> date:
    """Read `2025-09-22`; else InvalidValue."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise InvalidValue(
                f"{quoted(text)} is not a day in the calendar."
            ) from None
    raise InvalidValue(f"{quoted(text)} is not a date. Write it as YYYY-MM-DD.")


def scaled_watts(watts: int, *ratios: Ratio) -> int:
    """Watts × each ratio, exact; rounded down once, at the end."""
    numerator, denominator = watts, 1
    for ratio in ratios:
        top, bottom = ratio.value.as_integer_ratio()
        numerator *= top
        denominator *= bottom
    return numerator // denominator


VALUES: Final = (Amount, Power, Ratio, Price, Id, Slug, SystemId, Month)


def encode_value(value: Any) -> str:
    """Write one of our values as text; anything else is a programming error."""
    if isinstance(value, VALUES):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in an event")


def decode_value(kind: type[Any], value: Any) -> Any:
    """Read one of our values from text on the record: limits bind commands alone."""
    read = _READ.get(kind)
    if read is None:
        raise NotImplementedError(f"{kind.__name__} has no place in an event")
    if not isinstance(value, str):
        raise InvalidValue(f"Expected text, got {value!r}.")
    return read(value)


def read_back(kind: type[Any], value: Any) -> Any:
    """Read what was just written; names are checked alone, since each is another."""
    check = _NAMES.get(kind)
    if check is not None and isinstance(value, str):
        return check(value)
    return decode_value(kind, value)


def parse_value(kind: type[Any], value: Any) -> Any:
    """Read one of our values from text that a command gives, within the limits."""
    if kind in _QUANTITIES and isinstance(value, str):
        return kind.parse(value)
    return decode_value(kind, value)


def decode_kept(kind: type[Any], value: Any) -> Any:
    """Read one of our values from what we keep of a state: a sum may be below zero."""
    if kind is Amount and isinstance(value, str) and value.startswith("-"):
        amount = Amount.read(value[1:])
        return Amount.zero(amount.unit) - amount
    return decode_value(kind, value)


_NAMES: Final[dict[type[Any], Callable[[str], Any]]] = {
    kind: kind.parse for kind in (Id, Slug, SystemId, Month)
}
_QUANTITIES: Final = (Amount, Power, Ratio, Price)
# Names have no limits but their pattern. Values are immutable, and the same few come
# again and again; of systems there are too many for that.
_READ: Final[dict[type[Any], Callable[[str], Any]]] = {
    **{kind: lru_cache(maxsize=1 << 12)(kind.read) for kind in _QUANTITIES},
    **{kind: lru_cache(maxsize=1 << 12)(kind.parse) for kind in (Id, Slug, Month)},
    SystemId: SystemId.parse,
}
