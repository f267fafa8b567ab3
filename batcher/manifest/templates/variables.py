"""``{name}`` in prompts: replaced only where ``vars`` names it, so that braces in benchmark prompts stay braces.

A var with several texts is an axis of its own within the prompt. Only the vars that a prompt's texts mention
count: a var that a file entry carries does not multiply the rows that have no use for it. The variants of a template
(``dynamic.py``) are made before, and each of them has the vars that it mentions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from batcher.manifest.readers.rows import Row, Variants
from batcher.manifest.templates.dynamic import VARIANT


@dataclass(slots=True)  # not frozen: made by the million, and four times as fast so
class Rendering:
    """One prompt that a row makes. texts: what its vars and its template were filled in with. number: which of its
    copies it is, from 1; None where it does not repeat.
    """

    inputs: dict[str, Any]
    texts: Mapping[str, str]
    number: int | None = None

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """What was chosen for it, by name; None where there was no choice."""
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


def bound(row: Row) -> int:
    """How many prompts it makes, or more where variants have vars of their own or are the same; none is made."""
    variants = 1 if row.variants is None else row.variants.bound
    return prod(len(row.vars[name]) for name in used(row)) * copies(row) * variants


def copies(row: Row) -> int:
    """How many of each of its texts are made, with a seed each."""
    return row.repeat.times if row.repeat and repeats(row) else 1


def repeats(row: Row) -> bool:
    """Whether seeds are drawn for it."""
    return row.repeat is not None and "seed" not in row.inputs


def as_it_stands(row: Row) -> Rendering:
    """The one rendering of a plain row."""
    return Rendering(row.inputs, _NO_TEXTS)


def renderings(row: Row) -> Iterator[Rendering]:
    """The row with its variants and vars filled in. A row that repeats: each of them with one seed after the other."""
    for inputs, texts in _filled_in(row):
        if row.repeat and repeats(row):
            for number, seed in enumerate(row.repeat.seeds(inputs), 1):
                yield Rendering({**inputs, "seed": seed}, texts, number)
        else:
            yield Rendering(inputs, texts)


def _variants(row: Row, variants: Variants) -> Iterator[tuple[Row, str]]:
    for prompt, chosen in variants:
        yield replace(row, inputs={**row.inputs, "prompt": prompt}, variants=None), chosen


def _filled_in(row: Row) -> Iterator[tuple[dict[str, Any], Mapping[str, str]]]:
    if row.variants is not None:
        for variant, chosen in _variants(row, row.variants):
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
