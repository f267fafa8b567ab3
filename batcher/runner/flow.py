"""How fast a run may go: the paces of its calls, and the places for jobs and downloads."""

import asyncio

from batcher.core.limits import Waits
from batcher.core.settings import Settings
from batcher.pacing import Pace
from batcher.runner.clock import Clock
from batcher.runner.places import Places
from batcher.runner.stop import Stop, pause


class Flow:
    """How fast a run may go. Its paces and slots are changed by ``tune`` while it goes.

    submits: their pace. calls: of all calls (``--api-rate``). reads: of status and result, limited only by their own
    refusals. slots: for jobs at the service. downloads: for downloads at once. going: cleared while the run is paused.
    waits: what limits the speed. in_air: submits without an answer. left_at: when submits left, by job id, on the clock
    of ``now``. clock: of all times here.

    settings: the paces and slots to begin with; ``downloads`` instead of its own: the engine may want more. stop: a
    wait for a turn ends with the run.
    """

    def __init__(self, settings: Settings, downloads: int, clock: Clock, stop: Stop) -> None:
        self.submits = Pace(settings.rate)
        self.calls = Pace(settings.api_rate)
        self.reads = Pace(None)
        self.slots = Places(settings.in_flight)
        self.downloads = Places(downloads)
        self.going = asyncio.Event()
        self.going.set()
        self.waits = Waits()
        self.in_air = 0
        self.left_at: dict[int, float] = {}
        self._clock = clock
        self._stop = stop

    async def read_turn(self) -> None:
        """Wait until one more read may be sent."""
        for pace in (self.reads, self.calls):
            now = self._clock.now()
            if (at := pace.reserve(now)) > now:
                await pause(at - now, self._stop.leave)
