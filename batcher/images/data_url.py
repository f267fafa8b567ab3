"""Outputs that are in the service's answer, as ``data:`` URLs (RFC 2397), instead of a link."""

import base64
import binascii
import hashlib
import re
from urllib.parse import unquote_to_bytes

from batcher.core.errors import Cause, FileRefused
from batcher.images.kinds import Announced

_SHAPE = re.compile(
    r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?P<options>(?:;[\w.+-]+(?:=[^;,]*)?)*),", re.IGNORECASE | re.ASCII
)


def is_data_url(url: str) -> bool:
    """Whether a URL has its content in itself. It may still be malformed."""
    return url[:5].lower() == "data:"


def data_url(url: str) -> tuple[Announced, bytes]:
    """The kind that a ``data:`` URL announces, and its content. Raises FileRefused."""
    shape = _SHAPE.match(url)
    if shape is None:
        raise _refused("the output is a data: URL without a comma")
    content = url[shape.end() :]
    try:
        if ";base64" in shape["options"].lower():
            plain = unquote_to_bytes(content).translate(None, b" \t\r\n").translate(bytes.maketrans(b"-_", b"+/"))
            data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
        else:
            data = unquote_to_bytes(content)
    except (binascii.Error, UnicodeError):
        raise _refused("the output is a data: URL that is not base64, though it says so") from None
    return Announced((shape["mime"] or "text/plain").lower()), data


def without_content(url: str) -> str:
    """The URL for sidecars and records: a link as it is; of a ``data:`` URL, its type and its hash."""
    if not is_data_url(url):
        return url
    head = url[:200].partition(",")[0]
    return f"{head},sha256={hashlib.sha256(url.encode(errors='surrogatepass')).hexdigest()}"


def _refused(message: str) -> FileRefused:
    return FileRefused(Cause(kind="data_url", message=message))
