"""``additions.jsonl``: jobs that were added to a run, as jobs again."""

import json
from pathlib import Path

import pytest

from batcher.core.errors import UsageError
from batcher.core.job import Job, job_key
from batcher.store import additions
from batcher.store.additions import ADDITIONS

MODEL = "google-deepmind/imagen-4/fast/text-to-image"


def job(seed: int, path: str = "kite/s1") -> Job:
    inputs = {"prompt": "a kite", "seed": seed}
    return Job(
        key=job_key(MODEL, inputs), model=MODEL, inputs=inputs, copy=1, prompt_id="kite", meta={"style": "ink"},
        source="birds.csv", line=2, path=path,
    )  # fmt: skip


def test_jobs_come_back_as_they_were_added_each_once(tmp_path: Path) -> None:
    assert list(additions.jobs(tmp_path)) == []
    additions.append(tmp_path, [job(1), job(2)])
    additions.append(tmp_path, [job(2), job(3)])
    assert list(additions.jobs(tmp_path)) == [job(1), job(2), job(3)]


def test_a_line_has_the_form_of_records_jsonl(tmp_path: Path) -> None:
    additions.append(tmp_path, [job(1)])
    line = json.loads((tmp_path / ADDITIONS).read_text())
    assert line["job"] == job(1).key
    assert line["inputs"] == {"prompt": "a kite", "seed": 1}
    assert line["source"] == {"manifest": "birds.csv", "line": 2}


def test_half_a_line_at_the_end_is_passed_over_and_cut_off_by_the_next_addition(tmp_path: Path) -> None:
    additions.append(tmp_path, [job(1)])
    with (tmp_path / ADDITIONS).open("ab") as file:
        file.write(b'{"schema": "batcher/1", "jo')
    assert list(additions.jobs(tmp_path)) == [job(1)]
    additions.append(tmp_path, [job(2)])
    assert list(additions.jobs(tmp_path)) == [job(1), job(2)]


def test_a_line_that_was_changed_is_refused_with_its_place(tmp_path: Path) -> None:
    additions.append(tmp_path, [job(1), job(2)])
    path = tmp_path / ADDITIONS
    path.write_text(path.read_text().replace("a kite", "a boat", 1))
    with pytest.raises(UsageError, match=r"additions\.jsonl:1: "):
        list(additions.jobs(tmp_path))


def test_a_path_can_not_leave_the_folder_of_images(tmp_path: Path) -> None:
    additions.append(tmp_path, [job(1, path="../../etc/x")])
    (added,) = additions.jobs(tmp_path)
    assert ".." not in added.path.split("/")
