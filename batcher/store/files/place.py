"""Putting files in their place: whole or not at all, and still there after a power cut.

A file is written beside its final name, forced to the disk, and renamed over it; then the folder is forced to the disk,
because a rename lives in the folder. A new folder lives in *its* parent, so that one is forced too, and by everybody
who meets the folder for the first time: another thread may have made it a moment ago and not have got that far yet.

A file on its way is a ``Part``: written, forced, landed. The steps are apart so that many files can take each of them
together (``saving``), which costs the disk and the processor far less than one file after the other.

The temp name is made from the final name (a picture's without its extension) and nothing else, so that however often a
run is killed there is at most one left behind for each file, and the next attempt writes over it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from batcher.core.errors import DiskError
from batcher.core.one_line import one_line
from batcher.store.files.disk import create, disk, force_folder, or_discarded, temp_beside, temp_for
from batcher.store.files.part import Part, encode, sidecar_text

_KNOWN_FOLDERS = 4_096  # bounded: a run may have a folder for each of a million prompts


class Shelf:
    """The folder of images of one run. Methods block, raise DiskError, and may be called from many threads."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._root = run_dir / "images"
        self._known: dict[str, tuple[Path, str]] = {}

    def relative(self, name: str) -> str:
        """``name`` as others see it: relative to the run directory."""
        return f"images/{name}"

    def locate(self, name: str) -> Path:
        """Where ``name`` (``/`` between parts) belongs; its folder exists from now on."""
        return Path(self._at(name))

    def temp(self, name: str) -> Path:
        return temp_beside(self.locate(name))

    def owner(self, path: str) -> str | None:
        """The job whose sidecar stands at ``path`` already, None when there is none or it can't be read."""
        sidecar = f"{self._at(path)}.json"
        if not os.path.exists(sidecar):  # noqa: PTH110  nearly always: half the price of a failing open
            return None
        try:
            found = json.loads(Path(sidecar).read_bytes())
        except (OSError, ValueError):
            return None
        job = found.get("job") if isinstance(found, dict) else None
        return job if isinstance(job, str) else None

    def part(self, path: str, extension: str, content: bytes | Path) -> "Part":
        """``content``, or the temp file that it names, on its way to its final name, ``path.extension``."""
        stem = self._at(path)
        target = f"{stem}.{extension}"
        name = self.relative(f"{path}.{extension}")
        if isinstance(content, Path):
            return Part.found(name, str(content), target)
        return Part.written(name, content, temp_for(target if extension == "json" else stem), target)

    def sidecar(self, path: str, values: Mapping[str, Any]) -> "Part":
        return self.part(path, "json", sidecar_text(values))

    def put_sidecar(self, path: str, values: Mapping[str, Any]) -> None:
        part = self.sidecar(path, values)
        try:
            part.force()
            part.land()
        except BaseException:
            part.drop()
            raise

    def folder(self, path: str) -> Path:
        with disk(self.relative(path)):
            return self._folder(path.rpartition("/")[0])[0]

    def _at(self, name: str) -> str:
        """``locate`` as text: a path object for each of a job's files would cost more than their checksums."""
        folder, _, last = name.rpartition("/")
        known = self._known.get(folder)
        if known is None:
            with disk(self.relative(name)):
                known = self._folder(folder)
        return known[1] + last

    def settle(self, name: str) -> None:
        """Force the folder of ``name`` to the disk: its renames are durable from now on."""
        with disk(self.relative(name)):
            force_folder(self.locate(name).parent)

    def _folder(self, relative: str) -> tuple[Path, str]:
        """A folder below that of images, made if it must be, and the same as text with a separator behind it."""
        known = self._known.get(relative)
        if known is None:
            if len(self._known) >= _KNOWN_FOLDERS:
                self._known.clear()
            path = self._made(relative)
            known = self._known[relative] = (path, f"{path}{os.sep}")
        return known

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
        root, real = os.path.realpath(self._root), os.path.realpath(path)
        if real != root and not real.startswith(root + os.sep):
            shown = one_line(path.relative_to(self._run_dir).as_posix(), 200)
            raise DiskError(
                f"{shown} is a link that leads out of the folder of images",
                hint="Remove the link, or give another folder with --out. Nothing was written through it.",
            )


def write_whole(path: Path, chunks: Iterable[bytes | str]) -> None:
    """Replace the file at ``path`` by ``chunks``, whole or not at all, durably. A million chunks cost no memory.

    Raises DiskError; whatever ``chunks`` itself raises comes through, and the old file stays.
    """
    with disk(path.name):
        _write(path, chunks, temp_beside(path))
        force_folder(path.parent)


def _write(target: Path, chunks: Iterable[bytes | str], temp: Path) -> None:
    with or_discarded(temp):
        with os.fdopen(create(temp), "wb", buffering=1 << 17) as file:
            for chunk in chunks:
                file.write(encode(chunk) if isinstance(chunk, str) else chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, target)  # noqa: PTH105  one spelling for all renames here
