"""What a person or a program sees while a run goes: honest numbers, in few enough words, and nothing that steers."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.job import Counts, State
from batcher.core.tally import WINDOW, Snapshot, Tally
from batcher.runner.progress import LINE_EVERY, Bar, JsonLines, Lines, Silent, listener
from batcher.runner.progress_words import COLUMNS, in_words

EMPTY = Snapshot(
    total=1632,
    done=690,
    failed=0,
    cancelled=0,
    in_doubt=0,
    in_flight=0,
    downloading=0,
    rate=0.0,
    eta=None,
    cost_usd=None,
    elapsed=0.0,
)
BUSY = replace(EMPTY, failed=3, in_flight=32, rate=12.3, eta=76.0, cost_usd=1.2)
HOSTILE = "a\x1b[2Jb\rc\nd\x9b1m\u202e\x07"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")  # all but the line feed that ends a line

counts = st.integers(0, 10**9)
snapshots = st.builds(
    Snapshot,
    total=counts,
    done=counts,
    failed=counts,
    cancelled=counts,
    in_doubt=counts,
    in_flight=st.integers(0, 10**6),
    downloading=st.integers(0, 10**6),
    rate=st.floats(0.0, 1e5),
    eta=st.none() | st.floats(0.0, 1e10),
    cost_usd=st.none() | st.floats(0.0, 1e9),
    elapsed=st.floats(0.0, 1e8),
    note=st.just("") | st.just("no answer from the service for 21600 s; trying on"),
)


# The tally.


def begun(done: int = 0, total: int = 1000, now: float = 100.0) -> Tally:
    return Tally(Counts(total=total, done=done), now)


def test_what_earlier_processes_did_is_counted_but_never_feeds_the_pace() -> None:
    tally = begun(done=900)
    assert tally.snapshot(101.0, None).done == 900
    assert tally.snapshot(101.0, None).rate == 0.0
    assert tally.snapshot(101.0, None).eta is None


def test_the_time_left_is_that_of_this_processs_own_pace() -> None:
    tally = begun(done=900)
    for second in range(1, 21):
        tally.reached_terminal(State.DONE, 100.0 + second)
    snapshot = tally.snapshot(120.0, None)
    assert snapshot.done == 920
    assert snapshot.rate == pytest.approx(1.0, rel=0.05)
    assert snapshot.eta == pytest.approx(80.0, rel=0.05)


def test_the_pace_is_that_of_the_last_minute() -> None:
    tally = begun(total=10**6)
    for tick in range(1000):
        tally.reached_terminal(State.DONE, 100.0 + tick * 0.1)  # 10 a second for 100 s
    for tick in range(1, 101):
        tally.reached_terminal(State.DONE, 200.0 + tick)  # then 1 a second
    assert tally.rate(300.0) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("gap", [5.0, 45.0, 100.0, 900.0])
def test_a_slow_service_has_a_pace_and_a_time_left_too(gap: float) -> None:
    tally = begun(total=100)
    for count in range(1, 21):
        tally.reached_terminal(State.DONE, 100.0 + gap * count)
    snapshot = tally.snapshot(100.0 + gap * 20.0 + 1.0, None)
    assert snapshot.rate == pytest.approx(1.0 / gap, rel=0.25)
    assert snapshot.eta == pytest.approx(80 * gap, rel=0.25)


def test_in_an_outage_the_pace_falls_and_the_time_left_grows() -> None:
    tally = begun()
    for second in range(1, 61):
        tally.reached_terminal(State.DONE, 100.0 + second)
    now, later = tally.snapshot(160.0, None), tally.snapshot(760.0, None)
    assert later.rate < now.rate / 5
    assert now.eta is not None
    assert later.eta is not None
    assert later.eta > 5 * now.eta


ends = st.sampled_from([State.DONE, State.FAILED, State.IN_DOUBT, State.CANCELLED])


@given(st.lists(st.tuples(ends, st.floats(0.0, 90.0))))
def test_the_numbers_add_up_whatever_comes(story: list[tuple[State, float]]) -> None:
    tally, now = begun(total=len(story)), 100.0
    for state, gap in story:
        now += gap
        tally.reached_terminal(state, now)
        snapshot = tally.snapshot(now + 0.5, 1.0)
        assert 0.0 <= snapshot.rate <= 2 * (len(story) + 1)
        assert snapshot.eta is None or snapshot.eta >= 0.0
    assert tally.snapshot(now, None).finished == len(story)
    assert len(tally._samples) <= WINDOW + 3


def test_memory_does_not_grow_with_the_jobs() -> None:
    tally = begun(total=10**6)
    for count in range(100_000):
        tally.reached_terminal(State.DONE, 100.0 + count / 100)
        tally.warn("x")
    assert len(tally._samples) <= WINDOW + 3
    assert len(tally.warnings) <= 20
    assert tally.warned == 100_000


def test_the_submit_rate_is_that_between_the_first_and_the_last_submit() -> None:
    tally = begun()
    assert tally.submit_rate == 0.0
    tally.submitted(150.0)
    assert tally.submit_rate == 0.0
    for count in range(1, 51):
        tally.submitted(150.0 + count / 10)
    assert tally.submits == 51
    assert tally.submit_rate == pytest.approx(10.0)


# In words.


def test_a_usual_moment_in_words() -> None:
    assert in_words(BUSY) == "690/1,632 done, 3 failed, 32 in flight, 12.3/s, 76 s left, $1.20"


def test_what_is_nothing_is_not_said() -> None:
    assert in_words(EMPTY) == "690/1,632 done"


def test_when_all_is_finished_no_time_is_left() -> None:
    assert "left" not in in_words(replace(BUSY, done=1629, eta=0.0))


@given(snapshots)
def test_any_numbers_fit_beside_the_clock_on_80_columns(snapshot: Snapshot) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=lambda: "12:34:56")
    lines.show(snapshot)
    assert len(in_words(snapshot)) <= 70
    assert max(map(len, stream.getvalue().splitlines())) <= max(COLUMNS, 10 + len(_least(snapshot)))
    assert in_words(snapshot).startswith(f"{snapshot.done:,}/{snapshot.total:,} done")


def _least(snapshot: Snapshot) -> str:
    """What is said in any case: what is done, and why the run waits."""
    return f"{snapshot.done:,}/{snapshot.total:,} done ({snapshot.note})"


def test_what_matters_least_is_left_out_first() -> None:
    big = replace(BUSY, total=9_999_999, done=1_234_567, failed=12_345, in_doubt=1_234, in_flight=10_000, eta=1e6)
    assert in_words(big) == "1,234,567/9,999,999 done, 12,345 failed, 1,234 in doubt, 12.3/s, $1.20"
    assert in_words(big, 60) == "1,234,567/9,999,999 done, 12,345 failed, 1,234 in doubt"
    assert in_words(big, 5) == "1,234,567/9,999,999 done"


# Lines.


def shown(make: Callable[[io.StringIO], Silent], moments: list[Snapshot]) -> list[str]:
    stream = io.StringIO()
    progress = make(stream)
    for snapshot in moments:
        progress.show(snapshot)
    return stream.getvalue().splitlines()


def moments(seconds: int, note: Callable[[float], str] = lambda _: "") -> list[Snapshot]:
    """Four a second."""
    return [replace(BUSY, elapsed=tick / 4, note=note(tick / 4)) for tick in range(seconds * 4)]


def clocked(stream: io.StringIO) -> Lines:
    return Lines(stream, clock=lambda: "12:34:56")


def test_lines_come_at_the_start_and_then_every_ten_seconds() -> None:
    lines = shown(clocked, moments(60))
    assert len(lines) == 60 / LINE_EVERY
    assert lines[0].startswith("12:34:56  690/1,632 done")


def test_an_outage_is_news_once_and_then_now_and_then() -> None:
    lines = shown(clocked, moments(3600, lambda now: "no answer" if 60 <= now < 3540 else ""))
    quiet = [line for line in lines if "(no answer)" in line]
    assert 25 <= len(quiet) <= 31
    assert "no answer" in lines[6]
    assert len(lines) - len(quiet) <= 14
    assert "no answer" not in lines[-1]


def test_the_last_line_says_how_it_ended() -> None:
    stream = io.StringIO()
    lines = clocked(stream)
    lines.show(BUSY)
    lines.close(replace(BUSY, done=1632, elapsed=0.1))
    assert stream.getvalue().splitlines()[-1].startswith("12:34:56  1,632/1,632 done")
    lines.close(None)
    assert len(stream.getvalue().splitlines()) == 2


# JSON lines.


@given(st.lists(snapshots, min_size=1, max_size=5))
def test_every_json_line_is_one_object_with_the_numbers_of_the_moment(story: list[Snapshot]) -> None:
    stream = io.StringIO()
    progress = JsonLines(stream)
    for snapshot in story:
        progress.show(snapshot)
    progress.say(HOSTILE)
    progress.close(story[-1])
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events[-2:]] == ["note", "end"]
    assert events[0]["event"] == "progress"
    names = {field.name for field in fields(Snapshot)} | {"event"}
    assert all(set(event) == names for event in events if event["event"] != "note")
    assert events[-1]["done"] == story[-1].done
    assert set(events[-2]) == {"event", "message"}


def test_json_lines_come_once_a_second() -> None:
    assert len(shown(JsonLines, moments(20))) == 20


# The bar, and what is common to all.


def test_the_bar_works_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    bar = Bar(stream)
    bar.show(BUSY)
    bar.say("a word")
    bar.show(replace(BUSY, done=1600, elapsed=5.0))
    bar.show(replace(BUSY, done=1629, elapsed=6.0))
    bar.close(replace(BUSY, done=1632, failed=0, elapsed=6.0))
    text = stream.getvalue()
    assert " 42%|" in text
    assert "| 690/1,632 done, 3 failed" in text
    assert "a word\n" in text
    assert " 99%|" in text
    assert "it%|" not in text
    assert "100%|" in text
    assert text.endswith("\n")


def test_a_bar_that_was_never_shown_closes_in_silence() -> None:
    stream = io.StringIO()
    Bar(stream).close(BUSY)
    assert not stream.getvalue()


def test_a_bar_of_nothing_to_do_is_no_error() -> None:
    stream = io.StringIO()
    bar = Bar(stream)
    bar.show(replace(EMPTY, total=0, done=0))
    bar.close(replace(EMPTY, total=0, done=0))
    assert "0/0 done" in stream.getvalue()


@pytest.mark.parametrize("kind", ["lines", "json", "none", "bar"])
def test_control_characters_never_reach_the_stream(kind: str) -> None:
    stream = io.StringIO()
    progress = listener(kind, stream)
    hostile = replace(BUSY, note=HOSTILE)
    progress.show(hostile)
    progress.say(HOSTILE)
    progress.close(hostile)
    text = stream.getvalue().replace("\r", "") if kind == "bar" else stream.getvalue()  # a bar returns to redraw itself
    assert not STEERING.search(text)
    if kind != "json":
        assert "a [2Jb c d 1m" in text
    assert len(text.splitlines()) <= 3


def test_silence_still_says_what_must_not_be_missed() -> None:
    stream = io.StringIO()
    silent = Silent(stream)
    silent.show(BUSY)
    silent.say("warning: others can read the token")
    silent.close(BUSY)
    assert stream.getvalue() == "warning: others can read the token\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "stream", "made"),
    [
        ("auto", Terminal(), Bar),
        ("auto", io.StringIO(), Lines),
        ("bar", io.StringIO(), Bar),
        ("lines", Terminal(), Lines),
        ("json", Terminal(), JsonLines),
        ("none", Terminal(), Silent),
    ],
)
def test_auto_is_a_bar_on_a_terminal_and_lines_elsewhere(kind: str, stream: io.StringIO, made: type) -> None:
    assert type(listener(kind, stream)) is made
