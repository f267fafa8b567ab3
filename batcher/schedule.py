"""When to ask the service about a job. Pure: times are arguments, in seconds.

Asking costs a call, not asking costs delay. The planner learns run times as they come, waits for the early quantile of
them before it asks a first time, and from then on leaves gaps in proportion to the age of the job, so that the delay
is a small share of the run time at every scale and the number of calls grows with the logarithm of the age.
"""

from bisect import insort
from collections import deque

SHARE = 0.12  # gap as a share of the age: mean delay about half of it
SHORTEST, LONGEST = 0.1, 30.0  # gaps
FIRST_GUESS = 1.0  # before anything is known
WINDOW = 96  # run times remembered: a service that has changed is known after about as many jobs
SOONER = 0.85
EARLY = 0.1  # quantile at which the first look is worth a call


class PollPlanner:
    """Learns from ``learn(run_time)``; ``next_look`` answers in age of the job (seconds since its submit)."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._sorted: list[float] = []

    def learn(self, age: float, *, first_look: bool = False) -> None:
        """A job was found finished ``age`` seconds after its submit.

        Found so at the first look, it may have been finished long before: it is taken for somewhat faster, so that
        the first looks move forward again when the service becomes quicker.
        """
        run_time = age * SOONER if first_look else age
        if len(self._recent) == WINDOW:
            self._sorted.remove(self._recent[0])
        self._recent.append(run_time)
        insort(self._sorted, run_time)

    @property
    def early(self) -> float:
        """The age before which a look is rarely worth a call."""
        if len(self._sorted) < 8:
            return min([FIRST_GUESS, *self._sorted])
        return self._sorted[int(len(self._sorted) * EARLY)]

    def next_look(self, age: float, draw: float) -> float:
        """The age at which to look next, given that a look at ``age`` (0 for none yet) found it unfinished.

        draw: uniform in [0, 1); spreads the looks of jobs submitted together by up to a quarter of a gap.
        """
        gap = min(max(age * SHARE, SHORTEST), LONGEST)
        return max(age + gap * (1.0 + 0.25 * draw), self.early * (0.95 + 0.1 * draw) if age < self.early else 0.0)

    @property
    def typical(self) -> float | None:
        """Median run time in seconds, None before anything is known."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else None
