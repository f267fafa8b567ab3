"""Requests that a manifest asks for more than once: jobs of their own, as the contract says, and never unsaid."""

from pathlib import Path

import pytest

from batcher.manifest.sweep import copies
from tests.manifest.manifest_reading import checked, jobs, write

MEETING = "prompts: [a, b]\ngroups: {x: {matrix: {seed: 1..5}}, y: {matrix: {seed: 4..9}}, z: {matrix: {seed: 20}}}\n"


def test_groups_that_ask_for_the_same_are_named_with_how_often(tmp_path: Path) -> None:
    path = write(tmp_path, MEETING)
    (warning,) = checked(path).warnings
    assert warning == (
        f"4 requests are in the manifest more than once (in the groups x, y; the first at {path}:1):"
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


def test_beyond_a_bound_it_is_told_as_more_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MOST_COUNTED", 11)
    (warning,) = checked(write(tmp_path, MEETING)).warnings
    assert "more than 2 requests" in warning


def test_a_huge_sweep_of_equal_prompts_is_not_walked_to_its_end(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, "prompts: [a, a]\nmatrix: {seed: 1..1000000000}\n"))
    assert manifest.total == 2 * 10**9
    (warning,) = manifest.warnings
    assert warning == (
        "more than 100,000 requests are of prompts that occur more than once, or seem to:"
        " how many of them are the same, each made and paid for, is not known"
    )
