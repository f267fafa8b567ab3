"""``__name__`` in dynamic prompts: one line of a text file in a folder of lists, as they are published by the thousand.

Names and files come from outside. A name can't leave the folder, by ``..`` or by a link; a list that leads back to
itself is an error, and so are too many lines. Lines keep their order (if they were sorted, a new one would move all
after it), blank lines and ``#`` comments are skipped, and a line may be a template itself. Each list is read once, in
the encodings of prompt files.
"""

import os
import re
from collections.abc import Iterator

from batcher.core.errors import ManifestError, Problem
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.problems import Problems
from batcher.manifest.readers.source import Source, hash_of_all
from batcher.manifest.templates.choices import MANY, Choice, Text
from batcher.manifest.templates.templates import BadTemplate, Template, different

_MOST_LINES = 100_000  # of one list: all of them are held
_MOST_LISTS = 1_000
_MOST_SUGGESTED = 2_000  # files that are looked at
_MOST_HASHED = 100_000
_EXTENSION = ".txt"
_PART = re.compile(r"(?!\.)[^\x00-\x1f/\\:*?\"<>|\ud800-\udfff]+(?<![. ])\Z")


class Wildcards:
    """The lists of one folder. folder: its path. label: as messages name it."""

    def __init__(self, folder: str, label: str) -> None:
        self._folder, self._label = folder, label.rstrip("/") or label
        self._lists: dict[str, Choice | tuple[Problem, ...]] = {}
        self._open: list[str] = []

    def digest(self) -> str:
        """The hash of the names and bytes of every list in the folder, in hex. Raises ManifestError."""
        return hash_of_all((name, self._source(name)) for name in sorted(self._names(_MOST_HASHED)))

    def _source(self, name: str) -> Source:
        path = os.path.join(self._folder, *name.split("/")) + _EXTENSION  # noqa: PTH118  a text, which may be odd
        return Source(path, f"{self._label}/{printable(name)}{_EXTENSION}")

    def choice(self, name: str, at: int, depth: int) -> Choice:
        """The lines of a list. at: the character where it is named. depth: how many choices are around that.

        Raises BadTemplate where there is no such list, ManifestError where something is wrong in it.
        """
        choice = self._lists.get(name)
        if choice is None:
            choice = self._lists[name] = self._read(name, at, depth)
        if not isinstance(choice, Choice):
            raise ManifestError(choice)
        return choice

    def _read(self, name: str, at: int, depth: int) -> Choice | tuple[Problem, ...]:
        if name in self._open:
            circle = " → ".join(map(printable, [*self._open[self._open.index(name) :], name]))
            raise BadTemplate(at, f"the list refers back to itself: {circle}", "remove one of these references")
        source = self._checked(name, at)
        if len(self._lists) + len(self._open) == _MOST_LISTS:
            raise BadTemplate(at, f"more than {_MOST_LISTS:,} lists", "use fewer")
        self._open.append(name)
        try:
            return self._options(source, depth)
        except ManifestError as error:
            return tuple(error.problems)
        finally:
            self._open.pop()

    def _checked(self, name: str, at: int) -> Source:
        """The file of a list. Raises BadTemplate where the name is none, or leads to no file in the folder."""
        if "*" in name:
            mend = "name one list, or make a list that names others, each in a line of its own"
            raise BadTemplate(at, f"`__{printable(name)}__`: patterns of names are not supported", mend)
        if not all(_PART.match(part) for part in name.split("/")):
            mend = "write a name as in __colour__ or __animals/birds__, or \\_\\_ for text"
            raise BadTemplate(at, f"`__{printable(name)}__` can't be the name of a list", mend)
        source = self._source(name)
        if not os.path.isfile(source.path):  # noqa: PTH113
            raise BadTemplate(at, f"there is no list {quoted(name)} in {self._label}", self._instead(name))
        inside = os.path.join(os.path.realpath(self._folder), "")  # noqa: PTH118
        if not os.path.realpath(source.path).startswith(inside):
            what = f"the list {quoted(name)} is a link that leads out of {self._label}"
            raise BadTemplate(at, what, "copy the file into the folder")
        return source

    def _instead(self, name: str) -> str:
        if not os.path.isdir(self._folder):  # noqa: PTH112
            make = f"there is no such folder: make it, with {printable(name)}{_EXTENSION} in it"
            return f"{make}, name another (`dynamic: {{wildcards: DIR}}` in a YAML manifest), or write \\_\\_ for text"
        first = name.partition("/")[0]
        collection = os.path.join(self._folder, first)  # noqa: PTH118
        there = next((end for end in (".yaml", ".yml", ".json") if os.path.isfile(collection + end)), None)  # noqa: PTH113
        if there is not None:
            kind = "JSON" if there == ".json" else "YAML"
            mend = f"write {printable(name)}{_EXTENSION}, one choice a line"
            return f"{kind} collections such as {printable(first)}{there} are not read: {mend}"
        names = list(self._names(_MOST_SUGGESTED))
        return (
            suggestion(name, names) if names else f"put {printable(name)}{_EXTENSION} into it, or write \\_\\_ for text"
        )

    def _names(self, most: int) -> Iterator[str]:
        seen = 0
        for folder, folders, files in os.walk(self._folder):
            folders.sort()
            for file in sorted(files):
                seen += 1
                if seen > most:
                    return
                path = os.path.join(folder, file)  # noqa: PTH118
                if file.endswith(_EXTENSION) and os.path.isfile(path):  # noqa: PTH113
                    there = os.path.relpath(path, self._folder)
                    yield there.replace(os.sep, "/")[: -len(_EXTENSION)]

    def _options(self, source: Source, depth: int) -> Choice:
        problems = Problems()
        options: list[tuple[Text, float]] = []
        with source.text() as stream:
            for line, text in enumerate(stream, 1):
                value = text.strip().lstrip("\ufeff")
                if not value or value.startswith("#"):
                    continue
                if len(options) == _MOST_LINES:
                    raise source.failure(f"more than {_MOST_LINES:,} lines in a list", "split it", line, 1)
                try:
                    options.append(Template(value, self.choice, depth=depth).read_line())
                except BadTemplate as error:
                    problems.add(source.label, line, text.index(value) + error.column, error.what, error.mend)
                except ManifestError as error:
                    problems.take(error)
        problems.raise_if_any()
        if not options:
            raise source.failure("is an empty list", "write one choice a line")
        choice = Choice(*different(options))
        if choice.size > MANY:
            raise source.failure("is a list that grows without bounds", "name fewer lists in its lines")
        return choice
