"""Where the images of a run are written: the ``Place`` protocol, and ``Shelf`` for the folder ``images``.

The name of a new folder is durable only after its parent is forced to the disk. Every thread that uses a folder for the
first time does so: another thread may have created it a moment ago without having forced it yet.
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
_MOST_FOLDERS = 4_096  # folders remembered: a run may have a million


class Taken(Exception):
    """The path belongs to another job, whose sidecar is there. job: key of the job that wanted to use it."""

    def __init__(self, job: str) -> None:
        super().__init__(job)
        self.job = job


class Put(NamedTuple):
    """An image and its sidecar that ``Place.put`` has written.

    parts: still to be forced and renamed, in this order. folder: to be forced after that. Both are empty if the files
    are safe already.
    """

    parts: tuple[Part, ...] = ()
    folder: Path | None = None


class Place(Protocol):
    """Where images and sidecars are written. Methods block, raise DiskError, and may be called from many threads.

    grouped: whether many calls of ``put`` in one thread are faster than many threads.
    """

    grouped: bool

    def relative(self, name: str) -> str:
        """The recorded name: ``images/`` and ``name``."""
        ...

    def temp(self, name: str) -> Path:
        """A local file for a body that is too large for memory."""
        ...

    def put(self, path: str, extension: str, content: bytes | Path, sidecar: Mapping[str, Any]) -> Put:
        """Write an image to ``path.extension``, then its sidecar.

        path: without extension, ``/`` between parts. content: the bytes, or the local file that holds them. Raises
        Taken if the path belongs to another job than ``sidecar["job"]``; then nothing is changed.
        """
        ...

    def put_sidecar(self, path: str, values: Mapping[str, Any]) -> None:
        """A sidecar alone; it survives a power cut when this returns."""
        ...


class Shelf:
    """The folder of images of one run.

    run_dir: the run directory. writer: in the names of its temp files, if there are several writers (``-1a2b3c4d``).
    """

    grouped = True

    def __init__(self, run_dir: Path, writer: str = "") -> None:
        self._run_dir = run_dir
        self._writer = writer
        self._root = run_dir / "images"
        self._folders: dict[str, tuple[Path, str]] = {}

    def relative(self, name: str) -> str:
        """``name`` relative to the run directory."""
        return f"images/{name}"

    def locate(self, name: str) -> Path:
        """The path of ``name`` (``/`` between parts). Creates its folder."""
        return Path(self._at(name))

    def temp(self, name: str) -> Path:
        return Path(temp_for(str(self.locate(name)), self._writer))

    def owner(self, path: str) -> str | None:
        """The key of the job whose sidecar is at ``path``; None if there is none, or it can't be read."""
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
        """The file ``path.extension`` under its temp name. content: the bytes, or a temp file that holds them."""
        stem = self._at(path)
        target = f"{stem}.{extension}"
        name = self.relative(f"{path}.{extension}")
        if isinstance(content, Path):
            return Part.of_temp(name, str(content), target)
        return Part.written(name, content, temp_for(target if extension == "json" else stem, self._writer), target)

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
        """``locate`` as text: making a Path for every file would cost more than the checksums."""
        folder, _, last = name.rpartition("/")
        descriptor = self._folders.get(folder)
        if descriptor is None:
            with disk(self.relative(name)):
                descriptor = self._folder(folder)
        return descriptor[1] + last

    def _folder(self, relative: str) -> tuple[Path, str]:
        """A folder below ``images``, created if needed: as a Path, and as text with a separator at its end."""
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
        """Raises DiskError if a link below the folder of images leads out of it. That folder itself may be a link."""
        if not leads_inside(path, os.path.realpath(self._root)):
            shown = one_line(path.relative_to(self._run_dir).as_posix(), 200)
            raise DiskError(
                f"{shown} is a link that leads out of the folder of images",
                hint="Remove the link, or give another folder with --out. Nothing was written through it.",
            )


def sweep(run_dir: Path) -> None:
    """Remove temp files of named writers. Call it when none of them runs."""
    for path in (run_dir / "images").rglob(".*.part"):
        if _MARKED.fullmatch(path.name):
            discard(path)


def sidecar_text(values: Mapping[str, Any]) -> bytes:
    """A sidecar as indented JSON, UTF-8."""
    try:
        return msgspec.json.format(msgspec.json.encode(values, enc_hook=str), indent=2) + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return encode(json.dumps(values, ensure_ascii=False, indent=2, default=str) + "\n")
