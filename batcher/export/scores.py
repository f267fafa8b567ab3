"""``pick --from FILE``: reads verdicts or scores that another program made, as CSV, TSV or JSON lines.

A row names its image by job key (the first digits are enough) or by file. It can also name all images of a prompt by
prompt id. The columns ``pick``, ``stars``, ``tags`` and ``note`` are verdicts. Any other column can be a score for
``--best``.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.export.matching import Sample
from batcher.store.picks import MOST_STARS, NO, YES

KEYS = {
    "job": ("job", "key", "job_key"),
    "file": ("file", "file_name", "filename", "path", "image"),
    "prompt_id": ("prompt_id", "id"),
}
_NAMES = frozenset(chain.from_iterable(KEYS.values()))
OUTPUT = "output_index"
COLUMNS = ("pick", "stars", "tags", "note")
_SHORTEST = 8  # least digits of a shortened job key
Place = tuple[str, int]  # job key, output index
_WORDS: Mapping[str, str | None] = {
    **dict.fromkeys(("yes", "y", "true", "1", "pick", "picked", "keep"), YES),
    **dict.fromkeys(("no", "n", "false", "0", "reject", "rejected"), NO),
    **dict.fromkeys(("", "clear", "null", "none", "undecided"), None),
}


@dataclass(slots=True)
class Scores:
    """The content of a file of scores.

    rows: the cells by image and column; verdicts as ``Verdict`` has them. columns: all names, except for those that
    name the image. unmatched: number of rows that name no image of the run. examples: the first few of them.
    """

    rows: dict[Place, dict[str, Any]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    unmatched: int = 0
    examples: list[str] = field(default_factory=list)


def read(path: Path, images: Sequence[Sample]) -> Scores:
    """Read a file of scores. images: those of the run. Raises UsageError, with the line that is wrong."""
    scores = Scores()
    index = _Index(images)
    columns: dict[str, None] = {}
    for line, row in _rows(path):
        columns.update(dict.fromkeys(row))
        places = index.find(row)
        if places is None:
            raise UsageError(
                f"{path}:{line}: this row names no image", hint=f"Give it one of the columns {', '.join(KEYS)}."
            )
        if not places:
            scores.unmatched += 1
            if len(scores.examples) < 3:
                scores.examples.append(one_line(f"{path}:{line}: {_named(row)}", 160))
        values = _checked(path, line, row)
        for place in places:
            scores.rows[place] = values
    if not scores.rows and not scores.unmatched:
        raise UsageError(f"{path} has no rows", hint="It has a header and a row for each image.")
    scores.columns = tuple(name for name in columns if name.lower() not in {*_NAMES, OUTPUT})
    return scores


class _Index:
    """Finds images by the names that a row can use."""

    def __init__(self, images: Sequence[Sample]) -> None:
        self._places: dict[str, dict[str, list[Place]]] = {kind: {} for kind in KEYS}
        for one in images:
            file = one.image.file
            names = {("job", one.image.key), ("prompt_id", one.image.prompt_id)}
            names |= {("file", alias) for alias in (file, file.removeprefix("images/"), file.rpartition("/")[2])}
            for kind, name in names:
                self._places[kind].setdefault(name, []).append(one.place)

    def find(self, row: Mapping[str, Any]) -> list[Place] | None:
        """The images that a row names; empty if the run has none of that name, None if no column names an image."""
        plain = {name.lower(): value for name, value in row.items()}
        for kind, names in KEYS.items():
            given = next((plain[name] for name in names if plain.get(name) not in {None, ""}), None)
            if given is not None:
                output = str("" if plain.get(OUTPUT) is None else plain[OUTPUT]).strip()
                places = self._called(kind, str(given).strip())
                return [place for place in places if output in {"", str(place[1])}]
        return None

    def _called(self, kind: str, name: str) -> list[Place]:
        """The images of a name. kind: one of KEYS. A shortened job key or path counts only if it fits one thing."""
        places = self._places[kind]
        if kind != "file":
            key = name.lower() if kind == "job" else name
            if key in places or kind == "prompt_id" or len(key) < _SHORTEST:
                return places.get(key, [])
            same = [whole for whole in places if whole.startswith(key)]
            return places[same[0]] if len(same) == 1 else []
        name = name.replace("\\", "/")
        ends = (name, name[max(0, name.find("images/")) :], name.rpartition("/")[2])
        return next((places[end] for end in ends if len(places.get(end, ())) == 1), [])


def _named(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if name.lower() in _NAMES and value)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (_json_rows(path, file) if path.suffix.lower() in {".jsonl", ".ndjson"} else _cells(path, file))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}", hint="Check the path.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint="Save it as UTF-8.") from None


def _json_rows(path: Path, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: this is not a JSON object", hint="One object a line.")
        yield number, row


def _cells(path: Path, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(file, strict=True, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        for row in reader:
            if None in row:
                raise UsageError(f"{path}:{reader.line_num}: more cells than the header has", hint="Quote the commas.")
            yield reader.line_num, {name.strip(): value for name, value in row.items() if value is not None}
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: {error}", hint="Check the quotes.") from None


def _checked(path: Path, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with verdicts as ``Verdict`` has them, and scores as they are. Raises UsageError."""

    def text_of(name: str) -> str:
        return "" if row[name] is None else str(row[name]).strip()

    values = dict(row)
    if "pick" in row:
        word = text_of("pick").lower()
        if word not in _WORDS:
            raise UsageError(f"{path}:{line}: pick is {row['pick']!r:.40}", hint="Write yes, no, or nothing.")
        values["pick"] = _WORDS[word]
    if "stars" in row:
        text = text_of("stars")
        number = number_of(text)
        if text and number not in range(MOST_STARS + 1):
            raise UsageError(f"{path}:{line}: stars is {text!r:.40}", hint=f"Write 0 to {MOST_STARS}, or nothing.")
        values["stars"] = None if number is None else int(number)
    if "tags" in row:
        tags = row["tags"] or []
        every = tags if isinstance(tags, list) else str(tags).replace(";", ",").split(",")
        values["tags"] = tuple(dict.fromkeys(text for tag in every if (text := str(tag).strip())))
    if "note" in row:
        values["note"] = None if row["note"] in {None, ""} else str(row["note"])
    return values


def number_of(value: Any) -> float | None:
    """A score as a number; None if it is not one."""
    try:
        number = None if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        return None
    return None if number is None or math.isnan(number) else number
