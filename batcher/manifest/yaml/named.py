"""The files that a manifest names: prompts, and texts of vars.

Each is one ``Source``, however many groups and prompts name it: then it is hashed once, and must be the same each
time it is read.
"""

import os
from collections.abc import Mapping

from batcher.manifest.readers.columns import word
from batcher.manifest.readers.formats import FORMATS, format_of, named_format
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.words import shown
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.node import Node

ELSEWHERE = "a manifest from a URL can't name files on this machine", "put it all into one file, or download it"


class NamedFiles:
    """base: the folder that their names are relative to; None for a manifest from elsewhere, which may name none.
    opened: by name, those that were asked for and are there, each with its format. texts: of those of vars, by name,
    format and column.

    Messages name them as they can be opened from where the user stands, not as the manifest names them.
    """

    def __init__(self, base: str | None) -> None:
        self._base = base
        self._sources: dict[str, Source] = {}
        self.opened: dict[str, tuple[Source, str]] = {}
        self.texts: dict[tuple[str, ...], tuple[str, ...] | None] = {}

    def source(self, name: str) -> Source:
        if name not in self._sources:
            path = self._path(name)
            self._sources[name] = Source(path, word_path(path))
        return self._sources[name]

    def _path(self, name: str) -> str:
        return os.path.join(self._base or "", os.path.expanduser(name))  # noqa: PTH111, PTH118  a text, which may be odd

    def is_there(self, name: str) -> bool:
        path = self._path(name)
        return self._base is not None and "\0" not in path and os.path.isfile(path)  # noqa: PTH113

    def find(self, document: Document, node: Node, options: Mapping[str, str]) -> tuple[Source, str] | None:
        """The file and the format that a mapping with ``file`` (and ``format``) means; None with a problem.

        options: those of its values that are texts.
        """
        if "file" not in options:
            return None
        name, value = options["file"], node.pairs["file"][1]
        if self._base is None:
            document.add(value, *ELSEWHERE)
            return None
        path = self._path(name)
        if "\0" in path or not os.path.exists(path):  # noqa: PTH110
            document.add(value, f"there is no file `{word(name)}`", "paths are relative to the manifest")
            return None
        form = format_of(path)
        if "format" in options:
            form = named_format(options["format"])
            if form is None:
                mend = f"use one of {', '.join(FORMATS)}"
                document.add(node.pairs["format"][1], f"unknown format `{word(options['format'])}`", mend)
                return None
        if form is None or form == "yaml":
            what = "is a manifest, not a prompt file" if form else "has a name that does not say its format"
            mend = "list the prompts here" if form else "add `format: csv` or another below it"
            document.add(value, f"`{word(name)}` {what}", mend)
            return None
        self.opened.setdefault(name, (self.source(name), form))
        return self.source(name), form


def word_path(path: str) -> str:
    """A path as it may be printed and stored: bytes that are no text become a mark."""
    text = os.fsencode(path).decode(errors="replace")
    return text if text.isprintable() else shown(text, 1000)[1:-1]
