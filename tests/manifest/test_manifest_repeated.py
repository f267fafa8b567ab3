"""Requests that a manifest asks for more than once: jobs of their own, as the contract says, and never unsaid."""

import json
from pathlib import Path

import pytest

from batcher.manifest.schema import DEFAULT_MODEL
from tests.manifest.manifest_reading import checked, jobs, write

MEETING = "prompts: [a, b]\ngroups: {x: {matrix: {seed: 1..5}}, y: {matrix: {seed: 4..9}}, z: {matrix: {seed: 20}}}\n"


def test_groups_that_ask_for_the_same_are_told_with_how_often(tmp_path: Path) -> None:
    path = write(tmp_path, MEETING)
    (warning,) = checked(path).warnings
    assert warning == (
        f"4 requests are in the manifest more than once (the first at {path}:1):"
        " 4 jobs repeat another one, each made and paid for"
    )
    assert sorted(job.copy for job in jobs(path))[-5:] == [1, 2, 2, 2, 2]


def test_equal_rows_are_told_of_with_the_first_that_is_not_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nb\na\na\n", "p.txt")
    (warning,) = checked(path).warnings
    assert warning == (
        f"1 request is in the manifest more than once (the first at {path}:3):"
        " 2 jobs repeat another one, each made and paid for"
    )


def test_different_requests_are_not_told_of(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [{prompt: a, seed: 1}, {prompt: a, seed: 2}, a]\nmatrix: {seed: [3, 4]}\n")
    assert checked(path).warnings == ()


def test_an_id_of_two_prompts_is_told_of_with_both_places(tmp_path: Path) -> None:
    path = write(tmp_path, "id,prompt\nheron,a heron\nkite,a kite\nheron,a grey heron\nheron,another\n", "p.csv")
    (warning,) = checked(path).warnings
    assert warning == (
        f"an id stands for different prompts: `heron`, at {path}:2 and {path}:4;"
        " images are named and grouped by id, so give each prompt an id of its own"
    )


SHARED_IDS_THAT_ARE_MEANT = {
    "one prompt on many rows": "prompts: [{id: x, prompt: a, seed: 1}, {id: x, prompt: a, seed: 2}]\n",
    "copies": "prompts: [{id: x, prompt: a, repeat: 3}]\n",
    "vars": "prompts: [{id: x, prompt: 'a {c} kite', vars: {c: [red, blue]}}]\n",
    "each group its own": "groups: {a: {prompts: [{id: x, prompt: a}]}, b: {prompts: [{id: x, prompt: b}]}}\n",
    "the prompts of all groups": (
        "prompts: [{id: x, prompt: a}]\ngroups: {a: {matrix: {seed: 1}}, b: {matrix: {seed: 2}}}\n"
    ),
}


@pytest.mark.parametrize("text", SHARED_IDS_THAT_ARE_MEANT.values(), ids=SHARED_IDS_THAT_ARE_MEANT)
def test_an_id_that_is_meant_for_several_jobs_is_not_told_of(tmp_path: Path, text: str) -> None:
    assert checked(write(tmp_path, text)).warnings == ()


def test_records_of_vars_have_one_id_for_many_texts_and_are_not_told_of(tmp_path: Path) -> None:
    lines = [{"schema": "batcher/1", "model": DEFAULT_MODEL, "inputs": {"prompt": f"a {c} kite"}, "prompt_id": "x"}
             for c in ("red", "blue")]  # fmt: skip
    path = write(tmp_path, "".join(f"{json.dumps(line)}\n" for line in lines), "records.jsonl")
    assert checked(path).warnings == ()
    assert [job.prompt_id for job in jobs(path)] == ["x", "x"]
