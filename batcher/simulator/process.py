"""The simulator as a process: ``batcher simulate`` and ``python -m batcher.simulator`` both serve with this."""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batcher.simulator.app import Address, serve
from batcher.simulator.profile import Profile
from batcher.simulator.service import Simulator


def serve_until_stopped(
    profile: Profile,
    host: str,
    port: int,
    *,
    journal: Path | None,
    announce: Callable[[Address], None],
    with_parent: bool = False,
) -> dict[str, Any]:
    """Serve until SIGINT or SIGTERM comes. Returns what was counted (``Simulator.stats``).

    announce: called once it listens. with_parent: ignore SIGINT, and stop when standard input ends, which it does when
    the parent process ends, in whatever way. Raises OSError if the address can't be used, JournalError.
    """
    simulator = Simulator(profile, journal=journal, salt=secrets.token_hex(4))

    async def serving() -> dict[str, Any]:
        stop = asyncio.Event()
        _stop_on(stop, with_parent=with_parent)
        async with serve(simulator, host, port) as address:
            announce(address)
            await stop.wait()
            return simulator.stats()

    return asyncio.run(serving())


def _stop_on(stop: asyncio.Event, *, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if with_parent:  # a terminal sends SIGINT to the parent too, and the parent decides what it means
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()
    else:
        loop.add_signal_handler(signal.SIGINT, stop.set)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)
