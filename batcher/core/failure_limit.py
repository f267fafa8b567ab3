"""When to stop a run because its jobs keep failing. Pure.

A model that was switched off, a prompt file with the same error in every row, or an untrusted file host makes every
job fail for the same cause, and each may be charged. The limit is reached when ``in_a_row`` submits fail with one
cause, or when ``share`` of the last ``WINDOW`` submits do.

Outcomes are counted in the order of the submits, not in the order in which they arrive: a rejection arrives at once
and an image half a minute later, so a few bad rows would look like an unbroken series. A slow job is waited for until
``WINDOW`` later submits have ended.

Submits with an unknown outcome are counted separately, and so are the circuit breaker's free calls to the submit
endpoint: a service may answer reads and lose every submit. ``UNANSWERED`` in a row reach the limit too.
"""

import re
from collections import Counter, deque

from batcher.core.errors import Cause

WINDOW = 100
UNANSWERED = 10
_VARIABLE = re.compile(r"[0-9a-f]{8,}|[0-9]+|'[^']*'|\"[^\"]*\"")  # ids, numbers and quotations differ from job to job


class FailureLimit:
    """in_a_row: None for no limit. share: of the last WINDOW submits, 0..1, None for no limit.

    Each submit has a number. ``ended``, ``doubted`` and ``dropped`` return why the run must stop, or None.
    """

    def __init__(self, in_a_row: int | None = 20, share: float | None = 0.9) -> None:
        self.in_a_row = in_a_row
        self.share = share
        self._order: deque[int] = deque()
        self._begun: set[int] = set()
        self._ended: dict[int, str | None] = {}  # outcomes that wait for an earlier submit; "": success
        self._late: set[int] = set()  # submits that are no longer waited for
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
        """The outcome of the submit is unknown."""
        self.dropped(number)
        return self.unanswered()

    def unanswered(self) -> str | None:
        """A submit, or a free call to the submit endpoint, got no usable answer."""
        self._unanswered += 1
        if self.in_a_row is None or self._unanswered < UNANSWERED:
            return None
        return f"{self._unanswered} calls in a row to submit got no usable answer, while reads are answered"

    def answered(self) -> None:
        """A submit got an answer: it was accepted, refused or rejected."""
        self._unanswered = 0

    def dropped(self, number: int) -> str | None:
        """The submit was refused or cancelled, which says nothing about the run."""
        return self._count(number, None)

    def _count(self, number: int, name: str | None) -> str | None:
        if number not in self._begun:  # from an earlier process, or no longer waited for
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
        self._counts += Counter()  # removes entries that reached zero
        return self._limit_of(name) if name else None

    def _limit_of(self, name: str) -> str | None:
        if self.in_a_row is not None and self._row >= self.in_a_row:
            return f"{self._row} submits in a row failed for one cause"
        full = len(self._window) == WINDOW
        if self.share is not None and full and self._counts[name] >= self.share * WINDOW:
            return f"{self._counts[name]} of the last {WINDOW} submits failed for one cause"
        return None
