"""Parquet as a manifest and as a file of one: columns as in CSV, with types, a few rows at a time."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import ManifestError
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.extras import install_command
from batcher.manifest.readers.tables import parquet
from tests.manifest.manifest_reading import IMAGEN, checked, inputs, jobs, problems, write

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def table(folder: Path, columns: dict[str, Any], name: str = "p.parquet", **options: Any) -> str:
    pq.write_table(pa.table(columns), folder / name, **options)
    return str(folder / name)


def test_columns_are_inputs_ids_and_meta_as_in_csv(tmp_path: Path) -> None:
    columns = {"Prompt": ["a", "b"], "Seed": [1, 2], "id": [7, None], "category": ["x", None], "n": [1.5, float("nan")]}
    all_jobs = jobs(table(tmp_path, columns))
    assert [job.inputs for job in all_jobs] == [{"prompt": "a", "seed": 1}, {"prompt": "b", "seed": 2}]
    assert [job.meta for job in all_jobs] == [{"category": "x", "n": 1.5}, {}]
    assert [job.line for job in all_jobs] == [1, 2]
    assert all_jobs[0].prompt_id == "7"


def test_null_is_a_value_that_is_not_given_and_whole_rows_of_it_are_passed_over(tmp_path: Path) -> None:
    columns = {
        "prompt": ["a", None, "b"],
        "seed": pa.array([None, None, 3], pa.int32()),
        "aspect_ratio": ["", None, "1:1"],
    }
    assert [job.inputs for job in jobs(table(tmp_path, columns))] == [
        {"prompt": "a"},
        {"prompt": "b", "seed": 3, "aspect_ratio": "1:1"},
    ]


def test_integers_are_exact_whatever_their_width(tmp_path: Path) -> None:
    columns = {"prompt": ["a"], "seed": pa.array([2**63 - 1]), "big": pa.array([2**64 - 1], pa.uint64())}
    (job,) = jobs(table(tmp_path, columns))
    assert (job.inputs["seed"], job.meta["big"]) == (2**63 - 1, 2**64 - 1)
    (job,) = jobs(table(tmp_path, {"prompt": ["a"], "seed": [7.0]}))  # pandas makes floats of integers beside nulls
    assert type(job.inputs["seed"]) is int


def test_texts_for_an_input_are_read_as_in_csv(tmp_path: Path) -> None:
    columns = {"prompt": ["a", "b"], "seed": pa.array(["7", "x"]).dictionary_encode()}
    (error,) = problems(table(tmp_path, columns))
    assert (error.line, error.column) == (2, 2)
    assert "must be an integer" in error.what


def test_what_json_has_no_type_for_becomes_text_and_lists_stay_lists(tmp_path: Path) -> None:
    columns = {
        "prompt": ["a"],
        "when": pa.array([datetime(2024, 1, 2, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
        "day": [date(2024, 1, 2)],
        "price": [Decimal("1.50")],
        "tags": [["x", None]],
        "nested": [{"a": {"b": [1, float("nan")]}}],
        "infinite": [float("inf")],
        "large": pa.array(["l"], pa.large_string()),
    }
    (job,) = jobs(table(tmp_path, columns))
    assert job.meta == {
        "when": "2024-01-02 00:00:00.000000000Z",
        "day": "2024-01-02",
        "price": "1.50",
        "tags": ["x", None],
        "nested": {"a": {"b": [1, None]}},
        "infinite": "inf",
        "large": "l",
    }
    json.dumps(job.meta, allow_nan=False)


def test_bytes_are_refused_for_a_prompt_and_left_out_with_a_warning_elsewhere(tmp_path: Path) -> None:
    (error,) = problems(table(tmp_path, {"id": ["x"], "prompt": [b"a"]}))
    assert (error.line, error.column) == (1, 2)
    assert "holds bytes" in error.what
    manifest = checked(table(tmp_path, {"prompt": ["a"], "image": [{"bytes": b"x", "path": "y"}], "raw": [b"z"]}))
    assert [job.meta for job in manifest.jobs()] == [{}]
    assert [warning.rsplit(": ")[1] for warning in manifest.warnings] == [
        "`image` holds bytes, and is left out",
        "`raw` holds bytes, and is left out",
    ]


def test_errors_name_the_row_and_the_column(tmp_path: Path) -> None:
    columns = {"seed": list(range(500)), "prompt": ["a"] * 499 + [" "], "aspect_ratio": ["1:1"] * 480 + ["7:5"] * 20}
    errors = problems(table(tmp_path, columns, row_group_size=100))
    assert {one.column for one in errors} == {2, 3}
    assert (errors[0].line, errors[-1].line) == (481, 500)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"text": ["a"]}, "no column is called `prompt`"),
        ({"prompt": [7]}, "`prompt` must be text, not 7"),
        ({"prompt": ["a"], "seed": [1], "Seed ": [2]}, "are the input `seed`"),
        ({"prompt": ["a"], "id": [1.5]}, "`id` must be text"),
        ({"prompt": ["a" * (5 * 2**20)]}, "a cell of more than 4 MB"),
        ({"prompt": pa.array([], pa.string())}, "there is no prompt in it"),
        ({}, "no column is called `prompt`"),
    ],
)
def test_a_table_that_is_no_prompt_file_is_an_error(tmp_path: Path, columns: dict[str, Any], what: str) -> None:
    assert what in problems(table(tmp_path, columns))[0].what


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], ["prompt", "n", "n"])
    pq.write_table(twice, tmp_path / "p.parquet")
    assert "two columns are called `n`" in problems(str(tmp_path / "p.parquet"))[0].what


def test_any_prompt_column_any_extension_and_standard_input_will_do(tmp_path: Path) -> None:
    path = table(tmp_path, {"caption": ["a"]}, "p.bin")
    assert inputs(jobs(path, format="parquet", prompt_column="caption"), "prompt") == ["a"]
    with Path(path).open("rb") as stream:
        loader = open_manifest("-", Overrides(format="parquet", prompt_column="caption"), stdin=stream)
    with loader:
        assert [job.source for job in loader.jobs(IMAGEN)] == ["<stdin>"]


def test_a_file_entry_carries_inputs_and_is_recognised(tmp_path: Path) -> None:
    table(tmp_path, {"prompt": ["a {x}", "b"], "seed": [1, 2]}, row_group_size=1)
    path = write(tmp_path, "prompts: [{file: p.parquet, negative_prompt: blur, vars: {x: [c, d]}, meta: {set: p}}]")
    all_jobs = jobs(path)
    assert [(job.inputs["prompt"], job.inputs["seed"], job.meta) for job in all_jobs] == [
        ("a c", 1, {"set": "p"}),
        ("a d", 1, {"set": "p"}),
        ("b", 2, {"set": "p"}),
    ]
    before = checked(path).digest
    assert before == checked(path).digest
    table(tmp_path, {"prompt": ["a {x}", "b"], "seed": [1, 3]}, row_group_size=1)
    assert checked(path).digest != before


def test_without_pyarrow_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, {"prompt": ["a"]})
    monkeypatch.setattr(parquet, "find_spec", lambda _: None)
    (error,) = problems(path)
    assert error.mend == install_command("parquet")


def test_a_parquet_file_by_another_name_is_recognised_for_what_it_is(tmp_path: Path) -> None:
    (error,) = problems(table(tmp_path, {"prompt": ["a"]}, "p.csv"))
    assert "--format parquet" in error.mend


def _sound(columns: dict[str, Any], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, **options)
    return bytes(sink.getvalue().to_pybytes())


SOUND = _sound({"prompt": ["a kite", "a boat"] * 20, "seed": list(range(40)), "tags": [["x"]] * 40}, row_group_size=16)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_an_error_or_other_prompts_and_never_more(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 5))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(content)))
    path = write(tmp_path_factory.mktemp("p"), bytes(content[:cut]), "p.parquet")
    try:
        for job in checked(path).jobs():
            assert isinstance(job.inputs["prompt"], str)
    except ManifestError:
        return
