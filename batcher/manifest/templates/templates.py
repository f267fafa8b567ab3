r"""Dynamic prompts as text: ``a {red|blue} fox in __season__ light``, read into a tree of choices.

The notation is what other tools have in common: ``{a|b}``, nested; ``{3::a|b}`` with weights; ``{2$$a|b|c}`` and
``{1-2$$ and $$a|b|c}`` pick several; ``__name__`` is one line of a list; a line that begins with ``#`` is a comment.
Everything else that means something in one of these tools (variables, wrapping, patterns of names) is an error and not
text, because the images of a misunderstood prompt cost money. ``\`` before one of ``{}|_#$%:`` makes it text; any other
backslash is text itself, as ``\(`` is in prompts with weights.
"""

import re
from collections.abc import Callable

from batcher.core.errors import Mistake
from batcher.manifest.schema.words import shown
from batcher.manifest.templates.choices import MOST_WAYS, Choice, Text

DEEPEST = 30  # choices within choices, those of lists included
_MOST_PICKS = 100
_ESCAPABLE = "{}|_#$%:"
_ORDINARY = re.compile(r"[^{}|_\\$%#]+")
_DYNAMIC = re.compile(r"[{}\\#]|__")
_NAME = re.compile(r"__(?![_\s])((?:(?!__)[^{}|\n])+?)__(?!_)")
_WEIGHT = re.compile(r"[ \t]*([0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})::")
_PICKS = re.compile(r"(?:([0-9]{1,4})|([0-9]{1,4})?-([0-9]{1,4})?)\$\$(?:([^{}|$]{0,40})\$\$)?")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_ODD_PICKS = re.compile(r"[^{}|$]{0,20}\$\$")

Listed = Callable[[str, int, int], Choice]  # name of a list, where it is named, how deep: its lines


class BadTemplate(Mistake):
    """A dynamic prompt, or a line of a list, that can't be read.

    at: which character, from 0; ``column`` counts from 1. what: the error. mend: what to write instead.
    """

    def __init__(self, at: int, what: str, mend: str) -> None:
        super().__init__(at + 1, what, mend)


def is_dynamic(text: str) -> bool:
    """Whether a text may be anything but itself when it is read as a template."""
    return _DYNAMIC.search(text) is not None


class Template:
    """Reads one text, once.

    text: the template. listed: gives the list of a ``__name__``. names: vars, whose ``{name}`` stays as it is.
    depth: how deep in other choices the text is, for a line of a list. ``comments``: whether lines were left out.
    """

    def __init__(self, text: str, listed: Listed, names: frozenset[str] = frozenset(), *, depth: int = 0) -> None:
        self._text, self._listed, self._at = text, listed, 0
        self._var = re.compile("{(?:" + "|".join(map(re.escape, sorted(names))) + ")}") if names else None
        self._depth = depth
        self.comments = False

    def read(self) -> Text:
        """The tree of choices. Raises BadTemplate, and what ``listed`` raises."""
        return self._sequence(self._depth, inside=False)

    def read_line(self) -> tuple[Text, float]:
        """A line of a list, which is an option: the tree of choices and the weight. Raises as ``read`` does."""
        weight = self._weight()
        return self._sequence(self._depth, inside=False), weight

    def _sequence(self, depth: int, *, inside: bool) -> Text:
        parts: list[str | Choice] = []
        literal: list[str] = []
        while self._at < len(self._text) and not (inside and self._text[self._at] in "|}"):
            part = self._part(depth, inside=inside)
            if isinstance(part, str):
                literal.append(part)
                continue
            parts += ["".join(literal)] if literal else []
            literal.clear()
            parts.append(part)
        return Text([*parts, "".join(literal)] if literal or not parts else parts)

    def _part(self, depth: int, *, inside: bool) -> str | Choice:
        text, at = self._text, self._at
        if (plain := _ORDINARY.match(text, at)) is not None:
            return self._taken(plain[0])
        char, following = text[at], text[at + 1 : at + 2]
        if char == "\\" and following and following in _ESCAPABLE:
            self._at += 2
            return following
        if char == "{":
            var = self._var.match(text, at) if self._var else None
            return self._taken(var[0]) if var else self._choice(depth + 1)
        if char == "}":
            raise BadTemplate(at, "a `}` without its `{`", "write \\} for a brace that is text")
        if char in "$%" and following == "{":
            what = f"`{char}{{`: {'variables' if char == '$' else 'wraps'} of other tools are not supported"
            raise BadTemplate(at, what, f"use vars, or write \\{char} for a sign that is text")
        if char == "_" and following == "_":
            return self._list(depth + 1)
        if char == "#" and not inside and (at == 0 or text[at - 1] in "\r\n"):
            return self._comment()
        return self._taken(char)

    def _taken(self, part: str) -> str:
        self._at += len(part)
        return part

    def _comment(self) -> str:
        self.comments = True
        if line := _LINE.match(self._text, self._at):
            self._at = line.end()
        return ""

    def _list(self, depth: int) -> Choice:
        start = self._at
        name = _NAME.match(self._text, start)
        if name is None:
            mend = "write the name of a list between two of them, or \\_\\_ for text"
            raise BadTemplate(start, "`__` begins the name of a list, and it has no end", mend)
        self._at = name.end()
        self._refuse_deep(start, depth)
        choice = self._listed(name[1], start, depth)
        self._refuse_deep(start, depth + choice.depth - 1)
        return choice

    def _choice(self, depth: int) -> Choice:
        start = self._at
        self._refuse_deep(start, depth)
        self._at += 1
        least, most, separator = self._picks(start)
        options: list[tuple[Text, float]] = []
        while True:
            weight = self._weight()
            options.append((self._sequence(depth, inside=True), weight))
            if self._at == len(self._text):
                mend = "close it, or write \\{ for a brace that is text"
                raise BadTemplate(start, "a `{` that is never closed", mend)
            self._at += 1
            if self._text[self._at - 1] == "}":
                return self._chosen(start, options, least, most, separator)

    def _chosen(
        self, start: int, options: list[tuple[Text, float]], least: int, most: int | None, separator: str | None
    ) -> Choice:
        if separator is not None and len(options) == 1 and isinstance(options[0][0].parts[0], Choice):
            alone = options[0][0].parts  # {2$$__colour__} picks among the lines of the list
            if len(alone) == 1 and isinstance(alone[0], Choice) and alone[0].least == alone[0].most == 1:
                options = list(zip(alone[0].options, alone[0].weights, strict=True))
        elif len(options) == 1:
            mend = "write {a|b}, put the name under vars, or write \\{ for a brace that is text"
            raise BadTemplate(start, f"no choice between these braces: {shown(self._text[start : self._at], 40)}", mend)
        texts, weights = different(options)
        most = len(texts) if most is None else most
        if not 0 < most <= min(len(texts), _MOST_PICKS) or least > most or len(texts) * most > MOST_WAYS:
            what = f"{least} to {most:,} of {len(texts):,} different options can't be picked"
            raise BadTemplate(start, what, f"pick 1 to {min(len(texts), _MOST_PICKS)}, the smaller number first")
        return Choice(texts, weights, least, most, separator or "")

    def _picks(self, start: int) -> tuple[int, int | None, str | None]:
        """Least, most (None for all) and separator (None for a plain choice)."""
        match = _PICKS.match(self._text, self._at)
        if match is None:
            if (odd := _ODD_PICKS.match(self._text, self._at)) is not None:
                what = f"{shown(odd[0])} does not say how many to pick"
                mend = "write {2$$a|b|c} or {1-2$$ and $$a|b|c}, or \\$ for a sign that is text"
                raise BadTemplate(start, what, mend)
            return 1, 1, None
        self._at = match.end()
        exactly, least, most, separator = match.groups()
        separator = ", " if separator is None else separator
        if exactly is not None:
            return int(exactly), int(exactly), separator
        return int(least or 1), int(most) if most else None, separator

    def _weight(self) -> float:
        match = _WEIGHT.match(self._text, self._at)
        if match is None:
            return 1.0
        if not float(match[1]):
            raise BadTemplate(self._at, "a weight of 0", "remove the option, or give it a weight above 0")
        self._at = match.end()
        return float(match[1])

    def _refuse_deep(self, start: int, depth: int) -> None:
        if depth > DEEPEST:
            raise BadTemplate(start, f"choices nested more than {DEEPEST} deep", "flatten them")


def different(options: list[tuple[Text, float]]) -> tuple[list[Text], list[float]]:
    """Each option once, with the weights of the same ones added up."""
    texts: dict[bytes, Text] = {}
    weights: dict[bytes, float] = {}
    for text, weight in options:
        texts.setdefault(text.digest, text)
        weights[text.digest] = weights.get(text.digest, 0) + weight
    return list(texts.values()), list(weights.values())
