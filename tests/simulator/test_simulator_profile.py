from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.simulator import Fault, Latency, Profile, ProfileError
from batcher.simulator.chance import chance, normal
from batcher.simulator.faults import PLACES, FaultBook, kinds
from batcher.simulator.jobs import Line, Request, State
from batcher.simulator.latency import Gate

SAMPLE = Path(__file__).parents[2] / "samples" / "simulator.yaml"


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ProfileError, match="`rate_limt`: did you mean 'rate_limit'"):
        Profile().merged({"rate_limt": 5})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"slots": "many"}, "slots: Expected `int | null`"),
        ({"slots": 0}, "slots: Expected `int` >= 1"),
        ({"slots": True}, "slots: Expected `int | null`"),
        ({"price": -1}, "price: Expected `float` >= 0"),
        ({"latency": "soon"}, "latency: expected seconds"),
        ({"latency": {"median": 1, "sigm": 2}}, "latency: .*`sigm`: did you mean 'sigma'"),
        ({"retry_after": "later"}, "retry_after: Invalid enum value 'later'"),
        ({"faults": ["submit:droop"]}, "did you mean drop"),
        ({"faults": ["nowhere:drop"]}, "no such place"),
        ({"faults": [{"where": "submit", "kind": "drop", "probability": 2}]}, "probability: Expected `float` <= 1"),
        ({"faults": [{"where": "submit"}]}, "required field `kind`"),
        ({"faults": "submit:drop"}, "Expected `array"),
        ({"tokens": "secret"}, "Expected `array"),
        ([], "expected keys with values"),
    ],
)
def test_a_value_that_does_not_fit_is_named(settings: Any, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        Profile().merged(settings)


def test_latency_is_a_number_a_range_or_a_distribution() -> None:
    assert Profile().merged({"latency": 2}).latency == Latency(kind="fixed", median=2.0)
    assert Profile().merged({"latency": "20-60"}).latency == Latency(kind="uniform", low=20.0, high=60.0)
    assert Profile().merged({"latency": {"kind": "bimodal", "slow": 0.5}}).latency.kind == "bimodal"


def test_faults_are_text_or_mappings_and_kinds_may_look_like_numbers() -> None:
    profile = Profile().merged({"faults": ["submit:503:0.25", {"where": "file", "kind": 404, "first": 1}]})
    assert profile.faults == (
        Fault(where="submit", kind="503", probability=0.25),
        Fault(where="file", kind="404", first=1),
    )


def test_merging_keeps_what_is_not_named() -> None:
    profile = Profile(slots=3, price=0.5).merged({"slots": None})
    assert (profile.slots, profile.price) == (None, 0.5)


def test_the_sample_profile_loads_and_sets_what_it_says() -> None:
    profile = Profile.load(SAMPLE)
    assert (profile.slots, profile.rate_limit, len(profile.faults)) == (40, 50.0, 9)


@pytest.mark.parametrize("text", [b"slots: [", b"\xff\xfe", b"slots: many"])
def test_a_bad_file_is_named_in_the_error(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(text)
    with pytest.raises(ProfileError, match=r"bad\.yaml"):
        Profile.load(file)


def test_every_place_has_kinds_with_a_word_on_each() -> None:
    assert all(kinds(place) and all(kinds(place).values()) for place in PLACES)


@given(st.integers(), st.text())
def test_a_draw_depends_on_what_is_asked_and_on_nothing_else(seed: int, what: str) -> None:
    assert 0 <= chance(seed, what) < 1
    assert chance(seed, what) == chance(seed, what)


def test_draws_are_spread_evenly_and_normally() -> None:
    even = sorted(chance("even", n) for n in range(4000))
    assert all(abs(value - n / 4000) < 0.04 for n, value in enumerate(even))
    bell = sorted(normal("bell", n) for n in range(4000))
    assert abs(bell[2000]) < 0.08
    assert abs(bell[3365] - 1) < 0.12  # 84.1 % lie below one deviation


def test_latencies_follow_their_distributions() -> None:
    def middle(latency: Latency) -> float:
        return sorted(latency.draw("middle", n) for n in range(1001))[500]

    assert middle(Latency(kind="fixed", median=3)) == 3
    assert abs(middle(Latency(kind="uniform", low=20, high=60)) - 40) < 3
    assert abs(middle(Latency(kind="lognormal", median=2)) - 2) < 0.2
    assert abs(middle(Latency(kind="bimodal", low=1, high=50, slow=0.2, sigma=0)) - 1) < 1e-9
    assert max(Latency(kind="lognormal", median=2, sigma=2, most=9).draw(n) for n in range(300)) == 9


@pytest.mark.parametrize("shape", ["bucket", "window"])
@given(
    rate=st.floats(0.2, 50),
    burst=st.one_of(st.none(), st.integers(1, 20)),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=80),
)
def test_a_gate_never_lets_more_through_than_its_rate_and_burst(
    shape: Any, rate: float, burst: int | None, pauses: list[float]
) -> None:
    gate, now, passed = Gate(rate, burst, shape), 0.0, list[float]()
    for pause in pauses:
        now += pause
        wait = gate.ask(now)
        assert wait >= 0
        if wait == 0:
            passed.append(now)
    for first in range(len(passed)):
        span = passed[-1] - passed[first]
        most = span * rate + gate.burst + (0 if shape == "bucket" else gate.burst)
        assert len(passed) - first <= most + 1e-6


@pytest.mark.parametrize("shape", ["bucket", "window"])
def test_who_waits_as_long_as_the_gate_says_is_let_through(shape: Any) -> None:
    gate, now = Gate(4, 2, shape), 0.0
    for _ in range(20):
        wait = gate.ask(now)
        if wait:
            now += wait + 1e-9
            assert gate.ask(now) == 0
    assert now <= 5 + 1e-6, "20 calls at 4 a second"


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 9), st.floats(0, 9)), max_size=40), st.integers(1, 5))
def test_a_line_never_runs_more_than_its_slots_and_everybody_ends(
    plans: list[tuple[float, float, float]], slots: int
) -> None:
    started: list[Request] = []
    line, now = Line(started.append), 0.0
    requests = []
    for number, (pause, wait, run) in enumerate(plans):
        now += pause
        line.advance(now, slots)
        requests.append(_request(number, now, wait, run))
        line.enter(requests[-1], now)
        line.advance(now, slots)
        assert line.peak <= slots
    line.advance(1e9, slots)
    assert [request.state for request in requests] == [State.FINISHED] * len(plans)
    for request in requests:
        assert request.started is not None
        assert request.finished is not None
        assert request.started >= request.accepted + request.wait
        assert request.finished == request.started + request.run
        at_once = [r for r in requests if (r.started or 0) <= request.started < (r.finished or 0)]
        assert len(at_once) <= slots
    assert sorted(r.number for r in started) == list(range(len(plans)))


def test_looking_often_or_once_gives_the_same_history() -> None:
    def history(looks: int) -> list[tuple[float | None, float | None]]:
        line = Line(lambda _: None)
        requests = [_request(n, 0.0, chance("w", n), 1 + chance("r", n)) for n in range(30)]
        for request in requests:
            line.enter(request, 0.0)
        for look in range(1, looks + 1):
            line.advance(100 * look / looks, 4)
        return [(request.started, request.finished) for request in requests]

    assert history(1) == history(997)


def test_a_position_counts_down_and_a_gap_closes() -> None:
    line = Line(lambda _: None)
    requests = [_request(n, 0.0, 0.0, 1.0) for n in range(4)]
    for request in requests:
        line.enter(request, 0.0)
    line.advance(0.0, 1)
    assert [line.position(request) for request in requests[1:]] == [0, 1, 2]
    line.leave(requests[2])
    assert line.position(requests[3]) == 1
    line.advance(1.5, 1)
    assert line.position(requests[3]) == 0


def _request(number: int, accepted: float, wait: float, run: float) -> Request:
    return Request(number, str(number), "m", {}, accepted, wait, run, outcome="")


def test_a_rule_may_spare_the_first_calls_and_stop_after_some() -> None:
    book = FaultBook(1, [Fault(where="submit", kind="drop", skip=2, count=3)])
    assert [book.draw("submit", str(n)) is not None for n in range(8)] == [False] * 2 + [True] * 3 + [False] * 3


def test_a_rule_for_the_first_calls_counts_each_subject_for_itself() -> None:
    book = FaultBook(1, [Fault(where="status", kind="500", first=2)])
    assert [book.draw("status", subject) is not None for subject in "aabba"] == [True, True, True, True, False]


def test_what_goes_wrong_does_not_depend_on_the_order_of_the_calls() -> None:
    rules = [Fault(where="file", kind="500", probability=0.3), Fault(where="file", kind="drop", probability=0.3)]

    def fate(subjects: list[str]) -> dict[str, Fault | None]:
        book = FaultBook(5, rules)
        return {subject: book.draw("file", subject) for subject in subjects}

    names = [str(n) for n in range(200)]
    assert fate(names) == fate(names[::-1])
    drops = [rule.kind for rule in fate(names).values() if rule]
    assert 40 < drops.count("500") < 80
    assert 20 < drops.count("drop") < 65
