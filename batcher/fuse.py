"""When to stop a doomed run. Pure.

A model that was switched off, a prompt file that breaks a rule in every row, a service that fails whatever it is given:
each job fails for the same cause, and each may be charged. The fuse counts what submits came to and blows when
``in_a_row`` of them fail with one cause, or when ``share`` of the last ``WINDOW`` do. It does not count calls that got
no answer (that is the breaker's business) nor files (they are free).
"""

import re
from collections import Counter, deque

from batcher.errors import Cause

WINDOW = 100
_VARIABLE = re.compile(r"[0-9a-f]{8,}|[0-9]+|'[^']*'|\"[^\"]*\"")  # ids, numbers and quotations differ from job to job


class Fuse:
    """in_a_row: None never blows by a row. share: of the last WINDOW submits, 0..1, None never blows by it."""

    def __init__(self, in_a_row: int | None = 20, share: float | None = 0.9) -> None:
        self.in_a_row = in_a_row
        self.share = share
        self._last = ""
        self._row = 0
        self._window: deque[str] = deque(maxlen=WINDOW)
        self._counts: Counter[str] = Counter()

    def succeeded(self) -> None:
        self._note("")

    def failed(self, cause: Cause) -> str | None:
        """Why it blows, or None while it holds."""
        name = f"{cause.kind}: {_VARIABLE.sub('#', cause.message)}"
        self._note(name)
        if self.in_a_row is not None and self._row >= self.in_a_row:
            return f"{self._row} submits in a row failed for one cause"
        full = len(self._window) == WINDOW
        if self.share is not None and full and self._counts[name] >= self.share * WINDOW:
            return f"{self._counts[name]} of the last {WINDOW} submits failed for one cause"
        return None

    def _note(self, name: str) -> None:
        if len(self._window) == WINDOW:
            self._counts[self._window[0]] -= 1
        self._window.append(name)
        self._counts[name] += 1
        self._row = self._row + 1 if name and name == self._last else int(bool(name))
        self._last = name
        self._counts += Counter()  # what has left the window is forgotten
