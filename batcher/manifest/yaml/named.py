"""The files that a manifest names: prompts, texts of vars, and folders of word lists.

Each file is one ``Source``, even if several groups and prompts name it, so it is hashed once.
"""

import os
from collections.abc import Mapping

from batcher.core.suggest import printable, quoted
from batcher.manifest.readers.formats import FORMATS, format_of, named_format
from batcher.manifest.readers.source import Source
from batcher.manifest.templates.wildcards import Wildcards
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.tree import Node

ELSEWHERE = "a manifest from a URL can't name files on this machine", "put it all into one file, or download it"


class NamedFiles:
    """Opens the files that a manifest names. Messages name them relative to the current folder.

    base: the folder that names are relative to; None for a manifest from a URL, which may name no files.

    opened: by name, each file with its format. texts: the values of vars, by file name, format and column. folders: of
    word lists, by path.
    """

    def __init__(self, base: str | None) -> None:
        self._base = base or ""
        self.is_elsewhere = base is None
        self.opened: dict[str, tuple[Source, str]] = {}
        self.texts: dict[tuple[str, ...], tuple[str, ...] | None] = {}
        self.folders: dict[str, Wildcards] = {}

    def _path(self, name: str) -> str:
        return os.path.join(self._base, os.path.expanduser(name))  # noqa: PTH111, PTH118  a text, which may be odd

    def lists(self, name: str) -> Wildcards:
        """The word lists in a folder."""
        folder = self._path(name)
        return self.folders.setdefault(folder, Wildcards(folder, printable_path(folder)))

    def digests(self) -> list[str]:
        """A hash of each folder of word lists, used or not. Raises ManifestError."""
        return [self.folders[name].digest() for name in sorted(self.folders)]

    def is_folder(self, name: str) -> bool:
        return os.path.isdir(self._path(name))  # noqa: PTH112

    def is_there(self, name: str) -> bool:
        path = self._path(name)
        return not self.is_elsewhere and "\0" not in path and os.path.isfile(path)  # noqa: PTH113

    def find(self, document: Document, node: Node, options: Mapping[str, str]) -> tuple[Source, str] | None:
        """File and format of a mapping with ``file`` and perhaps ``format``; None with a problem.

        options: the values of the mapping that are texts.
        """
        if "file" not in options:
            return None
        name, value = options["file"], node.pairs["file"][1]
        if self.is_elsewhere:
            document.add(value, *ELSEWHERE)
            return None
        path = self._path(name)
        if "\0" in path or not os.path.exists(path):  # noqa: PTH110
            document.add(value, f"there is no file {quoted(name)}", "paths are relative to the manifest")
            return None
        form = format_of(path)
        if "format" in options:
            form = named_format(options["format"])
            if form is None:
                mend = f"use one of {', '.join(FORMATS)}"
                document.add(node.pairs["format"][1], f"unknown format {quoted(options['format'])}", mend)
                return None
        if form is None or form == "yaml":
            what = "is a manifest, not a prompt file" if form else "has a name that does not say its format"
            mend = "list the prompts here" if form else "add `format: csv` or another below it"
            document.add(value, f"{quoted(name)} {what}", mend)
            return None
        first, _ = self.opened.setdefault(name, (Source(path, printable_path(path)), form))
        return first, form


def printable_path(path: str) -> str:
    """A path as it may be printed and stored. Bytes that are not UTF-8 become a replacement character."""
    text = os.fsencode(path).decode(errors="replace")
    return text if text.isprintable() else printable(text, 1000)
