"""Sends messages to people: through a webhook or Apprise. Also sends the heartbeat.

A slow, broken or hostile receiver must not disturb a run. So each receiver has its own thread with a short queue, and
only ``close`` waits for it, up to a deadline. The body of an answer is not read, and redirects are not followed. Error
messages name the host, never the URL, because the path of a webhook is a secret.

Receivers come from the environment (``BATCHER_NOTIFY``, ``BATCHER_HEARTBEAT``) or from a file that only its owner can
read, never from a flag or a manifest: people share those, and a stranger's manifest must not send messages.
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
PULSE = 60.0  # seconds between two heartbeats
MOST_WAITING = 20  # messages in the queue of one receiver; a newer one replaces the oldest
TRIES = 2
LATE = "no answer in time"  # the message was sent, and it is unknown whether it arrived
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


Sheet = Callable[[], bytes | None]  # draws the contact sheet, a JPEG; None if there is no image


class Receiver(Protocol):
    """Sends messages to one address. ``where`` names it without a secret."""

    where: str

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:
        """Send one message. Blocks. Raises OSError, HTTPException or ValueError if it did not arrive."""


class Webhook:
    """A plain webhook: a POST of ``{"text": ...}``, without further keys, because some chats refuse those.

    url: secret. Raises UsageError if it is not one.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url, NOTIFY)
        self.where = host_of(url)

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:  # noqa: ARG002  it takes texts alone
        body = json.dumps({"text": f"{title}\n{text}" if text else title}).encode()
        _call(self._url, body)


class Apprise:
    """Every other kind of address, by the library Apprise (the extra ``notify``): mail, chats, phones.

    url: secret. Raises UsageError if Apprise can't read it, ImportError if it is not installed.
    """

    def __init__(self, url: str) -> None:
        import apprise  # noqa: PLC0415  an extra

        self._url = url
        self.where = f"{one_line(url.partition(':')[0], 20)}://..."
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise UsageError(f"{NOTIFY}: Apprise can't read the {self.where} address", hint="See its manual.")

    def deliver(self, title: str, text: str, sheet: Sheet) -> None:
        """The contact sheet is attached if the service takes attachments; if it refuses this one, only text is sent."""
        takes_images = any(service.attachment_support for service in self._apprise)
        content = sheet() if takes_images else None
        image = None if content is None else base64.b64encode(content).decode()
        message = {"url": self._url, "title": title, "text": text or title, "sheet": image}
        secrets = {*TOKEN_ENV, NOTIFY, HEARTBEAT}
        child = subprocess.run(  # noqa: S603  our own module
            [sys.executable, "-m", notify_child.__name__], input=json.dumps(message).encode(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=notify_child.MOST_SECONDS, check=False,
            env={name: value for name, value in os.environ.items() if name not in secrets},
        )  # fmt: skip
        if child.returncode:
            raise ValueError("Apprise could not deliver it")


class Line:
    """The queue and the thread of one receiver. ``send`` returns at once. pause: seconds between two tries."""

    def __init__(self, receiver: Receiver, pause: float = 2.0) -> None:
        self.where = receiver.where
        self.problem = ""  # why the last message did not arrive, empty if it did
        self._receiver = receiver
        self._pause = pause
        self._waiting: queue.Queue[tuple[str, str, Sheet] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"notify {self.where}", daemon=True)
        self._thread.start()

    def send(self, title: str, text: str, sheet: Sheet) -> None:
        self._put((title, text, sheet))

    def close(self, until: float) -> bool:
        """Wait for the queued messages until ``until`` (monotonic seconds). False if the thread is still at work."""
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
                except Exception as error:  # noqa: BLE001  no error of a receiver or of Apprise may end the run
                    self.problem = reason(error)


class Messenger:
    """Sends each message to all receivers of a run, each in its own thread. receivers: none for no messages."""

    def __init__(self, receivers: Sequence[Receiver] = ()) -> None:
        self._lines = [Line(receiver) for receiver in receivers]

    def send(self, title: str, text: str = "", sheet: Sheet = lambda: None) -> None:
        """Queue one message. sheet: called in the thread of a receiver that takes images."""
        for line in self._lines:
            line.send(title, text, sheet)

    def close(self, seconds: float = LAST_WAIT) -> list[str]:
        """Wait up to ``seconds`` for queued messages. Returns a line for each receiver whose message did not arrive."""
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
    """Sends a GET every minute while the run is alive, so that a monitoring service notices a run that died.

    url: of that service. alive: whether the event loop of the run made progress in the last minute. every: seconds.
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
    """The addresses in ``BATCHER_NOTIFY``, or in the file that it names, one a line.

    If it is not set: those in the file ``batcher/notify`` of the user's configuration. Raises UsageError.
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
    """A receiver for each address. Raises UsageError for one of an unknown kind."""
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
    """Scheme and host of an address: the part that holds no secret."""
    try:
        parts = urlsplit(url)
        return f"{one_line(parts.scheme, 20)}://{one_line(parts.hostname or '', 100)}"
    except ValueError:
        return "an address that can't be read"


def reason(error: Exception) -> str:
    """Why a message did not arrive, without a URL and without any text of the receiver."""
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
    """Follows no redirect: a message goes only to the address that its owner gave."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _call(url: str, body: bytes | None) -> None:
    headers = {"User-Agent": f"batcher/{__version__}", **({"Content-Type": "application/json"} if body else {})}
    request = urllib.request.Request(url, body, headers)  # noqa: S310  the scheme was checked
    with urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE):
        pass  # only the status counts


def _checked(url: str, name: str) -> str:
    """The URL, if it is https or on this machine. name: of the variable. Raises UsageError: messages are encrypted,
    because they say what a run costs.
    """
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.scheme == "https" or parts.hostname in _LOOPBACK)
        good = good and parts.port != 0 and not re.search(r"[\x00-\x20\x7f]", url)
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{name}: {host_of(url)} is not an https address", hint="Give one that begins with https://")
    return url
