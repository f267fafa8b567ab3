"""``--where``: a small expression over what is known of a picture, read with Python's own parser and never run by it.

``aspect_ratio == "16:9" and seed < 10 and meta.category in ("birds", "cats")``. The text is parsed to a tree; the
tree is walked once and becomes functions of ours, so nothing that is not on the short list of ``_Reader`` can happen:
no calls, no attributes but ``meta.NAME``, no arithmetic. What a picture has no value for is ``None``: equal to
nothing but ``None``, and neither smaller nor larger than anything.
"""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from batcher.core.errors import UsageError

Values = Mapping[str, Any]
_Part = Callable[[Values], Any]

DEEPEST = 100
LONGEST = 10_000  # characters: Python's parser is not made for novels
_EXAMPLE = """such as: aspect_ratio == "16:9" and seed < 10 and meta.category in ("birds", "cats")"""
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_SLIPS = (("&&", "write 'and'"), ("||", "write 'or'"), ("=", "write '==' to compare"), ("!", "write 'not', or '!='"))


class WhereError(ValueError):
    """An expression that can't be used. ``column`` counts characters from 1."""

    def __init__(self, column: int, what: str, mend: str) -> None:
        super().__init__(f"column {column}: {what}: {mend}")
        self.column = column
        self.what = what
        self.mend = mend


def usage_error(text: str, error: WhereError) -> UsageError:
    """What a person is told of it."""
    at = error.column - 1
    return UsageError(
        f"--where: column {error.column}, at {text[at : at + 24]!r}: {error.what}",
        hint=f"{error.mend}{'' if error.mend.endswith('?') else '.'} Nothing was written.",
    )


class Where:
    """Raises WhereError for what is not such an expression.

    names: what it asks for: ``seed`` for an input or a fact, ``meta.category`` for what was carried along.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        reader = _Reader(text)
        self._part = reader.part(_parsed(text))
        self._columns: dict[str, int] = reader.columns
        self.names = frozenset(reader.columns)

    def __call__(self, values: Values) -> bool:
        """Whether a picture with these values is meant. Raises WhereError for an order between text and numbers."""
        return bool(self._part(values))

    def require(self, known: Collection[str]) -> None:
        """Raises WhereError when it asks for a name that nothing has."""
        for name, column in sorted(self._columns.items(), key=lambda item: item[1]):
            if name not in known:
                raise WhereError(column, f"there is no {name}", _near(name, known))


def _near(name: str, known: Collection[str]) -> str:
    last = name.rpartition(".")[2].lower()
    by_last = {other.rpartition(".")[2].lower(): other for other in sorted(known, reverse=True)}
    near = [by_last[last]] if last in by_last else get_close_matches(name, known, n=1)
    if not near:
        near = [by_last[one] for one in get_close_matches(last, by_last, n=1)]
    if near:
        return f"did you mean {near[0]}?"
    shown = ", ".join(sorted(known)[:20])
    return f"there are {shown}" + (", ..." if len(known) > 20 else "")


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise WhereError(1, f"{len(text):,} characters", f"use at most {LONGEST:,}")
    if not text.strip():
        raise WhereError(1, "an empty expression", _EXAMPLE)
    try:
        tree = ast.parse(text.lstrip(" "), mode="eval").body
        if _depth(tree) > DEEPEST:
            raise WhereError(1, "nested too deep", "make it simpler")
        return tree
    except SyntaxError as error:
        column = max(1, min((error.offset or 1) + len(text) - len(text.lstrip(" ")), len(text)))
        around = text[max(0, column - 2) : column + 1]
        mend = next((mend for slip, mend in _SLIPS if slip in around), _EXAMPLE)
        raise WhereError(column, error.msg.partition(". Maybe")[0], mend) from None
    except WhereError:
        raise
    except (RecursionError, MemoryError, ValueError) as error:
        raise WhereError(1, str(error) or "nested too deep", "make it simpler") from None


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


class _Reader:
    """Turns a tree into functions, and notes the names it meets with their places."""

    def __init__(self, text: str) -> None:
        self.columns: dict[str, int] = {}
        self._shift = len(text) - len(text.lstrip(" "))
        self._bytes = text.lstrip(" ").encode()

    def part(self, node: ast.expr) -> _Part:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.part(value) for value in values]
                return lambda known: all(part(known) for part in parts)
            case ast.BoolOp(values=values):
                parts = [self.part(value) for value in values]
                return lambda known: any(part(known) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.part(operand)
                return lambda known: not inner(known)
            case ast.Compare():
                return self._comparison(node)
        return self._value(node)

    def _comparison(self, node: ast.Compare) -> _Part:
        sides = [self._value(side) for side in (node.left, *node.comparators)]
        tests = [
            self._test(op, right, left, after)
            for op, right, left, after in zip(node.ops, node.comparators, sides, sides[1:], strict=False)
        ]
        return tests[0] if len(tests) == 1 else lambda known: all(test(known) for test in tests)

    def _test(self, op: ast.cmpop, node: ast.expr, left: _Part, right: _Part) -> _Part:
        if isinstance(op, ast.Eq | ast.Is):
            return lambda known: _equal(left(known), right(known))
        if isinstance(op, ast.NotEq | ast.IsNot):
            return lambda known: not _equal(left(known), right(known))
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(node, left, right, wanted=isinstance(op, ast.In))
        return self._order(_ORDER[type(op)], node, left, right)

    def _membership(self, node: ast.expr, left: _Part, right: _Part, *, wanted: bool) -> _Part:
        column = self._column(node)

        def test(known: Values) -> bool:
            one, many = left(known), right(known)
            if isinstance(many, str):
                return (isinstance(one, str) and one in many) is wanted
            if many is not None and not isinstance(many, list | tuple):
                raise WhereError(column, f"nothing can be in {many!r}", 'write in ("a", "b"), or "word" in prompt')
            return any(_equal(one, other) for other in many or ()) is wanted

        return test

    def _order(self, compare: Callable[[Any, Any], bool], node: ast.expr, left: _Part, right: _Part) -> _Part:
        column = self._column(node)

        def test(known: Values) -> bool:
            one, other = left(known), right(known)
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
                return lambda _known: value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return lambda _known: -number
            case ast.Tuple(elts=items) | ast.List(elts=items):
                parts = [self._value(item) for item in items]
                return lambda known: [part(known) for part in parts]
            case ast.Name(id="true" | "false" as word):
                truth = word == "true"
                return lambda _known: truth
            case ast.Name(id="null"):
                return lambda _known: None
            case ast.Name(id=name):
                return self._look_up(name, node)
            case (
                ast.Attribute(value=ast.Name(id="inputs" | "meta" as where), attr=name)
                | ast.Subscript(value=ast.Name(id="inputs" | "meta" as where), slice=ast.Constant(value=str() as name))
            ):
                return self._look_up(f"meta.{name}" if where == "meta" else name, node)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return self.part(node)
        raise WhereError(self._column(node), "this is not part of such an expression", _EXAMPLE)

    def _look_up(self, name: str, node: ast.expr) -> _Part:
        self.columns.setdefault(name, self._column(node))
        return lambda known: known.get(name)

    def _column(self, node: ast.expr) -> int:
        return len(self._bytes[: node.col_offset].decode(errors="ignore")) + self._shift + 1


def _equal(one: Any, other: Any) -> bool:
    """Python takes True for 1, which nobody means."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
