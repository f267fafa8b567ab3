"""A manifest from memory: a dict with the YAML's keys, a list of rows or texts, or any object with rows.

It is written into the run directory, as YAML or JSON lines. So a command can resume the run, its sidecars name a source
that exists, and the same code checks and reads it as every other file. Errors name its places as Python does:
``rows[3].aspect_ratio``.
"""

import datetime as dt
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batcher.client.embedded import JOURNAL
from batcher.core.errors import ManifestError, Problem, UsageError
from batcher.core.suggest import printable
from batcher.manifest.schema.media import is_media
from batcher.manifest.yaml.places import place_in
from batcher.runner.run_dir import hold
from batcher.store import LOCK, has_state
from batcher.store.files.whole import write_whole

DEFAULT_RUN = Path("runs") / "python"  # of manifests that have no name
_ROWS, _MAPPING = "manifest.jsonl", "manifest.yaml"
_MOST_PROBLEMS = 50
_DEEPEST = 50


class Memory:
    """A manifest as text. name: of its file in the run directory. what: its name in messages, ``rows`` or ``manifest``.

    text: JSON lines for rows, JSON (which is YAML too) for a dict.
    """

    def __init__(self, name: str, what: str, text: str) -> None:
        self.name = name
        self._what = what
        self._text = text

    @contextmanager
    def placed(self, run_dir: Path) -> Iterator[str]:
        """Its path in the run directory. If the block raises, the earlier file is put back.

        Raises BusyError while another run is going there, DiskError.
        """
        path = run_dir / self.name
        with hold(run_dir):
            before = path.read_text(encoding="utf-8") if path.exists() else None
            if before != self._text:
                write_whole(path, [self._text])
        try:
            with self._translated(str(path)):
                yield str(path)
        except BaseException:
            self._take_back(run_dir, path, before)
            raise

    @contextmanager
    def aside(self, run_dir: Path) -> Iterator[Path]:
        """Its path in a temporary folder, for a plan; messages name it as in ``run_dir``."""
        with TemporaryDirectory(prefix="batcher-") as folder:
            path = Path(folder) / self.name
            path.write_text(self._text, encoding="utf-8")
            with self._translated(str(run_dir / self.name)):
                yield path

    def _take_back(self, run_dir: Path, path: Path, before: str | None) -> None:
        if not has_state(run_dir):
            with suppress(OSError):
                path.unlink()
                for name in (LOCK, JOURNAL):
                    (run_dir / name).unlink(missing_ok=True)
                for folder in (run_dir, *run_dir.parents):
                    folder.rmdir()  # as far as they are empty
        elif before is not None and before != self._text:
            write_whole(path, [before])

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except ManifestError as error:
            problems = [self._in_python(problem, path) for problem in error.problems]
            raise ManifestError(problems, total=error.total) from None

    def _in_python(self, problem: Problem, path: str) -> Problem:
        if problem.file != path:
            return problem
        place = self._what
        if problem.line:
            place = place_in(self._text, problem.line, problem.column, rows=self.name == _ROWS) or place
        return Problem(place, 0, 0, problem.what, problem.mend)


def from_python(manifest: Any) -> Memory | None:
    """The manifest as text; None for a path. Raises UsageError, and ManifestError with the places of wrong values."""
    if is_path(manifest):
        return None
    if isinstance(manifest, Mapping):
        return _mapping(manifest)
    problems: list[Problem] = []
    lines: list[str] = []
    table = getattr(manifest, "columns", None) is not None
    for number, row in enumerate(_rows(manifest)):
        lines.append(_line(row, f"rows[{number}]", problems, table=table))
    _require_none(problems)
    if not lines:
        raise ManifestError([Problem("rows", 0, 0, "there are none", "give at least one prompt")])
    return Memory(_ROWS, "rows", "".join(f"{line}\n" for line in lines))


def is_path(manifest: Any) -> bool:
    """Whether a manifest is given by its path, URL or ``-`` rather than as rows. Any text is a path."""
    return isinstance(manifest, (str, PathLike))


def _mapping(manifest: Mapping[Any, Any]) -> Memory:
    problems: list[Problem] = []
    data = _plain(manifest, "manifest", problems, 0)
    _require_none(problems)
    return Memory(_MAPPING, "manifest", json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def _require_none(problems: list[Problem]) -> None:
    if problems:
        raise ManifestError(problems[:_MOST_PROBLEMS], total=len(problems))


def _rows(manifest: Any) -> Iterator[Any]:
    """Rows of a list, a generator, a table of pandas or polars, a dataset of Hugging Face."""
    columns = getattr(manifest, "columns", None)
    if columns is not None:
        names = [str(name) for name in columns]
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise ManifestError([Problem("rows", 0, 0, f"two columns are called {printable(twice)}", "rename one")])
        if hasattr(manifest, "iter_rows"):  # polars
            yield from manifest.iter_rows(named=True)
            return
        if hasattr(manifest, "itertuples"):  # pandas
            yield from (dict(zip(names, row, strict=True)) for row in manifest.itertuples(index=False, name=None))
            return
    if not isinstance(manifest, Iterable):
        raise UsageError(
            f"a manifest can't be of type {type(manifest).__name__}",
            hint="Give a path, a dict with the YAML's keys, a list of dicts or texts, or a table with rows.",
        )
    try:
        yield from manifest
    except (ManifestError, UsageError):
        raise
    except Exception as error:
        raise UsageError(
            f"reading the rows failed: {type(error).__name__}: {error}", hint="Nothing was submitted."
        ) from error


def _line(row: Any, place: str, problems: list[Problem], *, table: bool) -> str:
    """One row as JSON. table: the row is from a table (pandas, polars), where NaN is an empty cell."""
    if isinstance(row, str):
        return json.dumps({"prompt": row}, ensure_ascii=False)
    if hasattr(row, "_asdict"):  # a named tuple
        row = row._asdict()
    if not isinstance(row, Mapping):
        problems.append(Problem(place, 0, 0, f"a row can't be of type {type(row).__name__}", "give a dict or a text"))
        return ""
    if table:
        row = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
    plain = _plain(row, place, problems, 0)
    empty = [key for key, value in plain.items() if value is None]  # an empty cell, as in a file
    return json.dumps({key: value for key, value in plain.items() if key not in empty}, ensure_ascii=False)


def _plain(value: Any, place: str, problems: list[Problem], depth: int) -> Any:
    """``value`` as JSON data; what is not is added to ``problems``."""
    if depth > _DEEPEST:
        return _wrong(problems, place, "nested too deep", "does it contain itself?")
    if isinstance(value, Mapping):
        return _object(value, place, problems, depth)
    if isinstance(value, (list, tuple, range)):
        return [_plain(one, f"{place}[{at}]", problems, depth + 1) for at, one in enumerate(value)]
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if not isinstance(value, (str, bytes, memoryview)) and hasattr(value, "tolist"):  # numbers and arrays of numpy
        return _plain(value.tolist(), place, problems, depth)
    return _leaf(value, place, problems)


def _leaf(value: Any, place: str, problems: list[Problem]) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, PathLike):
        return {"file": os.path.abspath(fspath(value))}  # noqa: PTH100  a text, which may be odd
    kind = type(value).__name__
    if isinstance(value, (float, Decimal)):
        number = float(value)
        if math.isfinite(number):
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        return _wrong(problems, place, f"{value} is not a number", "give a number, or None for an empty cell")
    if isinstance(value, (dt.date, dt.time)):
        mend = "give a text: value.isoformat()"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        mend = "give a text, or the address of a file"
    else:
        mend = "give a text, a number, a list or a dict"
    return _wrong(problems, place, f"a value of type {kind} can't be sent", mend)


def _object(value: Mapping[Any, Any], place: str, problems: list[Problem], depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, one in value.items():
        name = key if isinstance(key, str) else str(key)
        if name in values:
            _wrong(problems, place, f"two keys are called {printable(name)}", "rename one")
        if isinstance(one, (str, PathLike)) and _names_a_file(name, one, value, place):
            values[name] = os.path.abspath(fspath(one))  # noqa: PTH100  a text, which may be odd
        else:
            values[name] = _plain(one, f"{place}.{name}", problems, depth + 1)
    return values


def _names_a_file(name: str, value: str | PathLike[str], around: Mapping[Any, Any], place: str) -> bool:
    """Whether ``value`` is a path relative to the caller's folder: the manifest will be in the run directory."""
    text = fspath(value)
    if name == "file":
        return len(around) == 1 or place.startswith(("manifest.prompts", "manifest.groups"))
    return isinstance(value, str) and "://" not in text and is_media(name, {}) and os.path.isfile(text)  # noqa: PTH113


def _wrong(problems: list[Problem], place: str, what: str, mend: str) -> None:
    problems.append(Problem(place, 0, 0, what, mend))
