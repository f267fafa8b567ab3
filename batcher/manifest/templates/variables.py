"""``{name}`` in prompts: replaced only where ``vars`` names it, so that braces in benchmark prompts stay braces.

A var with several texts is an axis of its own within the prompt. Only vars that a prompt's texts mention count: a var
that a file entry carries does not multiply the rows that have no use for it. Variants of a template (``dynamic.py``)
come first, and each of them has the vars that it mentions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from batcher.manifest.readers.rows import Row
from batcher.manifest.templates.dynamic import VARIANT


@dataclass(slots=True)  # not frozen: made by the million, and four times as fast so
class Rendering:
    """One prompt that a row makes.

    inputs: as they are sent, before the sweep. texts: what was filled in for its vars and its template, by name.
    number: of the copy, from 1; None where the row does not repeat.
    """

    inputs: dict[str, Any]
    texts: Mapping[str, str]
    number: int | None = None

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """The texts and the number of the copy, by name; None where there was no choice."""
        if self.number is None:
            return self.texts or None
        return {"repeat": self.number, **self.texts}


_NO_TEXTS: Mapping[str, str] = {}


@lru_cache(maxsize=256)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile("{(" + "|".join(re.escape(name) for name in sorted(names)) + ")}")


def used(row: Row) -> tuple[str, ...]:
    """The row's vars that its texts mention, in the order in which ``vars`` lists them."""
    if not row.vars:
        return ()
    pattern = _pattern(frozenset(row.vars))
    names = {name for text in row.inputs.values() if isinstance(text, str) for name in pattern.findall(text)}
    return tuple(name for name in row.vars if name in names)


def braces(row: Row) -> list[str]:
    """Every ``{word}`` in the row's texts, for suggestions."""
    return [
        name for text in row.inputs.values() if isinstance(text, str) for name in re.findall(r"{([^{}]{1,60})}", text)
    ]


def least(row: Row) -> int:
    """The prompts that a row makes of each of its variants, by arithmetic."""
    return 1 if row.is_plain else prod(len(row.vars[name]) for name in used(row)) * copies(row)


def bound(row: Row) -> int:
    """The most prompts that a row can make, by arithmetic: some variants may be equal."""
    return least(row) * (1 if row.variants is None else row.variants.bound)


def copies(row: Row) -> int:
    """The number of copies of each of its texts; a seed of the row's own leaves one."""
    return 1 if row.repeat is None or "seed" in row.inputs else row.repeat.times


def renderings(row: Row) -> Iterator[Rendering]:
    """The row with its variants and vars filled in. A row that repeats: each of them with one seed after the other."""
    return iter((Rendering(row.inputs, _NO_TEXTS),)) if row.is_plain else _renderings(row)


def _renderings(row: Row) -> Iterator[Rendering]:
    for inputs, texts in _filled_in(row):
        if row.repeat is None or "seed" in row.inputs:
            yield Rendering(inputs, texts)
        else:
            for number, seed in enumerate(row.repeat.seeds(inputs), 1):
                yield Rendering({**inputs, "seed": seed}, texts, number)


def _filled_in(row: Row) -> Iterator[tuple[dict[str, Any], Mapping[str, str]]]:
    if row.variants is not None:
        for prompt, chosen in row.variants:
            variant = replace(row, inputs={**row.inputs, "prompt": prompt}, variants=None)
            yield from ((inputs, {VARIANT: chosen, **texts}) for inputs, texts in _filled_in(variant))
        return
    names = used(row)
    if not names:
        yield row.inputs, {}
        return
    pattern = _pattern(frozenset(names))
    for texts in product(*(row.vars[name] for name in names)):
        values = dict(zip(names, texts, strict=True))
        yield {key: _filled(pattern, text, values) for key, text in row.inputs.items()}, values


def _filled(pattern: re.Pattern[str], text: Any, values: Mapping[str, str]) -> Any:
    return pattern.sub(lambda match: values[match[1]], text) if isinstance(text, str) else text
