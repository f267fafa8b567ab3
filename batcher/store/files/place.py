"""Where the pictures of a run go: a ``Place``, here the folder ``images`` of the run directory.

A new folder lives in *its* parent, so that one is forced to the disk too, and by everybody who meets the folder for the
first time: another thread may have made it a moment ago and not have got that far yet.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from batcher.core.errors import DiskError
from batcher.core.one_line import one_line
from batcher.store.files.disk import discard, disk, force_folder, temp_for
from batcher.store.files.inside import leads_inside
from batcher.store.files.whole import Part, encode

_MARKED = re.compile(r"\.[0-9a-f]{16}-[0-9a-f]{8}\.part")
_MOST_FOLDERS = 4_096  # bounded: a run may have a folder for each of a million prompts


class Taken(Exception):
    """The sidecar of another job stands at this path. job: the one that wanted it."""

    def __init__(self, job: str) -> None:
        super().__init__(job)
        self.job = job


class Put(NamedTuple):
    """A picture with its sidecar. parts: what is still to be forced and renamed, in this order; folder: then forced.

    Of a place where both are safe already: no parts, and no folder.
    """

    parts: tuple[Part, ...] = ()
    folder: Path | None = None


class Place(Protocol):
    """Where pictures and their sidecars go. Methods block, raise DiskError, and may be called from many threads.

    grouped: whether many ``put``s in one thread are cheaper than many threads.
    """

    grouped: bool

    def relative(self, name: str) -> str:
        """The recorded name: ``images/`` and ``name``."""
        ...

    def temp(self, name: str) -> Path:
        """A local file for a body that is too big for memory."""
        ...

    def put(self, path: str, extension: str, content: bytes | Path, sidecar: Mapping[str, Any]) -> Put:
        """The picture to ``path.extension``, then its sidecar. path: without extension, ``/`` between parts.

        content: the bytes, or the local file that holds them. Raises Taken when the path belongs to another job
        (``sidecar["job"]`` says which one this is): nothing of it was changed.
        """
        ...

    def put_sidecar(self, path: str, values: Mapping[str, Any]) -> None:
        """A sidecar alone; it survives a power cut when this returns."""
        ...


class Shelf:
    """The folder of images of one run. mark: in the names of temp files, for one of several writers (``-1a2b3c4d``)."""

    grouped = True

    def __init__(self, run_dir: Path, mark: str = "") -> None:
        self._run_dir = run_dir
        self._mark = mark
        self._root = run_dir / "images"
        self._folders: dict[str, tuple[Path, str]] = {}

    def relative(self, name: str) -> str:
        """``name`` as others see it: relative to the run directory."""
        return f"images/{name}"

    def locate(self, name: str) -> Path:
        """Where ``name`` (``/`` between parts) belongs; its folder exists from now on."""
        return Path(self._at(name))

    def temp(self, name: str) -> Path:
        return Path(temp_for(str(self.locate(name)), self._mark))

    def owner(self, path: str) -> str | None:
        """The job whose sidecar stands at ``path`` already, None when there is none or it can't be read."""
        sidecar = f"{self._at(path)}.json"
        if not os.path.exists(sidecar):  # noqa: PTH110  nearly always: half the price of a failing open
            return None
        try:
            values = json.loads(Path(sidecar).read_bytes())
        except (OSError, ValueError):
            return None
        job = values.get("job") if isinstance(values, dict) else None
        return job if isinstance(job, str) else None

    def part(self, path: str, extension: str, content: bytes | Path) -> Part:
        """``content``, or the temp file that it names, on its way to its final name, ``path.extension``."""
        stem = self._at(path)
        target = f"{stem}.{extension}"
        name = self.relative(f"{path}.{extension}")
        if isinstance(content, Path):
            return Part.of_temp(name, str(content), target)
        return Part.written(name, content, temp_for(target if extension == "json" else stem, self._mark), target)

    def put(self, path: str, extension: str, content: bytes | Path, sidecar: Mapping[str, Any]) -> Put:
        job = sidecar.get("job")
        owner = self.owner(path)
        if owner is not None and isinstance(job, str) and owner != job:
            raise Taken(job)
        image = self.part(path, extension, content)
        try:
            return Put((image, self.sidecar(path, sidecar)), self.folder(path))
        except BaseException:
            image.drop()
            raise

    def sidecar(self, path: str, values: Mapping[str, Any]) -> Part:
        return self.part(path, "json", sidecar_text(values))

    def put_sidecar(self, path: str, values: Mapping[str, Any]) -> None:
        part = self.sidecar(path, values)
        try:
            part.force()
            part.land()
            with disk(self.relative(path)):
                force_folder(self.locate(path).parent)
        except BaseException:
            part.drop()
            raise

    def folder(self, path: str) -> Path:
        with disk(self.relative(path)):
            return self._folder(path.rpartition("/")[0])[0]

    def _at(self, name: str) -> str:
        """``locate`` as text: a path object for each of a job's files would cost more than their checksums."""
        folder, _, last = name.rpartition("/")
        descriptor = self._folders.get(folder)
        if descriptor is None:
            with disk(self.relative(name)):
                descriptor = self._folder(folder)
        return descriptor[1] + last

    def _folder(self, relative: str) -> tuple[Path, str]:
        """A folder below that of images, made if it must be, and the same as text with a separator behind it."""
        descriptor = self._folders.get(relative)
        if descriptor is None:
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            path = self._made(relative)
            descriptor = self._folders[relative] = (path, f"{path}{os.sep}")
        return descriptor

    def _made(self, relative: str) -> Path:
        if not relative:
            path = self._root
            parent = self._run_dir
        else:
            above, _, last = relative.rpartition("/")
            parent, _ = self._folder(above)
            path = parent / last
        with suppress(FileExistsError):
            path.mkdir()
        self._check_inside(path)
        force_folder(parent)
        return path

    def _check_inside(self, path: Path) -> None:
        """The folder of images may itself be a link (to a bigger disk); nothing below it may lead out of it."""
        if not leads_inside(path, os.path.realpath(self._root)):
            shown = one_line(path.relative_to(self._run_dir).as_posix(), 200)
            raise DiskError(
                f"{shown} is a link that leads out of the folder of images",
                hint="Remove the link, or give another folder with --out. Nothing was written through it.",
            )


def sweep(run_dir: Path) -> None:
    """Removes what marked writers that are no more had not finished."""
    for path in (run_dir / "images").rglob(".*.part"):
        if _MARKED.fullmatch(path.name):
            discard(path)


def sidecar_text(values: Mapping[str, Any]) -> bytes:
    """Indented JSON."""
    try:
        return msgspec.json.format(msgspec.json.encode(values, enc_hook=str), indent=2) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair
        return encode(json.dumps(values, ensure_ascii=False, indent=2, default=str) + "\n")
