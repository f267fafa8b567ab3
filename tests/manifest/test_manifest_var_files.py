"""``vars`` whose values stand in a file: lines of a text, cells of a table."""

from pathlib import Path

import pytest

from batcher.core.errors import Problem
from batcher.manifest.readers.formats import reader
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.source import Source
from batcher.manifest.yaml import var_texts
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

TEXT = "prompts: [{prompt: 'a {animal} at dusk', vars: {animal: {file: animals.txt}}}]\n"


def with_vars(spec: str) -> str:
    return f"prompts: [{{prompt: 'a {{animal}}', vars: {{animal: {spec}}}}}]\n"


def test_each_line_of_a_text_is_a_value_and_empty_lines_are_none(tmp_path: Path) -> None:
    write(tmp_path, "heron\r\n\r\n   \nblue kite \nheron\n", "animals.txt")
    assert inputs(jobs(write(tmp_path, TEXT)), "prompt") == ["a heron at dusk", "a blue kite  at dusk"]


def test_a_column_of_a_table_is_the_one_called_like_the_var_or_the_one_that_is_named(tmp_path: Path) -> None:
    write(tmp_path, "Animal;name;seed\nheron;Ada;x\n;Bo;y\nkite;;z\n", "animals.csv")
    assert inputs(jobs(write(tmp_path, with_vars("{file: animals.csv}"))), "prompt") == ["a heron", "a kite"]
    named = with_vars("{file: animals.csv, column: name}")
    assert inputs(jobs(write(tmp_path, named)), "prompt") == ["a Ada", "a Bo"]
    of_an_input = with_vars("{file: animals.csv, column: seed}")
    assert inputs(jobs(write(tmp_path, of_an_input)), "prompt") == ["a x", "a y", "a z"]


def test_tables_without_quoting_rules_and_named_formats_are_read_as_prompt_files_are(tmp_path: Path) -> None:
    write(tmp_path, 'animal\tn\n"OPEN" heron\t1\n', "animals.tsv")
    assert inputs(jobs(write(tmp_path, with_vars("{file: animals.tsv}"))), "prompt") == ['a "OPEN" heron']
    write(tmp_path, "heron\n", "animals.list")
    assert inputs(jobs(write(tmp_path, with_vars("{file: animals.list, format: txt}"))), "prompt") == ["a heron"]
    write(tmp_path, "vögel\n".encode("utf-16"), "animals.txt")
    assert inputs(jobs(write(tmp_path, with_vars("{file: animals.txt}"))), "prompt") == ["a vögel"]


def test_a_list_may_have_values_and_files(tmp_path: Path) -> None:
    write(tmp_path, "kite\nheron\n", "animals.txt")
    assert inputs(jobs(write(tmp_path, with_vars("[gull, {file: animals.txt}, heron]"))), "prompt") == [
        "a gull",
        "a kite",
        "a heron",
    ]


def test_a_prompt_file_can_carry_vars_from_a_file_and_the_path_has_their_values(tmp_path: Path) -> None:
    write(tmp_path, "heron\nkite\n", "animals.txt")
    write(tmp_path, "a {animal} here\na {animal} there\na lake\n", "p.txt")
    text = "prompts: [{file: p.txt, vars: {animal: {file: animals.txt}}}]\noutput: {path: '{animal}/{index}'}\n"
    assert [job.path for job in jobs(write(tmp_path, text))] == ["heron/0", "kite/1", "heron/2", "kite/3", "default/4"]


def test_a_file_that_many_prompts_name_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "heron\n", "animals.txt")
    opened: list[str] = []

    def noted(source: Source, form: str, reading: Reading) -> FileReader:
        opened.append(source.label)
        return reader(source, form, reading)

    monkeypatch.setattr(var_texts, "reader", noted)
    prompts = ", ".join(f"{{prompt: '{n} {{animal}}', vars: {{animal: {{file: animals.txt}}}}}}" for n in range(50))
    assert len(jobs(write(tmp_path, f"prompts: [{prompts}]\n"))) == 50
    assert opened == [str(tmp_path / "animals.txt")]


def test_a_prompt_keeps_its_job_when_a_value_moves_from_the_manifest_to_a_file(tmp_path: Path) -> None:
    write(tmp_path, "kite\nheron\n", "animals.txt")
    listed = {job.key for job in jobs(write(tmp_path, with_vars("[heron, kite]")))}
    assert {job.key for job in jobs(write(tmp_path, with_vars("{file: animals.txt}")))} == listed


def test_a_changed_file_of_vars_is_noticed_and_an_unchanged_one_is_recognised(tmp_path: Path) -> None:
    write(tmp_path, "heron\n", "animals.txt")
    write(tmp_path, "a gull\n", "p.txt")
    path = write(tmp_path, f"{TEXT}  \n".replace("prompts: [", "prompts: [{file: p.txt}, "))
    first = checked(path)
    assert checked(path).digest == first.digest
    write(tmp_path, "heron\nkite\n", "animals.txt")
    grown = checked(path)
    assert grown.digest != first.digest
    assert {job.key for job in first.jobs()} < {job.key for job in grown.jobs()}


def test_a_file_of_vars_of_a_group_is_noticed_too(tmp_path: Path) -> None:
    write(tmp_path, "heron\n", "animals.txt")
    path = write(tmp_path, f"groups:\n  x:\n    {TEXT}")
    before = checked(path).digest
    write(tmp_path, "kite\n", "animals.txt")
    assert checked(path).digest != before


@pytest.mark.parametrize(
    ("spec", "column", "what", "mend"),
    [
        ("{file: none.txt}", 54, "there is no file `none.txt`", "relative to the manifest"),
        ('{file: "a\\0b.txt"}', 54, "there is no file", "relative to the manifest"),
        ("{file: 7}", 54, "`file` must be text, not 7", "quotes"),
        ("{file: animals.dat}", 54, "does not say its format", "format: csv"),
        ("{file: rows.jsonl}", 54, "can't be read from jsonl", "CSV"),
        ("{file: .}", 54, "can't be read from folder", "CSV"),
        ("{file: animals.txt, colum: x}", 67, "unknown key `colum`", "did you mean `column`?"),
        ("{file: animals.txt, column: x}", 67, "`column` beside a text file", "remove it"),
        ("{file: animals.txt, format: doc}", 75, "unknown format `doc`", "use one of"),
        ("{fil: animals.txt}", 47, "needs text, not a mapping", "write it out"),
        ("[{file: none.txt}]", 55, "there is no file `none.txt`", "relative to the manifest"),
    ],
)
def test_a_file_that_can_not_be_meant_is_refused_where_it_stands(
    tmp_path: Path, spec: str, column: int, what: str, mend: str
) -> None:
    write(tmp_path, "heron\n", "animals.txt")
    write(tmp_path, "heron\n", "animals.dat")
    write(tmp_path, '"heron"\n', "rows.jsonl")
    text = f"prompts: [{{prompt: '{{animal}}', vars: {{animal: {spec}}}}}]\n"
    (problem,) = problems(write(tmp_path, text))
    assert what in problem.what
    assert mend in problem.mend
    assert (problem.line, problem.column) == (1, column)


def of_file(tmp_path: Path, content: str | bytes, name: str) -> Problem:
    write(tmp_path, content, name)
    (problem,) = problems(write(tmp_path, with_vars(f"{{file: {name}}}")))
    assert problem.file == str(tmp_path / name)
    return problem


def test_what_is_wrong_in_the_file_is_told_with_its_own_line_and_column(tmp_path: Path) -> None:
    wide = of_file(tmp_path, "animal,n\nheron,1\nkite,2,3\n", "wide.csv")
    assert (wide.line, wide.column, wide.what) == (3, 8, "3 cells, and the header has 2")
    other = of_file(tmp_path, "bird,n\nheron,1\n", "other.csv")
    assert (other.what, other.mend) == (
        "no column is called `animal`",
        "name the column with `column:`; the columns are `bird`, `n`",
    )
    binary = of_file(tmp_path, b"\x89PNG\r\n\x1a\n", "picture.txt")
    assert "a PNG image" in binary.what
    latin = of_file(tmp_path, "vögel\n".encode("latin-1"), "latin.txt")
    assert "byte 0xF6 at offset 1" in latin.what
    assert "no values" in of_file(tmp_path, "\n \n", "blank.txt").what


def test_a_file_is_held_so_it_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(var_texts, "MOST", 3)
    problem = of_file(tmp_path, "a\nb\nc\nd\ne\n", "long.txt")
    assert (problem.line, problem.mend) == (4, "make them prompts of their own, in a prompt file")
    write(tmp_path, "a\nb\nb\nc\n", "animals.txt")
    assert len(jobs(write(tmp_path, TEXT))) == 3


def test_a_name_of_a_file_never_reaches_the_terminal_raw(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, with_vars('{file: "none\\e[31m.txt"}')))
    assert "\x1b" not in problem.what


@pytest.mark.parametrize("text", ["", "a\udcff"])
def test_a_var_whose_file_is_bad_is_no_unknown_field_of_the_path_as_well(tmp_path: Path, text: str) -> None:
    (tmp_path / "animals.txt").write_bytes(text.encode(errors="surrogateescape"))
    (problem,) = problems(write(tmp_path, TEXT + 'output: {path: "{animal}/{prompt_id}"}\n'))
    assert problem.file == str(tmp_path / "animals.txt")
