"""Prompt files: read as a stream of text, hashed, and refused if they are not text.

No line is held in memory before its length is checked.
"""

import codecs
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import BinaryIO

from batcher.core.errors import DiskError, ManifestError
from batcher.manifest.problems import failure

LONGEST_LINE = 4 * 2**20  # bytes
_CHUNK = 128 * 1024
_PIECE = 1024 * 1024
_MAGIC = {
    b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"GIF8": "a GIF image", b"RIFF": "a RIFF media file",
    b"PK\x03\x04": "a zip archive or an Office document", b"\xd0\xcf\x11\xe0": "an old Office document",
    b"\x1f\x8b": "gzip-compressed", b"(\xb5/\xfd": "zstd-compressed", b"BZh": "bzip2-compressed",
    b"%PDF": "a PDF document", b"SQLite format 3\0": "an SQLite database", b"PAR1": "a Parquet file",
    b"\x7fELF": "a program",
}  # fmt: skip


class Source:
    """One file. path: where its bytes are. label: how messages and sidecars name it."""

    def __init__(self, path: str, label: str) -> None:
        self.path, self.label = path, label

    @contextmanager
    def text(self) -> Iterator[io.TextIOWrapper]:
        """The file as text, with its line ends. Raises ManifestError for what is not text or can't be read."""
        with self._opened() as raw:
            guard = _Guarded(raw, self)
            buffered = io.BufferedReader(guard, _CHUNK)
            buffered.peek(1)  # the first bytes show the encoding
            with io.TextIOWrapper(buffered, encoding=guard.encoding, errors="strict", newline="") as stream:
                try:
                    yield stream
                except UnicodeDecodeError as error:
                    raise guard.undecodable(buffered.tell(), error) from None
                except OSError as error:
                    raise self.unreadable(error) from None

    def start(self, most: int = 2**16) -> bytes:
        """The first bytes of the file. Raises ManifestError."""
        with self._opened() as raw:
            try:
                return raw.read(most)
            except OSError as error:
                raise self.unreadable(error) from None

    def hash(self, progress: Callable[[int], None] | None = None) -> str:
        """BLAKE2b-128 of the file, in hex. progress: called with the number of bytes so far. Raises ManifestError."""
        digest, read = blake2b(digest_size=16), 0
        with self._opened() as raw:
            try:
                while chunk := raw.read(_PIECE):
                    digest.update(chunk)
                    read += len(chunk)
                    if progress:
                        progress(read)
            except OSError as error:
                raise self.unreadable(error) from None
        return digest.hexdigest()

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            raw = open(self.path, "rb", buffering=0)  # noqa: SIM115, PTH123  closed below; buffered further up
        except OSError as error:
            raise self.unreadable(error) from None
        with raw:
            yield raw

    def failure(self, what: str, mend: str, line: int = 0, column: int = 0) -> ManifestError:
        """The error of a problem after which nothing is left to read. line, column: 0 for the file as a whole."""
        return failure(self.label, line, column, what, mend)

    def unreadable(self, error: OSError) -> ManifestError:
        if isinstance(error, FileNotFoundError):
            return self.failure("there is no such file", "check the path and the working directory")
        return self.failure(f"can't be read ({error.strerror})", "check the file and its permissions")


def _encoding(start: bytes) -> str:
    if start[:3] == codecs.BOM_UTF8:
        return "utf-8-sig"
    return "utf-16" if start[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8"


class _Guarded(io.RawIOBase):
    """Bytes for the decoder, refused if they are not text or have no line ends. raw: those of the file.

    encoding: by the byte order mark; utf-8 without one. source: of the file, for messages.
    """

    def __init__(self, raw: BinaryIO, source: Source) -> None:
        self._raw, self._source = raw, source
        self._run = self._read = 0
        self.encoding = "utf-8"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer of bytes
        chunk = self._raw.read(len(buffer))
        buffer[: len(chunk)] = chunk
        if not self._read:
            self._refuse_known(chunk)
            self.encoding = _encoding(chunk)
        wide = self.encoding == "utf-16"
        if not wide and (at := chunk.find(b"\0")) >= 0:
            what = f"is a binary file: it has a zero byte at offset {self._read + at}"
            raise self._source.failure(what, "give text in UTF-8, or in UTF-16 with a byte order mark")
        self._refuse_endless(chunk, wide=wide)
        self._read += len(chunk)
        return len(chunk)

    def _refuse_known(self, chunk: bytes) -> None:
        kind = next((kind for magic, kind in _MAGIC.items() if chunk.startswith(magic)), None)
        if kind:
            mend = "give a text file of prompts"
            if "Parquet" in kind:
                mend = "read it with --format parquet"
            elif "Office" in kind:
                mend = "a spreadsheet is read with --format xlsx; or save it as CSV UTF-8"
            raise self._source.failure(f"is {kind}, a binary file", mend)

    def _refuse_endless(self, chunk: bytes, *, wide: bool) -> None:
        # A single 0x0A byte ends no line in UTF-16: it is also half of every letter of Gurmukhi.
        ends = (b"\n\0", b"\0\n", b"\r\0", b"\0\r") if wide else (b"\n", b"\r")
        end = max(map(chunk.rfind, ends))
        self._run = len(chunk) - end - 1 if end >= 0 else self._run + len(chunk)
        if self._run > LONGEST_LINE:
            what = f"has a line of more than {LONGEST_LINE // 2**20} MB, at offset {self._read}"
            raise self._source.failure(what, "break it up: a prompt may have 1 MB at most")

    def tell(self) -> int:
        return self._read

    def undecodable(self, read: int, error: UnicodeDecodeError) -> ManifestError:
        """The error for the first byte that is not text. read: number of bytes that the decoder was given."""
        offset = read - len(error.object) + error.start
        if self.encoding == "utf-16":
            return self._source.failure(f"is not UTF-16: {error.reason}", "save it as UTF-8")
        line, column = self._place_of(offset)
        what = f"is not UTF-8: byte 0x{error.object[error.start]:02X} at offset {offset}"
        return self._source.failure(what, "save it as UTF-8 (in Excel: Save As, CSV UTF-8)", line, column)

    def _place_of(self, offset: int) -> tuple[int, int]:
        """Line and column (in characters) of a byte. offset: of the byte in the file."""
        self._raw.seek(0)
        line, start = 1, b""
        while chunk := self._raw.read(min(_CHUNK, offset)):
            offset -= len(chunk)
            _, newline, rest = chunk.rpartition(b"\n")
            start = rest if newline else start + chunk
            line += chunk.count(b"\n")
        return line, len(start.decode("utf-8", "replace")) + 1


def hash_of_all(sources: Iterable[tuple[str, Source]]) -> str:
    """A hash of names and the bytes of the file that each names, in hex. Raises ManifestError."""
    total = blake2b(digest_size=16)
    for name, source in sources:
        total.update(f"{name}\0{source.hash()}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


class Spool:
    """Keeps what can be read only once (standard input, a pipe) in a temporary file, as manifests are read twice."""

    def __init__(self) -> None:
        self._path: str | None = None

    @property
    def is_used(self) -> bool:
        return self._path is not None

    def keep(self, stream: BinaryIO) -> str:
        """Copies a stream to the file and returns its path. Raises DiskError."""
        try:
            with tempfile.NamedTemporaryFile(prefix="batcher-manifest-", delete=False) as file:
                self._path = file.name
                shutil.copyfileobj(stream, file)
        except OSError as error:
            self.close()
            raise DiskError(f"the manifest could not be kept in a temporary file ({error.strerror})") from None
        return file.name

    def keep_pipe(self, path: str) -> str:
        """``path`` itself; the path of a copy if it is a pipe or a device."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116  a text, which may be odd
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                return path
            with open(path, "rb") as stream:  # noqa: PTH123
                return self.keep(stream)
        except (OSError, ValueError):
            return path  # the reader reports it

    def close(self) -> None:
        """Removes the file. May be called twice."""
        if self._path is not None:
            path, self._path = self._path, None
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108
