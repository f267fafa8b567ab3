"""Which pictures of a run are meant, and what each is known by. Read twice, of one moment of the state file.

The first look settles everything that has to hold for all rows (columns, names, what is missing), and writes nothing.
The second gives the pictures to be written. Between them nothing is kept for each picture but eight bytes of its
name.
"""

import json
import os
import re
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import file_digest
from json.encoder import encode_basestring
from json.scanner import make_scanner
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.errors import DiskError, UsageError
from batcher.core.naming import prompt_id
from batcher.core.where import WhereError, usage_error
from batcher.export.request import Order
from batcher.images import storage
from batcher.images.kinds import AVIF, GIF, JPEG, PNG, WEBP
from batcher.store import exporting, reading
from batcher.store.exporting import Picture
from batcher.store.files.inside import Folders, is_plain, leads_inside
from batcher.store.files.safe_reader import place_of

EXTENSIONS = {kind.mime: kind.extension for kind in (PNG, JPEG, WEBP, GIF, AVIF)}
_FACTS = ("prompt_id", "model", "width", "height", "bytes", "mime", "source", "line", "job", "file", "output_index")
_CLEAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")
_SPLIT_WORD = re.compile(
    r"(?:^|[-0-9])(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?:[-0-9]|$)", re.IGNORECASE
)
# A third of the price of json.loads, for text that we wrote.
_decode: Callable[[str, int], Any] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed: of itself


class Shot(NamedTuple):
    """A picture that is meant. name: safe for every reader, without extension; extension: as it will be written."""

    picture: Picture
    inputs: dict[str, Any]
    meta: dict[str, Any]
    split: str
    name: str
    extension: str

    @property
    def prompt(self) -> str:
        prompt = self.inputs.get("prompt")
        return prompt if isinstance(prompt, str) else ""

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that every export has beside inputs and meta."""
        picture = self.picture
        return {
            "prompt_id": picture.prompt_id,
            "model": picture.model,
            "width": picture.width,
            "height": picture.height,
            "source_sha256": picture.sha256,
            "job": picture.key,
            "output_index": picture.output_index,
        }

    @property
    def facts_as_json(self) -> str:
        """The same as the inside of a JSON object: a fifth of the price, for a hundred thousand."""
        picture = self.picture
        width, height = (picture.width, picture.height) if picture.width is not None else ("null", "null")
        return (
            f'"prompt_id":{encode_basestring(picture.prompt_id)},"model":{encode_basestring(picture.model)},'
            f'"width":{width},"height":{height},"source_sha256":"{picture.sha256}","job":"{picture.key}",'
            f'"output_index":{picture.output_index}'
        )


class Selection:
    """left: what was found but is left out, by reason; missing: examples of files that are not as recorded."""

    def __init__(self, order: Order, connection: sqlite3.Connection) -> None:
        self._order = order
        self._connection = connection
        self._root = str(order.run.absolute())
        self.simulated = bool(reading.meta(connection, "simulated"))
        self._known: set[str] = set(_FACTS)
        self._carried: set[str] = set()
        self._bad: set[tuple[int, int]] = set()
        self._folders = Folders(self._root, f"{self._root}/images")
        self._in_bucket = storage.url_of(order.run) is not None
        self._links: dict[str, str] = {}
        self.left: Counter[str] = Counter()
        self.missing: list[str] = []

    def path(self, picture: Picture) -> str:
        """Of an ordinary file: where the run has a link, of what it leads to."""
        if self._links and picture.file in self._links:
            return self._links[picture.file]
        return f"{self._root}/{picture.file}"

    def first_look(self) -> Iterator[Shot]:
        """Every picture that is meant and there. Raises UsageError at the end when ``--where`` asks for the unknown."""
        meant = storage.brought(self._order.run, self._meant(self._collect), _recorded)
        for shot in meant:
            if self._is_there(shot.picture):
                yield shot
            else:
                self._bad.add((shot.picture.job, shot.picture.output_index))
        self._check_names()

    def again(self, *, by_arrival: bool = False) -> Iterator[Shot]:
        """The same pictures."""
        for shot in self._meant(None, by_arrival=by_arrival):
            if not self._bad or (shot.picture.job, shot.picture.output_index) not in self._bad:
                yield shot

    def asked(self) -> Iterator[tuple[exporting.Asked, dict[str, Any]]]:
        """Every job that is meant, done or not, with its inputs, as far as that can be said without pictures."""
        where = self._order.where
        for job in exporting.asked(self._connection, removed=self._order.removed):
            inputs = _decode(job.inputs, 0)[0]
            if where is not None:
                facts = {"prompt_id": job.prompt_id, "model": job.model, "source": job.source, "line": job.line}
                meta = json.loads(job.meta) if job.meta else {}
                if not self._matches({**facts, **inputs, **{f"meta.{key}": value for key, value in meta.items()}}):
                    continue
            yield job, inputs

    def _meant(self, collect: Any, *, by_arrival: bool = False) -> Iterator[Shot]:
        order, where, splits = self._order, self._order.where, self._order.splits
        recoded = order.recode.kind.extension if order.recode else None
        asked = where.names if where else frozenset()
        whole = splits.names[0] if len(splits.names) == 1 else None
        carried: str | None = None  # a prompt's pictures mostly come one after the other, with one meta
        meta: dict[str, Any] = {}
        for picture in exporting.pictures(self._connection, removed=order.removed, by_arrival=by_arrival):
            inputs = _decode(picture.inputs, 0)[0]
            if picture.meta != carried:
                carried = picture.meta
                meta = _decode(carried, 0)[0] if carried else {}
            if collect is not None:
                collect(inputs, meta)
            if where is not None and not self._matches(_values(asked, picture, inputs, meta)):
                continue
            extension = EXTENSIONS.get(picture.mime)
            if extension is None:
                if collect is not None:
                    self.left["no pictures"] += 1
                continue
            split = whole or splits.of(self._group(picture, inputs, meta))
            yield Shot(picture, inputs, meta, split, name(picture), recoded or extension)

    def _matches(self, values: Mapping[str, Any]) -> bool:
        where = self._order.where
        assert where is not None
        try:
            return where(values)
        except WhereError as error:
            raise usage_error(where.text, error) from None

    def _collect(self, inputs: dict[str, Any], meta: dict[str, Any]) -> None:
        if not inputs.keys() <= self._known:
            self._known.update(inputs)
        if not meta.keys() <= self._carried:
            self._carried.update(meta)

    def _check_names(self) -> None:
        where, by = self._order.where, self._order.split_by
        self._known.update(f"meta.{key}" for key in self._carried)
        if where is not None:
            try:
                where.require(self._known)
            except WhereError as error:
                raise usage_error(where.text, error) from None
        if by != "job" and by not in self._known:
            raise UsageError(f"--split-by {by}: there is no such column", hint="Use job, prompt, or meta.NAME.")

    def _group(self, picture: Picture, inputs: dict[str, Any], meta: dict[str, Any]) -> str:
        by = self._order.split_by
        if by == "job":
            return picture.key
        value = _values((by,), picture, inputs, meta).get(by)
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

    def _is_there(self, picture: Picture) -> bool:
        """Whether the file is as recorded, as far as that shows without reading it; nothing outside is ever touched.

        What will be decoded is read: a damaged picture must be known before there is a row about it.
        """
        if self._in_bucket:
            self._links[picture.file] = str(storage.local(self._order.run, picture.file, picture.sha256))
        path = self.path(picture)
        try:
            facts = os.lstat(path)
            inside = self._in_bucket or self._is_inside(picture.file)
            if stat.S_ISLNK(facts.st_mode):
                facts = os.stat(path)  # noqa: PTH116  half of Path's price
                real = self._links[picture.file] = os.path.realpath(path)
                inside = inside and leads_inside(real, *self._folders.roots)
            fine = inside and facts.st_size == picture.bytes and stat.S_ISREG(facts.st_mode)
            fine = fine and (self._order.recode is None or _sha256(path) == picture.sha256)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            fine = False
        except OSError as error:
            raise DiskError(f"{picture.file} can't be read: {error.strerror}", hint="Check its rights.") from None
        if not fine and os.path.isfile(f"{self._root}/{place_of(picture.file)}"):  # noqa: PTH113  as above
            self.left["moved aside by batcher prune"] += 1
        elif not fine:
            self.left["missing or damaged"] += 1
            if len(self.missing) < 3:
                self.missing.append(picture.file)
        return fine

    def _is_inside(self, file: str) -> bool:
        return is_plain(file) and self._folders.is_inside(file.rpartition("/")[0])


def _recorded(shot: Shot) -> tuple[str, str | None]:
    return shot.picture.file, shot.picture.sha256


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def name(picture: Picture) -> str:
    """Words, then digits of the job: no dot (tar readers end the key there), no ``_`` (kohya drops parts behind it), no
    word that datasets takes for a split; equal for no two pictures.
    """
    words = _words(picture.prompt_id)
    number = f"-{picture.output_index + 1}" if picture.output_count > 1 else ""
    return f"{words}-{picture.key[:12]}{number}"


@lru_cache(maxsize=1024)
def _words(ident: str) -> str:
    clean = ident.replace("_", "-")
    if _CLEAN.fullmatch(clean) and not _SPLIT_WORD.search(clean):
        return clean
    return prompt_id(clean)


def _values(names: Any, picture: Picture, inputs: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for key in names:
        if key in inputs:
            values[key] = inputs[key]
        elif key.startswith("meta."):
            values[key] = meta.get(key[5:])
        elif key in _FACTS:
            values[key] = _fact(picture, key)
    return values


def _fact(picture: Picture, key: str) -> Any:
    return picture.key if key == "job" else getattr(picture, key)
