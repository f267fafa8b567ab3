"""One real Ray cluster of two nodes for the tests that want one; and a service that outlives every run."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.command_line import Shell, without_settings
from tests.support.needs import lacks
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.simulator_process import service


@pytest.fixture(scope="session")
def ray() -> Iterator[RayCluster]:
    if find_spec("ray") is None:
        lacks("ray", "the extra `ray` is not installed: no cluster to test with")
    with ray_cluster(cpus=0) as found:
        found.add_node()
        yield found


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with service(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    return Shell(tmp_path, capsys)
