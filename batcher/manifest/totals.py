"""The numbers of one reading of a manifest, and what is odd about the whole of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from batcher.core.one_line import one_line
from batcher.core.suggest import quoted
from batcher.core.units import show_count

_MOST_FILES, _MOST_NAMES, _LONGEST_NAME = 5, 12, 40
_KINDS = ("prompt", "id", "inputs", "meta")


@dataclass(frozen=True, slots=True)
class Share:
    """The numbers of a group; of the whole manifest where it has no groups (then name is None).

    prompts: its own and shared ones. texts: prompts with variants and vars filled in. jobs: within ``--limit``.
    whole: jobs without it, as far as they were counted. axes: its jobs within the limit, by the values of each axis
    (``{axis: {value as text: jobs}}``).
    """

    name: str | None
    prompts: int
    texts: int
    jobs: int
    whole: int
    axes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The numbers of a manifest in which nothing is wrong.

    prompts, texts, jobs, axes: as in ``Share``, of all groups. model: its id. shares: of the groups, in order. whole:
    jobs without ``--limit``; None when the limit ended the reading before all were counted. warnings: one line each.
    columns: by file, what every column became: ``prompt``, ``id``, ``input NAME``, ``meta``, or a special column
    (``model``). prompt_input: the model's name for the input of prompts, None if it has none.
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
    prompt_input: str | None


class Repeated:
    """Requests that a manifest asks for more than once, which the user may not want.

    ``requests``: the number of different ones. ``jobs``: the number of jobs beyond the first of each request.
    ``first``: file and line of the first such job.
    """

    def __init__(self) -> None:
        self.requests = self.jobs = 0
        self.first: tuple[str, int] | None = None

    def add(self, copy: int, source: str, line: int) -> None:
        """Counts a job that is the second or a later copy of a request."""
        self.requests += copy == 2
        self.jobs += 1
        self.first = self.first or (source, line)

    def words(self) -> str | None:
        """A warning of one line; None where nothing is odd."""
        if self.first is None:
            return None
        requests = show_count(self.requests, "request is", "requests are")
        jobs = show_count(self.jobs, "job repeats", "jobs repeat")
        return (
            f"{requests} in the manifest more than once (the first at {self.first[0]}:{self.first[1]}):"
            f" {jobs} another one, each made and paid for"
        )


class SharedIds:
    """Ids that different prompts of one group have, which is hardly meant: images are grouped and named by id. One
    prompt may have its id on many rows, each with a seed or a ratio of its own.

    Only the first 50,000 ids are kept, so that memory stays flat.
    """

    _MOST = 50_000

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, int, int]] = {}
        self._shared: dict[str, tuple[str, int, str, int]] = {}

    def next_group(self) -> None:
        """Forgets the ids: each group has a folder of its own, and so ids of its own."""
        self._first.clear()

    def add(self, ident: str, prompt: object, source: str, line: int) -> None:
        """Notes the id of a row."""
        prompt_hash = hash(str(prompt))
        first = self._first.get(ident)
        if first is None:
            if len(self._first) < self._MOST:
                self._first[ident] = (source, line, prompt_hash)
        elif first[2] != prompt_hash and ident not in self._shared and len(self._shared) < self._MOST:
            self._shared[ident] = (*first[:2], source, line)

    def words(self) -> str | None:
        """A warning of one line; None where nothing is odd."""
        if not self._shared:
            return None
        ident, (source, line, other, its_line) = next(iter(self._shared.items()))
        many = len(self._shared)
        what = "an id stands for different prompts" if many == 1 else f"{many:,} ids stand for different prompts each"
        return (
            f"{what}: {'' if many == 1 else 'the first is '}{quoted(ident)}, at {source}:{line} and"
            f" {other}:{its_line}; images are named and grouped by id, so give each prompt an id of its own"
        )


def columns_in_words(files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each file: what its columns became. files: as ``Totals.columns``."""
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
