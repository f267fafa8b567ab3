"""``python -m batcher.simulator``: the simulator as a process of its own, for a program that starts it.

Says where it listens in one JSON line on standard output, and nothing else. Stops at SIGTERM or SIGINT; with
``--exit-with-parent`` at the end of its standard input, which comes however the parent ends, ``kill -9`` included.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from batcher.simulator.app import serve
from batcher.simulator.journal import JournalError
from batcher.simulator.profile import Profile, ProfileError
from batcher.simulator.service import Simulator


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        profile = Profile.load(options.profile) if options.profile else Profile()
        asyncio.run(_run(options, profile))
    except (OSError, ProfileError, JournalError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batcher.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="YAML; see samples/simulator.yaml")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="remember requests and charges over restarts")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop at the end of standard input")
    return parser


async def _run(options: argparse.Namespace, profile: Profile) -> None:
    stop = asyncio.Event()
    _stop_on(stop, with_parent=options.exit_with_parent)
    simulator = Simulator(profile, journal=options.journal, salt=secrets.token_hex(4))
    async with serve(simulator, options.host, options.port) as address:
        place = {"base_url": address.base_url, "origin": address.origin, "pid": os.getpid()}
        sys.stdout.write(json.dumps(place) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _stop_on(stop: asyncio.Event, *, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if not with_parent:
        loop.add_signal_handler(signal.SIGINT, stop.set)
        return
    # Ctrl-C goes to everybody in the terminal's process group: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    sys.exit(main())
