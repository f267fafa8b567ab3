"""Where each picture goes: the manifest's own template, or ``0012/a-heron-over-a-lake-1f2e3d4c_16x9_s7``.

The default has one folder for a thousand jobs, so that no folder grows too large to list; those of a named group are in
a folder of its name.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, Protocol

from batcher.core import naming
from batcher.core.naming import PART_BYTES, Template, safe_part, short
from batcher.manifest.readers.rows import Row

RESERVED = ("prompt_id", "index", "shard", "copy", "model", "key")
MOST_ENTRIES = 10_000  # of one folder: beyond it, listing and copying it gets slow everywhere
_PER_FOLDER = 1000


class Paths(Protocol):
    """Makes the path of one job from what is known of it."""

    def path(self, facts: "Facts", inputs: Mapping[str, Any], index: int, copy: int, key: str) -> str: ...


class Facts:
    """What the jobs of one prompt have in common.

    row: where it stands. prompt_id: its name. swept: the names that may tell jobs apart. texts: what vars and templates
    chose; chosen: these and what a repeat chose, None where nothing was. prompt: its text, which the model may know
    under another name.
    """

    __slots__ = ("_name", "chosen", "meta", "model", "prompt", "prompt_id", "row", "swept", "texts")

    def __init__(
        self,
        row: Row,
        prompt_id: str,
        model: str,
        swept: tuple[str, ...],
        texts: Mapping[str, str],
        meta: Mapping[str, Any],
        prompt: str | None = None,
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        self.row = row
        self.prompt = prompt
        self.prompt_id = prompt_id
        self.model = model
        self.swept = swept
        self.texts = texts
        self.meta = meta
        self.chosen = chosen
        self._name: str | None = None

    def name(self) -> str:
        if self._name is None:
            self._name = safe_part(self.prompt_id)
        return self._name


class DefaultPaths:
    def __init__(self, group: str | None = None) -> None:
        self._folder = f"{group}/" if group else ""
        self._short: dict[tuple[str, Any], str] = {}

    def path(self, facts: Facts, inputs: Mapping[str, Any], index: int, copy: int, key: str) -> str:  # noqa: ARG002  the protocol's
        name = facts.name()
        if facts.swept or facts.texts or copy > 1:
            for swept in facts.swept:
                if swept in inputs:
                    name += self._tag(swept, inputs[swept])
            for text in facts.texts.values():
                name += self._tag("", text)
            if copy > 1:
                name += f"_c{copy}"
            name = safe_part(name, limit=PART_BYTES)
        return f"{self._folder}{index // _PER_FOLDER:04d}/{name}"

    def _tag(self, name: str, value: Any) -> str:
        """``_16x9``, ``_s7``; remembered, as a sweep has few values and many jobs."""
        if type(value) not in {str, int}:
            return _tag(name, value)
        tag = self._short.get((name, value))
        if tag is None:
            tag = _tag(name, value)
            if len(self._short) < 10_000:
                self._short[name, value] = tag
        return tag


def _tag(name: str, value: Any) -> str:
    return f"_{'s' if name == 'seed' else ''}{safe_part(short(value))}"


class TemplatePaths:
    def __init__(self, template: Template, group: str | None = None) -> None:
        self._template = template
        self._group = {"group": group} if group else {}

    def path(self, facts: Facts, inputs: Mapping[str, Any], index: int, copy: int, key: str) -> str:
        return self._template.render(
            {
                "prompt": facts.prompt,
                **facts.texts,
                **inputs,
                "prompt_id": facts.prompt_id,
                "index": index,
                "shard": f"{index // _PER_FOLDER:04d}",
                "copy": copy,
                "model": facts.model,
                "key": key,
                "meta": facts.meta,
                **self._group,
            }
        )


def fullest_folder(template: Template, jobs: int, prompts: int, axes: Mapping[str, int]) -> int:
    """How many entries the fullest folder is likely to get; 0 where that depends on what nobody has counted.

    axes: how many values each has.
    """
    most, above = 0, 1
    for level in range(len(template.levels)):
        fields = frozenset[str]().union(*template.levels[: level + 1])
        last = level + 1 == len(template.levels)
        names = 2 * jobs if last else _names(fields, jobs, prompts, axes)  # an image has a sidecar
        if names is None:
            return most
        most, above = max(most, names // above), names
    return most


def _names(fields: frozenset[str], jobs: int, prompts: int, axes: Mapping[str, int]) -> int | None:
    """How many different names these fields make; None when it can't be told."""
    many = {**axes, "shard": -(-jobs // _PER_FOLDER), "index": jobs, "key": jobs, "model": 1, "copy": 1, "group": 1}
    many |= {"prompt_id": prompts, "prompt": 1 if "prompt_id" in fields else prompts}
    if not fields <= many.keys():
        return None
    return min(jobs, prod(many[name] for name in fields))


def prompt_name(inputs: Mapping[str, Any]) -> str:
    """What a prompt without an id goes by: words of it, or of the first text where the model takes no prompt."""
    prompt = inputs.get("prompt")
    if not isinstance(prompt, str):  # without a schema, it may be anything
        prompt = next((value for value in inputs.values() if isinstance(value, str)), "")
    return naming.prompt_id(prompt)
