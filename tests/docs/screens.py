"""The screens of the manual, made by runs in virtual time on a terminal of 80 columns.

``python -m tests.docs.screens`` prints them; a test compares them with the page, numbers aside.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import tempfile
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.core.folding import folded
from batcher.runner.events import Event, Noted, Ticked
from batcher.runner.progress import Bar
from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Simulator
from tests.support.stage import Came, Going, go, lines, steady
from tests.support.virtual import run

SLOW = Latency(kind="uniform", low=20.0, high=30.0)
LOST = Fault(where="submit", kind="drop_after", skip=10, count=4)


@dataclass(frozen=True)
class Screen:
    """command: as typed. at: seconds after which the picture is taken, None for the end."""

    command: str
    jobs: int
    service: dict[str, Any] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)
    at: float | None = None


def interrupted(seconds: float) -> Callable[[Going], Any]:
    async def meddle(going: Going) -> None:
        await asyncio.sleep(seconds)
        going.context.surroundings.say("stopping: Ctrl-C once more leaves at once")
        going.context.stop.request(Reason.INTERRUPTED, "interrupted")

    return meddle


SCREENS = {
    "The first run": Screen(
        "batcher run jobs/quickstart.yaml --simulate", 12, {"latency": Latency(kind="uniform", low=0.5, high=2.0)},
        {"rate": 5.0},
    ),
    "Limited by --in-flight": Screen(
        "batcher run lights.txt --rate 10/s", 220, {"latency": SLOW}, {"rate": 10.0, "in_flight": 32}, at=80.0
    ),
    "Interrupted": Screen(
        "batcher run lights.txt --rate 10/s", 220, {"latency": SLOW},
        {"rate": 10.0, "in_flight": 32, "meanwhile": interrupted(33.0)},
    ),
    "Out of balance": Screen("batcher run lights.txt", 220, {"balance": 0.3}, {"rate": 2.0}),
    "In doubt": Screen(
        "batcher run sixty.txt", 60, {"latency": Latency(kind="fixed", median=4.0), "faults": (LOST,)}, {"rate": 2.0}
    ),
}  # fmt: skip


class Terminal:
    """80 columns, through a real pseudo-terminal."""

    def __init__(self) -> None:
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._here, False)
        self.stream = os.fdopen(there, "w", encoding="utf-8")
        self._rows = [""]
        self._column = 0

    def look(self) -> list[str]:
        """The rows that are shown now."""
        self.stream.flush()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._here, 65_536):
                for char in data.decode():
                    if char == "\n":
                        self._rows.append("")
                    elif char == "\r":
                        self._column = 0
                    else:
                        self._put(char)
        return [row.rstrip() for row in self._rows if row.strip()]

    def close(self) -> None:
        self.stream.close()
        os.close(self._here)

    def _put(self, char: str) -> None:
        row = self._rows[-1].ljust(self._column)
        self._rows[-1] = row[: self._column] + char + row[self._column + 1 :]
        self._column += 1


def shown(screen: Screen) -> list[str]:
    """What stands on the terminal."""
    with contextlib.closing(Terminal()) as terminal:
        return _shown(screen, terminal)


def _shown(screen: Screen, terminal: Terminal) -> list[str]:
    taken: list[str] = []
    bar = Bar(terminal.stream)

    def hear(event: Event) -> None:
        if isinstance(event, Ticked):
            bar.show(event.snapshot)
            if screen.at is not None and event.snapshot.elapsed >= screen.at and not taken:
                taken.extend(terminal.look())
        elif isinstance(event, Noted):
            bar.say(event.text)
        terminal.look()

    async def all_of_it() -> Came:
        service = Simulator(steady(**screen.service))
        return await go(run_dir, manifest, service, hear=hear, command=screen.command, **screen.how)

    name = Path(screen.command.split()[2]).stem
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run_dir, manifest = Path("runs", name), Path(f"{name}.txt")
        manifest.write_text(lines(screen.jobs))
        came = run(all_of_it())
        bar.close(None)
        rows = taken or [*terminal.look(), *(row for line in came.summary.splitlines() for row in folded(line))]
    return [f"$ {screen.command}", *rows]


if __name__ == "__main__":
    for title, screen in SCREENS.items():
        print(f"## {title}\n\n```console", *shown(screen), "```\n", sep="\n")
