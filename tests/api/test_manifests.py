"""Manifests from memory: what a program has, checked by the code that checks files, with places in Python's words."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import batcher


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inputs(manifest: Any, **options: Any) -> list[dict[str, Any]]:
    facts = batcher.plan(manifest, simulate=True, **options).facts
    return [job["inputs"] for job in facts["first"]]


def test_a_list_of_texts_and_a_list_of_dicts_are_rows() -> None:
    assert [one["prompt"] for one in inputs(["a kite", "a hill\nwith a house"])] == ["a kite", "a hill\nwith a house"]
    assert inputs([{"prompt": "a kite", "seed": 3}])[0]["seed"] == 3


def test_a_dict_has_the_keys_of_the_yaml() -> None:
    manifest = {"defaults": {"aspect_ratio": "1:1"}, "prompts": ["a kite"], "matrix": {"seed": [1, 2]}}
    assert [one["seed"] for one in inputs(manifest)] == [1, 2]
    assert inputs(manifest)[0]["aspect_ratio"] == "1:1"


def test_a_generator_and_named_tuples_are_rows() -> None:
    from collections import namedtuple  # noqa: PLC0415  the plain kind is what people have

    row = namedtuple("row", "prompt seed")  # noqa: PYI024
    assert [one["seed"] for one in inputs(row(f"kite {n}", n) for n in range(3))] == [0, 1, 2]


def test_tables_of_pandas_polars_and_datasets_are_rows() -> None:
    pandas, polars, datasets = map(pytest.importorskip, ("pandas", "polars", "datasets"))
    table = {"prompt": ["a kite", "a hill"], "seed": [4, 5]}
    for made in (pandas.DataFrame(table), polars.DataFrame(table), datasets.Dataset.from_dict(table)):
        assert [one["seed"] for one in inputs(made)] == [4, 5], type(made)


def test_an_empty_cell_of_a_table_is_no_value_and_numbers_of_numpy_are_numbers() -> None:
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    table = pandas.DataFrame({"prompt": ["a kite", "a hill"], "seed": [4, None], "aspect_ratio": ["1:1", None]})
    first, second = inputs(table)
    assert (first["seed"], first["aspect_ratio"]) == (4, "1:1")
    assert "seed" not in second
    assert inputs([{"prompt": "a kite", "seed": numpy.int64(7)}])[0]["seed"] == 7


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        (Decimal("NaN"), "not a number"),
        (dt.date(2026, 1, 2), "date"),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "datetime"),
        (b"bytes", "bytes"),
        ({"deep": [{"er": object()}]}, "object"),
        (print, "builtin_function_or_method"),
    ],
)
def test_a_value_that_cant_be_sent_has_its_place_and_what_to_do(value: Any, what: str) -> None:
    rows = [{"prompt": "a kite"}, {"prompt": "a hill", "seed": value}]
    with pytest.raises(batcher.ManifestError) as refused:
        batcher.run(rows, out="run", simulate=True)
    (problem,) = refused.value.problems
    assert problem.file.startswith("rows[1].seed")
    assert what in problem.what
    assert problem.mend
    assert refused.value.exit_code == 65
    assert not Path("run").exists()


def test_what_the_model_does_not_take_has_its_place_in_rows_and_in_a_dict() -> None:
    rows = [{"prompt": f"kite {n}", "aspect_ratio": "1:1"} for n in range(5)]
    rows[3]["aspect_ratio"] = "17:9"
    with pytest.raises(batcher.ManifestError) as refused:
        batcher.run(rows, out="run", simulate=True)
    assert refused.value.problems[0].file == "rows[3].aspect_ratio"
    with pytest.raises(batcher.ManifestError) as refused:
        batcher.plan({"prompts": ["x", {"prompt": "y", "aspect_ratio": "17:9"}]}, simulate=True)
    assert refused.value.problems[0].file == "manifest.prompts[1].aspect_ratio"
    assert not Path("run").exists()


def test_nested_objects_are_carried_in_meta_and_refused_as_an_input_that_takes_none() -> None:
    (row,) = [{"prompt": "a kite", "meta": {"shot": {"lens": [35, {"by": "me"}]}}}]
    batcher.run([row], out="run", simulate=True)
    assert batcher.open("run").images()[0].meta == row["meta"]
    for name in ("prompt", "seed", "negative_prompt"):
        with pytest.raises(batcher.ManifestError) as refused:
            batcher.plan([{"prompt": "a kite", name: {"a": {"b": 1}}}], simulate=True)
        (problem,) = refused.value.problems
        assert problem.file == f"rows[0].{name}"
        assert "not the mapping" in problem.what
        assert problem.mend


def test_two_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([["a", "b"]], columns=["prompt", "prompt"])
    with pytest.raises(batcher.ManifestError, match="two columns are called prompt"):
        batcher.plan(table, simulate=True)


def test_rows_that_end_in_an_error_submit_nothing() -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield {"prompt": "a kite"}
        raise LookupError("no such album")

    with pytest.raises(batcher.UsageError, match="LookupError: no such album") as refused:
        batcher.run(rows(), out="run", simulate=True)
    assert isinstance(refused.value.__cause__, LookupError)
    assert not Path("run").exists()


@pytest.mark.parametrize("manifest", [7, None, object(), [7], [], [["a"]]])
def test_what_is_no_manifest_is_refused_in_words(manifest: Any) -> None:
    with pytest.raises((batcher.UsageError, batcher.ManifestError)):
        batcher.plan(manifest, simulate=True)


def test_a_structure_that_holds_itself_is_refused() -> None:
    row: dict[str, Any] = {"prompt": "a kite"}
    row["meta"] = row
    with pytest.raises(batcher.ManifestError, match="nested too deep"):
        batcher.plan([row], simulate=True)


def test_the_manifest_stands_in_the_run_directory_and_a_command_resumes_it() -> None:
    from batcher.__main__ import main  # noqa: PLC0415

    batcher.run(["a kite", "a hill"], out="run", simulate=True, limit=1, rate=100)
    assert Path("run/manifest.jsonl").read_text() == '{"prompt": "a kite"}\n{"prompt": "a hill"}\n'
    assert main(["run", "run", "--limit", "2", "--progress", "none"]) == 0
    assert batcher.open("run").status().done == 2


def test_a_start_that_comes_to_nothing_leaves_the_manifest_that_was_there() -> None:
    batcher.run(["a kite"], out="run", simulate=True, rate=100)
    with pytest.raises(batcher.ManifestError):
        batcher.run([{"prompt": "a hill", "aspect_ratio": "17:9"}], out="run", simulate=True)
    assert Path("run/manifest.jsonl").read_text() == '{"prompt": "a kite"}\n'
