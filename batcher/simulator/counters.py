"""Counts what clients did, for tests and people."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counters:
    """calls: by endpoint. received, accepted, charged: submits by fingerprint; received ones include refused ones.

    faults: by place and kind. refused: answers 429. leaks: requests with an Authorization header to a place that must
    not get one. strays: requests for the untrusted host, or for a path that the API doesn't have.
    altered_links: requests for files whose link has another percent-encoding than it was given out with.
    files, file_bytes: files sent, and their size. charged_usd: US dollars.
    """

    calls: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    leaks: int = 0
    strays: int = 0
    altered_links: int = 0
    files: int = 0
    file_bytes: int = 0
    charged_usd: float = 0.0

    def shown(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "submits_received": self.received.total(),
            "submits_accepted": self.accepted.total(),
            "submits_per_input": spread(self.accepted.values()),
            "charged": self.charged.total(),
            "charged_usd": round(self.charged_usd, 6),
            "charges_per_input": spread(self.charged.values()),
            "calls": dict(sorted(self.calls.items())),
            "refused": self.refused,
            "token_leaks": self.leaks,
            "strays": self.strays,
            "altered_links": self.altered_links,
            "files": self.files,
            "file_bytes": self.file_bytes,
            "faults": dict(sorted(self.faults.items())),
        }


def spread(counts: Iterable[int]) -> dict[str, Any]:
    """``{"distinct": 3, "max": 2, "histogram": {"1": 2, "2": 1}}``: of 3 things, 2 came once and 1 came twice."""
    histogram = Counter(counts)
    return {
        "distinct": histogram.total(),
        "max": max(histogram, default=0),
        "histogram": {str(times): histogram[times] for times in sorted(histogram)},
    }
