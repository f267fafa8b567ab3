"""What a fuzz target is: where its inputs come from, and what may be done with one without anything going wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Maker = Callable[[Random, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """name: ``group/part``. what: one line for people. weight: its share of the inputs.

    corpus: real samples. check: does everything batcher does with such an input; whatever it raises is a finding, an
    AssertionError too. tokens: the format's words. make: a structured way to an input, used for half of them.
    finish: mends what would stop every mutated input at the door (checksums).
    """

    name: str
    what: str
    weight: int
    corpus: Callable[[], list[bytes]]
    check: Callable[[bytes], None]
    tokens: Sequence[bytes] = ()
    make: Maker | None = None
    finish: Callable[[bytes, Random], bytes] | None = None
