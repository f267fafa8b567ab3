"""Links to the files of a result: good ones, which hold all that the file host needs, and hostile ones.

A good link looks like the service's: two opaque path segments that end in percent-encoded ``=``, then
``output/<id>_output.<ext>``. Some HTTP libraries decode the ``%3D``; such a link works too, and is counted. A link that
was encoded once more does not work.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote
from uuid import UUID

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "wav": "wav", "mp4": "mp4"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a file. request_id: of its request. index: of the output, from 0.

    issued: Unix milliseconds, 0 for links that do not expire. form: such as ``png``.
    """

    request_id: str
    index: int
    issued: int
    form: str

    @property
    def path(self) -> str:
        first = _opaque(UUID(self.request_id).bytes)
        second = _opaque(self.index.to_bytes(1, "big") + self.issued.to_bytes(6, "big"))
        number = f"_{self.index + 1}" if self.index else ""
        return f"/files/{first}/{second}/output/{self.request_id}{number}_output.{EXTENSIONS[self.form]}"


def parse(raw_path: str) -> Link | None:
    """The link of a path as it was received; None if it is none."""
    parts = raw_path.split("/")
    if len(parts) != 6:
        return None
    form = next((form for form, ending in EXTENSIONS.items() if raw_path.endswith(f".{ending}")), "png")
    try:
        second = urlsafe_b64decode(unquote(parts[3]))
        request_id = str(UUID(bytes=urlsafe_b64decode(unquote(parts[2]))))
    except ValueError:
        return None
    link = Link(request_id, second[0], int.from_bytes(second[1:7], "big"), form) if len(second) == 7 else None
    return link if link and unquote(link.path) == unquote(raw_path) else None


def _opaque(data: bytes) -> str:
    return quote(urlsafe_b64encode(data))


def other_name(origin: str) -> str:
    """The same server under a host name that is not trusted, so that it can count who follows the link."""
    host, _, port = origin.partition("://")[2].rpartition(":")
    return f"{'127.0.0.1' if host == 'localhost' else 'localhost'}:{port}"


def hostile(kind: str, origin: str, request_id: str, to: str | None) -> str:
    """A link that must not be followed. All but ``url_file`` and ``url_data`` lead to ``/untrusted``.

    kind: of ``faults.OUTCOMES``. to: another host to lead to.
    """
    own = origin.partition("://")[2]
    port = own.rpartition(":")[2]
    path = f"/untrusted/{request_id}_output.png"
    return {
        "url_untrusted": f"http://{to or other_name(origin)}{path}",
        "url_userinfo": f"http://{own}@{to or other_name(origin)}{path}",
        "url_backslash": f"http://{to or other_name(origin)}\\@{own}{path}",
        "url_data": "data:image/png;base64,iVBORw0KGgo=",
        "url_file": "file:///etc/hostname",
        "url_ip": f"http://[::1]:{port}{path}",
        "url_number": f"http://2130706433:{port}{path}",
    }[kind]
