"""A disk that fills up, is taken away or turns read-only: real processes on a real small filesystem."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.simulator_process import PROFILE, service

ROOT = Path(__file__).parents[2]
JOBS = 40
IMAGE = 20_000  # bytes: what is being fetched is less than the ballast


def command(folder: Path, run: Path) -> list[str]:
    return [
        sys.executable, "-m", "batcher", "run", str(folder / "prompts.txt"), "--base-url", (folder / "url").read_text(),
        "--trust-host", "127.0.0.1", "--token-file", str(folder / "token"), "--rate", "10/s", "-o", str(run),
        "--progress", "none", "--json",
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Prompts, and a service that is not on the disk that fails."""
    (tmp_path / "token").write_text("a-token")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "prompts.txt").write_text("".join(f"a kite over hill {number}\n" for number in range(JOBS)))
    with service(tmp_path, f"image_bytes: {IMAGE}\n{PROFILE}") as origin:
        (tmp_path / "url").write_text(f"{origin}/v1")
        yield tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 MB of its own, so that filling it hurts nobody."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("this machine does not let the test mount a small filesystem")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def start(folder: Path, run: Path) -> "subprocess.Popen[str]":
    going = subprocess.Popen(
        command(folder, run),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while len(list((run / "images").rglob("*.png"))) < 3:
        assert going.poll() is None, "it ended too early"
        assert time.monotonic() < until
        time.sleep(0.02)
    return going


def once(folder: Path, run: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(folder, run),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def finish(folder: Path, run: Path) -> None:
    """The same command again: everything is there, and each job was charged once."""
    again = once(folder, run)
    report = json.loads(again.stdout)
    assert again.returncode == 0, again.stderr
    assert report["done"] == JOBS
    with urlopen((folder / "url").read_text().replace("/v1", "/_simulator/stats")) as answer:
        assert json.load(answer)["charges_per_input"] == {"distinct": JOBS, "max": 1, "histogram": {"1": JOBS}}
    assert not [path.name for path in (run / "images").rglob(".*")]


def fill(disk: Path) -> Path:
    """Takes nearly all there is, at once: the rest is for the run to fill, and what it frees then is for it alone."""
    rest = 30 * IMAGE
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - rest)
    return filler


def test_a_full_disk_stops_the_run_with_73_and_loses_nothing(folder: Path, small_disk: Path) -> None:
    run = small_disk / "run"
    going = start(folder, run)
    filler = fill(small_disk)
    _, complained = going.communicate(timeout=60)
    assert going.returncode == 73, complained
    assert "Traceback" not in complained
    assert "No space left" in complained or "full" in complained
    filler.unlink()
    finish(folder, run)


def test_a_read_only_disk_stops_the_next_start_with_73_and_nothing_is_submitted(folder: Path, small_disk: Path) -> None:
    run = small_disk / "run"
    going = start(folder, run)
    going.terminate()
    going.communicate(timeout=60)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended = once(folder, run)
    assert ended.returncode == 73, ended.stderr
    assert "Traceback" not in ended.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    finish(folder, run)


def test_a_run_directory_removed_under_a_run_stops_it_with_73(folder: Path) -> None:
    run = folder / "run"
    going = start(folder, run)
    shutil.move(run, folder / "elsewhere")
    _, complained = going.communicate(timeout=60)
    assert going.returncode == 73, complained
    assert "Traceback" not in complained
    shutil.rmtree(run, ignore_errors=True)
    shutil.move(folder / "elsewhere", run)
    finish(folder, run)


def test_with_too_little_room_at_the_start_nothing_is_submitted(folder: Path, small_disk: Path) -> None:
    with (small_disk / "filler").open("wb") as file:
        file.write(bytes(40_000_000))
    ended = once(folder, small_disk / "run")
    assert ended.returncode == 73
    assert "are free" in ended.stderr
    assert not (small_disk / "run").exists()


def test_too_many_open_files_stops_the_run_with_73_and_says_how_to_mend_it(folder: Path) -> None:
    run = folder / "run"

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    ended = subprocess.run(
        [*command(folder, run), "--rate", "200/s"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, preexec_fn=few_files, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 73, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "open files" in ended.stderr.lower()
    if (run / "state.db").exists():
        finish(folder, run)
