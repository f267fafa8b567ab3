"""Plain text, one prompt a line, and folders with one prompt a file."""

import json
import os
import re
from collections.abc import Iterator
from hashlib import blake2b

from batcher.manifest.inputs import LONGEST_PROMPT
from batcher.manifest.problems import failure
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.words import shown

_OF_A_MANIFEST = re.compile(r"(model|defaults|dynamic|prompts|groups|matrix|zip|output|run):(\s|\Z)")


class TextLines:
    """Lines end with LF, CR LF or CR and nothing else; empty ones are skipped; ``#`` is text like any other."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading

    def rows(self) -> Iterator[Row]:
        label, carried = self._source.label, self._reading.carried
        with self._source.text() as stream:
            for line, text in enumerate(stream, 1):
                if line == 1 and (form := _looks_like(text)):
                    self._reading.model_inputs.warn(f"{label}: each line is read as a prompt, and the first is {form}")
                if not text.isspace():
                    inputs = {**carried.inputs, "prompt": text.rstrip("\r\n")}
                    yield Row(label, line, inputs, None, dict(carried.meta), carried.vars, self, None, carried.repeat)

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        return self._reading.carried.places.get(name, (row.source, row.line, 1))


class TextFolder:
    """The ``.txt`` files of a folder in natural order (``2.txt`` before ``10.txt``); the stem is the prompt's id."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading

    def rows(self) -> Iterator[Row]:
        for name in _names(self._source):
            if not name.isprintable():  # letters that are not UTF-8 are among these, as halves of pairs
                mend = "rename it: its name becomes the prompt's id"
                label = self._source.label
                self._reading.problems.add(label, 0, 0, f"{shown(name)} is no printable file name", mend)
                continue
            file = Source(os.path.join(self._source.path, name), f"{self._source.label.rstrip('/')}/{name}")  # noqa: PTH118
            with file.text() as stream:
                text = stream.read(LONGEST_PROMPT + 4)
                while stream.read(LONGEST_PROMPT):
                    pass
            yield self._row(file.label, name, re.sub(r"(\r\n|\n|\r)\Z", "", text))

    def _row(self, label: str, name: str, text: str) -> Row:
        carried = self._reading.carried
        inputs = {**carried.inputs, "prompt": text}
        return Row(label, 1, inputs, name[: -len(".txt")], dict(carried.meta), carried.vars, self, None, carried.repeat)

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        return self._reading.carried.places.get(name, (row.source, row.line, 1))


def hash_of_folder(source: Source) -> str:
    """Of the names and bytes of its files, hex. Raises ManifestError."""
    found = blake2b(digest_size=16)
    for name in _names(source):
        digest = Source(os.path.join(source.path, name), source.label).hash()  # noqa: PTH118
        found.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _names(source: Source) -> list[str]:
    try:
        with os.scandir(source.path) as entries:
            found = [e.name for e in entries if e.name.lower().endswith(".txt") and not e.name.startswith(".")]
    except OSError as error:
        raise source.unreadable(error) from None
    if not found:
        raise failure(source.label, 0, 0, "has no .txt files in it", "give a folder with one prompt in each .txt file")
    return sorted(found, key=natural)


def _looks_like(line: str) -> str | None:
    """What the first line of piped data is that wants a format of its own: a prompt may be JSON, so this only warns."""
    if _OF_A_MANIFEST.match(line):
        return "YAML: --format yaml reads a manifest"
    try:
        is_object = line.startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return None
    return "a JSON object: --format jsonl (records, for those of a run) reads its fields" if is_object else None


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their size; equal names but for zeros or letter case keep a fixed order."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part[:300]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts] + [
        (0, name)
    ]
