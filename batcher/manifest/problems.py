"""Everything wrong with a manifest, gathered while reading goes on, so that it is fixed in one go."""

from collections import Counter
from dataclasses import replace

from batcher.core.errors import ManifestError, Problem

MOST = 50
_FEW = 3  # of one fault, and of different ones of a kind, are listed each; of more the first, with a count


class Problems:
    """The first ``MOST`` problems and a count of all of them.

    total: how many. added: the same with those that came again: whether anything was wrong meanwhile.
    doubts: what is right by the letter and can hardly be meant: errors for a run, warnings for a plan.
    warnings: one line each, of what was seen before the model was known.
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.total = self.added = 0
        self.doubts: dict[Problem, None] = {}
        self.warnings: dict[str, None] = {}
        self._listed: set[Problem] = set()
        self._kinds: dict[tuple[str, str], dict[str, list[int]]] = {}  # of a file and kind: what is wrong, and where
        self._more: Counter[int] = Counter()  # by the place of the first of them: how many more there are

    def add(self, file: str, line: int, column: int, what: str, mend: str = "", *, kind: str = "") -> None:
        """kind: of a fault that many rows of a file may have: what is the same is shown once, with a count."""
        problem = Problem(file, line, column, what, mend)
        self.added += 1
        if problem in self._listed:
            return  # the same value of a file entry, met again with each of its rows
        self.total += 1
        shown = self._kinds.setdefault((file, kind), {}) if kind else {}
        alike = shown.get(what, list(shown.values())[-1] if len(shown) >= _FEW else [])
        if len(alike) >= _FEW or (alike and what not in shown):
            self._more[alike[0]] += 1
        elif len(self.first) < MOST:
            shown.setdefault(what, []).append(len(self.first))
            self.first.append(problem)
            self._listed.add(problem)

    def doubt(self, file: str, line: int, column: int, what: str, mend: str = "") -> None:
        if len(self.doubts) < MOST:
            self.doubts.setdefault(Problem(file, line, column, what, mend))

    def warn(self, text: str) -> None:
        if len(self.warnings) < 2 * MOST:
            self.warnings.setdefault(text)

    def take(self, error: ManifestError) -> None:
        """All that an error lists."""
        for problem in error.problems:
            self.add(problem.file, problem.line, problem.column, problem.what, problem.mend)

    def copy(self) -> "Problems":
        copy = Problems()
        copy.first, copy.total, copy.added = list(self.first), self.total, self.added
        copy.doubts, copy.warnings = dict(self.doubts), dict(self.warnings)
        copy._listed = set(self._listed)
        copy._kinds = {key: {what: [*at] for what, at in shown.items()} for key, shown in self._kinds.items()}
        copy._more = Counter(self._more)
        return copy

    def raise_if_any(self, *, lenient: bool = True) -> None:
        """lenient: doubts are none."""
        doubts = [] if lenient else list(self.doubts)
        if not self.total and not doubts:
            return
        problems, more = dict(enumerate(self.first)), Counter(self._more)
        for alike in (places for shown in self._kinds.values() for places in shown.values()):
            for at in alike[1:] if more[alike[0]] else ():
                del problems[at]
                more[alike[0]] += 1
        for at, count in more.items():
            problems[at] = replace(problems[at], what=f"{problems[at].what} (and {count:,} more like this)")
        raise ManifestError([*problems.values(), *doubts], total=self.total + len(doubts), counted=more.total())


def failure(file: str, line: int, column: int, what: str, mend: str = "") -> ManifestError:
    """A problem after which there is nothing left to read."""
    return ManifestError([Problem(file, line, column, what, mend)])
