"""``control.json``: the settings that ``batcher tune`` requests for a run, in progress or not.

The file is replaced as a whole and holds every request that still applies, so a restart applies them too.
``controller`` applies it.
"""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from batcher.core.command_line import command_line
from batcher.core.control import Control
from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.store.files.disk import ordinary
from batcher.store.files.whole import write_whole

CONTROL = "control.json"
BACK = "none"  # restores the setting of the command
MOST_BYTES = 65_536


_ANALYSED = msgspec.json.Decoder(Control)  # at a first use in two threads msgspec 0.22 ends the process


def read_control(run_dir: Path) -> Control:
    """Read the file. Raises UsageError if it is not valid."""
    path = run_dir / CONTROL
    try:
        with open(path, "rb", opener=ordinary) as file:
            facts = json.loads(file.read(MOST_BYTES))
        return _control(facts)
    except FileNotFoundError:
        return Control()
    except (OSError, ValueError, msgspec.ValidationError, RecursionError) as error:
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
    """Raises ValueError, ValidationError."""
    control = msgspec.convert(facts, Control)
    for name in ("rate", "budget", "deadline", "at"):
        value = getattr(control, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"`{name}` is {value!r}, which is not a number of 0 or more")
    if control.rate == 0:
        raise ValueError("`rate` is 0; use `paused` to stop submits")
    for name in ("in_flight", "downloads"):
        value = getattr(control, name)
        if value is not None and value < 1:
            raise ValueError(f"`{name}` is {value!r}, which is not a whole number of 1 or more")
    return replace(control, reason=one_line(control.reason, 500))
