"""Everything wrong with a manifest, gathered while reading goes on, so that it is mended in one go."""

from collections.abc import Iterable
from difflib import get_close_matches

from batcher.core.errors import ManifestError, Problem
from batcher.manifest.schema.words import shown

MOST = 50


class Problems:
    """The first ``MOST`` problems and a count of all of them. said: the same, those said once more included: whether
    anything was wrong meanwhile.
    """

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.total = self.said = 0
        self._known: set[Problem] = set()

    def add(self, file: str, line: int, column: int, what: str, mend: str = "") -> None:
        problem = Problem(file, line, column, what, mend)
        self.said += 1
        if problem in self._known:
            return  # the same value of a file entry, met again with each of its rows
        self.total += 1
        if len(self.first) < MOST:
            self.first.append(problem)
            self._known.add(problem)

    def raise_if_any(self) -> None:
        if self.total:
            raise ManifestError(self.first, total=self.total)


def failure(file: str, line: int, column: int, what: str, mend: str = "") -> ManifestError:
    """A problem after which there is nothing left to read."""
    return ManifestError([Problem(file, line, column, what, mend)])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, None when nothing is near."""
    by_fold = {fold_name(candidate): candidate for candidate in known}
    folded = fold_name(name[:80])
    if folded in by_fold:
        return by_fold[folded]
    found = get_close_matches(folded, by_fold, n=1, cutoff=0.7)
    return by_fold[found[0]] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """How to mend an unknown name: the near one, else what there is."""
    names = list(known)
    if (near := nearest(name, names)) is not None:
        return f"did you mean `{shown(near)[1:-1]}`?"
    return f"use one of {', '.join(shown(known)[1:-1] for known in names[:20])}" if names else "remove it"


def fold_name(name: str) -> str:
    """Names that differ only in letter case, blanks, ``_`` and ``-`` are one name."""
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")
