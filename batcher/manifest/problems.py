"""Everything wrong with a manifest, gathered while reading goes on, so that it is fixed in one go."""

from dataclasses import replace

from batcher.core.errors import ManifestError, Problem

MOST = 50
_SHOWN = 3  # of one kind in one file, where rows by the thousand have the same fault


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
        self._known: set[Problem] = set()
        self._kinds: dict[tuple[str, str], list[int]] = {}  # where those shown are, and how many more there are

    def add(self, file: str, line: int, column: int, what: str, mend: str = "", *, kind: str = "") -> None:
        """kind: of a fault that many rows of a file may have; three are shown, the others counted."""
        problem = Problem(file, line, column, what, mend)
        self.added += 1
        if problem in self._known:
            return  # the same value of a file entry, met again with each of its rows
        self.total += 1
        shown = self._kinds.setdefault((file, kind), [0, 0, 0]) if kind else None
        if shown is not None and shown[0] >= _SHOWN:
            shown[1] += 1
        elif len(self.first) < MOST:
            self.first.append(problem)
            self._known.add(problem)
            if shown is not None:
                shown[0], shown[2] = shown[0] + 1, len(self.first) - 1

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
        copy._known = set(self._known)
        return copy

    def raise_if_any(self, *, lenient: bool = True) -> None:
        """lenient: doubts are none."""
        doubts = [] if lenient else list(self.doubts)
        if not self.total and not doubts:
            return
        problems, hidden = list(self.first), 0
        for _, more, at in self._kinds.values():
            if more:
                what = f"{problems[at].what} (and {more:,} more like this)"
                problems[at] = replace(problems[at], what=what)
                hidden += more
        raise ManifestError([*problems, *doubts], total=self.total + len(doubts), counted=hidden)


def failure(file: str, line: int, column: int, what: str, mend: str = "") -> ManifestError:
    """A problem after which there is nothing left to read."""
    return ManifestError([Problem(file, line, column, what, mend)])
