"""When a call may start: at the rate that was asked for, and below a limit that the service only tells by refusing.

Pure: times are arguments, in seconds on any one clock that only goes forward. ``pace`` puts together ``starts`` (our
own rate, kept to the call), ``limit`` (theirs, found) and, beside them, ``opening`` (the first second).
"""

from batcher.pace.opening import Opening
from batcher.pace.pace import Pace
from batcher.pace.starts import LATE

__all__ = ["LATE", "Opening", "Pace"]
