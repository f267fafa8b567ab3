"""Event loops: that of the caller, and one of its own for a call in a notebook or in a thread."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

from batcher.core.errors import UsageError

T = TypeVar("T")


class Soon:
    """The result of a call that is already done and may be awaited: ``run.pause()`` and ``await run.pause()`` work."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.sleep(0).__await__()

    def __repr__(self) -> str:
        return "<done>"


def this_loop() -> asyncio.AbstractEventLoop:
    """The running event loop. Raises UsageError if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "no asyncio event loop is running here, or it is closed",
            hint="Without one: `with batcher.start(...) as run: for result in run: ...`. A run that was entered goes"
            " on: `for result in run` gives the rest, run.stop() ends it, and the next start collects.",
        ) from None


class Changes:
    """Wakes what waits for a change: threads, and one task of an event loop. ``wake`` may be called in any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            loop, future = waiting
            with suppress(RuntimeError):  # the loop was closed, so nothing waits any more
                loop.call_soon_threadsafe(_settle, future)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when ``holds()``. Raises UsageError outside of an event loop."""
        loop = this_loop()
        while True:
            with self._condition:
                if holds():
                    return
                future: asyncio.Future[None] = loop.create_future()
                self._waiting = loop, future
            await future

    def wait(self, holds: Callable[[], bool]) -> None:
        """Return when ``holds()``, after the next change, or after half a second."""
        with self._condition:
            if not holds():
                self._condition.wait(0.5)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def in_thread(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread of its own, where it may start an event loop; return or raise what it does."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  raised below, where the caller is
            errors.append(error)

    thread = threading.Thread(target=target, name="batcher", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
