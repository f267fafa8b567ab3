"""``control.json``: the settings that ``batcher tune`` requests for a run, in progress or not.

The file is replaced as a whole and holds every request that still applies, so a restart applies them too.
``controller`` applies it.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.errors import UsageError
from batcher.core.job import utc
from batcher.core.one_line import one_line
from batcher.core.settings import Settings
from batcher.core.units import show_count, show_rate, show_usd
from batcher.store.files.disk import ordinary
from batcher.store.files.whole import write_whole

CONTROL = "control.json"
BACK = "none"  # restores the setting of the command
MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Requested settings; None: the setting of the command.

    rate: submits per second. in_flight, downloads: how many at once. budget: dollars. deadline: Unix seconds.
    paused: submit nothing new. drain: finish the jobs at the service, then end; applies once.
    at: Unix seconds of the request. reason: free text.
    """

    rate: float | None = None
    in_flight: int | None = None
    downloads: int | None = None
    budget: float | None = None
    deadline: float | None = None
    paused: bool = False
    drain: bool = False
    reason: str = ""
    at: float = 0.0

    def settings(self, settings: Settings) -> Settings:
        """The settings of a command with the requested ones applied."""
        changes = {name: getattr(self, name) for name in ("rate", "in_flight", "downloads", "budget")}
        return replace(settings, **{name: value for name, value in changes.items() if value is not None})

    def words(self, before: "Control | None" = None) -> str:
        """``rate 2/s, budget $5.00``; empty if nothing is requested. With ``resumed`` if ``before`` was paused."""
        paused = "paused" if self.paused else "resumed" if before is not None and before.paused else None
        parts = [
            None if self.rate is None else f"rate {show_rate(self.rate)}",
            None if self.in_flight is None else f"{self.in_flight:,} in flight",
            None if self.downloads is None else show_count(self.downloads, "download"),
            None if self.budget is None else f"budget {show_usd(self.budget)}",
            None if self.deadline is None else f"deadline {utc(self.deadline)}",
            paused,
        ]
        return ", ".join(part for part in parts if part)

    def asked(self, before: "Control | None" = None) -> str:
        """What is requested, as a sentence without its end, with the reason."""
        drained = "finish what is at the service, then end"
        words = drained if self.drain else self.words(before) or "as the command says"
        return words + (f" ({self.reason})" if self.reason else "")


def read_control(run_dir: Path) -> Control:
    """Read the file. Raises UsageError if it is not valid."""
    path = run_dir / CONTROL
    try:
        with open(path, "rb", opener=ordinary) as file:
            facts = json.loads(file.read(MOST_BYTES))
        return _control(facts)
    except FileNotFoundError:
        return Control()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} can't be used: {one_line(str(error), 200)}",
            hint=f"`{command_line('tune', run_dir)}` writes it. Remove it to run as the command says.",
        ) from None


def control_now(run_dir: Path) -> Control:
    """The same for messages: an empty Control if the file is not valid."""
    try:
        return read_control(run_dir)
    except UsageError:
        return Control()


def write_control(run_dir: Path, control: Control) -> None:
    """Replace the file, whole or not at all. Raises DiskError."""
    write_whole(run_dir / CONTROL, [json.dumps(asdict(control), indent=2) + "\n"])


def _control(facts: Any) -> Control:
    """Raises ValueError, TypeError."""
    if not isinstance(facts, dict):
        raise TypeError("it is not a JSON object")
    control = Control(**{name: value for name, value in facts.items() if name in Control.__slots__})
    for name in ("rate", "budget", "deadline", "at"):
        value = getattr(control, name)
        if value is not None and (isinstance(value, bool) or not math.isfinite(value) or value < 0):
            raise ValueError(f"`{name}` is {value!r}, which is not a number of 0 or more")
    if control.rate == 0:
        raise ValueError("`rate` is 0; use `paused` to stop submits")
    for name in ("in_flight", "downloads"):
        value = getattr(control, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"`{name}` is {value!r}, which is not a whole number of 1 or more")
    for name in ("paused", "drain"):
        if getattr(control, name) not in {True, False}:
            raise ValueError(f"`{name}` is not true or false")
    return replace(control, reason=one_line(str(control.reason), 500))
