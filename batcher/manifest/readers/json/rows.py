"""JSONL and JSON: one prompt an object, or a string.

A JSON file is a list of prompts, or an object of ids and prompts (as benchmark sets are published).
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from shlex import quote
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.suggest import fold_name, printable, quoted
from batcher.manifest.problems import position
from batcher.manifest.readers.columns import Layout, no_id, note_columns
from batcher.manifest.readers.json.shapes import has_texts, jq_key, of_document, of_entry, of_first_line, of_row
from batcher.manifest.readers.json.text import DECODER, Window, reason
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.special_columns import kind_of_name
from batcher.manifest.schema.words import described

_MOST_LAYOUTS = 1000
_MOST_NAMES = 200  # of a layout that is remembered: a million keys a line must not be
_MOST_WARNED = 50
# Keys under which APIs and other tools keep the inputs of a request.
_HOLDERS = {
    "parameters", "params", "inputs", "input", "options", "settings", "config", "args", "generationconfig", "extrabody",
}  # fmt: skip
_NO_PROMPTS = "give a list of prompts, or an object of ids and prompts"


class _Objects(FileReader):
    """Turns JSON values into rows. The two readers below find the values.

    source, form, reading: as of ``FileReader``.
    """

    def __init__(self, source: Source, form: str, reading: Reading) -> None:
        super().__init__(source, form, reading)
        self._prompt = reading.model_inputs.own_name("prompt")
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._text = ""  # of the current value
        self._column = 1  # where it begins

    def _row(self, value: Any, line: int, key: str | None = None) -> Row | None:
        """One row; None with a problem. key: its id, where the value stands in an object of ids and prompts."""
        if not self._is_sound(value, line):
            return None
        if isinstance(value, str):
            return self._row_of(line, {"prompt": value}, ident=key)
        if not isinstance(value, dict):
            mend = 'name its values: {"prompt": ...}' if isinstance(value, list) else "put it in quotes"
            self._add(line, None, f"a prompt must be a string or an object, not {described(value)}", mend)
            return None
        columns = self._layout(value)
        if not self._has_prompt(value, columns, line):
            return None
        own: dict[str, Any] = {}
        if columns.prompt is not None and value[columns.prompt] is not None:
            own["prompt"] = value[columns.prompt]
        for name, column in columns.inputs:
            if value[column] is not None:
                own[name] = self._reading.model_inputs.of(name).normal(value[column])
        ident = key
        if key is None and columns.id is not None:
            ident = self._ident(value[columns.id], partial(self._find, line, columns.id), "put it in quotes")
        meta = self._meta(value, columns, keyed=key is not None)
        row = self._row_of(line, own, columns, ident=ident, meta=meta)
        given = {kind: (name, value[name]) for kind, name in columns.special if value[name] not in (None, "")}
        self._carry_out(row, given, partial(self._find, line))
        return row

    def _has_prompt(self, value: dict[str, Any], columns: Layout, line: int) -> bool:
        for name, what, mend in columns.wrong:
            self._add(line, name, what, mend, kind=f"column {name}")
        for name in columns.meta if columns.prompt is not None else ():
            if isinstance(value[name], dict):
                self._look_inside(name, value[name], line)
        if columns.prompt is not None or not self._reading.needs_prompt:
            return True
        if wrong := of_row(value, self._prompt):
            self._add(line, None, *wrong, kind="no prompt")
        return wrong is None

    def _look_inside(self, name: str, inner: dict[str, Any], line: int) -> None:
        """Inputs that stand one level down are a problem: they would become metadata, and not be sent."""
        inputs = self._reading.model_inputs
        if fold_name(name) not in _HOLDERS or name in self._reading.carried.aside:
            return
        if one := next((key for key in inner if inputs.names(key) or kind_of_name(key)), None):
            key, flag = jq_key(name), quote(printable(name))
            what = f"{quoted(name)} has {quoted(one)} in it, and inputs belong beside the prompt"
            mend = f"jq -c '. + .{key} | del(.{key})' FILE moves them, --meta {flag} keeps it"
            self._add(line, name, what, mend, kind=f"column {name}")

    def _is_sound(self, value: Any, line: int) -> bool:
        if "\\u" in self._text and not _is_text(value):
            self._add(line, None, "has half of a surrogate pair in it, which is not text", "remove the \\ud... escape")
            return False
        return not self._is_deep(value, place=self._find(line, None))

    def _layout(self, value: dict[str, Any]) -> Layout:
        names = tuple(value)
        columns = self._layouts.get(names)
        if columns is None:
            columns = self._reading.layout(names)
            if len(self._layouts) < _MOST_LAYOUTS and len(names) < _MOST_NAMES:
                self._layouts[names] = columns
                if len(self._layouts) <= _MOST_WARNED:
                    note_columns(self._source.label, columns, self._reading.model_inputs, self._reading.carried.aside)
        return columns

    def _meta(self, value: dict[str, Any], columns: Layout, *, keyed: bool) -> dict[str, Any]:
        own = dict(value["meta"]) if isinstance(value.get("meta"), dict) else {}
        own.update({k: value[k] for k in columns.meta if k != "meta" or not isinstance(value[k], dict)})
        if keyed and columns.id is not None:
            own[columns.id] = value[columns.id]
        return self._reading.carried.with_meta(own)

    def _add(self, line: int, name: str | None, what: str, mend: str, *, kind: str = "") -> None:
        self._wrong(self._find(line, name), what, mend, kind)

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:
        own: dict[str, str | None] = row.raw.named() if row.raw else {}
        if name not in own and name in self._reading.carried.places:
            return None
        return self._find(row.line, own.get(name))

    def _find(self, line: int, key: str | None) -> tuple[int, int]:
        """Line and column of a key of the current value; those of the value where the key is not to be found."""
        match = None
        if key is not None:
            match = re.search(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", self._text)
        return position(self._text, match.start() if match else 0, line, self._column)


class JsonLines(_Objects):
    """One JSON value a line; empty lines are skipped."""

    def rows(self) -> Iterator[Row]:
        for line, value in self._decoded():
            if (row := self._row(value, line)) is not None:
                yield row

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        """Line number and value of each line. ``_text`` is that line."""
        with self._source.text() as stream:
            for line, text in enumerate(stream, 1):
                if text.isspace():
                    continue
                self._text = text
                try:
                    value = DECODER.decode(text)
                except json.JSONDecodeError as error:
                    if line == 1 and (wrong := of_first_line(text)) is not None:
                        raise self._source.failure(*wrong, 1, 1) from None
                    self._broken(line, error.pos + 1, error.msg)
                except (ValueError, RecursionError) as error:
                    self._broken(line, 1, reason(error))
                else:
                    yield line, value

    def _broken(self, line: int, column: int, why: str) -> None:
        self._wrong((line, column), f"not valid JSON: {why}", "each line must be one JSON object or string", "JSON")


class JsonDocument(_Objects):
    """One JSON list of prompts, or one JSON object of ids and prompts."""

    def rows(self) -> Iterator[Row]:
        if (wrong := of_document(self._source.start())) is not None:
            raise self._source.failure(*wrong, 1, 1)
        with self._source.text() as stream:
            window = Window(stream, self._source)
            keys: dict[str, int] = {}  # by id, its place
            is_keyed = window.take("a list or an object of prompts", "[{") == "{"
            close = "}" if is_keyed else "]"
            is_first, sign = True, close if window.peek() == close else ","
            if sign == close:
                window.take(close, close)
            while sign != close:
                key = self._new_key(window, keys) if is_keyed else None
                line, self._column = window.place()
                value, self._text = window.value()
                if wrong := no_id(key, value, self._reading.prompt_column):
                    raise self._source.failure(*wrong, line, self._column)
                if key is not None and (self._is_no_entry(key, value) or (is_first and self._lacks_prompt(value))):
                    raise self._source.failure(*self._shape(window, key, value), line, self._column)
                if (row := self._row(value, line, key)) is not None:
                    yield row
                is_first, sign = False, window.take(f"`,` or `{close}`", "," + close)
            window.finish()

    def _is_no_entry(self, key: str, value: Any) -> bool:
        return not isinstance(value, dict | str) or of_entry(key, value) is not None

    def _lacks_prompt(self, value: Any) -> bool:
        """Whether a value has no prompt. An object of ids and prompts whose first value has none is something else."""
        return isinstance(value, dict) and self._reading.needs_prompt and self._layout(value).prompt is None

    def _shape(self, window: Window, key: str, value: Any) -> tuple[str, str]:
        """What an object without prompts is, and how to fix it, by the key that seems to hold the prompts, if any."""
        lacking = of_row(value, self._prompt) if isinstance(value, dict) else None
        odd = lacking or (f"{quoted(key)} holds {described(value)}, which is not a prompt", _NO_PROMPTS)
        first: tuple[str, str] | None = None
        for _ in range(_MOST_WARNED):
            if (wrong := of_entry(key, value)) is not None:
                if has_texts(value):
                    return wrong
                first = first or wrong
            try:
                if window.take("`,` or `}`", ",}") == "}":
                    break
                key = self._key(window)
                value, _ = window.value()
            except ManifestError:
                break
        return first or odd

    def _new_key(self, window: Window, keys: dict[str, int]) -> str:
        line, column = window.place()
        key = self._key(window)
        place = line << 32 | column  # one number: hundreds of thousands are kept
        if (first := keys.setdefault(key, place)) != place:
            before = f"{self._source.label}:{first >> 32}:{first % 2**32}"
            what = f"the id {quoted(key)} appears twice (first at {before})"
            self._wrong((line, column), what, "rename one of them, or remove it")
        return key

    def _key(self, window: Window) -> str:
        place = window.place()
        key, _ = window.value()
        if not isinstance(key, str) or not _is_text(key):
            raise self._source.failure("a key that is not text", "put it in quotes, as it is read", *place)
        window.take("`:`", ":")
        return key


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
