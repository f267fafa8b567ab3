"""The folder of prompt files as people have them: what ``plan`` and ``run`` say of each, by the numbers of its table.

The cases are not part of the repository; where they are not beside it, this is skipped, and the tests of each kind in
``test_manifest_habits.py`` remain.
"""

from pathlib import Path

import pytest

from tests.support.command_line import Shell, assert_no_traceback, without_settings

CASES = Path(__file__).parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the cases are not beside the repository")

# Case, flags, jobs that are planned (0: refused with exit 65), and what is said.
TABLE = [
    ("01-a1111-log-csv/log.csv", "", 0, ":3:52: 9 cells, and the header has 7: the header is older"),
    ("03-sep-line/p.csv", "", 2, ""),
    ("04-mac-cr/p.csv", "", 2, ""),
    ("05-trailing-empty/p.csv", "", 2, ""),
    ("06-one-column-commas/p.csv", "", 0, ":4:9: 3 cells"),
    ("07-space-before-quote/nocomma.csv", "", 2, "spaces between a separator and a quote are left out"),
    ("08-pandas-index/nan.csv", "", 2, ""),
    ("09-cp1252/p.csv", "", 0, ":2:4: is not UTF-8"),
    ("10-utf16-unicode-text/tab.csv", "", 1, ""),
    ("10-utf16-unicode-text/nobom.csv", "", 0, "byte order mark"),
    ("12-smart-quotes/p.csv", "", 0, "its quotes are curly"),
    ("14-everydream-json/sample_prompts.json", "", 0, "the prompts are in the list `samples`"),
    ("15-ruined-json-blocks/p.jsonl", "", 0, "each line must be one JSON object"),
    ("16-openai-batch/b.jsonl", "", 0, "request of an OpenAI batch"),
    ("17-kohya-toml/p.toml", "", 0, "add --format with one of"),
    ("18-json-shapes/array.jsonl", "", 0, "--format json reads it"),
    ("18-json-shapes/coco.json", "", 0, "the prompts are in the list `annotations`"),
    ("18-json-shapes/genai.json", "", 2, ""),
    ("18-json-shapes/hf_metadata.jsonl", "", 0, "--prompt-column text"),
    ("18-json-shapes/hf_metadata.jsonl", "--prompt-column text", 2, ""),
    ("18-json-shapes/mjhq.json", "", 2, ""),
    ("18-json-shapes/pretty.jsonl", "", 0, "--format json reads it"),
    ("18-json-shapes/prompts_list.json", "", 0, "the prompts are in the list `prompts`"),
    ("18-json-shapes/tifa.json", "", 0, "--prompt-column caption"),
    ("18-json-shapes/wise.json", "", 2, ""),
    ("19-styles-csv/styles.csv", "", 0, ":5:9: `prompt` is empty"),
    ("21-mj-lines/p.txt", "--format kohya", 0, "`--no` is Midjourney's"),
    ("23-yaml/block.yaml", "", 1, "one prompt of 3 lines"),
    ("23-yaml/hash.yaml", "", 4, "put it in quotes if the # belongs to it"),
    ("24-files/p.xlsx", "", 0, "save the sheet as CSV UTF-8"),
    ("24-files/p.xls", "", 0, "--format csv"),
    ("24-files/bomlines.txt", "", 5, ""),
    ("26-wildcards-yaml/t.yaml", "", 0, "YAML collections such as cars.yaml are not read"),
    ("26-wildcards-yaml/t4.yaml", "", 29, "'a blue kite'"),
    ("27-meta-names/p.csv", "", 0, "--meta width"),
    ("27-meta-names/p.csv", "--meta width", 4, ""),
    ("28-oneig/s.yaml", "", 0, "did you mean `meta.category`?"),
    ("29-resave/p_excel.csv", "", 3, ""),
    ("29-resave/p_excelratio.csv", "", 0, "a time, which is what spreadsheet programs turn a ratio into"),
    ("31-jsonl-meta/p.jsonl", "", 0, "--meta model"),
    ("31-jsonl-meta/p.jsonl", "--meta model", 3, ""),
    ("34-meaning-columns/ann.csv", "", 1, "aspect_ratio 16:9"),
    ("34-meaning-columns/camel.csv", "", 1, "aspect_ratio 16:9, negative_prompt x, seed 7"),
    ("34-meaning-columns/dupseed.csv", "", 0, "keep one of them"),
    ("34-meaning-columns/size.yaml", "", 0, "did you mean `aspect_ratio`?"),
    ("34-meaning-columns/three.csv", "", 0, "are the prompt"),
    ("36-folder/d", "", 1, "1 subfolder is skipped"),
    ("36-folder/f", "", 1, "infotext of an image"),
    ("36-folder/h", "", 0, "name one that has: h/10_kite"),
    ("40-excel-tsv/p.tsv", "", 3, "its cells are in quotes"),
    ("41-pipe-sep/p.csv", "", 1, ""),
    ("43-fail/k1.json", "", 1, ""),
    ("44-yaml2/commas.yaml", "", 0, "write [16:9, 1:1] for 2 values"),
    ("44-yaml2/imgs.yaml", "", 2, "ends with .png"),
    ("44-yaml2/range.yaml", "", 0, "write 1..3"),
    ("44-yaml2/smart.yaml", "", 0, "its quotes are curly"),
    ("44-yaml2/topvars.yaml", "", 0, "put it beside the prompt"),
    ("45-a1111-full/p.txt", "--format a1111", 0, "--repeat N makes copies"),
    ("46-kohya/p.txt", "--format kohya", 0, "`--ss`"),
    ("47-infotext/p.jsonl", "", 9, ""),
    ("48-odd-text/lines.json", "", 0, "--format jsonl reads it"),
    ("48-odd-text/nul.jsonl", "", 0, ":2:11: `prompt` is empty"),
    ("48-odd-text/pandas_cols.json", "", 0, "orient='records'"),
    ("49-csv-quotes/backslash.csv", "", 0, "the quotes of this cell end before the cell does"),
    ("49-csv-quotes/p2.csv", "", 0, "the quotes of this cell end before the cell does"),
    ("49-csv-quotes/singleq2.csv", "", 1, "begin and end with single quotes"),
    ("49-csv-quotes/unclosed.csv", "", 0, "never closed"),
    ("50-styles-json/m.yaml", "", 4, ""),
    ("57-folder-of-lists/dataset", "", 3, "each file of a folder is one prompt"),
    ("59-excel-id/p.csv", "", 12, ""),
]
# Text files that are another format: a warning for ``plan``, an error for ``run``.
OTHERS = {
    "13-inspire-blocks/p.txt": "blocks of positive and negative prompts",
    "15-ruined-json-blocks/p.txt": "JSON",
    "20-md-list/p.txt": "headings or comments",
    "21-mj-lines/p.txt": "--format kohya reads --ar, --neg and --seed",
    "36-folder/infotext.txt": "blocks of positive and negative prompts",
    "42-invoke-lines/multi.txt": "lines that separate blocks",
    "42-invoke-lines/swarm.txt": "prompts separated by ||",
    "45-a1111-full/p.txt": "--format a1111",
    "46-kohya/p.txt": "--format kohya",
}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(("case", "flags", "jobs", "message"), TABLE)
def test_a_case_is_planned_as_it_is_meant_or_refused_with_the_way_out(
    shell: Shell, case: str, flags: str, jobs: int, message: str
) -> None:
    folder, _, name = case.partition("/")
    shell.folder = CASES / folder
    came = shell("plan", name, *flags.split())
    assert_no_traceback(came)
    words = " ".join((came.out + came.err).split())
    assert message in words
    assert came.code == (0 if jobs else 65)
    assert not jobs or f" {jobs} job" in words


@pytest.mark.parametrize(("case", "message"), OTHERS.items())
def test_a_text_that_is_another_format_is_a_warning_for_a_plan_and_an_error_for_a_run(
    shell: Shell, tmp_path: Path, case: str, message: str
) -> None:
    planned = shell("plan", str(CASES / case))
    assert planned.code == 0
    assert message in " ".join(planned.out.split())
    ran = shell("run", str(CASES / case), "--simulate", "--progress", "none")
    assert ran.code == 65
    assert message in ran.err
    assert not (tmp_path / "runs").exists()
