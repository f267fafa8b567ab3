"""``dynamic:``: prompts that are templates, each variant of one a prompt of its own.

Off unless asked for: the prompt files of benchmarks are full of braces and dollars. A template that makes more than
``most`` variants is an error that says how many, as each of them is paid for; ``sample`` draws some of them instead,
with the same ``from`` the same ones. Only ``prompt`` is read so: a negative prompt that multiplied the set as well
would do it behind the user's back.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.job import canonical_json
from batcher.manifest.inputs import LONGEST_PROMPT, ModelInputs
from batcher.manifest.problems import Problems
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.texts import TextFolder, TextLines
from batcher.manifest.templates.choices import MANY, Text, every, some
from batcher.manifest.templates.templates import BadTemplate, Template, is_dynamic
from batcher.manifest.templates.wildcards import Wildcards
from batcher.manifest.yaml.document import Document, kind_of
from batcher.manifest.yaml.named import ELSEWHERE, word_path
from batcher.manifest.yaml.node import Node

VARIANT = "variant"  # what ``output.path`` calls the texts that were chosen
MOST = 1_000_000
_KEYS = ("wildcards", "most", "sample", "from")
_FOLDER = "wildcards"
_LONGEST_VARIANT = 4_096  # characters of what a variant goes by: more than a path takes


class Variants:
    """What one prompt becomes: its different texts, each with the choices made in it. bound: no more than so many."""

    def __init__(self, text: Text, setting: "Dynamic", about: str) -> None:
        self._text, self._setting, self._about = text, setting, about
        self.bound = text.count if setting.sample is None else min(setting.sample, text.count)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        sample = self._setting.sample
        if sample is None:
            made = every(self._text)
        else:
            about = canonical_json(["dynamic", self._setting.start, self._about])
            made = some(self._text, sample, about.encode(errors="replace"))
        chosen = [at for at, part in enumerate(self._text.parts) if not isinstance(part, str)]
        for parts in made:
            yield "".join(parts), "_".join(" ".join(parts[at].split()) for at in chosen)[:_LONGEST_VARIANT]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """How the prompts of a manifest, of a file or one prompt are read. start: ``from``, of the draw."""

    wildcards: Wildcards
    most: int = 1_000
    sample: int | None = None
    start: int = 0

    def expand(self, row: Row, model_inputs: ModelInputs, problems: Problems) -> bool:
        """Gives the row its variants; False when it is nothing but comments, or, with problems, can't be read."""
        prompt = row.inputs.get("prompt")
        if not isinstance(prompt, str) or not is_dynamic(prompt):
            return True
        template = Template(prompt, self.wildcards.choice, frozenset(row.vars))
        try:
            text = template.read()
            self._bounded(text)
        except BadTemplate as error:
            place, where = _place(row, prompt, error.at)
            problems.add(*place, error.what + where, error.mend)
            return False
        except ManifestError as error:
            problems.take(error)
            return False
        if template.comments:
            model_inputs.warn(
                f"{row.source}: lines of dynamic prompts that begin with # are left out as comments; \\# is text"
            )
            if text.count == 1 and not "".join(text.variant(0)).strip():
                return False
        row.variants = Variants(text, self, prompt)
        return True

    def _bounded(self, text: Text) -> None:
        if text.size > 2 * LONGEST_PROMPT:
            raise BadTemplate(0, "its variants are longer than 1 MB, the most that batcher sends", "choose less")
        if self.sample is None and text.count > self.most:
            many = f"{text.count:,}" if text.count < MANY else f"more than {MANY - 1:,}"
            most = f"`dynamic: {{most: {text.count}}}` makes them all, " if text.count <= MOST else ""
            mend = f"{most}`dynamic: {{sample: 20, from: 7}}` draws 20 of them (in a YAML manifest)"
            raise BadTemplate(0, f"makes {many} prompts of one, and the most is {self.most:,}", mend)


def _place(row: Row, prompt: str, at: int) -> tuple[tuple[str, int, int], str]:
    """Where a character of the prompt stands, and words that say so where that can't be told: cells may be quoted."""
    file, line, column = row.place("prompt")
    if isinstance(row.reader, TextLines | TextFolder):
        before = prompt[:at].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return (file, line + len(before) - 1, len(before[-1]) + 1), ""
    return (file, line, column), f" (character {at + 1:,} of the prompt)" if at else ""


class Expanding:
    """A reader of a file whose prompts are templates."""

    def __init__(self, reader: Any, setting: Dynamic, model_inputs: ModelInputs, problems: Problems) -> None:
        self._reader, self._setting, self._model_inputs, self._problems = reader, setting, model_inputs, problems

    def rows(self) -> Iterator[Row]:
        for row in self._reader.rows():
            if self._setting.expand(row, self._model_inputs, self._problems):
                yield row


class Dynamics:
    """Reads ``dynamic``. base: the folder that names are relative to; None for a manifest from elsewhere."""

    def __init__(self, document: Document, model_inputs: ModelInputs, base: str | None) -> None:
        self._document, self._base = document, base or ""
        self._is_elsewhere = base is None
        self._is_ours = model_inputs.schema is None or "dynamic" not in model_inputs.schema.inputs
        self._folders: dict[str, Wildcards] = {}

    def means_templates(self, name: str) -> bool:
        """``dynamic`` is ours, unless the model has an input called so."""
        return name == "dynamic" and self._is_ours

    def for_all(self, *, flag: bool) -> Dynamic | None:
        """What the manifest says for all of its prompts. flag: the command line's, which turns it on."""
        plain = Dynamic(self._lists(_FOLDER)) if flag else None
        node = self._document.sections.get("dynamic")
        return self.read(node, plain) or plain if node is not None else plain

    def read(self, node: Node, outer: Dynamic | None) -> Dynamic | None:
        """What a prompt or file says about itself; ``outer``: what is said for all, which it may change in part."""
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
        """Of the folders of lists, those that are read and those that may be. Raises ManifestError."""
        return [self._folders[name].digest() for name in sorted(self._folders)]

    def _with_folder(self, dynamic: Dynamic, node: Node) -> Dynamic:
        if node.kind != "text" or not node.text.strip() or "\0" in node.text:
            self._document.add(node, f"`wildcards` is a folder, not {kind_of(node)}", "name the folder with the lists")
        elif self._is_elsewhere:
            self._document.add(node, *ELSEWHERE)
        elif not os.path.isdir(_beside(self._base, node.text)):  # noqa: PTH112
            what = f"there is no folder `{word(node.text)}`"
            self._document.add(node, what, "paths are relative to the manifest")
        else:
            return replace(dynamic, wildcards=self._lists(node.text))
        return dynamic

    def _lists(self, name: str) -> Wildcards:
        folder = _beside(self._base, name)
        return self._folders.setdefault(folder, Wildcards(folder, word_path(folder)))

    def _number(self, node: Node, name: str, least: int, most: int) -> int | None:
        if node.kind == "integer" and least <= node.value() <= most:
            return int(node.value())
        mend = f"write a number from {least:,} to {most:,}"
        self._document.add(node, f"`{name}` is a number, not {kind_of(node)}", mend)
        return None


def _beside(base: str, name: str) -> str:
    return os.path.join(base, os.path.expanduser(name))  # noqa: PTH111, PTH118  a text, which may be odd
