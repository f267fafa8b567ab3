"""``--where``: a small expression over the facts of an image, parsed with Python's own parser and never executed.

``aspect_ratio == "16:9" and seed < 10 and meta.category in ("birds", "cats")``. The text is parsed to a tree; the
tree is converted once to functions, and it accepts only the few node types of ``_Reader``: no calls, no attributes but
``meta.NAME``, no arithmetic. A name without a value for an image is ``None``: equal only to ``None``, and neither
smaller nor larger than anything.

A name is an input (``seed``, ``inputs["600_prompt"]``), a meta value (``meta.category``, ``meta["Price ($)"]``), a
value that ``vars`` or ``repeat`` of the manifest chose (``chosen.animal``), or a fact: ``prompt_id``, ``pick``,
``stars``, ``tags``, ...
"""

import ast
import keyword
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

from batcher.core.errors import Mistake
from batcher.core.flag import Flag
from batcher.core.mismatch import Mismatch, kind_of, spelled
from batcher.core.suggest import nearest

VERDICTS = ("pick", "stars", "tags")
"""Names of the verdict on an image, even if a model has an input of the same name."""

FLAG = "flag"
"""Name of the list of flags of an image: ``"blank" in flag``, or ``flag:blank`` for short."""

Values = Mapping[str, Any]
_Part = Callable[[Values], Any]

DEEPEST = 100
LONGEST = 10_000  # characters: limits the work of Python's parser
_EXAMPLE = """such as: aspect_ratio == "16:9" and seed < 10 and meta.category in ("birds", "cats")"""
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_SLIPS = (("&&", "write 'and'"), ("||", "write 'or'"), ("=", "write '==' to compare"), ("!", "write 'not', or '!='"))
_WORD_AS_NAME = re.compile(rf"\b(meta|inputs|chosen)\.({'|'.join(keyword.kwlist)})\b")


_FLAG = re.compile(r"""'[^']*'|"[^"]*"|\bflag:([a-z]+(?:-[a-z]+)*)""")


class WhereError(Mistake):
    """An expression that can't be used."""


def look_up(name: str, inputs: Values, meta: Values, facts: Values, chosen: Values | None = None) -> Any:
    """The value of a name of ``Where.names`` for one image, or None."""
    place, _, last = name.partition(".")
    if place == "meta" and last:
        return meta.get(last)
    if place == "chosen" and last:
        return (chosen or {}).get(last)
    if place == "inputs" and last:
        return inputs.get(last)
    if name in inputs and name not in VERDICTS:
        return inputs[name]
    return facts[name] if name in facts else (chosen or {}).get(name)


class Where:
    """A parsed expression. Raises WhereError for an invalid one.

    text: as typed. names: the names it uses: ``seed`` for an input or a fact, ``meta.category`` for a meta value.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        reader = _Reader(text)
        self._part = reader.part(_parsed(text))
        self._columns: dict[str, int] = reader.columns
        self._mismatches = reader.mismatches
        self.names = frozenset(reader.columns)

    def __call__(self, values: Values) -> bool:
        """Whether an image with these values matches. Raises WhereError for an order between text and numbers."""
        return bool(self._part(values))

    def warnings(self) -> list[str]:
        """Comparisons with a value of another type in any call so far, and what to write instead."""
        return [str(mismatch) for mismatch in self._mismatches.values()]

    def require(self, names: Collection[str]) -> None:
        """Raises WhereError if the expression uses an unknown name."""
        for name, column in sorted(self._columns.items(), key=lambda item: item[1]):
            if name not in names and name not in VERDICTS and name != FLAG:
                raise WhereError(column, f"there is no {spelled(name)}", _near(name, names))


def _near(name: str, names: Collection[str]) -> str:
    if (near := nearest(name, names, cutoff=0.6)) is not None:
        return f"did you mean {spelled(near)}?"
    shown = ", ".join(map(spelled, sorted(names)[:20]))
    return f"there are {shown}" + (", ..." if len(names) > 20 else "")


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise WhereError(1, f"{len(text):,} characters", f"use at most {LONGEST:,}")
    if not text.strip():
        raise WhereError(1, "an empty expression", _EXAMPLE)
    try:
        with warnings.catch_warnings():  # of Python: "invalid escape sequence", raw and about a line of no file
            warnings.simplefilter("ignore")
            tree = ast.parse(_FLAG.sub(_plain_flag, text.lstrip(" ")), mode="eval").body
        if _depth(tree) > DEEPEST:
            raise WhereError(1, "nested too deep", "make it simpler")
        return tree
    except SyntaxError as error:
        column = max(1, min((error.offset or 1) + len(text) - len(text.lstrip(" ")), len(text)))
        around = text[max(0, column - 2) : column + 1]
        mend = next((mend for slip, mend in _SLIPS if slip in around), _EXAMPLE)
        if word := _WORD_AS_NAME.search(text):  # a name that is a word of Python's
            column, mend = word.start() + 1, f'write {word[1]}["{word[2]}"]'
        raise WhereError(column, error.msg.partition(". Maybe")[0], mend) from None
    except WhereError:
        raise
    except (RecursionError, MemoryError, ValueError) as error:
        raise WhereError(1, str(error) or "nested too deep", "make it simpler") from None


def _plain_flag(match: re.Match[str]) -> str:
    """``flag:near-duplicate`` as a Python attribute of the same length; quoted texts are unchanged."""
    return f"flag.{match[1].replace('-', '_')}" if match[1] else match[0]


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


class _Reader:
    """Converts a tree to functions, and records the names in it with their columns.

    text: the expression as typed; columns are those of it, from 1.
    """

    def __init__(self, text: str) -> None:
        self.columns: dict[str, int] = {}
        self.mismatches: dict[str, Mismatch] = {}
        self._shift = len(text) - len(text.lstrip(" "))
        self._bytes = text.lstrip(" ").encode()

    def part(self, node: ast.expr) -> _Part:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.part(value) for value in values]
                return lambda facts: all(part(facts) for part in parts)
            case ast.BoolOp(values=values):
                parts = [self.part(value) for value in values]
                return lambda facts: any(part(facts) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.part(operand)
                return lambda facts: not inner(facts)
            case ast.Compare():
                return self._comparison(node)
        return self._value(node)

    def _comparison(self, node: ast.Compare) -> _Part:
        sides = [self._value(side) for side in (node.left, *node.comparators)]
        nodes = [node.left, *node.comparators]
        tests = [
            self._noticing(op, one, other, self._test(op, other, left, right))
            for op, one, other, left, right in zip(node.ops, nodes, nodes[1:], sides, sides[1:], strict=False)
        ]
        return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)

    def _test(self, op: ast.cmpop, node: ast.expr, left: _Part, right: _Part) -> _Part:
        if isinstance(op, ast.Eq | ast.Is):
            return lambda values: _equal(left(values), right(values))
        if isinstance(op, ast.NotEq | ast.IsNot):
            return lambda values: not _equal(left(values), right(values))
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(node, left, right, wanted=isinstance(op, ast.In))
        return self._order(_ORDER[type(op)], node, left, right)

    def _noticing(self, op: ast.cmpop, one: ast.expr, other: ast.expr, test: _Part) -> _Part:
        """The same test; it also records comparisons of a column with values of another type only."""
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            return test  # no order between them: that is an error
        is_in = isinstance(op, ast.In | ast.NotIn)
        name, literals = self._name(one), _literals(other)
        if name is None and not is_in:
            name, literals = self._name(other), _literals(one)
        if name is None or not literals or (is_in and isinstance(other, ast.Constant)):
            return test
        kinds = {kind_of(literal) for literal in literals}
        word = ("in" if isinstance(op, ast.In) else "not in") if is_in else "=="
        word = "!=" if isinstance(op, ast.NotEq | ast.IsNot) else word

        def noticing(values: Values) -> Any:
            value = values.get(name)
            if value is not None and name not in self.mismatches and kind_of(value) not in kinds:
                self.mismatches[name] = Mismatch(name, value, literals[0], word)
            return test(values)

        return noticing

    def _name(self, node: ast.expr) -> str | None:
        match node:
            case ast.Name(id=name) if name not in {"true", "false", "null"}:
                return name
            case (
                ast.Attribute(value=ast.Name(id=place), attr=name)
                | ast.Subscript(value=ast.Name(id=place), slice=ast.Constant(value=str() as name))
            ) if place in {"meta", "inputs", "chosen"}:
                return _full(place, name)
        return None

    def _membership(self, node: ast.expr, left: _Part, right: _Part, *, wanted: bool) -> _Part:
        column = self._column(node)

        def test(values: Values) -> bool:
            one, many = left(values), right(values)
            if isinstance(many, str):
                return (isinstance(one, str) and one in many) is wanted
            if many is not None and not isinstance(many, list | tuple):
                raise WhereError(column, f"nothing can be in {many!r}", 'write in ("a", "b"), or "word" in prompt')
            return any(_equal(one, other) for other in many or ()) is wanted

        return test

    def _order(self, compare: Callable[[Any, Any], bool], node: ast.expr, left: _Part, right: _Part) -> _Part:
        column = self._column(node)

        def test(values: Values) -> bool:
            one, other = left(values), right(values)
            if one is None or other is None:
                return False
            try:
                return compare(one, other)
            except TypeError:
                what = f"{one!r:.60} and {other!r:.60} have no order"
                raise WhereError(column, what, "compare numbers with numbers and text with text") from None

        return test

    def _value(self, node: ast.expr) -> _Part:  # noqa: PLR0911  one line for each kind of leaf
        match node:
            case ast.Constant(value=str() | int() | float() | None as value):
                return lambda _values: value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return lambda _values: -number
            case ast.Tuple(elts=items) | ast.List(elts=items):
                parts = [self._value(item) for item in items]
                return lambda values: [part(values) for part in parts]
            case ast.Name(id="true" | "false" as word):
                truth = word == "true"
                return lambda _values: truth
            case ast.Name(id="null"):
                return lambda _values: None
            case ast.Name(id=name):
                return self._look_up(name, node)
            case ast.Attribute(value=ast.Name(id="flag"), attr=word):
                return self._flag(node, word.replace("_", "-"))
            case ast.Attribute() | ast.Subscript() if (full := self._name(node)) is not None:
                return self._look_up(full, node)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return self.part(node)
        raise WhereError(self._column(node), "this does not belong in an expression", _EXAMPLE)

    def _flag(self, node: ast.expr, word: str) -> _Part:
        if word not in set(Flag):
            mend = f"did you mean {nearest(word, Flag) or ', '.join(Flag)}?"
            raise WhereError(self._column(node), f"there is no flag {word}", mend)
        flags = self._look_up(FLAG, node)
        return lambda values: word in (flags(values) or ())

    def _look_up(self, name: str, node: ast.expr) -> _Part:
        self.columns.setdefault(name, self._column(node))
        return lambda values: values.get(name)

    def _column(self, node: ast.expr) -> int:
        return len(self._bytes[: node.col_offset].decode(errors="ignore")) + self._shift + 1


def _equal(one: Any, other: Any) -> bool:
    """Equality that, unlike Python's, keeps True apart from 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _full(place: str, name: str) -> str:
    return name if place == "inputs" and name not in VERDICTS else f"{place}.{name}"


def _literals(node: ast.expr) -> list[Any]:
    """The literal values of a node, alone or in brackets; empty if it contains anything else."""
    nodes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    values = []
    for one in nodes:
        match one:
            case ast.Constant(value=str() | int() | float() as value):
                values.append(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                values.append(-number)
            case ast.Name(id="true" | "false" as word):
                values.append(word == "true")
            case _:
                return []
    return values
