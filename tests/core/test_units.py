"""How people write numbers with units, both ways."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.units import (
    parse_clock,
    parse_count,
    parse_duration,
    parse_rate,
    parse_usd,
    show_bytes,
    show_duration,
    show_rate,
    show_usd,
)


@pytest.mark.parametrize(
    ("text", "per_second"),
    [
        ("5/s", 5.0),
        ("300/min", 5.0),
        ("1000/h", 1000 / 3600),
        ("2", 2.0),
        (".5/s", 0.5),
        (" 12 / Minute ", 0.2),
        ("7 per sec", 7.0),
        ("90/m", 1.5),
        ("3600/hour", 1.0),
    ],
)
def test_rates(text: str, per_second: float) -> None:
    assert parse_rate(text) == pytest.approx(per_second)


@pytest.mark.parametrize("text", ["", "0", "0/s", "-1/s", "5/", "/s", "5/fortnight", "nan", "inf", "1e3/s", "5/s/s"])
def test_what_is_not_a_rate(text: str) -> None:
    with pytest.raises(ValueError, match="5/s, 300/min or 1000/h"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["9" * 400, "0." + "0" * 320 + "1/h", "0.0000001/s", "10000000/s"])
def test_a_rate_that_arithmetic_can_not_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a rate looks like"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8h", 28800), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("2d", 172800), ("1.5h", 5400), ("30MIN", 1800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "h", "m30", "30m1h", "-1h", "1h 30m", "soon", "9" * 400 + "h", "1001d"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_written_in_full_comes_back(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s"
    assert parse_duration(text) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@given(st.integers(0, 23), st.integers(0, 59))
def test_every_time_of_day_comes_back(hour: int, minute: int) -> None:
    assert parse_clock(f"{hour:02}:{minute:02}") == (hour, minute)
    assert parse_clock(f" {hour}:{minute:02}") == (hour, minute)


@pytest.mark.parametrize("text", ["24:00", "7", "7:5", "07:60", "-1:00", "07:00:00", "7pm", ""])
def test_what_is_not_a_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="07:00"):
        parse_clock(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "1e3", "", "ten", "1_000", "1234567890", "٣"])
def test_what_is_not_a_count(text: str) -> None:
    with pytest.raises(ValueError, match="a whole number from 1 to"):
        parse_count(text)


def test_a_count_is_read() -> None:
    assert parse_count(" 32 ") == 32


@pytest.mark.parametrize(("text", "dollars"), [("10", 10.0), ("0.04", 0.04), ("$10", 10.0), ("$ .5", 0.5), ("0", 0.0)])
def test_dollars(text: str, dollars: float) -> None:
    assert parse_usd(text) == dollars


@pytest.mark.parametrize("text", ["", "-1", "1,000", "10 EUR", "nan", "inf", "1e3", "9" * 400, "1.", "10$"])
def test_what_is_not_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="an amount"):
        parse_usd(text)


@given(st.text(max_size=30))
def test_no_text_gets_more_out_of_a_parser_than_a_finite_number_or_a_value_error(text: str) -> None:
    for parse in (parse_rate, parse_duration, parse_usd, parse_count):
        with suppress(ValueError):
            assert math.isfinite(parse(text))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (42.0, "42 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (7620.0, "2 h 07 min"),
        (86400 * 3 + 3600 * 4 + 59, "3 d 4 h"),
    ],
)
def test_durations_are_shown_in_two_units_at_most(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (812, "812 B"), (4_200_000, "4.2 MB"), (1.6e9, "1.6 GB"), (5e12, "5000.0 GB")]
)
def test_sizes_are_shown_as_disks_are_sold(count: float, text: str) -> None:
    assert show_bytes(count) == text


@pytest.mark.parametrize(("rate", "text"), [(5.0, "5.0/s"), (0.4, "24/min"), (0.01, "36.0/h"), (0.025, "2/min")])
def test_rates_are_shown_in_a_unit_they_can_be_said_in(rate: float, text: str) -> None:
    assert show_rate(rate) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "$0.00"), (3.256, "$3.26"), (1234567.0, "$1,234,567.00"), (0.04, "$0.04"), (0.00002, "$0.00002")],
)
def test_money_is_shown_with_the_digits_that_matter(amount: float, text: str) -> None:
    assert show_usd(amount) == text
