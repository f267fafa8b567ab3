"""When memory is searched for objects that hold each other.

A search of everything stops the event loop for a tenth of a second once thousands of jobs are in flight, and finds
nothing: a job's story leaves no cycles behind, and those that exceptions make die young, where searching is cheap. So
while a run goes on, everything is only searched when the process has grown by as much as a leak would be worth it. And
what is young is searched every hundred thousand objects, not every seven hundred: with hundreds of calls in the air
nearly all of it is in use, and searching it took a quarter of the processor time of a run.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GROWTH = 64 * 2**20  # bytes
YOUNG, MIDDLE = 100_000, 50  # objects before a search of the young ones; such searches before one of the middle ones
NEVER = 10**6  # searches of the middle generation before one of everything


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
    """Gives what is to be called now and then: it searches everything when it is time, and says whether it did."""
    before, searched_at = gc.get_threshold(), peak()
    if not searched_at:
        yield lambda: False
        return

    def look() -> bool:
        nonlocal searched_at
        if peak() - searched_at < GROWTH:
            return False
        gc.collect()
        searched_at = peak()
        return True

    gc.freeze()  # what is there already stays to the end
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    try:
        yield look
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
