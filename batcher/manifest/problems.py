"""Everything that is wrong with a manifest, collected while reading goes on, so that it can be fixed in one go."""

from collections import Counter
from dataclasses import replace

from batcher.core.errors import ManifestError, Problem

MOST = 50
_FEW = 3  # of one fault, and of different ones of a kind, are listed one by one; of more the first, with a count


class Problems:
    """The first ``MOST`` problems (``first``) and the number of all of them (``total``).

    ``added``: the number with repeated ones, which grows with every problem. ``doubts``: what is right by the letter
    and can hardly be meant: errors for a run, warnings for a plan. ``warnings``: one line each, from before the model
    was known.
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.total = self.added = 0
        self.doubts: dict[Problem, None] = {}
        self.warnings: dict[str, None] = {}
        self._listed: set[Problem] = set()
        self._kinds: dict[tuple[str, str], dict[str, list[int]]] = {}  # file and kind: what is wrong: places in first
        self._more: Counter[int] = Counter()  # by place in first: how many more like it there are

    def add(self, file: str, line: int, column: int, what: str, mend: str = "", *, kind: str = "") -> None:
        """Adds a problem. line and column from 1; 0 for the file as a whole. mend: how to fix it.

        kind: of a fault that many rows of a file may have; of such problems only a few are shown, with a count.
        """
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
        """Adds a doubt, the first ``MOST``."""
        if len(self.doubts) < MOST:
            self.doubts.setdefault(Problem(file, line, column, what, mend))

    def warn(self, text: str) -> None:
        """Adds a warning of one line."""
        if len(self.warnings) < 2 * MOST:
            self.warnings.setdefault(text)

    def take(self, error: ManifestError) -> None:
        """Adds all problems of an error."""
        for problem in error.problems:
            self.add(problem.file, problem.line, problem.column, problem.what, problem.mend)

    def raise_if_any(self, *, lenient: bool = True) -> None:
        """Raises ManifestError with all problems. lenient: ignore doubts."""
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


def position(text: str, offset: int, line: int = 1, column: int = 1) -> tuple[int, int]:
    """Line and column of an offset in a text. line, column: of its beginning, from 1."""
    newline = text.rfind("\n", 0, offset)
    return line + text.count("\n", 0, offset), offset - newline if newline >= 0 else column + offset


def failure(file: str, line: int, column: int, what: str, mend: str = "") -> ManifestError:
    """The error of a problem after which nothing is left to read."""
    return ManifestError([Problem(file, line, column, what, mend)])
