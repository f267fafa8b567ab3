"""``dynamic``: prompts as templates, each variant a prompt of its own, bounded, in an order that stays."""

import json
import os
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.job import job_key
from batcher.manifest.schema import ModelSchema
from batcher.manifest.templates.choices import Choice, Text
from batcher.manifest.templates.templates import BadTemplate, Template, is_dynamic
from tests.manifest.manifest_reading import IMAGEN, checked, inputs, jobs, problems, write


def no_list(name: str, at: int, depth: int) -> Choice:
    raise BadTemplate(at, f"no {name}", "")


def made(folder: Path, text: str) -> list[str]:
    return inputs(jobs(write(folder, text, "p.txt"), dynamic=True), "prompt")


def lists(folder: Path, **texts: str | bytes) -> None:
    (folder / "wildcards").mkdir(exist_ok=True)
    for name, text in texts.items():
        write(folder / "wildcards", text, f"{name}.txt")


def test_without_being_asked_for_every_brace_and_dollar_is_text(tmp_path: Path) -> None:
    text = "a {red|blue} $10,000 __colour__ # fox"
    assert inputs(jobs(write(tmp_path, text, "p.txt")), "prompt") == [text]
    yaml = json.dumps({"prompts": [text, {"prompt": text, "dynamic": False}]})
    assert inputs(jobs(write(tmp_path, yaml)), "prompt") == [text, text]


def test_the_first_choice_is_outermost(tmp_path: Path) -> None:
    assert made(tmp_path, "a {red|blue} {fox|cat}") == ["a red fox", "a red cat", "a blue fox", "a blue cat"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{a|{b|c} d}", ["a", "b d", "c d"]),
        ("{a|a|b}", ["a", "b"]),  # the same text is not paid for twice
        ("{a|ab}{b|}", ["ab", "a", "abb"]),
        ("x{|y}", ["x", "xy"]),
        ("{3::a|.5::b}", ["a", "b"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, c"]),
        ("{1-2$$ and $$a|{b|c}}", ["a", "b", "c", "a and b", "a and c"]),
        ("{-1$$a|b}", ["a", "b"]),
        ("{2-$$a|b}", ["a, b"]),
        ("{0-1$$a|b} x", [" x", "a x", "b x"]),
        ("it costs $5, 100% of [a|b] or a | b, a_b (c:1.2) \\(d\\)", None),
        ("\\{a\\|b\\} \\__c\\__ \\#", ["{a|b} __c__ #"]),
        ("#1 is a comment {a|b}\rx", ["x"]),
        ("no # comment", None),
    ],
)
def test_the_notation_that_other_tools_share(tmp_path: Path, text: str, wanted: list[str] | None) -> None:
    yaml = json.dumps({"dynamic": True, "prompts": [text]})
    assert inputs(jobs(write(tmp_path, yaml)), "prompt") == (wanted or [text])


def test_a_comment_in_a_text_file_is_no_prompt_and_a_warning_says_so(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, "# mine\na {b|c}\n", "p.txt"), dynamic=True)
    assert (manifest.total, [job.line for job in manifest.jobs()]) == (2, [2, 2])
    assert any("comments" in warning for warning in manifest.warnings)


WRONG = [
    ("a {b|c", 3, "never closed"),
    ("a b} c", 4, "without its `{`"),
    ("a {b} c", 3, "no choice"),
    ("a {} c", 3, "no choice"),
    ("${x=!{a|b}} c", 1, "variables"),
    ("%{a$$b}", 1, "wraps"),
    ("snake__case", 6, "it has no end"),
    ("a __ b __", 3, "it has no end"),
    ("{3$$a|b}", 1, "3 to 3 of 2"),
    ("{2-1$$a|b}", 1, "2 to 1 of 2"),
    ("{e$$a|b}", 1, "does not say how many"),
    ("{0::a|b}", 2, "weight of 0"),
    ("{a|" * 31 + "b" + "}" * 31, 91, "nested"),
    ("a __b*__", 3, "patterns"),
    ("__../secret__", 1, "can't be the name"),
    ("__/etc/passwd__", 1, "can't be the name"),
    ("__.hidden__", 1, "can't be the name"),
    ("__a\\b__", 1, "can't be the name"),
    ("__colour__", 1, "there is no list"),
]


@pytest.mark.parametrize(("text", "column", "what"), WRONG)
def test_whatever_is_not_understood_is_an_error_where_it_stands(
    tmp_path: Path, text: str, column: int, what: str
) -> None:
    (error,) = problems(write(tmp_path, f"a fox\n{text}\n", "p.txt"), dynamic=True)
    assert (error.line, error.column) == (2, column)
    assert what in error.what


def test_where_the_column_can_not_be_told_the_character_is(tmp_path: Path) -> None:
    (error,) = problems(write(tmp_path, 'seed,prompt\n1,"a {b"\n', "p.csv"), dynamic=True)
    assert (error.line, error.column) == (2, 3)
    assert "character 3 of the prompt" in error.what


def test_too_many_variants_are_an_error_that_says_how_many_and_what_to_do(tmp_path: Path) -> None:
    (error,) = problems(write(tmp_path, "{a|b}" * 11, "p.txt"), dynamic=True)
    assert "makes 2,048 prompts" in error.what
    assert "most: 2048" in error.mend
    assert "sample: 20" in error.mend
    (error,) = problems(write(tmp_path, "{a|b}" * 300, "p.txt"), dynamic=True)
    assert "more than" in error.what
    yaml = json.dumps({"dynamic": {"most": 2048}, "prompts": ["{a|b}" * 11]})
    assert checked(write(tmp_path, yaml)).total == 2048


def sampled(folder: Path, many: int, start: int, text: str = "{a|b|c|d} {a|b|c|d} {a|b|c|d}") -> list[str]:
    yaml = json.dumps({"prompts": [{"prompt": text, "dynamic": {"sample": many, "from": start}}]})
    return inputs(jobs(write(folder, yaml)), "prompt")


def test_a_sample_is_the_same_every_time_and_a_larger_one_begins_with_the_smaller(tmp_path: Path) -> None:
    twenty = sampled(tmp_path, 20, 7)
    assert twenty == sampled(tmp_path, 20, 7)
    assert len(set(twenty)) == 20
    assert sampled(tmp_path, 30, 7)[:20] == twenty
    assert sampled(tmp_path, 20, 8) != twenty
    assert twenty[:2] == ["b b d", "b b b"]  # on every machine and for ever: these were paid for
    assert sampled(tmp_path, 64, 7) == sampled(tmp_path, 100, 1)  # all of them, so in order


def test_weights_count_where_variants_are_drawn(tmp_path: Path) -> None:
    texts = sampled(tmp_path, 40, 1, "{9::rare|often} {2$$a|b|c|d|e} " + "{a|b}" * 12)
    assert sum(text.startswith("rare") for text in texts) > 30
    assert len(sampled(tmp_path, 3, 1, "{999999::a|b|c|d}")) == 3  # the others are never drawn, and come in order


def test_a_draw_from_more_variants_than_can_be_counted_takes_no_walk(tmp_path: Path) -> None:
    assert len(sampled(tmp_path, 5, 1, "{a|b}" * 500)) == 5
    assert len(sampled(tmp_path, 50, 1, "{a|aa}" * 10)) == 11  # there are no more different ones


def test_lists_keep_the_order_of_their_lines_and_may_hold_choices_and_lists(tmp_path: Path) -> None:
    lists(tmp_path, colour=b"\xef\xbb\xbfred\r\n\r\n# no\r\n  blue  \r\n__dark/green__\n", light="{a|b}\n")
    (tmp_path / "wildcards" / "dark").mkdir()
    write(tmp_path / "wildcards" / "dark", "{deep|mossy} green", "green.txt")
    assert made(tmp_path, "__colour__!") == ["red!", "blue!", "deep green!", "mossy green!"]
    assert made(tmp_path, "{2$$ on $$__colour__}")[:2] == ["red on blue", "red on deep green"]
    assert made(tmp_path, "{__light__|x}") == ["a", "b", "x"]


def test_the_manifest_names_the_folder_of_lists(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", "red\nblue\n", "colour.txt")
    write(tmp_path, "a __colour__ cat\n", "p.txt")
    yaml = "dynamic: {wildcards: mine}\nprompts: [a __colour__ fox, {file: p.txt}, {file: p.txt, dynamic: false}]"
    assert inputs(jobs(write(tmp_path, yaml)), "prompt") == [
        "a red fox",
        "a blue fox",
        "a red cat",
        "a blue cat",
        "a __colour__ cat",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("__colour__", "refers back to itself"),
        ("# nothing", "is an empty list"),
        (b"\xff\xfe\xff", "is not UTF-16"),
        (b"\x89PNG", "a PNG image"),
        (b"a\0b", "zero byte"),
        (b"caf\xe9", "is not UTF-8"),
        ("a\n\n {b", "never closed"),
        ("__none__", "there is no list `none`"),
        ("a\n" * 100_001, "more than 100,000 lines"),
    ],
)
def test_a_bad_list_is_an_error_in_that_file_once(tmp_path: Path, text: str | bytes, what: str) -> None:
    lists(tmp_path, colour=text)
    (error,) = problems(write(tmp_path, "a __colour__ fox\nthe __colour__ cat\n", "p.txt"), dynamic=True)
    assert error.file == str(tmp_path / "wildcards/colour.txt")
    assert what in error.what
    if "never closed" in what:
        assert (error.line, error.column) == (3, 2)


def test_a_circle_of_lists_is_named(tmp_path: Path) -> None:
    lists(tmp_path, a="x __b__", b="y\n__c__", c="__a__")
    (error,) = problems(write(tmp_path, "__b__", "p.txt"), dynamic=True)
    assert error.file == str(tmp_path / "wildcards/a.txt")
    assert "b → c → a → b" in error.what


def test_lists_that_multiply_are_refused_by_arithmetic(tmp_path: Path) -> None:
    lists(tmp_path, **{f"l{at}": f"__l{at + 1}__ " * 100 for at in range(20)}, l20="x")
    errors = problems(write(tmp_path, "__l18__\n__l0__", "p.txt"), dynamic=True)
    assert all("without bounds" in one.what for one in errors)
    write(tmp_path, "__l17__", "p.txt")
    (found_too,) = problems(str(tmp_path / "p.txt"), dynamic=True)
    assert "longer than 1 MB" in found_too.what


def test_no_link_and_no_pipe_leads_out_of_the_folder_of_lists(tmp_path: Path) -> None:
    lists(tmp_path)
    write(tmp_path, "a secret", "secret.txt")
    (tmp_path / "wildcards" / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(tmp_path / "wildcards" / "pipe.txt")
    errors = problems(write(tmp_path, "__link__\n__pipe__\n", "p.txt"), dynamic=True)
    assert [one.line for one in errors] == [1, 2]
    assert "leads out" in errors[0].what


def test_vars_are_filled_in_where_a_variant_mentions_them(tmp_path: Path) -> None:
    yaml = """
dynamic: true
prompts:
  - {prompt: "{a {time}|one} lake", id: lake, vars: {time: [misty, "{x|y}"]}, negative_prompt: "{a|b}"}
"""
    all_jobs = jobs(write(tmp_path, yaml))
    assert inputs(all_jobs, "prompt") == ["a misty lake", "a {x|y} lake", "one lake"]
    assert {job.prompt_id for job in all_jobs} == {"lake"}
    assert inputs(all_jobs, "negative_prompt") == ["{a|b}"] * 3
    assert len({job.path for job in all_jobs}) == 3


def test_counts_hold_with_a_matrix_pins_and_copies(tmp_path: Path) -> None:
    yaml = """
dynamic: true
prompts:
  - {prompt: "{a|b|c}", aspect_ratio: "1:1"}
  - "{x|y}"
matrix: {aspect_ratio: ["16:9", "1:1"], seed: 1..2}
"""
    manifest = checked(write(tmp_path, yaml))
    assert manifest.total == 3 * 2 + 2 * 4 == len(list(manifest.jobs()))
    assert manifest.count_by_axis()["aspect_ratio"] == {"16:9": 4, "1:1": 10}
    assert checked(write(tmp_path, "{a|b}", "p.txt"), dynamic=True, repeat=3).total == 6


def test_a_path_may_name_the_variant(tmp_path: Path) -> None:
    yaml = 'dynamic: true\noutput: {path: "{prompt_id}/{variant}"}\nprompts: [{prompt: "{red|blue} {fox|cat}", id: x}]'
    assert [job.path for job in jobs(write(tmp_path, yaml))] == ["x/red_fox", "x/red_cat", "x/blue_fox", "x/blue_cat"]


def test_names_and_keys_of_variants_stay_when_the_template_grows(tmp_path: Path) -> None:
    def named(text: str) -> dict[str, tuple[str, str]]:
        yaml = json.dumps({"dynamic": True, "prompts": [{"prompt": text, "id": "x"}, text]})
        return {job.inputs["prompt"] + job.prompt_id: (job.key, job.prompt_id) for job in jobs(write(tmp_path, yaml))}

    before, after = named("{red|blue} fox"), named("{green|red|blue|{dark|light} brown} fox")
    assert len(before) == 4
    assert before.items() <= after.items()


def test_a_prompt_changes_only_what_it_names_of_the_setting(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", "red\nblue\ngreen\n", "colour.txt")
    yaml = """
dynamic: {wildcards: mine, sample: 2, from: 1}
prompts:
  - a __colour__ fox
  - {prompt: a __colour__ fox, dynamic: {sample: 1}}
"""
    prompts = inputs(jobs(write(tmp_path, yaml)), "prompt")
    assert len(prompts) == 3
    assert prompts[2] == prompts[0]


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("7", "true, false or a mapping"),
        ("{moste: 3}", "unknown key `moste`"),
        ("{most: 0}", "`most` is a number"),
        ("{most: 1000001}", "`most` is a number"),
        ("{sample: many, from: 1}", "`sample` is a number"),
        ("{sample: 3}", "without `from`"),
        ("{from: 3}", "without `sample`"),
        ("{wildcards: nowhere}", "there is no folder"),
        ("{wildcards: [a]}", "is a folder"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_an_error_wherever_it_stands(tmp_path: Path, spec: str, what: str) -> None:
    write(tmp_path, "a fox", "p.txt")
    for yaml in (
        f"dynamic: {spec}\nprompts: [a fox]",
        f"prompts: [{{prompt: a fox, dynamic: {spec}}}]",
        f"prompts: [{{file: p.txt, dynamic: {spec}}}]",
    ):
        errors = problems(write(tmp_path, yaml))
        assert what in errors[0].what
        assert errors[0].line > 0


def test_an_input_of_the_model_that_is_called_dynamic_stays_one(tmp_path: Path) -> None:
    schema = ModelSchema.from_json(
        "a/b", {"properties": {"prompt": {"type": "string"}, "dynamic": {"type": "boolean"}}}
    )
    all_jobs = jobs(write(tmp_path, "prompts: [{prompt: 'a {b|c}', dynamic: true}]"), schema)
    assert [job.inputs for job in all_jobs] == [{"prompt": "a {b|c}", "dynamic": True}]


def test_records_of_a_run_are_sent_as_they_were(tmp_path: Path) -> None:
    record = {
        "schema": "batcher/1",
        "job": "x",
        "model": IMAGEN.model_id if IMAGEN else "",
        "inputs": {"prompt": "{a|b}"},
    }
    all_jobs = jobs(write(tmp_path, json.dumps(record), "r.jsonl"), dynamic=True)
    assert inputs(all_jobs, "prompt") == ["{a|b}"]


def _texts(depth: int) -> st.SearchStrategy[str]:
    plain = st.text("ab ", max_size=3)
    if not depth:
        return plain
    inner = _texts(depth - 1)
    choice = st.lists(inner, min_size=2, max_size=3).map(lambda options: "{" + "|".join(options) + "}")
    picks = st.lists(inner, min_size=2, max_size=3).map(lambda options: "{2$$+$$" + "|".join(options) + "}")
    return st.lists(plain | choice | picks, max_size=3).map("".join)


def _walked(part: Text | Choice | str) -> list[str]:
    """All variants, the slow and obvious way."""
    if isinstance(part, str):
        return [part]
    if isinstance(part, Text):
        return ["".join(parts) for parts in product(*map(_walked, part.parts))]
    return [
        part.separator.join(chosen)
        for many in range(part.least, part.most + 1)
        for chosen in _sets([_walked(option) for option in part.options], many)
    ]


def _sets(options: list[list[str]], many: int) -> list[list[str]]:
    if not many:
        return [[]]
    return [
        [first, *rest]
        for at, option in enumerate(options)
        for first in option
        for rest in _sets(options[at + 1 :], many - 1)
    ]


@given(_texts(3))
@settings(max_examples=200, deadline=None)
def test_the_count_and_every_numbered_variant_are_those_of_a_walk(text: str) -> None:
    try:
        tree = Template(text, no_list).read()
    except BadTemplate:
        return  # two picks of options that are the same one
    if tree.count <= 3_000:
        assert list(map("".join, tree.variants())) == _walked(tree)


@given(st.text("ab{|}_$%#\\:1-\n", max_size=40))
@settings(max_examples=500)
def test_any_text_is_a_template_or_an_error_inside_of_it(text: str) -> None:
    try:
        Template(text, no_list).read()
        at = 0
    except BadTemplate as error:
        at = error.column - 1
    assert 0 <= at < max(1, len(text))


@given(st.text("ab|_$%#:1-\n", max_size=20))
def test_text_with_nothing_dynamic_in_it_is_itself(text: str) -> None:
    if not is_dynamic(text):
        assert _walked(Template(text, no_list).read()) == [text]


@given(st.text("ab{|}_$%#\\:1-", max_size=20))
def test_text_whose_signs_have_backslashes_is_itself(text: str) -> None:
    escaped = "".join("\\" + char if char in "{}|_#$%:" else char for char in text.replace("\\", ""))
    assert _walked(Template(escaped, no_list).read()) == [text.replace("\\", "")]


def test_blanks_in_a_choice_are_blanks_of_the_prompt_and_not_of_the_name(tmp_path: Path) -> None:
    text = 'dynamic: true\nprompts: ["a{ very  old |\\n} { fox | cat\\t}"]\noutput: {path: "{variant}"}\n'
    all_jobs = jobs(write(tmp_path, text))
    assert inputs(all_jobs, "prompt") == ["a very  old   fox ", "a very  old   cat\t", "a\n  fox ", "a\n  cat\t"]
    assert [job.path for job in all_jobs] == ["very old_fox", "very old_cat", "_fox", "_cat"]


def test_a_changed_list_makes_another_digest_and_so_does_the_flag(tmp_path: Path) -> None:
    lists(tmp_path, colour="red\nblue\n")
    write(tmp_path, "a __colour__ cat\n", "p.txt")
    path = write(tmp_path, "dynamic: true\nprompts: [a fox, {file: p.txt}]")
    first = checked(path).digest
    assert checked(path).digest == first
    lists(tmp_path, colour="red\nblux\n")
    assert checked(path).digest != first
    plain = write(tmp_path, "a {b|c}\n", "q.txt")
    assert checked(plain).digest != checked(plain, dynamic=True).digest


def test_what_vars_templates_and_repeat_chose_stands_in_the_job_and_not_in_its_key(tmp_path: Path) -> None:
    prompt = "{prompt: 'a {red|blue} {bird}', vars: {bird: [kite]}, repeat: 2, dynamic: true}"
    all_jobs = jobs(write(tmp_path, f"prompts: [{prompt}, plain]"))
    assert [job.chosen for job in all_jobs] == [
        {"repeat": 1, "variant": "red", "bird": "kite"},
        {"repeat": 2, "variant": "red", "bird": "kite"},
        {"repeat": 1, "variant": "blue", "bird": "kite"},
        {"repeat": 2, "variant": "blue", "bird": "kite"},
        None,
    ]
    assert all_jobs[0].key == job_key(all_jobs[0].model, all_jobs[0].inputs)
