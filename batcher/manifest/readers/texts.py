"""Plain text, one prompt a line, and folders with one prompt a file."""

import os
import re
from collections.abc import Iterator

from batcher.core.suggest import printable
from batcher.core.units import show_count
from batcher.manifest.readers.lookalikes import Lookalikes
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import Source, hash_of_all
from batcher.manifest.schema.inputs import LONGEST_PROMPT
from batcher.manifest.schema.words import shown

_OTHER_TEXTS = (".caption", ".md", ".text", ".prompt", ".csv", ".json", ".jsonl", ".tags")
_AS_IS = "sends it unchanged"
_ONE_EACH = "give a folder with one prompt in each .txt file"
_MANY_LINES = 3  # a file of a folder with as many lines is probably a list of prompts


class TextLines(FileReader):
    """Reads one prompt a line. Lines end with LF, CR LF or CR only. Empty lines are skipped; ``#`` is text."""

    def rows(self) -> Iterator[Row]:
        lookalikes = Lookalikes(takes_files=self._reading.model_inputs.of("prompt").takes is not None)
        try:
            with self._source.text() as stream:
                for line, text in enumerate(stream, 1):
                    if text.isspace():
                        continue
                    if not self._reading.is_named:
                        lookalikes.see(text, line)
                    yield self._row_of(line, {"prompt": text.rstrip("\r\n").lstrip("\ufeff")})
        finally:  # also where the caller stops early
            if (likeness := lookalikes.likeness()) is not None:
                self._reading.problems.doubt(self._source.label, likeness[0], 1, *likeness[1:])


class TextFolder(FileReader):
    """Reads the ``.txt`` files of a folder in natural order (``2`` before ``10``). The stem is the prompt's id.

    source: the folder. form, reading: as of ``FileReader``.
    """

    def __init__(self, source: Source, form: str, reading: Reading) -> None:
        super().__init__(source, form, reading)
        self._lists: list[tuple[str, int]] = []  # files that look like lists of prompts, and their lines

    def rows(self) -> Iterator[Row]:
        for name in _names(self._source):
            if not name.isprintable():  # names that are not UTF-8 are not printable either
                mend = "rename it: its name becomes the prompt's id"
                self._wrong((0, 0), f"{shown(name)} is not a printable file name", mend)
                continue
            file = Source(os.path.join(self._source.path, name), f"{self._source.label.rstrip('/')}/{name}")  # noqa: PTH118
            with file.text() as stream:
                text = stream.read(LONGEST_PROMPT + 4)
                while stream.read(LONGEST_PROMPT):
                    pass
            self._check_text(file.label, text)
            prompt = re.sub(r"(\r\n|\n|\r)\Z", "", text)
            yield self._row_of(1, {"prompt": prompt}, label=file.label, ident=name[: -len(".txt")])
        self._warn_of_others()

    def _check_text(self, label: str, text: str) -> None:
        """Notes a file that may be a list of prompts, and doubts the infotext of an image."""
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) >= _MANY_LINES and max(map(len, lines)) < 300:
            self._lists.append((label, len(lines)))
        if not self._reading.is_named and any(line.startswith("Steps: ") and "Sampler: " in line for line in lines):
            what = "it is the infotext of an image, and all of it is read as a prompt"
            self._reading.problems.doubt(label, 1, 1, what, f"keep only the prompt; --format folder {_AS_IS}")

    def _warn_of_others(self) -> None:
        """Warns of files that may be lists, and of subfolders and other texts, which are skipped."""
        if self._lists:
            label, lines = self._lists[0]
            what = f"each file of a folder is one prompt, and {label} has {lines:,} lines"
            more = f" ({len(self._lists) - 1:,} more have several)" if len(self._lists) > 1 else ""
            self._warn(f"{what}{more}; to read a line as a prompt name the file itself")
        try:
            with os.scandir(self._source.path) as entries:
                named = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
        except OSError:
            return
        folders = [name for name, is_folder in named if is_folder]
        texts = [name for name, is_folder in named if not is_folder and name.lower().endswith(_OTHER_TEXTS)]
        for names, one, several in ((folders, "subfolder", "subfolders"), (texts, "other text", "other texts")):
            if names:
                some = ", ".join(printable(name) for name in sorted(names)[:3])
                many = show_count(len(names), f"{one} is", f"{several} are")
                self._warn(f"{many} skipped, as only its .txt files are read ({some})")


def hash_of_folder(source: Source) -> str:
    """A hash of the names and bytes of a folder's files, in hex. Raises ManifestError."""
    return hash_of_all((name, Source(os.path.join(source.path, name), source.label)) for name in _names(source))  # noqa: PTH118


def _names(source: Source) -> list[str]:
    try:
        with os.scandir(source.path) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        names = [entry.name for entry in visible if entry.name.lower().endswith(".txt")]
        below = min((entry.name for entry in visible if not names and entry.is_dir()), default=None)
    except OSError as error:
        raise source.unreadable(error) from None
    if not names:
        mend = f"name one that has: {source.label.rstrip('/')}/{printable(below)}" if below else _ONE_EACH
        raise source.failure("has no .txt files in it", mend)
    return sorted(names, key=natural)


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``2.txt`` before ``10.txt``. Names that differ in zeros alone keep a fixed order."""
    parts = re.split(r"([0-9]+)", name)
    keys = [(int(part[:300]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]
    return [*keys, (0, name)]
