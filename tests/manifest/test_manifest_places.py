"""All that is wrong with a manifest is told at once, each with the place where it can be opened and mended."""

import contextlib
from pathlib import Path

import pytest

from batcher.core.errors import UsageError
from tests.manifest.manifest_reading import checked, jobs, problems, write

WRONG = "matrix: {sed: 1..3}"  # a mistake that has nothing to do with the others
NOTHING = "matrix: {seed: 1}, exclude: [{seed: 1}]"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (f"prompts: []\n{WRONG}\n", ["1:10 `prompts` is empty", "2:10 the model has no input `sed`"]),
        (
            f"groups:\n  e: {{prompts: []}}\n  f: {{prompts: [a], {WRONG}}}\n",
            ["2:16 `prompts` is empty", "3:30 the model has no input `sed`"],
        ),
        (
            f"prompts: []\ngroups:\n  e: {{matrix: {{seed: 1}}}}\n  f: {{{WRONG}}}\n",
            ["1:10 `prompts` is empty", "4:16 the model has no input `sed`"],
        ),
        (
            f"groups: [e, f]\n{WRONG}\nprompts: [1]\n",
            ["1:9 `groups` must have named groups", "2:10 the model has no input `sed`", "3:11 a prompt must be text"],
        ),
        (f"groups: {{}}\n{WRONG}\n", ["1:9 `groups` must have named groups", "2:10 the model has no input `sed`"]),
        (
            f"groups:\n  a/b: {{prompts: [a], {WRONG}}}\n",
            ["2:3 `a/b` can't be the name of a group", "2:32 the model has no input `sed`"],
        ),
        (
            f"groups:\n  e: {{prompts: {{file: empty.txt}}}}\n  f: {{prompts: [a], {WRONG}}}\n",
            ["2:6 there is no prompt in it in the group `e`", "3:30 the model has no input `sed`"],
        ),
        (
            f"groups:\n  e: {{prompts: [a], {NOTHING}}}\n  f: {{prompts: [a], {WRONG}}}\n",
            ["2:6 `exclude` removes every combination in the group `e`", "3:30 the model has no input `sed`"],
        ),
        (
            "groups: {e: {}}\nprompts: [1]\n",
            ["1:13 the group `e` is empty", "2:11 a prompt must be text"],
        ),
        (
            "prompts: [1]\ngroups:\n  e: {matrix: {seed: 1}}\n  f: {matrix: {seed: 2}}\n",
            ["1:11 a prompt must be text"],  # and not that the second group is left without one
        ),
        (
            "prompts: [a]\nmatrix: {seed: [x], aspect_ratio: ['1:1']}\nexclude: [{aspect_ratio: '1:1'}]\n",
            ["2:17 `seed` must be an integer"],  # and not that nothing is left
        ),
    ],
)
def test_what_has_no_prompts_is_told_with_everything_else(tmp_path: Path, text: str, places: list[str]) -> None:
    write(tmp_path, "\n", "empty.txt")
    errors = problems(write(tmp_path, text))
    assert len(errors) == len(places)
    for problem, place in zip(errors, places, strict=True):
        assert f"{problem.line}:{problem.column} {problem.what}".startswith(place)


@pytest.mark.parametrize("inside", ["prompts", "vars", "wildcards", "folder"])
def test_a_file_that_a_manifest_names_is_named_as_it_opens_from_where_the_user_is(tmp_path: Path, inside: str) -> None:
    (tmp_path / "jobs" / "lists").mkdir(parents=True)
    write(tmp_path / "jobs", "prompt,seed\na,x\n", "p.csv")
    write(tmp_path / "jobs" / "lists", "a}\n" if inside == "wildcards" else "a {\n", "w.txt")
    text = {
        "prompts": "prompts: [{file: p.csv}]",
        "vars": "prompts: [{prompt: 'a {w}', vars: {w: {file: p.csv}}}]",
        "wildcards": "dynamic: {wildcards: lists}\nprompts: [a __w__]",
        "folder": "dynamic: true\nprompts: [{file: lists}]",
    }[inside]
    write(tmp_path / "jobs", text)
    with contextlib.chdir(tmp_path):
        for problem in problems("jobs/m.yaml"):
            assert Path(problem.file).is_file()
            assert problem.file.startswith("jobs/")
            assert problem.file != "jobs/m.yaml"


def test_a_missing_folder_of_lists_is_mended_in_a_way_that_any_manifest_has(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt\na __colour__ fox\n", "p.csv")
    (problem,) = problems(path, dynamic=True)
    assert "wildcards" in problem.what
    assert "make it, with colour.txt in it" in problem.mend
    assert "in a YAML manifest" in problem.mend
    (tmp_path / "wildcards").mkdir()
    write(tmp_path / "wildcards", "red\n", "colour.txt")
    assert [job.inputs["prompt"] for job in jobs(path, dynamic=True)] == ["a red fox"]


def test_a_repeat_that_one_group_can_not_have_names_that_group(tmp_path: Path) -> None:
    text = "prompts: [x]\ngroups: {a: {matrix: {aspect_ratio: ['1:1']}}, b: {matrix: {seed: 1..2}}}\n"
    with pytest.raises(UsageError, match=r"--repeat 3: .* in the group `b`"):
        checked(write(tmp_path, text), repeat=3)
    (problem,) = problems(write(tmp_path, "defaults: {repeat: 3}\n" + text))
    assert (problem.line, problem.column) == (1, 20)
    assert "in the group `b`" in problem.what
