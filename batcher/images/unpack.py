"""Undoing a Content-Encoding in small steps, so that a few kilobytes can't become gigabytes before anybody counts.

We ask for none, but object stores keep files compressed and send them so whatever was asked for. The HTTP library's
own decompression is off, because it decides by itself how much to unpack at once.
"""

import zlib
from collections.abc import Iterator

from batcher.core.errors import Cause, FileUnavailable

_STEP = 1 << 18
_EITHER_HEADER = zlib.MAX_WBITS | 32  # gzip or zlib, told from the first bytes


class Unpacker:
    """Bytes from the wire in, bytes of the file out, at most 256 KiB at a time.

    Raises FileUnavailable for an encoding that is neither gzip nor deflate, and for damaged data.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        self._inflate = None if name in {"", "identity"} else zlib.decompressobj(_EITHER_HEADER)
        if self._inflate is not None and name not in {"gzip", "x-gzip", "deflate"}:
            raise _unavailable("the file came in a compression that was not asked for")

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            yield data
            return
        try:
            while not self._inflate.eof:
                piece = self._inflate.decompress(data, _STEP)
                data = self._inflate.unconsumed_tail
                yield piece
                if not data and len(piece) < _STEP:
                    return
        except zlib.error:
            raise _unavailable("the file came in a damaged compression") from None

    def finish(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            raise _unavailable("the compressed file ends too early")


def _unavailable(message: str) -> FileUnavailable:
    return FileUnavailable(Cause(kind="encoding", message=message))
