"""Several matrices in one manifest, each a group with a name: what they make, and what can't be meant."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import ManifestError, UsageError
from batcher.core.job import canonical_json, job_key
from batcher.core.naming import safe_part
from batcher.manifest.schema import ModelSchema
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

TWO = """
defaults: {negative_prompt: text}
prompts: [a heron, a kite]
groups:
  wide:
    matrix: {aspect_ratio: [16:9], seed: 1..3}
    output: {path: "wide/{prompt_id}_s{seed}"}
  portraits:
    defaults: {negative_prompt: hands}
    prompts: [{file: faces.csv}, a pilot]
    matrix: {aspect_ratio: [3:4], seed: 1..2}
    exclude: [{seed: 2}]
    include: [{seed: 9}]
"""


@pytest.fixture
def two(tmp_path: Path) -> str:
    write(tmp_path, "prompt,seed\na face,\nanother face,7\n", "faces.csv")
    return write(tmp_path, TWO)


def test_each_group_makes_its_own_jobs_one_group_after_the_other(two: str) -> None:
    all_jobs = jobs(two)
    asked = [(job.inputs["prompt"], job.inputs.get("aspect_ratio"), job.inputs["seed"]) for job in all_jobs]
    assert asked == [
        *[(prompt, "16:9", seed) for prompt in ("a heron", "a kite") for seed in (1, 2, 3)],
        ("a face", "3:4", 1),
        ("a face", None, 9),
        ("another face", "3:4", 7),
        ("another face", None, 7),
        ("a pilot", "3:4", 1),
        ("a pilot", None, 9),
    ]
    assert [job.inputs["negative_prompt"] for job in all_jobs] == ["text"] * 6 + ["hands"] * 6


def test_the_sizes_of_groups_are_known(two: str) -> None:
    manifest = checked(two)
    shares = [(share.name, share.prompts, share.jobs) for share in manifest.by_group()]
    assert shares == [("wide", 2, 6), ("portraits", 3, 6)]
    assert (manifest.total, manifest.prompts, manifest.groups) == (12, 5, ("wide", "portraits"))
    assert manifest.count_by_axis()["seed"] == {"1": 4, "2": 2, "3": 2, "9": 2, "7": 2}
    assert [dict(share.axes["seed"]) for share in manifest.by_group()][1] == {"1": 2, "9": 2, "7": 2}


def test_a_limit_is_over_all_groups_in_order(two: str) -> None:
    manifest = checked(two, limit=8)
    assert [share.jobs for share in manifest.by_group()] == [6, 2]
    assert list(manifest.jobs()) == jobs(two)[:8]


def test_prompts_that_groups_share_count_once(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a, b]\ngroups: {x: {matrix: {seed: 1}}, y: {matrix: {seed: 2}}}\n")
    assert checked(path).prompts == 2
    assert inputs(jobs(path), "prompt") == ["a", "b", "a", "b"]


def test_without_a_path_of_its_own_a_group_has_a_folder_of_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [{prompt: a, id: a}]\ngroups: {x: {matrix: {seed: 1}}, y: {matrix: {seed: 1}}}\n")
    assert [job.path for job in jobs(path)] == ["x/0000/a_s1", "y/0000/a_s1_c2"]


def test_a_path_for_all_can_have_the_group_in_it_and_a_groups_own_path_wins(tmp_path: Path) -> None:
    text = (
        "output: {path: 'all/{group}/{prompt_id}'}\nprompts: [{prompt: a, id: a}]\n"
        "groups: {x: {matrix: {seed: 1}}, y: {matrix: {seed: 2}, output: {path: 'own/{group}{seed}'}}}\n"
    )
    assert [job.path for job in jobs(write(tmp_path, text))] == ["all/x/a", "own/y2"]


def test_the_group_is_among_what_is_carried_along_unless_the_prompt_says_another(tmp_path: Path) -> None:
    text = "groups: {x: {prompts: [a, {prompt: b, meta: {group: mine}}]}}\n"
    assert [dict(job.meta) for job in jobs(write(tmp_path, text))] == [{"group": "x"}, {"group": "mine"}]


def test_an_input_called_group_is_not_hidden_where_there_are_no_groups(tmp_path: Path) -> None:
    schema = ModelSchema.from_json("m", {"properties": {"prompt": {"type": "string"}, "group": {"type": "string"}}})
    path = write(tmp_path, "prompts: [{prompt: a, group: g}]\noutput: {path: '{group}'}\n")
    assert [job.path for job in jobs(path, schema)] == ["g"]


def test_the_name_of_a_group_is_no_part_of_what_a_job_is(two: str) -> None:
    keys = [job.key for job in jobs(two)]
    renamed = write(
        Path(two).parent, TWO.replace("  wide:", "  broad:").replace("portraits:", "faces:"), "renamed.yaml"
    )
    assert [job.key for job in jobs(renamed)] == keys
    assert {job.meta["group"] for job in jobs(renamed)} == {"broad", "faces"}


def test_growing_one_group_and_adding_another_keeps_every_job_there_is(two: str) -> None:
    keys = {job.key for job in jobs(two)}
    grown = TWO.replace("seed: 1..3", "seed: 1..5") + "  third: {matrix: {aspect_ratio: [1:1]}}\n"
    after = {job.key for job in jobs(write(Path(two).parent, grown, "grown.yaml"))}
    assert keys < after
    assert len(after - keys) == 2 * 2 + 2


def test_flags_apply_to_each_group(two: str) -> None:
    all_jobs = jobs(two, matrix=("seed=5",), set=(("negative_prompt", "blur"),))
    assert Counter(job.inputs["seed"] for job in all_jobs) == {5: 4, 7: 2, 9: 2}
    assert set(inputs(all_jobs, "negative_prompt")) == {"blur"}


def test_repeat_is_a_groups_own_or_that_of_all(tmp_path: Path) -> None:
    text = (
        "defaults: {repeat: 2}\nprompts: [a]\ngroups: {x: {defaults: {repeat: 3}}, y: {matrix: {aspect_ratio: 1:1}}}\n"
    )
    path = write(tmp_path, text)
    assert [share.jobs for share in checked(path).by_group()] == [3, 2]
    assert inputs(jobs(path), "seed")[:2] == inputs(jobs(path), "seed")[3:]
    assert [share.jobs for share in checked(path, repeat=4).by_group()] == [4, 4]


def test_a_draw_of_the_matrix_is_the_same_in_a_group(tmp_path: Path) -> None:
    sweep = "matrix: {seed: {random: 4, from: 7}}"
    alone = inputs(jobs(write(tmp_path, f"prompts: [a]\n{sweep}\n", "alone.yaml")), "seed")
    assert inputs(jobs(write(tmp_path, f"prompts: [a]\ngroups: {{x: {{{sweep}}}}}\n")), "seed") == alone


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "mend"),
    [
        ("prompts: [a]\ngroups:\n", 2, 8, "not nothing", "`name:` lines"),
        ("prompts: [a]\ngroups: {}\n", 2, 9, "must have named groups", "`name:` lines"),
        ("prompts: [a]\ngroups: [x]\n", 2, 9, "not a list", "`name:` lines"),
        ("prompts: [a]\ngroups:\n  x:\n", 3, 5, "the group `x` is empty", "`matrix:` or `prompts:`"),
        ("prompts: [a]\ngroups: {x: {}}\n", 2, 13, "the group `x` is empty", "`matrix:` or `prompts:`"),
        ("prompts: [a]\ngroups: {x: 7}\n", 2, 13, "the group `x` must be a mapping", ""),
        ("prompts: [a]\ngroups: {x: {matrx: {seed: 1}}}\n", 2, 14, "unknown key `matrx`", "did you mean `matrix`?"),
        ("prompts: [a]\ngroups: {x: {run: {rate: 1}}}\n", 2, 14, "`run` in the group `x`", "at the top"),
        ("prompts: [a]\ngroups: {x: {groups: {}}}\n", 2, 14, "`groups` in the group", "side by side"),
        ("prompts: [a]\ngroups: {a/b: {matrix: {seed: 1}}}\n", 2, 10, "can't be the name of a group", "letters"),
        ("prompts: [a]\ngroups: {nul: {matrix: {seed: 1}}}\n", 2, 10, "can't be the name of a group", "letters"),
        ("prompts: [a]\ngroups: {a.png: {matrix: {seed: 1}}}\n", 2, 10, "can't be the name of a group", "letters"),
        ("prompts: [a]\ngroups: {..: {matrix: {seed: 1}}}\n", 2, 10, "can't be the name of a group", "letters"),
        ("prompts: [a]\ngroups: {x: {matrix: {seed: 1}}, X: {matrix: {seed: 2}}}\n", 2, 34, "letter case", "rename"),
        ("prompts: [a]\ngroups: {x: {matrix: {seed: 1}}, x: {matrix: {seed: 2}}}\n", 2, 34, "appears twice", "keep"),
        ("prompts: [a]\nmatrix: {seed: 1}\ngroups: {x: {matrix: {seed: 1}}}\n", 2, 9, "can't be used", "move it"),
        ("prompts: [a]\ninclude: [{seed: 1}]\ngroups: {x: {matrix: {seed: 1}}}\n", 2, 10, "can't be used", "move"),
        ("groups: {x: {matrix: {seed: 1}}}\n", 1, 13, "no prompts for the group `x`", "for all at the top"),
        ("prompts: [a]\ngroups: {x: {prompts: [b]}}\n", 1, 10, "no group uses these `prompts`", "move them"),
        ("prompts: [a]\ngroups: {x: {matrix: {seed: 1}, exclude: {seed: 1}}}\n", 2, 13, "every combination", "exclude"),
        ("prompts: [a]\ngroups: {x: {matrix: {seed: one}}}\n", 2, 29, "`seed` must be an integer", ""),
        ("prompts: [a]\ngroups: {x: {defaults: {sede: 1}}}\n", 2, 25, "no input `sede`", "`seed`"),
        ("prompts: [a]\ngroups: {x: {matrix: {seed: 1}, output: {path: '{sed}'}}}\n", 2, 49, "unknown field {sed}", ""),
        ("prompts: [a]\ndefaults: {repeat: 2}\ngroups: {x: {matrix: {seed: 1..2}}}\n", 2, 20, "`repeat` draws", "keep"),
    ],
)  # fmt: skip
def test_groups_that_can_not_be_meant_are_refused_where_they_stand(
    tmp_path: Path, text: str, line: int, column: int, what: str, mend: str
) -> None:
    (problem,) = problems(write(tmp_path, text))
    assert what in problem.what
    assert mend in problem.mend
    assert (problem.line, problem.column) == (line, column)


def test_an_empty_file_of_a_group_is_named_with_the_group(tmp_path: Path) -> None:
    write(tmp_path, "prompt\n", "none.csv")
    text = "prompts: [a]\ngroups: {x: {matrix: {seed: 1}}, y: {prompts: [{file: none.csv}]}}\n"
    (problem,) = problems(write(tmp_path, text))
    assert (problem.line, problem.what) == (2, "there is no prompt in it in the group `y`")


def test_everything_wrong_in_all_groups_is_told_at_once_and_shared_prompts_once(tmp_path: Path) -> None:
    text = (
        "prompts: [42, a]\n"
        "groups:\n"
        "  x: {matrix: {sed: 1}, colour: red}\n"
        "  y: {matrix: {aspect_ratio: [16:9, 5:1]}, zip: {seed: [1, 2], negative_prompt: [a]}}\n"
        "  9.: {matrix: {seed: 1}}\n"
    )
    errors = problems(write(tmp_path, text))
    assert [(p.line, p.column) for p in errors] == [(1, 11), (3, 16), (3, 25), (4, 37), (4, 81), (5, 3)]


def test_a_flag_that_can_not_be_meant_for_one_group_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts: [a]\ngroups: {x: {matrix: {aspect_ratio: 1:1}}, y: {matrix: {seed: 1..2}}}\n")
    with pytest.raises(UsageError, match="--repeat 2: `repeat` draws seeds"):
        checked(path, repeat=2)


def test_a_var_of_one_group_is_no_field_of_anothers_path(tmp_path: Path) -> None:
    prompts = "prompts: [{prompt: 'a {time} lake', vars: {time: dusk}}]"
    text = (
        f"groups:\n  x: {{{prompts}, output: {{path: '{{time}}'}}}}\n"
        "  y: {prompts: [b], output: {path: 'y{time}'}}\n"
    )  # fmt: skip
    (problem,) = problems(write(tmp_path, text))
    assert (problem.line, problem.what) == (3, "unknown field {time} in `path`")
    shared = f"output: {{path: '{{group}}/{{time}}'}}\ngroups:\n  x: {{{prompts}}}\n  y: {{prompts: [b]}}\n"
    assert [job.path for job in jobs(write(tmp_path, shared))] == ["x/dusk", "y/default"]


def test_names_that_groups_use_are_inputs_where_no_schema_says_so(tmp_path: Path) -> None:
    write(tmp_path, "prompt,steps\na,30\n", "p.csv")
    path = write(tmp_path, "prompts: [{file: p.csv}]\ngroups: {x: {matrix: {steps: [10, 20]}}}\n")
    assert inputs(jobs(path, None), "steps") == [30]


def test_crowded_folders_are_warned_of_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.manifest.final_checks.MOST_ENTRIES", 15)
    groups = "groups: {x: {matrix: {seed: 1..5}}, y: {matrix: {seed: 6..10}}}\nprompts: [a]\n"
    assert checked(write(tmp_path, f"{groups}output: {{path: '{{group}}/{{seed}}'}}\n")).warnings == ()
    (warning,) = checked(write(tmp_path, f"{groups}output: {{path: '{{seed}}'}}\n")).warnings
    assert "about 20 names into one folder" in warning


VALUES: dict[str, list[Any]] = {"aspect_ratio": ["16:9", "1:1", "3:4"], "seed": [1, 2, 3, 4]}


def _combination(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), st.nothing(), max_size=0) | st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(VALUES[name]) for name in names}
    ).filter(bool)


@st.composite
def prompts(draw: st.DrawFn) -> list[Any]:
    """Few different ones, so that groups meet: some pin an axis, have vars, or repeat."""
    drawn: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        prompt: dict[str, Any] = {"prompt": draw(st.sampled_from(["a heron", "a kite", "a {time} lake"]))}
        prompt |= draw(_combination(["aspect_ratio", "seed"]))
        if "{time}" in prompt["prompt"] and draw(st.booleans()):
            prompt["vars"] = {"time": ["misty", "frozen"]}
        drawn.append(prompt)
    return drawn


@st.composite
def groups(draw: st.DrawFn, *, shared: bool) -> dict[str, Any]:
    sweep = draw(st.sampled_from(["matrix", "zip", "defaults", "repeat"]))
    group: dict[str, Any] = {} if shared and draw(st.booleans()) else {"prompts": draw(prompts())}
    axes = {name: draw(st.lists(st.sampled_from(values), min_size=2, max_size=2)) for name, values in VALUES.items()}
    if sweep == "matrix":
        chosen = draw(st.sampled_from([["seed"], ["aspect_ratio"], ["aspect_ratio", "seed"]]))
        group["matrix"] = {name: axes[name] for name in chosen}
        if draw(st.booleans()):
            group["matrix"]["seed"] = draw(st.sampled_from(["1..2", "2..4", "5..9"]))
        if draw(st.booleans()):
            group["include"] = [draw(_combination(["aspect_ratio", "seed"]).filter(bool))]
    elif sweep == "zip":
        group["zip"] = axes
    elif sweep == "repeat":
        group["defaults"] = {"repeat": 2}
    if sweep != "repeat" and draw(st.booleans()):
        group["defaults"] = draw(_combination(["aspect_ratio", "seed"]).filter(bool))
    return group or {"defaults": {"negative_prompt": "text"}}


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    shared = draw(st.booleans())
    drawn = [draw(groups(shared=shared)) for _ in range(draw(st.integers(1, 4)))]
    manifest: dict[str, Any] = {"groups": {f"g{number}": group for number, group in enumerate(drawn)}}
    if any("prompts" not in group for group in drawn):
        manifest["prompts"] = draw(prompts())
    if draw(st.booleans()):
        manifest["defaults"] = {"negative_prompt": "text"}
    return manifest


@given(manifest=manifests())
@settings(max_examples=300, deadline=None)
def test_groups_make_what_a_manifest_for_each_group_would_make(
    manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    whole = checked(write(folder, json.dumps(manifest)))
    made = list(whole.jobs())
    apart, shares = [], []
    for name, group in manifest["groups"].items():
        alone = {"prompts": manifest.get("prompts"), **group}
        alone["defaults"] = {**manifest.get("defaults", {}), **group.get("defaults", {})}
        own = checked(write(folder, json.dumps(alone), f"{name}.yaml"))
        apart += list(own.jobs())
        shares.append((name, own.total, own.count_by_axis()))
    assert [dict(job.inputs) for job in made] == [dict(job.inputs) for job in apart]
    nth: Counter[str] = Counter()
    for job in made:
        nth[canonical_json(job.inputs)] += 1
        assert job.copy == nth[canonical_json(job.inputs)]
        assert job.key == job_key(job.model, job.inputs, job.copy)
    assert len({job.key for job in made}) == len(made) == whole.total
    assert [(share.name, share.jobs, share.axes) for share in whole.by_group()] == shares
    requests, again = sum(many > 1 for many in nth.values()), sum(many - 1 for many in nth.values())
    warned = [warning for warning in whole.warnings if "more than once" in warning]
    assert [(warning.split()[0], f": {again:,} job" in warning) for warning in warned] == [(str(requests), True)][
        :requests
    ]


@given(st.text(max_size=70))
def test_a_group_that_is_taken_has_a_name_that_is_a_folder_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = write(tmp_path_factory.mktemp("name"), json.dumps({"groups": {name: {"prompts": ["a"]}}}))
    try:
        (job,) = checked(path).jobs()
    except ManifestError:
        return
    assert job.path.partition("/")[0] == name == safe_part(name)


def test_a_group_may_read_its_prompts_as_templates_where_others_do_not(tmp_path: Path) -> None:
    text = """
prompts: ["a {red|blue} kite"]
groups:
  plain: {matrix: {seed: [1]}}
  each: {dynamic: true, matrix: {seed: [2]}}
  drawn: {dynamic: {sample: 1, from: 3}, matrix: {seed: [3]}, output: {path: "{variant}"}}
"""
    all_jobs = jobs(write(tmp_path, text))
    assert inputs(all_jobs, "prompt")[:3] == ["a {red|blue} kite", "a red kite", "a blue kite"]
    assert inputs(all_jobs, "seed") == [1, 2, 2, 3]
    assert all_jobs[3].path in {"red", "blue"}


def test_what_is_wrong_with_a_template_that_groups_share_is_said_once(tmp_path: Path) -> None:
    text = 'dynamic: true\nprompts: ["a {red kite"]\ngroups: {one: {matrix: {seed: [1]}}, two: {matrix: {seed: [2]}}}\n'
    assert len(problems(write(tmp_path, text))) == 1


def test_groups_that_are_empty_are_not_told_to_be_no_mapping(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "prompts: [a]\ngroups: {}\n"))
    assert problem.what == "`groups` must have named groups, not an empty mapping"
