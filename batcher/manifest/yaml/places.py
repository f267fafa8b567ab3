"""The value at a line and column of a manifest, as a path: ``rows[3].aspect_ratio``."""

from typing import Any

import yaml


def place_in(text: str, line: int, column: int, *, rows: bool) -> str | None:
    """The innermost value at the place, as a Python expression; None for a line that does not exist.

    text: JSON lines (rows) or a YAML document. line, column: from 1.
    """
    name = f"rows[{line - 1}]" if rows else "manifest"
    if rows:
        lines = text.splitlines()
        if not 1 <= line <= len(lines):
            return None
        text, line = lines[line - 1], 1
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return name
    return name + _path(node, line - 1, max(0, column - 1))


def _path(node: Any, line: int, column: int) -> str:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if _holds(key, line, column) or _holds(value, line, column):
                return f".{key.value}{_path(value, line, column)}"
    if isinstance(node, yaml.SequenceNode):
        for at, value in enumerate(node.value):
            if _holds(value, line, column):
                return f"[{at}]{_path(value, line, column)}"
    return ""


def _holds(node: Any, line: int, column: int) -> bool:
    begin, end = node.start_mark, node.end_mark
    return (begin.line, begin.column) <= (line, column) < (end.line, end.column)
