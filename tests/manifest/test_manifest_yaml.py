from pathlib import Path

import pytest

from batcher.manifest import Overrides, open_manifest
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write


def test_unquoted_ratios_are_ratios(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a]\nmatrix:\n  aspect_ratio: [16:9, 4:3, 1:1, 3:4, 9:16]\n")
    assert inputs(jobs(path), "aspect_ratio") == ["16:9", "4:3", "1:1", "3:4", "9:16"]
    assert inputs(jobs(write(tmp_path, "prompts: [{prompt: 16:9, aspect_ratio: 16:9}]")), "prompt") == ["16:9"]


def test_precedence_goes_from_defaults_over_set_and_matrix_to_the_prompt(tmp_path: Path) -> None:
    text = (
        "defaults: {aspect_ratio: 1:1, negative_prompt: d, seed: 1}\n"
        "matrix: {seed: 2}\n"
        "prompts: [a, {prompt: b, seed: 3, aspect_ratio: 4:3}]\n"
    )
    all_jobs = jobs(write(tmp_path, text), set=(("aspect_ratio", "9:16"),))
    assert [dict(job.inputs) for job in all_jobs] == [
        {"aspect_ratio": "9:16", "negative_prompt": "d", "seed": 2, "prompt": "a"},
        {"aspect_ratio": "4:3", "negative_prompt": "d", "seed": 3, "prompt": "b"},
    ]


def test_a_prompt_that_pins_an_axis_keeps_its_own_value(tmp_path: Path) -> None:
    text = "prompts: [{prompt: a, seed: 7}, b]\nmatrix: {aspect_ratio: [1:1, 4:3], seed: 1..3}\n"
    manifest = checked(write(tmp_path, text))
    all_jobs = list(manifest.jobs())
    assert [job.inputs["seed"] for job in all_jobs] == [7, 7, 1, 2, 3, 1, 2, 3]
    assert all_jobs[0].path.endswith("_1x1_s7")
    assert manifest.count_by_axis()["seed"] == {"7": 2, "1": 2, "2": 2, "3": 2}


def test_a_flag_replaces_an_axis_of_the_manifest_and_adds_new_ones_inside(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a]\nmatrix: {seed: 1..100}\n")
    all_jobs = jobs(path, matrix=("aspect_ratio=1:1,4:3", "seed=5,6"))
    assert [(j.inputs["seed"], j.inputs["aspect_ratio"]) for j in all_jobs] == [
        (5, "1:1"),
        (5, "4:3"),
        (6, "1:1"),
        (6, "4:3"),
    ]


@pytest.mark.parametrize(
    ("spec", "seeds"),
    [
        ("7", [7]),
        ("[3, 1, 3]", [3, 1]),
        ("1..3", [1, 2, 3]),
        ("'-2..-1'", [-2, -1]),
        ("-1..1", [-1, 0, 1]),
        ("{start: 5, count: 3}", [5, 6, 7]),
        ("{start: 5, count: 3, step: -2}", [5, 3, 1]),
        ("[1..2, 9]", [1, 2, 9]),
    ],
)
def test_axis_specs(tmp_path: Path, spec: str, seeds: list[int]) -> None:
    assert inputs(jobs(write(tmp_path, f"prompts: [a]\nmatrix: {{seed: {spec}}}\n")), "seed") == seeds


def test_exclude_and_include_work_on_the_effective_combination(tmp_path: Path) -> None:
    text = (
        "prompts: [a, {prompt: b, seed: 3}]\n"
        "matrix: {aspect_ratio: [1:1, 4:3], seed: 1..3}\n"
        "exclude: [{aspect_ratio: 1:1, seed: 3}, {seed: 2}]\n"
        "include: [{aspect_ratio: 16:9, seed: 999}, {aspect_ratio: 4:3, seed: 1}, {aspect_ratio: 1:1, seed: 3}]\n"
    )
    combinations = [
        (j.inputs["prompt"], j.inputs["aspect_ratio"], j.inputs["seed"]) for j in jobs(write(tmp_path, text))
    ]
    assert combinations == [
        ("a", "1:1", 1),
        ("a", "4:3", 1),
        ("a", "4:3", 3),
        ("a", "16:9", 999),
        ("a", "1:1", 3),
        ("b", "4:3", 3),
        ("b", "16:9", 3),
        ("b", "1:1", 3),
    ]


def test_an_include_leaves_out_the_axes_it_does_not_name(tmp_path: Path) -> None:
    text = "prompts: [a]\nmatrix: {aspect_ratio: [1:1], seed: [1]}\ninclude: [{seed: 9}]\n"
    assert [dict(job.inputs) for job in jobs(write(tmp_path, text))] == [
        {"prompt": "a", "aspect_ratio": "1:1", "seed": 1},
        {"prompt": "a", "seed": 9},
    ]


def test_include_without_a_matrix_is_the_list_of_what_to_make(tmp_path: Path) -> None:
    text = "prompts: [a]\ninclude: [{seed: 1, aspect_ratio: 1:1}, {seed: 2, aspect_ratio: 4:3}]\n"
    assert inputs(jobs(write(tmp_path, text)), "seed") == [1, 2]


def test_vars_fill_only_what_they_name_and_multiply_within_the_prompt(tmp_path: Path) -> None:
    text = (
        "prompts:\n"
        "  - {prompt: 'a {time} {place} {x}', negative_prompt: 'no {time}', vars: {time: [day, no], place: 16:9}}\n"
        "  - 'b {time}'\n"
    )
    all_jobs = jobs(write(tmp_path, text))
    assert inputs(all_jobs, "prompt") == ["a day 16:9 {x}", "a no 16:9 {x}", "b {time}"]
    assert inputs(all_jobs, "negative_prompt") == ["no day", "no no", None]
    assert all_jobs[0].path.endswith("_day_16x9")


def test_a_value_of_one_var_is_not_searched_for_the_next(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [{prompt: '{a} {b}', vars: {a: '{b}', b: z}}]")
    assert inputs(jobs(path), "prompt") == ["{b} z"]


def test_a_file_entry_carries_inputs_meta_and_vars_weaker_than_the_rows_own(tmp_path: Path) -> None:
    write(tmp_path, "Text,seed,set\na {v},,own\nb,5,\n", "p.csv")
    text = (
        "prompts:\n"
        "  - inline\n"
        "  - {file: p.csv, prompt_column: Text, seed: 9, meta: {set: kites, k: 1}, vars: {v: [x, y]}}\n"
        "matrix: {seed: 1..2}\n"
    )
    all_jobs = jobs(write(tmp_path, text))
    assert [(j.inputs["prompt"], j.inputs["seed"], j.source.endswith("m.yaml"), j.line) for j in all_jobs] == [
        ("inline", 1, True, 2),
        ("inline", 2, True, 2),
        ("a x", 9, False, 2),
        ("a y", 9, False, 2),
        ("b", 5, False, 3),
    ]
    assert all_jobs[2].meta == {"set": "own", "k": 1}
    assert all_jobs[2].source == str(tmp_path / "p.csv")


def test_the_output_path_is_a_template(tmp_path: Path) -> None:
    text = (
        "prompts: [{prompt: 'a {v}', id: heron, vars: {v: x}, meta: {kind: bird}}]\n"
        "matrix: {seed: [7]}\n"
        "output: {path: '{meta.kind}/{prompt_id}_{v}_{seed:04d}_{aspect_ratio}_{index}_{shard}_{copy}'}\n"
    )
    assert jobs(write(tmp_path, text))[0].path == "bird/heron_x_0007_default_0_0000_1"


def test_run_options_keep_their_text_and_place(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a]\nrun:\n  rate: 5/s\n  in-flight: 64\n  deadline: 08:00\n  budget: 1_0\n")
    options = open_manifest(path, Overrides()).run_options
    assert {name: option.text for name, option in options.items()} == {
        "rate": "5/s",
        "in_flight": "64",
        "deadline": "08:00",
        "budget": "1_0",
    }
    assert (options["in_flight"].line, options["in_flight"].column) == (4, 14)


def test_the_model_comes_from_the_flag_then_the_manifest_then_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "model: a/b\nprompts: [a]\n")
    assert open_manifest(path, Overrides(model="c/d")).model == "c/d"
    assert open_manifest(path, Overrides()).model == "a/b"


def test_plain_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    text = "prompts:\n  - &one {prompt: a, seed: 1}\n  - {<<: *one, prompt: b}\n  - *one\n"
    all_jobs = jobs(write(tmp_path, text))
    assert [(j.inputs["prompt"], j.inputs["seed"], j.copy) for j in all_jobs] == [("a", 1, 1), ("b", 1, 1), ("a", 1, 2)]


def test_a_yaml_manifest_may_be_utf_16_and_its_prompts_one_string(tmp_path: Path) -> None:
    assert inputs(jobs(write(tmp_path, "prompts: héron\n".encode("utf-16"))), "prompt") == ["héron"]


def bomb(levels: int) -> str:
    lines = ["l0: &l0 [x, x]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join([*lines, "prompts: [a]"])


BAD = [
    ("prompts: [42]", 1, 11, "must be text, not 42 (read as a number)", '"42"'),
    ("prompts:\n- no", 2, 3, "not no (read as true or false)", '"no"'),
    ("prompts:\n- 2024-01-01", 2, 3, "read as a date", "quotes"),
    ("prompts:\n- ~", 2, 3, "read as nothing", "quotes"),
    ("prompts:\n- [a]", 2, 3, "not a list", "quotes"),
    ("prompts:\n- A dog: big", 2, 3, "unknown key `A dog`", "colon"),
    ("prompts:\n- {prompt: a, sede: 3}", 2, 15, "unknown key `sede`", "`seed`"),
    ("prompts:\n- {prompt: a, prompt: b}", 2, 15, "appears twice", "keep one"),
    ("prompts:\n- {prompt: a, seed: abc}", 2, 21, "must be an integer", "fix it"),
    ("prompts:\n- {prompt: a, seed: 1.5}", 2, 21, "must be an integer", "fix it"),
    ("prompts:\n- {prompt: a, seed: }", 2, 21, "has no value", "remove the key"),
    ("prompts:\n- {prompt: a, negative_prompt: 42}", 2, 32, "must be text, not 42", '"42"'),
    ("prompts:\n- {prompt: a, vars: {v: x}}", 2, 22, "no text uses the var `v`", "{v}"),
    ("prompts:\n- {prompt: 'a {time}', vars: {tiem: x}}", 2, 31, "no text uses the var `tiem`", "did you mean time?"),
    ("prompts:\n- {prompt: '{v}', vars: {v: []}}", 2, 29, "has no values", "at least one"),
    ("prompts:\n- {file: none.csv}", 2, 10, "there is no file `none.csv`", "relative to the manifest"),
    ("promts: [a]", 1, 1, "unknown key `promts`", "did you mean `prompts`?"),
    ("prompts: [a]\nmatrix: {aspect_ration: 1:1}", 2, 10, "no input `aspect_ration`", "`aspect_ratio`"),
    ("prompts: [a]\nmatrix: {aspect_ratio: [1:1, '2:1']}", 2, 30, "must be one of", "fix it"),
    ("prompts: [a]\nmatrix: {seed: 1-20}", 2, 16, "is ambiguous", "1..20"),
    ("prompts: [a]\nmatrix: {seed: []}", 2, 16, "without values", "at least one"),
    ("prompts: [a]\nmatrix: {seed: 9..1}", 2, 16, "counts down", "1..9"),
    ("prompts: [a]\nmatrix: {seed: {start: 1}}", 2, 16, "must be integers", "count"),
    ("prompts: [a]\nmatrix: {prompt: [b]}", 2, 10, "`prompt` in `matrix`", "prompts:"),
    ("prompts: [a]\nmatrix: {seed: 1}\nexclude: [{sed: 1}]", 3, 12, "not an axis", "`seed`"),
    ("prompts: [a]\nrun: {rat: 5/s}", 2, 7, "unknown run option `rat`", "`rate`"),
    ("prompts: [a]\nrun: {rate: [5]}", 2, 13, "needs one value", "command line"),
    ("prompts: [a]\noutput: {path: 'x/{sed}'}", 2, 19, "unknown field {sed}", "`seed`"),
    ("prompts: [a]\noutput: {path: 'x/{seed'}", 2, 19, "without its '}'", "close"),
    ("prompts: [a]\noutput: {pat: x}", 2, 10, "unknown key `pat`", "`path`"),
    ("model: 3\nprompts: [42]", 1, 8, "`model` must be text", '"3"'),
    ("prompts:\n\t- a", 2, 1, "not valid YAML", "tab"),
    ("prompts: [a", 1, 12, "not valid YAML", ""),
    ("prompts: [a]\n---\nprompts: [b]", 2, 1, "a second YAML document", "---"),
    ("- a", 1, 1, "a manifest is a mapping, not a list", "prompts:"),
    ("prompts: [*a]", 1, 11, "has no anchor", "define"),
    ("prompts: &a [*a]", 1, 14, "inside of what it stands for", ""),
    ("prompts: [!!python/name:os.system a]", 1, 11, "the tag", "without a tag"),
    ("prompts: [a, '\x07']", 1, 15, "does not allow", "escaped"),
    ("[" * 100, 1, 61, "nested more than", ""),
    ("[" * 100_000, 1, 61, "nested more than", ""),
    ("", 0, 0, "is empty", "prompts:"),
    ("prompts: []", 1, 10, "`prompts` is empty", "list at least one"),
    ("prompts: [a]\nmatrix: {seed: 1..2}\nexclude: [{seed: [1, 2]}]", 0, 0, "removes every combination", ""),
]


@pytest.mark.parametrize(("text", "line", "column", "what", "mend"), BAD, ids=[case[0][:40] for case in BAD])
def test_bad_manifests_are_placed_described_and_mended(
    tmp_path: Path, text: str, line: int, column: int, what: str, mend: str
) -> None:
    errors = problems(write(tmp_path, text))
    assert [one for one in errors if (one.line, one.column) == (line, column) and what in one.what and mend in one.mend]


def test_an_alias_bomb_is_an_error_at_once(tmp_path: Path) -> None:
    assert "aliases stand for more than" in problems(write(tmp_path, bomb(40)))[0].what


def test_errors_of_sections_prompts_and_files_are_told_together(tmp_path: Path) -> None:
    write(tmp_path, "prompt,seed\na,x\n", "p.csv")
    write(tmp_path, b"\xff", "q.txt")
    text = (
        "matrix: {seed: x, aspect_ratio: 1:2}\ndefaults: {sed: 1}\n"
        "prompts: [42, {file: p.csv}, {file: q.txt}]\nrun: {a: b}\n"
    )
    errors = problems(write(tmp_path, text))
    assert [(p.file.rsplit("/", 1)[-1], p.line) for p in errors] == [
        ("m.yaml", 1),
        ("m.yaml", 1),
        ("m.yaml", 2),
        ("m.yaml", 3),
        ("m.yaml", 4),
        ("p.csv", 2),
        ("q.txt", 1),
    ]


def test_a_format_that_does_not_fit_a_value_is_found_before_anything_is_made(tmp_path: Path) -> None:
    text = "prompts:\n- a\nmatrix: {aspect_ratio: [1:1]}\noutput: {path: '{aspect_ratio:04d}'}\n"
    assert "does not fit" in problems(write(tmp_path, text))[0].what


def test_a_huge_sweep_is_refused_with_its_size_and_begun_with_a_limit(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a, b]\nmatrix: {seed: 1..1000000000000, aspect_ratio: [1:1, 4:3]}\n")
    (problem,) = problems(path)
    assert (problem.line, "makes 4,000,000,000,000 jobs" in problem.what) == (2, True)
    few = checked(path, limit=3)
    assert inputs(few.made, "seed") == [1, 1, 2]
    assert few.whole == 4 * 10**12
    assert few.count_by_axis()["seed"] == {"1..1000000000000": 3}


def test_a_file_that_makes_a_sweep_too_large_is_counted_to_its_end(tmp_path: Path) -> None:
    write(tmp_path, "a kite\n" * 5, "p.txt")
    path = write(tmp_path, "prompts: [{file: p.txt}]\nmatrix: {seed: 1..20000000}\n")
    assert ["makes 100,000,000 jobs" in problem.what for problem in problems(path)] == [True]


@pytest.mark.parametrize(
    ("sweep", "jobs"),
    [("matrix: {seed: 1..1000000}", 2_000_000_000), ("defaults: {repeat: 100000}", 200_000_000)],
)
def test_a_long_file_that_makes_a_sweep_too_large_makes_no_job_before_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: str, jobs: int
) -> None:
    """Ten million jobs take minutes; the size of the sweep is known after two thousand rows."""
    monkeypatch.setattr("batcher.manifest.walk.canonical_json", None)  # of a job, for its key
    write(tmp_path, "a kite\n" * 2000, "p.txt")
    (problem,) = problems(write(tmp_path, f"prompts: [{{file: p.txt}}]\n{sweep}\n"))
    assert f"makes {jobs:,} jobs; the maximum is 10,000,000" in problem.what
