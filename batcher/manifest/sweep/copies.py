"""Copy numbers: the n-th occurrence of the same request, without remembering every request.

The check pass takes a mark of four bytes from each prompt: a hash of its inputs without the swept names. Two jobs can
only be the same request if the marks of their prompts are equal, so only prompts whose mark occurs more than once are
*watched*: their job keys are counted when jobs are made. A mark that two different prompts share costs a little
counting and nothing else. Where there are several sweeps, the swept names are in a mark by their classes
(``reach.py``). The hash is Python's own, salted for each process, and never leaves the process: what stays is one bit a
prompt, little enough to be remembered from one run to the next.
"""

import base64
import re
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batcher.core.job import canonical_json
from batcher.manifest.sweep.reach import Classes
from batcher.manifest.sweep.sweep import Sweep

_PARTS = 64
_MOST_BYTES = 2**24  # of what is remembered, a bit a prompt: a state file may have been meddled with
MOST_COUNTED = 100_000  # requests that are told apart to find those that are there more than once
_ANY_BIT = re.compile(rb"[^\0]")


class Watched:
    """Numbers of prompts, from 0, each rendering of a prompt with vars by itself; one bit for each prompt there is."""

    def __init__(self, bits: bytes | bytearray = b"") -> None:
        self._bits = bytes(bits)

    def __contains__(self, number: int) -> bool:
        return number >> 3 < len(self._bits) and bool(self._bits[number >> 3] & 1 << (number & 7))

    def __bool__(self) -> bool:
        return _ANY_BIT.search(self._bits) is not None

    def between(self, start: int, end: int) -> Iterator[int]:
        """Those from ``start`` up to, not including, ``end``, in order; long gaps cost nothing."""
        at = start >> 3
        while found := _ANY_BIT.search(self._bits, at):
            at = found.start()
            for number in range(at << 3, (at << 3) + 8):
                if number >= end:
                    return
                if number >= start and number in self:
                    yield number
            at += 1

    def packed(self) -> str:
        return base64.b64encode(zlib.compress(self._bits, 1)).decode()

    @classmethod
    def unpacked(cls, text: str) -> "Watched":
        """Raises ValueError, zlib.error."""
        unpack = zlib.decompressobj()
        bits = unpack.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        if not unpack.eof:
            raise ValueError("too many prompts, or not all of them")
        return cls(bits)


class Occurrences:
    """The marks of one manifest, kept in parts so that looking for repeated ones holds few at a time."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._swept = swept = frozenset(name for sweep in sweeps for name in sweep.keys)
        self._bases = [{name: value for name, value in sweep.base.items() if name not in swept} for sweep in sweeps]
        self._classes = Classes(sweeps)
        self._several = len(sweeps) > 1
        self._parts = [array("Q") for _ in range(_PARTS)]  # mark and number of each prompt
        self._prompts = 0

    def add(self, inputs: Mapping[str, Any], sweep: int) -> None:
        """inputs: of the next prompt. sweep: the number of its."""
        mark = self._mark(inputs, sweep)
        self._parts[mark % _PARTS].append(mark << 32 | self._prompts)
        self._prompts += 1

    def _mark(self, inputs: Mapping[str, Any], sweep: int) -> int:
        base, swept = self._bases[sweep], self._swept
        classes = self._classes.of(sweep, inputs) if self._several else None
        merged = {**base, **inputs} if base else inputs
        if not swept.isdisjoint(merged):
            merged = {name: value for name, value in merged.items() if name not in swept}
        try:
            return hash((frozenset(merged.items()), classes)) & 0xFFFFFFFF
        except TypeError:  # a list or a mapping among them
            return hash((canonical_json(merged), classes)) & 0xFFFFFFFF

    def close(self) -> Watched:
        """After the last ``add``."""
        bits = bytearray(self._prompts // 8 + 1)
        for part in self._parts:
            first: dict[int, int] = {}
            for both in part:
                number = both & 0xFFFFFFFF
                before = first.setdefault(both >> 32, number)
                if before != number:
                    bits[before >> 3] |= 1 << (before & 7)
                    bits[number >> 3] |= 1 << (number & 7)
        self._parts = []
        return Watched(bits)


class Counter:
    """Copy numbers for one walk over the jobs, in manifest order. group, source, line: of the prompt at hand."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}
        self.group: str | None = None
        self.source, self.line = "", 0

    def next_copy(self, first_key: str) -> int:
        """1 for the first job whose key as a first copy is this, 2 for the second, and so on."""
        mark = bytes.fromhex(first_key)
        copy = self._seen.get(mark, 0) + 1
        self._seen[mark] = copy
        return copy


class Enough(Exception):  # noqa: N818  it ends a count
    """More has been seen than is worth counting."""


class Repeated(Counter):
    """What a walk finds that a user may not have meant: requests asked for more than once.

    requests: how many different ones. jobs: how many beyond the first of each. groups: those they are in.
    first: the place of the first job that is not the first of its request. ended: whether it is all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by: dict[bytes, str | None] = {}
        self.requests = self.jobs = 0
        self.groups: dict[str, None] = {}
        self.first: tuple[str, int] | None = None
        self.ended = False

    def next_copy(self, first_key: str) -> int:
        """Raises Enough."""
        if len(self._seen) >= MOST_COUNTED:
            raise Enough
        copy, mark = super().next_copy(first_key), bytes.fromhex(first_key)
        if copy == 1:
            self._by[mark] = self.group
            return copy
        self.requests += copy == 2
        self.jobs += 1
        self.first = self.first or (self.source, self.line)
        self.groups.update(dict.fromkeys(name for name in (self._by[mark], self.group) if name))
        return copy

    def words(self) -> str | None:
        """As a warning, None where there is nothing to warn of."""
        if self.first is None:
            what = f"more than {MOST_COUNTED:,} requests are of prompts that occur more than once, or seem to"
            return (
                None if self.ended else f"{what}: how many of them are the same, each made and paid for, is not known"
            )
        more = "" if self.ended else "more than "
        names = list(self.groups)
        groups = f"in the groups {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}; " if names else ""
        requests = f"{more}{self.requests:,} request{' is' if self.requests == 1 else 's are'}"
        jobs = f"{more}{self.jobs:,} job{' repeats' if self.jobs == 1 else 's repeat'}"
        return (
            f"{requests} in the manifest more than once ({groups}the first at {self.first[0]}:{self.first[1]}):"
            f" {jobs} another one, each made and paid for"
        )
