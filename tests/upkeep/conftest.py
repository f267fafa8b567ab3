from pathlib import Path

import pytest

from tests.support.finished_runs import FOUR_EACH, MANIFEST, Run, copied, made


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to."""
    return made(tmp_path_factory.mktemp("finished"), MANIFEST)


@pytest.fixture(scope="session")
def finished_in_fours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("fours"), FOUR_EACH)


@pytest.fixture
def run(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Twenty jobs, an image each."""
    return copied(finished, tmp_path, capsys)


@pytest.fixture
def fours(finished_in_fours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Two jobs of four images."""
    return copied(finished_in_fours, tmp_path, capsys)
