"""How values and tables are written: readable, exact, and without steering anything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.input.options import parse_moment
from cli.screen.changes import change_table
from cli.screen.output import cell, clean, shown, watts
from ledger.domain.values import Power
from ledger.errors import InvalidValue


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100000000000.00 USD", "100,000,000,000.00 USD"),
        ("-5.00 USD", "-5.00 USD"),
        ("160000000 shares", "160,000,000 shares"),
        ("10000000000 W", "10.000 GW"),
        ("0 W", "0 W"),
        ("999 W", "999 W"),
        ("147613 W", "147.613 kW"),
        ("1234567891 W", "1.234567891 GW"),
        ("2026-01-15T09:00:00.000000Z", "2026-01-15 09:00:00Z"),
        (None, "–"),
        ("", "–"),
        ([], "–"),
        (True, "yes"),
        (False, "no"),
        (12345, "12,345"),
        (["a", "b"], "a, b"),
        ({"paid": "5 shares"}, "paid 5 shares"),
        (
            {"rated_w": 3600000, "basis": "critical_it"},
            "rated 3.600 MW; basis critical IT",
        ),
        ("plain words", "plain words"),
    ],
)
def test_values_are_readable(value: object, text: str):
    """Money and power show grouped and in a readable unit; nothing is lost."""
    assert shown(value) == text


def test_a_quantity_may_have_a_unit_of_its_own():
    """Of a share certificate, the shares are shares and the price is money."""
    row = {"quantity": "5", "quantity_unit": "shares", "price": "12.50", "unit": "USD"}
    assert cell(row, "quantity").plain == "5 shares"
    assert cell(row, "price").plain == "12.50 USD"


@pytest.mark.parametrize("sides", [("0.00", None), (None, "0.00")])
def test_what_never_happened_comes_and_goes_unseen(
    sides: tuple[str | None, str | None],
):
    """A rung at nothing that a row comes or goes with is no line on the screen."""
    old, new = sides
    change = {"view": "standing", "row": "funding/paid", "figure": "quantity"}
    assert not change_table([{**change, "old": old, "new": new, "unit": "USD"}]).rows


@given(st.integers(0, 10**15))
def test_watts_are_exact(number: int):
    """Watts shown in any unit read back as the same watts."""
    assert Power.parse(watts(str(number)).replace(",", "")).watts == number


@given(st.decimals(0, 10**20, places=2))
def test_money_is_exact(number: Decimal):
    """Money shown grouped reads back as the same money."""
    text = f"{number:f} USD"
    assert shown(text).replace(",", "") == text


def test_text_cannot_steer_the_terminal():
    """Escape sequences and changes of direction in a title are not passed on."""
    assert "\x1b" not in clean("\x1b[2J\x1b]0;title\x07")
    assert "\u202e" not in clean("safe\u202eecaf")
    assert clean("two\nlines\tand a tab") == "two\nlines\tand a tab"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-01", "2025-10-01T23:59:59.999999+00:00"),
        ("2025-10-01T12:00", "2025-10-01T12:00:00+00:00"),
        ("2025-10-01 12:00:30", "2025-10-01T12:00:30+00:00"),
        ("2025-10-01T12:00:30.5Z", "2025-10-01T12:00:30.500000+00:00"),
        ("2025-10-01T12:00:00+14:00", "2025-09-30T22:00:00+00:00"),
    ],
)
def test_times_are_read(text: str, moment: str):
    """A date means the end of that day, a time without a zone is UTC."""
    assert parse_moment(text).isoformat() == moment


@pytest.mark.parametrize("text", ["2025-13-01", "2025-10-01T24:01", "now", "2025", ""])
def test_times_are_refused(text: str):
    """What is no time is refused in a sentence that says how to write one."""
    with pytest.raises(InvalidValue):
        parse_moment(text)


def test_time_at_the_edge_of_the_calendar():
    """A zone that would leave the calendar is refused, not raised."""
    with pytest.raises(InvalidValue):
        parse_moment("0001-01-01T00:00:00+14:00")
