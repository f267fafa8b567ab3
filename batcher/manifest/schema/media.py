"""Inputs that are files: the service fetches them itself, so each must be a public https URL.

A URL of a private network fails at the service, after the submit, or reaches a machine of that network. A URL with a
password would put the password into requests and sidecars. Hosts are judged by their text alone: nothing is resolved.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from batcher.manifest.schema.dialect import alternatives

ADVISED = {"image": 50_000_000, "video": 100_000_000}  # bytes of one file, from the page of the service
MOST = max(ADVISED.values())
BUCKETS = ("s3://", "gs://", "az://")
_KIND_WORDS = {"video": "video", "audio": "audio", "image": "image", "mask": "image"}
_UPLOAD = "upload it with --media s3://bucket/prefix, or write its public https URL"
NO_PLACE = f"is a file on this machine, which the service can't fetch; {_UPLOAD}"
_CONTENT = re.compile(r"sha256:[0-9a-f]{64}")
_FORMATS = re.compile(r"(image|video|audio|file|mask)_ur[il]s?\Z")
_NAMES = re.compile(r"(.*_)?(image|images|video|videos|audio|audios|mask)(_ur[il]s?|_\d+)?\Z")
_URL_NAMES = re.compile(r"(image|video|audio|mask|file).*_ur[il]s?\Z")
_DATA = re.compile(r"\bdata[:\s_-]*ur[il]\b|\bbase64\b", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;|]+(?=https?://|data:|s3://|gs://|az://|file:|sha256:)", re.IGNORECASE)
_BETWEEN_FILES = re.compile(r"\s*[|;\n]\s*|,\s+")
_LOCAL = re.compile(
    r"file:|~?/(?!/)|\.{1,2}/|[A-Za-z]:[\\/]|[^/:?#]+\.(png|jpe?g|webp|gif|mp4|mov|wav|mp3)\Z", re.IGNORECASE
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\<>\"^`{|}\u0080-\u00a0\u2028\u2029]")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa", ".onion")


def is_media(name: str, schema: Any) -> bool:
    """Whether this input takes the URL of an image, a video or a sound (or a list of URLs), by its format and name."""
    if not isinstance(schema, dict):
        return False
    if any(_FORMATS.fullmatch(form) for form in _formats(schema)):
        return True
    stated = schema.get("type") or "string"
    types = stated if isinstance(stated, list) else [stated]
    may_be_url = "enum" not in schema and any(one in {"string", "array"} for one in types if isinstance(one, str))
    return may_be_url and takes_files_by_name(name)


def takes_files_by_name(name: str) -> bool:
    """Whether models mostly call inputs so that take files: ``image_url``, ``start_image``."""
    return bool(_NAMES.fullmatch(name.lower()) or _URL_NAMES.search(name.lower()))


def _formats(schema: dict[str, Any]) -> list[str]:
    return [form for form in _stated(schema, "format") if isinstance(form, str)]


def _stated(schema: dict[str, Any], *keys: str) -> Iterator[Any]:
    """The values of these keys for the input itself, its items and its alternatives."""
    for part in (schema, schema.get("items"), *alternatives(schema)):
        yield from (part.get(key) for key in keys if isinstance(part, dict))


def takes_data(schema: dict[str, Any]) -> bool:
    """Whether the schema itself says that this input may be a ``data:`` URI."""
    texts = _stated(schema, "title", "description", "format")
    return any(isinstance(text, str) and _DATA.search(text) for text in texts)


def several(text: str) -> list[str]:
    """The URLs of a cell that holds a list: blanks, line ends, commas, semicolons and ``|`` separate them. Names of
    files are separated by ``|``, semicolons, line ends, or a comma with a blank.
    """
    parts = _BETWEEN.split(text.strip())
    return [one for part in parts for one in ([part] if "://" in part else _BETWEEN_FILES.split(part)) if one]


def is_content(value: Any) -> bool:
    """Whether it is the hash of a file (``sha256:`` and 64 hex digits), which is sent as a link to that file."""
    return isinstance(value, str) and _CONTENT.fullmatch(value) is not None


def media_problem(value: Any, *, data: bool = False) -> str | None:
    """Why the service can't fetch this value, None if nothing is wrong with it. data: whether ``data:`` URIs are fine.

    value: a URL or a list of URLs.
    """
    for url in value if isinstance(value, list) else [value]:
        if not isinstance(url, str) or is_content(url):
            continue
        is_data = url[:5].lower() == "data:"
        if is_data and not data:
            return "is a data: URI, which this input does not take by its schema; it must be a public https URL"
        if not is_data and (reason := NO_PLACE if _LOCAL.match(url) else _url_problem(url)):
            return reason
    return None


def _url_problem(url: str) -> str | None:
    if _FORBIDDEN.search(url):
        return "is not a URL: it has spaces or characters in it that a URL can't have"
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "is not a readable URL; it must be a public https URL"
    if parts.scheme.lower() != "https":
        return "must be a public https URL" + (", not http" if parts.scheme.lower() == "http" else "")
    if "@" in parts.netloc:
        return "must not carry a user name or password"
    return _host_problem(host)


def _host_problem(host: str) -> str | None:
    if not host or "%" in host:
        return "has no readable host name"
    private = "points to a host that is not public, which the service can't reach"
    try:
        return None if _is_public(ipaddress.ip_address(host)) else private
    except ValueError:
        pass
    last = host.rsplit(".", 1)[-1]
    # 127.1, 2130706433 and 0x7f.1 are addresses to many HTTP libraries, in a spelling that hides them
    if last.isdigit() or last.startswith("0x"):
        return "names its host by a number in an unusual spelling"
    return private if "." not in host or host.endswith(_PRIVATE_SUFFIXES) else None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Wanted:
    """What files an input takes. kind: image, video or audio, None where nothing says so. most: bytes of one file.
    lists_only: whether even one file must be sent as a list. named_only: no schema says that it takes files, so that
    only ``file:``, bucket URLs and contents are files.
    """

    kind: str | None
    most: int
    lists_only: bool = False
    named_only: bool = False


def wanted(name: str, schema: dict[str, Any], *, lists_only: bool = False, named_only: bool = False) -> Wanted:
    """What files an input takes, by its format and name, and by the limits that the schema states."""
    words = " ".join([*_formats(schema), name.lower()])
    kind = next((kind for word, kind in _KIND_WORDS.items() if word in words), None)
    most = ADVISED.get(kind or "", MOST)
    stated = schema.get("validations")
    for rule in stated if isinstance(stated, list) else ():
        if isinstance(rule, dict) and rule.get("validation_rule") == "max_file_size_mb":
            value = rule.get("validation_value")
            most = min(most, int(value * 1_000_000)) if isinstance(value, int | float) and value > 0 else most
    return Wanted(kind, most, lists_only, named_only)
