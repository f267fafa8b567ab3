"""What one reading of a manifest came to."""

from collections.abc import Mapping
from dataclasses import dataclass

from batcher.core.one_line import one_line
from batcher.core.units import show_count

_MOST_FILES, _MOST_NAMES, _LONGEST_NAME = 5, 12, 40
_KINDS = ("prompt", "id", "inputs", "meta")


@dataclass(frozen=True, slots=True)
class Share:
    """A group's part of a manifest; the whole of one without groups (name is None).

    prompts: its own and shared ones. texts: with variants and vars filled in. jobs: within ``--limit``. whole: without
    it, as far as they were counted. axes: its jobs within the limit, by the values of each axis (``{axis: {value as
    text: jobs}}``).
    """

    name: str | None
    prompts: int
    texts: int
    jobs: int
    whole: int
    axes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of a manifest in which nothing is wrong.

    prompts, texts, jobs: as in ``Share``, of all groups. whole: jobs without ``--limit``; None when the limit ended the
    reading before all were counted. axes: of all groups. warnings: one line each. columns: of each
    file, what every column became: ``prompt``, ``id``, ``input NAME``, ``meta``, or a meaning (``model``, ``size``).
    """

    model: str
    prompts: int
    texts: int
    jobs: int
    whole: int | None
    axes: Mapping[str, Mapping[str, int]]
    shares: tuple[Share, ...]
    warnings: tuple[str, ...]
    columns: Mapping[str, Mapping[str, str]]


class Repeated:
    """Requests that a manifest asks for more than once, which a user may not have meant.

    requests: how many different ones. jobs: how many beyond the first of each. first: the place of the first of these.
    """

    def __init__(self) -> None:
        self.requests = self.jobs = 0
        self.first: tuple[str, int] | None = None

    def add(self, copy: int, source: str, line: int) -> None:
        self.requests += copy == 2
        self.jobs += 1
        self.first = self.first or (source, line)

    def words(self) -> str | None:
        """As a warning, None where there is nothing to warn of."""
        if self.first is None:
            return None
        requests = show_count(self.requests, "request is", "requests are")
        jobs = show_count(self.jobs, "job repeats", "jobs repeat")
        return (
            f"{requests} in the manifest more than once (the first at {self.first[0]}:{self.first[1]}):"
            f" {jobs} another one, each made and paid for"
        )


def columns_in_words(files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each file (``Totals.columns``): which columns are inputs, which are carried along."""
    lines = []
    for file, columns in list(files.items())[:_MOST_FILES]:
        kinds: dict[str, list[str]] = {}
        for name, became in columns.items():
            its_input = became.removeprefix("input ")
            kind = "inputs" if its_input != became else became
            words = name if kind != "inputs" or its_input == name else f"{name} as {its_input}"
            kinds.setdefault(kind, []).append(one_line(words, _LONGEST_NAME))
        order = [*_KINDS[:3], *(kind for kind in kinds if kind not in _KINDS), _KINDS[3]]
        parts = [f"{kind}: {', '.join(kinds[kind][:_MOST_NAMES])}" for kind in order if kind in kinds]
        lines.append(f"columns of {one_line(file, 200)}: {'; '.join(parts)}")
    if len(files) > _MOST_FILES:
        lines.append(f"... and those of {show_count(len(files) - _MOST_FILES, 'more file')}")
    return lines
