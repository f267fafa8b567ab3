r"""Which hosts files may come from.

The danger is a URL that two parsers read differently: the check sees one host, and the request goes to another
(``https://runcomfy.net\@evil.example``, user names, characters that only look like a full stop). So a URL is refused
unless its host is plain: ASCII letters, digits, ``-``, ``_`` and ``.``, or an IP literal in brackets. The URL is then
parsed by the HTTP library's own parser (yarl), which must find the same scheme, host and port. The object that yarl
made is the one that is requested.

The path keeps its percent-encoding: output links have ``%3D``, which must not be encoded again. Only characters that a
request can't have (blanks, letters outside ASCII) are encoded.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import quote

from yarl import URL

from batcher.core.errors import Cause, FileRefused, UsageError
from batcher.core.one_line import one_line

_DOMAINS = ("runcomfy.net", "runcomfy.com")
_LONGEST = 8_192
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?"
_PLAIN_URL = re.compile(
    rf"(?P<scheme>[A-Za-z]+)://(?P<host>{_NAME}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?(?=[/?#]|\Z)"
)
_HOST_PORT = re.compile(rf"(?P<host>{_NAME}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_ASCII = "".join(chr(code) for code in range(0x21, 0x7F))
_USUAL_PORTS = {"https": 443, "http": 80}


class Trust:
    """The hosts that files may come from: ``runcomfy.net``, ``runcomfy.com`` and all below them by https on port 443,
    and ``extra_hosts``.

    extra_hosts: each ``host`` or ``host:port``, by http too, on any port unless one is given; IP addresses are allowed
    (``127.0.0.1:8000``, ``[::1]:8000``). Raises UsageError for a text that can't be a host.
    """

    def __init__(self, extra_hosts: Sequence[str] = ()) -> None:
        self._extra = tuple(_extra(text) for text in extra_hosts)

    def __repr__(self) -> str:
        return f"<Trust {', '.join([*_DOMAINS, *(host for host, _ in self._extra)])}>"

    def check(self, url: str) -> URL:
        """The URL to request. Raises FileRefused."""
        if len(url) > _LONGEST or _FORBIDDEN.search(url):
            raise _refused("the link holds control characters or a backslash, or is too long")
        match = _PLAIN_URL.match(url)
        if match is None:
            raise _refused(f"not a plain web link: {_shown(url)}")
        scheme, host = match["scheme"].lower(), _canonical(match["host"])
        port = int(match["port"]) if match["port"] else _USUAL_PORTS.get(scheme, 0)
        if not self._trusted(scheme, host, port):
            raise _refused(
                f"{scheme}://{one_line(match['host'], 100)}:{port} is not a trusted file host (--trust-host)"
            )
        return _as_requested(url, scheme, host, port)

    def _trusted(self, scheme: str, host: str, port: int) -> bool:
        if scheme == "https" and port == 443 and any(host == d or host.endswith(f".{d}") for d in _DOMAINS):
            return len(host) <= 253 and all(0 < len(label) <= 63 for label in host.split("."))
        return scheme in _USUAL_PORTS and any(host == name and number in {None, port} for name, number in self._extra)


def _as_requested(url: str, scheme: str, host: str, port: int) -> URL:
    """The URL as yarl parses it. Raises FileRefused if it finds another scheme, host or port."""
    try:
        ascii_url = quote(url.partition("#")[0], safe=_ASCII, errors="surrogateescape")
        parsed = URL(ascii_url, encoded=True)
        same = (parsed.scheme, _canonical(parsed.raw_host or ""), parsed.port) == (scheme, host, port)
    except (ValueError, UnicodeError):
        same = False
    if not same or parsed.user is not None or parsed.password is not None:
        raise _refused(f"not a plain web link: {_shown(url)}")
    return parsed


def _extra(text: str) -> tuple[str, int | None]:
    """Host and port, None for any port. Raises UsageError."""
    bracketed = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    match = _HOST_PORT.fullmatch(bracketed.strip())
    host = _canonical(match["host"]) if match else ""
    port = int(match["port"]) if match and match["port"] else None
    if not host or (port is not None and not 0 < port < 65_536):
        raise UsageError(
            f"{one_line(text, 100)!r} is not a host to trust",
            hint="Give a host or host:port, such as files.example.org or 127.0.0.1:8000 (no https://, no *).",
        )
    return host, port


@lru_cache(maxsize=256)
def _canonical(host: str) -> str:
    """One spelling of each host: lower case, IPv6 in its shortest form, without brackets."""
    bare = host.strip("[]").lower()
    try:
        return str(ip_address(bare))
    except ValueError:
        return "" if ":" in bare else bare


def _shown(url: str) -> str:
    """The URL for a message, without query and fragment, which may hold a secret signature."""
    return one_line(re.split(r"[?#]", url, maxsplit=1)[0], 80)


def _refused(message: str) -> FileRefused:
    return FileRefused(Cause(kind="untrusted_host", message=message))
