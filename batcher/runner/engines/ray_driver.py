"""The child process that uses Ray (``python -m batcher.runner.engines.ray_driver``).

It passes messages between the coordinator (standard input and output, framed by ``cluster``) and the workers, without
reading them. When standard input ends, which is also the case if the coordinator was killed, the workers end too.
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
    """out: file descriptor for messages to the coordinator."""
    stream = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    address, wanted, setup = await read(stream)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        workers = _hired(wanted or _free(), setup)
    except Exception as error:  # noqa: BLE001  Ray raises exceptions of many kinds
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
    """Start workers. They have no name and are not detached, so Ray ends them when this process ends."""
    actor: Any = ray.remote(Worker)
    kind = actor.options(
        num_cpus=1, max_restarts=-1, max_task_retries=0, max_concurrency=1000, scheduling_strategy="SPREAD"
    )
    return [kind.remote(setup) for _ in range(count)]


def _free() -> int:
    resources: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return max(1, min(MOST_BY_DEFAULT, int(resources.get("CPU", 1))))


async def _pass_on(workers: list[Any], out: int, number: int, worker: int, method: str, payload: bytes) -> None:
    """Carry out call ``number``. method: of a worker; empty: kill its process, so that Ray starts another."""
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
    """The last exception of the traceback in the message, as one line."""
    raised = re.findall(r"^\s*(\w+(?:Error|Exception): .*)$", str(error), re.MULTILINE)
    return one_line(raised[-1] if raised else f"{type(error).__name__}: {error}", 300)


def _say(out: int, message: Any) -> None:
    data = memoryview(framed(message))
    while data:
        data = data[os.write(out, data) :]


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)  # so that output of Ray and its libraries is not taken for a message
    asyncio.run(main(answers))
