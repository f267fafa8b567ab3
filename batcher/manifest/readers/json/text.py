"""JSON text, decoded strictly (no doubled key, no NaN) and value by value: a file of any size costs the memory of its
largest value.
"""

import json
import math
import re
from collections import Counter
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.suggest import quoted
from batcher.manifest.problems import position
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.schema.words import shown

_BLANK = re.compile(r"[ \t\r\n]*")
_WINDOW = 256 * 1024


class _NotJson(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(name for name, many in Counter(name for name, _ in pairs).items() if many > 1)
        raise _NotJson(f"the key {quoted(twice)} appears twice")
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotJson(f"the number {text[:40]} is too large")
    return value


def _no_constant(text: str) -> Any:
    raise _NotJson(f"{text} is not a JSON number")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)


class Window:
    """A part of a JSON text that moves forward with what is read of it.

    stream: the text of the source. source: for messages. Every method raises ManifestError for what is not JSON.
    """

    def __init__(self, stream: Any, source: Source) -> None:
        self._stream, self._source = stream, source
        self._text, self._at, self._ended = "", 0, False
        self._line, self._column = 1, 1

    def peek(self) -> str:
        """Skip blanks and return the next character, ``""`` at the end."""
        while True:
            self._advance(_BLANK.match(self._text, self._at).end())  # type: ignore[union-attr]  # it matches ""
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def place(self) -> tuple[int, int]:
        """Line and column of the next character that is not blank."""
        self.peek()
        return self._line, self._column

    def take(self, wanted: str, among: str) -> str:
        """Read the next character, which must be one of ``among``. wanted: these in words."""
        char = self.peek()
        if not char or char not in among:
            instead = f"found {shown(char)}" if char else "the file ends"
            raise self._failure(f"not valid JSON: {instead}, where {wanted} should be")
        self._advance(self._at + 1)
        return char

    def value(self) -> tuple[Any, str]:
        """Read the next value; also returns its text."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # An error at the edge of the window: a string that goes on, or a word or number cut in two.
                may_go_on = error.msg.startswith("Unterminated") or error.pos > len(self._text) - 12
                if may_go_on and self._more():
                    continue
                self._advance(min(error.pos, len(self._text)))
                raise self._failure(f"not valid JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise self._failure(f"not valid JSON: {reason(error)}") from None
            if end < len(self._text) or not self._more():  # a number at the edge may go on
                text = self._text[self._at : end]
                self._advance(end)
                return value, text

    def finish(self) -> None:
        """Check that only blanks are left."""
        if self.peek():
            raise self._failure("not valid JSON: there is more after its end")

    def _advance(self, to: int) -> None:
        self._line, self._column = position(self._text[self._at : to], to - self._at, self._line, self._column)
        self._at = to

    def _more(self) -> bool:
        """Read on. Each step doubles the window, so a large value is decoded a few times only. False at the end."""
        if self._ended:
            return False
        if len(self._text) - self._at > LONGEST_LINE:
            raise self._failure(f"one element is longer than {LONGEST_LINE // 2**20} MB")
        rest = self._text[self._at :]
        chunk = self._stream.read(max(_WINDOW, len(rest)))
        self._ended = not chunk
        self._text, self._at = rest + chunk, 0
        return bool(chunk)

    def _failure(self, what: str) -> ManifestError:
        mend = "give a JSON list of prompts, or a JSON object of ids and prompts"
        return self._source.failure(what, mend, self._line, self._column)


def reason(error: Exception) -> str:
    """Why the decoder gave up, in words."""
    if isinstance(error, _NotJson):
        return str(error)
    return "nested too deep" if isinstance(error, RecursionError) else "a number of thousands of digits"
