"""A manifest with groups on the command line: the plan by group, a sweep that grows, and what is asked for twice."""

import json
from typing import Any

import pytest

from tests.support.command_line import Shell, assert_fits

SWEEP = """
prompts: [a heron, a kite]
groups:
  wide:
    matrix: {aspect_ratio: [16:9], seed: 1..3}
  tall:
    prompts: [a face]
    matrix: {aspect_ratio: [3:4], seed: 1..2}
"""
QUICK = ("--simulate", "--rate", "500/s", "--progress", "none")


def planned(shell: Shell, *words: str) -> dict[str, Any]:
    facts: dict[str, Any] = shell("plan", "m.yaml", "--simulate", "--json", *words).json
    return facts


def made(shell: Shell, text: str) -> None:
    shell.file("m.yaml", text)
    assert shell("run", "m.yaml", *QUICK).code == 0


def test_a_plan_tells_of_each_group_what_it_has_and_costs(shell: Shell) -> None:
    shell.file("m.yaml", SWEEP)
    facts = planned(shell)
    assert facts["groups"] == {
        "wide": {
            "prompts": 2, "texts": 2, "jobs": 6,
            "axes": {"aspect_ratio": {"16:9": 6}, "seed": {"1": 2, "2": 2, "3": 2}},
            "new": 6, "unchanged": 0, "to_submit": 6, "cost_usd": 0.12,
        },
        "tall": {
            "prompts": 1, "texts": 1, "jobs": 2, "axes": {"aspect_ratio": {"3:4": 2}, "seed": {"1": 1, "2": 1}},
            "new": 2, "unchanged": 0, "to_submit": 2, "cost_usd": 0.04,
        },
    }  # fmt: skip
    assert (facts["cost_usd"], facts["axes"]["seed"]) == (0.16, {"1": 3, "2": 3, "3": 2})
    assert [job["path"].split("/")[1] for job in facts["first"]] == ["wide", "wide", "tall", "tall"]
    words = shell("plan", "m.yaml", "--simulate").out
    assert "  group wide: 6 jobs from 2 prompts, 6 to submit, $0.12\n    aspect_ratio: 16:9 (6)\n" in words
    assert_fits(words)


def test_a_plan_without_groups_has_none(shell: Shell) -> None:
    shell.file("m.yaml", "prompts: [a]\n")
    assert planned(shell)["groups"] == {}


def test_a_group_that_asks_for_several_images_a_job_costs_as_many(shell: Shell) -> None:
    shell.file("m.yaml", SWEEP.replace("prompts: [a face]", "prompts: [{prompt: a face, num_images: 4}]"))
    facts = shell("plan", "m.yaml", "--model", "an/unknown/model", "--price", "0.01", "--json").json
    assert [group["cost_usd"] for group in facts["groups"].values()] == [0.06, 0.08]
    assert facts["cost_usd"] == 0.14


def test_a_growing_group_a_new_group_and_a_new_name_are_told_apart(shell: Shell) -> None:
    made(shell, SWEEP)
    grown = SWEEP.replace("seed: 1..3", "seed: 1..5").replace("tall:", "faces:")
    shell.file("m.yaml", f"{grown}  square: {{prompts: [a gull], matrix: {{aspect_ratio: 1:1}}}}\n")
    facts = planned(shell)
    against = facts["against"]
    assert (against["new"], against["unchanged"], against["gone"], against["done"]) == (5, 8, 0, 8)
    groups = {name: (group["new"], group["unchanged"], group["cost_usd"]) for name, group in facts["groups"].items()}
    assert groups == {"wide": (4, 6, 0.08), "faces": (0, 2, 0.0), "square": (1, 0, 0.02)}
    report = shell("run", "m.yaml", *QUICK, "--json").json
    assert (report["submits"], report["done"]) == (5, 13)
    assert {group["to_submit"] for group in planned(shell)["groups"].values()} == {0}
    shell.file("m.yaml", SWEEP.partition("  tall:")[0])
    assert (planned(shell)["against"]["gone"], planned(shell)["groups"]["wide"]["unchanged"]) == (7, 6)


def test_jobs_that_a_killed_run_left_are_to_be_submitted_and_not_new(shell: Shell) -> None:
    made_by_half = SWEEP.replace("seed: 1..3", "seed: 1..2")
    shell.file("m.yaml", made_by_half)
    assert shell("run", "m.yaml", *QUICK, "--limit", "3").code == 4
    facts = planned(shell)
    assert {name: group["to_submit"] for name, group in facts["groups"].items()} == {"wide": 1, "tall": 2}
    assert planned(shell, "--limit", "3")["groups"]["tall"]["jobs"] == 0


def test_records_tell_the_group_and_images_are_in_its_folder(shell: Shell) -> None:
    made(shell, SWEEP)
    lines = (shell.folder / "runs/m/records.jsonl").read_text().splitlines()
    places = [(record["meta"]["group"], record["file"].split("/")[1]) for record in map(json.loads, lines)]
    assert sorted(places) == [("tall", "tall")] * 2 + [("wide", "wide")] * 6
    assert shell("export", "runs/m", "tall", "--to", "captions", "--where", 'meta.group == "tall"').code == 0
    assert len(list((shell.folder / "tall").glob("*.png"))) == 2


def test_what_two_groups_ask_for_is_told_by_plan_and_by_each_run(shell: Shell) -> None:
    shell.file(
        "m.yaml", SWEEP.replace("prompts: [a face]\n    matrix: {aspect_ratio: [3:4]", "matrix: {aspect_ratio: [16:9]")
    )
    wanted = "4 requests are in the manifest more than once (the first at m.yaml:2)"
    assert wanted in planned(shell)["warnings"][0]
    for _ in range(2):
        came = shell("run", "m.yaml", "--simulate", "--rate", "500/s", "--progress", "lines")
        assert came.code == 0
        assert f"warning: {wanted}" in came.err


@pytest.mark.parametrize("limit", [("--limit", "2"), ("--limit=2",)])
def test_what_a_limited_run_says_to_type_next_goes_on(shell: Shell, limit: tuple[str, ...]) -> None:
    shell.file("m.yaml", SWEEP)
    stopped_run = shell("run", "m.yaml", *limit, *QUICK)
    assert stopped_run.code == 4
    text = stopped_run.out + stopped_run.err
    command = next(line for line in text.splitlines() if line.startswith("  batcher run"))
    assert shell(*command.split()[1:]).code == 0
