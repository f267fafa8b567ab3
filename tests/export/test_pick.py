"""``batcher pick`` and ``batcher more``: keepers by expression, file or score, and new seeds where there are none."""

import contextlib
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.__main__ import main
from batcher.store import additions, picks
from tests.export.conftest import Batcher

MANIFEST = """\
prompts: [a heron, {prompt: a kite, id: kite, meta: {style: ink}}]
matrix: {aspect_ratio: ["16:9", "1:1"], seed: [3, 1, 10]}
"""
RUN = ("--simulate", "--progress", "none", "--rate", "200/s", "--budget", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the manifest and its run; never written to."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "n.yaml").write_text(MANIFEST)
    with contextlib.chdir(folder):
        assert main(["run", "n.yaml", "-o", "run", *RUN]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.fixture
def pick(batcher: Batcher, run: Path) -> Callable[..., Any]:
    def picked(*words: object) -> Any:
        came = batcher("pick", run, *words, "--json")
        assert came.code in {0, 3}, came
        return came.json

    return picked


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def verdicts(run: Path) -> list[str | None]:
    return [record.get("pick") for record in records(run)]


def test_an_expression_picks_and_records_carry_it(pick: Callable[..., Any], run: Path) -> None:
    facts = pick("--where", 'seed == 3 and meta.style == "ink"', "yes")
    assert (facts["pictures"], facts["yes"], facts["written"]) == (2, 2, 2)
    assert verdicts(run).count("yes") == 2
    line = json.loads((run / "picks.jsonl").read_text().splitlines()[0])
    assert line["sha256"] == next(one["sha256"] for one in records(run) if one["job"] == line["job"])
    assert pick("--where", 'pick == "yes"', "yes")["unchanged"] == 2  # said already: no line is written
    assert len((run / "picks.jsonl").read_text().splitlines()) == 2


def test_stars_and_tags_are_added_to_what_was_said_and_clear_takes_all_back(
    pick: Callable[..., Any], run: Path
) -> None:
    pick("--where", "seed == 3", "yes", "--tag", "sea")
    pick("--where", "seed == 3", "--stars", 4, "--tag", "sky")
    (record, *_) = [one for one in records(run) if one["inputs"]["seed"] == 3]
    assert (record["pick"], record["stars"], record["tags"]) == ("yes", 4, ["sea", "sky"])
    assert pick("--where", "stars == 4", "clear")["cleared"] == 4
    assert not any("pick" in one or "stars" in one for one in records(run))


def test_the_best_of_each_group_by_a_score_from_a_file(pick: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    scores = {record["file"]: number % 7 for number, record in enumerate(records(run))}
    with (tmp_path / "s.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "aesthetic"), *scores.items()])
    facts = pick("--from", tmp_path / "s.csv", "--best", 1, "--rest", "no")
    assert (facts["groups"], facts["yes"], facts["no"]) == (4, 4, 8)
    for group in {(one["prompt_id"], one["inputs"]["aspect_ratio"]) for one in records(run)}:
        of_it = [one for one in records(run) if (one["prompt_id"], one["inputs"]["aspect_ratio"]) == group]
        (kept,) = [one for one in of_it if one["pick"] == "yes"]
        assert scores[kept["file"]] == max(scores[one["file"]] for one in of_it)


def test_rows_name_images_by_job_file_or_prompt_id_and_strangers_are_counted(
    pick: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    one, other, *_ = records(run)
    lines: list[dict[str, Any]] = [
        {"job": one["job"][:12], "pick": "yes"},
        {"file": f"/somewhere/{other['file']}", "stars": 5, "pick": True},
        {"prompt_id": "kite", "pick": "no", "tags": "a, b"},
        {"job": "f" * 32, "pick": "yes"},
    ]
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = pick("--from", tmp_path / "v.jsonl")
    assert (facts["yes"], facts["no"], facts["unmatched"], facts["exit_code"]) == (2, 6, 1, 3)


def test_verdicts_of_another_person_are_taken_as_they_are(pick: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    pick("--where", "seed == 3", "yes", "--by-whom", "anna")
    (run / "picks.jsonl").rename(tmp_path / "hers.jsonl")
    facts = pick("--from", tmp_path / "hers.jsonl")
    assert facts["yes"] == 4
    assert verdicts(run).count("yes") == 4


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("yes",), "no images are named"),
        (("--where", "seed == 3"), "no verdict is given"),
        (("--where", "seed = 3", "yes"), "write '=='"),
        (("--where", "sed == 3", "yes"), "did you mean seed?"),
        (("--best", "1"), "--by COLUMN"),
        (("--best", "1", "--by", "nothing"), "there is no such column"),
        (("--best", "1", "no"), "--best picks"),
        (("--rest", "no", "--where", "seed == 3"), "go with --best"),
        (("maybe", "--where", "seed == 3"), "not a verdict"),
        (("--from", "gone.csv"), "can't be read"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    words: tuple[str, ...], why: str, batcher: Batcher, run: Path
) -> None:
    came = batcher("pick", run, *words)
    assert came.code == 64
    assert why in " ".join(came.err.split())
    assert not (run / "picks.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prompt,score\na kite,1\n", "names no image"),
        ("job,pick\nabc,maybe\n", "Write yes, no"),
        ("job,stars\nabc,9\n", "0 to 5"),
        ("job,pick\nabc,yes,more\n", "more cells"),
        ("job,score\n{job},1\n", "--best 1 --by"),
        ("", "no rows"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(
    text: str, why: str, batcher: Batcher, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.csv").write_text(text.replace("{job}", records(run)[0]["job"]))
    came = batcher("pick", run, "--from", tmp_path / "s.csv")
    assert came.code == 64
    assert why in " ".join(came.err.split())
    assert not (run / "picks.jsonl").exists()


def test_more_adds_seeds_to_every_group_without_a_keeper_and_the_same_command_makes_them(
    batcher: Batcher, pick: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    pick("--where", 'seed == 3 and meta.style == "ink"', "yes")
    asked = batcher("more", run, "--seeds", 2, "--json", "--dry-run").json
    assert (asked["groups"], asked["jobs"], asked["groups_with_a_keeper"], asked["added"]) == (2, 4, 2, False)
    assert asked["cost_usd"] == 0.08
    assert asked["budget_left_usd"] == 0.76
    assert not (run / "additions.jsonl").exists()
    assert batcher("more", run, "--seeds", 2, "--yes").code == 0
    assert len(list(additions.jobs(run))) == 4
    came = batcher("run", tmp_path / "n.yaml", "-o", run, *RUN, "--json")
    assert (came.code, came.json["total"], came.json["submits"]) == (0, 16, 4)
    assert len(records(run)) == 16
    again = batcher("run", tmp_path / "n.yaml", "-o", run, *RUN, "--json").json
    assert (again["total"], again["submits"]) == (16, 0)


def test_more_twice_adds_twice_and_says_so_first(batcher: Batcher, run: Path) -> None:
    assert batcher("more", run, "--seeds", 1, "--yes").code == 0
    came = batcher("more", run, "--seeds", 1, "--yes")
    assert "4 jobs were added before" in came.out
    added = list(additions.jobs(run))
    assert len({job.key for job in added}) == 8


def test_more_stays_in_the_run_when_the_manifest_is_edited(batcher: Batcher, run: Path, tmp_path: Path) -> None:
    batcher("more", run, "--seeds", 1, "--where", 'prompt_id == "kite"', "--yes")
    (tmp_path / "n.yaml").write_text(MANIFEST.replace("[3, 1, 10]", "[3, 1]"))
    came = batcher("run", tmp_path / "n.yaml", "-o", run, *RUN, "--json")
    assert (came.json["total"], came.json["submits"]) == (8 + 2, 2)


def test_more_asks_nobody_where_nobody_is_and_adds_nothing(batcher: Batcher, run: Path) -> None:
    came = batcher("more", run, "--seeds", 1, "--json")
    assert (came.code, "--yes" in came.err) == (64, True)
    assert not (run / "additions.jsonl").exists()


def test_more_with_a_keeper_everywhere_says_so(batcher: Batcher, pick: Callable[..., Any], run: Path) -> None:
    pick("--where", "seed == 3", "yes")
    came = batcher("more", run, "--seeds", 1, "--yes")
    assert (came.code, "every group has a keeper" in came.err) == (64, True)


def test_an_image_that_was_made_anew_is_no_keeper(batcher: Batcher, pick: Callable[..., Any], run: Path) -> None:
    pick("--where", "seed == 3", "yes")
    verdicts = [verdict.as_json() | {"sha256": "0" * 64} for verdict in picks.read(run).verdicts.values()]
    (run / "picks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in verdicts))
    assert batcher("more", run, "--seeds", 1, "--json", "--dry-run").json["groups"] == 4
