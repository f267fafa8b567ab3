"""How much work something is, whatever the machine and whatever else it does: processor time of this process in units
of a fixed piece of work, done by the same process.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@cache
def unit() -> float:
    """Processor seconds of the piece of work: some 0.04 on a machine of 2024."""
    began = time.process_time()
    for _ in range(12):
        sorted(json.loads(json.dumps([{"number": number} for number in range(2_500)])), key=str)
    return time.process_time() - began


class Effort:
    """Of what was done since it was made, or since the last look."""

    def __init__(self) -> None:
        unit()
        self._since = time.process_time()

    def units(self) -> float:
        since, self._since = self._since, time.process_time()
        return (self._since - since) / unit()


@contextmanager
def at_most(units: float) -> Iterator[None]:
    effort = Effort()
    yield
    spent = effort.units()
    assert spent < units, f"{spent:.1f} units of work"
