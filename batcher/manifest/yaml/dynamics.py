"""``dynamic:`` of a manifest, a file or a prompt: whether prompts are templates, and how many variants they make."""

import os
from dataclasses import replace

from batcher.core.suggest import quoted
from batcher.manifest.templates.dynamic import MOST, Dynamic
from batcher.manifest.templates.wildcards import Wildcards
from batcher.manifest.yaml.document import Document, kind_of
from batcher.manifest.yaml.named import ELSEWHERE, NamedFiles, printable_path
from batcher.manifest.yaml.tree import Node

_KEYS = ("wildcards", "most", "sample", "from")
_FOLDER = "wildcards"


class Dynamics:
    """Reads ``dynamic``. files: those that the manifest names."""

    def __init__(self, document: Document, files: NamedFiles) -> None:
        self._document, self._files = document, files
        self._folders: dict[str, Wildcards] = {}

    def for_all(self, *, flag: bool) -> Dynamic | None:
        """How all prompts of the manifest are expanded, None for no templates. flag: whether ``--dynamic`` is given."""
        plain = Dynamic(self._lists(_FOLDER)) if flag else None
        node = self._document.sections.get("dynamic")
        return self.read(node, plain) or plain if node is not None else plain

    def read(self, node: Node, outer: Dynamic | None) -> Dynamic | None:
        """How a prompt or a file is expanded, None for no templates. outer: the same of the manifest, to be changed."""
        if node.kind == "boolean":
            return (outer or Dynamic(self._lists(_FOLDER))) if node.value() else None
        if node.kind != "mapping":
            self._document.add(node, f"`dynamic` is true, false or a mapping, not {kind_of(node)}", "write true")
            return None
        dynamic = outer or Dynamic(self._lists(_FOLDER))
        for name, (_, value) in self._document.mapping(node, "`dynamic`", _KEYS).items():
            if name == "wildcards":
                dynamic = self._with_folder(dynamic, value)
            elif name == "from":
                dynamic = replace(dynamic, start=self._number(value, name, -(2**63), 2**63 - 1) or 0)
            elif (many := self._number(value, name, 1, MOST)) is not None:
                dynamic = replace(dynamic, most=many) if name == "most" else replace(dynamic, sample=many)
        drawn = [name for name in ("sample", "from") if name in node.pairs]
        if len(drawn) == 1 and (outer is None or outer.sample is None):
            mend = "write {sample: 20, from: 7}: 20 variants of each prompt, with the same `from` the same ones"
            self._document.add(node, f"`{drawn[0]}` without `{'from' if drawn == ['sample'] else 'sample'}`", mend)
        return dynamic

    def digests(self) -> list[str]:
        """A hash of each folder of word lists, used or not. Raises ManifestError."""
        return [self._folders[name].digest() for name in sorted(self._folders)]

    def _with_folder(self, dynamic: Dynamic, node: Node) -> Dynamic:
        if node.kind != "text" or not node.text.strip() or "\0" in node.text:
            self._document.add(node, f"`wildcards` is a folder, not {kind_of(node)}", "name the folder with the lists")
        elif self._files.is_elsewhere:
            self._document.add(node, *ELSEWHERE)
        elif not os.path.isdir(self._files.path(node.text)):  # noqa: PTH112
            self._document.add(node, f"there is no folder {quoted(node.text)}", "paths are relative to the manifest")
        else:
            return replace(dynamic, wildcards=self._lists(node.text))
        return dynamic

    def _lists(self, name: str) -> Wildcards:
        folder = self._files.path(name)
        return self._folders.setdefault(folder, Wildcards(folder, printable_path(folder)))

    def _number(self, node: Node, name: str, least: int, most: int) -> int | None:
        if node.kind == "integer" and least <= node.value() <= most:
            return int(node.value())
        mend = f"write a number from {least:,} to {most:,}"
        self._document.add(node, f"`{name}` is a number, not {kind_of(node)}", mend)
        return None
