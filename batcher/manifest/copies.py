"""Copy numbers: the n-th occurrence of the same request, without remembering every request.

A fingerprint of eight bytes is kept for each prompt of the check pass: a hash of its inputs without the swept
names. Two jobs can only be the same request if their fingerprints are equal, so only prompts whose fingerprint
occurs more than once have their job keys counted when jobs are made. A fingerprint that two different prompts
share costs a little counting and nothing else. The hash is Python's own, salted for each process: it never leaves
the process.
"""

from array import array
from collections.abc import Mapping
from typing import Any

from batcher.job import canonical_json

_PARTS = 64


class Occurrences:
    """The fingerprints of one manifest, kept in parts so that looking for repeated ones sorts little at a time."""

    def __init__(self, swept: frozenset[str], base: Mapping[str, Any]) -> None:
        self._swept = swept
        self._base = {name: value for name, value in base.items() if name not in swept}
        self._parts = [array("Q") for _ in range(_PARTS)]
        self._repeated: set[int] = set()

    def fingerprint(self, inputs: Mapping[str, Any]) -> int:
        merged = {**self._base, **inputs} if self._base else inputs
        swept = self._swept
        if not swept.isdisjoint(merged):
            merged = {name: value for name, value in merged.items() if name not in swept}
        try:
            mark = hash(frozenset(merged.items()))
        except TypeError:  # a list or a mapping among them
            mark = hash(canonical_json(merged))
        return mark & 0xFFFFFFFFFFFFFFFF

    def add(self, inputs: Mapping[str, Any]) -> None:
        mark = self.fingerprint(inputs)
        self._parts[mark % _PARTS].append(mark)

    def close(self) -> None:
        """After the last ``add``: keeps the fingerprints that occur more than once, drops the rest."""
        for part in self._parts:
            seen: set[int] = set()
            for mark in part:
                if mark in seen:
                    self._repeated.add(mark)
                seen.add(mark)
        self._parts = []

    def counter(self) -> "Counter":
        return Counter(self, self._repeated)


class Counter:
    """Copy numbers for one walk over the jobs, in manifest order."""

    def __init__(self, occurrences: Occurrences, repeated: set[int]) -> None:
        self._fingerprint = occurrences.fingerprint
        self._repeated = repeated
        self._seen: dict[bytes, int] = {}

    def watches(self, inputs: Mapping[str, Any]) -> bool:
        """Whether jobs of a prompt with these inputs may occur elsewhere."""
        return bool(self._repeated) and self._fingerprint(inputs) in self._repeated

    def next_copy(self, first_key: str) -> int:
        """1 for the first job whose key as a first copy is this, 2 for the second, and so on."""
        mark = bytes.fromhex(first_key)
        copy = self._seen.get(mark, 0) + 1
        self._seen[mark] = copy
        return copy
