"""When to stop a doomed run. Pure.

A model that was switched off, a prompt file that breaks a rule in every row, a file host that is not trusted: each job
fails for the same cause, and each may be charged. The limit counts what submits came to, and is reached when
``in_a_row`` of them fail with one cause, or when ``share`` of the last ``WINDOW`` do.

It counts in the order of the submits, not in that of their ends: a rejection comes at once and a picture after half a
minute, so by their ends a few bad rows would look like a row of nothing else. What is slow is waited for until
``WINDOW`` later submits have ended.

Submits without an outcome count by themselves: each is a job in doubt. So do the circuit breaker's free calls to what
takes submits. A service may answer reads and lose every submit; so ``UNANSWERED`` in a row reach the limit as well.
"""

import re
from collections import Counter, deque

from batcher.core.errors import Cause

WINDOW = 100
UNANSWERED = 10
_VARIABLE = re.compile(r"[0-9a-f]{8,}|[0-9]+|'[^']*'|\"[^\"]*\"")  # ids, numbers and quotations differ from job to job


class FailureLimit:
    """in_a_row: None for no limit. share: of the last WINDOW submits, 0..1, None for no limit.

    A submit goes by a number of its own. ``ended``, ``doubted`` and ``dropped`` say why the run must stop, None while
    it may go on.
    """

    def __init__(self, in_a_row: int | None = 20, share: float | None = 0.9) -> None:
        self.in_a_row = in_a_row
        self.share = share
        self._order: deque[int] = deque()
        self._begun: set[int] = set()
        self._ended: dict[int, str | None] = {}  # those that wait for an earlier one: "" went well
        self._late: set[int] = set()  # submits that nobody waits for any more
        self._last = ""
        self._row = 0
        self._window: deque[str] = deque(maxlen=WINDOW)
        self._counts: Counter[str] = Counter()
        self._unanswered = 0

    def began(self, number: int) -> None:
        self._order.append(number)
        self._begun.add(number)

    def ended(self, number: int, cause: Cause | None) -> str | None:
        """cause: None when its files are safe."""
        name = "" if cause is None else f"{cause.kind}: {_VARIABLE.sub('#', cause.message)}"
        return self._count(number, name)

    def doubted(self, number: int) -> str | None:
        """Nobody knows what became of the submit."""
        self.dropped(number)
        return self.unanswered()

    def unanswered(self) -> str | None:
        """A submit, or a free call to what takes submits, got no usable answer."""
        self._unanswered += 1
        if self.in_a_row is None or self._unanswered < UNANSWERED:
            return None
        return f"{self._unanswered} calls in a row to submit got no usable answer, while reads are answered"

    def answered(self) -> None:
        """A submit got an answer: it was taken up, refused or rejected."""
        self._unanswered = 0

    def dropped(self, number: int) -> str | None:
        """It was refused or cancelled: that says nothing about the run."""
        return self._count(number, None)

    def _count(self, number: int, name: str | None) -> str | None:
        if number not in self._begun:  # of an earlier process, or given up waiting for
            self._late.discard(number)
            return self._note(name)
        self._begun.discard(number)
        self._ended[number] = name
        reached = None
        while self._order and reached is None:
            first = self._order[0]
            if first in self._ended:
                reached = self._note(self._ended.pop(first))
            elif len(self._ended) > WINDOW:
                self._late.add(first)
                self._begun.discard(first)
            else:
                break
            self._order.popleft()
        return reached

    def _note(self, name: str | None) -> str | None:
        if name is None:
            return None
        if len(self._window) == WINDOW:
            self._counts[self._window[0]] -= 1
        self._window.append(name)
        self._counts[name] += 1
        self._row = self._row + 1 if name and name == self._last else int(bool(name))
        self._last = name
        self._counts += Counter()  # what has left the window is forgotten
        return self._limit_of(name) if name else None

    def _limit_of(self, name: str) -> str | None:
        if self.in_a_row is not None and self._row >= self.in_a_row:
            return f"{self._row} submits in a row failed for one cause"
        full = len(self._window) == WINDOW
        if self.share is not None and full and self._counts[name] >= self.share * WINDOW:
            return f"{self._counts[name]} of the last {WINDOW} submits failed for one cause"
        return None
