"""JSONL and JSON: one object, or one string, one prompt.

A JSON file is a list of prompts, or a mapping of ids to prompts (as benchmark sets are published). It is read
element by element from a window over the text, so a file of any size costs the memory of its largest element.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from batcher.errors import ManifestError
from batcher.manifest.columns import Layout, layout, no_id, warn_of_near_misses, word
from batcher.manifest.problems import failure
from batcher.manifest.rows import Reading, Row, Wanted
from batcher.manifest.source import LONGEST_LINE, Source
from batcher.models.words import DEEPEST, described, is_deep, shown

_BLANK = re.compile(r"[ \t\r\n]*")
_WINDOW = 256 * 1024
_MOST_LAYOUTS = 1000
_MOST_NAMES = 200  # of a layout that is remembered: a million keys a line must not be
_MOST_WARNED = 50


class _NotJson(ValueError):  # noqa: N818  it says what the text is
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # adds
        raise _NotJson(f"the key `{word(twice)}` is here twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotJson(f"the number {text[:40]} is too large")
    return value


def _no_constant(text: str) -> Any:
    raise _NotJson(f"{text} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)


class _Objects:
    """What JSON values mean as prompts; the two readers below differ in how they find them."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._text = ""  # of the element at hand
        self._column = 1  # where it begins

    def _row(self, value: Any, line: int, key: str | None = None) -> Row | None:
        carried = self._reading.carried
        if not self._is_sound(value, line):
            return None
        if isinstance(value, str):
            inputs = {**carried.inputs, "prompt": value}
            return Row(
                self._source.label, line, inputs, key, dict(carried.meta), carried.vars, self, None, carried.repeat
            )
        if not isinstance(value, dict):
            self._add(line, None, f"a prompt must be a string or an object, not {described(value)}", "put it in quotes")
            return None
        found = self._layout(value)
        for name, what, mend in found.wrong:
            self._add(line, name, what, mend)
        inputs = dict(carried.inputs)
        if found.prompt is not None and value[found.prompt] is not None:
            inputs["prompt"] = value[found.prompt]
        for name, column in found.inputs:
            if value[column] is not None:
                inputs[name] = self._reading.terms.normal(name, value[column])
        ident = key if key is not None else self._ident(value, found, line)
        meta = self._meta(value, found, keyed=key is not None)
        return Row(self._source.label, line, inputs, ident, meta, carried.vars, self, found, carried.repeat)

    def _is_sound(self, value: Any, line: int) -> bool:
        if "\\u" in self._text and not _is_text(value):
            self._add(line, None, "has half of a surrogate pair in it, which is not text", "remove the \\ud... escape")
            return False
        if is_deep(value):
            self._add(line, None, f"is nested more than {DEEPEST} deep", "flatten it: no tool reads such data back")
            return False
        return True

    def _layout(self, value: dict[str, Any]) -> Layout:
        names = tuple(value)
        found = self._layouts.get(names)
        if found is None:
            found = layout(names, self._reading.terms, self._reading.prompt_column)
            if len(self._layouts) < _MOST_LAYOUTS and len(names) < _MOST_NAMES:
                self._layouts[names] = found
                if len(self._layouts) <= _MOST_WARNED:
                    warn_of_near_misses(self._source.label, found.meta, self._reading.terms)
        return found

    def _meta(self, value: dict[str, Any], found: Layout, *, keyed: bool) -> dict[str, Any]:
        meta = dict(self._reading.carried.meta)
        if isinstance(value.get("meta"), dict):
            meta.update(value["meta"])
        meta.update({k: value[k] for k in found.meta if k != "meta" or not isinstance(value[k], dict)})
        if keyed and found.id is not None:
            meta[found.id] = value[found.id]
        return meta

    def _ident(self, value: dict[str, Any], found: Layout, line: int) -> str | None:
        ident = value[found.id] if found.id is not None else None
        if ident is None or isinstance(ident, str):
            return ident or None
        if type(ident) is int and abs(ident) < 10**40:
            return str(ident)
        self._add(line, found.id, f"`id` must be text, not {described(ident)}", "put it in quotes")
        return None

    def _add(self, line: int, name: str | None, what: str, mend: str) -> None:
        self._reading.problems.add(self._source.label, *self._find(line, name), what, mend)

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        found: Layout | None = row.raw
        own = {"prompt": found.prompt, "id": found.id, **dict(found.inputs)} if found else {}
        if name not in own and name in self._reading.carried.places:
            return self._reading.carried.places[name]
        return (row.source, *self._find(row.line, own.get(name)))

    def _find(self, line: int, key: str | None) -> tuple[int, int]:
        """Where a key of the element at hand stands; the element itself when it can't be told."""
        at = -1
        if key is not None:
            found = re.search(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", self._text)
            at = found.start() if found else -1
        return _position(self._text, max(at, 0), line, self._column)


class JsonLines(_Objects):
    """One JSON value a line; empty lines are skipped."""

    def rows(self, wanted: Wanted | None = None) -> Iterator[Row]:
        for line, value in self._decoded(wanted):
            if (row := self._row(value, line)) is not None:
                yield row

    def _decoded(self, wanted: Wanted | None = None) -> Iterator[tuple[int, Any]]:
        """Line number and value; ``_text`` is the line until the next one is asked for."""
        decode = _DECODER.decode
        with self._source.text() as stream:
            for line, text in enumerate(stream, 1):
                if text.isspace() or (wanted and wanted.passes()):
                    continue
                self._text = text
                try:
                    value = decode(text)
                except json.JSONDecodeError as error:
                    self._broken(line, error.pos + 1, error.msg)
                except (ValueError, RecursionError) as error:
                    self._broken(line, 1, _reason(error))
                else:
                    yield line, value

    def _broken(self, line: int, column: int, reason: str) -> None:
        mend = "each line must be one JSON object or string"
        self._reading.problems.add(self._source.label, line, column, f"not valid JSON: {reason}", mend)


class JsonDocument(_Objects):
    """One JSON list of prompts, or one JSON object of ids and prompts."""

    def rows(self, wanted: Wanted | None = None) -> Iterator[Row]:
        with self._source.text() as stream:
            window = _Window(stream, self._source.label)
            keyed = window.take("a list or an object of prompts", "[{") == "{"
            close = "}" if keyed else "]"
            if window.peek() == close:
                window.take(close, close)
            else:
                yield from self._elements(window, close, wanted, keyed=keyed)
            window.finish()

    def _elements(self, window: "_Window", close: str, wanted: Wanted | None, *, keyed: bool) -> Iterator[Row]:
        while True:
            key = self._key(window) if keyed else None
            window.peek()
            line, self._column = window.line, window.column
            value, self._text = window.value()
            if wrong := no_id(key, value, self._reading.prompt_column):
                raise failure(self._source.label, line, self._column, *wrong)
            if not (wanted and wanted.passes()) and (row := self._row(value, line, key)) is not None:
                yield row
            if window.take(f"`,` or `{close}`", "," + close) == close:
                return

    def _key(self, window: "_Window") -> str:
        window.peek()
        line, column = window.line, window.column
        key, _ = window.value()
        if not isinstance(key, str) or not _is_text(key):
            raise failure(self._source.label, line, column, "a key that is no text", "put it in quotes, as it is read")
        window.take("`:`", ":")
        return key


class _Window:
    """A piece of a JSON text that always begins at the next element. line and column count from 1."""

    def __init__(self, stream: Any, label: str) -> None:
        self._stream, self._label = stream, label
        self._text, self._at, self._ended = "", 0, False
        self.line, self.column = 1, 1

    def peek(self) -> str:
        """The next character that is not blank, ``""`` at the end."""
        while True:
            self._advance(_BLANK.match(self._text, self._at).end())  # type: ignore[union-attr]  # it matches ""
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, wanted: str, among: str) -> str:
        found = self.peek()
        if not found or found not in among:
            instead = f"found {shown(found)}" if found else "the file ends"
            raise self._failure(f"not valid JSON: {instead}, where {wanted} should be")
        self._advance(self._at + 1)
        return found

    def value(self) -> tuple[Any, str]:
        """The next value and its text."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._more():
                    continue
                self._advance(min(error.pos, len(self._text)))
                raise self._failure(f"not valid JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise self._failure(f"not valid JSON: {_reason(error)}") from None
            if end < len(self._text) or not self._more():  # a number at the edge may go on
                text = self._text[self._at : end]
                self._advance(end)
                return value, text

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the error is where the window ends: in a string, or within the length of a word of the edge."""
        return error.msg.startswith("Unterminated") or error.pos > len(self._text) - 12

    def finish(self) -> None:
        if self.peek():
            raise self._failure("not valid JSON: there is more after its end")

    def _advance(self, to: int) -> None:
        self.line, self.column = _position(self._text[self._at : to], to - self._at, self.line, self.column)
        self._at = to

    def _more(self) -> bool:
        """Reads on; each step doubles the window, so that a large element is not decoded over and over."""
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
        return failure(self._label, self.line, self.column, what, mend)


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _position(text: str, offset: int, line: int, column: int) -> tuple[int, int]:
    newline = text.rfind("\n", 0, offset)
    if newline < 0:
        return line, column + offset
    return line + text.count("\n", 0, offset), offset - newline


def _reason(error: Exception) -> str:
    if isinstance(error, _NotJson):
        return str(error)
    return "nested too deep" if isinstance(error, RecursionError) else "a number of thousands of digits"
