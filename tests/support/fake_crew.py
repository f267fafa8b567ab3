"""Workers in the event loop of a test, with the faults of a cluster: for ``Surroundings.hire``, in virtual time.

The workers are real, so the files are; only the way between them and the coordinator is not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from batcher.core.errors import Cause, FileRefused
from batcher.runner.engines.messages import Crew, Outcome, Setup, WorkerLost, packed, unpacked
from batcher.runner.engines.worker import Worker

BACK = 1.0  # seconds until a killed worker is there again
LATE = 50.0  # seconds that a late answer takes: more than anybody waits
KILL, HANG, DELAY, TWICE, UNKNOWN = "kill", "hang", "delay", "twice", "unknown"

Fault = Callable[[int, str, str], str | None]  # (worker, method, "before" or "after") -> what goes wrong now


class FakeCrew:
    """fault: asked before and after each call. seen: every message that was sent, either way."""

    def __init__(self, setup: Setup, size: int, fault: Fault = lambda *_: None) -> None:
        self.size = size
        self.fault = fault
        self.seen: list[bytes] = [packed(setup)]
        self.deaths = 0
        self._setup = packed(setup)
        self._workers: dict[int, Worker | None] = {number: Worker(self._setup) for number in range(size)}
        self._hung: set[int] = set()
        self._ends = {number: asyncio.Event() for number in range(size)}
        self._given: list[Outcome] = []  # of all answers so far
        self._tasks: set[asyncio.Task[None]] = set()
        self.gone = False

    async def call(self, worker: int, method: str, payload: bytes) -> bytes:
        if self.gone or self._workers[worker] is None:
            raise WorkerLost("it is not there")
        answer = asyncio.ensure_future(self._answer(worker, method, payload))
        end = asyncio.ensure_future(self._ends[worker].wait())
        try:
            await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise WorkerLost("it died")
            return answer.result()
        finally:
            end.cancel()
            answer.cancel()
            await asyncio.gather(answer, end, return_exceptions=True)

    async def _answer(self, worker: int, method: str, payload: bytes) -> bytes:
        at_work = self._workers[worker]
        assert at_work is not None
        self.seen.append(payload)
        await self._go_wrong(worker, method, "before")
        answer: bytes = await getattr(at_work, method)(payload)
        self.seen.append(answer)
        what = await self._go_wrong(worker, method, "after")
        if method != "answers" or unpacked(answer) is None:
            return answer
        outcomes: list[Outcome] = unpacked(answer)
        before, self._given = self._given, [*self._given, *outcomes]
        if what == TWICE:
            outcomes = [*outcomes, *outcomes, *before]
        elif what == UNKNOWN:
            refused = FileRefused(Cause(kind="nobody", message="asked for this"))
            strangers = [Outcome(one.job, 10**6, refused) for one in outcomes]  # of a giving that never was
            outcomes = [Outcome(10**6, 1, []), *strangers, *outcomes]
        return packed(outcomes)

    async def _go_wrong(self, worker: int, method: str, when: str) -> str | None:
        what = self.fault(worker, method, when)
        if what == KILL:
            self.kill(worker)
        if what in {KILL, HANG} or worker in self._hung:
            self._hung.add(worker)
            await asyncio.Event().wait()
        if what == DELAY:
            await asyncio.sleep(LATE)
        return what

    def kill(self, worker: int) -> None:
        """As SIGKILL does: what it wrote so far stays, half a temporary file too."""
        at_work, self._workers[worker] = self._workers[worker], None
        if at_work is None:
            return
        self.deaths += 1
        self._ends[worker].set()
        setup: Setup = unpacked(self._setup)
        images = Path(setup.run_dir, "images")
        images.mkdir(exist_ok=True)
        (images / f".{'0' * 16}-{at_work._identity}.part").write_bytes(b"half a file")
        task = asyncio.create_task(self._again(worker, at_work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _again(self, worker: int, dead: Worker) -> None:
        await dead.close()
        await asyncio.sleep(BACK)
        self._hung.discard(worker)
        self._ends[worker] = asyncio.Event()
        self._workers[worker] = Worker(self._setup)

    async def replace(self, worker: int) -> None:
        self.kill(worker)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers.values():
            if worker is not None:
                await worker.close()


class Hiring:
    """``Surroundings.hire``. crew: once it was called."""

    def __init__(self, fault: Fault = lambda *_: None, crew: Callable[..., FakeCrew] = FakeCrew) -> None:
        self._fault = fault
        self._kind = crew
        self.crew: FakeCrew | None = None

    @asynccontextmanager
    async def __call__(self, setup: Setup, workers: int | None) -> AsyncIterator[Crew]:
        self.crew = self._kind(setup, workers or 2, self._fault)
        try:
            yield self.crew
        finally:
            await self.crew.close()
