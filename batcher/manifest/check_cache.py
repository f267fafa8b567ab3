"""What a check came to, small enough to be remembered: an unchanged manifest need not be checked row by row again.

Recognised is only what is the same in everything that a check depends on: the bytes of every file, the flags, the names
it goes by, the model's schema, and the version of batcher, whose rules may have changed.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from batcher.core.job import canonical_json
from batcher.manifest.sweep.copies import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """said: hash of flags, names and versions. schema: hash of the model's, None for none. source: hash of the
    manifest's own bytes. files: of each file that it names. lists: path, label and hash of each list that a dynamic
    prompt names.

    fingerprint: over what makes its jobs what they are. whole: jobs without ``--limit``. prompts: of all files.
    texts: how many these are with their variants and vars filled in. groups: how many prompts, texts and jobs each has,
    in order; one where the manifest has none.
    pins: whether any prompt has a value of its own for an axis. warnings: one line each. watched: see ``copies.py``.
    """

    said: str
    schema: str | None
    source: str
    files: tuple[str, ...]
    fingerprint: str
    whole: int
    prompts: int
    texts: int
    groups: tuple[tuple[int, int, int], ...]
    pins: bool
    warnings: tuple[str, ...]
    watched: Watched
    lists: tuple[tuple[str, str, str], ...]

    @property
    def mark(self) -> str:
        """Hex: two memories with the same mark are of the same jobs in the same order."""
        return digest([self.said, self.schema, self.source, self.files, *([self.lists] if self.lists else [])])

    def as_json(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | {"watched": self.watched.packed()}

    @classmethod
    def from_json(cls, facts: Any) -> Self | None:
        """None for what is no memory of ours: then there is none."""
        try:
            lists: dict[str, Any] = {name: tuple(facts[name]) for name in ("files", "warnings")}
            lists["groups"] = tuple((prompts, texts, whole) for prompts, texts, whole in facts["groups"])
            lists["lists"] = tuple((str(path), str(label), str(mark)) for path, label, mark in facts["lists"])
            return cls(**{**facts, **lists, "watched": Watched.unpacked(facts["watched"])})
        except (KeyError, TypeError, ValueError, zlib.error):
            return None


def digest(facts: Sequence[Any]) -> str:
    return blake2b(canonical_json(facts).encode(errors="surrogateescape"), digest_size=16).hexdigest()
