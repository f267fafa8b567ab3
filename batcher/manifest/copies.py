"""Copy numbers: the n-th occurrence of the same request, without remembering every request.

The check pass takes a mark of four bytes from each prompt: a hash of its inputs without the swept names. Two jobs can
only be the same request if the marks of their prompts are equal, so only prompts whose mark occurs more than once are
*watched*: their job keys are counted when jobs are made. A mark that two different prompts share costs a little
counting and nothing else. The hash is Python's own, salted for each process, and never leaves the process: what stays
is one bit a prompt, little enough to be remembered from one run to the next.
"""

import base64
import re
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from batcher.job import canonical_json

_PARTS = 64
_MOST_BYTES = 2**24  # of what is remembered, a bit a prompt: a state file may have been meddled with
_ANY_BIT = re.compile(rb"[^\0]")


class Watched:
    """Numbers of prompts, from 0, each rendering of a prompt with vars by itself; one bit for each prompt there is."""

    def __init__(self, bits: bytes | bytearray = b"") -> None:
        self._bits = bytes(bits)

    def __contains__(self, number: int) -> bool:
        return number >> 3 < len(self._bits) and bool(self._bits[number >> 3] & 1 << (number & 7))

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

    def __init__(self, swept: frozenset[str], base: Mapping[str, Any]) -> None:
        self._swept = swept
        self._base = {name: value for name, value in base.items() if name not in swept}
        self._parts = [array("Q") for _ in range(_PARTS)]  # mark and number of each prompt
        self._prompts = 0

    def add(self, inputs: Mapping[str, Any]) -> None:
        mark = self._mark(inputs)
        self._parts[mark % _PARTS].append(mark << 32 | self._prompts)
        self._prompts += 1

    def _mark(self, inputs: Mapping[str, Any]) -> int:
        merged = {**self._base, **inputs} if self._base else inputs
        swept = self._swept
        if not swept.isdisjoint(merged):
            merged = {name: value for name, value in merged.items() if name not in swept}
        try:
            return hash(frozenset(merged.items())) & 0xFFFFFFFF
        except TypeError:  # a list or a mapping among them
            return hash(canonical_json(merged)) & 0xFFFFFFFF

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
    """Copy numbers for one walk over the jobs, in manifest order."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def next_copy(self, first_key: str) -> int:
        """1 for the first job whose key as a first copy is this, 2 for the second, and so on."""
        mark = bytes.fromhex(first_key)
        copy = self._seen.get(mark, 0) + 1
        self._seen[mark] = copy
        return copy
