"""Messages between the coordinator and a worker, pickled. None holds the API token or the bytes of an image."""

import pickle
from dataclasses import dataclass
from typing import Any, Protocol

from batcher.core.errors import Defect, DiskError, FileError
from batcher.core.job import Artifact, Entry
from batcher.images.check import CheckDepth

MOST_IN_GROUP = 64  # orders or outcomes in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Settings of a worker. run_dir: absolute. bucket: URL that the images go to, None for the run directory.

    trust: hosts that files may come from, besides RunComfy's. check: how closely files are checked. embed: metadata to
    write into files. simulated: whether the images come from the simulator. prompt_input: what the model calls the
    input of prompts.
    """

    run_dir: str
    bucket: str | None
    trust: tuple[str, ...]
    check: CheckDepth
    embed: frozenset[str]
    simulated: bool
    prompt_input: str | None = "prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """A worker introduces itself.

    identity: of its process, a new one after each restart. host, pid: where that process is. batcher, python: versions.
    clock: Unix seconds on the worker's machine. problem: why it can't work, empty if it can. no_room: the problem is
    the disk.
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
    """A job to fetch. entry: READY. moment: Unix seconds, the time of the download in sidecars, so that a repetition
    writes the same bytes. giving: a new number each time that the order is given to a worker.
    """

    entry: Entry
    moment: float
    giving: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one giving of an order: the files, or an error. job: ``Entry.id``."""

    job: int
    giving: int
    result: list[Artifact] | FileError | DiskError | Defect


class WorkerLost(Exception):
    """A call was not answered; it may have been carried out. why: in words. for_good: it will not be replaced."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Crew(Protocol):
    """Workers, by number from 0. size: how many there are."""

    size: int

    async def call(self, worker: int, method: str, payload: bytes) -> bytes:
        """Call a method of ``Worker``. Has no time limit. Raises WorkerLost."""
        ...

    async def replace(self, worker: int) -> None:
        """Kill the process of a worker; another one gets its number later. Raises WorkerLost."""
        ...


def packed(message: Any) -> bytes:
    """A message as bytes, for the cluster's own channels."""
    return pickle.dumps(message, protocol=5)


def unpacked(data: bytes) -> Any:
    """The message in bytes of ``packed``. Only for bytes from our own processes: unpickling can run code."""
    return pickle.loads(data)  # noqa: S301  from our own processes, over the cluster's own channels
