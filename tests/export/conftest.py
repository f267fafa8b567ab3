"""The command as typed; the readers kept off the network and out of the home folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.__main__ import main
from tests.commands.command_line import Came

Batcher = Callable[..., Came]


@pytest.fixture
def batcher(capsys: pytest.CaptureFixture[str]) -> Batcher:
    def typed(*words: object) -> Came:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Came(code, *capsys.readouterr())

    return typed


@pytest.fixture
def exported(batcher: Batcher, tmp_path: Path) -> Callable[..., Any]:
    """``batcher export RUN tmp/out --json WORDS``, which must go well; its report."""

    def typed(run: Path, to: str, *words: object, folder: str = "out") -> Any:
        came = batcher("export", run, tmp_path / folder, "--to", to, "--json", "--progress", "none", *words)
        assert came.code == 0, came
        return came.json

    return typed


@pytest.fixture(scope="session", autouse=True)
def _quiet_readers(tmp_path_factory: pytest.TempPathFactory) -> None:
    import os  # noqa: PLC0415

    os.environ["HF_HOME"] = str(tmp_path_factory.mktemp("hf"))
    os.environ["HF_HUB_OFFLINE"] = "1"
