"""How the whole suite runs in little time, for ``pytest -n auto``."""

import contextlib
import gc
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support import quick_start
from tests.support.long_first import long_first
from tests.support.needs import need_buckets
from tests.support.slow import SLOW_FOLDERS

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

# What takes over two seconds on an idle machine, and so has the marker `slow`: whole folders, and the tests of
# slow.txt, which `python -m tests.support.slow JUNIT.XML` makes from a run of the suite with `--junitxml`.
SLOW = frozenset(Path(__file__).with_name("slow.txt").read_text("utf-8").split())

ALARM_AGAIN = 20.0  # seconds

settings.register_profile("no clock", deadline=None)  # other tests have the processors at the same time
settings.load_profile("no clock")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # batcher is started some hundred times and need be compiled once only
quick_start.install()


def in_memory(folder: str = "/dev/shm", room: int = 4 << 30) -> bool:
    """Whether the tests' temporary files can lie there: on a disk, a third of the time goes by waiting for it."""
    try:
        about = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and not about.f_flag & os.ST_NOEXEC and about.f_bavail * about.f_frsize > room


if in_memory():
    os.environ["TMPDIR"] = tempfile.tempdir = "/dev/shm"

_wait = subprocess.Popen.__exit__


def _kill_and_wait(process: "subprocess.Popen[Any]", kind: Any, error: Any, trace: Any) -> None:
    """What a failed test leaves at the end of a ``with`` may be a service, which nobody will end any more."""
    if kind is not None:
        process.kill()
    _wait(process, kind, error, trace)


subprocess.Popen.__exit__ = _kill_and_wait  # type: ignore[method-assign]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a script put in the background
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start must not inherit it: they send it


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors and one: half of the time, a test waits for another process, for the disk or for a clock."""
    return 2 * (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(settings: Any) -> Generator[None, Any, Any]:
    """The alarm of the time limit comes again: the first one may lead into a ``finally`` that waits, into the end of an
    event loop, or into Hypothesis, which takes it for a finding and tries the same once more.
    """
    answer = yield
    if settings.method == "signal":
        signal.setitimer(signal.ITIMER_REAL, settings.timeout, ALARM_AGAIN)
    return answer


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """In a new clone, pytest compiles 180 modules of tests with their assertions. That takes five seconds of processor
    time, and each worker would do it, as all go through the modules in the same order. So each worker imports its share
    first, and finds the rest compiled.
    """
    gc.disable()  # what is made here stays
    if worker := getattr(session.config, "workerinput", None):
        folders = [folder for folder in map(Path, session.config.args) if folder.is_dir()]
        modules = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
        for path in modules[int(worker["workerid"][2:]) :: worker["workercount"]]:
            with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection meets it again and reports it
                import_module(".".join(path.absolute().relative_to(session.config.rootpath).with_suffix("").parts))
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    for item in items:
        name = f"{item.path.stem}::{getattr(item, 'originalname', item.name)}"
        if item.path.parent.name in SLOW_FOLDERS or name in SLOW:
            item.add_marker(pytest.mark.slow)
    yield  # `-m` chooses
    if workers := getattr(config, "workerinput", {}).get("workercount"):
        items[:] = long_first(items, workers)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ObjectStore]":
    """One S3 server for all tests; each makes a bucket, or a prefix, of its own."""
    need_buckets()
    from tests.support.object_store import object_store  # noqa: PLC0415  needs the extra

    with object_store(tmp_path_factory.mktemp("weed")) as store:
        yield store
