"""What a command prints on standard output: safe for a terminal, 80 columns wide, also when the reader goes away."""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from batcher.core.errors import DiskError
from batcher.core.folding import folded

# What moves the cursor, changes colours, hides or reorders text; a line's own end is ours. JSON may escape them all.
_UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def say(text: str) -> None:
    """Print an answer of several lines. Its words may come from files or the service, so they are escaped."""
    safe = _UNSAFE.sub(_escape, text)
    _print("\n".join(part for line in safe.splitlines() for part in folded(line)))


def table(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows as lines, with the cells of each column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [indent + "  ".join(row).rstrip() for row in cells]


def say_json(facts: Any) -> None:
    """Print facts as one JSON object, in ASCII where the terminal can't show more. Raises DiskError."""
    plain = not _encoding().lower().startswith("utf")
    _print(_UNSAFE.sub(_escape, json.dumps(facts, indent=2, ensure_ascii=plain)))


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _print(text: str) -> None:
    encoding = _encoding()
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        # Everything is saved; the interpreter must not complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # the reader has closed the pipe

        raise DiskError(
            f"standard output can't be written: {error.strerror}", hint="What was done is done, and recorded."
        ) from None


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
