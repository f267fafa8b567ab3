"""Starts the page's server, prints its address, and runs it until it is interrupted."""

import asyncio
import errno
import gc
import os
import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from aiohttp import web

from batcher.core.errors import UsageError
from batcher.view.runs import Runs
from batcher.view.safety import Guard
from batcher.view.server import Server

PORT = 8642  # unless it is taken; fixed, for tunnels and bookmarks
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What to listen on.

    host: name or address; beyond loopback the page is open to everyone who has its whole address. port: None for PORT,
    or any other port if it is taken. browser: whether to open a browser.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    browser: bool = True


async def serve(
    paths: Sequence[Path],
    address: Address,
    say: Callable[[str], None],
    *,
    read_only: bool = False,
    with_parent: bool = False,
) -> None:
    """Serve the page until it is interrupted. Raises UsageError.

    paths: as for ``Runs``. say: prints a line for the user; the first line is the page's URL.
    read_only: whether the page can change nothing.
    with_parent: whether to stop also when standard input ends, as it does when the parent ends, even by ``kill -9``.
    """
    gc.set_threshold(200_000, 20, 20)  # cuts the time to make the index of 100,000 images by a third
    runs = Runs(paths)
    token = secrets.token_urlsafe(24)
    asyncio.get_running_loop().set_default_executor(_Threads(thread_name_prefix="page"))
    listening = _listen(address)
    port = int(listening.getsockname()[1])
    server = Server(runs, Guard.at(token, address.host, port, socket.gethostname()), read_only=read_only)
    runner = web.AppRunner(server.app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        url = f"http://{_shown(address.host)}:{port}/#{token}"
        say(url)
        runs.prepare()
        _say_more(address, port, url, say)
        await _interrupted(with_parent=with_parent)
    finally:
        await runner.cleanup()


class _Threads(ThreadPoolExecutor):
    """Threads that the event loop does not wait for when it closes."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        super().shutdown(wait=False, cancel_futures=True)


def _say_more(address: Address, port: int, url: str, say: Callable[[str], None]) -> None:
    if address.host not in _LOOPBACK:
        say(f"Listening on {address.host}: whoever can reach this machine and has the address above sees the images.")
        say(f"Safer: without --host, and `ssh -L {port}:127.0.0.1:{port}` from the other machine.")
    say("Ctrl-C ends the page; a run goes on without it.")
    if address.browser:
        with suppress(webbrowser.Error):
            webbrowser.open(url)


async def _interrupted(*, with_parent: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    if with_parent:
        Thread(target=_at_end_of_input, args=(loop, stop), daemon=True).start()
    await stop.wait()


def _at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    with suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(stop.set)


def _shown(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104  compared, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listen(address: Address) -> socket.socket:
    try:
        return _bound(address.host, PORT if address.port is None else address.port)
    except OSError as error:
        if address.port is None and error.errno == errno.EADDRINUSE:
            return _bound(address.host, 0)
        is_lost = isinstance(error, socket.gaierror)
        why = error.strerror if is_lost else os.strerror(error.errno or 0)
        if is_lost or error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise UsageError(
                f"--host {address.host}: {why}", hint="Give an address of this machine, or leave it out."
            ) from None
        raise UsageError(f"port {address.port} can't be used: {why}", hint="--port 0 picks a free one.") from None


def _bound(host: str, port: int) -> socket.socket:
    family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # so that :: takes IPv4 too
    return socket.create_server(where, family=family, backlog=128, dualstack_ipv6=both)
