"""YAML for manifests: every value has its line and column, and no text becomes another type by surprise.

PyYAML's own loader reads ``16:9`` as 969, keeps the last of two equal keys, and expands aliases without limit. So this
module makes nodes of the events of its parser, with limits. Text without quotes becomes a number, a boolean, null or a
date only where JSON and YAML readers agree, and keeps the text that was written.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from batcher.core.errors import ManifestError
from batcher.core.suggest import printable, quoted
from batcher.manifest.problems import Problems, position
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.words import shown

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 60  # levels of lists and mappings
_MOST_EXPANDED = 200_000  # values that aliases may add to those written

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,400})\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,3})?\Z")
_NO_COMMENT = re.compile(r"[ \t]*(?<=[ \t])#(?![#!\s-])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True)
class Node:
    """One value of a YAML file. kind: text, integer, number, boolean, null, date, list or mapping.

    line, column: from 1. text: a scalar as it was written. quoted: whether a text was in quotes. items: of a list.
    pairs: of a mapping, by name. size: number of values in it, aliases expanded. lines: number of lines of a text
    without quotes.
    """

    kind: str
    line: int
    column: int
    text: str = ""
    quoted: bool = False
    items: "list[Node]" = field(default_factory=list)
    pairs: "dict[str, tuple[Node, Node]]" = field(default_factory=dict)
    size: int = 1
    lines: int = 1

    @property
    def place(self) -> tuple[int, int]:
        return self.line, self.column

    def get(self, key: str) -> "Node | None":
        pair = self.pairs.get(key)
        return pair[1] if pair else None

    def value(self) -> Any:
        """As JSON data; a date stays the text it was written as."""
        if self.kind == "list":
            return [item.value() for item in self.items]
        if self.kind == "mapping":
            return {key: node.value() for key, (_, node) in self.pairs.items()}
        return _SCALARS[self.kind](self.text)


_SCALARS: dict[str, Any] = {
    "text": str,
    "date": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: _BOOLEANS[text.lower()],
    "null": lambda _text: None,
}


def read_tree(text: str, source: Source, problems: Problems) -> Node | None:
    """The root of a YAML text, None for an empty one.

    source: the file of the text. What is wrong but readable (duplicate keys) goes to ``problems``. Raises
    ManifestError where reading can't go on.
    """
    try:
        try:
            return _Builder(source, problems, text).build(yaml.parse(text, Loader=_LOADER))
        except yaml.MarkedYAMLError as error:
            if "nesting depth" not in str(error.problem):
                raise
            # The C parser gives up far ahead of its events. With the Python parser the message has a place.
            return _Builder(source, problems, text).build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, source) from None
    except yaml.reader.ReaderError as error:
        what = f"a character that YAML does not allow ({shown(text[error.position : error.position + 1])})"
        mend = 'write it escaped, in double quotes: "\\x07"'
        raise source.failure(what, mend, *position(text, error.position)) from None


def _syntax(error: yaml.MarkedYAMLError, text: str, source: Source) -> ManifestError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = re.split(r"\r\n|\r|\n", text.rstrip())
    if line > len(lines):  # the text ended in an open list, mapping or quote
        line, column = len(lines), len(lines[-1]) + 1
    here = lines[line - 1]
    what = "not valid YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
    if "\t" in here[: max(column, len(here) - len(here.lstrip()))]:
        return source.failure(what, "YAML is indented with spaces: replace the tab", line, here.index("\t") + 1)
    mend = "check the indentation, and put texts with special characters in quotes"
    if "mapping values" in what:
        mend = "put a text with a colon in it in quotes"
    return source.failure(what, mend, line, column)


class _Builder:
    """Makes nodes of the events of one text.

    source: its file. problems: gets what is wrong but readable. text: the whole YAML text.
    """

    def __init__(self, source: Source, problems: Problems, text: str) -> None:
        self._source = source
        self._lines = re.split(r"\r\n|\r|\n", text) if " #" in text else []
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}  # None: its node is not complete
        self._written = 0  # nodes

    def build(self, events: Iterator[Any]) -> Node | None:
        """The root of the one document; None without one. Raises ManifestError."""
        root, is_second = None, False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if is_second:
                    raise self._source.failure("a second YAML document", "remove the `---` line", *_at(event))
                is_second = True
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 0)
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        """The node that begins with an event. depth: number of collections around it."""
        if isinstance(event, yaml.AliasEvent):
            node = self._aliased(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, "tag:yaml.org,2002:str")
            self._warn_of_comment(event)
            node = _scalar(event)
        else:
            node = self._collection(event, events, depth)
        if event.anchor and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = node
        self._written += 1
        return node

    def _collection(self, start: Any, events: Iterator[Any], depth: int) -> Node:
        kind = "list" if isinstance(start, yaml.SequenceStartEvent) else "mapping"
        self._refuse_tag(start, f"tag:yaml.org,2002:{'seq' if kind == 'list' else 'map'}")
        if depth >= _DEEPEST:
            raise self._source.failure(f"nested more than {_DEEPEST} deep", "a manifest needs five levels", *_at(start))
        if start.anchor:
            self._anchors[start.anchor] = None
        node, key = Node(kind, *_at(start)), None
        for event in events:
            if isinstance(event, yaml.CollectionEndEvent):
                break
            part = self._node(event, events, depth + 1)
            node.size += part.size
            if node.size > self._written + _MOST_EXPANDED:
                what = f"its aliases stand for more than {_MOST_EXPANDED:,} values"
                raise self._source.failure(what, "write the values out, or put them in a file", *node.place)
            if kind == "list":
                node.items.append(part)
            elif key is None:
                key = part
            else:
                self._pair(node, key, part)
                key = None
        return node

    def _warn_of_comment(self, event: Any) -> None:
        """Warn of text that ends at a ``#`` which may belong to it: ``a poster with #ff0000 in it``."""
        end = event.end_mark
        if not event.implicit[0] or end.line >= len(self._lines):
            return
        if _NO_COMMENT.match(self._lines[end.line], end.column):
            what = f"{self._source.label}:{end.line + 1}:{end.column + 1}: the text ends here, at a # after a space"
            self._problems.warn(f"{what}, which begins a comment: put it in quotes if the # belongs to it")

    def _refuse_tag(self, event: Any, allowed: str) -> None:
        if event.tag not in {None, "!", allowed}:
            self._add(_at(event), f"the tag {shown(event.tag)}", "write the value without a tag")

    def _aliased(self, event: Any) -> Node:
        name = printable(event.anchor)
        if event.anchor not in self._anchors:
            raise self._source.failure(f"the alias *{name} has no anchor", f"define &{name} above it", *_at(event))
        node = self._anchors[event.anchor]
        if node is None:
            raise self._source.failure("an alias inside of what it stands for", "write the value out", *_at(event))
        return node

    def _pair(self, parent: Node, key: Node, node: Node) -> None:
        place = key.place
        if key.kind in {"list", "mapping"}:
            self._add(place, f"a {key.kind} as a key", "use a name as the key")
        elif key.text == "<<" and not key.quoted:
            self._merge(parent, key, node)
        elif key.text in parent.pairs and parent.pairs[key.text][0].text != "<<":
            first = parent.pairs[key.text][0].line
            self._add(place, f"the key {quoted(key.text)} appears twice (first in line {first})", "keep one of them")
        else:
            parent.pairs[key.text] = (key, node)

    def _merge(self, parent: Node, key: Node, node: Node) -> None:
        """``<<: *base``: the keys of the base that the mapping does not have itself, above or below this line."""
        for base in node.items if node.kind == "list" else [node]:
            if base.kind != "mapping":
                self._add(key.place, "`<<` without a mapping", "give it an alias to a mapping")
                return
            for name, (_, value) in base.pairs.items():
                parent.pairs.setdefault(name, (key, value))

    def _add(self, place: tuple[int, int], what: str, mend: str) -> None:
        self._problems.add(self._source.label, *place, what, mend)


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: Any) -> Node:
    text, plain = event.value, event.implicit[0]
    lines = event.end_mark.line - event.start_mark.line + 1 if plain else 1
    return Node(_kind(text) if plain else "text", *_at(event), text, quoted=not plain, lines=lines)


def _kind(text: str) -> str:
    """The kind of a text without quotes. What some YAML readers take for another type is that type here, too."""
    if text in _NULLS:
        return "null"
    if text.lower() in _BOOLEANS:
        return "boolean"
    first = text[0]
    if first in "-+.0123456789":
        if _INTEGER.match(text):
            return "integer"
        if _FLOAT.match(text) and math.isfinite(float(text)):
            return "number"
        if _DATE.match(text):
            return "date"
    return "text"
