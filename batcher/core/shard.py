"""Shards: parts of a manifest for several accounts or machines."""

import re
from dataclasses import dataclass

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a manifest. number: from 1 to ``of``."""

    number: int
    of: int

    def takes(self, key: str) -> bool:
        """Whether a job belongs to this part. key: of the job; an edit of the manifest does not move a job."""
        return int(key[:16], 16) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """``2/8``: the second of eight. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= _MOST:
        raise ValueError(f"must be I/N with I from 1 to N, such as 2/8 (N at most {_MOST:,})")
    return Shard(int(match[1]), int(match[2]))


def shard_suffix(shard: Shard | None) -> str:
    """What follows the name of a run directory that is made by default: ``-2-of-8``; nothing without shards."""
    return "" if shard is None else f"-{shard.number}-of-{shard.of}"
