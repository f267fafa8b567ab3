"""Whole runs on a real Ray cluster: processes that are killed, a node that is lost, and what is left over.

Every process belongs to the cluster, and that to its fixture.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from batcher.runner import tuning
from batcher.simulator import file_bytes
from tests.support.needs import lacks
from tests.support.ray_cluster import RayCluster
from tests.support.simulator_process import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # Ray 2.52 leaves the files open that it gives to its processes.
    pytest.mark.filterwarnings("default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning"),
]

WITH_WORKERS = ("--engine", "ray", "--workers", "2")
JOBS = 120
TOKEN = "a-token-that-is-looked-for-everywhere"
LISTS = ("actors", "jobs", "nodes", "objects", "runtime_envs", "tasks", "workers")
DASHBOARD = (
    "/api/jobs/", "/api/cluster_status", "/nodes?view=summary", "/logical/actors",
    *(f"/api/v0/{name}?detail=1" for name in LISTS),
)  # fmt: skip


def prompts(folder: Path, jobs: int) -> None:
    (folder / "kites.txt").write_text("".join(f"{folder.name} kite {number}\n" for number in range(jobs)))


def batcher(
    ray: RayCluster, origin: str, folder: Path, *more: str, program: tuple[str, str] = ("-m", "batcher"), **environ: str
) -> "subprocess.Popen[str]":
    """``batcher run``, not waited for."""
    command = [
        sys.executable, *program, "run", str(folder / "kites.txt"), "-o", str(folder / "run"), "--base-url",
        f"{origin}/v1", "--trust-host", "127.0.0.1", "--json", "--progress", "lines", *more,
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "RAY_ADDRESS": ray.address, **environ},
    )  # fmt: skip


def until_images(folder: Path, count: int, process: Any) -> None:
    deadline = time.monotonic() + 120
    while len(list((folder / "run" / "images").rglob("*.png"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(process: Any, codes: Container[int] = (0,)) -> tuple[dict[str, Any], str]:
    """The report and what was said."""
    out, errors = process.communicate(timeout=180)
    assert process.returncode in codes, errors
    assert "Traceback" not in errors
    assert "raylet" not in errors
    return json.loads(out), errors


def is_whole(folder: Path, origin: str, jobs: int, in_doubt: int = 0) -> None:
    """Every job is charged once (of those in doubt nobody knows), and every file is there as the service made it."""
    with urlopen(f"{origin}/_simulator/requests", timeout=30) as answer:
        requests = [json.loads(line) for line in answer.read().decode().splitlines()]
    mine = [one["inputs"]["prompt"] for one in requests if one["charged"] and folder.name in one["inputs"]["prompt"]]
    assert len(set(mine)) == len(mine)
    assert jobs <= len(mine) <= jobs + in_doubt
    cards = [json.loads(path.read_text("utf-8")) for path in (folder / "run" / "images").rglob("*.json")]
    assert len(cards) == jobs
    for card in cards:
        assert (folder / "run" / card["file"]).read_bytes() == file_bytes(card["inputs"])
    assert [path.name for path in (folder / "run").rglob(".*.part")] == []
    assert list((folder / "run").glob(".batcher-probe-*")) == []


def asked(ray: RayCluster, path: str) -> bytes:
    """What the dashboard answers."""
    try:
        with urlopen(ray.dashboard + path, timeout=30) as answer:
            content: bytes = answer.read()
    except HTTPError as error:  # what goes wrong in it may be told too
        content = error.read()
    return content


def until_gone(look: Callable[[], set[int]]) -> bool:
    deadline = time.monotonic() + 30
    while look() and time.monotonic() < deadline:
        time.sleep(0.2)
    return not look()


@dataclass(frozen=True, slots=True)
class HardRun:
    """A run that lost workers. heard: what Ray holds of it and tells, by place."""

    folder: Path
    report: dict[str, Any]
    errors: str
    heard: dict[str, bytes]


@pytest.fixture(scope="module")
def hard_run(tmp_path_factory: pytest.TempPathFactory, going: Callable[[], RayCluster], origin: str) -> HardRun:
    """Its workers are killed, then one of the two nodes."""
    ray, folder = going(), tmp_path_factory.mktemp("hard")
    asking = DASHBOARD if find_spec("aiohttp_cors") else ()
    extra = ray.add_node()
    prompts(folder, JOBS)
    words = (*WITH_WORKERS, "-v", "--rate", "10/s", "--log", str(folder / "run.log"))
    heart = f"http://127.0.0.1:9/{TOKEN}"
    process = batcher(ray, origin, folder, *words, RUNCOMFY_TOKEN=TOKEN, BATCHER_HEARTBEAT=heart)
    until_images(folder, 10, process)
    heard = {f"process {pid}": Path(f"/proc/{pid}/environ").read_bytes() for pid in ray.workers() | ray.drivers()}
    for victim in ray.workers():
        os.kill(victim, signal.SIGKILL)
    heard |= {path: asked(ray, path) for path in asking}
    until_images(folder, 40, process)
    ray.cluster.remove_node(extra, allow_graceful=False)
    tuning.tune(folder / "run", rate="200/s")
    report, errors = ended(process)
    heard |= {f"{path} at the end": asked(ray, path) for path in asking}
    heard |= {str(path): path.read_bytes() for path in ray.logs.rglob("*") if path.is_file()}
    return HardRun(folder, report, errors, heard)


def test_workers_and_their_node_are_killed_and_every_file_comes_once(
    hard_run: HardRun, ray: RayCluster, origin: str
) -> None:
    assert (hard_run.report["done"], hard_run.report["submits"]) == (JOBS, JOBS)
    is_whole(hard_run.folder, origin, JOBS)
    assert hard_run.errors.count("is lost") >= 2  # the node may be missed only after the last file
    events = [json.loads(line) for line in (hard_run.folder / "run.log").read_text().splitlines()]
    assert {event["at_work"] for event in events if event["event"] == "worker"} == {True, False}
    assert until_gone(ray.workers)
    assert not ray.drivers()


def test_the_token_is_nowhere_in_ray(hard_run: HardRun) -> None:
    """Not in the environment of a process, in what the dashboard answers, or in a log of the session."""
    if find_spec("aiohttp_cors") is None:
        lacks("ray", "ray[default] is not installed: no dashboard to ask")
    heard = hard_run.heard
    assert sum(place.startswith("process") for place in heard) >= 3  # two workers, and the driver
    assert b"Worker.take" in heard["/api/v0/tasks?detail=1 at the end"]
    assert len(heard) > 2 * len(DASHBOARD) + 20
    assert [place for place, content in heard.items() if TOKEN.encode() in content] == []


def test_the_coordinator_is_killed_and_the_run_goes_on_without_ray_and_with_it(
    tmp_path: Path, ray: RayCluster, origin: str
) -> None:
    prompts(tmp_path, 80)
    first = batcher(ray, origin, tmp_path, *WITH_WORKERS, "--rate", "10/s")
    until_images(tmp_path, 5, first)
    first.kill()
    first.communicate()
    assert until_gone(ray.workers), "workers outlived the run that they were of"
    assert until_gone(ray.drivers)
    alone, _ = ended(batcher(ray, origin, tmp_path, "--rate", "50/s", "--limit", "40"), {4, 5})
    assert 20 < alone["done"] < 80
    report, _ = ended(batcher(ray, origin, tmp_path, *WITH_WORKERS, "--rate", "50/s"), {0, 5})
    assert report["done"] + report["in_doubt"] == 80  # in doubt: what was in the air when it was killed
    assert report["in_doubt"] <= 5
    is_whole(tmp_path, origin, report["done"], report["in_doubt"])


def test_a_folder_that_workers_do_not_see_ends_the_run_before_anything_is_paid(
    tmp_path: Path, ray: RayCluster, origin: str
) -> None:
    """The run has a file system of its own, as another machine would have."""
    prompts(tmp_path, 3)
    hidden = tmp_path / "run"
    hidden.mkdir()
    probe = ["unshare", "--mount", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system of its own can be had for a process here")
    words = (
        f"mount -t tmpfs none {hidden} && exec {sys.executable} -m batcher run {tmp_path / 'kites.txt'} -o {hidden}"
        f" --base-url {origin}/v1 --trust-host 127.0.0.1 --engine ray --workers 1"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "RAY_ADDRESS": ray.address},
    )  # fmt: skip
    assert done.returncode == 64, done.stderr
    assert "does not see" in done.stderr
    assert "Nothing was submitted" in done.stderr
    with urlopen(f"{origin}/_simulator/requests", timeout=30) as answer:
        assert tmp_path.name not in answer.read().decode()


SOON_ALONE = """
from batcher.runner.engines import dispatch
dispatch.ALONE = 2.0
from batcher.__main__ import entry
entry()
"""


def test_a_cluster_that_ends_does_not_end_the_run(tmp_path: Path, ray: RayCluster, origin: str) -> None:
    """The last one: the others would have to start a cluster again."""
    prompts(tmp_path, 40)
    process = batcher(ray, origin, tmp_path, *WITH_WORKERS, "--rate", "10/s", program=("-c", SOON_ALONE))
    until_images(tmp_path, 10, process)
    ray.end()
    report, errors = ended(process)
    assert report["done"] == 40
    is_whole(tmp_path, origin, 40)
    assert "no worker is left: this process fetches the files itself" in errors
