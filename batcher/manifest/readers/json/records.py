"""Files that a run wrote as prompt files: the same inputs, meta and prompt ids again, and nothing else.

These are ``records.jsonl``, ``failures.jsonl``, ``additions.jsonl`` and sidecars. A record is about one image. A job
with several images has as many records, one after the other, and is one prompt.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from batcher.core.suggest import quoted
from batcher.manifest.readers.json.rows import JsonLines
from batcher.manifest.readers.json.text import Window
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import LONGEST_LINE
from batcher.manifest.schema.words import described

SCHEMA = "batcher/1"
_BEGINS = re.compile(
    rb'(\xef\xbb\xbf)?\s*\{\s*("schema"\s*:\s*"batcher/1"|"job"\s*:\s*"[0-9a-f]{32}"\s*,\s*"state"\s*:)'
)


def begins_with_record(path: str) -> bool:
    """Whether a file begins with a record of a run."""
    return _BEGINS.match(_start(path, 200)) is not None


def model_of(path: str) -> str | None:
    """The model of the first record; None without one, which the reader reports."""
    try:
        text = _start(path, LONGEST_LINE).decode("utf-8-sig", "ignore")
        record, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return None
    model = record.get("model") if isinstance(record, dict) else None
    return model if isinstance(model, str) and model.strip() else None


def _start(path: str, most: int) -> bytes:
    if not os.path.isfile(path):  # noqa: PTH113  a text, which may be odd
        return b""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  as above
            return file.read(most)
    except OSError:  # the reader reports it
        return b""


class Records(JsonLines):
    """Reads one record a line. A sidecar is one record of several lines."""

    def rows(self) -> Iterator[Row]:
        last: Any = None
        for line, record in self._whole() if self._is_sidecar() else self._decoded():
            job = (record.get("job"), record.get("inputs")) if isinstance(record, dict) else (None, None)
            if job[0] is not None and job == last:
                continue
            last = job
            if (row := self._row(record, line)) is not None:
                yield row

    def _is_sidecar(self) -> bool:
        return self._source.start(200).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].strip() == b"{"

    def _whole(self) -> Iterator[tuple[int, Any]]:
        with self._source.text() as stream:
            window = Window(stream, self._source)
            line, self._column = window.place()
            value, self._text = window.value()
            window.finish()
            yield line, value

    def _row(self, value: Any, line: int, key: str | None = None) -> Row | None:  # noqa: ARG002  records have no keys
        if not self._is_sound(value, line):
            return None
        if not _is_record(value):
            mend = "give the records.jsonl or failures.jsonl of a run, or another --format"
            self._add(line, None, f"a record of a run must have `schema` {SCHEMA} and `inputs`", mend)
            return None
        if not self._is_of_the_model(value.get("model"), line):
            return None
        ident, meta = value.get("prompt_id"), value.get("meta")
        if not isinstance(ident, str | None) or not isinstance(meta, dict | None):
            what = f"`prompt_id` must be text and `meta` an object, not {described(ident)} and {described(meta)}"
            self._add(line, "prompt_id", what, "give the record as the run wrote it")
            return None
        own = {name: self._reading.model_inputs.of(name).normal(given) for name, given in self._inputs(value).items()}
        meta = {**self._reading.carried.meta, **(meta or {})}
        return self._row_of(line, own, own, ident=ident or None, meta=meta)

    def _inputs(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a record, which has them as they were sent: under the model's own names."""
        sent: dict[str, Any] = record["inputs"]
        if "prompt" in sent:
            return sent
        return {self._reading.model_inputs.our_name(name): value for name, value in sent.items()}

    def _is_of_the_model(self, model: Any, line: int) -> bool:
        wanted = self._reading.model_inputs.model
        if wanted is None or model == wanted:
            return True
        shown_model = quoted(model) if isinstance(model, str) else "no model"
        what = f"this record is for {shown_model}, and this manifest runs {quoted(wanted)}"
        mend = "name the model to run with --model (or `model:`), or split the records"
        self._add(line, "model", what, mend, kind="model")
        return False

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:
        given = self._reading.carried.places
        if name not in row.raw and name in given:
            return None
        is_own = name == "prompt" and f'"{name}"' not in self._text
        return self._find(row.line, self._reading.model_inputs.own_name(name) if is_own else name)


def _is_record(value: Any) -> bool:
    """Whether a value is about an image, an addition, or a failed job, which has a state."""
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), dict):
        return False
    return value.get("schema") == SCHEMA or ("schema" not in value and "state" in value and "job" in value)
