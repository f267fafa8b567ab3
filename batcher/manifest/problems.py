"""Everything wrong with a manifest, gathered while reading goes on, so that it is mended in one go."""

from batcher.core.errors import ManifestError, Problem

MOST = 50


class Problems:
    """The first ``MOST`` problems and a count of all of them. added: the same with those that came again: whether
    anything was wrong meanwhile.
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.total = self.added = 0
        self._known: set[Problem] = set()

    def add(self, file: str, line: int, column: int, what: str, mend: str = "") -> None:
        problem = Problem(file, line, column, what, mend)
        self.added += 1
        if problem in self._known:
            return  # the same value of a file entry, met again with each of its rows
        self.total += 1
        if len(self.first) < MOST:
            self.first.append(problem)
            self._known.add(problem)

    def take(self, error: ManifestError) -> None:
        """All that an error lists."""
        for problem in error.problems:
            self.add(problem.file, problem.line, problem.column, problem.what, problem.mend)

    def copy(self) -> "Problems":
        found = Problems()
        found.first, found.total, found.added = list(self.first), self.total, self.added
        found._known = set(self._known)
        return found

    def raise_if_any(self) -> None:
        if self.total:
            raise ManifestError(self.first, total=self.total)


def failure(file: str, line: int, column: int, what: str, mend: str = "") -> ManifestError:
    """A problem after which there is nothing left to read."""
    return ManifestError([Problem(file, line, column, what, mend)])
