from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest.axes import Axis
from batcher.manifest.sweep import Sweep
from tests.manifest.manifest_reading import checked, write

NAMES = ("a", "b", "c")
values = st.integers(0, 4)
axis_values = st.lists(values, min_size=1, max_size=4, unique=True)
axes = st.dictionaries(st.sampled_from(NAMES), axis_values, max_size=3)
pins = st.dictionaries(st.sampled_from(NAMES), values, max_size=2)


@st.composite
def sweeps(draw: st.DrawFn) -> tuple[dict[str, list[int]], list[dict[str, list[int]]], list[dict[str, int]]]:
    chosen = draw(axes)
    names = st.sampled_from(sorted(chosen) or ["a"])
    exclude = draw(st.lists(st.dictionaries(names, axis_values, min_size=1), max_size=3)) if chosen else []
    include = draw(st.lists(st.dictionaries(st.sampled_from(NAMES), values, min_size=1), max_size=3))
    return chosen, exclude, include


@given(sweeps(), pins, st.dictionaries(st.sampled_from(NAMES), values, max_size=2))
def test_counting_agrees_with_walking_and_no_request_comes_twice(
    sweep: tuple[dict[str, list[int]], list[dict[str, list[int]]], list[dict[str, int]]],
    own: dict[str, int],
    base: dict[str, int],
) -> None:
    chosen, exclude, include = sweep
    made = Sweep(
        {name: Axis(found) for name, found in chosen.items()},
        [{name: Axis(found) for name, found in entry.items()} for entry in exclude],
        include,
        base,
    )
    swept = made.pins(own)
    sent = [{**base, **combination, **own} for combination in made.combinations(swept)]
    assert made.count(swept) == len(sent)
    assert len({tuple(sorted(each.items())) for each in sent}) == len(sent)
    assert {tuple(sorted(each.items())) for each in sent} == expected(chosen, exclude, include, own, base)


def expected(
    chosen: dict[str, list[int]],
    exclude: list[dict[str, list[int]]],
    include: list[dict[str, int]],
    own: dict[str, int],
    base: dict[str, int],
) -> set[tuple[tuple[str, Any], ...]]:
    """The same by the plainest reading of the rules: the whole product, filtered, and the additions."""
    found = set()
    lists = [[own[name]] if name in own else chosen[name] for name in chosen]
    for combination in product(*lists) if chosen or not include else ():
        effective = dict(zip(chosen, combination, strict=True))
        if not any(all(effective[name] in entry[name] for name in entry) for entry in exclude):
            found.add(tuple(sorted({**base, **effective, **own}.items())))
    return found | {tuple(sorted({**base, **entry, **own}.items())) for entry in include}


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
    monkeypatch.setattr("batcher.manifest.draft.MOST_ENTRIES", 5_000)
    write(tmp_path, "".join(f"kite {number}\n" for number in range(3_000)), "p.txt")
    manifest = checked(
        write(tmp_path, f"prompts: [{{file: p.txt}}]\nmatrix: {{seed: 1..2}}\noutput: {{path: '{path}'}}\n")
    )
    said = [warning for warning in manifest.warnings if "one folder" in warning]
    assert len(said) == bool(most)
    assert not most or f"about {most:,} names" in said[0]


def test_no_default_folder_is_crowded_whatever_the_sweep(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"kite {number}\n" for number in range(30)), "p.txt")
    path = write(tmp_path, "prompts: [{file: p.txt}]\nmatrix: {seed: 1..100}\n")
    folders = Counter(job.path.rpartition("/")[0] for job in checked(path).jobs())
    assert folders == {f"{number:04d}": 1000 for number in range(3)}
