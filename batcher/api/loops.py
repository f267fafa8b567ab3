"""Event loops: the caller's, and one of its own for a call, wherever the caller is: in a notebook, in a thread."""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from batcher.core.errors import UsageError

T = TypeVar("T")


class Soon:
    """What is done already, and may be awaited all the same: ``run.pause()`` and ``await run.pause()`` both do."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.sleep(0).__await__()

    def __repr__(self) -> str:
        return "<asked for>"


def this_loop() -> asyncio.AbstractEventLoop:
    """The one that is going. Raises UsageError."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "no asyncio event loop is running here, or it is closed",
            hint="Without one: `with batcher.start(...) as run: for result in run: ...`. A run that was entered goes"
            " on: `for result in run` gives the rest, run.stop() ends it, and the next start collects.",
        ) from None


def in_thread(work: Callable[[], T]) -> T:
    """The result of a call that needs an event loop of its own, wherever the caller is."""
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
