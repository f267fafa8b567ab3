"""What the jobs of a run cost: their reservations in the budget, and when these change."""

import asyncio

from batcher.core.budget import Budget, kind_of
from batcher.core.job import Entry
from batcher.core.tally import Tally
from batcher.core.units import show_usd


class Money:
    """budget: dollars. moved: set when some of a fully reserved budget may be free again. tally: gets a warning of a
    higher price.
    """

    def __init__(self, budget: Budget, tally: Tally) -> None:
        self.budget = budget
        self.moved = asyncio.Event()
        self._tally = tally

    def reserve(self, entry: Entry) -> bool:
        """Reserve the price of a submit. False, without a reservation, if the ceiling does not allow it."""
        return self.budget.reserve(entry.job.images, kind_of(entry.job.model, entry.job.inputs))

    def settle(self, entry: Entry, cost_usd: float | None, *, failed: bool = False) -> None:
        """The job ended or is in doubt: replace its reservation by its cost. failed: it failed at the service."""
        before = self.budget.price
        self.budget.settle(entry.job.images, cost_usd, kind_of(entry.job.model, entry.job.inputs), failed=failed)
        real = self.budget.price
        if before is not None and real is not None and real > before * 1.001:
            self._tally.warn(
                f"the service charges {show_usd(real)} an image, not {show_usd(before)}: this price is used from now on"
            )
        self.moved.set()

    def release(self, entry: Entry) -> None:
        """Release the reservation: the submit was not accepted, or the job was cancelled in the queue."""
        self.budget.release(entry.job.images, kind_of(entry.job.model, entry.job.inputs))
        self.moved.set()
