"""When to ask the service about a job. Pure: times are arguments, in seconds.

``runtimes`` says how long jobs take, from looks that only say "not yet" or "by now"; ``drift`` whether that still
holds; ``memory`` keeps both up to date. ``looks`` finds the looks that cost least for run times that are known;
``turns`` keeps them apart; ``line`` knows how fast the service's line moves. ``planner`` is all of it for a run.
"""

from batcher.pacing.polling.planner import PollPlanner, Watch

__all__ = ["PollPlanner", "Watch"]
