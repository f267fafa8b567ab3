from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest.sweep.axes import Axis
from batcher.manifest.sweep.counts import AxisCounts
from batcher.manifest.sweep.sweep import Sweep, Zip
from tests.manifest.manifest_reading import checked, inputs, jobs, problems, write

NAMES = ("a", "b", "c", "d", "e")
values = st.integers(0, 4)
axis_values = st.lists(values, min_size=1, max_size=4, unique=True)
axes = st.dictionaries(st.sampled_from(NAMES[:3]), axis_values, max_size=3)
pins = st.dictionaries(st.sampled_from(NAMES), values, max_size=2)


@st.composite
def sweeps(
    draw: st.DrawFn,
) -> tuple[dict[str, list[int]], dict[str, list[int]], list[dict[str, list[int]]], list[dict[str, int]]]:
    chosen = draw(axes)
    zipped = draw(st.lists(st.sampled_from(("d", "e")), unique=True))
    length = draw(st.integers(1, 4))
    columns = {name: draw(st.lists(values, min_size=length, max_size=length)) for name in zipped}
    swept = [*chosen, *columns]
    entry = st.dictionaries(st.sampled_from(swept or ["a"]), axis_values, min_size=1)
    exclude = draw(st.lists(entry, max_size=3)) if swept else []
    include = draw(st.lists(st.dictionaries(st.sampled_from(NAMES), values, min_size=1), max_size=3))
    return chosen, columns, exclude, include


Drawn = tuple[dict[str, list[int]], dict[str, list[int]], list[dict[str, list[int]]], list[dict[str, int]]]


@given(sweeps(), pins, st.dictionaries(st.sampled_from(NAMES), values, max_size=2))
def test_counting_agrees_with_walking_and_no_request_comes_twice(
    sweep: Drawn, own: dict[str, int], base: dict[str, int]
) -> None:
    chosen, columns, exclude, include = sweep
    made = Sweep(
        {name: Axis(axis) for name, axis in chosen.items()},
        [{name: Axis(axis) for name, axis in entry.items()} for entry in exclude],
        include,
        base,
        Zip(columns),
    )
    swept = made.pins(own)
    sent = [{**base, **combination, **own} for combination in made.combinations(swept)]
    assert made.count(swept) == len(sent)
    assert len({tuple(sorted(each.items())) for each in sent}) == len(sent)
    assert {tuple(sorted(each.items())) for each in sent} == expected(sweep, own, base)
    tally = AxisCounts(made)
    tally.add(swept, len(sent), whole=True)
    for name, counted in tally.result().items():
        assert counted == Counter(str(each.get(name, "(not given)")) for each in sent)


def expected(sweep: Drawn, own: dict[str, int], base: dict[str, int]) -> set[tuple[tuple[str, Any], ...]]:
    """The same by the plainest reading of the rules: the whole product, filtered, and the additions."""
    chosen, columns, exclude, include = sweep
    requests = set()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}]
    for combination in product(*chosen.values()) if chosen or columns or not include else ():
        for row in rows:
            effective = {**dict(zip(chosen, combination, strict=True)), **row}
            effective |= {name: own[name] for name in effective if name in own}
            if not any(all(effective[name] in entry[name] for name in entry) for entry in exclude):
                requests.add(tuple(sorted({**base, **effective, **own}.items())))
    return requests | {tuple(sorted({**base, **entry, **own}.items())) for entry in include}


def test_one_and_true_are_different_values_of_an_axis() -> None:
    assert Axis([1, True, 1.5, "1", 1]).values == (1, True, 1.5, "1")
    assert True not in Axis([1])
    assert True not in Axis(range(3))


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("{prompt_id}_s{seed}", 12_000),  # all in one folder, each with its sidecar
        ("{shard}/{prompt_id}_s{seed}", 0),
        ("{prompt_id}/s{seed}", 0),
        ("s{seed}/{prompt_id}", 6_000),
        ("{key}/image", 6_000),
        ("{meta.set}/{prompt_id}_s{seed}", 0),  # nobody has counted
    ],
)
def test_a_path_that_makes_a_huge_folder_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, most: int
) -> None:
    monkeypatch.setattr("batcher.manifest.final_checks.MOST_ENTRIES", 5_000)
    write(tmp_path, "".join(f"kite {number}\n" for number in range(3_000)), "p.txt")
    manifest = checked(
        write(tmp_path, f"prompts: [{{file: p.txt}}]\nmatrix: {{seed: 1..2}}\noutput: {{path: '{path}'}}\n")
    )
    warnings = [warning for warning in manifest.warnings if "one folder" in warning]
    assert len(warnings) == bool(most)
    assert not most or f"about {most:,} names" in warnings[0]


def test_no_default_folder_is_crowded_whatever_the_sweep(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"kite {number}\n" for number in range(30)), "p.txt")
    path = write(tmp_path, "prompts: [{file: p.txt}]\nmatrix: {seed: 1..100}\n")
    folders = Counter(job.path.rpartition("/")[0] for job in checked(path).jobs())
    assert folders == {f"{number:04d}": 1000 for number in range(3)}


ZIPPED = """\
prompts: [A heron, {prompt: A kite, seed: 7}]
matrix: {negative_prompt: [text, none]}
zip:
  aspect_ratio: ["16:9", "16:9", "1:1"]
  seed: [1, 2, 2]
"""


def test_zip_pairs_its_values_within_each_combination_of_the_matrix(tmp_path: Path) -> None:
    all_jobs = [job for job in jobs(write(tmp_path, ZIPPED)) if job.inputs["prompt"] == "A heron"]
    sent = [(j.inputs["negative_prompt"], j.inputs["aspect_ratio"], j.inputs["seed"]) for j in all_jobs]
    pairs = [("16:9", 1), ("16:9", 2), ("1:1", 2)]
    assert sent == [(text, *pair) for text in ("text", "none") for pair in pairs]


def test_a_prompt_that_pins_a_zipped_name_gets_each_remaining_row_once(tmp_path: Path) -> None:
    manifest = checked(write(tmp_path, ZIPPED))
    kites = [job for job in manifest.jobs() if job.inputs["prompt"] == "A kite"]
    assert inputs(kites, "seed") == [7] * 4
    assert inputs(kites, "aspect_ratio") == ["16:9", "1:1"] * 2
    assert {job.copy for job in kites} == {1}
    assert manifest.total == 10
    assert manifest.count_by_axis()["seed"] == {"1": 2, "2": 4, "7": 4}


def test_exclude_and_include_work_on_zipped_names(tmp_path: Path) -> None:
    more = 'exclude: {aspect_ratio: "16:9", seed: 1}\ninclude: {aspect_ratio: "9:16", seed: 9, negative_prompt: x}\n'
    all_jobs = [job for job in jobs(write(tmp_path, ZIPPED + more)) if job.inputs["prompt"] == "A heron"]
    assert [(j.inputs["aspect_ratio"], j.inputs["seed"]) for j in all_jobs] == [("16:9", 2), ("1:1", 2)] * 2 + [
        ("9:16", 9)
    ]


def test_zipped_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, 'prompts: [A]\nzip:\n  aspect_ratio: ["1:1", "4:3"]\n  seed: 1..3\n'))
    assert (problem.line, problem.column) == (4, 9)
    assert "2 values of `aspect_ratio` and 3 of `seed`" in problem.what


def test_a_name_in_zip_and_in_the_matrix_is_refused(tmp_path: Path) -> None:
    text = "prompts: [A]\nzip: {seed: [1, 2]}\n"
    (problem,) = problems(write(tmp_path, text + "matrix: {seed: 1}\n"))
    assert (problem.line, problem.column) == (2, 7)
    (problem,) = problems(write(tmp_path, text), matrix=("seed=3",))
    assert "`seed` is in `zip` and in the matrix" in problem.what


def test_include_adds_a_pair_that_the_zip_does_not_have_and_none_that_it_has(tmp_path: Path) -> None:
    more = 'include:\n- {aspect_ratio: "1:1", seed: 1, negative_prompt: text}\n'
    more += '- {aspect_ratio: "16:9", seed: 1, negative_prompt: text}\n'
    all_jobs = [job for job in jobs(write(tmp_path, ZIPPED + more)) if job.inputs["prompt"] == "A heron"]
    assert len(all_jobs) == 7
    assert (all_jobs[-1].inputs["aspect_ratio"], all_jobs[-1].inputs["seed"]) == ("1:1", 1)


def test_an_axis_of_a_zip_of_unequal_lengths_is_not_unknown_to_exclude_as_well(tmp_path: Path) -> None:
    text = 'prompts: [A]\nzip: {seed: 3, aspect_ratio: ["1:1", "16:9"]}\nexclude: [{seed: 3, aspect_ratio: "1:1"}]\n'
    (problem,) = problems(write(tmp_path, text))
    assert problem.what == "`zip` has 1 value of `seed` and 2 of `aspect_ratio`"
