"""A disk whose every fsync takes 10 ms, and a file host that sends 1 MB/s: submits keep their pace all the same."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.overhead import batcher, prompts
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

RATE, SECONDS = 100, 15
SLOW_RATE, SLOW_SECONDS = 10, 15
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int wait_and(const char *name, int fd) {
    usleep(10000);
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    return real(fd);
}
int fsync(int fd) { return wait_and("fsync", fd); }
int fdatasync(int fd) { return wait_and("fdatasync", fd); }
"""


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder:
        yield from _slow_disk(Path(folder))
        yield _slow_files(Path(folder))


def _slow_disk(ground: Path) -> Iterator[Line]:
    """Every fsync of the process, SQLite's too, through a library that is loaded before libc's."""
    compiler, shim = shutil.which("cc") or shutil.which("gcc"), ground / "slow.so"
    if compiler is None:
        yield Line(what="a slow disk: no C compiler here to make one with", value=0, unit="runs")
        return
    (ground / "slow.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, ground / "slow.c", "-ldl"], check=True)
    jobs = RATE * SECONDS
    manifest = prompts(ground, jobs)
    flags = ("--rate", f"{RATE}/s")
    with served() as origin:
        plain = batcher(origin, manifest, ground / "plain", *flags)
        slow = batcher(origin, manifest, ground / "slow", *flags, LD_PRELOAD=str(shim))
    ratio = plain.seconds / slow.seconds
    yield Line(
        what=f"{jobs:,} jobs at {RATE}/s, every fsync taking 10 ms", value=jobs / slow.seconds, unit="jobs/s",
        against="the disk as it is", ratio=ratio, bound=">= 0.95", ok=ratio >= 0.95,
    )  # fmt: skip


def _slow_files(ground: Path) -> Line:
    jobs = SLOW_RATE * SLOW_SECONDS
    manifest = prompts(ground, jobs)
    with served("--size", "5000000", "--file-rate", "1000000") as origin:
        ran = batcher(origin, manifest, ground / "files", "--rate", f"{SLOW_RATE}/s", "--downloads", "64")
    rate = json.loads(ran.out)["submit_rate"]
    return Line(
        what=f"submits at {SLOW_RATE}/s while files of 5 MB come at 1 MB/s each", value=rate, unit="submits/s",
        against="the rate asked for", ratio=rate / SLOW_RATE, bound=">= 0.99", ok=rate >= 0.99 * SLOW_RATE,
    )  # fmt: skip
