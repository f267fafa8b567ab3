"""Media inputs that are files, given by a path or by the URL of an object in a bucket.

In a job's inputs the hash of the content (``sha256:...``) takes the place of ``{file: cat.png}``, a bare path or
``s3://bucket/cat.png``. So a file that is moved or renamed is the same job, and an edited one is another. The link that
the service gets is made at the submit and is no part of the job.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from batcher.core.suggest import printable
from batcher.manifest.schema.media import BUCKETS, Wanted, is_content

_CELL = re.compile(r"\{\s*[\"']?file[\"']?\s*:\s*(.+?)\s*\}", re.DOTALL)
_FILE = "file:"
_SCHEME = re.compile(r"(https?:|data:)", re.IGNORECASE)
_MOST_KEPT = 100_000  # files whose content is kept in memory


class Unusable(Exception):
    """Why a file can't be an input, in words that follow the input's name."""


class Contents(Protocol):
    """Hashes files and objects (hex of the SHA-256), and remembers the hashes. Each ``of_`` method raises Unusable."""

    def ahead(self, name: str, wanted: Wanted) -> None: ...  # a path or an object whose hash is needed soon

    def of_file(self, path: str, wanted: Wanted) -> str: ...

    def of_object(self, url: str, wanted: Wanted) -> str: ...

    def of_hash(self, sha256: str) -> str: ...


class Unread:
    """Stands for the contents of files that are not read, when a manifest is only checked for mistakes."""

    def ahead(self, name: str, wanted: Wanted) -> None: ...

    def of_file(self, path: str, wanted: Wanted) -> str:  # noqa: ARG002  the protocol's
        return "0" * 64

    def of_object(self, url: str, wanted: Wanted) -> str:  # noqa: ARG002
        return "0" * 64

    def of_hash(self, sha256: str) -> str:
        return sha256


def as_text(value: Any) -> Any:
    """``{file: cat.png}`` (a mapping, or the text of a cell) becomes ``file:cat.png``, in a list too."""
    if isinstance(value, list):
        return [as_text(one) for one in value]
    if isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
        return _FILE + value["file"]
    if isinstance(value, str) and value[:1] == "{" and (match := _CELL.fullmatch(value.strip())):
        return _FILE + match[1].strip("\"'")
    return value


class MediaFiles:
    """The files that inputs of a manifest are.

    base: the folder that names are relative to; None for a manifest from a URL, which may name no file of this machine.
    contents: None where files can't be uploaded; then they are not looked into.
    """

    def __init__(self, base: str | None, contents: Contents | None) -> None:
        self._base, self._contents = base, contents
        self._kept: dict[tuple[str, Wanted], tuple[str, str | None]] = {}

    def sent(self, value: Any, wanted: Wanted) -> Any:
        """The value as it stands among a job's inputs; the name of a file that can't be used stays."""
        if wanted.lists_only and isinstance(value, str):
            value = [value]
        return _each(value, lambda text: self._content(text, wanted)[0])

    def reason(self, value: Any, wanted: Wanted) -> str | None:
        """What is wrong with the files of a value, in words that follow the input's name."""
        return next((why for text in _texts(value) if (why := self._content(text, wanted)[1])), None)

    def _content(self, text: str, wanted: Wanted) -> tuple[str, str | None]:
        if self._contents is None or not _is_file(text, wanted):
            return text, None
        key = (text, wanted)
        content = self._kept.get(key)
        if content is None:
            try:
                content = f"sha256:{self._hash(text, wanted, self._contents)}", None
            except Unusable as error:
                content = text, f"{printable(label(text))} {error}"
            if len(self._kept) < _MOST_KEPT:
                self._kept[key] = content
        return content

    def stop_reading(self) -> None:
        """From now on files are not read, as no jobs are made of the rows that name them."""
        if self._contents is not None:
            self._contents = Unread()

    def ahead(self, value: Any, wanted: Wanted) -> None:
        """Says that the files of a value are needed soon."""
        if self._contents is None:
            return
        for text in _texts(as_text(value)):
            if _is_file(text, wanted) and not is_content(text) and (text, wanted) not in self._kept:
                with suppress(Unusable):
                    self._contents.ahead(self._whole(text), wanted)

    def _hash(self, text: str, wanted: Wanted, contents: Contents) -> str:
        if is_content(text):
            return contents.of_hash(text.removeprefix("sha256:"))
        name = self._whole(text)
        return contents.of_object(name, wanted) if "://" in name else contents.of_file(name, wanted)

    def _whole(self, text: str) -> str:
        """The absolute path, or the URL of an object. Raises Unusable."""
        if text.startswith(BUCKETS):
            return text
        name = label(text)
        if "://" in name:
            raise Unusable(f"must be a file, an object ({', '.join(BUCKETS)}) or a public https URL")
        if self._base is None:
            why = "is a file on this machine, and a manifest from a URL can't use one; write https:// or s3://"
            raise Unusable(why)
        if not name or "\0" in name:
            raise Unusable("names no file")
        return os.path.abspath(os.path.join(self._base, os.path.expanduser(name)))  # noqa: PTH100, PTH111, PTH118  a text, which may be odd


def names_of(value: Any, wanted: Wanted) -> str | list[str] | None:
    """The names of the files in a value, as they were written: None for none, a text for one, a list for several."""
    names = [label(text) for text in _texts(value) if _is_file(text, wanted) and not is_content(text)]
    return names if len(names) > 1 else next(iter(names), None)


def _is_file(text: str, wanted: Wanted) -> bool:
    """Whether it stands for a file or an object, and is not sent as it is."""
    if wanted.named_only:
        return text.startswith((_FILE, *BUCKETS)) or is_content(text)
    return not _SCHEME.match(text)


def shown(value: Any) -> Any:
    """A value as file names and ids have it: ``file:cats/a.png`` is ``cats/a.png``."""
    return _each(value, label)


def label(text: str) -> str:
    """The name of a file as it was written."""
    return text.removeprefix("file://").removeprefix(_FILE)


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, list):
        return [change(one) if isinstance(one, str) else one for one in value]
    return change(value) if isinstance(value, str) else value


def _texts(value: Any) -> Iterator[str]:
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
