"""A file on its way to its place: written beside it, forced to the disk, renamed over it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from batcher.store.files.disk import create, discard, disk


class Part:
    """A file that is not in its place yet. ``hint``, ``force`` and ``land`` in this order, or ``drop``.

    Methods raise DiskError, or FileRefused for a name that the disk can't have.
    """

    __slots__ = ("_handle", "_name", "_size", "_target", "_temp")

    def __init__(self, name: str, size: int | None, handle: int, temp: str, target: str) -> None:
        self._name = name
        self._size = size
        self._handle = handle
        self._temp = temp
        self._target = target

    @classmethod
    def written(cls, name: str, content: bytes, temp: str, target: str) -> "Part":
        with disk(name, len(content)):
            part = cls(name, len(content), create(temp), temp, target)
            try:
                _write_all(part._handle, content)
            except BaseException:
                part.drop()
                raise
        return part

    @classmethod
    def found(cls, name: str, temp: str, target: str) -> "Part":
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


_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode


def sidecar_text(values: Mapping[str, Any]) -> bytes:
    """JSON with one field a line: good to read, and made by the compiled encoder, which does not indent."""
    fields = ",\n".join([_field(name) + _value(value) for name, value in values.items()])
    return encode(f"{{\n{fields}\n}}\n")


def _value(value: Any) -> str:
    """What the encoder would say of it, which for what is not a text takes it longer to begin than to do."""
    if value is None:
        return "null"
    return str(value) if type(value) is int else _encoded(value)


@lru_cache(maxsize=256)
def _field(name: str) -> str:
    return f"  {_encoded(name)}: "


def encode(text: str) -> bytes:
    """UTF-8. Half a surrogate pair, which JSON text may hold, becomes the JSON escape for it."""
    return text.encode(errors="backslashreplace")


def _write_all(handle: int, content: bytes) -> None:
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])
