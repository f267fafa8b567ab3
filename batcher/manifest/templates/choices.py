"""What a dynamic prompt can become: a tree of texts and choices, its variants numbered as in a matrix.

Nothing is ever walked to be counted. A sequence has as many variants as the product of its choices, the first one
outermost; a choice has the sum over its options (or over the sets of options that it picks, in the order in which
they are written). So the n-th variant is a number taken apart, and a template with 10^30 variants costs what its text
costs. Two bounds make that safe for templates that strangers wrote: counts stop at MANY, and every node has a size
that is above both the characters and the steps of its longest variant, so that lists that name lists that name lists
are refused by arithmetic (``templates.py``), before anything is made.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, count
from math import prod

MANY = 10**12  # counts stop here; numbers below it are still taken apart rightly
MOST_WAYS = 1_000_000  # options times picks of one choice


class Dice:
    """Fractions from 0 up to 1: hashes of what they are for and of their number, the same everywhere and for ever."""

    def __init__(self, about: bytes) -> None:
        self._about = about
        self._rolls = 0

    def roll(self) -> float:
        digest = blake2b(b"%d:" % self._rolls + self._about, digest_size=8).digest()
        self._rolls += 1
        return (int.from_bytes(digest, "big") >> 11) / 2**53


class Text:
    """Texts and choices after each other. count: of variants, at most MANY. mark: the same for equal ones."""

    __slots__ = ("count", "depth", "mark", "parts", "size")

    def __init__(self, parts: Sequence["str | Choice"]) -> None:
        choices = [part for part in parts if isinstance(part, Choice)]
        self.parts = tuple(parts)
        self.count: int = min(MANY, prod(choice.count for choice in choices))
        self.size: int = 1 + sum(len(part) if isinstance(part, str) else part.size for part in parts)
        self.depth: int = max((choice.depth for choice in choices), default=0)
        self.mark = _mark(b"text", *(_bytes(part) if isinstance(part, str) else part.mark for part in parts))

    def variant(self, number: int) -> list[str]:
        """Number ``number``, from 0: what each of the parts is in it."""
        parts = []
        for part in reversed(self.parts):
            if isinstance(part, str):
                parts.append(part)
            else:
                number, own = divmod(number, part.count)
                parts.append(part.variant(own))
        return parts[::-1]

    def drawn(self, dice: Dice) -> list[str]:
        return [part if isinstance(part, str) else part.drawn(dice) for part in self.parts]


class Choice:
    """``least`` to ``most`` of the options, which are different. weights: one for each, above 0; for draws alone."""

    __slots__ = ("_from", "_ways", "count", "depth", "least", "mark", "most", "options", "separator", "size", "weights")

    def __init__(
        self, options: Sequence[Text], weights: Sequence[float], least: int = 1, most: int = 1, separator: str = ""
    ) -> None:
        self.options, self.least, self.most, self.separator = tuple(options), least, most, separator
        self.weights = tuple(weights)
        self._ways: list[list[int]] | None = None
        self._from = [0, *accumulate(option.count for option in options)]  # number of the first variant of each option
        self.count: int = min(MANY, self._from[-1] if least == most == 1 else self._count())
        self.size: int = 1 + most * (len(separator) + max(option.size for option in options))
        self.depth: int = 1 + max(option.depth for option in options)
        about = f"{least} {most} {self.weights} {separator}"
        self.mark: bytes = _mark(b"choice", _bytes(about), *(option.mark for option in options))

    def _count(self) -> int:
        ways = [1] + [0] * self.most  # to pick so many of the options so far
        for option in self.options:
            for many in range(self.most, 0, -1):
                ways[many] = min(MANY, ways[many] + ways[many - 1] * option.count)
        return sum(ways[self.least :])

    def variant(self, number: int) -> str:
        if self.least == self.most == 1:
            at = bisect_right(self._from, number) - 1
            return "".join(self.options[at].variant(number - self._from[at]))
        ways = self._table()
        for many in range(self.least, self.most + 1):
            if number < ways[0][many]:
                return self.separator.join(self._picked(number, many, ways))
            number -= ways[0][many]
        raise IndexError(number)

    def _picked(self, number: int, many: int, ways: list[list[int]]) -> Iterator[str]:
        at = 0
        while many:
            option, rest = self.options[at], ways[at + 1][many - 1]
            if number < option.count * rest:
                own, number = divmod(number, rest)
                yield "".join(option.variant(own))
                many -= 1
            else:
                number -= option.count * rest
            at += 1

    def _table(self) -> list[list[int]]:
        """``[at][many]``: ways to pick so many of the options from ``at`` on."""
        if self._ways is None:
            table = [[1] + [0] * self.most]
            for option in reversed(self.options):
                after = table[-1]
                table.append([1, *(after[many] + after[many - 1] * option.count for many in range(1, self.most + 1))])
            self._ways = table[::-1]
        return self._ways

    def drawn(self, dice: Dice) -> str:
        many = self.least + int(dice.roll() * (self.most - self.least + 1))
        left = dict(enumerate(self.weights))
        chosen = []
        for _ in range(many):
            places, sums = list(left), list(accumulate(left.values()))
            at = places[min(bisect_right(sums, dice.roll() * sums[-1]), len(places) - 1)]
            chosen.append(at)
            del left[at]
        return self.separator.join("".join(self.options[at].drawn(dice)) for at in sorted(chosen))


def some(text: Text, many: int, about: bytes) -> Iterator[list[str]]:
    """``many`` different variants (fewer if there are fewer), drawn by their weights: with the same ``about`` the same
    ones, and a larger number begins with the smaller one. All of them, in order, when there are no more.
    """
    seen: set[bytes] = set()
    turns = 100 * many + 1_000  # then weights are so uneven, or variants so alike, that drawing would take too long
    dice = Dice(about)
    in_order = map(text.variant, range(min(text.count, turns)))
    drawn = (text.drawn(dice) for _ in range(turns)) if text.count > many else iter(())
    for source in (drawn, in_order):
        for parts in source:
            if len(seen) == many:
                return
            if (mark := _mark(_bytes("".join(parts)))) not in seen:
                seen.add(mark)
                yield parts


def every(text: Text) -> Iterator[list[str]]:
    """All variants in order, each text once."""
    seen: set[bytes] = set()
    for number in count():
        if number == text.count:
            return
        parts = text.variant(number)
        if (mark := _mark(_bytes("".join(parts)))) not in seen:
            seen.add(mark)
            yield parts


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _mark(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
