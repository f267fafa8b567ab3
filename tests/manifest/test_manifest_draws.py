from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.manifest.schema import ModelSchema
from batcher.manifest.sweep.draws import seeds
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

SMALL = {"properties": {"prompt": {"type": "string"}, "seed": {"type": "integer", "minimum": 10, "maximum": 19}}}
NULLABLE = {
    "properties": {
        "prompt": {"type": "string"},
        "seed": {"anyOf": [{"type": "integer", "minimum": -1, "maximum": 5}, {"type": "null"}]},
    }
}


def test_the_draws_of_a_seed_never_change() -> None:
    assert list(seeds(["axis", 7], 3, range(2**31))) == [1448661203, 1343408910, 473151043]
    assert list(seeds(["axis", 8], 3, range(2**31))) == [65595814, 1869126065, 938693988]


@given(st.integers(), st.integers(1, 40), st.integers(0, 40), st.integers(1, 2**31))
def test_a_longer_draw_begins_with_the_shorter_and_has_no_seed_twice(
    start: int, many: int, more: int, size: int
) -> None:
    among = range(5, 5 + max(size, many + more))
    longer = list(seeds(["axis", start], many + more, among))
    assert list(seeds(["axis", start], many, among)) == longer[:many]
    assert len(set(longer)) == many + more
    assert all(seed in among for seed in longer)


def test_a_drawn_axis_is_the_same_from_yaml_and_from_the_flag(tmp_path: Path) -> None:
    drawn = inputs(jobs(write(tmp_path, "prompts: [A]\nmatrix: {seed: {random: 5, from: 7}}\n")), "seed")
    assert drawn == list(seeds(["axis", 7], 5, range(2**31)))
    assert inputs(jobs(write(tmp_path, "A\n", "p.txt"), matrix=("seed=random:5:7",)), "seed") == drawn


@pytest.mark.parametrize(("schema", "allowed"), [(SMALL, range(10, 20)), (NULLABLE, range(6))])
def test_seeds_are_drawn_from_what_the_model_takes(tmp_path: Path, schema: object, allowed: range) -> None:
    model = ModelSchema.from_json("m", schema)
    text = f"prompts: [A]\nmatrix: {{seed: {{random: {len(allowed)}, from: 1}}}}\n"
    assert sorted(inputs(jobs(write(tmp_path, text), model), "seed")) == list(allowed)
    (problem,) = problems(write(tmp_path, text.replace(str(len(allowed)), "11")), model)
    assert "can't draw 11 different values" in problem.what


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("{random: 3}", "a draw without `from`"),
        ("{random: 0, from: 1}", "can't draw 0"),
        ("{random: 200000, from: 1}", "can't draw 200000"),
        ("{random: x, from: 1}", "must be integers"),
        ("{random: 3, from: 1, step: 2}", "unknown key `step`"),
    ],
)
def test_a_draw_that_can_not_be_meant_is_refused_where_it_stands(tmp_path: Path, spec: str, what: str) -> None:
    (problem,) = problems(write(tmp_path, f"prompts: [A]\nmatrix:\n  seed: {spec}\n"))
    assert what in problem.what
    assert (problem.line, problem.column) == (3, 9)


def test_only_integers_can_be_drawn(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "prompts: [A]\nmatrix: {aspect_ratio: {random: 3, from: 1}}\n"))
    assert "only integers" in problem.what


def test_a_half_written_draw_on_the_command_line_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='"random:20" is not a draw') as caught:
        checked(write(tmp_path, "A\n", "p.txt"), matrix=("seed=random:20",))
    assert "random:20:7" in str(caught.value.hint)


def test_a_drawn_axis_can_be_zipped(tmp_path: Path) -> None:
    text = 'prompts: [A]\nzip: {aspect_ratio: ["1:1", "1:1", "4:3"], seed: {random: 3, from: 7}}\n'
    assert inputs(jobs(write(tmp_path, text)), "seed") == list(seeds(["axis", 7], 3, range(2**31)))


@pytest.mark.parametrize("axes", ["matrix: {seed: random:2:7}", "matrix: {seed: [1, random:2:7]}"])
def test_a_draw_written_as_for_the_flag_is_told_how_a_manifest_writes_it(tmp_path: Path, axes: str) -> None:
    (problem,) = problems(write(tmp_path, f"prompts: [A]\n{axes}\n"))
    assert problem.mend == "write {random: 2, from: 7}"
