"""Large files on their way to the disk while they are still being written.

What is forced to the disk only at the end is waited for then, all of it. A thread that forces what is there so far, a
few times a second, has the disk and the processor work at the same time, and leaves the end little to do.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = 0.1  # seconds

_force = getattr(os, "fdatasync", os.fsync)  # macOS has no other


@contextmanager
def flushing(handle: int) -> Iterator[None]:
    """While inside, what is in the file is being forced to the disk. Raises OSError at the end if that went wrong."""
    ended, problems = threading.Event(), list[OSError]()

    def work() -> None:
        while not ended.wait(EVERY):
            try:
                _force(handle)
            except OSError as problem:  # told once for each open file: whoever forces it at the end is not told again
                problems.append(problem)
                return

    thread = threading.Thread(target=work, name="flushing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if problems:
        raise problems[0]
