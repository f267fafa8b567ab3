"""What the coordinator and a worker say to each other, pickled. No message holds the API token or a picture's bytes."""

import pickle
from dataclasses import dataclass
from typing import Any, Protocol

from batcher.core.errors import Defect, DiskError, FileError
from batcher.core.job import Artifact, Entry
from batcher.images.check import CheckDepth

MOST_IN_GROUP = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is made with. run_dir: absolute. bucket: the URL that the images go to, None for the run directory.

    trust, check, embed, simulated: as the run has them.
    """

    run_dir: str
    bucket: str | None
    trust: tuple[str, ...]
    check: CheckDepth
    embed: frozenset[str]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """identity: of this process, another one after each restart. clock: Unix seconds, as the worker's machine has it.

    problem: why it can't work, empty when it can. no_room: that it is the disk.
    """

    identity: str
    host: str
    pid: int
    batcher: str
    python: str
    clock: float
    problem: str = ""
    no_room: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A job to fetch. moment: Unix seconds, the download's time in sidecars: doing it again makes the same bytes.

    giving: of this order to a worker; no two are equal.
    """

    entry: Entry
    moment: float
    giving: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """job: ``Entry.id``. What came of one giving: the files, or what was raised."""

    job: int
    giving: int
    result: list[Artifact] | FileError | DiskError | Defect


class WorkerLost(Exception):
    """The call was not answered, and whether it was carried out is unknown. for_good: nobody will take its place."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Crew(Protocol):
    """Workers, by number from 0, wherever they run."""

    size: int

    async def call(self, worker: int, method: str, payload: bytes) -> bytes:
        """A method of ``Worker``. Raises WorkerLost; may take for ever."""
        ...

    async def replace(self, worker: int) -> None:
        """Ends that worker's process, however stuck it is; another takes its number in a while. Raises WorkerLost."""
        ...


def packed(message: Any) -> bytes:
    return pickle.dumps(message, protocol=5)


def unpacked(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  from our own processes, over the cluster's own channels
