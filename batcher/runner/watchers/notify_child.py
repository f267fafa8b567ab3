"""Sends one message through Apprise in its own process (``python -m``), because the receiver can be hostile.

It reads JSON from standard input (``url``, ``title``, ``text``, ``sheet``: a JPEG in base64, or null), and exits with 0
if the message was delivered. It limits its own time and memory: the parent process may be gone, and Apprise would read
an endless answer whole.
"""

import base64
import json
import signal
import sys
from contextlib import suppress
from typing import Any

MOST_SECONDS = 30
MOST_MEMORY = 1 << 30  # bytes of address space


def main() -> int:
    """Delivers the message. Returns the exit code: 0 if it arrived. Without the sheet if that is refused."""
    _bound()
    import apprise  # noqa: PLC0415  an extra
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

    message = json.load(sys.stdin)
    receiver = apprise.Apprise()
    receiver.add(message["url"])
    if message["sheet"] is not None:
        kind: Any = AttachMemory  # it has no types
        sheet = kind(content=base64.b64decode(message["sheet"]), name="contact-sheet.jpg", mimetype="image/jpeg")
        if receiver.notify(title=message["title"], body=message["text"], attach=sheet):
            return 0
    return 0 if receiver.notify(title=message["title"], body=message["text"]) else 1


def _bound() -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(MOST_SECONDS)
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  where there is one

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


if __name__ == "__main__":
    sys.exit(main())
