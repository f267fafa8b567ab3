"""What stands in the way of workers is said before anything is made or paid."""

import asyncio
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from batcher.core.errors import UsageError
from batcher.runner.engines import cluster
from batcher.runner.engines.cluster import ray_crew
from batcher.runner.engines.messages import Setup
from batcher.runner.engines.opening import no_use
from tests.support.command_line import Shell

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs the extra `ray`"):
        cluster.address({})


@needs_ray
@pytest.mark.parametrize("address", ["ray://head:10001", "local"])
def test_what_is_no_address_of_a_cluster_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not the address of a cluster"):
        cluster.address({"RAY_ADDRESS": address})


@needs_ray
def test_a_cluster_is_found_by_itself_or_by_its_address() -> None:
    assert cluster.address({}) == cluster.address({"RAY_ADDRESS": " "}) == "auto"
    assert cluster.address({"RAY_ADDRESS": "10.0.0.1:6379"}) == "10.0.0.1:6379"


@needs_ray
def test_an_address_where_nobody_listens_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    setup = Setup(run_dir=str(tmp_path), bucket=None, trust=(), check="none", embed=frozenset(), simulated=True)

    async def hire() -> None:
        async with ray_crew(setup, 2):
            pass

    with pytest.raises(UsageError, match=r"no Ray cluster at 127\.0\.0\.1") as caught:
        asyncio.run(hire())
    assert "ray start --head" in caught.value.hint
    assert "Nothing was submitted" in caught.value.hint


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--workers", "2"), "--workers is for --engine ray"),
        (("--engine", "ray", "--workers", "0"), "a whole number from 1 to"),
        (("--engine", "ray", "--workers", "-3"), "a whole number from 1 to"),
        (("--engine", "dask"), "one of local, ray"),
    ],
)
def test_flags_that_do_not_fit_are_a_wrong_command_line(shell: Shell, flags: tuple[str, ...], words: str) -> None:
    (shell.folder / "kites.txt").write_text("a kite\n")
    done = shell("run", "kites.txt", "--simulate", *flags)
    assert done.code == 64
    assert words in done.err
    assert not (shell.folder / "runs").exists()


def test_it_is_said_when_workers_would_not_help() -> None:
    assert "2.0/s is the limit" in no_use(2.0, 8)
    assert no_use(300.0, 8) == ""
