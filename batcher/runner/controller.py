"""Applies ``control.json`` to a run in progress: it checks the file four times a second.

It records each applied request in the state file, with time and reason.
"""

from dataclasses import asdict, replace
from functools import partial
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.control import Control, Obeyed
from batcher.core.errors import UsageError
from batcher.core.job import utc
from batcher.core.settings import Settings
from batcher.runner.control import BACK, CONTROL, read_control
from batcher.runner.events import Steered
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason
from batcher.store import StateFile

MOST_HISTORY = 200  # changes kept in the state file


class Controller:
    """context: of the run. commanded: the settings of the command. control: what the file asked for at the start."""

    def __init__(self, context: RunContext, commanded: Settings, control: Control) -> None:
        self._context = context
        self._run_dir = context.table.state.path.parent
        self._commanded = commanded
        self._control = control
        self._file_seen: tuple[int, int, int] | None = None  # None: read it again
        self._deadline_of_command = context.clock.past_deadline
        self._apply(control)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            facts = (self._run_dir / CONTROL).stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    async def obey(self) -> str | None:
        """Apply changes of the file; call it often. Returns them in words, or None. Raises DiskError."""
        seen = self._stat()
        if seen == self._file_seen:
            return None
        self._file_seen = seen
        try:
            control = read_control(self._run_dir)
        except UsageError as error:
            return f"{error.message}; going on as before"
        if control == self._control:
            return None
        before, self._control = self._control, control
        self._apply(control)
        context = self._context
        context.surroundings.tell(_steered(before, control, context.clock.wall()))
        if control.drain:
            why = f": {control.reason}" if control.reason else ""
            context.stop.request(Reason.DRAINED, f"was asked to finish what is at the service, then end{why}")
        await context.table.queue.durable(_acknowledge, context.table.state, control, context.clock.wall())
        words = f"tuned: {control.asked(before)}"
        return f"{words}; `{command_line('tune', self._run_dir, '--resume')}` resumes it" if control.paused else words

    def _apply(self, control: Control) -> None:
        context, clock, flow = self._context, self._context.clock, self._context.flow
        settings = control.settings(self._commanded)
        if settings.rate != flow.submits.ceiling:
            flow.submits.change(settings.rate, clock.now())
        context.settings = settings
        flow.slots.size = settings.in_flight
        flow.downloads.size = context.engine.resize(settings.downloads)
        context.money.budget.ceiling = settings.budget
        context.money.moved.set()
        deadline = control.deadline
        clock.past_deadline = self._deadline_of_command if deadline is None else lambda: clock.wall() >= deadline
        if control.paused:
            flow.going.clear()
            why = f" ({control.reason})" if control.reason else ""
            context.tally.control_note = f"paused{why}"
        else:
            flow.going.set()
            context.tally.control_note = ""


def _steered(before: Control, now: Control, at: float) -> Steered:
    """The event with the settings that differ."""
    names = {"rate": "rate", "in_flight": "in_flight", "downloads": "downloads", "budget": "budget_usd"}
    changed = {name for name in Control.__slots__ if getattr(now, name) != getattr(before, name)}
    changes: dict[str, Any] = {word: getattr(now, name) for name, word in names.items() if name in changed}
    if "deadline" in changed:
        changes["deadline"] = None if now.deadline is None else utc(now.deadline)
    changes = {name: BACK if value is None else value for name, value in changes.items()}
    if now.drain:
        changes["drain"] = True
    return Steered(changes=changes, paused=now.paused if "paused" in changed else None, reason=now.reason, at=at)


def _acknowledge(state: StateFile, control: Control, now: float) -> None:
    """Record the applied request with its time, and the earlier one in the history."""
    obeyed = Obeyed(**asdict(control), obeyed_at=utc(now))
    state.change_facts(
        lambda facts: replace(facts, control=obeyed, control_history=(*facts.control_history, obeyed)[-MOST_HISTORY:])
    )


def is_paused(state: StateFile, control: Control, now: float) -> bool:
    """Whether a run must not start because it is paused; records the request. Raises DiskError."""
    if control == Control():
        return False
    state.must_commit([partial(_acknowledge, state, control, now)])
    return control.paused
