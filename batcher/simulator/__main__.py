"""``python -m batcher.simulator``: the simulator for a program that starts it.

Writes one line of JSON to standard output when it listens: ``base_url``, ``origin`` and ``pid``. Stops at SIGTERM or
SIGINT; with ``--exit-with-parent`` at the end of its standard input, which comes even if the parent is killed.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from batcher.simulator.app import Address
from batcher.simulator.journal import JournalError
from batcher.simulator.process import serve_until_stopped
from batcher.simulator.profile import Profile, ProfileError


def main() -> int:
    """Serves until it is stopped, and prints one line of JSON once it listens. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m batcher.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="YAML; see samples/simulator.yaml")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="remember requests and charges over restarts")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop at the end of standard input")
    given = parser.parse_args()
    try:
        profile = Profile.load(given.profile) if given.profile else Profile()
        serve_until_stopped(
            profile, given.host, given.port, journal=given.journal, announce=_announce,
            with_parent=given.exit_with_parent,
        )  # fmt: skip
    except (OSError, ProfileError, JournalError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


def _announce(address: Address) -> None:
    print(json.dumps({"base_url": address.base_url, "origin": address.origin, "pid": os.getpid()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
