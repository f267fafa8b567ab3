from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.export.splits import parse_splits
from tests.export.conftest import Batcher
from tests.support.handmade_runs import a_run, seeds, tree


@given(st.lists(st.text(min_size=1), unique=True, max_size=50))
def test_where_a_key_goes_depends_on_nothing_else(keys: list[str]) -> None:
    splits = parse_splits("train=0.8,validation=0.1,test=0.1")
    alone = {key: parse_splits("train=80%,validation=10%,test=10%").of(key) for key in keys}
    assert {key: splits.of(key) for key in reversed(keys)} == alone


def test_the_shares_are_kept_on_the_average() -> None:
    splits = parse_splits("train=0.7,test=0.3")
    counts = Counter(splits.of(str(number)) for number in range(10_000))
    assert 0.28 < counts["test"] / 10_000 < 0.32


@pytest.mark.parametrize(
    "text", ["train=0.9", "train=0.9,test=0.2", "train", "train=1,test=0", "a=0.5,a=0.5", "", "A=1", "../x=1"]
)
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--split"):
        parse_splits(text)


def test_one_prompt_never_crosses_splits_and_growing_moves_nothing(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds([f"kite {number}" for number in range(12)], 3))
    words = ("--split", "train=0.5,test=0.5", "--split-by", "prompt")
    exported(run, "captions", *words)
    before = tree(tmp_path / "out")
    of_prompt: dict[str, set[str]] = {}
    for name, content in before.items():
        if name.endswith(".txt"):
            of_prompt.setdefault(content.decode(), set()).add(name.partition("/")[0])
    assert len(of_prompt) == 12
    assert {len(splits) for splits in of_prompt.values()} == {1}
    assert {"train", "test"} == {split for splits in of_prompt.values() for split in splits}

    a_run(run, seeds([f"boat {number}" for number in range(12)]))
    exported(run, "captions", *words)
    after = tree(tmp_path / "out")
    assert before.items() <= after.items()
    assert len(after) == len(before) + 24


def test_a_split_that_datasets_would_not_find_is_refused(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a", "b"]))
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder", "--split", "train=0.5,holdout=0.5")
    assert came.code == 64
    assert "holdout" in came.err
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder", "--split", "val=0.5,dev=0.5")
    assert came.code == 64
    assert not (tmp_path / "out").exists()
