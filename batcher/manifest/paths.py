"""Where each image goes: the manifest's own ``output.path``, or ``0012/a-heron-over-a-lake-1f2e3d4c_16x9_s7``.

The default has one folder for each thousand jobs, so that no folder grows too large to list. The folders of a named
group lie in a folder of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

from batcher.core import naming
from batcher.core.naming import PART_BYTES, Template, safe_part, short
from batcher.manifest.readers.rows import Row

RESERVED = ("prompt_id", "index", "shard", "copy", "model", "key")
MOST_ENTRIES = 10_000  # of one folder: beyond it, listing and copying it gets slow everywhere
_PER_FOLDER = 1000


@dataclass(slots=True)
class Facts:
    """What the jobs of one prompt have in common.

    row: where it stands. prompt_id: its name. swept: names of the inputs that may tell its jobs apart. texts: what was
    filled in for its vars and templates, by name. meta: of the prompt, not sent. chosen: these, and the number of a
    copy; None where nothing was.
    """

    row: Row
    prompt_id: str
    swept: tuple[str, ...]
    texts: Mapping[str, str]
    meta: Mapping[str, Any]
    chosen: Mapping[str, Any] | None = None
    _name: str | None = field(default=None, init=False)

    def name(self) -> str:
        """The id as a file name."""
        if self._name is None:
            self._name = safe_part(self.row.id) if self.row.id else self.prompt_id  # ``prompt_name`` makes safe ones
        return self._name


class DefaultPaths:
    """Paths by the prompt's id and the swept values. group: name of the folder that all of them lie in."""

    def __init__(self, group: str | None = None) -> None:
        self._folder = f"{group}/" if group else ""

    def path(self, facts: Facts, inputs: Mapping[str, Any], index: int, copy: int, key: str) -> str:  # noqa: ARG002  as below
        name = facts.name()
        if facts.swept or facts.texts or copy > 1:
            for swept in facts.swept:
                if swept in inputs:
                    value = inputs[swept]
                    name += _kept_tag(swept, value) if type(value) in {str, int} else _tag(swept, value)
            for text in facts.texts.values():
                name += _kept_tag("", text)
            name = safe_part(f"{name}_c{copy}" if copy > 1 else name, limit=PART_BYTES)
        return f"{self._folder}{index // _PER_FOLDER:04d}/{name}"


def _tag(name: str, value: Any) -> str:
    """``_16x9``, ``_s7``: a value of an input in a file name."""
    return f"_{'s' if name == 'seed' else ''}{safe_part(short(value))}"


_kept_tag = lru_cache(maxsize=10_000)(_tag)  # a sweep has few values and many jobs


class TemplatePaths:
    """Paths by a template.

    template: of ``output.path`` or ``--path``. model: its id. prompt: what the model calls the input of prompts.
    group: name of the group, None where there is none.
    """

    def __init__(self, template: Template, model: str, prompt: str, group: str | None = None) -> None:
        self._template, self._prompt = template, prompt
        self._same = {"model": model, **({"group": group} if group else {})}

    def path(self, facts: Facts, inputs: Mapping[str, Any], index: int, copy: int, key: str) -> str:
        """Relative, without an extension. inputs: as shown in names. index: of the job, from 0. copy: from 1.

        Raises TemplateError where a value does not fit its format.
        """
        return self._template.render(
            {
                "prompt": inputs.get(self._prompt),
                **facts.texts,
                **inputs,
                "prompt_id": facts.prompt_id,
                "index": index,
                "shard": f"{index // _PER_FOLDER:04d}",
                "copy": copy,
                "key": key,
                "meta": facts.meta,
                **self._same,
            }
        )


Paths = DefaultPaths | TemplatePaths


def fullest_folder(template: Template, jobs: int, prompts: int, axes: Mapping[str, int]) -> int:
    """How many entries the fullest folder is likely to get; 0 where that depends on names that were not counted.

    axes: the number of values of each axis.
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
    """How many different names these fields make; None where one of them was not counted."""
    many = {**axes, "shard": -(-jobs // _PER_FOLDER), "index": jobs, "key": jobs, "model": 1, "copy": 1, "group": 1}
    many |= {"prompt_id": prompts, "prompt": 1 if "prompt_id" in fields else prompts}
    if not fields <= many.keys():
        return None
    return min(jobs, prod(many[name] for name in fields))


def prompt_name(inputs: Mapping[str, Any]) -> str:
    """The id of a prompt that has none: its first words, or those of the first text where the model takes no prompt."""
    prompt = inputs.get("prompt")
    if not isinstance(prompt, str):  # without a schema, it may be anything
        prompt = next((value for value in inputs.values() if isinstance(value, str)), "")
    return naming.prompt_id(prompt)
