"""How long jobs take, and how many calls a second are let through."""

import math
from collections import deque
from typing import Annotated, Literal

import msgspec

from batcher.simulator.chance import chance, normal

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A distribution of seconds.

    kind: which one. fixed: always ``median``. uniform: between ``low`` and ``high``. lognormal: about ``median``,
    spread by ``sigma`` (with 0.4, nine of ten are within a factor of two), at most ``most``. bimodal: about ``low``, or
    for a share ``slow`` of the jobs about ``high``, each spread log-normally by ``sigma``.
    """

    kind: Literal["fixed", "uniform", "lognormal", "bimodal"] = "lognormal"
    median: Seconds = 0.4
    sigma: Seconds = 0.4
    low: Seconds = 0.2
    high: Seconds = 2.0
    slow: Seconds = 0.1
    most: Seconds = math.inf

    def draw(self, *what: object) -> float:
        """Seconds; the same for the same arguments."""
        if self.kind == "fixed":
            return self.median
        if self.kind == "uniform":
            return self.low + (self.high - self.low) * chance(*what)
        middle = self.median
        if self.kind == "bimodal":
            middle = self.high if chance("slow", *what) < self.slow else self.low
        return min(middle * math.exp(self.sigma * normal(*what)), self.most)


class Gate:
    """Lets through at most ``rate`` calls a second.

    rate: calls a second. burst: calls at once, None for those of one second. shape: ``bucket`` lets ``burst`` through
    at once after a pause, then one every 1 / rate seconds; ``window`` at most ``burst`` in any burst / rate seconds.
    """

    def __init__(self, rate: float, burst: int | None, shape: Literal["bucket", "window"]) -> None:
        self.burst = burst if burst is not None else max(1, math.ceil(rate))
        self.rate = rate
        self._window = shape == "window"
        self._tokens = float(self.burst)
        self._filled = 0.0
        self._past: deque[float] = deque()

    def ask(self, now: float) -> float:
        """0 if the call may pass, which counts it; else the seconds until one may."""
        return self._ask_window(now) if self._window else self._ask_bucket(now)

    def _ask_bucket(self, now: float) -> float:
        self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.rate

    def _ask_window(self, now: float) -> float:
        span = self.burst / self.rate
        while self._past and self._past[0] <= now - span:
            self._past.popleft()
        if len(self._past) < self.burst:
            self._past.append(now)
            return 0.0
        return self._past[0] + span - now
