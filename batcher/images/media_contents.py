"""The content of files and objects that inputs name. Each is read once, and again if its size or time changes."""

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    """Reads the files of one manifest; ``record`` writes what it read into the state file.

    connection: of the state file. place: the URL that files are uploaded to, None for none.
    before: of an earlier state file that may have the contents. progress: called with the number of files read so far.

    gone: names of files that no longer exist, but whose content was uploaded earlier.
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
        self._files_read = 0
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[tuple[str, Wanted], Future[_Reading | None]] = {}
        self._sources: dict[str, media.Source] = {}
        self._contents: dict[str, media.Media] = {}
        self.gone: dict[str, None] = {}  # in order

    def ahead(self, name: str, wanted: Wanted) -> None:
        """Start to read a file or an object that will be needed soon. name: an absolute path, or a URL."""
        if self._place is None and "://" not in name:
            return  # ``of_file`` refuses it
        if (name, wanted) not in self._coming and name not in self._sources:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inputs")
            self._coming[name, wanted] = self._pool.submit(_read, name, wanted, self._before(name))

    def close(self) -> None:
        """Stop reading ahead."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            self._coming.clear()

    def of_file(self, path: str, wanted: Wanted) -> str:
        """The sha256 of a file. wanted: what the input takes. Raises Unusable."""
        if self._place is None:
            raise Unusable(NO_PLACE)
        file = self._file(path, wanted)
        return self._uploaded_earlier(path) if file is None else self._kept(path, file, wanted)

    def of_object(self, url: str, wanted: Wanted) -> str:
        """The sha256 of an object. wanted: what the input takes. Raises Unusable, DiskError, UsageError."""
        file = self._file(url, wanted)
        if file is None:
            raise Unusable("is not there: the bucket has no such object")
        return self._kept(url, file, wanted)

    def of_hash(self, sha256: str) -> str:
        """The same hash, if its content is known or was uploaded earlier. Raises Unusable."""
        if self._content(sha256) is None:
            content = None if self._place is None else uploaded(self._place, sha256)
            if content is None:
                raise Unusable(
                    "stands for a file that is not known here: write its path, or add --media with its place"
                )
            self._contents[sha256] = content
        return sha256

    def changed(self) -> bool:
        """Whether a file or object has changed since the manifest was read last."""
        if not media.is_known(self._connection):
            return False
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inputs") as pool:
            return not all(pool.map(_is_same, list(media.listed(self._connection))))

    def record(self) -> None:
        """Write what was read into the state file. Needs a transaction."""
        if not self._sources and not self._contents and not media.is_known(self._connection):
            return
        media.prepare(self._connection)
        media.unlist(self._connection)
        for source in self._sources.values():
            media.put_source(self._connection, source)
        media.put_contents(self._connection, self._contents.values())

    def warnings(self) -> tuple[str, ...]:
        """A warning about files that no longer exist, if any."""
        if not self.gone:
            return ()
        more = f" and {len(self.gone) - 1:,} more are" if len(self.gone) > 1 else " is"
        return (f"{next(iter(self.gone))}{more} gone: the copy that was uploaded earlier is used",)

    def amount(self) -> dict[str, int]:
        """Number of contents and their bytes, in all and of those to be uploaded; {} without any."""
        hashes = {source.sha256 for source in self._sources.values()}
        contents = [content for sha256 in hashes if (content := self._content(sha256))]
        if not contents:
            return {}
        new = [one for one in contents if one.place is None]
        return {
            "files": len(contents), "bytes": sum(one.bytes for one in contents),
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
        """The file or object as it was read last; None if its content is not known."""
        source = self._source(name)
        return source if source is not None and self._content(source.sha256) is not None else None

    def _file(self, name: str, wanted: Wanted) -> "_Reading | None":
        coming = self._coming.pop((name, wanted), None)
        return _read(name, wanted, self._before(name)) if coming is None else coming.result()

    def _kept(self, name: str, file: "_Reading", wanted: Wanted) -> str:
        """The sha256 of a file, which ``record`` will write. Raises Unusable if it is not what the input takes."""
        source = file.source
        content = self._content(source.sha256)
        if file.head is not None:
            self._files_read += 1
            self._progress(self._files_read)
            kind = _mime(file.head, name)
            if "://" in name:
                content = media.Media(source.sha256, source.bytes, kind, name, source.version)
            elif content is None:
                content = media.Media(source.sha256, source.bytes, kind)
        assert content is not None
        self._sources[name] = source
        self._contents[source.sha256] = content
        _check_fit(content, wanted)
        return content.sha256

    def _uploaded_earlier(self, path: str) -> str:
        """The sha256 of a file that no longer exists. Raises Unusable if it was not uploaded."""
        source = self._source(path)
        content = None if source is None else self._content(source.sha256)
        if source is None or content is None or content.place is None:
            raise Unusable("is not there: no such file")
        self.gone[path] = None
        self._sources[path] = source
        return source.sha256


class _Reading(NamedTuple):
    """A file or an object. source: as it is now. head: its first bytes if it was read just now, None if it is
    unchanged.
    """

    source: media.Source
    head: bytes | None = None


def _read(name: str, wanted: Wanted, before: media.Source | None) -> _Reading | None:
    """Read a file or an object, unless it is as ``before``; None if there is none. In any thread.

    Raises Unusable, DiskError.
    """
    version = _version(name)
    if version is None:
        return None
    if before is not None and (before.bytes, before.version) == version:
        return _Reading(before)
    _check_size(version[0], wanted)
    digest, head = hashlib.sha256(), b""
    for piece in pieces(name, wanted.most):
        head = head or piece[:HEAD]
        digest.update(piece)
    return _Reading(media.Source(name, digest.hexdigest(), *version), head)


def _version(name: str) -> tuple[int, str] | None:
    """Size in bytes, and a text that changes with the content; None if there is no such file or object.

    Raises Unusable, DiskError.
    """
    if "://" in name:
        objects, key = object_at(name)
        there = objects.stat(key)
        return None if there is None else (there.size, there.version)
    try:
        facts = os.stat(name)  # noqa: PTH116  a Path can't be made of every text
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise Unusable(f"can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(facts.st_mode):
        raise Unusable("is a folder, not a file" if stat.S_ISDIR(facts.st_mode) else "is no regular file")
    return facts.st_size, f"{facts.st_mtime_ns} {facts.st_ino}"


def pieces(name: str, most: int) -> Iterator[bytes]:
    """The content of a file or an object in pieces. Raises Unusable, also for more than ``most`` bytes; DiskError."""
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
    """The name of an uploaded file, below the place of uploads. extension: with the dot."""
    return f"sha256/{sha256[:2]}/{sha256}{extension}"


def uploaded(place: str, sha256: str) -> media.Media | None:
    """A content that an earlier run uploaded to ``place``; None if there is none."""
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


def _check_fit(content: media.Media, wanted: Wanted) -> None:
    """Raises Unusable if the input does not take this content."""
    _check_size(content.bytes, wanted)
    kind = content.mime.partition("/")[0]
    if wanted.kind is not None and kind != wanted.kind:
        raise Unusable(f"is {_KINDS.get(kind, content.mime)} by its bytes, and must be {_KINDS[wanted.kind]}")


def _check_size(size: int, wanted: Wanted) -> None:
    if not size:
        raise Unusable("is empty")
    if size > wanted.most:
        raise Unusable(f"has {size:,} bytes, and the most is {wanted.most / 1e6:,.0f} MB")


def _mime(head: bytes, name: str) -> str:
    """The media type by the first bytes. Raises Unusable if it is not an image, video or audio."""
    kind = classify(head, Announced(extension=name.rpartition(".")[2].lower()))
    if kind is None or kind.mime.partition("/")[0] not in _KINDS:
        what = "nothing known" if kind is None or kind.extension == "bin" else kind.mime
        raise Unusable(f"is not an image, video or audio file by its bytes, but {what}")
    return kind.mime
