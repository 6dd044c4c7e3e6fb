"""Values: read and written as text without loss, exact in every sum, strict in form."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.values import (
    EXPONENTS,
    MOST_DECIMALS,
    MOST_MINOR,
    MOST_RATIO,
    MOST_WATTS,
    Amount,
    Id,
    Month,
    Power,
    Price,
    Ratio,
    Slug,
    SystemId,
    decode_kept,
    decode_value,
    parse_date,
    parse_value,
    read_back,
    scaled_watts,
)
from ledger.errors import InvalidValue

pytestmark = pytest.mark.pure

NAMES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (Amount, Power, Ratio, Price, Id, Slug, SystemId, Month)
}
units = st.sampled_from([*EXPONENTS, "shares"])
wholes = st.integers(0, MOST_MINOR)


@st.composite
def amounts(draw: st.DrawFn, unit: str | None = None) -> Amount:
    unit = unit or draw(units)
    return Amount.of(Decimal(draw(wholes)).scaleb(-EXPONENTS.get(unit, 0)), unit)


decimals = st.builds(
    lambda digits, places: f"{Decimal(digits).scaleb(-places):f}",
    st.integers(0, MOST_RATIO),
    st.integers(0, MOST_DECIMALS),
)
powers = st.integers(0, MOST_WATTS).map(Power)
ratios = decimals.map(Ratio.parse)
prices = st.builds(
    lambda n, c: Price.parse(f"{n} {c}"), decimals, st.sampled_from([*EXPONENTS])
)
values = st.one_of(amounts(), powers, ratios, prices)


@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    """`parse(str(x)) == x` up to the limits, and `repr` is Python that makes it again."""
    kind = type(value)
    again = kind.parse(str(value))
    assert kind.read(str(value)) == value
    assert again == value
    assert str(again) == str(value)
    assert hash(again) == hash(value)
    assert eval(repr(value), NAMES) == value  # noqa: S307 - our own repr
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes


@given(st.integers(0, 10**40 - 1), st.sampled_from(["USD", "JPY", "KWD", "shares"]))
def test_no_digit_is_ever_lost(units_: int, unit: str) -> None:
    """What is on the record is read as exactly that, whatever today's limits are."""
    amount = Amount.read(f"{units_} {unit}")
    assert Fraction(amount.value) == units_
    assert Amount.read(str(amount)) == amount
    assert Fraction((amount + amount).value) == 2 * units_
    assert Power.read(str(Power(units_))) == Power(units_)


@given(units, st.integers(1, 10**9))
def test_an_amount_beyond_the_limit_is_refused(unit: str, more: int) -> None:
    """The most is accepted, one of the last decimal more is not; both are told."""
    digits = EXPONENTS.get(unit, 0)
    most = Amount.of(Decimal(MOST_MINOR).scaleb(-digits), unit)
    assert Amount.parse(str(most)) == most
    beyond = str(most + Amount.of(Decimal(more).scaleb(-digits), unit))
    with pytest.raises(InvalidValue) as refusal:
        Amount.parse(beyond)
    assert str(refusal.value) == f"{beyond!r} is too much: an amount is at most {most}."


@pytest.mark.parametrize(
    ("kind", "most", "beyond", "said"),
    [
        (Power, "1000000 GW", "1000000.000000001 GW", "power is at most 1000000 GW"),
        (Ratio, str(MOST_RATIO), f"{MOST_RATIO}.1", f"at most {MOST_RATIO}."),
        (
            Ratio,
            f"0.{'1' * 18}",
            f"0.{'1' * 19}",
            "19 decimals; a ratio has at most 18",
        ),
        (Price, f"{MOST_RATIO} USD", f"{MOST_RATIO + 1} USD", f"at most {MOST_RATIO}."),
        (Price, f"0.{'1' * 18} USD", f"0.{'1' * 19} USD", "a price has at most 18."),
        (Ratio, "0" * 990 + "1.5", "9" * 41, "the most are 40 digits and 30 decimals"),
        (Price, "1 USD", f"0.{'1' * 31} USD", "the most are 40 digits and 30 decimals"),
        (Id, "a" * 80, "a" * 81, "at most 80"),
        (Slug, "a" * 60, "a" * 61, "at most 60"),
    ],
)
def test_the_most_and_what_is_beyond_it(
    kind: Any, most: str, beyond: str, said: str
) -> None:
    """A limit is on the value: its text may be as long as it likes; both are told."""
    assert kind.parse(most)
    with pytest.raises(InvalidValue, match=r".") as refusal:
        kind.parse(beyond)
    assert repr(beyond) in str(refusal.value)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "kind", [Amount, Power, Ratio, Price, Id, Slug, SystemId, Month]
)
@pytest.mark.parametrize(
    "text", ["9" * (1 << 20), " " * (1 << 20) + "1 USD", "a/" * 9999]
)
def test_a_text_without_end_is_refused_at_once(kind: Any, text: str) -> None:
    """Nobody looks through a megabyte for a number, and nobody is told all of it."""
    with pytest.raises(InvalidValue) as refusal:
        kind.parse(text)
    assert " characters)" in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@given(
    st.integers(0, 10**9),
    st.sampled_from([("", 1), (" k", 10**3), ("m", 10**6), (" bn", 10**9)]),
)
def test_multiples(number: int, multiple: tuple[str, int]) -> None:
    """`k`, `m` and `bn` multiply, with or without a space."""
    short, factor = multiple
    assert Amount.parse(f"{number}{short} USD") == Amount.of(number * factor, "USD")


@given(
    st.integers(0, 10**6),
    st.sampled_from([("W", 1), ("kW", 10**3), ("MW", 10**6), ("GW", 10**9)]),
)
def test_watts(number: int, unit: tuple[str, int]) -> None:
    """Power is read in W, kW, MW or GW, and kept in whole watts."""
    name, factor = unit
    assert Power.parse(f"{number} {name}").watts == number * factor
    assert Power.parse(f"{number}{name}") == Power(number * factor)


def test_fractions_of_a_unit_that_come_out_whole() -> None:
    """Decimals before a multiple are fine as long as the result fits the unit."""
    assert Power.parse("132.5 kW") == Power(132_500)
    assert str(Amount.parse("0.5bn USD")) == "500000000.00 USD"
    assert str(Amount.parse("12.0 JPY")) == "12 JPY"
    assert str(Amount.parse("-0 USD")) == "0.00 USD"
    assert Price.parse("23.28 USD").times(214_776_632) == Decimal("4999999992.96")


@given(amounts("USD"), amounts("USD"), amounts("USD"))
def test_sums_obey_the_laws_of_arithmetic(a: Amount, b: Amount, c: Amount) -> None:
    """Addition commutes and associates, zero is neutral, subtraction undoes it."""
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Amount.zero("USD") == a
    assert (a + b) - b == a
    assert Fraction((a + b).value) == Fraction(a.value) + Fraction(b.value)


@given(amounts("USD"), amounts("USD"))
def test_order_is_that_of_the_numbers(a: Amount, b: Amount) -> None:
    """Exactly one of less, equal and greater holds."""
    assert (a < b) + (a == b) + (a > b) == 1
    assert (a <= b) == (not a > b)
    assert (a >= b) == (not a < b)
    assert bool(a) == (a > Amount.zero("USD"))


@given(powers, powers)
def test_power_adds_and_compares(a: Power, b: Power) -> None:
    """Watts are whole numbers, and behave like them."""
    assert (a + b).watts == a.watts + b.watts
    assert (a < b) == (a.watts < b.watts)
    assert (a <= b) == (a.watts <= b.watts)
    assert bool(a) == (a.watts > 0)


@given(amounts(), st.integers(0, 10**14), st.integers(1, 10**14))
def test_a_share_of_an_amount_is_rounded_down_once(
    amount: Amount, numerator: int, denominator: int
) -> None:
    """`times` is the exact product, cut to the unit's last decimal."""
    step = Fraction(1, 10 ** EXPONENTS.get(amount.unit, 0))
    exact = Fraction(amount.value) * numerator / denominator
    assert Fraction(amount.times(numerator, denominator).value) == (
        floor(exact / step) * step
    )


@given(st.integers(0, 10**13), st.lists(decimals.map(Ratio.parse), max_size=3))
def test_watts_on_a_basis_are_rounded_down_once(watts: int, by: list[Ratio]) -> None:
    """`scaled_watts` is the exact product of all ratios, cut at the very end."""
    exact = Fraction(watts)
    for ratio in by:
        exact *= Fraction(ratio.value)
    assert scaled_watts(watts, *by) == floor(exact)


def test_units_never_mix() -> None:
    """Dollars and shares, or dollars and euros, neither add nor compare."""
    usd, shares = Amount.parse("1 USD"), Amount.parse("1 shares")
    assert usd.is_money
    assert not shares.is_money
    assert usd != Amount.parse("1 EUR")
    assert usd != "1.00 USD"
    assert Power(1) != "1 W"
    for other in (shares, Amount.parse("1 EUR")):
        for mix in (
            lambda o: usd + o,
            lambda o: usd - o,
            lambda o: usd < o,
            lambda o: usd >= o,
        ):
            with pytest.raises(InvalidValue, match="are of different units"):
                mix(other)


def test_a_sum_within_a_state_may_be_below_zero() -> None:
    """What a state keeps is read; an event and a command go on refusing it."""
    kept = decode_kept(Amount, "-12.50 USD")
    assert kept == Amount.zero("USD") - Amount.parse("12.50 USD")
    assert decode_kept(Amount, str(kept)) == kept
    assert decode_kept(Power, "5 W") == Power(5)
    for read in (decode_value, parse_value, read_back):
        assert read(Slug, "acme") == Slug("acme")
        with pytest.raises(InvalidValue, match="is negative"):
            read(Amount, "-12.50 USD")
        with pytest.raises(InvalidValue, match="Expected text, got 5"):
            read(Amount, 5)
        with pytest.raises(NotImplementedError, match="complex has no place"):
            read(complex, "1")


def test_values_are_immutable() -> None:
    """No field of a value can be set."""
    with pytest.raises(AttributeError, match="Amount is immutable"):
        Amount.parse("1 USD").value = Decimal(2)


NO_NUMBER = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e5",
    "1,000",
    "1_000",
    "1'000",
    "１０",
    "٣",
    "+1",
    ".5",
    "1.",
    "0x10",
    "--1",
    "1.2.3",
    "",
    "1e400",
]


@pytest.mark.parametrize("text", NO_NUMBER)
def test_what_is_no_number_is_refused(text: str) -> None:
    """No other way of writing a number is taken for one."""
    for kind, unit in ((Amount, " USD"), (Power, " W"), (Price, " USD"), (Ratio, "")):
        with pytest.raises(InvalidValue) as refusal:
            kind.parse(f"{text}{unit}")
        assert repr(f"{text}{unit}") in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Amount, "1,000 USD", "Write it without separators"),
        (Amount, "1.234 USD", "USD has 2 decimals, not more"),
        (Amount, "1.5 JPY", "JPY has 0 decimals"),
        (Amount, "1.5 shares", "shares has 0 decimals"),
        (Amount, "-1 USD", "is negative"),
        (Amount, "1 usd", "Did you mean USD?"),
        (Amount, "1 XYZ", "is not a known currency. Use an ISO 4217 code"),
        (Amount, "1", "is not an amount"),
        (Amount, "USD 1", "is not an amount"),
        (Power, "1 mW", "capitals matter"),
        (Power, "1", "is not power"),
        (Power, "-1 W", "is negative"),
        (Power, "0.5 W", "not a whole number of watts"),
        (Ratio, "-0.1", "is negative"),
        (Price, "1", "is not a price"),
        (Price, "1 shares", "is not a known currency"),
        (Price, "1 usd", "is not a known currency"),
        (Price, "-1 USD", "is negative"),
        (Id, "-x", "is not an id"),
        (Id, "a b", "is not an id"),
        (Id, "a\n", "is not an id"),
        (Id, "a" * 81, "at most 80"),
        (Slug, "Acme", "is not a slug"),
        (Slug, "a/b", "is not a slug"),
        (SystemId, "VR-1", "Write manufacturer and serial"),
        (SystemId, "NVIDIA/VR-1", "is not a slug"),
        (SystemId, "nvidia/", "is not an id"),
        (Month, "2026-13", "is not a month"),
        (Month, "2026-7", "is not a month"),
    ],
)
def test_each_refusal_says_why(kind: Any, text: str, said: str) -> None:
    """The message repeats the text and says what is wrong with it."""
    with pytest.raises(InvalidValue, match=r".") as refusal:
        kind.parse(text)
    assert said in str(refusal.value)


def test_names_are_text() -> None:
    """Ids, slugs, systems and months are read as they are."""
    assert Id.parse("C-001") == "C-001"
    assert Slug.parse("openai-nvidia") == "openai-nvidia"
    assert SystemId.parse("nvidia/VR-000123") == "nvidia/VR-000123"
    assert Month.parse("2026-07") == "2026-07"


def test_days_are_read_in_one_form_alone() -> None:
    """A day is YYYY-MM-DD, and must be in the calendar."""
    assert parse_date("2024-02-29") == date(2024, 2, 29)
    with pytest.raises(InvalidValue, match="is not a day in the calendar"):
        parse_date("2025-02-29")
    for text in (
        "22.9.2025",
        "2025-9-22",
        "20250922",
        "2025-09-22T00:00",
        "２０２５-09-22",
    ):
        with pytest.raises(InvalidValue, match="Write it as YYYY-MM-DD"):
            parse_date(text)
