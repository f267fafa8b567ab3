"""Every name of ``import batcher`` is documented with an example, and the examples do what they say."""

import asyncio
import doctest
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

import batcher
from batcher.client.token import TOKEN_ENV

NAMES = [name for name in batcher.__all__ if name != "__version__"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder for all of them, with the run that most of them look at: the one that the first example makes."""
    folder = tmp_path_factory.mktemp("examples")
    with chdir(folder):
        batcher.run(["a red kite"], out="runs/kite", simulate=True)
        yield folder


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_name_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in TOKEN_ENV:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    text = getattr(batcher, name).__doc__
    example = doctest.DocTestParser().get_doctest(text, {"batcher": batcher, "asyncio": asyncio}, name, None, 0)
    assert example.examples, f"{name} has no example"
    output: list[str] = []
    result = doctest.DocTestRunner().run(example, out=output.append)
    assert result.failed == 0, "".join(output)


def test_there_are_at_most_thirty_names() -> None:
    assert len(batcher.__all__) <= 30
