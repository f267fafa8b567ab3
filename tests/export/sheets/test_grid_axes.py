"""Which values stand where: by what was asked for, and by what a run has."""

from typing import Any

import pytest
from msgspec.structs import replace

from batcher.core.errors import UsageError
from batcher.export.sheets.axes import Plan, Seen, choose, in_order, label_of, value_of
from tests.support.state_files import a_job


def seen(*inputs: dict[str, Any], meta: dict[str, Any] | None = None) -> Seen:
    axes = Seen()
    for number, given in enumerate(inputs):
        axes.see(replace(a_job(number), inputs=given, meta=meta or {}))
    return axes


SWEEP = [
    {"prompt": prompt, "aspect_ratio": ratio, "seed": seed, "negative_prompt": "text"}
    for prompt in ("a heron", "a kite")
    for ratio in ("16:9", "1:1")
    for seed in (1, 2, 3)
]


def test_a_sweep_has_its_seeds_down_the_side_and_its_shapes_along_the_top() -> None:
    assert choose(seen(*SWEEP), None, None, ()) == Plan("seed", "aspect_ratio", ("prompt",))


def test_other_inputs_take_the_sides_by_how_many_values_they_have() -> None:
    jobs = [{"prompt": "a", "guidance": guidance, "steps": steps} for guidance in range(5) for steps in (20, 30)]
    assert choose(seen(*jobs), None, None, ()) == Plan("guidance", "steps", ("prompt",))


def test_one_axis_alone_lets_the_images_flow() -> None:
    jobs = [{"prompt": prompt, "seed": seed} for prompt in "ab" for seed in range(9)]
    assert choose(seen(*jobs), None, None, ()) == Plan(None, "seed", ("prompt",))
    assert choose(seen(*jobs), "seed", None, ()) == Plan(None, "seed", ("prompt",))


def test_prompts_without_a_sweep_are_one_sheet() -> None:
    jobs = [{"prompt": prompt} for prompt in "abc"]
    assert choose(seen(*jobs), None, None, ()) == Plan(None, "prompt", ())


def test_a_seed_of_each_prompts_own_is_no_sweep() -> None:
    jobs = [{"prompt": prompt, "seed": ord(prompt)} for prompt in "abc"]
    assert choose(seen(*jobs), None, None, ()) == Plan(None, "prompt", ())


def test_what_is_asked_for_is_taken_and_the_other_side_is_found() -> None:
    assert choose(seen(*SWEEP), "aspect_ratio", None, ()) == Plan("aspect_ratio", "seed", ("prompt",))
    assert choose(seen(*SWEEP), None, "seed", ()) == Plan("aspect_ratio", "seed", ("prompt",))


def test_what_is_left_over_is_told() -> None:
    assert choose(seen(*SWEEP), "prompt", "seed", ()) == Plan("prompt", "seed", (), ("aspect_ratio",))


def test_one_sheet_for_all_has_prompts_down_its_side() -> None:
    assert choose(seen(*SWEEP), None, "seed", ("none",)) == Plan("prompt", "seed", (), ("aspect_ratio",))


def test_sheets_may_be_made_by_anything() -> None:
    plan = choose(seen(*SWEEP, meta={"style": "ink"}), "prompt", None, ("meta.style", "seed"))
    assert plan == Plan("prompt", "aspect_ratio", ("meta.style", "seed"))


@pytest.mark.parametrize(
    ("rows", "cols", "per", "message"),
    [
        ("sed", None, (), r"--rows sed: no job of this run has that\. Did you mean seed\?"),
        (None, "aspect-ratio", (), r"--cols aspect-ratio: .* Did you mean aspect_ratio\?"),
        (None, None, ("style",), r"--per style: .* Did you mean meta\.style\?"),
        (None, None, ("Style",), r"--per Style: .* Did you mean meta\.style\?"),
        ("x\x1b[31m", None, (), r"--rows x \[31m: no job"),
        ("seed", "seed", (), "both 'seed'"),
    ],
)
def test_a_name_that_no_job_has_is_an_error_with_a_suggestion_and_all_there_is(
    rows: str | None, cols: str | None, per: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        choose(seen(*SWEEP, meta={"style": "ink"}), rows, cols, per)
    if "both" not in message:
        assert refused.value.hint == (
            "There is: prompt, prompt_id, model, copy, repeat, aspect_ratio, seed, negative_prompt, meta.style."
        )


def test_numbers_go_by_size_and_words_as_they_came() -> None:
    assert in_order([3, 10, 1, 3, 2.5]) == [1, 2.5, 3, 10]
    assert in_order(["16:9", "1:1", "16:9", "4:3"]) == ["16:9", "1:1", "4:3"]
    assert in_order([10, "auto", 2]) == [10, "auto", 2]
    assert in_order([None, 3, 1]) == [1, 3, None]
    assert in_order([True, 1, False]) == [True, 1, False]
    assert in_order([{"b": 1}, {"a": 1}, {"b": 1}]) == [{"b": 1}, {"a": 1}]
    assert in_order([2**63 + 1, 2**63, 1.0]) == [1.0, 2**63, 2**63 + 1]


def test_values_are_shown_as_a_person_writes_them() -> None:
    assert [label_of(value) for value in (None, 3, "16:9", True, 0.5, ["a"], "", "a\nb\x1b")] == [
        "not set", "3", "16:9", "true", "0.5", '["a"]', "(empty)", "a b",
    ]  # fmt: skip


def test_a_value_comes_from_the_inputs_the_meta_or_the_job() -> None:
    job = a_job(4)
    assert [value_of(job, name) for name in ("seed", "meta.category", "prompt_id", "copy", "guidance", "meta.no")] == [
        4, "birds", "heron-4", 1, None, None,
    ]  # fmt: skip
