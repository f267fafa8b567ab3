"""When to stop a doomed run. Pure.

A model that was switched off, a prompt file that breaks a rule in every row, a file host that is not trusted: each job
fails for the same cause, and each may be charged. The fuse counts what submits came to and blows when ``in_a_row`` of
them fail with one cause, or when ``share`` of the last ``WINDOW`` do. Calls without an answer are not its business but
the breaker's.

It counts in the order of the submits, not of the news: a rejection comes at once and a picture after half a minute, so
in order of news a few bad rows would look like a row of nothing else. What is slow is waited for until ``WINDOW`` later
submits have ended.
"""

import re
from collections import Counter, deque

from batcher.core.errors import Cause

WINDOW = 100
_VARIABLE = re.compile(r"[0-9a-f]{8,}|[0-9]+|'[^']*'|\"[^\"]*\"")  # ids, numbers and quotations differ from job to job


class FailureLimit:
    """in_a_row: None never blows by a row. share: of the last WINDOW submits, 0..1, None never blows by it.

    A submit is known by a number of its own. ``ended`` and ``dropped`` say why the fuse blows, None while it holds.
    """

    def __init__(self, in_a_row: int | None = 20, share: float | None = 0.9) -> None:
        self.in_a_row = in_a_row
        self.share = share
        self._order: deque[int] = deque()
        self._begun: set[int] = set()
        self._news: dict[int, str | None] = {}  # of submits that wait for an earlier one: "" went well, None is no news
        self._late: set[int] = set()  # submits that nobody waits for any more
        self._last = ""
        self._row = 0
        self._window: deque[str] = deque(maxlen=WINDOW)
        self._counts: Counter[str] = Counter()

    def began(self, number: int) -> None:
        self._order.append(number)
        self._begun.add(number)

    def ended(self, number: int, cause: Cause | None) -> str | None:
        """cause: None when its files are safe."""
        name = "" if cause is None else f"{cause.kind}: {_VARIABLE.sub('#', cause.message)}"
        return self._heard(number, name)

    def dropped(self, number: int) -> str | None:
        """It was refused, cancelled or is in doubt: that says nothing about the run."""
        return self._heard(number, None)

    def _heard(self, number: int, name: str | None) -> str | None:
        if number not in self._begun:  # of an earlier process, or given up waiting for
            self._late.discard(number)
            return self._note(name)
        self._begun.discard(number)
        self._news[number] = name
        blown = None
        while self._order and blown is None:
            first = self._order[0]
            if first in self._news:
                blown = self._note(self._news.pop(first))
            elif len(self._news) > WINDOW:
                self._late.add(first)
                self._begun.discard(first)
            else:
                break
            self._order.popleft()
        return blown

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
        return self._blown(name) if name else None

    def _blown(self, name: str) -> str | None:
        if self.in_a_row is not None and self._row >= self.in_a_row:
            return f"{self._row} submits in a row failed for one cause"
        full = len(self._window) == WINDOW
        if self.share is not None and full and self._counts[name] >= self.share * WINDOW:
            return f"{self._counts[name]} of the last {WINDOW} submits failed for one cause"
        return None
