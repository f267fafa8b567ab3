"""What a plan says is what a run does: the names of the first pictures, how many texts there are, and no word twice."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.support.command_line import Shell

QUICK = ("--simulate", "--rate", "500/s", "--progress", "none")
GROUPS = """
prompts: [{prompt: one, id: a}, {prompt: two, id: b}]
output: {path: "{prompt_id}"}
groups: {x: {matrix: {seed: 1}}, y: {matrix: {seed: 2}}}
"""


def named(shell: Shell, *words: str) -> list[str]:
    return [job["path"] for job in shell("plan", *words, "--simulate", "--json").json["first"]]


def pictures(shell: Shell) -> set[str]:
    return {name.partition("images/")[2][:-4] for name in shell.tree() if name.endswith(".png")}


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.csv", "id,prompt\na,one\nA,two\na,three\nb,four\n"), ("m.yaml", GROUPS)],
)
def test_the_first_jobs_have_the_names_that_the_run_gives_them(shell: Shell, name: str, text: str) -> None:
    shell.file(name, text)
    names = named(shell, name)
    assert len(names) == 4
    assert len({path.lower() for path in names}) == 4
    assert shell("run", name, *QUICK).code == 0
    assert {f"images/{path}" for path in pictures(shell)} == set(names)
    assert named(shell, name) == names


def test_a_new_job_whose_name_an_earlier_run_took_is_shown_with_its_key(shell: Shell) -> None:
    shell.file("m.csv", "id,prompt\na,one\nb,two\n")
    assert shell("run", "m.csv", *QUICK).code == 0
    shell.file("m.csv", "id,prompt\nb,one more\nb,two\n")
    names = named(shell, "m.csv")
    assert names[0].startswith("images/0000/b_")
    assert names[1] == "images/0000/b"
    assert shell("run", "m.csv", *QUICK).code == 0
    assert set(names) < {f"images/{path}" for path in pictures(shell)}


def test_a_plan_says_how_many_texts_its_templates_and_vars_make(shell: Shell) -> None:
    shell.file(
        "m.yaml",
        """
prompts:
  - a {red|blue} {fox|cat}
  - {prompt: "a {w} fox", vars: {w: [wet, dry, old]}}
  - {prompt: plain, repeat: 5}
dynamic: true
matrix: {aspect_ratio: ["1:1", "16:9"]}
""",
    )
    facts = shell("plan", "m.yaml", "--simulate", "--json").json
    assert (facts["prompts"], facts["texts"], facts["jobs"]) == (3, 8, 24)
    assert "24 jobs from 3 prompts (8 texts)" in shell("plan", "m.yaml", "--simulate").out
    shell.file("p.txt", "a {red|blue} fox\n")
    assert "1 job from 1 prompt\n" in shell("plan", "p.txt", "--simulate").out
    assert "2 jobs from 1 prompt (2 texts)\n" in shell("plan", "p.txt", "--simulate", "--dynamic").out


def test_a_model_that_nobody_knows_is_warned_of_once(shell: Shell) -> None:
    shell.file("m.yaml", "model: some/model\ngroups: {a: {prompts: [x]}, b: {prompts: [y]}}\n")
    (warning,) = shell("plan", "m.yaml", "--json").json["warnings"]
    assert "some/model are not checked" in warning


@pytest.mark.parametrize("text", [GROUPS, "prompts: [one, two, three, four]\n"])
def test_a_plan_that_resubmits_what_is_in_doubt_says_what_that_costs(shell: Shell, text: str) -> None:
    shell.file("m.yaml", text)
    assert shell("run", "m.yaml", *QUICK, "--limit", "3").code == 4
    with closing(sqlite3.connect(shell.folder / "runs/m/state.db")) as state, state:
        state.execute("DELETE FROM images WHERE job_id < 3")
        for number, word in enumerate(("in_doubt", "submitting"), 1):
            statement = "UPDATE jobs SET state = ?, outcome = ?, request_id = NULL WHERE id = ?"
            state.execute(statement, (word, word, number))
    shutil.rmtree(shell.folder / "runs/m/images")  # a picture that lies there would not be paid for again
    (shell.folder / "runs/m/.departures.jsonl").unlink()  # nor what the journal knows the answer of
    held, again = (
        shell("plan", "m.yaml", "--simulate", "--json", "--in-doubt", word).json for word in ("hold", "resubmit")
    )
    assert (held["to_submit"], held["cost_usd"]) == (1, 0.02)
    assert (again["to_submit"], again["cost_usd"]) == (3, 0.06)
    came = shell("run", "m.yaml", *QUICK, "--in-doubt", "resubmit", "--json")
    assert came.json["submits"] == 3, came
