"""When memory is searched for objects that hold each other.

A search of everything stops the event loop for a tenth of a second once thousands of jobs are in flight, and finds
nothing: a job's story leaves no cycles behind, and those that exceptions make die young, where searching is cheap. So
while a run goes on, everything is only searched when the process has grown by as much as a leak would be worth it.

What is young is searched once a second, between two jobs' steps; twenty times a second took a tenth of the processor
time of a run. Left to itself the interpreter would do it after so many objects more than were given back, whenever that
is: with its own threshold all the time, a quarter of the processor time, and with a high one hardly ever, and then for
a quarter of a second.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GROWTH = 64 * 2**20  # bytes
EVERY = 1.0  # seconds between two searches of what is young


def _peak() -> int:
    """Most bytes of memory that this process had so far; 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415  not everywhere
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def rarely(peak: Callable[[], int] = _peak) -> Iterator[Callable[[], bool]]:
    """Gives what is to be called EVERY so many seconds: it searches what is young, and everything when it is time for
    that; it says whether it was.
    """
    was_on, searched_at = gc.isenabled(), peak()
    if not searched_at:
        yield lambda: False
        return

    def look() -> bool:
        nonlocal searched_at
        if peak() - searched_at < GROWTH:
            gc.collect(0)
            return False
        gc.collect()
        searched_at = peak()
        return True

    gc.freeze()  # what is there already stays to the end
    gc.disable()
    try:
        yield look
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
