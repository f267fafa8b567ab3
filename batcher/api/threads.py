"""A loop of its own for a call, wherever the caller is: in a notebook's loop, in a thread, anywhere."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
