"""The command as typed; the readers kept off the network and out of the home folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.__main__ import main
from tests.export import checking, infotexts
from tests.support.command_line import Came
from tests.support.handmade_runs import a_run, seeds

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

    def exporting(run: Path, to: str, *words: object, folder: str = "out") -> Any:
        typed = (
            "export",
            run,
            tmp_path / folder,
            "--to",
            to,
            "--json",
            "--progress",
            "none",
            "--allow-missing",
            *words,
        )
        came = batcher(*typed)
        assert came.code == 0, came
        return came.json

    return exporting


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Any]:
    """What READER sees in ``tmp/out``, compared with the run: ``findings`` is empty where it sees the run as it is."""

    def opened(reader: str) -> Any:
        folder = tmp_path / "out"
        return infotexts.check(folder) if reader == "infotext" else checking.check(folder, reader)

    return opened


@pytest.fixture
def refused(batcher: Batcher, tmp_path: Path) -> Callable[..., None]:
    """``batcher export`` of a small run with these WORDS: an error that says why, and nothing written."""

    def typed(message: str, *words: object) -> None:
        run = a_run(tmp_path / "run", seeds(["a"]))
        came = batcher("export", run, tmp_path / "out", *words)
        assert came.code == 64
        assert message in came.err
        assert not (tmp_path / "out").exists()

    return typed


@pytest.fixture(scope="session", autouse=True)
def _quiet_readers(tmp_path_factory: pytest.TempPathFactory) -> None:
    import os  # noqa: PLC0415

    os.environ["HF_HOME"] = str(tmp_path_factory.mktemp("hf"))
    os.environ["HF_HUB_OFFLINE"] = "1"
