"""The times of a run."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Times are seconds. now: on the loop's clock. wall: Unix. past_deadline: returns whether the deadline is over.

    began, started: when the run began, by ``now`` and by ``wall``.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, past_deadline: Callable[[], bool] = lambda: False
    ) -> None:
        self.now = asyncio.get_running_loop().time
        self.wall = wall
        self.past_deadline = past_deadline
        self.began = self.now()
        self.started = wall()
