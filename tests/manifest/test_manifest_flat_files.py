import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import DiskError, ManifestError, UsageError
from batcher.core.job import job_key
from batcher.manifest import Loader, Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from tests.manifest.manifest_reading import IMAGEN, PARTI, checked, inputs, jobs, needs_parti, problems, write

SAMPLES = Path(__file__).parents[2] / "samples"


@needs_parti
def test_parti_prompts_come_through_byte_for_byte_with_their_columns_as_meta() -> None:
    rows = [line.split("\t") for line in PARTI.read_bytes().decode().split("\n")[1:] if line]
    all_jobs = jobs(str(PARTI))
    assert len(all_jobs) == len(rows) == 1632
    assert inputs(all_jobs, "prompt") == [row[0] for row in rows]
    assert [list(job.meta.values()) for job in all_jobs] == [row[1:] for row in rows]
    assert list(all_jobs[0].meta) == ["Category", "Challenge", "Note"]
    assert {"0", "42"} <= set(inputs(all_jobs, "prompt"))
    assert any(text.startswith('"') for text in inputs(all_jobs, "prompt"))
    assert len({job.key for job in all_jobs}) == 1632
    assert [job.line for job in all_jobs] == list(range(2, 1634))


@needs_parti
def test_parti_prompts_swept_over_two_ratios_and_three_seeds_make_9792_jobs() -> None:
    manifest = checked(str(PARTI), matrix=("aspect_ratio=16:9,1:1", "seed=1..3"))
    all_jobs = list(manifest.jobs())
    assert (
        manifest.total
        == len(all_jobs)
        == len({job.key for job in all_jobs})
        == len({job.path for job in all_jobs})
        == 9792
    )
    assert [(j.inputs["aspect_ratio"], j.inputs["seed"]) for j in all_jobs[:4]] == [
        ("16:9", 1),
        ("16:9", 2),
        ("16:9", 3),
        ("1:1", 1),
    ]
    assert manifest.count_by_axis() == {
        "aspect_ratio": {"16:9": 4896, "1:1": 4896},
        "seed": {"1": 3264, "2": 3264, "3": 3264},
    }


@pytest.mark.parametrize(
    ("name", "total"),
    [("csv", 3), ("tsv", 2), ("jsonl", 3), ("json", 3), ("txt", 3), ("yaml", 53)],
)
def test_every_sample_prompt_file_is_a_manifest(name: str, total: int) -> None:
    assert len(jobs(str(SAMPLES / f"prompts.{name}"))) == total


def test_the_sample_folder_reads_in_natural_order_with_stems_as_ids() -> None:
    all_jobs = jobs(str(SAMPLES / "prompts"))
    assert [job.prompt_id for job in all_jobs] == ["1", "2", "10"]
    assert inputs(all_jobs, "prompt")[0] == "A fox in long grass"
    assert {job.line for job in all_jobs} == {1}


def test_cells_of_inputs_get_the_schema_type_and_empty_cells_are_not_given(tmp_path: Path) -> None:
    path = write(tmp_path, "Prompt,Aspect Ratio,SEED,note\na,1:1,7,x\nb,,,\n c ,,007, y \n", "p.csv")
    all_jobs = jobs(path)
    assert [dict(job.inputs) for job in all_jobs] == [
        {"prompt": "a", "aspect_ratio": "1:1", "seed": 7},
        {"prompt": "b"},
        {"prompt": " c ", "seed": 7},
    ]
    assert [job.meta["note"] for job in all_jobs] == ["x", "", " y "]


def one_form(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_whatever_the_csv_module_writes_is_read_back(texts: list[str]) -> None:
    texts = [f"x{text}" for text in texts]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["prompt", "n"], *([text, "1"] for text in texts)])
    with open_manifest("-", Overrides(format="csv"), stdin=io.BytesIO(out.getvalue().encode())) as loader:
        assert [job.inputs["prompt"] for job in loader.jobs(IMAGEN)] == [one_form(text) for text in texts]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1), st.integers(0, 3))
def test_whatever_the_json_module_writes_is_read_back(texts: list[str], indent: int) -> None:
    texts = [f"x{text}" for text in texts]
    data = json.dumps(texts, indent=indent or None, ensure_ascii=indent % 2 == 0).encode()
    with open_manifest("-", Overrides(format="json"), stdin=io.BytesIO(data)) as loader:
        assert [job.inputs["prompt"] for job in loader.jobs(IMAGEN)] == [one_form(text) for text in texts]


def test_a_json_list_larger_than_the_window_keeps_its_lines(tmp_path: Path) -> None:
    texts = [f"{n} {'x' * 5000}" for n in range(300)]
    all_jobs = jobs(write(tmp_path, json.dumps(texts, indent=1), "p.json"))
    assert inputs(all_jobs, "prompt") == texts
    assert [job.line for job in all_jobs] == list(range(2, 302))


def test_multi_line_cells_count_lines_by_the_first_line_of_the_record(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, 'prompt,n\n"a\nb",1\r\n"c ""d""",2\n', "p.csv"))
    assert inputs(all_jobs, "prompt") == ["a\nb", 'c "d"']
    assert [job.line for job in all_jobs] == [2, 4]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_of_a_csv_file_is_told_from_its_header(tmp_path: Path, separator: str) -> None:
    text = f"prompt{separator}seed{separator}note\na{separator}7{separator}x\n"
    assert jobs(write(tmp_path, text, "p.csv"))[0].inputs == {"prompt": "a", "seed": 7}


def test_tsv_keeps_quotes_unless_told_that_they_quote(tmp_path: Path) -> None:
    path = write(tmp_path, 'prompt\tn\n"a" b\t1\n"c\t2\n', "p.tsv")
    assert inputs(jobs(path), "prompt") == ['"a" b', '"c']
    path = write(tmp_path, 'prompt\tn\n"a\tb"\t1\n', "q.tsv")
    assert inputs(jobs(path, format="tsv-quoted"), "prompt") == ["a\tb"]


def test_text_splits_at_the_three_line_ends_and_nowhere_else(tmp_path: Path) -> None:
    text = "a\x0b\x0c\u2028\x85b\r\n\r\n  \n# c\r d \n"
    all_jobs = jobs(write(tmp_path, text, "p.txt"))
    assert inputs(all_jobs, "prompt") == ["a\x0b\x0c\u2028\x85b", "# c", " d "]
    assert [job.line for job in all_jobs] == [1, 4, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_utf_16_with_a_mark_read_alike(tmp_path: Path, encoding: str) -> None:
    all_jobs = jobs(write(tmp_path, "prompt,seed\nhéron ਅ,7\n".encode(encoding), "p.csv"))
    assert all_jobs[0].inputs == {"prompt": "héron ਅ", "seed": 7}


def test_json_objects_keep_nested_data_as_meta_and_merge_theirs(tmp_path: Path) -> None:
    row = {"id": 7, "Prompt": "a", "seed": 1.0, "aspect_ratio": None, "tag": {"x": [1]}, "meta": {"k": "v"}}
    job = jobs(write(tmp_path, json.dumps(row), "p.jsonl"))[0]
    assert job.inputs == {"prompt": "a", "seed": 1}
    assert type(job.inputs["seed"]) is int
    assert job.meta == {"tag": {"x": [1]}, "k": "v"}
    assert job.prompt_id == "7"


def test_a_json_object_of_prompts_takes_its_keys_for_ids(tmp_path: Path) -> None:
    path = write(tmp_path, '{"00001": {"id": 1, "prompt": "a"}, "00002": "b"}', "p.json")
    assert [(job.prompt_id, job.meta) for job in jobs(path)] == [("00001", {"id": 1}), ("00002", {})]


@pytest.mark.parametrize("again", ['"a"', r'"\u0061"'])
def test_an_id_that_a_json_object_has_twice_is_an_error_with_both_places(tmp_path: Path, again: str) -> None:
    text = '{"a": "x", "b": {"prompt": "y", "meta": {"a": 1}},\n  ' + again + ': "z",\n "c": "x", "a": "x"}'
    path = write(tmp_path, text, "p.json")
    errors = problems(path)
    assert [(problem.line, problem.column) for problem in errors] == [(2, 3), (3, 12)]
    assert all(f"`a` appears twice (first at {path}:1:2)" in problem.what for problem in errors)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "prompt,set,kind\na,,\nb,own,x\n"),
        ("p.tsv", "prompt\tset\tkind\na\t\t\nb\town\tx\n"),
        ("p.jsonl", '{"prompt": "a", "set": null, "kind": ""}\n{"prompt": "b", "set": "own", "kind": "x"}\n'),
        ("p.json", '[{"prompt": "a", "meta": {"set": null}, "kind": ""}, {"prompt": "b", "set": "own", "kind": "x"}]'),
    ],
)
def test_an_empty_cell_of_a_meta_column_leaves_what_the_file_entry_says(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, text, name)
    all_jobs = jobs(write(tmp_path, f"prompts: [{{file: {name}, meta: {{set: kites}}}}]\n"))
    assert [dict(job.meta) for job in all_jobs] == [{"set": "kites", "kind": ""}, {"set": "own", "kind": "x"}]


@pytest.mark.parametrize(
    ("text", "flags", "column"),
    [
        ('{"prompt": "a cat", "aspect_ratio": "16:9"}', {}, 12),
        ('{"aspect_ratio": "16:9", "Prompt": "a cat"}', {}, 36),
        ('{"prompts": ["a cat", "a dog"]}', {}, 13),
        ('{"caption": "a cat"}', {"prompt_column": "caption"}, 13),
    ],
)
def test_one_prompt_as_a_json_object_is_not_taken_for_ids_and_prompts(
    tmp_path: Path, text: str, flags: dict[str, Any], column: int
) -> None:
    (problem,) = problems(write(tmp_path, text, "p.json"), **flags)
    assert "not an id" in problem.what or "in the list `prompts`" in problem.what
    assert (problem.line, problem.column) == (1, column)


def test_a_prompt_with_its_own_fields_may_have_prompt_for_its_id(tmp_path: Path) -> None:
    assert inputs(jobs(write(tmp_path, '{"prompt": {"prompt": "a"}}', "p.json")), "prompt") == ["a"]


def test_a_column_that_is_nearly_an_input_is_warned_of(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, "prompt,aspect_ration\na,1:1\n", "p.csv"))
    assert "did you mean `aspect_ratio`?" in manifest.warnings[0]
    assert next(manifest.jobs()).meta == {"aspect_ration": "1:1"}


def test_without_a_schema_common_inputs_are_recognised_and_whoever_has_none_to_give_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt,seed,steps,size\na,7,20,big\n", "p.csv")
    manifest = checked(path, None, set=(("steps", "8"),), model="someone/model")
    assert next(manifest.jobs()).inputs == {"prompt": "a", "seed": 7, "steps": 20}
    (size,) = manifest.warnings
    assert "`size` goes to meta" in size
    empty = ModelSchema.from_json("someone/model", {})
    (problem,) = problems(path, empty, model="someone/model")
    assert "--meta steps" in problem.mend
    assert "names no inputs" in checked(path, empty, model="someone/model", meta=("steps", "size")).warnings[-1]


def test_standard_input_is_kept_so_that_it_can_be_hashed_and_read_and_removed_at_the_end() -> None:
    loader = open_manifest("-", Overrides(), stdin=io.BytesIO(b"a\nb\n"))
    assert loader.digest(IMAGEN) != ""
    assert [job.inputs["prompt"] for job in loader.jobs(IMAGEN)] == ["a", "b"]
    assert loader.name == "stdin"
    loader.close()
    loader.close()
    with pytest.raises(ManifestError):
        list(loader.jobs(IMAGEN))


def test_equal_requests_are_copies_and_identity_is_not_position(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nb\na\na\n", "p.txt")
    all_jobs = jobs(path, matrix=("seed=1..2",))
    assert [job.copy for job in all_jobs] == [1, 1, 1, 1, 2, 2, 3, 3]
    assert all(job.key == job_key(DEFAULT_MODEL, job.inputs, job.copy) for job in all_jobs)
    assert len({job.key for job in all_jobs}) == len({job.path for job in all_jobs}) == 8
    moved = jobs(write(tmp_path, "b\na\na\na\n", "q.txt"), matrix=("seed=1..2",))
    assert {job.key for job in moved} == {job.key for job in all_jobs}


def test_a_pinned_value_and_a_swept_one_that_are_the_same_request_are_copies(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "prompt,seed\na,\na,2\n", "p.csv"), matrix=("seed=1..2",))
    assert [(job.inputs["seed"], job.copy) for job in all_jobs] == [(1, 1), (2, 1), (2, 2)]


def test_a_default_and_the_same_value_written_out_are_the_same_request(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "prompt,aspect_ratio\na,\na,1:1\n", "p.csv"), set=(("aspect_ratio", "1:1"),))
    assert [job.copy for job in all_jobs] == [1, 2]


def test_limit_takes_the_first_jobs(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, "a\nb\nc\n", "p.txt"), matrix=("seed=1..2",), limit=3)
    assert (manifest.total, manifest.whole, len(manifest.made)) == (3, 6, 3)
    assert manifest.count_by_axis() == {"seed": {"1": 2, "2": 1}}
    whole = checked(write(tmp_path, "a\nb\n", "p.txt"), matrix=("seed=1..2",), limit=3)
    assert (whole.total, whole.whole) == (3, 4)


def test_with_a_limit_a_file_is_read_no_further_than_it_needs(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\nb\nc\n" + b"d\n" * 200_000 + b"\xff\n", "p.txt")
    assert len(checked(path, limit=2).made) == 2
    assert "is not UTF-8" in problems(path)[0].what


def test_no_folder_gets_more_than_a_thousand_jobs(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "a\n", "p.txt"), matrix=("seed=1..1001",))
    assert (all_jobs[0].path[:5], all_jobs[999].path[:5], all_jobs[1000].path[:5]) == ("0000/", "0000/", "0001/")
    assert all_jobs[4].path.endswith("_s5")


def test_the_digest_follows_content_and_flags(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nb\n", "p.txt")
    first = checked(path).digest
    assert first == checked(path).digest
    assert first != checked(path, set=(("seed", "7"),)).digest
    assert first != checked(write(tmp_path, "a\nc\n", "p.txt")).digest


def test_a_long_prompt_is_fine_and_one_beyond_a_megabyte_is_not(tmp_path: Path) -> None:
    assert len(inputs(jobs(write(tmp_path, "x" * 100_000, "p.txt")), "prompt")[0]) == 100_000
    assert "longer than 1 MB" in problems(write(tmp_path, "x" * (2**20 + 1), "p.txt"))[0].what


BAD = {
    "p.csv": [
        (b"prompt\n", "there is no prompt"),
        (b"", "is empty"),
        (b"text,n\na,1\n", "no column is called `prompt`"),
        (b"prompt,prompt\na,b\n", "two columns are called `prompt`"),
        (b"prompt,seed,Seed\na,1,2\n", "both `seed` and `Seed`"),
        (b"prompt,seed\na,1,2\n", "3 cells, and the header has 2"),
        (b"prompt,seed\na,abc\n", "`seed` must be an integer"),
        (b"prompt,aspect_ratio\na,2:1\n", "must be one of 16:9, 4:3, 1:1, 3:4, 9:16"),
        (b"prompt,seed\na,18446744073709551616\n", "beyond what 64 bits can hold"),
        (b"prompt,seed\n,1\n", "`prompt` is empty"),
        (b'prompt,n\na,1\nb,"open\nc\n', "a quote is opened here and never closed"),
        (b'prompt,n\na,1\nb,"open', "a quote is opened here and never closed"),
        (b"prompt\ncaf\xe9\n", "is not UTF-8: byte 0xE9 at offset 10"),
        (b"a\0b", "zero byte at offset 1"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image, a binary file"),
        (b"x" * (5 * 2**20), "a line of more than 4 MB"),
    ],
    "p.jsonl": [
        (b"{bad\n", "not valid JSON"),
        (b'{"prompt": "a", "prompt": "b"}', "the key `prompt` appears twice"),
        (b'{"prompt": 3}', "`prompt` must be text, not 3"),
        (b'{"prompt": "a", "seed": NaN}', "NaN is not a JSON number"),
        (b'{"prompt": "a", "seed": true}', "`seed` must be an integer, not true"),
        (b'{"prompt": "a", "x": 1e999}', "too large"),
        (b'{"prompt": "\\ud800"}', "surrogate"),
        (b"[1]", "must be a string or an object"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"p": "a"}', "`prompt` is missing"),
    ],
    "p.json": [
        (b"[]", "there is no prompt"),
        (b'["a"', "the file ends"),
        (b'["a"] x', "more after its end"),
        (b"3", "a list or an object of prompts"),
        (b'["a", 3]', "not 3"),
        (b'["' + b"x" * (9 * 2**20) + b'"]', "more than 4 MB"),
    ],
    "p.txt": [(b"", "there is no prompt"), (b"\n\n \n", "there is no prompt")],
}


@pytest.mark.parametrize(("name", "data", "words"), [(name, *case) for name, cases in BAD.items() for case in cases])
def test_bad_files_are_named_and_described(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    errors = problems(write(tmp_path, data, name))
    assert words in errors[0].what
    assert errors[0].file.endswith(name)
    assert errors[0].mend
    assert all(char.isprintable() for problem in errors for char in str(problem))


def test_a_cell_in_error_is_placed_by_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, 'prompt,note,seed\n"a\nb","x,y",abc\nc,d,e\n', "p.csv")
    assert [(error.line, error.column) for error in problems(path)] == [(3, 10), (4, 5)]


def test_all_errors_come_at_once_one_of_a_kind_and_the_first_fifty_with_a_count(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt,seed\n" + "a,x\n" * 80, "p.csv")
    with pytest.raises(ManifestError) as caught:
        checked(path)
    assert (len(caught.value.problems), caught.value.total) == (1, 80)
    assert "(and 79 more like this)" in str(caught.value)
    path = write(tmp_path, "prompt,seed\n" + "a,x\n" * 3 + "a,y\n" * 20 + "a,z\n" + "a,w\n" * 2, "p.csv")
    with pytest.raises(ManifestError) as caught:
        checked(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 25]
    assert caught.value.total == 26
    assert [str(caught.value).count(f"(and {count} more") for count in (19, 2)] == [1, 1]
    texts = [f"`k{n}` is" for n in range(60)]
    path = write(tmp_path, json.dumps({"prompts": [{"prompt": "a", text: 1} for text in texts]}))
    with pytest.raises(ManifestError) as caught:
        checked(path)
    assert (len(caught.value.problems), caught.value.total) == (50, 60)
    assert "... and 10 more like these" in str(caught.value)


def test_missing_files_and_formats_say_what_to_do(tmp_path: Path) -> None:
    assert "no such file" in problems(str(tmp_path / "none.csv"))[0].what
    assert "--format" in problems(write(tmp_path, "a", "p.prompts"))[0].mend
    assert "no .txt files" in problems(str(tmp_path))[0].what
    assert inputs(jobs(write(tmp_path, "a", "p.prompts"), format="text"), "prompt") == ["a"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"matrix": ("sed=1",)}, "no input `sed`"),
        ({"matrix": ("seed",)}, "no KEY=VALUES"),
        ({"matrix": ("seed=3..1",)}, "counts down"),
        ({"matrix": ("seed=1-20",)}, "is ambiguous"),
        ({"matrix": ("seed=1,,2",)}, "empty value"),
        ({"matrix": ("seed=1", "seed=2")}, "given twice"),
        ({"matrix": ("aspect_ratio=2:1",)}, "must be one of"),
        ({"set": (("seed", "abc"),)}, "must be an integer"),
        ({"set": (("prompt", "abc"),)}, "prompts come from the manifest"),
        ({"format": "xml"}, "no such format"),
    ],
)
def test_bad_flags_are_usage_errors(tmp_path: Path, flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        checked(write(tmp_path, "a", "p.txt"), **flags)


def test_a_spool_that_can_not_be_written_is_a_disk_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(DiskError):
        open_manifest("-", Overrides(), stdin=io.BytesIO(b"a"))


def test_a_check_that_fails_leaves_no_spooled_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stdin = io.BytesIO(b"prompt\n")
    with pytest.raises(ManifestError), open_manifest("-", Overrides(format="csv"), stdin=stdin) as loader:
        list(loader.jobs(IMAGEN))
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    counts: list[int] = []
    path = write(tmp_path, "a\n" * 25_000, "p.txt")
    list(open_manifest(path, Overrides()).jobs(IMAGEN, progress=counts.append))
    assert counts == [10_000, 20_000, 25_000]


def test_a_folder_has_its_problems_told_by_file(tmp_path: Path) -> None:
    write(tmp_path, "", "a.txt")
    write(tmp_path, b"\xff", "b.txt")
    write(tmp_path, "hidden", ".c.txt")
    assert [Path(problem.file).name for problem in problems(str(tmp_path))] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ('\ufeff{"prompt": "a"}\r\n{"prompt": "b"}\r\n', "--format jsonl"),
        ("prompts: [a]\nmatrix: {seed: 1}\n", "--format yaml"),
        ("prompts:\n- a\n", "--format yaml"),
        ("{a} kite\n", None),
        ("{3}\n", None),
        ('a kite\n{"prompt": "b"}\n', None),
    ],
)
def test_piped_data_of_another_format_is_a_doubt_unless_the_format_is_named(text: str, flag: str | None) -> None:
    def read(*, lenient: bool, **flags: Any) -> Loader:
        with open_manifest("-", Overrides(**flags), stdin=io.BytesIO(text.encode())) as loader:
            assert len(list(loader.jobs(IMAGEN, lenient=lenient))) == len(text.splitlines())
        return loader

    if flag is None:
        read(lenient=False)
        return
    with pytest.raises(ManifestError, match=flag):
        read(lenient=False)
    totals = read(lenient=True).totals
    assert totals is not None
    (warning,) = totals.warnings
    assert flag in warning
    read(lenient=False, format="txt")


def test_a_wrong_value_of_an_input_that_is_called_id_has_the_place_of_its_cell(tmp_path: Path) -> None:
    properties = {"prompt": {"type": "string"}, "id": {"type": "string", "maxLength": 1}}
    schema = ModelSchema.from_json("a/b", {"properties": properties})
    (error,) = problems(write(tmp_path, "prompt,id\na kite,no\n", "p.csv"), schema)
    assert (error.line, error.column) == (2, 8)
