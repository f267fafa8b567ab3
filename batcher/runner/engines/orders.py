"""Records which worker has which order, and decides which outcomes count. Pure; times are seconds.

An order is in line, or with one worker. The first success closes it, from any worker; so does a failure of its latest
giving. A failure of an earlier giving is ignored.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from batcher.core.job import Entry
from batcher.runner.engines.messages import Order, Outcome

PATIENCE = 300.0  # seconds until an unanswered order goes to another worker; doubles with each further giving


@dataclass(slots=True)
class _Open:
    """An order without an outcome."""

    order: Order
    worker: int | None = None  # None: in line
    until: float = 0.0  # when it goes to another worker
    givings: int = 0
    avoid: int | None = None  # the worker that had it last and did not answer


class Orders:
    """The orders without an outcome, by job id."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._line: deque[int] = deque()
        self._with: dict[int, set[int]] = {}
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """Number of orders in line."""
        return len(self._line)

    def held(self, worker: int) -> int:
        return len(self._with.get(worker, ()))

    def add(self, entry: Entry, moment: float) -> None:
        self._open[entry.id] = _Open(Order(entry, moment, 0))
        self._line.append(entry.id)

    def drop(self, job: int) -> None:
        """Forget an order, if it is still open."""
        if (one := self._open.pop(job, None)) is not None:
            if one.worker is None:
                self._line.remove(job)
            else:
                self._with[one.worker].discard(job)

    def give(self, worker: int, most: int, now: float, *, alone: bool) -> list[Order]:
        """The next orders for a worker, at most ``most``. alone: it is the only worker, so it also gets orders again
        that it did not answer.
        """
        given: list[Order] = []
        left: list[int] = []
        while self._line and len(given) < most:
            job = self._line.popleft()
            one = self._open[job]
            if one.avoid == worker and not alone:
                left.append(job)
                continue
            one.order = replace(one.order, giving=next(self._numbers))
            one.worker, one.until = worker, now + PATIENCE * 2**one.givings
            one.givings += 1
            self._with.setdefault(worker, set()).add(job)
            given.append(one.order)
        self._line.extendleft(reversed(left))
        return given

    def heard(self, outcome: Outcome) -> bool:
        """Close the order, if this outcome counts, and return whether it does."""
        one = self._open.get(outcome.job)
        if one is None or not (isinstance(outcome.result, list) or outcome.giving == one.order.giving):
            return False
        self.drop(outcome.job)
        return True

    def lost(self, worker: int) -> int:
        """Put all orders of a worker back in line. Returns their number."""
        return self._take_back(worker, lambda _: True)

    def overdue(self, worker: int, now: float) -> int:
        """Put the orders back in line that a worker did not answer in time. Returns their number."""
        return self._take_back(worker, lambda one: one.until <= now)

    def _take_back(self, worker: int, is_chosen: Callable[[_Open], bool]) -> int:
        jobs = sorted(job for job in self._with.get(worker, ()) if is_chosen(self._open[job]))
        for job in jobs:
            one = self._open[job]
            one.worker, one.avoid = None, worker
            self._with[worker].discard(job)
        self._line.extendleft(reversed(jobs))
        return len(jobs)
