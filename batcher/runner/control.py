"""``control.json``: what ``batcher tune`` asks of a run, going or not.

The file is written whole and holds all that was ever asked and still counts, so a restart knows it too. A going run
looks at it four times a second, obeys, and acknowledges it in the state file with the time and the reason.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.job import utc
from batcher.core.one_line import one_line
from batcher.core.settings import Settings
from batcher.core.units import show_count, show_rate, show_usd
from batcher.runner.events import Steered
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason
from batcher.store import StateFile
from batcher.store.files.whole import write_whole

CONTROL = "control.json"
BACK = "none"  # gives a setting back to the command
MOST_BYTES = 65_536
MOST_HISTORY = 200  # changes that the state file remembers


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a person asks for; None where the command that runs decides.

    rate: submits per second. in_flight, downloads: how many at once. budget: dollars. deadline: Unix seconds.
    paused: submit nothing new until it is taken back. drain: finish what is at the service, then end; once.
    at: Unix seconds, when it was asked. reason: in a person's words.
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
        """The settings of a command, as far as nothing else was asked for."""
        changes = {name: getattr(self, name) for name in ("rate", "in_flight", "downloads", "budget")}
        return replace(settings, **{name: value for name, value in changes.items() if value is not None})

    def words(self) -> str:
        """``rate 2/s, budget $5.00``; empty when nothing is asked for."""
        parts = [
            None if self.rate is None else f"rate {show_rate(self.rate)}",
            None if self.in_flight is None else f"{self.in_flight:,} in flight",
            None if self.downloads is None else show_count(self.downloads, "download"),
            None if self.budget is None else f"budget {show_usd(self.budget)}",
            None if self.deadline is None else f"deadline {utc(self.deadline)}",
            "paused" if self.paused else None,
        ]
        return ", ".join(part for part in parts if part)


def read_control(run_dir: Path) -> Control:
    """Raises UsageError for a file that is not one of ours."""
    path = run_dir / CONTROL
    try:
        with path.open("rb") as file:
            facts = json.loads(file.read(MOST_BYTES))
        return _control(facts)
    except FileNotFoundError:
        return Control()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} can't be used: {one_line(str(error), 200)}",
            hint=f"`batcher tune {run_dir}` writes it. Remove it to run as the command says.",
        ) from None


def write_control(run_dir: Path, control: Control) -> None:
    """Whole or not at all. Raises DiskError."""
    write_whole(run_dir / CONTROL, [json.dumps(asdict(control), indent=2) + "\n"])


def _control(facts: Any) -> Control:
    """Raises ValueError, TypeError."""
    if not isinstance(facts, dict):
        raise TypeError("it is no JSON object")
    control = Control(**{name: value for name, value in facts.items() if name in Control.__slots__})
    for name in ("rate", "budget", "deadline", "at"):
        value = getattr(control, name)
        if value is not None and (isinstance(value, bool) or not math.isfinite(value) or value < 0):
            raise ValueError(f"`{name}` is {value!r}, which is no number from 0 on")
    if control.rate == 0:
        raise ValueError("`rate` is 0; `paused` stops submits")
    for name in ("in_flight", "downloads"):
        value = getattr(control, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"`{name}` is {value!r}, which is no number from 1 on")
    for name in ("paused", "drain"):
        if getattr(control, name) not in {True, False}:
            raise ValueError(f"`{name}` is not true or false")
    return replace(control, reason=one_line(str(control.reason), 500))


class Controller:
    """Obeys the file while a run goes. commanded: the settings of the command. began: Unix seconds, of this process."""

    def __init__(self, context: RunContext, run_dir: Path, commanded: Settings, control: Control) -> None:
        self._context = context
        self._run_dir = run_dir
        self._commanded = commanded
        self._control = control
        self._looks: tuple[int, int, int] | None = None  # it may have changed since it was read: look once more
        self._told = context.past_deadline
        self._apply(control)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            facts = (self._run_dir / CONTROL).stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    async def obey(self) -> str | None:
        """To be called often. What was changed, in words; None when nothing was. Raises DiskError."""
        looks = self._look()
        if looks == self._looks:
            return None
        self._looks = looks
        try:
            control = read_control(self._run_dir)
        except UsageError as error:
            return f"{error.message}; going on as before"
        if control == self._control:
            return None
        before, self._control = self._control, control
        self._apply(control)
        context = self._context
        context.tell(_steered(before, control, context.wall()))
        if control.drain:
            why = f": {control.reason}" if control.reason else ""
            context.stop.request(Reason.DRAINED, f"asked to finish what is at the service and end{why}")
        await context.queue.durable(_acknowledge, context.state, control, context.wall())
        asked = "end when what is at the service is here" if control.drain else control.words() or "as the command says"
        return f"tuned: {asked}" + (f" ({control.reason})" if control.reason else "")

    def _apply(self, control: Control) -> None:
        context, now = self._context, self._context.now()
        settings = control.settings(self._commanded)
        if settings.rate != context.pace.ceiling:
            context.pace.change(settings.rate, now)
        context.settings = settings
        context.slots.size = settings.in_flight
        context.downloads.size = context.engine.resize(settings.downloads)
        context.budget.ceiling = settings.budget
        context.money_moved.set()
        deadline = control.deadline
        context.past_deadline = self._told if deadline is None else lambda: context.wall() >= deadline
        if control.paused:
            context.go_on.clear()
            why = f" ({control.reason})" if control.reason else ""
            context.tally.control_note = f"paused{why}: batcher tune {self._run_dir} --resume goes on"
        else:
            context.go_on.set()
            context.tally.control_note = ""


def _steered(before: Control, now: Control, at: float) -> Steered:
    """What is another now."""
    names = {"rate": "rate", "in_flight": "in_flight", "downloads": "downloads", "budget": "budget_usd"}
    changed = {name for name in Control.__slots__ if getattr(now, name) != getattr(before, name)}
    changes: dict[str, Any] = {said: getattr(now, name) for name, said in names.items() if name in changed}
    if "deadline" in changed:
        changes["deadline"] = None if now.deadline is None else utc(now.deadline)
    changes = {name: BACK if value is None else value for name, value in changes.items()}
    if now.drain:
        changes["drain"] = True
    return Steered(changes=changes, paused=now.paused if "paused" in changed else None, reason=now.reason, at=at)


def _acknowledge(state: StateFile, control: Control, now: float) -> None:
    """Notes what is obeyed, since when, and what was before."""
    obeyed = {**asdict(control), "obeyed_at": utc(now)}
    state.change_facts(
        lambda facts: replace(facts, control=obeyed, control_history=(*facts.control_history, obeyed)[-MOST_HISTORY:])
    )


def is_paused(state: StateFile, control: Control, now: float) -> bool:
    """Whether a run is not to start; what it is asked for is acknowledged. Raises DiskError."""
    if control == Control():
        return False
    state.must_commit([partial(_acknowledge, state, control, now)])
    return control.paused
