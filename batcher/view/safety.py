"""Decides which requests the page's server answers. Pure.

Every web page that the user opens, and every user of the machine, can reach a server on it. So the ``Host`` must be an
address of the page (which prevents DNS rebinding), an ``Origin`` must be the page's, data requires the token, and a
change requires a header that other web pages can't send.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

HEADER = "X-Batcher-Page"  # with any value: another page needs a CORS preflight to send it, and that is refused
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused. status: of the HTTP response. why: its body, one line."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one server.

    token: the secret in the page's address. port: that the server listens on.
    hosts: names and addresses of the page, with the port, in lower case.
    any_address: whether every numeric address with that port is accepted too, for a server that listens on all
    addresses. DNS rebinding works only with names.
    """

    token: str
    port: int
    hosts: frozenset[str]
    any_address: bool = False

    @classmethod
    def at(cls, token: str, host: str, port: int, machine: str = "") -> "Guard":
        """The rules of a server that listens on ``host``. machine: the name of this machine in the network."""
        names = {"127.0.0.1", "localhost", "[::1]"}
        every = host in {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
        if not every:
            names.add(f"[{host}]" if ":" in host else host)
        elif machine:
            names.add(machine)
        return cls(token, port, frozenset(f"{name}:{port}".lower() for name in names), every)

    @property
    def cookie(self) -> str:
        """The name of the cookie. It contains the port, because all ports of a host share their cookies."""
        return f"batcher-view-{self.port}"

    def is_token(self, given: str) -> bool:
        """Whether ``given`` is the token, compared in constant time."""
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def refusal(
        self, method: str, headers: Mapping[str, str], *, is_public: bool, cookie: str | None
    ) -> Refusal | None:
        """Why a request is refused; None if it may be answered.

        headers: a mapping that ignores case. is_public: whether it is for the page's own files, without data.
        cookie: the value of the cookie; None if there is none.
        """
        host = headers.get("Host", "").lower()
        if not self._is_our_host(host):
            return Refusal(403, "this is not an address of the page: open the one that `batcher view` printed")
        changes = method not in {"GET", "HEAD"}
        if not self._is_our_page(headers, host, is_open=is_public and not changes):
            return Refusal(403, "the request comes from another page")
        if changes and HEADER not in headers:
            return Refusal(403, f"a change needs the header {HEADER}")
        if changes and headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return Refusal(415, "a change is sent as application/json")
        if is_public or self._has_token(headers, cookie):
            return None
        return Refusal(401, "the token is missing: open the address that `batcher view` printed, once in this browser")

    @staticmethod
    def _is_our_page(headers: Mapping[str, str], host: str, *, is_open: bool) -> bool:
        """is_open: whether a link on another page may lead here."""
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
            return False
        return is_open or headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}

    def _is_our_host(self, host: str) -> bool:
        if host in self.hosts:
            return True
        name, colon, port = host.rpartition(":")
        if not self.any_address or not colon or port != str(self.port):
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _has_token(self, headers: Mapping[str, str], cookie: str | None) -> bool:
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        return (cookie is not None and self.is_token(cookie)) or (
            scheme.lower() == "bearer" and self.is_token(bearer.strip())
        )
