"""The process that uses Ray, between the coordinator and its workers: ``python -m batcher.runner.engines.ray_driver``.

Messages come on standard input and go to standard output, as ``cluster`` frames them; it looks into none. When standard
input ends, however the coordinator ended, the workers end too.
"""

import asyncio
import logging
import os
import re
import sys
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from batcher.core.one_line import one_line
from batcher.runner.engines.cluster import framed, read
from batcher.runner.engines.worker import Worker

MOST_BY_DEFAULT = 16


async def main(out: int) -> None:
    stream = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    address, wanted, setup = await read(stream)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        workers = _hired(wanted or _free(), setup)
    except Exception as error:  # noqa: BLE001  Ray raises whatever it likes
        _say(out, (0, one_line(str(error), 400) or type(error).__name__))
        return
    _say(out, (len(workers), ""))
    tasks: set[asyncio.Task[None]] = set()
    with suppress(asyncio.IncompleteReadError):
        while True:
            task = asyncio.create_task(_pass_on(workers, out, *await read(stream)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    for worker in workers:
        ray.kill(worker)
    ray.shutdown()


def _hired(count: int, setup: bytes) -> list[Any]:
    """Never named and never detached: Ray ends them when this process ends."""
    actor: Any = ray.remote(Worker)
    kind = actor.options(
        num_cpus=1, max_restarts=-1, max_task_retries=0, max_concurrency=1000, scheduling_strategy="SPREAD"
    )
    return [kind.remote(setup) for _ in range(count)]


def _free() -> int:
    resources: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return max(1, min(MOST_BY_DEFAULT, int(resources.get("CPU", 1))))


async def _pass_on(workers: list[Any], out: int, number: int, worker: int, method: str, payload: bytes) -> None:
    """method: of a worker; empty: end its process, and Ray starts another."""
    try:
        if method:
            answer = await getattr(workers[worker], method).remote(payload)
        else:
            answer = b""
            await asyncio.to_thread(ray.kill, workers[worker], no_restart=False)
        _say(out, (number, answer, "", False))
    except RayError as error:
        _say(out, (number, b"", _in_words(error), isinstance(error, ActorDiedError)))


def _in_words(error: RayError) -> str:
    """One line: of a traceback inside, the last exception."""
    raised = re.findall(r"^\s*(\w+(?:Error|Exception): .*)$", str(error), re.MULTILINE)
    return one_line(raised[-1] if raised else f"{type(error).__name__}: {error}", 300)


def _say(out: int, message: Any) -> None:
    data = memoryview(framed(message))
    while data:
        data = data[os.write(out, data) :]


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)  # what Ray and its libraries print is no message
    asyncio.run(main(answers))
