"""Putting files in their place: whole or not at all, and still there after a power cut.

A file is written beside its final name, forced to the disk, and renamed over it; then the folder is forced to the disk,
because a rename lives in the folder. A new folder lives in *its* parent, so that one is forced too, and by everybody
who meets the folder for the first time: another thread may have made it a moment ago and not have got that far yet.

A file on its way is a ``Part``: written, forced, landed. The steps are apart so that many files can take each of them
together (``saving``), which costs the disk and the processor far less than one file after the other.

The temp name is made from the final name (a picture's without its extension) and nothing else, so that however often a
run is killed there is at most one left behind for each file, and the next attempt writes over it.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from batcher.errors import Cause, DiskError, FileRefused
from batcher.protocol import one_line

_KNOWN_FOLDERS = 4_096  # bounded: a run may have a folder for each of a million prompts
_BAD_NAME = frozenset([errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ])
_NO_FOLDER_SYNC = frozenset([errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF])
_HINTS = {
    errno.ENOSPC: "Make room on that disk",
    errno.EDQUOT: "Make room within your quota",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "Mount the disk writable, or give another folder with --out",
    errno.EACCES: "Make the folder writable for you",
    errno.EPERM: "Make the folder writable for you",
    errno.EMFILE: "Raise the limit on open files (ulimit -n), or use fewer --downloads",
    errno.ENFILE: "Close other programs: the whole machine is out of open files",
    errno.ENOENT: "Put the run directory back where it was: it was moved or removed during the run",
}


@contextmanager
def disk(what: str, size: int | None = None) -> Iterator[None]:
    """An OSError inside becomes a DiskError that says what was being written and what is needed.

    Except for one about the name itself, which is the fault of one file: that becomes FileRefused.
    """
    try:
        yield
    except OSError as error:
        reason = one_line(error.strerror or str(error), 200)
        if error.errno in _BAD_NAME:
            message = f"{one_line(what, 200)} can't have that name: {reason}"
            raise FileRefused(Cause(kind="bad_name", message=message)) from None
        needs = f" ({size:,} bytes)" if size else ""
        mend = _HINTS.get(error.errno or 0, "Check the disk")
        hint = f"{mend}, and run the same command again. What is saved stays saved, nothing is paid twice."
        raise DiskError(f"cannot write {one_line(what, 300)}{needs}: {reason}", hint=hint) from error


class Shelf:
    """The folder of images of one run. Methods block, raise DiskError, and may be called from many threads."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._root = run_dir / "images"
        self._known: dict[str, Path] = {}

    def relative(self, name: str) -> str:
        """``name`` as others see it: relative to the run directory."""
        return f"images/{name}"

    def locate(self, name: str) -> Path:
        """Where ``name`` (``/`` between parts) belongs; its folder exists from now on."""
        folder, _, last = name.rpartition("/")
        with disk(self.relative(name)):
            return self._folder(folder) / last

    def temp(self, name: str) -> Path:
        return temp_beside(self.locate(name))

    def owner(self, path: str) -> str | None:
        """The job whose sidecar stands at ``path`` already, None when there is none or it can't be read."""
        sidecar = self.locate(f"{path}.json")
        if not os.path.exists(sidecar):  # noqa: PTH110  nearly always: half the price of a failing open
            return None
        try:
            found = json.loads(sidecar.read_bytes())
        except (OSError, ValueError):
            return None
        job = found.get("job") if isinstance(found, dict) else None
        return job if isinstance(job, str) else None

    def part(self, path: str, extension: str, content: bytes | Path) -> "Part":
        """``content``, or the temp file that it names, on its way to its final name, ``path.extension``."""
        stem = self.locate(path)
        target = stem.with_name(f"{stem.name}.{extension}")
        name = self.relative(f"{path}.{extension}")
        if isinstance(content, Path):
            return Part.found(name, content, target)
        return Part.written(name, content, temp_beside(target if extension == "json" else stem), target)

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
        return self.locate(path).parent

    def settle(self, name: str) -> None:
        """Force the folder of ``name`` to the disk: its renames are durable from now on."""
        with disk(self.relative(name)):
            force_folder(self.locate(name).parent)

    def _folder(self, relative: str) -> Path:
        known = self._known.get(relative)
        if known is None:
            if len(self._known) >= _KNOWN_FOLDERS:
                self._known.clear()
            known = self._known[relative] = self._made(relative)
        return known

    def _made(self, relative: str) -> Path:
        if not relative:
            path = self._root
            parent = self._run_dir
        else:
            above, _, last = relative.rpartition("/")
            parent = self._folder(above)
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


class Part:
    """A file that is not in its place yet. ``hint``, ``force`` and ``land`` in this order, or ``drop``.

    Methods raise DiskError, or FileRefused for a name that the disk can't have.
    """

    __slots__ = ("_handle", "_name", "_size", "_target", "_temp")

    def __init__(self, name: str, size: int | None, handle: int, temp: Path, target: Path) -> None:
        self._name = name
        self._size = size
        self._handle = handle
        self._temp = temp
        self._target = target

    @classmethod
    def written(cls, name: str, content: bytes, temp: Path, target: Path) -> "Part":
        with disk(name, len(content)):
            part = cls(name, len(content), _create(temp), temp, target)
            try:
                _write_all(part._handle, content)
            except BaseException:
                part.drop()
                raise
        return part

    @classmethod
    def found(cls, name: str, temp: Path, target: Path) -> "Part":
        """The temp file has its content already."""
        with disk(name):
            return cls(name, None, os.open(temp, os.O_RDWR), temp, target)

    def hint(self) -> None:
        """Lets the disk begin, without waiting: what is forced later is then forced together."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def force(self) -> None:
        with disk(self._name, self._size):
            os.fsync(self._handle)

    def land(self) -> None:
        with disk(self._name, self._size):
            self._close()
            os.replace(self._temp, self._target)  # noqa: PTH105  one spelling for all renames here

    def drop(self) -> None:
        with suppress(OSError):
            self._close()
        discard(self._temp)

    def _close(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def sidecar_text(values: Mapping[str, Any]) -> bytes:
    """JSON with one field a line: good to read, and made by the compiled encoder, which does not indent."""
    fields = ",\n".join(f"  {_ENCODER.encode(name)}: {_ENCODER.encode(value)}" for name, value in values.items())
    return encode(f"{{\n{fields}\n}}\n")


def write_whole(path: Path, chunks: Iterable[bytes | str]) -> None:
    """Replace the file at ``path`` by ``chunks``, whole or not at all, durably. A million chunks cost no memory.

    Raises DiskError; whatever ``chunks`` itself raises comes through, and the old file stays.
    """
    with disk(path.name):
        _write(path, chunks, temp_beside(path))
        force_folder(path.parent)


def encode(text: str) -> bytes:
    """UTF-8. Half a surrogate pair, which JSON text may hold, becomes the JSON escape for it."""
    return text.encode(errors="backslashreplace")


def temp_beside(path: Path) -> Path:
    digits = blake2b(path.name.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return path.with_name(f".{digits}.part")


def force_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system knows how."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:  # some network file systems
            raise
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove a temp file if it can be done."""
    with suppress(OSError):
        path.unlink()


def _write(target: Path, chunks: Iterable[bytes | str], temp: Path) -> None:
    try:
        with os.fdopen(_create(temp), "wb", buffering=1 << 17) as file:
            for chunk in chunks:
                file.write(encode(chunk) if isinstance(chunk, str) else chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, target)  # noqa: PTH105  one spelling for all renames here
    except BaseException:
        discard(temp)
        raise


def _create(temp: Path) -> int:
    """A new file with the permissions that the umask gives; never through a link that somebody put there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(temp, flags, 0o666)
    except FileExistsError:  # left by a run that was killed
        discard(temp)
        return os.open(temp, flags, 0o666)


def _write_all(handle: int, content: bytes) -> None:
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])
