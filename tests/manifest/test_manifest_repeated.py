"""Requests that a manifest asks for more than once: jobs of their own, as the contract says, and never unsaid."""

from pathlib import Path

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
