"""An event loop whose time jumps, so that an overnight run is tested in a second with real sockets in it.

The loop is asyncio's own selector loop with two things replaced:

* ``loop.time()`` is a number. Everything that waits by the loop's clock follows it: ``asyncio.sleep`` and
  ``timeout``, ``call_later``, aiohttp's time-outs, the simulator's latencies.
* The selector never waits for a timer. When nothing is ready it adds the wait it was asked for to that number and
  says that the time has come (trio's "autojump").

It may only jump when nothing can happen without time passing, and two things happen behind the loop's back:

* *Threads.* A call given to ``run_in_executor`` (``asyncio.to_thread``, aiofiles, name look-ups) holds time still
  until its future is done. Work in a thread of another kind has to be announced: ``with holding():``.
* *The kernel.* Bytes written to a loopback socket are as a rule readable at the other end before ``send`` returns,
  but on a busy machine the kernel may hand that over to a thread of its own. So before each jump, while there are
  connections, the loop asks the kernel whether packets wait there, and if so gives way for a moment and looks again.

A program that waits for something that can't come (no timer, no thread, no readable socket) raises ``Hung`` with the
list of its tasks, instead of stopping the test run until its time limit.

Not covered: ``time.time()`` and ``time.monotonic()``. Take wall time from ``virtual_wall()`` where it matters.
Order among calls that come back from threads in one instant is the threads' own.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import os
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_000.0
"""What ``loop.time()`` says at first: not 0, which would hide a mix-up of "no time" and "the first moment"."""

EPOCH = 1_790_000_000.0
"""What ``virtual_wall()`` says at first: a fixed day in September 2026."""

PATIENCE = 60.0
"""Real seconds that a thread may hold time still."""

_GIVE_WAY = 0.0002
_LAST_LOOK = 1.0
_PACKETS = "/proc/net/softnet_stat"
_WAITING = 11
"""Column of that file: packets that wait on this processor, those on loopback too."""


class Hung(AssertionError):
    """Nothing is ready, nothing is timed, no thread is at work: this program would wait for ever."""


class JumpingSelector(selectors.DefaultSelector):
    """A selector that turns waits into jumps of ``now``. ``held`` counts what goes on outside of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.held = 0
        self.jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.held:
            return self._await_threads()
        if ready := self._look_again():
            return ready
        if timeout is None:
            return self._last_look()
        self.now += timeout
        self.jumps += 1
        return []

    def _look_again(self) -> list[tuple[selectors.SelectorKey, int]]:
        for _ in range(2 if self._has_connections() else 0):
            waiting = _packets_wait()
            if waiting:
                time.sleep(_GIVE_WAY)
            if (ready := super().select(0)) or not waiting:
                return ready
        return []

    def _has_connections(self) -> bool:
        return len(self.get_map()) > 2  # the loop's own pipe, and one that listens or is half open

    def _await_threads(self) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(PATIENCE):
            return ready
        raise Hung(f"a thread has been at work for {PATIENCE:g} real seconds\n{_tasks()}")

    def _last_look(self) -> list[tuple[selectors.SelectorKey, int]]:
        """A thread nobody announced may still call back."""
        if ready := super().select(_LAST_LOOK):
            return ready
        raise Hung(f"nothing is ready, nothing is timed, no thread is at work\n{_tasks()}")


def _packets_wait() -> bool:
    """Whether packets are on their way between two sockets of this machine. True also if that is unknown."""
    counters = _packet_counters()
    if counters is None:
        return True
    processors = os.pread(counters, 100_000, 0).splitlines()
    return any(int((line.split()[_WAITING:] or (b"1",))[0], 16) for line in processors)


@functools.cache
def _packet_counters() -> int | None:
    """A descriptor that stays open: opening costs ten times what reading does."""
    try:
        return os.open(_PACKETS, os.O_RDONLY)
    except OSError:
        return None


def _tasks() -> str:
    return "\n".join(sorted(repr(task) for task in asyncio.all_tasks()))


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        self._own_threads: concurrent.futures.ThreadPoolExecutor | None = None
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now

    def run_in_executor(  # type: ignore[override]  # typeshed's variadic types add nothing here
        self, executor: concurrent.futures.Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Holds time until the thread is through, also when nobody waits for it any more."""
        work: concurrent.futures.Future[Any] = (executor or self._threads()).submit(func, *args)
        self.hold()
        future = asyncio.wrap_future(work, loop=self)
        # After wrap_future, so that the result is on its way into the loop before time is let go.
        work.add_done_callback(self._thread_is_through)
        return future

    def _threads(self) -> concurrent.futures.Executor:
        if self._own_threads is None:
            self._own_threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="virtual")
        return self._own_threads

    def _thread_is_through(self, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self.call_soon_threadsafe(self.let_go)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  asyncio's
        """Waits in real time: asyncio's own would have its time limit jumped over."""
        if self._own_threads is not None:
            self._own_threads.shutdown(wait=True)

    def hold(self) -> None:
        self.jumping.held += 1

    def let_go(self) -> None:
        self.jumping.held -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """What ``asyncio.run`` does, in virtual time. Starts at START in every call."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Time stands still inside: for work in a thread that the loop did not start. Use it in the loop's thread."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        yield
        return
    loop.hold()
    try:
        yield
    finally:
        loop.let_go()


def virtual_wall(epoch: float = EPOCH) -> Callable[[], float]:
    """A wall clock that follows the running loop's virtual time from ``epoch`` on. Call it inside ``run``."""
    return lambda: epoch + asyncio.get_running_loop().time() - START
