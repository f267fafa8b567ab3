import json
from pathlib import Path
from typing import Any

from batcher.core.job import Artifact, Entry, Job, State
from batcher.core.sidecar import sidecar
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

MANIFEST = """\
prompts:
  - {prompt: "A {time} heron", id: heron, vars: {time: [misty, frozen]}, meta: {set: birds, n: [1, 2]}}
  - A kite
  - A kite
matrix: {seed: 1..2}
"""


def record(job: Job, index: int = 0, **changes: Any) -> str:
    """As a run writes it."""
    entry = Entry(id=1, job=job, state=State.DONE, path=job.path)
    artifact = Artifact(
        file="images/a.png",
        bytes=1,
        sha256="00",
        mime="image/png",
        width=1,
        height=1,
        url="https://example.com/a.png",
        output_index=index,
        output_count=2,
        downloaded_at=3.0,
    )
    return json.dumps({**sidecar(entry, artifact, simulated=True, version="0"), **changes}, ensure_ascii=False) + "\n"


def finished(folder: Path) -> tuple[list[Job], str]:
    all_jobs = jobs(write(folder, MANIFEST))
    return all_jobs, write(folder, "".join(map(record, all_jobs)), "records.jsonl")


def test_the_records_of_a_run_make_the_same_jobs_again(tmp_path: Path) -> None:
    before, path = finished(tmp_path)
    again = jobs(path)
    for name in ("key", "model", "inputs", "copy", "prompt_id", "meta"):
        assert [getattr(job, name) for job in again] == [getattr(job, name) for job in before]


def test_a_request_that_made_several_images_is_one_job(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, MANIFEST))
    lines = [record(job, index) for job in all_jobs for index in (0, 1)]
    manifest = checked(write(tmp_path, "".join(lines), "records.jsonl"))
    assert [job.key for job in manifest.made] == [job.key for job in all_jobs]


def test_the_model_is_that_of_the_records_unless_another_is_named(tmp_path: Path) -> None:
    (job, *_), _ = finished(tmp_path)
    path = write(tmp_path, record(job, model="a/b"), "records.jsonl")
    assert open_manifest(path, Overrides()).model == "a/b"
    (again,) = checked(path, model=DEFAULT_MODEL).jobs()
    assert again.key == job.key


def test_records_of_two_models_are_refused_where_the_second_begins(tmp_path: Path) -> None:
    (one, two, *_), _ = finished(tmp_path)
    (problem,) = problems(write(tmp_path, record(one) + record(two, model="a/b"), "records.jsonl"))
    assert problem.line == 2
    assert problem.column == record(two).index('"model"') + 1
    assert "this record is for `a/b`" in problem.what


def test_records_can_be_named_in_a_yaml_manifest_and_by_their_format(tmp_path: Path) -> None:
    before, path = finished(tmp_path)
    other = write(tmp_path, Path(path).read_text(), "old.txt")
    assert inputs(jobs(other, format="records"), "seed") == inputs(before, "seed")
    text = "prompts: [{file: records.jsonl, meta: {again: yes}}]\n"
    again = jobs(write(tmp_path, text))
    assert [job.key for job in again] == [job.key for job in before]
    assert again[0].meta == {"set": "birds", "n": [1, 2], "again": True}


def test_what_is_no_record_or_has_an_input_the_model_does_not_take_is_told_by_line_and_column(tmp_path: Path) -> None:
    (job, *_), _ = finished(tmp_path)
    odd = record(job, inputs={"prompt": "A", "sed": 1})
    errors = problems(write(tmp_path, record(job) + odd + '{"prompt": "A"}\n' + record(job, meta=3), "records.jsonl"))
    assert [problem.line for problem in errors] == [2, 3, 4]
    assert errors[0].column == odd.index('"sed"') + 1
    assert "`sed` is not an input" in errors[0].what
    assert "a record of a run must have" in errors[1].what
    assert "`meta` an object" in errors[2].what
