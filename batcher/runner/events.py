"""Events of a run, for its observers: the page, the Python API, notifications, metrics, a log.

An observer is a function of one event. It is called on the event loop, after the event is recorded on disk, and must
return at once. An exception in an observer is a defect and ends the run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from batcher.core.job import Artifact, Entry, State
from batcher.core.tally import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNamed:
    """The run directory is known. Sent before the manifest is read, so before ``RunBegan``, which may never be sent.

    at: Unix seconds, as in all events.
    """

    run_dir: Path
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """The run begins to work. manifest: as named. model: the model id. simulated: whether by the simulator.

    total: jobs of the manifest, or those within ``--limit``. at: Unix seconds. price_usd: of one image. budget_usd: the
    most that may be spent. None if there is none.
    """

    run_dir: Path
    manifest: str
    model: str
    total: int
    simulated: bool
    at: float
    price_usd: float | None = None
    budget_usd: float | None = None


class JobMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A job changed its state from ``before`` to ``entry.state``. artifacts: its files, once it is done. at: Unix
    seconds.
    """

    entry: Entry
    before: State
    artifacts: Sequence[Artifact] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Progress of the run; sent four times a second. snapshot: of the moment ``at``, in Unix seconds."""

    snapshot: Snapshot
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """A submit cost nothing: the service refused it (rate, token, balance), or it was never sent.

    entry: the job as submitted; it is pending again. refused: False if it was never sent. why: in words.
    """

    entry: Entry
    refused: bool
    why: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """A person or a program changed settings of the run.

    changes: new values by name; "none" means the value in the command.
    paused: True if this paused the run, False if it resumed it, None if neither.
    reason: as given with ``tune``, "" for none. at: Unix seconds.
    """

    changes: Mapping[str, Any]
    paused: bool | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A message for a person, such as a warning. text: one line or more, safe to print. name: name of the event in a
    log.
    """

    text: str
    at: float
    name: str = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMoved:
    """A worker of ``--engine ray`` started (``at_work``) or was lost. orders: its jobs, which other workers get now."""

    worker: str
    at_work: bool
    orders: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run ended. report: as in ``report.json``. summary: in words."""

    report: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    at: float = 0.0


Event = RunNamed | RunBegan | JobMoved | CameBack | Steered | Ticked | Noted | WorkerMoved | RunEnded
Observer = Callable[[Event], None]
