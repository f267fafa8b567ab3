"""Files as people have them: what they say is carried out, or refused with the way out, and never paid for unseen."""

import json
import shlex
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from batcher.core.errors import ManifestError, UsageError
from batcher.core.job import job_key
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.readers.tables import workbook
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from tests.manifest.manifest_reading import IMAGEN, checked, inputs, jobs, problems, write

# --- cells and separators


def test_a_hint_line_for_a_spreadsheet_program_names_the_separator_and_lines_count_on(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "sep=;\nprompt;seed\na, kite;7\n", "p.csv"))
    assert [(dict(job.inputs), job.line) for job in all_jobs] == [({"prompt": "a, kite", "seed": 7}, 3)]
    (problem,) = problems(write(tmp_path, "sep=;\nprompt;seed\na;x\n", "p.csv"))
    assert (problem.line, problem.column) == (3, 3)


@pytest.mark.parametrize(
    ("above", "warned"), [("\n\n", False), (",,\n", False), ("My prompts,,\n,,\n", True), ('"Sheet 1"\n', True)]
)
def test_what_stands_above_a_header_is_left_out_and_lines_count_on(tmp_path: Path, above: str, warned: bool) -> None:
    read = checked(write(tmp_path, f"{above}prompt,seed\na kite,7\n", "p.csv"))
    line = above.count("\n") + 2
    assert [(dict(job.inputs), job.line) for job in read.made] == [({"prompt": "a kite", "seed": 7}, line)]
    assert any("above its header" in warning for warning in read.warnings) is warned
    (problem,) = problems(write(tmp_path, f"{above}prompt,seed\na,x\n", "p.csv"))
    assert (problem.line, problem.column) == (line, 3)


def test_a_row_that_begins_with_the_word_prompt_is_no_header(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "caption,seed\nprompt,7\n", "p.csv"))
    assert "--prompt-column caption" in problem.mend


@pytest.mark.parametrize("name", ["image", "Mask URL", "steps", "CFG Scale", "lora"])
def test_columns_that_many_models_know_are_refused_where_nobody_knows_the_models_inputs(
    tmp_path: Path, name: str
) -> None:
    rows = [{"prompt": "make it red", name: "x"}, {"prompt": "b", name: "y"}]
    write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "p.jsonl")
    write(tmp_path, f"prompt,{name}\nmake it red,x\n", "p.csv")
    for path in (str(tmp_path / "p.csv"), str(tmp_path / "p.jsonl")):
        first, *_ = problems(path, None, model="acme/edit/image")
        assert f"--no-schema-check {shlex.quote(name)} sends it" in first.mend
        assert jobs(path, None, model="acme/edit/image", meta=(name,))[0].meta == {name: "x"}
        with open_manifest(path, Overrides(model="acme/edit/image")) as loader:
            loader.unchecked = frozenset({name})
            assert next(loader.jobs(None)).inputs == {"prompt": "make it red", name: "x"}
        assert [f"`{name}` goes to meta" in warning for warning in checked(path).warnings] == [True]


def test_a_column_that_may_be_an_input_of_a_model_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt,shot\nmake it red,12\n", "p.csv")
    (warning,) = checked(path, None, model="acme/edit/image").warnings
    assert "`shot` goes to meta, not to the model" in warning
    assert checked(path).warnings == ()


@pytest.mark.parametrize("name", ["n", "CFG Scale", "image_url", "Variations", "orientation"])
def test_numbers_of_images_and_inputs_of_other_models_are_warned_of(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"prompt,{name}\na kite,4\n", "p.csv")
    assert [f"`{name}` goes to meta" in warning for warning in checked(path).warnings] == [True]
    assert checked(path, meta=(name,)).warnings == ()


def test_a_size_that_is_none_is_meta_and_a_warning_says_so(tmp_path: Path) -> None:
    (warning,) = checked(write(tmp_path, "prompt,size\na,large\nb,small\n", "p.csv")).warnings
    assert '`size` goes to meta: "large"' in warning


@pytest.mark.parametrize("inner", ['{"seed": 7}', '{"width": 512}'])
def test_inputs_one_level_below_the_prompt_are_refused_with_how_to_move_them(tmp_path: Path, inner: str) -> None:
    path = write(tmp_path, f'{{"prompt": "a kite", "parameters": {inner}}}\n', "p.jsonl")
    (problem,) = problems(path)
    assert (problem.line, problem.column) == (1, 22)
    assert "jq -c '. + .parameters | del(.parameters)' FILE" in problem.mend
    assert len(jobs(path, meta=("parameters",))) == 1
    assert len(jobs(write(tmp_path, '{"prompt": "a kite", "parameters": {"author": "x"}}\n', "q.jsonl"))) == 1


def test_bars_separate_and_a_separator_that_names_the_prompt_wins(tmp_path: Path) -> None:
    assert jobs(write(tmp_path, "prompt|seed\na; kite|7\n", "p.csv"))[0].inputs == {"prompt": "a; kite", "seed": 7}
    assert jobs(write(tmp_path, "prompt;a,b,c\nkite;x\n", "p.csv"))[0].inputs == {"prompt": "kite"}


def test_blanks_before_quotes_are_left_out_and_a_warning_says_so(tmp_path: Path) -> None:
    read = checked(write(tmp_path, 'id, prompt, seed\nk1, "a red, kite", 7\n', "p.csv"))
    assert [dict(job.inputs) for job in read.made] == [{"prompt": "a red, kite", "seed": 7}]
    assert any("blanks" in warning for warning in read.warnings)
    assert inputs(jobs(write(tmp_path, "prompt,n\n a kite, 7\n", "p.csv")), "prompt") == [" a kite"]


def test_a_blank_before_a_quote_far_down_a_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    rows = "7,fox\n" * 60
    (problem,) = problems(write(tmp_path, f'seed,prompt\n{rows}8, "a fox"\n', "p.csv"))
    assert "a space before the quote" in problem.what
    assert (problem.line, problem.column) == (62, 3)


def test_prompts_in_single_quotes_are_warned_of_once_a_file(tmp_path: Path) -> None:
    read = checked(write(tmp_path, "prompt,seed\n'a kite',7\n'a fox',8\n", "p.csv"))
    assert inputs(read.made, "prompt") == ["'a kite'", "'a fox'"]
    assert ["single quotes" in warning for warning in read.warnings] == [True]


@pytest.mark.parametrize("prompt", ["\u200b", " \u200b\ufeff ", "\u00a0", "\u200d"])
def test_a_prompt_of_signs_without_width_is_empty(tmp_path: Path, prompt: str) -> None:
    (problem,) = problems(write(tmp_path, json.dumps({"prompt": prompt}) + "\n", "p.jsonl"))
    assert problem.what == "`prompt` is empty"


NAMED_TEXT = ModelSchema.from_json(
    "a/b", {"properties": {"text": {"type": "string"}, "seed": {"type": "integer"}}, "required": ["text"]}
)


@pytest.mark.parametrize(
    ("name", "content", "what", "mend"),
    [
        ("p.csv", "text,seed\n,3\n", "`text` is empty", "write one"),
        ("p.csv", "a,b\n1,2\n", "no column is called `text`", "--prompt-column"),
        ("p.jsonl", '{"seed": 1}\n', "`text` is missing", "add `text`"),
        ("p.jsonl", '{"text": 5}\n', "`text` must be text, not 5", "put it in quotes"),
        ("m.yaml", "prompts: [{seed: 4}]\n", "`text` is missing", "add `text`"),
    ],
)
def test_messages_call_the_prompt_as_the_model_does(
    tmp_path: Path, name: str, content: str, what: str, mend: str
) -> None:
    with open_manifest(write(tmp_path, content, name), Overrides()) as loader, pytest.raises(ManifestError) as caught:
        list(loader.jobs(NAMED_TEXT))
    (problem,) = caught.value.problems
    assert problem.what == what
    assert mend in problem.mend


def test_a_set_of_the_models_own_prompt_input_says_where_prompts_come_from(tmp_path: Path) -> None:
    flags = Overrides(set=(("text", "a"),))
    path = write(tmp_path, "a kite\n", "p.txt")
    with open_manifest(path, flags) as loader, pytest.raises(UsageError, match="prompts come from the manifest"):
        list(loader.jobs(NAMED_TEXT))


def test_a_flag_that_is_suggested_can_be_pasted(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "Prompt's $HOME text,seed\na,1\n", "p.csv"))
    flag = problem.mend.split("--prompt-column ")[1].split(" (or")[0]
    assert shlex.split(flag) == ["Prompt's $HOME text"]


def test_a_remark_in_brackets_after_a_columns_name_hides_no_meaning(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "prompt,aspect ratio (w:h),seed [int],Price ($)\na kite,16:9,7,5\n", "p.csv"))
    assert dict(all_jobs[0].inputs) == {"prompt": "a kite", "aspect_ratio": "16:9", "seed": 7}
    assert dict(all_jobs[0].meta) == {"Price ($)": "5"}


def test_an_object_that_holds_a_list_of_prompts_is_one_message_wherever_the_list_stands(tmp_path: Path) -> None:
    coco = {"info": {"year": 2014}, "images": [{"id": 1}], "annotations": [{"caption": "a kite"}, {"caption": "a fox"}]}
    (problem,) = problems(write(tmp_path, json.dumps(coco), "p.json"))
    assert problem.what == "the prompts are in the list `annotations`, it seems"


def test_a_sidecar_is_a_manifest_of_one_job_and_other_files_of_a_run_say_what_they_are(tmp_path: Path) -> None:
    sidecar = {
        "schema": "batcher/1",
        "model": DEFAULT_MODEL,
        "inputs": {"prompt": "a kite", "seed": 7},
        "prompt_id": "k",
    }
    (job,) = jobs(write(tmp_path, json.dumps(sidecar, indent=2), "k.json"))
    assert (dict(job.inputs), job.prompt_id) == ({"prompt": "a kite", "seed": 7}, "k")
    (problem,) = problems(write(tmp_path, '{"run": "runs/p", "total": 3}', "report.json"))
    assert "the report of a run" in problem.what
    line = '{"at": "x", "by": "me", "job": "j", "output_index": 0, "pick": "yes"}\n'
    (problem,) = problems(write(tmp_path, line, "picks.jsonl"))
    assert "verdicts on images" in problem.what


@pytest.mark.parametrize(
    ("row", "column"),
    [('"OPEN" sign at night,7', 7), ('"a sign that says "STOP" in red",9', 20), (r'"a \"red\" kite",7', 6)],
)
def test_quotes_that_end_before_their_cell_are_errors_with_their_place(tmp_path: Path, row: str, column: int) -> None:
    errors = problems(write(tmp_path, f"prompt,seed\n{row}\na kite,x\n", "p.csv"))
    assert [(problem.line, problem.column) for problem in errors] == [(2, column), (3, 8)]
    assert "the quotes of this cell end before the cell does" in errors[0].what


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("prompt,seed\n\u201ca kite, at dusk\u201d,7\n", "curly"),
        ("prompt,seed\n'a kite, at dusk',7\n", "double quotes"),
        ('prompt,seed\n"a kite, at dusk",7,"x"\n', "the header is older"),
        ("prompt,seed\na kite, at dusk,7\n", "in quotes"),
    ],
)
def test_a_row_with_too_many_cells_says_what_made_them(tmp_path: Path, text: str, mend: str) -> None:
    (problem,) = problems(write(tmp_path, text, "p.csv"))
    assert mend in problem.mend


def test_a_tsv_whose_header_is_all_in_quotes_is_read_without_them(tmp_path: Path) -> None:
    path = write(tmp_path, '""\t"prompt"\t"seed"\n"0"\t"a kite"\t"7"\n', "p.tsv")
    assert jobs(path)[0].inputs == {"prompt": "a kite", "seed": 7}


def test_a_tsv_whose_cells_are_plainly_quoted_is_read_so_unless_tsv_is_named(tmp_path: Path) -> None:
    text = 'id\tprompt\tseed\nk1\t"a kite, at dusk"\t7\nk2\t"says ""STOP"""\t8\nk3\t"one\ntwo"\t9\n'
    read = checked(write(tmp_path, text, "p.tsv"))
    assert inputs(read.made, "prompt") == ["a kite, at dusk", 'says "STOP"', "one\ntwo"]
    assert [job.line for job in read.made] == [2, 3, 4]
    assert any("in quotes" in warning for warning in read.warnings)
    plain = write(tmp_path, 'prompt\tseed\n"a kite, at dusk"\t7\n', "q.tsv")
    assert inputs(jobs(plain, format="tsv"), "prompt") == ['"a kite, at dusk"']


@pytest.mark.parametrize("above", range(45, 52))
def test_a_quoted_tsv_is_told_wherever_the_look_at_its_first_lines_ends(tmp_path: Path, above: int) -> None:
    rows = "".join(f'"a ""red"" kite, {number}"\t{number}\n' for number in range(above))
    path = write(tmp_path, f'\nprompt\tseed\n{rows}"a kite\nof two\nlines"\t7\n', "p.tsv")
    assert inputs(jobs(path), "prompt")[-1] == "a kite\nof two\nlines"


def test_a_wrong_column_is_three_places_and_a_count(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt,seed\n" + "".join(f"a,x{n}\n" for n in range(4_000)), "p.csv")
    with pytest.raises(ManifestError) as caught:
        checked(path)
    assert (len(caught.value.problems), caught.value.total) == (3, 4_000)
    assert str(caught.value).count("more like") == 1


# --- columns that mean something


def test_columns_in_any_spelling_are_the_inputs_that_they_mean(tmp_path: Path) -> None:
    text = "Prompt,aspectRatio,Negative,Seed number,Style\na kite, 16x9,blur,7,oil\na fox,16/9,,,ink\n"
    read = checked(write(tmp_path, text, "p.csv"))
    assert [dict(job.inputs) for job in read.made] == [
        {"prompt": "a kite", "aspect_ratio": "16:9", "negative_prompt": "blur", "seed": 7},
        {"prompt": "a fox", "aspect_ratio": "16:9"},
    ]
    assert read.made[0].meta == {"Style": "oil"}
    (columns,) = read.totals.columns.values()
    assert columns["Style"] == "meta"
    assert columns["Negative"] == "input negative_prompt"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "prompt,size\na,1408x768\nb,640 x 640\n"),
        ("p.csv", "prompt,width,height\na,1408,768\nb,640,640\n"),
        ("p.jsonl", '{"prompt": "a", "width": 1408, "height": 768}\n{"prompt": "b", "Size": "640x640"}\n'),
    ],
)
def test_sizes_are_the_ratio_that_they_are_exactly(tmp_path: Path, name: str, text: str) -> None:
    assert inputs(jobs(write(tmp_path, text, name)), "aspect_ratio") == ["16:9", "1:1"]


@pytest.mark.parametrize(
    ("header", "cell", "what"),
    [
        ("model", "flux-1/dev/text-to-image", "names"),
        ("Model ID", "sdxl", "names"),
        ("width", "512", "means a size"),
        ("size", "512x768", "512x768 is 2:3"),
        ("resolution", "2K", "means a size"),
        ("num_images", "4", "asks for"),
        ("num_images_per_prompt", "4", "asks for"),
        ("resolution", "1080p", "means a size"),
        ("vars", "red", "a section of a YAML manifest"),
        ("batch size", "2", "asks for"),
    ],
)
def test_what_a_column_means_and_the_model_can_not_do_is_refused_unless_it_is_declared_as_meta(
    tmp_path: Path, header: str, cell: str, what: str
) -> None:
    csv = write(tmp_path, f"prompt,{header}\na,\nb,{cell}\n", "p.csv")
    rows = [{"prompt": "a", header: None}, {"prompt": "b", header: cell}]
    lines = write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "p.jsonl")
    for path, line in ((csv, 3), (lines, 2)):
        (problem,) = problems(path)
        assert (problem.line, what in problem.what) == (line, True)
        assert f"--meta {shlex.quote(header)}" in problem.mend or "nearest" in problem.mend
        assert jobs(path, meta=(header,))[1].meta == {header: cell}
    aside = write(tmp_path, f"prompts: [{{file: p.csv, meta: [{header}, {{set: x}}]}}]\n")
    assert jobs(aside)[1].meta == {header: cell, "set": "x"}


def test_a_model_column_that_names_the_model_of_the_run_is_no_problem(tmp_path: Path) -> None:
    assert IMAGEN is not None
    assert len(jobs(write(tmp_path, f"prompt,model\na,{IMAGEN.model_id}\n", "p.csv"))) == 1


def test_a_column_called_repeat_makes_copies(tmp_path: Path) -> None:
    all_jobs = jobs(write(tmp_path, "prompt,repeat\na,2\nb,\nc,1\n", "p.csv"))
    assert inputs(all_jobs, "prompt") == ["a", "a", "b", "c"]
    assert all_jobs[0].chosen == {"repeat": 1}
    assert all_jobs[0].inputs["seed"] != all_jobs[1].inputs["seed"]


def test_two_columns_for_one_meaning_are_refused(tmp_path: Path) -> None:
    assert (
        "both `seed` and `Seed number`"
        in problems(write(tmp_path, "prompt,seed,Seed number\na,1,2\n", "p.csv"))[0].what
    )
    assert "are the prompt" in problems(write(tmp_path, "prompt,Prompts\na,b\n", "p.csv"))[0].what


def test_a_column_for_which_the_model_has_no_input_is_never_carried_along_unseen(tmp_path: Path) -> None:
    schema = ModelSchema.from_json("x/y", {"properties": {"prompt": {"type": "string"}}, "required": ["prompt"]})
    path = write(tmp_path, "prompt,negative_prompt,seed\na,blur,7\n", "p.csv")
    assert len(problems(path, schema)) == 2


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("16:09", "write 16:9"),
        ("01:01", "write 1:1"),
        ("1:01:00 AM", "write 1:1"),
        ("0.677777777777778", "a part of a day"),
    ],
)
def test_ratios_that_a_spreadsheet_program_took_for_times_are_told_as_such(
    tmp_path: Path, cell: str, words: str
) -> None:
    (problem,) = problems(write(tmp_path, f"prompt,aspect_ratio\na,{cell}\n", "p.csv"))
    assert words in f"{problem.what}: {problem.mend}"


# --- text that is another format


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt,seed\na kite,7\n", "--format csv"),
        ("a kite --ar 16:9 --v 6\n", "kohya"),
        ("/imagine prompt: a kite\na fox\n", "Midjourney"),
        ("a kite --q 2\n", "options as Midjourney reads them"),
        ('--prompt "a kite" --steps 20\n', "--format a1111"),
        ("a kite --n blurry --w 512\n", "--format kohya"),
        ("a kite\n---\na fox\n", "separate blocks"),
        ("# Prompts\n\na kite\n", "headings"),
        ("1. a kite\n2. a fox\n", "numbered"),
        ("- a kite\n- a fox\n", "dashes"),
        ('{"prompt": "a kite"}\n', "--format jsonl"),
        ("positive: a kite\nnegative: blur\n", "positive and negative"),
        ("a kite || a fox\n", "||"),
        ("| prompt |\n|---|\n| a kite |\n", "table in Markdown"),
        ("a kite\nSteps: 20, Sampler: Euler\n", "infotext"),
        ("prompt: a kite\nprompt: a fox\n", "sed -E"),
        ('"a kite",\n"a fox",\n"a cat"\n', "prompts in quotes"),
        ("a kite\t7\na fox\t8\na cat\t9\n", "without a header"),
        ("a kite | 16:9\na fox | 1:1\na cat | 1:1\n", "without a header"),
        ("model: acme/paint\nprompts:\n- a kite\n", "YAML"),
        ("model: acme/paint\n\noutput: {path: a}\na kite\na fox\na cat\n", "YAML"),
        ("prompts:\n- a kite\n", "YAML"),
        ("prompts: [a kite, a fox]\n", "YAML"),
        ("https://example.com/a.png\nhttps://example.com/b.png\n", "addresses"),
        ("a.png: a kite\nb.png: a fox\n", "names of images"),
        ("<prompt>a kite</prompt>\n<prompt>a fox</prompt>\n", "markup"),
        ("Sure! Here are 2 prompts:\na kite\na fox\n", "assistant"),
        ("**1.** a kite\n**2.** a fox\n", "numbered"),
        ("<html><body>\na kite\n", "HTML"),
        ("id,caption,seed\n1,a kite,7\n", "--format csv"),
    ],
)
def test_text_that_is_plainly_another_format_is_an_error_for_a_run_and_a_warning_for_a_plan(
    tmp_path: Path, text: str, words: str
) -> None:
    path = write(tmp_path, text, "p.txt")
    (problem,) = problems(path)
    assert words in f"{problem.what}: {problem.mend}"
    assert problem.line
    with open_manifest(path, Overrides()) as loader:
        made = list(loader.jobs(IMAGEN, lenient=True))
        assert loader.totals is not None
        assert [words in warning for warning in loader.totals.warnings] == [True]
    assert made == jobs(path, format="txt")


@pytest.mark.parametrize(
    "text",
    [
        "a kite -- at dusk\n",
        "a poster: 3 kites\n3 kites\n",
        '{"subject": "a fox"} in snow\nb\n',
        "a {red} kite\n-5 degrees\nb\n",
        "prompt engineering, a diagram\nb\n",
        "a kite\n# 5 in a row\n",
        '"OPEN" on a sign\na sign that says "CLOSED"\n',
        "text, signature, logo\nb\n",
        "a fox; 3 tails\na fox | a kite\n",
        "here are two foxes: one red, one white\nb\n",
        '"OPEN"\n"CLOSED"\n',
        "a kite\t7\na fox\t8\n",
        "model: a woman in red\n",
        "model: a woman in red\nportrait: a man in blue\nb\n",
    ],
)
def test_prompts_that_only_look_a_little_like_it_are_prompts(tmp_path: Path, text: str) -> None:
    assert len(jobs(write(tmp_path, text, "p.txt"))) == len(text.splitlines())


def test_a_folder_says_what_it_passes_over_and_which_file_is_a_list(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    (folder / "sub").mkdir(parents=True)
    write(folder, "\n".join(f"a kite {n}" for n in range(20)), "1.txt")
    write(folder, "a fox", "2.caption")
    warnings = " ".join(checked(str(folder)).warnings)
    assert "has 20 lines" in warnings
    assert "1 subfolder is skipped, as only its .txt files are read (sub)" in warnings
    assert "1 other text is skipped, as only its .txt files are read (2.caption)" in warnings


# --- YAML that reads as less


def test_a_hash_that_cuts_a_text_is_warned_of_and_a_comment_is_not(tmp_path: Path) -> None:
    read = checked(write(tmp_path, "prompts:\n  - a poster with #ff0000 in it\n  - a kite  # mine\n  - 'a #1'\n"))
    assert inputs(read.made, "prompt") == ["a poster with", "a kite", "a #1"]
    assert [":2:" in warning for warning in read.warnings] == [True]


@pytest.mark.parametrize("sign", ["|", ""])
def test_a_block_of_lines_is_one_prompt_and_a_warning_says_so(tmp_path: Path, sign: str) -> None:
    read = checked(write(tmp_path, f"prompts: {sign}\n  a kite\n  a fox\n"))
    assert [("one prompt of 2 lines" in warning) for warning in read.warnings] == [True]


@pytest.mark.parametrize(
    ("prompt", "words"), [("p.txt", "the name of a file"), ("prompt:a kite", "space after its colon")]
)
def test_a_prompt_that_is_plainly_something_else_is_an_error_for_a_run(tmp_path: Path, prompt: str, words: str) -> None:
    write(tmp_path, "a kite\n", "p.txt")
    (problem,) = problems(write(tmp_path, f"prompts:\n  - {prompt}\n"))
    assert (problem.line, words in problem.what) == (2, True)
    assert len(jobs(write(tmp_path, "prompts: ['prompt:a kite', readme.txt]\n"))) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompts:\n  - \u201ca kite: red\u201d\n", "curly"),
        ("prompts: [a]\nmatrix: {seed: 'range(1,4)'}\n", "write 1..3"),
        ("prompts: [a]\nmatrix:\n  seed:1..4\n", "space after the colon"),
        ("prompts: [{prompt: a, ratio: '16:9'}]\n", "did you mean `aspect_ratio`"),
        ("prompts: [{prompt: a, width: 512}]\n", "takes an aspect ratio"),
        ("prompts: [{prompt: a, aspect ratio: '1:1'}]\n", "did you mean `aspect_ratio`"),
        ("prompts: [{text: a}]\n", "did you mean `prompt`"),
        ("prompts: [a]\ndefaults:\n  aspect_ratio: 16:09\n", "write 16:9"),
        ("prompts: [a]\nseeds: [1, 2]\n", "put `seed` into `matrix`"),
    ],
)
def test_what_a_beginner_writes_is_answered_with_what_was_meant(tmp_path: Path, text: str, words: str) -> None:
    assert words in problems(write(tmp_path, text))[0].mend


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a {red|blue} kite", "--dynamic"), ("a __colour__ kite", "--dynamic"), ("a {x} kite", "`vars`")],
)
def test_braces_that_stay_text_are_warned_of_once_a_file(tmp_path: Path, prompt: str, words: str) -> None:
    (warning,) = checked(write(tmp_path, f"{prompt}\n" * 1 + f"{prompt} 2\n", "p.txt")).warnings
    assert words in warning


# --- identity


def test_how_a_file_was_saved_makes_no_other_job(tmp_path: Path) -> None:
    text = 'id,prompt,seed\nk1,"a red kite, at dusk",7\nk2,"two\nlines",8\n'
    saved = [
        text.encode(),
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.encode("utf-16"),
        b'id;prompt;seed\nk1;a red kite, at dusk;7.0\nk2;"two\r\nlines";8\n',
        b'sep=\t\n"id"\t"prompt"\t"seed"\n"k1"\t"a red kite, at dusk"\t"7"\n"k2"\t"two\nlines"\t"8"\n',
    ]
    keys = [[job.key for job in jobs(write(tmp_path, data, "p.csv"))] for data in saved]
    assert keys == [keys[0]] * len(saved)


def test_line_ends_inside_a_text_are_one_form_and_keys_without_them_stay_as_they_are(
    tmp_path: Path,
) -> None:
    texts = [json.dumps({"prompt": f"two{end}lines"}) + "\n" for end in ("\n", "\r\n", "\r")]
    keys = {jobs(write(tmp_path, text, "p.jsonl"))[0].key for text in texts}
    assert keys == {job_key(DEFAULT_MODEL, {"prompt": "two\nlines"})}
    manifest = "prompts: [{prompt: 'a {kite}', vars: {kite: {file: v.csv}}}]\n"
    keys = set()
    for end in ("\n", "\r\n"):
        write(tmp_path, f'kite{end}"red{end}kite"{end}'.encode(), "v.csv")
        keys.add(jobs(write(tmp_path, manifest))[0].key)
    assert keys == {job_key(DEFAULT_MODEL, {"prompt": "a red\nkite"})}
    assert job_key(DEFAULT_MODEL, {"prompt": "a kite", "seed": 7}) == "23c415399d6a09f744e9c83564b9b496"


# --- JSON of other shapes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.jsonl", '{"custom_id": "x", "body": {"prompt": "a", "n": 1}}\n', "OpenAI batch"),
        ("p.jsonl", '{"file_name": "1.png", "text": "a kite"}\n', "--prompt-column text"),
        ("p.json", '[{"id": "x", "caption": "a kite"}]', "--prompt-column caption"),
        ("p.json", '{"seed": 5, "samples": [{"prompt": "a"}]}', "jq '.samples'"),
        ("p.json", '{"images": [{"id": 1}], "annotations": [{"caption": "a"}]}', "jq '.annotations'"),
        ("p.json", '{"prompt": {"0": "a", "1": "b"}, "seed": {"0": 7}}', "orient='records'"),
        ("p.json", '{"columns": ["prompt"], "data": [["a"]]}', "orient='records'"),
        ("p.json", '{"prompt": "a"}\n{"prompt": "b"}\n', "--format jsonl"),
        ("p.jsonl", '[\n  {"prompt": "a"}\n]\n', "--format json"),
        ("p.json", '{"a": 3, "b": 4}', "which is not a prompt"),
    ],
)
def test_json_of_another_shape_is_one_message_that_names_what_helps(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (problem,) = problems(write(tmp_path, text, name))
    assert words in f"{problem.what}: {problem.mend}"


# --- other files


@pytest.mark.parametrize(
    ("name", "text", "mend"),
    [
        ("p.tsv", "prompt,seed\na kite,7\n", "--format csv reads them"),
        ("p.csv", "a red kite\na fox\n", "write `prompt` into a line above it"),
        ("p.json", '{"data": [{"prompt": "a kite"}]}', "jq '.data' FILE"),
    ],
)
def test_a_file_that_is_nearly_right_says_what_makes_it_so(tmp_path: Path, name: str, text: str, mend: str) -> None:
    (problem,) = problems(write(tmp_path, text, name))
    assert mend in problem.mend


def test_a_table_without_prompts_names_the_column_that_looks_like_them(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "id,prompt_en,note\n1,a,b\n", "p.csv"))
    assert "--prompt-column prompt_en" in problem.mend


def test_text_in_another_encoding_names_the_line_and_how_to_save_it(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "prompt\na\ncaf\u00e9\n".encode("cp1252"), "p.csv"))
    assert (problem.line, problem.column, "CSV UTF-8" in problem.mend) == (3, 4, True)


def test_a_collection_of_wildcards_in_yaml_is_named_as_not_read(tmp_path: Path) -> None:
    (tmp_path / "wildcards").mkdir()
    write(tmp_path / "wildcards", "cars: {ford: [a]}\n", "cars.yaml")
    (problem,) = problems(write(tmp_path, "dynamic: true\nprompts: [a __cars/ford__]\n"))
    assert "cars.yaml are not read" in problem.mend


_SHEETS = """<sheet name="p" sheetId="1" r:id="rId1"/><sheet name="notes" sheetId="2" r:id="rId1"/>"""
_NAMES = "http://schemas.openxmlformats.org"
_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_NAMES}/package/2006/content-types"><Default Extension="rels"
        ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml"
        ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_NAMES}/package/2006/relationships"><Relationship Id="rId1"
        Type="{_NAMES}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_NAMES}/package/2006/relationships"><Relationship Id="rId1"
        Type="{_NAMES}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_NAMES}/spreadsheetml/2006/main"
        xmlns:r="{_NAMES}/officeDocument/2006/relationships"><sheets>{_SHEETS}</sheets></workbook>""",
}


def spreadsheet(folder: Path, cells: dict[str, str | float]) -> str:
    """An Excel file with these cells, by their names (``B2``)."""
    rows: dict[int, str] = {}
    for name, value in cells.items():
        number = int(name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        text = f't="inlineStr"><is><t>{value}</t></is>' if isinstance(value, str) else f"><v>{value}</v>"
        rows[number] = rows.get(number, "") + f'<c r="{name}" {text}</c>'
    data = "".join(f'<row r="{number}">{row}</row>' for number, row in sorted(rows.items()))
    sheet = f'<worksheet xmlns="{_NAMES}/spreadsheetml/2006/main"><sheetData>{data}</sheetData></worksheet>'
    with ZipFile(folder / "p.xlsx", "w") as packed:
        for name, text in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            packed.writestr(name, text)
    return str(folder / "p.xlsx")


def test_a_spreadsheet_is_read_with_whole_numbers_and_the_rows_of_the_sheet(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="an extra")
    cells: dict[str, str | float] = {"A1": "id", "B1": "Prompt", "C1": "Seed", "D1": "Aspect Ratio", "E1": "Style"}
    cells |= {"A2": "k1", "B2": "a kite", "C2": 7.0, "D2": "16:9", "E2": "oil", "A4": "k2", "B4": "a fox"}
    read = checked(spreadsheet(tmp_path, cells))
    assert [(job.prompt_id, dict(job.inputs), job.line) for job in read.made] == [
        ("k1", {"prompt": "a kite", "seed": 7, "aspect_ratio": "16:9"}, 2),
        ("k2", {"prompt": "a fox"}, 4),
    ]
    assert any("`notes`" in warning for warning in read.warnings)


def test_titles_above_the_header_of_a_spreadsheet_are_left_out_and_said(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="an extra")
    cells: dict[str, str | float] = {"A1": "My prompts", "A3": "id", "B3": "Prompt", "A4": "k1", "B4": "a kite"}
    read = checked(spreadsheet(tmp_path, cells))
    assert [(job.prompt_id, job.line) for job in read.made] == [("k1", 4)]
    assert any("above its header" in text for text in read.warnings)


def test_a_spreadsheet_of_a_few_cells_far_apart_is_refused_before_it_is_held(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="an extra")
    far = spreadsheet(tmp_path, {"A1": "prompt", "XFD900000": "far"})
    assert "900,000 rows and 16,384 columns" in problems(far)[0].what


def test_a_spreadsheet_is_refused_with_how_to_save_it_where_its_reader_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "find_spec", lambda _: None)
    assert "CSV UTF-8" in problems(spreadsheet(tmp_path, {"A1": "prompt"}))[0].mend


def test_failures_of_a_run_are_a_manifest_too(tmp_path: Path) -> None:
    assert IMAGEN is not None
    line = {"job": "5" * 32, "state": "failed", "cause": {"kind": "failed"}, "model": IMAGEN.model_id}
    line |= {"inputs": {"prompt": "a kite", "seed": 7}, "prompt_id": "k", "meta": {"set": "x"}}
    (job,) = jobs(write(tmp_path, json.dumps(line) + "\n", "failures.jsonl"))
    assert (dict(job.inputs), job.prompt_id, job.meta) == ({"prompt": "a kite", "seed": 7}, "k", {"set": "x"})


# --- names and the prompt's input


def test_a_field_of_the_path_that_no_row_has_is_refused_with_the_one_that_is_meant(tmp_path: Path) -> None:
    write(tmp_path, "category,prompt\nx,a\n", "p.csv")
    path = write(tmp_path, "prompts: [{file: p.csv}]\noutput: {path: '{meta.Category}/{prompt_id}'}\n")
    (problem,) = problems(path)
    assert "did you mean `meta.category`?" in problem.mend
    (job,) = jobs(path, path="{meta.category}/{index:03d}")
    assert job.path == "x/000"
    with pytest.raises(UsageError, match="--path"):
        jobs(path, path="{meta.category")


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("properties", "required", "flags", "sent"),
    [
        ({"text": TEXT, "voice": TEXT}, ["text"], {}, "text"),
        ({"promptText": TEXT, "image": {"type": "string", "format": "image_uri"}}, ["promptText"], {}, "promptText"),
        ({"prompt": TEXT, "lyrics": TEXT}, [], {"prompt_input": "lyrics"}, "lyrics"),
    ],
)
def test_prompts_go_to_the_text_input_of_the_model(
    tmp_path: Path, properties: dict[str, Any], required: list[str], flags: dict[str, Any], sent: str
) -> None:
    schema = ModelSchema.from_json("x/y", {"properties": properties, "required": required})
    for name, text in (("p.txt", "a kite\n"), ("p.csv", "prompt\na kite\n"), (f"{sent}.csv", f"{sent}\na kite\n")):
        (job,) = jobs(write(tmp_path, text, name), schema, **flags)
        assert (dict(job.inputs), job.prompt_id) == ({sent: "a kite"}, "a-kite-386d5ff1")
    (job,) = jobs(write(tmp_path, f"prompts: [{{{sent}: a kite}}]\n"), schema, **flags)
    assert dict(job.inputs) == {sent: "a kite"}


def test_a_prompt_input_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--prompt-input promt"):
        jobs(write(tmp_path, "a\n", "p.txt"), prompt_input="promt")
    assert "did you mean `prompt`" in problems(write(tmp_path, "prompt_input: promt\nprompts: [a]\n"))[0].mend


def test_a_model_without_prompts_takes_rows_of_its_inputs(tmp_path: Path) -> None:
    picture = {"type": "string", "format": "image_uri"}
    scale = {"type": "integer", "default": 2}
    schema = ModelSchema.from_json("x/up", {"properties": {"image": picture, "scale": scale}, "required": ["image"]})
    url = "https://example.com/cat.png"
    (job,) = jobs(write(tmp_path, f"image,scale\n{url},4\n", "p.csv"), schema)
    assert dict(job.inputs) == {"image": url, "scale": 4}
    (line,) = jobs(write(tmp_path, f"{url}\n", "p.txt"), schema)
    assert dict(line.inputs) == {"image": url}


@pytest.mark.parametrize("value", [3, 1.5, True, ["a"], {"a": 1}])
def test_a_prompt_that_is_no_text_is_an_error_without_a_schema_too(tmp_path: Path, value: Any) -> None:
    (problem,) = problems(write(tmp_path, json.dumps({"prompt": value}), "p.jsonl"), None)
    assert "must be text" in problem.what
