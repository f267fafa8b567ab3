"""Who may ask the page's server for what. Pure: a request's facts in, a refusal in words out.

A server on this machine can be reached by every web page that its user opens, and by every user of the machine. So:
the ``Host`` must be one of ours (a name that somebody rebinds to 127.0.0.1 is not), an ``Origin`` must be ours, data is
for whoever has the token, and a change needs a header that a foreign page can't send.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

HEADER = "X-Batcher-Page"  # its value does not matter: a foreign page would have to ask first, and is not answered
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
    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Guard:
    """hosts: names and addresses that the page is reached by, with the port. any_address: also every numeric address
    with that port, for a server that listens on all of them (a number can't be rebound).
    """

    token: str
    port: int
    hosts: frozenset[str]
    any_address: bool = False

    @classmethod
    def at(cls, token: str, host: str, port: int, machine: str = "") -> "Guard":
        """host: what the server listens on. machine: the name of this machine, for others."""
        names = {"127.0.0.1", "localhost", "[::1]"}
        every = host in {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
        if not every:
            names.add(f"[{host}]" if ":" in host else host)
        elif machine:
            names.add(machine)
        return cls(token, port, frozenset(f"{name}:{port}".lower() for name in names), every)

    @property
    def cookie(self) -> str:
        """Cookies of one host are shared between its ports, so the name holds the port."""
        return f"batcher-view-{self.port}"

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def refusal(
        self, method: str, headers: Mapping[str, str], *, is_public: bool, cookie: str | None
    ) -> Refusal | None:
        """None for a request that may be answered. headers: any case. is_public: the page's own files, no data."""
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
        """is_open: also for whoever follows a link from another page."""
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
