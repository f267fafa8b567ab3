"""Whole processes, measured: wall time, processor time and peak memory, as the system counted them."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PYTHON = sys.executable
BATCHER = (PYTHON, "-m", "batcher")
_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}  # installed programs have their bytecode


@dataclass(frozen=True, slots=True)
class Run:
    """seconds: wall. cpu: user and system seconds of the process. peak: most bytes of resident memory."""

    seconds: float
    cpu: float
    peak: int
    out: str
    code: int


def run(command: Sequence[str], *, codes: Sequence[int] = (0,), env: Mapping[str, str] | None = None) -> Run:
    """env: variables beside the usual ones. Raises RuntimeError for an exit code that is not among ``codes``."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        child = os.posix_spawn(
            command[0], list(command), {**os.environ, **_AS_INSTALLED, **(env or {})}, file_actions=actions
        )
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - began
        code = os.waitstatus_to_exitcode(status)
        texts = [(stream.seek(0), stream.read().decode(errors="replace"))[1] for stream in (out, errors)]
    if code not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{texts[1][-2000:]}{texts[0][-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, texts[0], code)
