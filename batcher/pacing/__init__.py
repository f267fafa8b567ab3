"""When a call may start: at the rate that was asked for, and below a limit that the service only tells by refusing.

Pure: times are arguments, in seconds on any one clock that only goes forward. ``pace`` puts together ``starts`` (our
own rate, kept to the call), ``limit`` (theirs, found) and, beside them, ``opening`` (the first second).
"""

from batcher.pacing.own_rate import LATE
from batcher.pacing.pace import Pace
from batcher.pacing.slow_start import SlowStart

__all__ = ["LATE", "Pace", "SlowStart"]
