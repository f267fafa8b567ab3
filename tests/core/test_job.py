"""The nouns: identity that never drifts, and the sidecar as the contract has it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.core.job import (
    COUNT_INPUTS,
    Artifact,
    Counts,
    Entry,
    Job,
    State,
    canonical_json,
    each_once,
    images_asked,
    job_key,
    utc,
)
from batcher.core.sidecar import sidecar

MODEL = "google-deepmind/imagen-4/fast/text-to-image"
HERON = {"prompt": "A heron over a misty lake", "aspect_ratio": "16:9", "seed": 7}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)
inputs_of_a_job = st.dictionaries(st.text(max_size=8), values, max_size=5)


@pytest.mark.parametrize(
    ("inputs", "copy", "key"),
    [
        (HERON, 1, "9f79d0b2c2a19582316242b9e2dc15de"),
        (HERON, 2, "2c3ff767564f6027771a8953d6a90e49"),
        ({"prompt": 'naïve 🦩 "quoted" \\ \n'}, 1, "e762effc16086f7460de8eb3106816ec"),
        ({}, 1, "b5ab71eb0f0f123f8afec4c060b48094"),
    ],
)
def test_the_keys_of_these_jobs_are_for_ever(inputs: dict[str, Any], copy: int, key: str) -> None:
    """A key that changes makes every run directory in the world pay for its images again. Never edit these."""
    assert job_key(MODEL, inputs, copy) == key


@given(inputs=inputs_of_a_job, random=st.randoms())
def test_a_key_does_not_depend_on_the_order_of_the_inputs(inputs: dict[str, Any], random: Any) -> None:
    names = list(inputs)
    random.shuffle(names)
    assert job_key(MODEL, {name: inputs[name] for name in names}) == job_key(MODEL, inputs)


@given(one=inputs_of_a_job, other=inputs_of_a_job)
def test_other_inputs_are_another_job(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = canonical_json(one) == canonical_json(other)
    assert (job_key(MODEL, one) == job_key(MODEL, other)) is same


def test_another_model_copy_or_type_is_another_job() -> None:
    keys = [
        job_key(MODEL, HERON),
        job_key(MODEL + "x", HERON),
        job_key(MODEL, HERON, 2),
        job_key(MODEL, HERON, 3),
        job_key(MODEL, {**HERON, "seed": "7"}),
        job_key(MODEL, {**HERON, "seed": 8}),
        job_key(MODEL, {**HERON, "extra": None}),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)


@given(values)
def test_canonical_json_reads_back_as_what_it_was_and_is_its_own_canonical_form(value: Any) -> None:
    text = canonical_json(value)
    assert text == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_is_short_sorted_and_says_text_as_it_is() -> None:
    assert canonical_json({"b": [1, 2.5, None, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,2.5,null,true]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_does_not_know_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": value})


JOB = Job(
    key=job_key(MODEL, HERON),
    model=MODEL,
    inputs=HERON,
    copy=1,
    prompt_id="heron",
    meta={"category": "birds"},
    source="birds.yaml",
    line=4,
    path="heron/16x9_s7",
)
ENTRY = Entry(
    id=1,
    job=JOB,
    state=State.DONE,
    path="heron/16x9_s7",
    attempts=2,
    request_id="r-1",
    submitted_at=1_790_000_000.0,
    finished_at=1_790_000_009.5,
    urls=("https://files.runcomfy.net/a.png",),
    cost_usd=0.02,
)
ARTIFACT = Artifact(
    file="images/heron/16x9_s7.png",
    bytes=812,
    sha256="ab" * 32,
    mime="image/png",
    width=1408,
    height=768,
    url="https://files.runcomfy.net/a.png",
    output_index=0,
    output_count=1,
    downloaded_at=1_790_000_010.0,
)
CONTRACT = {
    *("schema", "job", "request_id", "model", "inputs", "prompt_id", "meta", "source"),
    *("file", "bytes", "sha256", "mime", "width", "height", "url", "output_index", "output_count"),
    *("submitted_at", "finished_at", "downloaded_at", "attempts", "cost_usd", "simulated", "batcher"),
}


def written(entry: Entry = ENTRY, artifact: Artifact = ARTIFACT) -> dict[str, Any]:
    made = sidecar(entry, artifact, simulated=True, version="0.1")
    return dict(json.loads(canonical_json(made)))


def test_the_sidecar_has_the_fields_of_the_contract_and_no_other() -> None:
    assert set(written()) == CONTRACT
    assert sorted(written()["source"]) == ["line", "manifest"]


def test_the_sidecar_says_what_was_sent_what_came_and_when() -> None:
    assert written() == {
        "schema": "batcher/1",
        "job": JOB.key,
        "request_id": "r-1",
        "model": MODEL,
        "inputs": HERON,
        "prompt_id": "heron",
        "meta": {"category": "birds"},
        "source": {"manifest": "birds.yaml", "line": 4},
        "file": "images/heron/16x9_s7.png",
        "bytes": 812,
        "sha256": "ab" * 32,
        "mime": "image/png",
        "width": 1408,
        "height": 768,
        "url": "https://files.runcomfy.net/a.png",
        "output_index": 0,
        "output_count": 1,
        "submitted_at": "2026-09-21T14:13:20.000Z",
        "finished_at": "2026-09-21T14:13:29.500Z",
        "downloaded_at": "2026-09-21T14:13:30.000Z",
        "attempts": 2,
        "cost_usd": 0.02,
        "simulated": True,
        "batcher": "0.1",
    }


def test_what_is_unknown_is_null_in_the_sidecar_and_not_left_out() -> None:
    facts = written(replace(ENTRY, cost_usd=None, finished_at=None), replace(ARTIFACT, width=None, height=None))
    assert {name for name, value in facts.items() if value is None} == {"cost_usd", "finished_at", "width", "height"}


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_utc_to_the_millisecond_whatever_the_clock_on_the_wall(milliseconds: int) -> None:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  only here

    text = utc(milliseconds / 1000)
    assert text is not None
    assert len(text) == 24
    assert text.endswith("Z")
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert abs(datetime.fromisoformat(text) - exact) <= timedelta(milliseconds=1)


def test_no_time_is_none() -> None:
    assert utc(None) is None


@pytest.mark.parametrize(("wanted", "images"), [(4, 4), (1, 1), (0, 1), (-2, 1), ("4", 1), (None, 1), (2.5, 1)])
def test_a_job_asks_for_one_image_unless_it_says_a_whole_number(wanted: Any, images: int) -> None:
    for name in COUNT_INPUTS:
        assert images_asked({name: wanted}) == images
    assert images_asked({}) == 1
    assert images_asked({"num_images": True}, default=4) == 4, "what the schema says"


@given(st.lists(st.text(max_size=2)))
def test_each_value_once_in_order(given_values: list[str]) -> None:
    once = each_once(given_values)
    assert list(once) == sorted(set(given_values), key=given_values.index)


def test_what_is_not_at_rest_is_pending_and_never_less_than_nothing() -> None:
    assert Counts(total=10, done=4, failed=1, cancelled=1, in_doubt=1).pending == 3
    assert Counts(total=1, done=4).pending == 0
