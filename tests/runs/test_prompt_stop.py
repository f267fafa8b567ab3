"""The first Ctrl-C ends a run soon, whatever the service does and whatever is read: real processes.

How long it took is printed (``pytest -s``); the bound only tells a stop from a hang.
"""

import asyncio
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from batcher.commands.signals import ONE
from batcher.runner.stop import CANCELS, GRACE
from tests.support.rude_server import RudeServer, answer, serving
from tests.support.simulator_process import service

ROOT = Path(__file__).parents[2]
HANGS = 60.0  # seconds


def start(folder: Path, manifest: str, *flags: str, stdin: Any = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "batcher", "run", manifest, "-o", str(folder / "run"), *flags]
    return subprocess.Popen(
        command, cwd=folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def interrupted(going: "subprocess.Popen[str]") -> tuple[str, str]:
    """What it says after one Ctrl-C."""
    began = time.monotonic()
    going.send_signal(signal.SIGINT)
    try:
        out, complained = going.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        going.kill()
        raise
    print(f"the first Ctrl-C ended it after {time.monotonic() - began:.1f} s")
    assert going.returncode == 130, complained
    assert "Traceback" not in complained
    return out, complained


def unread(stream: int) -> int:
    """Bytes."""
    return int.from_bytes(fcntl.ioctl(stream, termios.FIONREAD, bytes(4)), sys.byteorder)


def until_read(going: "subprocess.Popen[str]", stream: int) -> None:
    """Until it has read all that was written, and waits for more."""
    until = time.monotonic() + HANGS
    while unread(stream):
        assert going.poll() is None, going.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.5)  # from what was read to the next read


@contextmanager
def a_line(make: Callable[[], tuple[int, int]]) -> Iterator[int]:
    """The end to read from, at which the line has arrived."""
    ours, theirs = make()
    os.write(ours, b"a kite\n")
    while not unread(theirs):
        time.sleep(0.01)
    try:
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("make", [lambda: os.pipe()[::-1], pty.openpty], ids=["a_pipe", "a_terminal"])
def test_a_manifest_that_never_ends_is_left_at_the_first_ctrl_c(tmp_path: Path, make: Any) -> None:
    with a_line(make) as stdin:
        going = start(tmp_path, "-", "--simulate", stdin=stdin)
        until_read(going, stdin)
        interrupted(going)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("place", ["the manifest", "prompts", "vars"])
def test_a_pipe_that_never_ends_in_place_of_a_file_is_left_or_refused(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "endless.txt")
    manifest = {
        "the manifest": "endless.txt",
        "prompts": "prompts:\n  - file: endless.txt\n",
        "vars": "vars:\n  animal: {file: endless.txt}\nprompts:\n  - a {animal}\n",
    }[place]
    if place != "the manifest":
        (tmp_path / "m.yaml").write_text(manifest)
        manifest = "m.yaml"
    going = start(tmp_path, manifest, "--simulate")
    writing = None
    try:
        until = time.monotonic() + 20
        while writing is None and going.poll() is None and time.monotonic() < until:
            try:
                writing = os.open(tmp_path / "endless.txt", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                time.sleep(0.05)
        if going.poll() is None:
            assert writing is not None
            os.write(writing, b"a kite\n")
            until_read(going, writing)
            interrupted(going)
        else:
            assert going.returncode in {64, 65}, going.communicate()
    finally:
        if writing is not None:
            os.close(writing)
        going.kill()
        going.communicate()


def test_reads_that_are_refused_for_ten_minutes_do_not_hold_up_a_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("".join(f"kite {number}\n" for number in range(8)))
    refused = "".join(f"  - {{where: {place}, kind: 429_seconds, seconds: 600}}\n" for place in ("status", "result"))
    with service(tmp_path, f"latency: 0.1\nfaults:\n{refused}") as origin:
        flags = ("--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1", "--progress", "none")
        going = start(tmp_path, "p.txt", *flags)
        until(going, origin, lambda facts: facts["calls"].get("result", 0) > 0)
        interrupted(going)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["at_service"] >= 1
    assert report["in_doubt"] == 0


def test_cancels_and_submits_that_are_not_answered_do_not_hold_up_a_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("".join(f"kite {number}\n" for number in range(8)))
    slow = "".join(
        f"  - {{where: {place}, kind: slow, seconds: 90, skip: {skip}}}\n"
        for place, skip in (("submit", 4), ("cancel", 1))
    )
    with service(tmp_path, f"latency: 200\nfaults:\n{slow}") as origin:
        flags = ("--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1", "--progress", "lines")
        going = start(tmp_path, "p.txt", "--cancel-on-interrupt", *flags)
        until(going, origin, lambda facts: facts["submits_accepted"] >= 6)
        _, complained = interrupted(going)
    assert f"get up to {GRACE - CANCELS:.0f} s to finish" in complained
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["at_service"], report["in_doubt"] >= 1) == (4, True)


def stats(origin: str) -> dict[str, Any]:
    with urlopen(f"{origin}/_simulator/stats", timeout=30) as answer:
        facts: dict[str, Any] = json.load(answer)
    return facts


def until(going: "subprocess.Popen[str]", origin: str, reached: Callable[[dict[str, Any]], bool]) -> None:
    """reached: of what ``stats`` says."""
    while not reached(stats(origin)):
        assert going.poll() is None, going.communicate()
        time.sleep(0.1)


async def a_byte_a_second(writer: asyncio.StreamWriter) -> None:
    for byte in answer({"request_id": "r-1", "padding": "x" * 200}):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1.0)


def test_answers_of_a_byte_a_second_do_not_hold_up_a_ctrl_c_and_it_says_what_it_waits_for(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("kite 1\nkite 2\n")

    async def story() -> tuple[RudeServer, str]:
        listed = answer({"model_id": "google-deepmind/imagen-4/fast/text-to-image"})
        async with serving(listed, a_byte_a_second) as rude:
            flags = ("--base-url", rude.base_url, "--price", "0.02", "--progress", "lines")
            going = start(tmp_path, "p.txt", *flags)
            while sum(seen.method == "POST" for seen in rude.seen) < 2 and going.poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            _, complained = await asyncio.to_thread(interrupted, going)
            return rude, complained

    rude, complained = asyncio.run(story())
    assert f"2 submits without an answer yet get up to {GRACE:.0f} s" in complained
    assert sum(seen.method == "POST" for seen in rude.seen) == 2


STUCK = """
import os, sys
from batcher.commands import signals
from batcher.images import saving
signals.LAST = 1.0
saving.write_group = lambda *_: os.read(os.pipe()[0], 1)  # a disk that never answers
from batcher.__main__ import entry
entry()
"""


def test_a_disk_that_never_answers_does_not_hold_up_the_second_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("".join(f"kite {number}\n" for number in range(8)))
    with service(tmp_path, "latency: 0.1\n") as origin:
        words = ["run", "p.txt", "-o", "run", "--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1", "--json"]
        command = [sys.executable, "-m", "tests.support.patched", STUCK, *words]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "PYTHONPATH": str(ROOT)},
        ) as going:  # fmt: skip
            until(going, origin, lambda facts: facts["calls"].get("file", 0) >= 8)
            time.sleep(0.5)  # what came is handed to the disk
            going.send_signal(signal.SIGINT)
            time.sleep(2 * ONE)
            _, complained = interrupted(going)
        assert "Resume with the same command" in complained
        resumed = start(tmp_path, "p.txt", *words[4:], "--in-doubt", "resubmit")
        out, complained = resumed.communicate(timeout=HANGS)
        assert (resumed.returncode, json.loads(out)["done"]) == (0, 8), complained
        assert stats(origin)["submits_accepted"] == 8
