"""What is in the files and objects that inputs name: looked into once, remembered by their size and time."""

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.core.errors import DiskError
from batcher.images import storage
from batcher.images.kinds import HEAD, Announced, classify
from batcher.manifest.schema.media import NO_PLACE, Wanted
from batcher.manifest.schema.media_files import Unusable
from batcher.store import media

if TYPE_CHECKING:  # needs an extra
    from batcher.images.objects import Objects

_PIECE = 1 << 20
_AT_ONCE = 16
_KINDS = {"image": "an image", "video": "a film", "audio": "a sound"}


class MediaContents:
    """Reads for one reading of a manifest; what it read is written by ``record`` into the same transaction.

    place: the URL that files are uploaded to, None where there is none. before: a state file that may know them.
    progress: called with the number of files that were read.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        place: str | None,
        before: sqlite3.Connection | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._databases = [one for one in (connection, before) if one is not None and media.is_known(one)]
        self._connection = connection
        self._place = place
        self._progress = progress
        self._read = 0
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[tuple[str, Wanted], Future[_Found | None]] = {}
        self._sources: dict[str, media.Source] = {}
        self._contents: dict[str, media.Media] = {}
        self.gone: dict[str, None] = {}  # files that are not there any more, and whose content was uploaded before

    def ahead(self, name: str, wanted: Wanted) -> None:
        """Begins to read a file or an object that is asked for soon. name: an absolute path, or a URL."""
        if self._place is None and "://" not in name:
            return  # it is refused
        if (name, wanted) not in self._coming and name not in self._sources:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inputs")
            self._coming[name, wanted] = self._pool.submit(_read, name, wanted, self._before(name))

    def close(self) -> None:
        """What was begun and nobody asked for is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            self._coming.clear()

    def of_file(self, path: str, wanted: Wanted) -> str:
        """Raises Unusable."""
        if self._place is None:
            raise Unusable(NO_PLACE)
        found = self._found(path, wanted)
        return self._gone(path, self._source(path)) if found is None else self._fit(self._of(path, found), wanted)

    def of_object(self, url: str, wanted: Wanted) -> str:
        """Raises Unusable, DiskError, UsageError."""
        found = self._found(url, wanted)
        if found is None:
            raise Unusable("is not there: the bucket has no such object")
        return self._fit(self._of(url, found), wanted)

    def of_hash(self, sha256: str) -> str:
        """Raises Unusable."""
        if self._content(sha256) is None:
            content = None if self._place is None else uploaded(self._place, sha256)
            if content is None:
                raise Unusable(
                    "stands for a file that is not known here: write its path, or add --media with its place"
                )
            self._contents[sha256] = content
        return sha256

    def changed(self) -> bool:
        """Whether a file or object of the last reading is not what it was then."""
        if not media.is_known(self._connection):
            return False
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inputs") as pool:
            return not all(pool.map(_is_same, list(media.listed(self._connection))))

    def record(self) -> None:
        """Inside a transaction."""
        if not self._sources and not self._contents and not media.is_known(self._connection):
            return
        media.prepare(self._connection)
        media.unlist(self._connection)
        for source in self._sources.values():
            media.put_source(self._connection, source)
        media.put_contents(self._connection, self._contents.values())

    def warnings(self) -> tuple[str, ...]:
        """Of files that are not there any more."""
        if not self.gone:
            return ()
        more = f" and {len(self.gone) - 1:,} more are" if len(self.gone) > 1 else " is"
        return (f"{next(iter(self.gone))}{more} gone: the copy that was uploaded earlier is used",)

    def amount(self) -> dict[str, int]:
        """Of the contents of this reading: how many, their bytes, and how many have no object yet; {} for none."""
        sizes = [
            one for sha256 in {source.sha256 for source in self._sources.values()} if (one := self._content(sha256))
        ]
        if not sizes:
            return {}
        new = [one for one in sizes if one.place is None]
        return {
            "files": len(sizes), "bytes": sum(one.bytes for one in sizes),
            "to_upload": len(new), "bytes_to_upload": sum(one.bytes for one in new),
        }  # fmt: skip

    def _source(self, name: str) -> media.Source | None:
        if name in self._sources:
            return self._sources[name]
        return next((source for one in self._databases if (source := media.source(one, name))), None)

    def _content(self, sha256: str) -> media.Media | None:
        if sha256 in self._contents:
            return self._contents[sha256]
        return next((content for one in self._databases if (content := media.content(one, sha256))), None)

    def _before(self, name: str) -> media.Source | None:
        """The file or object as it was read before, None where its content is not known."""
        source = self._source(name)
        return source if source is not None and self._content(source.sha256) is not None else None

    def _found(self, name: str, wanted: Wanted) -> "_Found | None":
        coming = self._coming.pop((name, wanted), None)
        return _read(name, wanted, self._before(name)) if coming is None else coming.result()

    def _of(self, name: str, found: "_Found") -> media.Media:
        """Its content, remembered."""
        source = found.source
        content = self._content(source.sha256)
        if found.is_new:
            self._read += 1
            self._progress(self._read)
            kind = _mime(found.head, name)
            if "://" in name:
                content = media.Media(source.sha256, source.bytes, kind, name, source.version)
            elif content is None:
                content = media.Media(source.sha256, source.bytes, kind)
        assert content is not None
        self._sources[name] = source
        self._contents[source.sha256] = content
        return content

    def _gone(self, path: str, source: media.Source | None) -> str:
        content = None if source is None else self._content(source.sha256)
        if source is None or content is None or content.place is None:
            raise Unusable("is not there: no such file")
        self.gone[path] = None
        self._sources[path] = source
        return source.sha256

    def _fit(self, content: media.Media, wanted: Wanted) -> str:
        _fits_size(content.bytes, wanted)
        kind = content.mime.partition("/")[0]
        if wanted.kind is not None and kind != wanted.kind:
            raise Unusable(f"is {_KINDS.get(kind, content.mime)} by its bytes, and must be {_KINDS[wanted.kind]}")
        return content.sha256


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file or an object is now. is_new: whether it had to be read. head: its first bytes, if it was."""

    source: media.Source
    is_new: bool
    head: bytes = b""


def _read(name: str, wanted: Wanted, before: media.Source | None) -> _Found | None:
    """In any thread. None where there is none; before: what need not be read again. Raises Unusable, DiskError."""
    version = _version(name)
    if version is None:
        return None
    if before is not None and (before.bytes, before.version) == version:
        return _Found(before, is_new=False)
    _fits_size(version[0], wanted)
    digest, head = hashlib.sha256(), b""
    for piece in pieces(name, wanted.most):
        head = head or piece[:HEAD]
        digest.update(piece)
    return _Found(media.Source(name, digest.hexdigest(), *version), is_new=True, head=head)


def _version(name: str) -> tuple[int, str] | None:
    """Size, and by what a change is noticed; None where there is nothing. Raises Unusable, DiskError."""
    if "://" not in name:
        return file_version(name)
    objects, key = object_at(name)
    facts = objects.stat(key)
    return None if facts is None else (facts.size, facts.version)


def pieces(name: str, most: int) -> Iterator[bytes]:
    """The content of a file or an object. Raises Unusable also for more than ``most`` bytes; DiskError."""
    try:
        if "://" in name:
            objects, key = object_at(name)
            yield from objects.pieces(key, most)
            return
        with Path(name).open("rb") as file:
            while piece := file.read(_PIECE):
                if (most := most - len(piece)) < 0:
                    raise OverflowError
                yield piece
    except (KeyError, OverflowError):
        raise Unusable("was changed while it was read") from None
    except OSError as error:
        raise Unusable(f"can't be read: {error.strerror}") from None


def file_version(path: str) -> tuple[int, str] | None:
    """Size, and by what a change is noticed; None where there is no such file. Raises Unusable."""
    try:
        facts = os.stat(path)  # noqa: PTH116  a text, which may be odd
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise Unusable(f"can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(facts.st_mode):
        raise Unusable("is a folder, not a file" if stat.S_ISDIR(facts.st_mode) else "is no regular file")
    return facts.st_size, f"{facts.st_mtime_ns} {facts.st_ino}"


@lru_cache(maxsize=1_000)
def object_place(url: str) -> tuple[str, str]:
    """The bucket as a URL, and the name of the object in it. Raises Unusable."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not bucket or not key or set(url) & set("?#@") or ".." in key.split("/"):
        raise Unusable("names no object: write s3://bucket/path/cat.png, without credentials, ? or #")
    return f"{scheme}://{bucket}", key


def object_at(url: str) -> "tuple[Objects, str]":
    """The bucket and the name of an object in it. Raises Unusable, UsageError."""
    root, key = object_place(url)
    return storage.objects(root), key


def name_of(sha256: str, extension: str = "") -> str:
    """Below the place that media are uploaded to."""
    return f"sha256/{sha256[:2]}/{sha256}{extension}"


def uploaded(place: str, sha256: str) -> media.Media | None:
    """What an earlier run uploaded."""
    objects = storage.objects(place)
    for name in objects.names(f"sha256/{sha256[:2]}"):
        if name.startswith(name_of(sha256)) and (facts := objects.stat(name)) is not None:
            head = next(objects.pieces(name, facts.size), b"")
            return media.Media(sha256, facts.size, _mime(head[:HEAD], name), f"{place}/{name}")
    return None


def _is_same(source: media.Source) -> bool:
    try:
        return _version(source.source) == (source.bytes, source.version)
    except (Unusable, DiskError):
        return False


def _fits_size(size: int, wanted: Wanted) -> None:
    if not size:
        raise Unusable("is empty")
    if size > wanted.most:
        raise Unusable(f"has {size:,} bytes, and the most is {wanted.most / 1e6:,.0f} MB")


def _mime(head: bytes, name: str) -> str:
    """By its first bytes. Raises Unusable for what is no picture, film or sound."""
    kind = classify(head, Announced(extension=name.rpartition(".")[2].lower()))
    if kind is None or kind.mime.partition("/")[0] not in _KINDS:
        what = "nothing known" if kind is None or kind.extension == "bin" else kind.mime
        raise Unusable(f"is not an image, video or audio file by its bytes, but {what}")
    return kind.mime
