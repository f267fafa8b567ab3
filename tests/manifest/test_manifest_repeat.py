import json
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.manifest.schema import ModelSchema
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

TWO = "prompts: [A heron, A kite]\ndefaults: {repeat: 3}\n"


def seeds_of(path: str, prompt: str, **flags: Any) -> list[int]:
    return [job.inputs["seed"] for job in jobs(path, **flags) if job.inputs["prompt"] == prompt]


def test_each_copy_has_a_seed_and_a_path_of_its_own(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, TWO))
    assert len(all_jobs) == 6
    assert (
        len({job.key for job in all_jobs})
        == len({job.path for job in all_jobs})
        == len(set(inputs(all_jobs, "seed")))
        == 6
    )
    assert {job.copy for job in all_jobs} == {1}


def test_the_drawn_seeds_never_change(tmp_path: Path) -> None:
    assert seeds_of(write(tmp_path, TWO), "A heron") == [1497430449, 548072278, 557191278]


def test_growing_and_reordering_keep_the_seeds_a_prompt_has(tmp_path: Path) -> None:
    before = seeds_of(write(tmp_path, TWO), "A heron")
    grown = write(
        tmp_path, "prompts: [New, A kite, A heron]\ndefaults: {repeat: 5}\nmatrix: {aspect_ratio: ['1:1', '4:3']}\n"
    )
    after = seeds_of(grown, "A heron")
    assert after[::2] == after[1::2]  # the same for each aspect ratio
    assert after[::2][:3] == before


def test_repeat_is_the_same_from_defaults_the_prompt_the_file_entry_and_the_flag(tmp_path: Path) -> None:
    flat = write(tmp_path, "A heron\n", "p.txt")
    wanted = seeds_of(write(tmp_path, TWO), "A heron")
    assert seeds_of(flat, "A heron", repeat=3) == wanted
    assert seeds_of(write(tmp_path, "prompts: [{prompt: A heron, repeat: 3}]\n"), "A heron") == wanted
    assert seeds_of(write(tmp_path, "prompts: [{file: p.txt, repeat: 3}]\n"), "A heron") == wanted


def test_the_prompts_own_repeat_wins_over_the_flag_and_that_over_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [A, {prompt: B, repeat: 1}]\ndefaults: {repeat: 3}\n")
    assert inputs(jobs(path, repeat=2), "prompt") == ["A", "A", "B"]


def test_a_prompt_with_a_seed_of_its_own_is_not_repeated_by_the_defaults(tmp_path: Path) -> None:
    assert inputs(jobs(write(tmp_path, "prompts: [{prompt: A, seed: 7}]\ndefaults: {repeat: 3}\n")), "seed") == [7]


def test_vars_and_repeat_multiply(tmp_path: Path) -> None:
    text = "prompts: [{prompt: 'A {x}', vars: {x: [a, b]}, repeat: 2}, C]\nmatrix: {aspect_ratio: ['1:1', '4:3']}\n"
    manifest = checked(write(tmp_path, text))
    assert manifest.total == len(manifest.made) == 10
    assert manifest.count_by_axis() == {"aspect_ratio": {"1:1": 5, "4:3": 5}}


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("prompts: [A]\ndefaults: {repeat: 3, seed: 5}\n", 2, 20, "`seed` is already given"),
        ("prompts: [A]\nmatrix: {seed: 1..3}\ndefaults: {repeat: 3}\n", 3, 20, "`seed` is already given"),
        ("prompts: [A]\ninclude: {seed: 1}\ndefaults: {repeat: 3}\n", 3, 20, "`seed` is already given"),
        ("prompts: [A]\ndefaults: {repeat: 0}\n", 2, 20, "a number of copies"),
        ("prompts: [{prompt: A, repeat: many}]\n", 1, 31, "a number of copies"),
        ("prompts: [{prompt: A, repeat: 2, seed: 1}]\n", 1, 23, "`repeat` beside `seed`"),
    ],
)
def test_a_repeat_that_can_not_be_meant_is_refused_where_it_stands(
    tmp_path: Path, text: str, line: int, column: int, what: str
) -> None:
    (problem,) = problems(write(tmp_path, text))
    assert what in problem.what
    assert (problem.line, problem.column) == (line, column)


def test_a_repeat_flag_that_can_not_be_meant_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--repeat 3: `repeat` draws seeds"):
        checked(write(tmp_path, "prompts: [A]\nmatrix: {seed: 1..3}\n"), repeat=3)


def test_a_model_without_seed_can_not_repeat_and_one_with_an_input_repeat_keeps_it(tmp_path: Path) -> None:
    path = write(tmp_path, TWO)
    plain = {"prompt": {"type": "string"}}
    (problem,) = problems(path, ModelSchema.from_json("m", {"properties": plain}))
    assert "takes no seed" in problem.what
    tiling = ModelSchema.from_json("m", {"properties": plain | {"repeat": {"type": "integer"}}})
    assert [json.dumps(job.inputs["repeat"]) for job in jobs(path, tiling)] == ["3", "3"]
