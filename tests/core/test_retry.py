"""Waits between tries: their bounds, their spread, and what the service asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.retry import (
    CANCELS,
    EARLY,
    FILES,
    MOST_PATIENCE,
    READS,
    REFUSALS,
    RetryPolicy,
    decide,
    parse_retry_after,
    retry_after,
)

POLICIES = [READS, REFUSALS, FILES, EARLY, CANCELS]
ENDLESS = RetryPolicy(attempts=None, wait_initial=0.5, wait_max=30.0)
NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the moment of RFC 9110's examples
draws = st.floats(0.0, 1.0, exclude_max=True)


def delay(policy: RetryPolicy, failures: int, draw: float, asked: float | None = None) -> float:
    answer = decide(policy, failures, draw, asked=asked)
    assert answer is not None
    return answer


@given(failures=st.integers(1, 10**6), draw=draws, policy=st.sampled_from(POLICIES))
def test_a_wait_is_above_zero_and_at_most_the_cap(failures: int, draw: float, policy: RetryPolicy) -> None:
    answer = decide(policy, failures, draw)
    assert answer is None or 0.0 < answer <= policy.wait_max


@given(failures=st.integers(1, 6), draw=draws)
def test_before_the_cap_a_wait_doubles_and_is_spread_over_its_upper_half(failures: int, draw: float) -> None:
    cap = 0.5 * 2 ** (failures - 1)
    assert cap / 2 <= delay(ENDLESS, failures, draw) <= cap


@pytest.mark.parametrize("failures", [12, 100, 10**9])
def test_the_spread_survives_the_cap(failures: int) -> None:
    waits = [delay(ENDLESS, failures, step / 1000) for step in range(1000)]
    assert max(waits) == ENDLESS.wait_max
    assert max(waits) - min(waits) > 0.49 * ENDLESS.wait_max
    assert len({round(wait, 6) for wait in waits}) == 1000


@given(failures=st.integers(1, 100), draw=draws, asked=st.floats(0.0, 1e12))
def test_what_the_service_asks_for_outranks_the_formula_and_is_never_undercut(
    failures: int, draw: float, asked: float
) -> None:
    wait = delay(ENDLESS, failures, draw, asked)
    assert min(asked, MOST_PATIENCE) <= wait <= min(asked, MOST_PATIENCE) + 0.5


def test_those_who_were_all_told_the_same_second_do_not_come_back_in_the_same_instant() -> None:
    waits = [delay(ENDLESS, 1, step / 100, asked=7.0) for step in range(100)]
    assert max(waits) - min(waits) > 0.2


@pytest.mark.parametrize("policy", [FILES, EARLY, CANCELS])
def test_attempts_are_tries_in_all_the_first_included(policy: RetryPolicy) -> None:
    assert policy.attempts is not None
    assert decide(policy, policy.attempts - 1, 0.5) is not None
    assert decide(policy, policy.attempts, 0.5) is None
    assert decide(policy, policy.attempts, 0.5, asked=1.0) is None


def test_a_policy_without_a_limit_never_gives_up() -> None:
    assert decide(READS, 10**12, 0.0) is not None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  7 ", 7.0),
        ("007", 7.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),  # IMF-fixdate
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),  # RFC 850
        ("Sun Nov  6 08:50:37 1994", 60.0),  # asctime
        ("Sun, 06 Nov 1994 08:50:37 -0000", 60.0),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0),  # in the past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_in_seconds_and_in_all_three_forms_of_a_date(text: str, seconds: float) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "soon", "-1", "+5", "1.5", "1e3", "0x10", "٣", "5s", "5, 6", "nan", "inf", "None", "\x00"),
        "99 Foo 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999",
    ],
)
def test_an_unreadable_retry_after_is_none_at_all(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


def test_a_missing_retry_after_is_none() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("text", ["3601", "999999999", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after_is_cut_so_that_it_cannot_stop_a_night(text: str) -> None:
    assert parse_retry_after(text, NOW) == MOST_PATIENCE


@given(text=st.text(max_size=60), now=st.floats(0.0, 1e10))
def test_no_text_raises_or_leaves_the_bounds(text: str, now: float) -> None:
    seconds = parse_retry_after(text, now)
    assert seconds is None or 0.0 <= seconds <= MOST_PATIENCE


@given(
    parts=st.lists(
        st.sampled_from(["Sun,", "06", "Nov", "1994", "08:49:37", "GMT", "+9999999999999", "-", ":", "99999999", "at"])
    )
)
def test_no_heap_of_the_parts_of_a_date_raises(parts: list[str]) -> None:
    seconds = parse_retry_after(" ".join(parts), NOW)
    assert seconds is None or 0.0 <= seconds <= MOST_PATIENCE


@given(seconds=st.integers(0, 3600))
def test_whole_seconds_come_back_as_they_were_sent(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds


def test_a_date_is_read_against_the_clock_of_the_answer_so_that_two_clocks_may_disagree() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT"}
    assert retry_after(headers, NOW + 1e6) == 10.0
    assert retry_after({"Retry-After": headers["Retry-After"]}, NOW) == 10.0
    assert retry_after(headers | {"Retry-After": "5"}, NOW + 1e6) == 5.0
    assert retry_after({"Date": headers["Date"]}, NOW) is None


@pytest.mark.parametrize("date", ["", "soon", "Sun, 06 Nov 1994 08:49:37 +99999999999999", "99 Foo 1994 08:49:37 GMT"])
def test_an_unreadable_date_of_the_answer_leaves_our_own_clock(date: str) -> None:
    assert retry_after({"Date": date, "Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT"}, NOW) == 10.0
