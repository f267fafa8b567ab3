"""What a run tells those who watch it: the page, the Python API, notifications, metrics, a log.

An observer is a function of one event. It is called on the event loop, after what it is told of is on the disk, and
must return at once; what it raises is a defect of the observer and ends the run like any other.
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
    """Which run directory it is: known before the manifest is read, so before ``RunBegan``, which may never come."""

    run_dir: Path
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """total: jobs of the manifest, or those within ``--limit``. at: Unix seconds, as in all events.

    price_usd: of one image, budget_usd: the most that may be spent; None when there is none.
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
    """A job is in another state: ``entry.state`` now, ``before`` until then. artifacts: its files, when it is done."""

    entry: Entry
    before: State
    artifacts: Sequence[Artifact] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Four times a second: how far the run is."""

    snapshot: Snapshot
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """A submit that costs nothing: the service refused it (its rate, the token, the balance), or it never got there.

    entry: as it was submitted; the job is pending again. why: in words.
    """

    entry: Entry
    refused: bool
    why: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """A person or a program changed the going run. changes: settings by name; "none": as the command says.

    paused: whether it was paused (True) or goes on (False) with that; None: neither.
    """

    changes: Mapping[str, Any]
    paused: bool | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A message for a person: a warning, or what the run does about something. name: of the event in a log."""

    text: str
    at: float
    name: str = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMoved:
    """A worker of ``--engine ray`` began to work, or was lost. orders: jobs that it had, which others get now."""

    worker: str
    at_work: bool
    orders: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """report: as ``report.json`` has it. summary: in words."""

    report: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    at: float = 0.0


Event = RunNamed | RunBegan | JobMoved | CameBack | Steered | Ticked | Noted | WorkerMoved | RunEnded
Observer = Callable[[Event], None]
