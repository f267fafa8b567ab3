"""``vars:`` of a prompt: the texts that each name stands for, listed in the manifest or in a file.

A file is a text with one value a line, or a table with a value in each row of one column. That column is called like
the var, unless ``column`` names another. The values are held in memory, so their number is limited.
"""

import re
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.readers.formats import reader
from batcher.manifest.readers.reading import Reading
from batcher.manifest.readers.rows import Carried, with_line_ends_alike
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.yaml.document import Document, kind_of, text_of
from batcher.manifest.yaml.named import NamedFiles
from batcher.manifest.yaml.tree import Node

MOST = 100_000  # values of one var
_MOST_CHARACTERS = 2**24  # of all of them
_KEYS = ("file", "column", "format")
_TABLES = ("csv", "tsv", "tsv-quoted")


class VarTexts:
    """Reads the ``vars`` of one document, which gets the problems. files: opens the files that they name."""

    def __init__(self, document: Document, files: NamedFiles) -> None:
        self._document, self._files = document, files

    def read(self, node: Node, places: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """The texts of each var. places: gets line and column of each, as ``vars.NAME``."""
        texts: dict[str, tuple[str, ...]] = {}
        for name, (key, value) in self._document.mapping(node, "`vars`").items():
            places[f"vars.{name}"] = key.place
            if not name or set(name) & set("{}"):
                self._document.add(key, f"{quoted(name)} can't be the name of a var", "use letters, digits and `_`")
            else:  # a var that can't be read stands for itself, so that `{name}` is not a second problem
                self._check_value(name, value)
                texts[name] = self._texts(name, value) or ("{" + name + "}",)
        return texts

    def _check_value(self, name: str, value: Node) -> None:
        """Warns of one text that may be a list."""
        parts = [part.strip() for part in re.split(r"[,;|]", value.text)]
        if value.kind == "text" and not value.quoted and len(parts) > 1 and all(parts):
            mend = (
                f'write [{printable(", ".join(parts))}] for {len(parts)} texts, "{printable(value.text)}" for this one'
            )
            self._document.warn(value, f"the var {quoted(name)} is one text: {mend}")

    def _texts(self, name: str, value: Node) -> tuple[str, ...] | None:
        texts: list[str] = []
        for node in value.items if value.kind == "list" else [value]:
            if "file" in node.pairs:
                read = self._from_file(name, node)
                if read is None:
                    return None
                texts += read
            elif node.kind in {"list", "mapping"} or not (node.text or node.quoted):
                self._document.add(node, f"the var {quoted(name)} needs text, not {kind_of(node)}", "write it out")
                return None
            else:
                if "." in node.text and self._files.is_there(node.text):
                    what = f"{shown(node.text)} is the name of a file, and is read as the text of a var"
                    self._document.doubt(node, what, f"write {{file: {printable(node.text)}}} to read the texts in it")
                texts.append(node.text)
        if not texts:
            self._document.add(value, f"the var {quoted(name)} has no values", "list at least one")
        return tuple(dict.fromkeys(texts)) or None

    def _from_file(self, name: str, node: Node) -> tuple[str, ...] | None:
        options: dict[str, str] = {}
        for option, (key, value) in node.pairs.items():
            if option not in _KEYS:
                what = f"unknown key {quoted(option)} beside `file` in `vars`"
                self._document.add(key, what, suggestion(option, _KEYS))
            elif (text := text_of(self._document, value, f"`{option}`")) is not None:
                options[option] = text
        if len(options) < len(node.pairs) or (file := self._files.find(self._document, node, options)) is None:
            return None
        source, form = file
        if form not in {"txt", *_TABLES}:
            what = f"the values of a var can't be read from {form}"
            self._document.add(node.pairs["file"][1], what, "give a text file, or a table (CSV, TSV)")
            return None
        if "column" in options and form == "txt":
            self._document.add(node.pairs["column"][0], "`column` beside a text file: it has lines", "remove it")
            return None
        column = options.get("column", name)
        asked = (options["file"], form, column)
        if asked not in self._files.texts:
            self._files.texts[asked] = self._read(source, form, column)
        return self._files.texts[asked]

    def _read(self, source: Source, form: str, column: str) -> tuple[str, ...] | None:
        problems = self._document.problems
        before, size = problems.total, 0
        texts: dict[str, None] = {}
        try:
            for row in reader(source, form, Reading(ModelInputs(None), problems, Carried(), column)).rows():
                text = with_line_ends_alike(row.inputs.get("prompt") or "")
                if not text.strip() or text in texts:
                    continue
                texts[text] = None
                size += len(text)
                if len(texts) > MOST or size > _MOST_CHARACTERS:
                    what = f"has more than {MOST:,} values, or {_MOST_CHARACTERS // 2**20} MB, for one var"
                    problems.add(source.label, row.line, 1, what, "make them prompts of their own, in a prompt file")
                    return None
        except ManifestError as error:
            for problem in error.problems:
                mend = problem.mend.replace("--prompt-column (or prompt_column:)", "`column:`")
                problems.add(problem.file, problem.line, problem.column, problem.what, mend)
            return None
        if not texts and problems.total == before:
            problems.add(source.label, 0, 0, "has no values for the var", "write one a line")
        return tuple(texts) if problems.total == before else None
