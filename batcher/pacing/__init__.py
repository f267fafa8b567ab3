"""When a call may start, and when a job is polled.

A call starts at the rate that was asked for (``own_rate``) and below a limit that the service only tells by refusing
(``service_limit``); ``pace`` is the two together, ``slow_start`` the first second. ``polling`` says when to ask about a
job, ``turns`` keeps polls from coming in a burst. Pure: times are arguments, in seconds on any one clock that only goes
forward.
"""

from batcher.pacing.own_rate import LATE
from batcher.pacing.pace import Pace
from batcher.pacing.slow_start import SlowStart

__all__ = ["LATE", "Pace", "SlowStart"]
