"""A real Ray cluster on this machine: small, and ended with the block that it is used in."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORE = 80 << 20  # bytes of Ray's object store, of which nothing is used
WITHOUT = {"no_monitor": True, "include_log_monitor": False}  # what adds nodes, and what gives logs to a terminal
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


@dataclass
class RayCluster:
    """address: for RAY_ADDRESS. cluster: Ray's own object."""

    address: str
    cluster: Any
    ended: bool = False

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.cluster.shutdown()

    @property
    def logs(self) -> Path:
        return Path(self.cluster.head_node.get_session_dir_path())

    @property
    def dashboard(self) -> str:
        return f"http://{self.cluster.head_node.webui_url}"

    def add_node(self, cpus: int = 2) -> Any:
        return _in_three_tries(lambda: self.cluster.add_node(num_cpus=cpus, object_store_memory=STORE))

    def workers(self) -> set[int]:
        """Processes of the workers there are now."""
        pids = set()
        for pid, words in _processes():
            if words.startswith(b"ray::Worker") and self.address.encode() in _command(_raylet_of(pid)):
                pids.add(pid)
        return pids

    def drivers(self) -> set[int]:
        """Processes of runs that use this cluster."""
        return {
            pid
            for pid, words in _processes()
            if b"batcher.runner.engines.ray_driver" in words
            and f"RAY_ADDRESS={self.address}\0".encode() in _read(pid, "environ")
        }


@contextmanager
def ray_cluster(cpus: int = 2, *, dashboard: bool = False) -> Iterator[RayCluster]:
    """One node with so many CPUs. dashboard: it needs ``ray[default]``."""
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster  # noqa: PLC0415  an extra, and half a second

    head = {"num_cpus": cpus, "object_store_memory": STORE, "include_dashboard": dashboard, "dashboard_port": 0}
    cluster = _in_three_tries(lambda: Cluster(initialize_head=True, head_node_args=head | WITHOUT))
    started = RayCluster(cluster.address, cluster)
    try:
        yield started
    finally:
        started.end()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _in_three_tries(start: Callable[[], Any]) -> Any:
    """Ray gives a node half a minute, which it may need where other tests have the processors."""
    for _ in range(2):
        with suppress(Exception):
            return start()
    return start()


def _processes() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*"):
        if words := _command(int(path.name)):
            yield int(path.name), words


def _raylet_of(pid: int) -> int:
    pairs = (pair.partition(b"=") for pair in _read(pid, "environ").split(b"\0"))
    return next((int(value) for name, _, value in pairs if name == b"RAY_RAYLET_PID"), 0)


def _command(pid: int) -> bytes:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
