"""What a dynamic prompt can become: a tree of texts and choices.

Variants are counted by arithmetic. A sequence has as many as the product of its choices, the first one outermost; a
choice has the sum over its options (or over the sets of options that it picks, in the order in which they are
written). Variants are made one by one. Two bounds make that safe for templates from outside: counts stop at MANY, and
every node has a size above both the characters and the steps of its longest variant. So lists that name lists that name
lists are refused (``templates.py``) before a variant is made.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import accumulate, chain, count, islice
from math import prod
from typing import TypeVar

MANY = 10**12  # counts stop here
MOST_WAYS = 1_000_000  # options times picks of one choice


def _rolls(about: bytes) -> Iterator[float]:
    """Fractions from 0 up to 1, without 1: hashes of their purpose and their number, the same on every machine."""
    for number in count():
        digest = blake2b(b"%d:" % number + about, digest_size=8).digest()
        yield (int.from_bytes(digest, "big") >> 11) / 2**53


_Step = TypeVar("_Step")


def _paths(length: int, following: Callable[[int, _Step | None], Iterator[_Step]]) -> Iterator[list[_Step]]:
    """Every list of so many steps, in order. following: the steps that may come at a place, by the step before it.

    Without recursion: templates from outside may have thousands of parts.
    """
    path: list[_Step] = []
    left = [following(0, None)] if length else []
    if not length:
        yield path
    while left:
        try:
            path[len(left) - 1 :] = [next(left[-1])]
        except StopIteration:
            left.pop()
            continue
        if len(left) == length:
            yield [*path]
        else:
            left.append(following(len(left), path[-1]))


class Text:
    """Texts and choices after each other. parts: of both kinds, in order.

    ``count``: of variants, at most MANY. ``size``: of the tree, in characters and nodes. ``depth``: of choices in
    choices. ``digest``: the same for equal ones.
    """

    __slots__ = ("count", "depth", "digest", "parts", "size")

    def __init__(self, parts: Sequence["str | Choice"]) -> None:
        choices = [part for part in parts if isinstance(part, Choice)]
        self.parts = tuple(parts)
        self.count: int = min(MANY, prod(choice.count for choice in choices))
        self.size: int = 1 + sum(len(part) if isinstance(part, str) else part.size for part in parts)
        self.depth: int = max((choice.depth for choice in choices), default=0)
        self.digest = _digest(b"text", *(_bytes(part) if isinstance(part, str) else part.digest for part in parts))

    def variants(self) -> Iterator[list[str]]:
        """In order: what each of the parts is in it."""
        return _paths(len(self.parts), self._of_part)

    def _of_part(self, at: int, _last: str | None) -> Iterator[str]:
        part = self.parts[at]
        return iter((part,)) if isinstance(part, str) else part.variants()

    def drawn(self, rolls: Iterator[float]) -> list[str]:
        """One variant by chance: what each of the parts is in it."""
        return [part if isinstance(part, str) else part.drawn(rolls) for part in self.parts]


class Choice:
    """``least`` to ``most`` of the options, in their order.

    options: all different. weights: one for each option, above 0; only draws use them. separator: between options.
    """

    __slots__ = ("count", "depth", "digest", "least", "most", "options", "separator", "size", "weights")

    def __init__(
        self, options: Sequence[Text], weights: Sequence[float], least: int = 1, most: int = 1, separator: str = ""
    ) -> None:
        self.options, self.weights = tuple(options), tuple(weights)
        self.least, self.most, self.separator = least, most, separator
        self.count: int = self._count()
        self.size: int = 1 + most * (len(separator) + max(option.size for option in options))
        self.depth: int = 1 + max(option.depth for option in options)
        about = f"{least} {most} {self.weights} {separator}"
        self.digest: bytes = _digest(b"choice", _bytes(about), *(option.digest for option in options))

    def _count(self) -> int:
        ways = [1] + [0] * self.most  # to pick so many of the options so far
        for option in self.options:
            for many in range(self.most, 0, -1):
                ways[many] = min(MANY, ways[many] + ways[many - 1] * option.count)
        return min(MANY, sum(ways[self.least :]))

    def variants(self) -> Iterator[str]:
        for many in range(self.least, self.most + 1):
            for path in _paths(many, partial(self._after, many)):
                yield self.separator.join(text for _, text in path)

    def _after(self, many: int, at: int, last: tuple[int, str] | None) -> Iterator[tuple[int, str]]:
        """The options that may be picked next, as so many must follow, each with its number and text."""
        for number in range(last[0] + 1 if last else 0, len(self.options) - many + at + 1):
            for parts in self.options[number].variants():
                yield number, "".join(parts)

    def drawn(self, rolls: Iterator[float]) -> str:
        """The text of one variant, by chance and by the weights."""
        many = self.least + int(next(rolls) * (self.most - self.least + 1))
        left = dict(enumerate(self.weights))
        chosen = []
        for _ in range(many):
            places, sums = list(left), list(accumulate(left.values()))
            at = places[min(bisect_right(sums, next(rolls) * sums[-1]), len(places) - 1)]
            chosen.append(at)
            del left[at]
        return self.separator.join("".join(self.options[at].drawn(rolls)) for at in sorted(chosen))


def some(text: Text, many: int, about: bytes) -> Iterator[list[str]]:
    """``many`` different variants (fewer if there are fewer), drawn by their weights: with the same ``about`` the same
    ones, and a larger number begins with the smaller one. All of them, in order, when there are no more.
    """
    turns = 100 * many + 1_000  # then weights are so uneven, or variants so alike, that drawing would take too long
    rolls = _rolls(about)
    drawn = (text.drawn(rolls) for _ in range(turns)) if text.count > many else iter(())
    return islice(different_texts(chain(drawn, islice(text.variants(), turns))), many)


def different_texts(variants: Iterable[list[str]]) -> Iterator[list[str]]:
    """Each text once."""
    seen: set[bytes] = set()
    for parts in variants:
        if (digest := _digest(_bytes("".join(parts)))) not in seen:
            seen.add(digest)
            yield parts


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
