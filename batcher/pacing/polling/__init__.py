"""When to ask the service about a job. Pure: times are arguments, in seconds.

``run_times`` keeps a sample of how long the newest jobs took, from polls that only say "not yet" or "by now", and
forgets it when the service has changed. ``polls`` finds the polls that cost least for it; ``turns`` keeps them apart;
``queue_line`` knows how fast the service's line moves. ``planner`` is all of it for a run.
"""

from batcher.pacing.polling.planner import PollPlanner, Watch

__all__ = ["PollPlanner", "Watch"]
