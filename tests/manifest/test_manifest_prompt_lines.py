"""``--format a1111`` and ``--format kohya``: lines with options, every one understood or refused where it stands."""

import shlex
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.manifest.readers.prompt_lines import _BadLine, _words
from batcher.manifest.schema import ModelSchema
from tests.manifest.manifest_reading import PARTI, checked, inputs, jobs, needs_parti, problems, write


def a1111(folder: Path, text: str) -> list[dict[str, object]]:
    return [dict(job.inputs) for job in jobs(write(folder, text, "p.txt"), format="a1111")]


def kohya(folder: Path, text: str) -> list[dict[str, object]]:
    return [dict(job.inputs) for job in jobs(write(folder, text, "p.txt"), format="kohya")]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a plain kite, it's 2--3 m", {"prompt": "a plain kite, it's 2--3 m"}),
        ("--prompt a red  kite --seed 7", {"prompt": "a red kite", "seed": 7}),
        ('--prompt "a dog\'s  -- dinner" --seed 7', {"prompt": "a dog's  -- dinner", "seed": 7}),
        ("--prompt x --negative_prompt bad, ugly --seed -1", {"prompt": "x", "negative_prompt": "bad, ugly"}),
        ("--neg blur --ar 1:1 --prompt x", {"prompt": "x", "negative_prompt": "blur", "aspect_ratio": "1:1"}),
        ("--prompt x --width 1024 --height 1024", {"prompt": "x", "aspect_ratio": "1:1"}),
        ("--prompt x --height 900 --width 1600", {"prompt": "x", "aspect_ratio": "16:9"}),
        ("--prompt x --width 768 --height 1408", {"prompt": "x", "aspect_ratio": "9:16"}),
        ('--prompt ""x\\"y\'z\'', {"prompt": 'x"yz'}),
    ],
)
def test_an_a1111_line_means_what_it_means_there(tmp_path: Path, line: str, wanted: dict[str, object]) -> None:
    assert a1111(tmp_path, line) == [wanted]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a plain kite, it's 2--3 m", [{"prompt": "a plain kite, it's 2--3 m"}]),
        ("a cat --n bad, ugly --d 42", [{"prompt": "a cat", "negative_prompt": "bad, ugly", "seed": 42}]),
        ("a cat\t--D 1 --W 1408 --H 768", [{"prompt": "a cat", "seed": 1, "aspect_ratio": "16:9"}]),
        ("a cat --d 7,8", [{"prompt": "a cat", "seed": 7}, {"prompt": "a cat", "seed": 8}]),
        ("a --neg b --seed 3 --ar 3:4", [{"prompt": "a", "negative_prompt": "b", "seed": 3, "aspect_ratio": "3:4"}]),
        ("a cat --d 9223372036854775807", [{"prompt": "a cat", "seed": 2**63 - 1}]),
    ],
)
def test_a_kohya_line_means_what_it_means_there(tmp_path: Path, line: str, wanted: list[dict[str, object]]) -> None:
    assert kohya(tmp_path, line) == wanted


@pytest.mark.parametrize(
    ("form", "line", "column", "what", "mend"),
    [
        ("a1111", "--prompt x --foo 1", 12, "unknown option `--foo`", "use one of"),
        ("a1111", "--prompt x --sed 1", 12, "unknown option `--sed`", "did you mean `seed`"),
        ("a1111", "--prompt x --steps 20", 12, "the model has no input for it", "sed -E 's/ --steps"),
        ("a1111", "--prompt x --sampler_name 'DPM++ 2M'", 12, "no input for it", "remove it"),
        ("a1111", "--prompt it's --seed 1", 12, "a quote that does not end", "double quotes"),
        ("a1111", '--prompt "it --seed 1', 10, "a quote that does not end", "close it"),
        ("a1111", "--prompt x --seed 1 \\", 21, "a quote that does not end", "\\"),
        ("a1111", "hello --seed 3", 1, '"hello" belongs to no option', "kohya"),
        ("a1111", "--seed 1 2 --prompt x", 10, "belongs to no option", "quote"),
        ("a1111", "--prompt x --seed abc", 12, "must be an integer", "leave it out"),
        ("a1111", "--prompt x --seed", 12, "has no value", ""),
        ("a1111", "--prompt x -- y", 12, "without the name", "in quotes"),
        ("a1111", "--seed 1", 1, "`prompt` is missing", ""),
        ("a1111", "--prompt x --ar 2:3", 12, "`aspect_ratio` must be one of", ""),
        ("a1111", "--prompt x --width 512 --height 768", 12, "512x768 is 2:3", "--ar 3:4"),
        ("a1111", "--prompt x --width 512", 12, "a width alone", ""),
        ("a1111", "--prompt x --width 5e2 --height 9", 12, "a number of pixels", ""),
        ("a1111", "--prompt x --width 8 --height 8 --ar 1:1", 12, "a size beside --ar", ""),
        ("kohya", "a cat --l 7.5", 7, "`--l`: the model has no input", "sed -E"),
        ("kohya", "a cat --x 7.5", 7, "unknown option `--x`", ""),
        ("kohya", "a cat --cref x", 7, "`--cref` is Midjourney's", "sed -E"),
        ("kohya", "a cat -- a dog", 7, "without the name", "—"),
        ("kohya", "a cat --", 7, "without the name", "—"),
        ("kohya", "--n foo", 1, "begins with an option", "prompt first"),
        ("kohya", "a cat --d 1,x", 7, "must be an integer", ""),
        ("kohya", "a cat --d 1,", 7, "has no value", ""),
        ("kohya", "a cat --n", 7, "has no value", ""),
        ("kohya", "a cat --d 1 --seed 1", 13, "gives `seed` a second time", ""),
        ("kohya", "é cat \U0001f600 --d -7 x", 9, "must be an integer", ""),
    ],
)
def test_what_a_line_gets_wrong_is_an_error_at_its_option(
    tmp_path: Path, form: str, line: str, column: int, what: str, mend: str
) -> None:
    (error,) = problems(write(tmp_path, f"a fox\n{line}\n", "p.txt"), format=form)
    assert (error.line, error.column) == (2, column)
    assert what in error.what
    assert mend in error.mend


def test_an_option_that_no_line_may_have_is_one_message_and_the_others_are_not_hidden(tmp_path: Path) -> None:
    text = "a --s 1\n" * 200 + "a --d x\n"
    assert [error.line for error in problems(write(tmp_path, text, "p.txt"), format="kohya")] == [1, 201]


def test_a_model_that_takes_sizes_and_steps_gets_them(tmp_path: Path) -> None:
    names = {"width": "integer", "height": "integer", "num_inference_steps": "integer", "guidance_scale": "number"}
    schema = ModelSchema.from_json(
        "a/b", {"properties": {"prompt": {"type": "string"}, **{name: {"type": kind} for name, kind in names.items()}}}
    )
    (job,) = jobs(write(tmp_path, "x --w 512 --h 768 --s 20 --l 7.5", "p.txt"), schema, format="kohya")
    assert job.inputs == {
        "prompt": "x",
        "width": 512,
        "height": 768,
        "num_inference_steps": 20,
        "guidance_scale": 7.5,
    }


def test_a_model_that_nobody_knows_gets_the_exact_ratio(tmp_path: Path) -> None:
    (job,) = jobs(write(tmp_path, "x --w 512 --h 768", "p.txt"), None, format="kohya")
    assert job.inputs == {"prompt": "x", "aspect_ratio": "2:3"}


def test_kohya_comments_are_left_out_and_a_warning_says_so(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, "# a\na cat --d 1,2\n\n#b\nx\n", "p.txt"), format="kohya")
    assert [(job.line, job.inputs.get("seed")) for job in manifest.jobs()] == [(2, 1), (2, 2), (5, None)]
    assert any("comments" in warning for warning in manifest.warnings)


def test_a_file_entry_may_have_these_formats_and_says_what_its_lines_do_not(tmp_path: Path) -> None:
    write(tmp_path, "a cat --d 1,2\na dog\n", "k.txt")
    write(tmp_path, "--prompt 'a {b|c}' --seed 5", "a.txt")
    yaml = """
prompts:
  - {file: k.txt, format: kohya, negative_prompt: blur, meta: {set: k}}
  - {file: a.txt, format: a1111, dynamic: true}
"""
    path = write(tmp_path, yaml)
    all_jobs = jobs(path)
    assert inputs(all_jobs, "prompt") == ["a cat", "a cat", "a dog", "a b", "a c"]
    assert inputs(all_jobs, "seed") == [1, 2, None, 5, 5]
    assert inputs(all_jobs, "negative_prompt") == ["blur"] * 3 + [None] * 2
    before = checked(path).digest
    write(tmp_path, "a cat --d 1,3\na dog\n", "k.txt")
    assert checked(path).digest != before


@given(st.text("ab -'\"\\\t\u3000", max_size=30))
@example("a\u00a0b 'c'\"d\"")
def test_words_are_those_of_a_shell(text: str) -> None:
    try:
        wanted = shlex.split(text)
    except ValueError:
        with pytest.raises(_BadLine):
            _words(text)
        return
    words = _words(text)
    assert [word for word, _, _ in words] == wanted
    for word, column, _ in words:
        assert text[column - 1] in (*word[:1], "'", '"', "\\")


@needs_parti
@pytest.mark.parametrize("form", ["a1111", "kohya"])
def test_prompts_of_a_benchmark_are_prompts_as_they_stand(tmp_path: Path, form: str) -> None:
    prompts = [line.split("\t")[0] for line in PARTI.read_text().splitlines()[1:]]
    all_jobs = jobs(write(tmp_path, "\n".join(prompts), "p.txt"), format=form)
    assert inputs(all_jobs, "prompt") == [prompt.strip() for prompt in prompts]
