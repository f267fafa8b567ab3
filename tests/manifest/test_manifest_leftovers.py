"""Rows of a table that are no prompts: an error for a run, a warning for a plan; a header that stands there twice."""

import json
from pathlib import Path

import pytest

from batcher.manifest import Overrides, open_manifest
from tests.manifest.manifest_reading import IMAGEN, checked, inputs, jobs, problems, write

ROWS = "prompt,cost\na kite,1\na fox,2\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{ROWS}#REF!,3\na hill,4\n", 4, "not a prompt"),
        (f"{ROWS}NULL,3\n", 4, "not a prompt"),
        (f"{ROWS}Total,3\n", 4, "the last row"),
        (f'{ROWS},\nTOTAL:,"$1,234.50"\n', 5, "the last row"),
        (f"{ROWS}Sum,3\nAverage,1.5\n", 4, "the last row"),
    ],
)
def test_a_row_that_is_no_prompt_is_an_error_for_a_run_and_a_warning_for_a_plan(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = write(tmp_path, text, "p.csv")
    first = problems(path)[0]
    assert (first.line, first.column) == (line, 1)
    assert words in first.what
    with open_manifest(path, Overrides()) as loader:
        made = list(loader.jobs(IMAGEN, lenient=True))
        assert loader.totals is not None
        assert any(words in warning for warning in loader.totals.warnings)
    assert made == jobs(path, format="csv"), "a named format sends them as they stand"


@pytest.mark.parametrize("name", ["p.tsv", "p.jsonl", "p.json"])
def test_it_is_seen_in_every_table(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": "a kite", "cost": 1}, {"prompt": "#N/A", "cost": 1}, {"prompt": "Total", "cost": 2}]
    lines = [json.dumps(row) for row in rows]
    text = {
        "p.tsv": "prompt\tcost\n" + "".join(f"{row['prompt']}\t{row['cost']}\n" for row in rows),
        "p.jsonl": "\n".join(lines),
        "p.json": json.dumps(rows),
    }[name]
    assert len(problems(write(tmp_path, text, name))) == 2


@pytest.mark.parametrize("text", [f"{ROWS}Total,3\na hill,4\n", f"{ROWS}Total,a film\n", "prompt\na kite\nTotal\n"])
def test_a_word_for_a_sum_that_stands_elsewhere_is_a_prompt(tmp_path: Path, text: str) -> None:
    assert "Total" in inputs(jobs(write(tmp_path, text, "p.csv")), "prompt")


def test_many_rows_without_a_value_are_three_places_and_a_count(tmp_path: Path) -> None:
    errors = problems(write(tmp_path, "prompt,cost\n" + "nan,1\n" * 40, "p.csv"))
    assert len(errors) == 3
    assert "37 more" in errors[-1].what


def test_a_header_once_more_is_left_out_and_said(tmp_path: Path) -> None:
    read = checked(write(tmp_path, "prompt,seed\na kite,7\n\ufeffprompt,seed\na fox,8\n", "p.csv"))
    assert [(job.inputs["prompt"], job.line) for job in read.made] == [("a kite", 2), ("a fox", 4)]
    assert [":3: the header is repeated here" in warning for warning in read.warnings] == [True]


def test_another_header_in_between_is_refused(tmp_path: Path) -> None:
    first = problems(write(tmp_path, "prompt,seed\na kite,7\nseed,prompt\n8,a fox\n", "p.csv"))[0]
    assert (first.line, "another order" in first.what) == (3, True)


@pytest.mark.parametrize(
    ("values", "words"),
    [("fox, cat", "write [fox, cat] for 2 texts"), ("fox | cat", "for 2 texts"), ('"fox, cat"', ""), ("fox", "")],
)
def test_a_var_that_looks_like_a_list_and_is_one_text_is_warned_of(tmp_path: Path, values: str, words: str) -> None:
    text = f"prompts:\n  - prompt: a {{animal}}\n    vars:\n      animal: {values}\n"
    read = checked(write(tmp_path, text))
    assert any(words in warning for warning in read.warnings) is bool(words)


def test_a_var_that_is_the_name_of_a_file_is_an_error_for_a_run(tmp_path: Path) -> None:
    write(tmp_path, "fox\ncat\n", "animals.txt")
    path = write(tmp_path, "prompts:\n  - prompt: a {animal}\n    vars: {animal: animals.txt}\n")
    assert "{file: animals.txt}" in problems(path)[0].mend


def test_a_last_row_with_nothing_but_its_prompt_is_warned_of(tmp_path: Path) -> None:
    rows = "".join(f"kite {number},{number}\n" for number in range(9))
    note = "Exported from a program,\n"
    read = checked(write(tmp_path, f"prompt,seed\n{rows}{note}", "p.csv"))
    assert [":11: the last row has only its prompt" in text for text in read.warnings] == [True]
    for other in (f"prompt,seed\n{rows}{note}{rows}", f"prompt,seed\n{note}{rows}{note}"):
        assert not any("has only its prompt" in text for text in checked(write(tmp_path, other, "p.csv")).warnings)


def test_a_word_for_nothing_among_negative_prompts_is_warned_of_once(tmp_path: Path) -> None:
    read = checked(write(tmp_path, "prompt,negative_prompt\na kite,NULL\na fox,blur\na hill,NULL\n", "p.csv"))
    assert [":2: `negative_prompt`" in text for text in read.warnings].count(True) == 1


@pytest.mark.parametrize("name", ["model", "Model", "model_id", "modelId"])
def test_a_model_of_one_prompt_is_refused_in_yaml_in_any_spelling(tmp_path: Path, name: str) -> None:
    (problem,) = problems(write(tmp_path, f"prompts:\n  - {{prompt: a kite, {name}: a/b/c}}\n"))
    assert "run it once for each" in problem.mend
