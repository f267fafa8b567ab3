"""A real Ray cluster, with its dashboard, for the tests that want one; and a service for every run."""

import contextlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.command_line import Shell, without_settings
from tests.support.needs import lacks
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.simulator_process import service


@pytest.fixture(scope="session")
def going() -> Iterator[Callable[[], RayCluster]]:
    """Gives the cluster of all these tests; a new one after the test that ends it."""
    if find_spec("ray") is None:
        lacks("ray", "the extra `ray` is not installed: no cluster to test with")
    clusters: list[RayCluster] = []
    with contextlib.ExitStack() as stack:

        def cluster() -> RayCluster:
            if not clusters or clusters[-1].ended:
                has_dashboard = find_spec("aiohttp_cors") is not None
                clusters.append(stack.enter_context(ray_cluster(dashboard=has_dashboard)))
            return clusters[-1]

        yield cluster


@pytest.fixture
def ray(going: Callable[[], RayCluster]) -> RayCluster:
    return going()


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with service(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    return Shell(tmp_path, capsys)
