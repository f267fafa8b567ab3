"""``defaults``, ``dynamic``, ``matrix``, ``exclude`` and ``include`` of a YAML manifest, compared with the schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from batcher.core.suggest import printable, quoted, suggestion
from batcher.core.units import show_count
from batcher.manifest.readers.special_columns import suggested_input
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.axes import Axis, BadAxis, axis_of, bounded, identity, values_of, wrong_values
from batcher.manifest.sweep.repeats import Repeat, Repeats
from batcher.manifest.sweep.sweep import Zip
from batcher.manifest.templates.dynamic import MOST, Dynamic
from batcher.manifest.yaml.document import Document, kind_of
from batcher.manifest.yaml.named import ELSEWHERE, NamedFiles
from batcher.manifest.yaml.tree import Node

WILDCARDS = "wildcards"  # the folder of word lists where none is named
_DYNAMIC_KEYS = ("wildcards", "most", "sample", "from")


@dataclass(frozen=True, slots=True)
class Sections:
    """Reads the sections of one document. What is wrong goes to its problems and is left out.

    document: has the sections, and gets the problems. model_inputs: of the model.
    files: opens the files that they name.
    """

    document: Document
    model_inputs: ModelInputs
    files: NamedFiles

    def defaults(self) -> dict[str, Any]:
        node = self.document.section("defaults")
        return {} if node is None else self._inputs(node, "`defaults`")

    def repeat(self, repeats: Repeats) -> Repeat | None:
        """The number of copies in ``defaults``."""
        node = self.document.sections.get("defaults")
        value = node.get("repeat") if node and self.model_inputs.is_key("repeat", "repeat") else None
        return self.repeat_of(value, repeats) if value else None

    def repeat_of(self, node: Node, repeats: Repeats) -> Repeat | None:
        try:
            return repeats.read(node.value())
        except BadAxis as error:
            self.document.add(node, error.what, error.mend)
            return None

    def dynamic(self, outer: Dynamic | None) -> Dynamic | None:
        """How the prompts are expanded, None for no templates. outer: the same by a flag or of the whole manifest."""
        node = self.document.sections.get("dynamic")
        return outer if node is None else self.dynamic_of(node, outer)

    def dynamic_of(self, node: Node, outer: Dynamic | None) -> Dynamic | None:
        """``dynamic`` of a manifest, a file or a prompt. outer: what it changes."""
        if node.kind == "boolean":
            return (outer or Dynamic(self.files.lists(WILDCARDS))) if node.value() else None
        if node.kind != "mapping":
            self.document.add(node, f"`dynamic` is true, false or a mapping, not {kind_of(node)}", "write true")
            return None
        dynamic = outer or Dynamic(self.files.lists(WILDCARDS))
        for name, (_, value) in self.document.mapping(node, "`dynamic`", _DYNAMIC_KEYS).items():
            if name == "wildcards":
                dynamic = self._with_folder(dynamic, value)
            elif name == "from":
                dynamic = replace(dynamic, start=self._number(value, name, -(2**63), 2**63 - 1) or 0)
            elif (many := self._number(value, name, 1, MOST)) is not None:
                dynamic = replace(dynamic, most=many) if name == "most" else replace(dynamic, sample=many)
        drawn = [name for name in ("sample", "from") if name in node.pairs]
        if len(drawn) == 1 and (outer is None or outer.sample is None):
            mend = "write {sample: 20, from: 7}: 20 variants of each prompt, with the same `from` the same ones"
            self.document.add(node, f"`{drawn[0]}` without `{'from' if drawn == ['sample'] else 'sample'}`", mend)
        return dynamic

    def _with_folder(self, dynamic: Dynamic, node: Node) -> Dynamic:
        if node.kind != "text" or not node.text.strip() or "\0" in node.text:
            self.document.add(node, f"`wildcards` is a folder, not {kind_of(node)}", "name the folder with the lists")
        elif self.files.is_elsewhere:
            self.document.add(node, *ELSEWHERE)
        elif not self.files.is_folder(node.text):
            self.document.add(node, f"there is no folder {quoted(node.text)}", "paths are relative to the manifest")
        else:
            return replace(dynamic, wildcards=self.files.lists(node.text))
        return dynamic

    def _number(self, node: Node, name: str, least: int, most: int) -> int | None:
        if node.kind == "integer" and least <= node.value() <= most:
            return int(node.value())
        mend = f"write a number from {least:,} to {most:,}"
        self.document.add(node, f"`{name}` is a number, not {kind_of(node)}", mend)
        return None

    def matrix(self) -> dict[str, Axis]:
        if (node := self.document.section("matrix")) is None:
            return {}
        axes = {}
        for name, (key, spec) in self.document.mapping(node, "`matrix`").items():
            if self.is_input(name, key, "`matrix`") and (axis := self._axis(name, spec)) is not None:
                axes[name] = axis
        return axes

    def zip(self, matrix: Mapping[str, Axis]) -> Zip:
        """The zipped axes. A key that is also in the ``matrix`` of the manifest, or of the flags, is a problem."""
        columns: dict[str, Sequence[Any]] = {}
        if (node := self.document.section("zip")) is None:
            return Zip(columns)
        for name, (key, spec) in self.document.mapping(node, "`zip`").items():
            if name in matrix:
                what = f"{quoted(name)} is in `zip` and in the matrix (`matrix:` or --matrix)"
                self.document.add(key, what, "keep one of them")
            elif self.is_input(name, key, "`zip`") and self._axis(name, spec, listed=True) is not None:
                columns[name] = values_of(name, spec.value(), self.model_inputs)
                first = next(iter(columns))
                if len(columns[name]) != len(columns[first]):
                    many = show_count(len(columns[first]), "value")
                    what = f"`zip` has {many} of {quoted(first)} and {len(columns[name]):,} of {quoted(name)}"
                    mend = "list equally many of each: the first values go together, then the second ones"
                    self.document.add(spec, what, mend)
                    # Still an axis: to name it elsewhere is no second mistake.
                    columns[name] = list(islice(cycle(columns[name]), len(columns[first])))
        return Zip(columns)

    def exclude(self, axes: Mapping[str, Axis]) -> list[dict[str, Axis]]:
        entries = []
        for node in self._mappings("exclude"):
            entry = {}
            for name, (key, spec) in node.pairs.items():
                if name not in axes:
                    what = f"{quoted(name)} in `exclude` is not an axis of the matrix"
                    self.document.add(key, what, suggestion(name, axes))
                elif (axis := self._axis(name, spec, listed=True)) is not None:
                    entry[name] = axis
                    self._warn_of_strangers(name, axis, axes[name], spec)
            if entry and len(entry) == len(node.pairs):
                entries.append(entry)
        return entries

    def include(self, axes: Mapping[str, Axis], base: Mapping[str, Any]) -> list[dict[str, Any]]:
        needed = self.model_inputs.required() - base.keys() - {"prompt"}
        entries = []
        for node in self._mappings("include"):
            missing = sorted(name for name in needed & axes.keys() if name not in node.pairs)
            if missing:
                self.document.add(node, f"this combination has no `{missing[0]}`, which the model needs", "add it")
            entries.append(self._inputs(node, "`include`"))
        return entries

    def _mappings(self, section: str) -> Iterator[Node]:
        node = self.document.section(section)
        for item in node.items if node and node.kind == "list" else [node] if node else []:
            if item.kind != "mapping" or not item.pairs:
                what = f"`{section}` is a list of combinations, not {kind_of(item)}"
                self.document.add(item, what, "write - {aspect_ratio: 16:9, seed: 3}")
            else:
                yield item

    def _inputs(self, node: Node, what: str) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, (key, value) in self.document.mapping(node, what).items():
            if what == "`defaults`" and self.model_inputs.is_key(name, "repeat"):
                continue
            if self.is_input(name, key, what) and self.value_into(inputs, name, value):
                self.check(name, value, inputs[name])
        return inputs

    def is_input(self, name: str, key: Node, what: str) -> bool:
        if name in {"prompt", self.model_inputs.prompt}:
            self.document.add(key, f"{quoted(name)} in {what}", "list prompts under `prompts:`")
            return False
        if not self.model_inputs.knows(name):
            column = [column for column in self.model_inputs.columns if column != "prompt"]
            self.document.add(key, f"the model has no input {quoted(name)}", suggested_input(name, column))
            return False
        return True

    def value_into(self, values: dict[str, Any], name: str, node: Node) -> bool:
        """Puts the value of a node under its name, as the schema asks for it; False with a problem without one."""
        if node.kind == "null" and not (node.text.strip() and self.model_inputs.of(name).takes_null):
            self.document.add(node, f"`{name}` has no value", "give one, or remove the key")
            return False
        values[name] = self.model_inputs.of(name).normal(node.value())
        return True

    def check(self, name: str, node: Node, value: Any) -> None:
        if reason := self.model_inputs.wrong(name, value):
            self.document.add(node, f"`{name}` {reason}", self.mend(name, node))

    def mend(self, name: str, node: Node) -> str:
        unquoted = not node.quoted and node.kind not in {"text", "list", "mapping"}
        if unquoted and self.model_inputs.of(name).is_free_text:
            return f'put it in quotes: "{printable(node.text)}"'
        ratio = re.fullmatch(r"0?([0-9]{1,2}):0?([0-9]{1,2})", node.text)
        if ratio and not self.model_inputs.wrong(name, f"{ratio[1]}:{ratio[2]}"):
            return f"write {ratio[1]}:{ratio[2]}, without zeros before the digits"
        return self.model_inputs.mend(name)

    def _axis(self, name: str, node: Node, *, listed: bool = False) -> Axis | None:
        """The axis of a node; None with a problem. listed: text is one value, and a long range is refused."""
        try:
            axis = axis_of(name, [node.value()] if listed and node.kind == "text" else node.value(), self.model_inputs)
            bounded(axis.values if listed else ())
        except BadAxis as error:
            self.document.add(node, f"`{name}`: {error.what}", error.mend)
            return None
        wrong = list(wrong_values(name, axis, self.model_inputs))
        for value, reason in wrong:
            place = self._item(name, node, value)
            self.document.add(place, f"`{name}` {reason}", self._listed(name, place) or self.mend(name, place))
        return None if wrong else axis

    def _listed(self, name: str, node: Node) -> str | None:
        """How to write a text that is a list of values with commas; None for any other text."""
        parts = [part.strip() for part in node.text.split(",")] if node.kind == "text" else []
        if len(parts) < 2 or any(self.model_inputs.wrong(name, part) for part in parts):
            return None
        return f"write [{printable(', '.join(parts))}] for {len(parts)} values"

    def _item(self, name: str, node: Node, value: Any) -> Node:
        """The element of a list that a value comes from; the node itself without one."""
        wanted, normal = identity(value), self.model_inputs.of(name).normal
        return next((item for item in node.items if identity(normal(item.value())) == wanted), node)

    def _warn_of_strangers(self, name: str, excluded: Axis, axis: Axis, node: Node) -> None:
        if not any(value in axis for value in excluded):
            self.document.warn(node, f"this `exclude` matches no value of the axis `{name}`")
