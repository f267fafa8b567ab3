"""Messages to people: a webhook, Apprise, a heartbeat. The edge that talks to receivers, and the only one.

A receiver may be slow, broken or hostile, and a run must not notice. So each receiver has a thread of its own with a
short queue, and nothing waits for it but ``close``, which has a deadline. The body of an answer is not read; redirects
are not followed. What goes wrong is named by host, never by URL: the paths of webhooks are secrets.

Receivers come from the environment (``BATCHER_NOTIFY``, ``BATCHER_HEARTBEAT``) or from a file that only its owner can
read, never from a flag or a manifest: those are shared, and a stranger's manifest must not call anybody.
"""

import base64
import json
import os
import queue
import re
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from batcher.client.token import TOKEN_ENV
from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.core.version import __version__
from batcher.manifest.extras import install_command
from batcher.runner.watchers import notify_child

NOTIFY, HEARTBEAT = "BATCHER_NOTIFY", "BATCHER_HEARTBEAT"
PATIENCE = 10.0  # seconds that one call may wait for a byte
LAST_WAIT = 5.0  # seconds that the end of a run waits for its messages
SHORT_WAIT = 1.5  # the same after an interruption: somebody waits, or kills after ten seconds
PULSE = 60.0  # seconds between two beats of the heart
MOST_WAITING = 20  # messages to one receiver; the oldest is dropped for a newer one
TRIES = 2
LATE = "no answer in time"  # the message was sent, and nobody knows whether it was taken
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


Sheet = Callable[[], bytes | None]  # draws the contact sheet, a JPEG; None: there is nothing to show


class Receiver(Protocol):
    """Takes one message. ``where`` names it in messages and gives no secret away."""

    where: str

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:
        """Blocks; raises OSError, HTTPException or ValueError when it did not arrive."""


class Webhook:
    """A plain webhook: a POST of ``{"text": ...}``. Further keys are left out, because some chats refuse those."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url, NOTIFY)
        self.where = host_of(url)

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:  # noqa: ARG002  it takes texts alone
        body = json.dumps({"text": f"{title}\n{text}" if text else title}).encode()
        _call(self._url, body)


class Apprise:
    """Everything else that the library Apprise knows (the extra ``notify``): mail, chats, phones."""

    def __init__(self, url: str) -> None:
        import apprise  # noqa: PLC0415  an extra

        self._url = url
        self.where = f"{one_line(url.partition(':')[0], 20)}://..."
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise UsageError(f"{NOTIFY}: Apprise can't read the {self.where} address", hint="See its manual.")

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:
        """With the contact sheet where the service takes pictures; without it where it refuses that one."""
        takes_pictures = any(service.attachment_support for service in self._apprise)
        content = sheet() if takes_pictures else None
        picture = None if content is None else base64.b64encode(content).decode()
        message = {"url": self._url, "title": title, "text": text or title, "sheet": picture}
        secrets = {*TOKEN_ENV, NOTIFY, HEARTBEAT}
        child = subprocess.run(  # noqa: S603  our own module
            [sys.executable, "-m", notify_child.__name__], input=json.dumps(message).encode(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=notify_child.MOST_SECONDS, check=False,
            env={name: value for name, value in os.environ.items() if name not in secrets},
        )  # fmt: skip
        if child.returncode:
            raise ValueError("Apprise could not deliver it")


class Line:
    """One receiver's queue and thread. ``send`` returns at once, whatever the receiver does."""

    def __init__(self, receiver: Receiver, pause: float = 2.0) -> None:
        self.where = receiver.where
        self.problem = ""  # why the last message did not arrive, empty when it did
        self._receiver = receiver
        self._pause = pause
        self._waiting: queue.Queue[tuple[str, str, Sheet] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"notify {self.where}", daemon=True)
        self._thread.start()

    def send(self, title: str, text: str, sheet: Sheet) -> None:
        self._put((title, text, sheet))

    def close(self, until: float) -> bool:
        """Whether all was tried before ``until`` (monotonic seconds). The thread is left to itself if not."""
        self._put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _put(self, item: tuple[str, str, Sheet] | None) -> None:
        while True:
            try:
                self._waiting.put_nowait(item)
                return
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None:
            for attempt in range(TRIES):
                if attempt:
                    time.sleep(self._pause)
                try:
                    self._receiver.deliver(*message)
                    self.problem = ""
                    break
                except Exception as error:  # noqa: BLE001  whatever a receiver or Apprise does, the run goes on
                    self.problem = reason(error)


class Messenger:
    """All receivers of a run. Without any, every call does nothing."""

    def __init__(self, receivers: Sequence[Receiver] = ()) -> None:
        self._lines = [Line(receiver) for receiver in receivers]

    def send(self, title: str, text: str = "", sheet: Sheet = lambda: None) -> None:
        """sheet: called in the receiver's thread, if it takes pictures at all."""
        for line in self._lines:
            line.send(title, text, sheet)

    def close(self, seconds: float = LAST_WAIT) -> list[str]:
        """Waits for what is under way, ``seconds`` at most. Returns what did not arrive, one line for each receiver."""
        until = time.monotonic() + seconds
        failed = []
        for line in self._lines:
            in_time = line.close(until)
            if not in_time or line.problem == LATE:
                failed.append(f"the message to {line.where} may still arrive: {LATE}")
            elif line.problem:
                failed.append(f"no message to {line.where}: {line.problem}")
        self._lines = []
        return failed


class Heartbeat:
    """A GET each minute while the run is alive, so that a service elsewhere can tell of a night that died.

    alive: whether the run's loop turned within the last minute; a loop that hangs has no pulse.
    """

    def __init__(self, url: str, alive: Callable[[], bool], every: float = PULSE) -> None:
        self._url = _checked(url, HEARTBEAT)
        self._alive = alive
        self._every = every
        self._over = threading.Event()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def close(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        while True:
            if self._alive():
                with suppress(OSError, HTTPException, ValueError):
                    _call(self._url, None)
            if self._over.wait(self._every):
                return


def addresses(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The addresses of ``BATCHER_NOTIFY``: themselves, or one a line in the file that it names.

    Without it, those of ``notify`` in the folder ``batcher`` of the user's configuration. Raises UsageError.
    """
    setting = environ.get(NOTIFY, "").strip()
    if "://" in setting:
        return setting.split()
    path = Path(setting).expanduser() if setting else _usual_file(environ)
    if not setting and not path.is_file():
        return []
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"{NOTIFY}: {path} can't be read: {why}", hint=f"Set {NOTIFY} to an address.") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{NOTIFY}: others can read {path}", hint=f"Addresses hold secrets: chmod 600 {path}")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def receivers(urls: Sequence[str]) -> list[Receiver]:
    """Raises UsageError for an address that nobody here can read."""
    return [_receiver(address) for address in urls]


def _receiver(address: str) -> Receiver:
    scheme = address.partition(":")[0].lower()
    if scheme in {"https", "http"}:
        return Webhook(address)
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or "://" not in address:
        raise UsageError(
            f"{NOTIFY} holds something that is not an address", hint="An address looks like https://host/path"
        )
    if find_spec("apprise") is None:
        raise UsageError(f"{NOTIFY}: {one_line(scheme, 20)}:// addresses need Apprise", hint=install_command("notify"))
    return Apprise(address)


def _usual_file(environ: Mapping[str, str]) -> Path:
    config = environ.get("XDG_CONFIG_HOME", "").strip() or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(config) / "batcher" / "notify"


def host_of(url: str) -> str:
    """Where an address leads, without what may be secret in it."""
    try:
        parts = urlsplit(url)
        return f"{one_line(parts.scheme, 20)}://{one_line(parts.hostname or '', 100)}"
    except ValueError:
        return "an address that can't be read"


def reason(error: Exception) -> str:
    """Why a message did not arrive, in words that hold no URL and nothing the receiver wrote."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, TimeoutError):
        return LATE
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror, 100)
    return type(error).__name__


class _Stay(urllib.request.HTTPRedirectHandler):
    """A message goes to where its owner sent it and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _call(url: str, body: bytes | None) -> None:
    headers = {"User-Agent": f"batcher/{__version__}", **({"Content-Type": "application/json"} if body else {})}
    request = urllib.request.Request(url, body, headers)  # noqa: S310  the scheme was checked
    with urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE):
        pass  # the status is all that counts; the body is nobody's business


def _checked(url: str, name: str) -> str:
    """Raises UsageError: a message holds what a run spends, so it is not sent in the clear."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.scheme == "https" or parts.hostname in _LOOPBACK)
        good = good and parts.port != 0 and not re.search(r"[\x00-\x20\x7f]", url)
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{name}: {host_of(url)} is not an https address", hint="Give one that begins with https://")
    return url
