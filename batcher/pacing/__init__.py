"""When a call may start, and when a job is polled.

``own_rate`` keeps calls at the rate of ``--rate``; ``service_limit`` keeps them below the service's limit, which it
learns from refusals. ``pace`` combines the two, and ``slow_start`` covers the first second. ``polling`` decides when
to poll a job, and ``turns`` spreads polls out. Pure: times are arguments, in seconds on a monotonic clock.
"""

from batcher.pacing.own_rate import LATE
from batcher.pacing.pace import Pace
from batcher.pacing.slow_start import SlowStart

__all__ = ["LATE", "Pace", "SlowStart"]
