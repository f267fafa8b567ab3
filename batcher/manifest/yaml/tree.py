"""YAML read for manifests: every value knows its line and column, and nothing is guessed into another type.

PyYAML's own loader reads ``16:9`` as 969, keeps the last of two equal keys, and follows an alias wherever it
leads. So the events of its parser are put together here, without recursion and with a count: text that was not
quoted becomes a number, a boolean, null or a date only in the spellings JSON and common sense agree on, and it
keeps the text it was written as.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from batcher.core.errors import ManifestError
from batcher.manifest.problems import Problems, failure
from batcher.manifest.schema.words import shown
from batcher.manifest.yaml.node import WORDS, Node

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 60
_MOST_EXPANDED = 200_000  # values that aliases may add to those written

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,400})\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,3})?\Z")
_NO_COMMENT = re.compile(r"[ \t]*(?<=[ \t])#(?![#!\s-])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z")
_NULLS = {"", "~", "null", "Null", "NULL"}


def read_tree(text: str, label: str, problems: Problems) -> Node | None:
    """The one document of a YAML text, None when there is nothing in it.

    Raises ManifestError where reading can't go on; what is wrong but readable (duplicate keys) goes to ``problems``.
    """
    try:
        try:
            return _Builder(label, problems, text).build(yaml.parse(text, Loader=_LOADER))
        except yaml.MarkedYAMLError as error:
            if "nesting depth" not in str(error.problem):
                raise
            # PyYAML's C parser looks far ahead and gives up there; its Python parser lets ours say where 60 are passed.
            return _Builder(label, problems, text).build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, label) from None
    except yaml.reader.ReaderError as error:
        line, column = _place(text, error.position)
        what = f"a character that YAML does not allow ({shown(text[error.position : error.position + 1])})"
        raise failure(label, line, column, what, 'write it escaped, in double quotes: "\\x07"') from None


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def _syntax(error: yaml.MarkedYAMLError, text: str, label: str) -> ManifestError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = re.split(r"\r\n|\r|\n", text.rstrip())
    if line > len(lines):  # something was open when the text ended
        line, column = len(lines), len(lines[-1]) + 1
    here = lines[line - 1]
    what = "not valid YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
    if "\t" in here[: max(column, len(here) - len(here.lstrip()))]:
        return failure(label, line, here.index("\t") + 1, what, "YAML is indented with spaces: replace the tab")
    if "mapping values" in what:
        return failure(label, line, column, what, "put a text with a colon in it in quotes")
    return failure(label, line, column, what, "check the indentation, and put texts with special characters in quotes")


class _Builder:
    """Puts events together into nodes. A mapping under way keeps the key that waits for its value."""

    def __init__(self, label: str, problems: Problems, text: str) -> None:
        self._label = label
        self._lines = re.split(r"\r\n|\r|\n", text) if " #" in text else []
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._open: list[tuple[Node, str | None, Node | None]] = []  # container, its anchor, key waiting
        self._root: Node | None = None
        self._written = 0
        self._documents = 0

    def build(self, events: Iterator[Any]) -> Node | None:
        for event in events:
            self._take(event)
        return self._root

    def _take(self, event: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise failure(self._label, line, column, "a second YAML document", "remove the `---` line")
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, line, column, "tag:yaml.org,2002:str")
            self._warn_of_comment(event)
            self._place(_scalar(event, line, column), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._aliased(event.anchor or "", line, column), None)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
            self._refuse_tag(event, line, column, f"tag:yaml.org,2002:{'seq' if kind == 'list' else 'map'}")
            self._start(Node(kind, line, column), event.anchor)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            node, anchor, _ = self._open.pop()
            self._place(node, anchor)

    def _warn_of_comment(self, event: Any) -> None:
        """Text that ends at a ``#`` which was meant: ``a poster with #ff0000 in it``."""
        end = event.end_mark
        if not event.implicit[0] or end.line >= len(self._lines):
            return
        if _NO_COMMENT.match(self._lines[end.line], end.column):
            what = f"{self._label}:{end.line + 1}:{end.column + 1}: the text ends here, at a # after a space"
            self._problems.warn(f"{what}, which begins a comment: put it in quotes if the # belongs to it")

    def _refuse_tag(self, event: Any, line: int, column: int, allowed: str) -> None:
        if event.tag not in {None, "!", allowed}:
            self._problems.add(
                self._label, line, column, f"the tag {shown(event.tag)}", "write the value without a tag"
            )

    def _start(self, node: Node, anchor: str | None) -> None:
        if len(self._open) >= _DEEPEST:
            what = f"nested more than {_DEEPEST} deep"
            raise failure(self._label, node.line, node.column, what, "a manifest needs five levels")
        if anchor:
            self._anchors[anchor] = None  # under way: an alias to it now would be endless
        self._open.append((node, anchor, None))

    def _aliased(self, anchor: str, line: int, column: int) -> Node:
        if anchor not in self._anchors:
            what = f"the alias *{shown(anchor)[1:-1]} has no anchor"
            raise failure(self._label, line, column, what, f"define &{shown(anchor)[1:-1]} above it")
        node = self._anchors[anchor]
        if node is None:
            raise failure(self._label, line, column, "an alias inside of what it stands for", "write the value out")
        return node

    def _place(self, node: Node, anchor: str | None) -> None:
        self._written += 1
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self._root = node
            return
        parent, parent_anchor, key = self._open[-1]
        parent.size += node.size
        if parent.size > self._written + _MOST_EXPANDED:
            what = f"its aliases stand for more than {_MOST_EXPANDED:,} values"
            raise failure(self._label, parent.line, parent.column, what, "write the values out, or put them in a file")
        if parent.kind == "list":
            parent.items.append(node)
        elif key is None:
            self._open[-1] = (parent, parent_anchor, node)
        else:
            self._open[-1] = (parent, parent_anchor, None)
            self._pair(parent, key, node)

    def _pair(self, parent: Node, key: Node, node: Node) -> None:
        if key.kind in {"list", "mapping"}:
            self._problems.add(self._label, key.line, key.column, f"a {key.kind} as a key", "use a name as the key")
        elif key.text == "<<" and not key.quoted:
            self._merge(parent, key, node)
        elif key.text in parent.pairs and parent.pairs[key.text][0].text != "<<":
            first = parent.pairs[key.text][0].line
            what = f"the key `{shown(key.text)[1:-1]}` appears twice (first in line {first})"
            self._problems.add(self._label, key.line, key.column, what, "keep one of them")
        else:
            parent.pairs[key.text] = (key, node)

    def _merge(self, parent: Node, key: Node, node: Node) -> None:
        """``<<: *base``: the keys of the base that the mapping does not have itself, now or further down."""
        for base in node.items if node.kind == "list" else [node]:
            if base.kind != "mapping":
                what, mend = "`<<` without a mapping", "give it an alias to a mapping"
                self._problems.add(self._label, key.line, key.column, what, mend)
                return
            for name, (_, value) in base.pairs.items():
                parent.pairs.setdefault(name, (key, value))


def _scalar(event: Any, line: int, column: int) -> Node:
    text, plain = event.value, event.implicit[0]
    lines = event.end_mark.line - event.start_mark.line + 1 if plain else 1
    return Node(_kind(text) if plain else "text", line, column, text, quoted=not plain, lines=lines)


def _kind(text: str) -> str:
    """What text without quotes is: as YAML readers take it, so that a surprise elsewhere is an error here."""
    if text in _NULLS:
        return "null"
    if text.lower() in WORDS:
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
