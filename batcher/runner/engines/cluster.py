"""Workers on a Ray cluster, used through a child process.

Ray ends the process that uses it when the cluster is gone, prints to its terminal, and installs signal handlers. In a
child process that does no harm: another one is started.
"""

import asyncio
import os
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from itertools import count
from typing import Any

from batcher.client.token import TOKEN_ENV
from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.manifest.extras import install_command
from batcher.runner.engines.messages import Crew, Setup, WorkerLost, packed, unpacked

PATIENCE = 90.0  # seconds until the child must have reached the cluster
KNOCK = 5.0  # seconds for a plain connection to the address
AGAIN = 30.0  # seconds between two tries to reach a cluster that is gone
LAST_WAIT = 15.0  # seconds for the child to end its workers
ADDRESS = "RAY_ADDRESS"
HEAD = struct.Struct("<I")
# Seconds until the child ends after its cluster did. For as long, a thread of Ray's uses a whole core; Ray's own is 60.
GIVES_UP = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
_SECRETS = (*TOKEN_ENV, "BATCHER_NOTIFY", "BATCHER_HEARTBEAT")
_HINT = (
    "Start one with `ray start --head` on this machine, or set RAY_ADDRESS to that of yours (HOST:6379), or leave"
    " --engine out: one machine is enough for most runs. Nothing was submitted."
)


def address(environ: dict[str, str] | None = None) -> str:
    """The address of the cluster. Raises UsageError if it is not valid, or if Ray is not installed."""
    if find_spec("ray") is None:
        raise UsageError("--engine ray needs the extra `ray`", hint=f"{install_command('ray')} brings it.")
    named = (os.environ if environ is None else environ).get(ADDRESS, "").strip() or "auto"
    if "://" in named or named == "local":
        raise UsageError(
            f"{ADDRESS}={one_line(named, 100)}: not the address of a cluster",
            hint="batcher runs on a machine of the cluster, which is then found without a name, or by HOST:PORT.",
        )
    return named


@asynccontextmanager
async def ray_crew(setup: Setup, workers: int | None) -> AsyncIterator[Crew]:
    """Start the workers. workers: how many; None: one for each free CPU, at most 16. Raises UsageError if there is no
    cluster.
    """
    crew = RayCrew(address(), setup, workers)
    try:
        await crew.start()
        yield crew
    finally:
        await crew.close()


class RayCrew:
    """A Crew on a Ray cluster. address: of the cluster. setup: of each worker. workers: how many, None by free CPUs."""

    def __init__(self, address: str, setup: Setup, workers: int | None) -> None:
        self.size = workers or 0
        self._address = address
        self._setup = packed(setup)
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._last_words: deque[str] = deque(maxlen=5)
        self._starting = asyncio.Lock()
        self._next_try = 0.0

    async def start(self) -> None:
        """Start the child process and the workers. Raises UsageError."""
        await _knock(self._address)
        env = {name: value for name, value in (GIVES_UP | os.environ).items() if name not in _SECRETS}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "batcher.runner.engines.ray_driver", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env, start_new_session=True,
        )  # fmt: skip
        self._child = child
        assert child.stdout is not None
        self._tasks = [asyncio.create_task(self._overhear(child))]
        try:
            async with asyncio.timeout(PATIENCE):
                self._write((self._address, self.size or None, self._setup))
                size, problem = await read(child.stdout)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            size, problem = 0, f"no answer. {self._last_words[-1] if self._last_words else ''}"
        if problem:
            await self.close()
            raise _no_cluster(self._address, problem)
        self.size = size
        self._tasks.append(asyncio.create_task(self._read(child)))

    async def call(self, worker: int, method: str, payload: bytes) -> bytes:
        await self._ensure_child()
        number = next(self._numbers)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._write((number, worker, method, payload))
            return await future
        except OSError as error:
            raise WorkerLost(f"Ray is gone: {error}") from None
        finally:
            del self._waiting[number]

    async def replace(self, worker: int) -> None:
        await self.call(worker, "", b"")

    async def close(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        with suppress(OSError):
            child.stdin.close()
        try:
            async with asyncio.timeout(LAST_WAIT):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ensure_child(self) -> None:
        """Start another child if it has ended, every AGAIN seconds at most. Raises WorkerLost."""
        if self._child is not None and self._child.returncode is None:
            return
        async with self._starting:
            if self._child is not None and self._child.returncode is None:
                return
            now = asyncio.get_running_loop().time()
            if now < self._next_try:
                raise WorkerLost("Ray is gone")
            self._next_try = now + AGAIN
            await self.close()
            try:
                await self.start()
            except UsageError as error:
                raise WorkerLost(error.message) from None

    def _write(self, message: Any) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(framed(message))

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                number, answer, problem, for_good = await read(child.stdout)
                future = self._waiting.get(number)
                if future is None or future.done():
                    continue
                if problem:
                    future.set_exception(WorkerLost(problem, for_good=for_good))
                else:
                    future.set_result(answer)
        await child.wait()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WorkerLost("Ray is gone"))

    async def _overhear(self, child: asyncio.subprocess.Process) -> None:
        """Keep the last lines that Ray prints, which must not reach the terminal."""
        assert child.stderr is not None
        while data := await child.stderr.read(65_536):
            lines = data.decode(errors="replace").splitlines()
            self._last_words.extend(one_line(line, 300) for line in lines[-5:] if line.strip())


def framed(message: Any) -> bytes:
    """A message for a pipe: its length, then its bytes."""
    data = packed(message)
    return HEAD.pack(len(data)) + data


async def read(stream: asyncio.StreamReader) -> Any:
    """Read one message. Raises IncompleteReadError at the end of the stream."""
    (size,) = HEAD.unpack(await stream.readexactly(HEAD.size))
    return unpacked(await stream.readexactly(size))


async def _knock(address: str) -> None:
    """Raises UsageError if nothing listens there: Ray would try for a minute, and then end the process."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        async with asyncio.timeout(KNOCK):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
    except (OSError, ValueError, TimeoutError) as error:
        raise _no_cluster(address, one_line(str(error) or "no answer", 200)) from None


def _no_cluster(address: str, problem: str) -> UsageError:
    where = "found by itself" if address == "auto" else f"at {one_line(address, 100)}"
    if "ersion" in problem:
        return UsageError(
            f"the Ray cluster {where} runs other versions: {problem}",
            hint="Every machine needs the same Python, to the patch version, and the same Ray. Nothing was submitted.",
        )
    return UsageError(f"no Ray cluster {where}: {problem}", hint=_HINT)
